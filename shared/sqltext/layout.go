package sqltext

import (
	"slices"
	"strings"
)

// layout lays the file anew that was read. ok is false if it cannot be read for
// certain.
func (l *lexer) layout() (text string, ok bool) {
	if l.unclear || l.err != nil || unbalanced(l) != nil {
		return "", false
	}
	var b strings.Builder
	tokens, rest := attach(l.tokens)
	above := false // whether the statement before has more than one line
	comment := false
	separate := func(first *token, tall bool) {
		switch {
		case b.Len() == 0, comment && first.is(";") && first.breaks() == 0:
			return
		case first.breaks() > 1 || !comment && (tall || above) && !first.isComment() && first.kind != kindBatch:
			b.WriteString("\n\n")
		default:
			b.WriteString("\n")
		}
	}
	comments := func(list []*token) {
		for _, c := range list {
			separate(c, false)
			b.WriteString(c.text)
			comment = true
		}
	}
	for len(tokens) > 0 {
		s := nextStatement(tokens)
		tokens = tokens[len(s.tokens):]
		lead := s.tokens[0].lead
		s.tokens[0].lead = nil
		body := s.layout(l)
		comments(lead)
		tall := strings.Contains(body, "\n") && !s.raw
		separate(s.tokens[0], tall)
		b.WriteString(body)
		above, comment = tall, s.tokens[0].kind == kindBatch
	}
	comments(rest)
	return b.String() + "\n", true
}

// attach gives the comments to the tokens that they stand beside or above. What
// comes after the last token is returned.
func attach(all []*token) (tokens, rest []*token) {
	for i, t := range all {
		switch {
		case !t.isComment():
			t.lead, rest = rest, nil
			tokens = append(tokens, t)
		case t.breaks() == 0 && len(tokens) > 0 && len(rest) == 0 && (t.kind == kindComment || !between(all, i)):
			last := tokens[len(tokens)-1]
			last.trail = append(last.trail, t)
		default:
			rest = append(rest, t)
		}
	}
	return tokens, rest
}

// between says that a comment belongs to what follows it in its line, which is
// another statement than what comes before.
func between(all []*token, i int) bool {
	return all[i-1].is(";") && i+1 < len(all) && all[i+1].breaks() == 0
}

// statement is one, or what is left as its author broke it.
type statement struct {
	tokens []*token
	raw    bool
}

func nextStatement(tokens []*token) statement {
	if n := procedure(tokens); n > 0 {
		return statement{tokens[:n], true}
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.kind == kindBatch && i == 0:
			return statement{tokens[:1], false}
		case t.kind == kindBatch:
			return statement{tokens[:i], depth != 0}
		case t.is(";") && depth <= 0:
			return statement{tokens[:i+1], depth != 0}
		}
	}
	return statement{tokens, depth != 0}
}

// procedure returns how many tokens belong to a block of statements, if one
// begins here. Nothing is known about the language in it.
func procedure(tokens []*token) int {
	first, second := tokens[0], &token{}
	if len(tokens) > 1 {
		second = tokens[1]
	}
	body := false
	switch {
	case first.is("create", "alter"):
		for i := 1; i < len(tokens) && i < 12 && !body; i++ {
			if tokens[i].is("table", "view", "index", ";", "(", "as") {
				return 0
			}
			body = tokens[i].is("function", "procedure", "proc", "trigger", "package", "event")
		}
		if !body {
			return 0
		}
	case first.is("begin"):
		if second.is(";", "transaction", "tran", "work", "immediate", "exclusive", "deferred", "isolation", "read", "concurrent") || second.kind == kindBatch || len(tokens) == 1 {
			return 0
		}
	case first.is("declare"):
		if second.breaks() == 0 {
			return 0
		}
	case !first.is("if", "while", "loop", "for", "repeat", "else", "elseif"):
		return 0
	}
	return bodyEnd(tokens, body)
}

// bodyEnd looks for the end of what may have blocks in it. Without any, and
// where they do not add up, it is the end of the batch.
func bodyEnd(tokens []*token, body bool) int {
	depth, blocks, as := 0, false, false
	inside := false // one of its own statements has ended: what follows is no longer its head
	for i, t := range tokens {
		next := &token{}
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch {
		case t.kind == kindBatch:
			return i
		case t.kind == kindBody && body && !blocks && !inside:
			return 0 // the body is the text, and the rest a statement like others
		case t.is("begin") && !next.is("tran", "transaction"), t.is("case"), t.is("if", "loop", "while", "repeat") && depth > 0 && opens(tokens[i:]):
			depth, blocks = depth+1, true
		case t.is("if", "loop", "while", "for") && i == 0 && opens(tokens):
			depth, blocks = depth+1, true
		case t.is("end"):
			depth--
		case t.is("as", "is") && body && depth == 0 && !blocks && !inside && (next.breaks() > 0 || verbs[next.key] || next.is("begin", "return")):
			if next.kind == kindString || next.is("(") {
				return 0 // the body is one text, or one expression
			}
			as = true
		case t.is(";") && depth <= 0 && (blocks || !as):
			if !blocks && body {
				return 0 // CREATE TRIGGER … EXECUTE FUNCTION f();
			}
			return i + 1
		case t.is(";") && !blocks:
			inside = true
		}
		if t.is("end") && next.is("if", "loop", "while", "repeat", "case") {
			tokens[i+1].keyword = true // it closes, and is not counted again
		}
	}
	if body && !blocks && !as {
		return 0
	}
	return len(tokens)
}

// opens says that an IF, LOOP or WHILE has an END of its own, and is no function
// and no IF of SQL Server.
func opens(tokens []*token) bool {
	if tokens[0].keyword || len(tokens) > 1 && tokens[1].is("exists", "not") && tokens[0].is("if") && len(tokens) > 2 && tokens[2].is("exists") {
		return false
	}
	if tokens[0].is("loop", "repeat") {
		return len(tokens) > 1 && !tokens[1].is("(", ";", ",")
	}
	for _, t := range tokens[:min(len(tokens), 100)] {
		switch {
		case t.is("then", "do", "loop"):
			return true
		case t.is(";", "begin"), t.is("(") && t.glued():
			return false
		}
	}
	return false
}

func (s statement) layout(l *lexer) string {
	var nodes []node
	ok := !s.raw && !matches(s.tokens)
	if ok {
		words := findRoles(s.tokens)
		nodes, ok = tree(s.tokens)
		if ok {
			maker := &maker{words: words, dashes: l.dashes}
			if d := maker.statement(nodes); !maker.odd {
				return d.print()
			}
		}
	}
	return verbatim(s.tokens)
}

// matches says that there is a pattern of rows, which has operators of its own.
func matches(tokens []*token) bool {
	for i, t := range tokens {
		if t.is("match_recognize") && i+1 < len(tokens) && tokens[i+1].is("(") {
			return true
		}
	}
	return false
}

// verbatim is the statement as its author wrote it, without space at the ends of
// lines.
func verbatim(tokens []*token) string {
	var b strings.Builder
	write := func(t *token) {
		switch breaks := min(t.breaks(), 2); {
		case breaks > 0 && b.Len() > 0:
			b.WriteString(strings.Repeat("\n", breaks))
			fallthrough
		case breaks > 0, t.pos == len(t.before):
			b.WriteString(t.before[strings.LastIndexByte(t.before, '\n')+1:])
		case b.Len() > 0:
			b.WriteString(t.before)
		}
		b.WriteString(t.text)
	}
	for _, t := range tokens {
		for _, c := range t.lead {
			write(c)
		}
		write(t)
		for _, c := range t.trail {
			write(c)
		}
	}
	return b.String()
}

// node is a token, or what stands between two: parentheses, CASE and END.
type node struct {
	*token
	kids  []node
	end   *token
	query bool // they are parentheses around one
}

func (n node) last() *token {
	if n.end != nil {
		return n.end
	}
	return n.token
}

// Bounds of a statement that is laid out: far above what people write and read.
// Levels cost stack and indents, and what stands in one is held several times
// while its lines are chosen.
const (
	maxLevels = 64   // of parentheses and CASE
	maxNodes  = 4096 // between two parentheses
)

// tree nests the tokens of a statement. ok is false if that cannot be done.
func tree(tokens []*token) (nodes []node, ok bool) {
	stack := []node{{}}
	for _, t := range tokens {
		top := &stack[len(stack)-1]
		switch {
		case t.opens(), t.is("case") && t.keyword:
			if stack = append(stack, node{token: t}); len(stack) > maxLevels {
				return nil, false
			}
		case t.closes(), t.is("end") && t.keyword:
			if len(stack) == 1 || top.is("(") != t.is(")") || (top.kind == kindAngle) != (t.kind == kindAngle) {
				return nil, false
			}
			done := *top
			done.end = t
			done.query = t.is(")") && isQuery(done.kids)
			stack = stack[:len(stack)-1]
			top = &stack[len(stack)-1]
			top.kids = append(top.kids, done)
		default:
			top.kids = append(top.kids, node{token: t})
		}
		if len(top.kids) > maxNodes {
			return nil, false
		}
	}
	return stack[0].kids, len(stack) == 1
}

// split cuts nodes after each separator.
func split(nodes []node, key string) (items [][]node) {
	for len(nodes) > 0 {
		n := slices.IndexFunc(nodes, func(n node) bool { return n.is(key) }) + 1
		if n == 0 {
			n = len(nodes)
		}
		items = append(items, nodes[:n])
		nodes = nodes[n:]
	}
	return items
}
