package sqltext

import "strings"

// closing finds the end of what is quoted, from the opening mark on. Marks are
// doubled to stand for themselves and, with escapes, may follow a backslash.
func closing(text string, quote byte, escapes bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && escapes:
			i++
		case text[i] != quote:
		case at(text, i+1) == quote:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

func (l *lexer) quoted(quote byte) {
	prefix := ""
	if l.last != nil && l.last.kind == kindWord && l.last.pos+len(l.last.text) == l.pos {
		prefix = l.last.key
	}
	text := l.rest()
	end, escaped := closing(text, quote, false), closing(text, quote, true)
	if prefix == "e" && quote == '\'' {
		end = escaped // the one string that is certain to have escapes
	}
	triple := -1 // BigQuery's strings between three marks
	if three := strings.Repeat(string(quote), 3); quote != '`' && strings.HasPrefix(text, three) {
		triple = strings.Index(text[3:], three)
	}
	switch {
	case prefix == "q" || prefix == "nq", // Oracle's q'[a]'
		end > 0 && escaped != end, triple >= 0 && triple+6 != end:
		l.unclear = true
	case end < 0 && escaped > 0:
		l.unclear = true
	case end < 0 && quote == '\'':
		l.fail("the string is not closed")
	case end < 0:
		l.fail("the quoted name is not closed")
	case quote == '\'':
		l.add(kindString, end)
	default:
		l.add(kindName, end)
	}
}

// bracketed reads a name of SQL Server, an array or a subscript as one token,
// if all agree where it ends.
func (l *lexer) bracketed() {
	text := l.rest()
	array, depth := -1, 0
	for i := 0; i < len(text) && array < 0; i++ {
		switch c := text[i]; c {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				array = i + 1
			}
		case '\'', '"':
			n := closing(text[i:], c, false)
			if n < 0 || n != closing(text[i:], c, true) {
				l.unclear = true
				return
			}
			i += n - 1
		case '#', '{':
			l.unclear = true
			return
		case '-', '/':
			if next := at(text, i+1); c == '-' && next == '-' || c == '/' && next == '*' {
				l.unclear = true
				return
			}
		case ';':
			l.unclear = true
			return
		}
	}
	// No name comes directly after another one.
	subscript := l.last != nil && l.pos == l.space && (l.last.kind == kindWord || l.last.kind == kindName || l.last.is(")") || l.last.kind == kindParam)
	if array < 0 || !subscript && array != closing(text, ']', false) {
		l.unclear = true
		return
	}
	l.add(kindName, array)
}

func (l *lexer) dollar() {
	text := l.rest()
	n := 1 + span(text[1:], func(c byte) bool { return c != '$' && inWord(c) })
	switch {
	case at(text, n) == '$' && !isDigit(at(text, 1)):
		tag := text[:n+1]
		end := strings.Index(text[len(tag):], tag)
		if end < 0 {
			l.fail("the text after " + tag + " is not closed")
			return
		}
		l.add(kindBody, end+2*len(tag))
	case n > 1:
		l.add(kindParam, n)
	default:
		l.unclear = true
	}
}
