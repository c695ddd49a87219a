package sqltext

import (
	"slices"
	"strings"
)

// A file of SQL does not say whose SQL it is. The lexer therefore reads what
// PostgreSQL, MySQL, SQLite, SQL Server, Oracle and BigQuery agree about. Where
// they do not, it makes one token of what is right for all, or calls the file
// unclear, and then nothing is done to it.

type tokenKind uint8

const (
	kindWord    tokenKind = iota // a keyword or a name without quotation marks
	kindName                     // "a", `a`, [a]; in some dialects these are strings and arrays
	kindString                   // 'a'
	kindBody                     // $$ a $$
	kindNumber                   //
	kindParam                    // ?, $1, :a, @a
	kindOp                       //
	kindPunct                    // ( ) , ; .
	kindAngle                    // < > around types
	kindComment                  // to the end of the line
	kindBlock                    // /* a */
	kindBatch                    // GO or / alone in its line, which ends what came before
)

type token struct {
	kind   tokenKind
	text   string
	key    string // the text; of a word, in lower case
	pos    int
	before string // the space before it
	role
}

// role is what the token turned out to be in its statement.
type role struct {
	keyword bool
	binary  bool     // an operator between two operands
	table   bool     // the name before a list of columns
	option  bool     // part of an option of a table, such as ENGINE=InnoDB
	lead    []*token // comments in lines of their own before it
	led     bool     // they are laid out already
	trail   []*token // comments after it, in its line
}

func (t *token) is(keys ...string) bool {
	return t != nil && t.kind != kindString && t.kind != kindName && slices.Contains(keys, t.key)
}

func (t *token) opens() bool { return t.is("(") || t.kind == kindAngle && t.text == "<" }

func (t *token) closes() bool { return t.is(")") || t.kind == kindAngle && t.text == ">" }

func (t *token) isComment() bool { return t.kind == kindComment || t.kind == kindBlock }

// breaks counts the line breaks before the token.
func (t *token) breaks() int { return strings.Count(t.before, "\n") }

func (t *token) glued() bool { return t.before == "" }

// problem is an error that every dialect would report.
type problem struct {
	pos     int
	message string
}

type lexer struct {
	text    string
	pos     int // of the next byte
	space   int // where the space before it begins
	tokens  []*token
	last    *token // that is not a comment
	unclear bool
	opaque  bool // something was read as one token that may hold parentheses
	dashes  bool // a name has a dash in it
	angles  int  // that are open around types
	untyped int  // how many looked like them and were not
	err     *problem
}

// lex reads tokens until the end, an error, or something that is unclear.
func lex(text string) *lexer {
	l := &lexer{text: text}
	for !l.unclear && l.err == nil {
		for l.space = l.pos; l.pos < len(text) && strings.IndexByte(" \t\n\r", text[l.pos]) >= 0; {
			l.pos++
		}
		if l.pos == len(text) {
			break
		}
		l.next()
	}
	return l
}

func (l *lexer) at(n int) byte { return at(l.text, l.pos+n) }

func (l *lexer) rest() string { return l.text[l.pos:] }

// lineStart says that nothing but space comes before in the line.
func (l *lexer) lineStart() bool {
	return l.space == 0 || strings.Contains(l.text[l.space:l.pos], "\n")
}

// fresh says that a statement begins here.
func (l *lexer) fresh() bool {
	return l.last == nil || l.last.kind == kindBatch || l.last.is(";")
}

// add makes a token of the next n bytes.
func (l *lexer) add(kind tokenKind, n int) {
	t := &token{kind: kind, text: l.text[l.pos : l.pos+n], pos: l.pos, before: l.text[l.space:l.pos]}
	t.key = t.text
	if kind == kindWord {
		t.key = strings.ToLower(t.text)
	}
	if l.tokens = append(l.tokens, t); !t.isComment() {
		l.last = t
	}
	l.pos += n
}

func (l *lexer) fail(message string) { l.err = &problem{l.pos, message} }

func startsWord(c byte) bool { return c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' }

func inWord(c byte) bool { return startsWord(c) || c == '$' || isDigit(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// span is the length of the longest prefix of s whose bytes are in the class.
func span(s string, class func(byte) bool) int {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return n
}

func (l *lexer) next() {
	c := l.at(0)
	if l.batch() {
		return
	}
	switch {
	case c == '-' && l.at(1) == '-':
		l.dashComment()
	case c == '/' && l.at(1) == '*':
		l.blockComment()
	case c == '#':
		l.hash()
	case c == '\'' || c == '"' || c == '`':
		l.quoted(c)
	case c == '[':
		l.bracketed()
	case c == '$':
		l.dollar()
	case startsWord(c):
		l.word()
	case isDigit(c) || c == '.' && isDigit(l.at(1)) && !(l.last != nil && l.pos == l.space && l.last.kind != kindOp && l.last.kind != kindPunct):
		l.number()
	case c == '?' && !strings.ContainsRune(opBytes, rune(l.at(1))):
		l.add(kindParam, 1)
	case c == '@' && (startsWord(l.at(1)) || l.at(1) == '@' && startsWord(l.at(2))):
		l.add(kindParam, 2+span(l.rest()[2:], inWord))
	case c == ':':
		l.colon()
	case strings.IndexByte("(),;.", c) >= 0:
		if c == '.' && l.fresh() {
			l.unclear = true // a command for sqlite3
			return
		}
		l.add(kindPunct, 1)
	case c == '<' && l.typeOpens():
		l.angles++
		l.add(kindAngle, 1)
	case c == '>' && l.angles > 0:
		l.angles--
		l.add(kindAngle, 1)
	case strings.IndexByte(opBytes, c) >= 0:
		l.operator()
	default:
		l.unclear = true // \d, {{ x }} and the like
	}
}

// batch reads the lines that end a batch for clients of SQL Server and Oracle.
// As an alias, or a division, they are as well kept alone.
func (l *lexer) batch() bool {
	if c := l.at(0); c|0x20 != 'g' && c != '/' || !l.lineStart() {
		return false
	}
	line, _, _ := strings.Cut(l.rest(), "\n")
	line = strings.TrimRight(line, " \t\r")
	word, count, _ := strings.Cut(line, " ")
	count = strings.TrimSpace(count)
	if strings.EqualFold(word, "go") && (strings.HasPrefix(count, "--") || strings.HasPrefix(count, "/*")) {
		l.unclear = true // alone, but for the comment
		return true
	}
	if line != "/" && (!strings.EqualFold(word, "go") || strings.Trim(count, "0123456789") != "") {
		return false
	}
	l.add(kindBatch, len(line))
	l.opaque = true // parentheses need not be closed after an alias
	return true
}

// dashComment reads a comment to the end of the line. For MySQL it is one only
// before space. Otherwise two signs are meant, unless a statement begins here;
// that changes nothing as long as no text in the line goes on in the next.
func (l *lexer) dashComment() {
	line, _, _ := strings.Cut(l.rest(), "\n")
	line = strings.TrimRight(line, " \t\r")
	if len(line) > 2 && line[2] != ' ' && line[2] != '\t' && !l.fresh() {
		l.opaque = true
		if strings.ContainsAny(line, "'\"`#") || strings.Contains(line, "/*") {
			l.unclear = true
			return
		}
	}
	l.add(kindComment, len(line))
}

func (l *lexer) blockComment() {
	end := strings.Index(l.rest()[2:], "*/")
	switch {
	case end < 0:
		l.fail("the comment is not closed")
	case strings.Contains(l.rest()[2:2+end], "/*"):
		l.unclear = true // comments nest in some dialects
	default:
		l.opaque = l.opaque || l.at(2) == '!' // code for MySQL
		l.add(kindBlock, end+4)
	}
}

// hash reads the operators of PostgreSQL. A comment of MySQL is certain where no
// operator can be, and neither the name of a temporary table.
func (l *lexer) hash() {
	rest := l.rest()
	n := span(rest, func(c byte) bool { return c == '#' || c == '>' })
	switch {
	case l.fresh() && (n == len(rest) || strings.IndexByte(" \t\n!-=", rest[n]) >= 0):
		line, _, _ := strings.Cut(rest, "\n")
		l.add(kindComment, len(strings.TrimRight(line, " \t\r")))
	case pathOperator(rest):
		l.add(kindOp, n)
	default:
		l.unclear = true
	}
}

// pathOperator says that an operator of PostgreSQL is there with a path, as in
// a#>>'{b,c}'. Nobody begins a comment like that.
func pathOperator(text string) bool {
	n := span(text, func(c byte) bool { return c == '#' || c == '>' })
	if text[:n] != "#>" && text[:n] != "#>>" {
		return false
	}
	path := strings.TrimLeft(text[n:], " ")
	return strings.HasPrefix(path, "'{") || strings.HasPrefix(path, "ARRAY[") || strings.HasPrefix(path, "array[")
}

func (l *lexer) colon() {
	switch c := l.at(1); {
	case c == ':' || c == '=':
		l.add(kindOp, 2)
	case c == '\'' || c == '"':
		l.unclear = true // a variable of psql
	case inWord(c):
		l.add(kindParam, 1+span(l.rest()[1:], inWord))
	default:
		l.add(kindOp, 1)
	}
}

// number reads digits with everything that may belong to them, so that nothing
// comes between.
func (l *lexer) number() {
	text := l.rest()
	hex := len(text) > 1 && text[0] == '0' && text[1]|0x20 == 'x'
	n := 0
	for n < len(text) {
		switch c := text[n]; {
		case inWord(c) && c != '$':
		case c == '.' && at(text, n+1) != '.':
		case (c == '+' || c == '-') && n > 0 && text[n-1]|0x20 == 'e' && !hex && isDigit(at(text, n+1)):
		default:
			l.add(kindNumber, n)
			return
		}
		n++
	}
	l.add(kindNumber, n)
}

// tableWords come before the name of a table, which in BigQuery may have dashes.
var tableWords = setOf("from join into table update view exists schema")

func (l *lexer) word() {
	text := l.rest()
	n := span(text, inWord)
	if at(text, n) == '#' && !pathOperator(text[n:]) || at(text, n) == '@' && inWord(at(text, n+1)) && l.fresh() {
		l.unclear = true // a name of Oracle, or a comment
		return
	}
	if l.last != nil && l.last.kind == kindWord && tableWords[l.last.key] {
		for at(text, n) == '-' && inWord(at(text, n+1)) {
			n += 1 + span(text[n+1:], inWord)
			l.dashes = true
		}
	}
	if n == 1 && text[0]|0x20 == 'u' && at(text, 1) == '&' && (at(text, 2) == '\'' || at(text, 2) == '"') {
		n = 2
	}
	fresh, line := l.fresh(), l.lineStart()
	l.add(kindWord, n)
	l.unclear = fresh && line && isClientCommand(l.last.key, l.rest()) || l.last.key == "stdin"
}

// isClientCommand knows the lines that are not for the server.
func isClientCommand(word, rest string) bool {
	switch word {
	case "delimiter", "prompt", "rem", "remark", "spool", "whenever", "accept", "column", "pause", "source", "exit", "quit", "host":
		return true
	case "set": // of SQL*Plus: SET SERVEROUTPUT ON
		name := strings.ToLower(strings.TrimLeft(rest[:min(len(rest), 20)], " "))
		for _, s := range []string{"serverout", "define", "echo", "feedback", "linesize", "pagesize", "verify", "termout", "heading"} {
			if strings.HasPrefix(name, s) {
				return true
			}
		}
	}
	return false
}

const opBytes = "+-*/<>=~!@%^&|?"

// spaced are the operators that may have space around them wherever two operands
// stand beside them. All others keep the space that they have.
var spaced = setOf("= < > <= >= <> != == <=> || + - * / % & | ^ << >> @> && ~ !~ ~* !~* ~~ !~~ += -= *= /=")

var spacedOrNot = setOf("<@ -> ->> @@ @? ?| ?& ~~* !~~* => ||/ |/ !!")

// operator reads one operator. Those that some dialect would read as one and
// others as two stay one, in which no space comes.
func (l *lexer) operator() {
	rest, n := l.rest(), 0
	for n < len(rest) && strings.IndexByte(opBytes, rest[n]) >= 0 && !strings.HasPrefix(rest[n:], "--") && !strings.HasPrefix(rest[n:], "/*") {
		n++
	}
	run := rest[:n]
	after := at(l.text, l.pos+len(run))
	if strings.Contains(run, "//") || strings.HasPrefix(run, "@~") || strings.HasPrefix(run, "@%") || run[0] == '/' && l.staged() {
		l.unclear = true // a comment of Snowflake, or one of its paths
		return
	}
	if run[len(run)-1] == '%' && l.space < l.pos && (inWord(after) || after == '(') {
		l.unclear = true // %s, %(name)s
		return
	}
	if spaced[run] || spacedOrNot[run] {
		l.add(kindOp, len(run))
		return
	}
	head := strings.TrimRight(run, "+-@?")
	tail := run[len(head):]
	if head == "" {
		head, tail = run[:1], run[1:]
	}
	operand := tail == "-" || tail == "+" || tail == "?" || (tail == "@" || tail == "@@") && head != "<" && startsWord(after)
	if operand && strings.Trim(head, "=<>+-*/") == "" && spaced[head] {
		l.add(kindOp, len(head))
		l.space = l.pos
		return
	}
	l.add(kindOp, len(run))
}

// staged says that a path of Snowflake may go on here, as in @stage/a/b.csv. A
// variable may be divided by a number, another variable and what is in
// parentheses.
func (l *lexer) staged() bool {
	i := len(l.tokens) - 1
	for next := l.pos; i >= 0 && l.tokens[i].pos+len(l.tokens[i].text) == next; i-- {
		switch t := l.tokens[i]; {
		case t.kind == kindParam && t.text[0] == '@' && next < l.pos, t.kind == kindOp && t.text == "@":
			return true
		case t.kind == kindParam && t.text[0] == '@':
			before := &token{}
			if i > 0 {
				before = l.tokens[i-1]
			}
			rest := l.rest()[1:]
			number := span(rest, isDigit)
			divides := at(rest, 0) == '@' || at(rest, 0) == '(' || number > 0 && !inWord(at(rest, number)) && strings.IndexByte("/-.", at(rest, number)) < 0
			return !divides || before.kind == kindString || before.is("from", "into", "list", "ls", "remove", "rm", "get", "put")
		case t.kind != kindWord && t.kind != kindName && t.kind != kindNumber && !t.is(".", "%"):
			return false
		}
		next = l.tokens[i].pos
	}
	return false
}

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// at is the byte at i, 0 beyond the end.
func at(text string, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return 0
}
