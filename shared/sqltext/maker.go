package sqltext

import (
	"slices"
	"strings"
)

// maker says how the parts of a statement may be laid out.
type maker struct {
	words  *roles
	dashes bool
	odd    bool // something is not as expected: the statement stays as it is
	prev   *token
}

// gap says whether space comes between two tokens. It stays as it is unless it
// certainly means nothing.
func (m *maker) gap(p, t *token) bool {
	as := !t.glued()
	switch {
	case p == nil || p.opens() && len(p.trail) == 0 || t.closes() || t.is(",", ";"):
		return false
	case len(p.trail) > 0 || len(t.lead) > 0 || p.is(","):
		return true
	case t.is("("):
		return as || p.kind == kindOp && p.binary || p.keyword && (!callable(p.key) || p.is("values")) || p.table
	case m.dashes && (p.text == "-" || t.text == "-"), p.option, t.option:
		return as
	case t.kind == kindOp && t.binary, p.kind == kindOp && p.binary:
		return true
	}
	return as || t.kind == kindWord && endsAlone(p) || p.keyword && reserved[p.key] && !t.is(".")
}

// token is the text of one, with its comments.
func (m *maker) token(t *token) doc {
	m.prev = t
	s := t.text
	if t.keyword && t.kind == kindWord {
		s = strings.ToUpper(s)
	}
	if len(t.lead)+len(t.trail) == 0 {
		return text(s)
	}
	return cat(m.lead(t), text(s), m.beside(t))
}

// lead are the comments before a token, which thereby are laid out.
func (m *maker) lead(t *token) doc {
	if t.led {
		return doc{}
	}
	t.led = true
	return m.above(t.lead)
}

// above are comments in lines of their own.
func (m *maker) above(list []*token) doc {
	var kids []doc
	for _, c := range list {
		kids = append(kids, fresh, text(c.text), hard)
	}
	return cat(kids...)
}

// beside are the comments after a token.
func (m *maker) beside(t *token) doc {
	var kids []doc
	for _, c := range t.trail {
		if kids = append(kids, blanc, text(c.text)); c.kind == kindComment {
			kids = append(kids, ended)
		}
	}
	return cat(kids...)
}

// spaceBefore is the space before the token, as far as there is to be one.
func (m *maker) spaceBefore(t *token) doc {
	switch {
	case m.prev != nil && m.prev.kind == kindString && t.kind == kindString && t.breaks() > 0:
		return hard
	case m.gap(m.prev, t):
		return blanc
	}
	return doc{}
}

// begin forgets what came before: the next token begins a line, or follows a
// space that is there already.
func (m *maker) begin() { m.prev = nil }

// seq is an expression, or anything else that goes on in its line.
func (m *maker) seq(nodes []node) doc {
	if len(nodes) == 1 && (m.prev == nil || nodes[0].glued()) {
		if gap := m.spaceBefore(nodes[0].token); gap.empty() {
			return m.node(nodes[0])
		}
	}
	kids := make([]doc, 0, 2*len(nodes))
	chain := false
	weakest := chainOf(nodes)
	for i, n := range nodes {
		gap := m.spaceBefore(n.token)
		if n.kind == kindOp && n.binary && n.is(weakest...) && gap.kind == docSpace && i > 0 {
			gap, chain = line, true
		}
		kids = append(kids, gap, m.node(n))
	}
	if chain {
		return group(nest(2, kids...))
	}
	return cat(kids...)
}

// chainOf are the operators before which a long expression is broken.
func chainOf(nodes []node) []string {
	for _, keys := range [][]string{{"||", "+", "-"}, {"*", "/"}} {
		if slices.ContainsFunc(nodes, func(n node) bool { return n.kind == kindOp && n.binary && n.is(keys...) }) {
			return keys
		}
	}
	return nil
}

func (m *maker) node(n node) doc {
	switch {
	case n.end == nil:
		return m.token(n.token)
	case n.is("case"):
		return m.caseOf(n)
	}
	return m.paren(n)
}

// enclosed is content between parentheses.
func (m *maker) enclosed(n node, most int32, between doc, content func() doc) doc {
	open := m.token(n.token)
	if len(n.trail) == 0 {
		m.begin()
	}
	inner := content()
	lead := n.end.lead
	m.prev = n.end
	end := cat(text(n.end.text), m.beside(n.end))
	return groupOf(most, open, nest(2, between, inner, m.above(lead)), lastBreak(between, lead), end)
}

// lastBreak is what comes before the closing parenthesis: a comment before it
// has ended the line.
func lastBreak(between doc, lead []*token) doc {
	if len(lead) > 0 {
		return fresh
	}
	return between
}

func (m *maker) paren(n node) doc {
	kids := n.kids
	if len(kids) == 0 {
		return m.enclosed(n, maxWidth, doc{}, func() doc { return doc{} })
	}
	if isQuery(kids) {
		return m.enclosed(n, 64, soft, func() doc { return m.query(kids, line) })
	}
	if slices.ContainsFunc(kids, func(n node) bool { return n.isKey("join") }) {
		return m.enclosed(n, maxWidth, soft, func() doc { return m.query(kids, line) })
	}
	if parts := window(kids); len(parts) > 1 {
		return m.enclosed(n, maxWidth, soft, func() doc {
			var docs []doc
			for i, p := range parts {
				if i > 0 {
					docs = append(docs, line)
					m.begin()
				}
				docs = append(docs, m.items(p, line, false))
			}
			return cat(docs...)
		})
	}
	if literals(kids) {
		return m.enclosed(n, maxWidth, soft, func() doc { return m.fill(kids) })
	}
	pairs := m.prev != nil && (strings.Contains(m.prev.key, "json") || strings.Contains(m.prev.key, "object"))
	return m.enclosed(n, maxWidth, soft, func() doc { return m.items(kids, line, pairs) })
}

// window cuts what is between parentheses before the parts of a window.
func window(nodes []node) (parts [][]node) {
	start := 0
	for i, n := range nodes {
		if i > start && (n.isKey("partition", "order") && i+1 < len(nodes) && nodes[i+1].isKey("by") || n.isKey("rows", "range", "groups")) {
			parts = append(parts, nodes[start:i])
			start = i
		}
	}
	return append(parts, nodes[start:])
}

// literals says that there is a list of plain values.
func literals(nodes []node) bool {
	for i, n := range nodes {
		if n.end != nil || len(n.lead)+len(n.trail) > 0 || i%2 == 1 != n.is(",") || i%2 == 0 && (n.kind == kindWord && !n.keyword || n.kind == kindPunct) {
			return false
		}
	}
	return len(nodes) > 1
}

// fill puts as many values into a line as have room in it.
func (m *maker) fill(nodes []node) doc {
	var kids []doc
	for i, n := range nodes {
		if i == 0 || n.is(",") {
			kids = append(kids, m.token(n.token))
		} else {
			kids = append(kids, group(line, m.token(n.token)))
		}
	}
	return cat(kids...)
}

// items is a list, with a separator after its commas. If pairs is true it may be
// one of names and values, and then those of a pair stand together.
func (m *maker) items(nodes []node, sep doc, pairs bool) doc {
	list := split(nodes, ",")
	kids := make([]doc, 0, 3*len(list))
	pairs = pairs && inPairs(list)
	for i, item := range list {
		comma := (*token)(nil)
		if last := item[len(item)-1]; last.is(",") {
			comma, item = last.token, item[:len(item)-1]
		}
		if i > 0 {
			m.begin()
		}
		if len(item) > 0 && len(item[0].lead) > 0 {
			kids = append(kids, m.lead(item[0].token)) // they are no reason to break the item
		}
		if m.words.ddl {
			kids = append(kids, m.parts(item))
		} else {
			kids = append(kids, m.condition(item, line))
		}
		if comma == nil {
			break
		}
		late := m.prev != nil && slices.ContainsFunc(m.prev.trail, func(c *token) bool { return c.kind == kindComment }) || len(comma.lead) > 0
		kids = append(kids, m.token(comma))
		switch next := firstOf(list, i+1); {
		case next == nil:
		case pairs && i%2 == 0 && len(comma.trail)+len(next.lead) == 0:
			kids = append(kids, blanc)
		case late && len(comma.trail) == 0:
			kids = append(kids, blanc)
		case m.words.ddl && sep.kind == docHard && apart(next):
			kids = append(kids, blank)
		default:
			kids = append(kids, sep)
		}
	}
	return cat(kids...)
}

// inPairs says that every other item is a text, as in json_object('a', 1, 'b', 2).
func inPairs(list [][]node) bool {
	for i, item := range list {
		if i%2 == 0 && (item[0].kind != kindString || len(item) != 2 || !item[1].is(",")) {
			return false
		}
	}
	return len(list) > 2 && len(list)%2 == 0
}

func firstOf(list [][]node, i int) *token {
	if i < len(list) {
		return list[i][0].token
	}
	return nil
}

// apart says that its author left an empty line before the token.
func apart(t *token) bool {
	if len(t.lead) > 0 {
		return t.lead[0].breaks() > 1
	}
	return t.breaks() > 1
}

// condition is an expression whose parts between AND and OR come on lines of
// their own.
func (m *maker) condition(nodes []node, sep doc) doc {
	if len(nodes) < 3 {
		return m.seq(nodes)
	}
	parts := conditions(nodes)
	if len(parts) == 1 {
		return m.seq(nodes)
	}
	var kids []doc
	for i, p := range parts {
		if i > 0 {
			kids = append(kids, sep)
			m.begin()
		}
		kids = append(kids, m.seq(p))
	}
	return group(kids...)
}

// conditions cuts an expression before AND and OR. The AND of BETWEEN is none of
// these.
func conditions(nodes []node) (parts [][]node) {
	start, between := 0, 0
	for i, n := range nodes {
		switch {
		case n.isKey("between"):
			between++
		case n.isKey("and") && between > 0:
			between--
		case n.isKey("and", "or") && i > start:
			parts = append(parts, nodes[start:i])
			start = i
		}
	}
	return append(parts, nodes[start:])
}

// caseOf lays out CASE … END.
func (m *maker) caseOf(n node) doc {
	head := m.token(n.token)
	var kids []doc
	start := 0
	flush := func(end int) {
		if end == start {
			return
		}
		if n.kids[start].isKey("when", "else") {
			kids = append(kids, line)
			m.begin()
			kids = append(kids, m.lead(n.kids[start].token), nest(2, m.seqOrCondition(n.kids[start:end])))
		} else {
			kids = append(kids, m.spaceBefore(n.kids[start].token), m.seq(n.kids[start:end]))
		}
		start = end
	}
	for i, k := range n.kids {
		if k.isKey("when", "else") {
			flush(i)
		}
	}
	flush(len(n.kids))
	lead := n.end.lead
	m.prev = n.end
	return groupOf(80, head, nest(2, append(kids, m.above(lead))...), lastBreak(line, lead), text("END"), m.beside(n.end))
}

// seqOrCondition is WHEN a AND b THEN c.
func (m *maker) seqOrCondition(nodes []node) doc {
	then := slices.IndexFunc(nodes, func(n node) bool { return n.isKey("then") })
	if then < 0 {
		return m.seq(nodes)
	}
	return cat(m.condition(nodes[:then], line), m.spaceBefore(nodes[then].token), m.seq(nodes[then:]))
}
