package sqltext

import "strings"

// typeOpens says that types stand between angle brackets, the first of which
// comes next, as in array<struct<name string, n int64>>.
func (l *lexer) typeOpens() bool {
	if l.last == nil || l.last.kind != kindWord || l.space < l.pos || !l.last.is("array", "struct", "map", "table", "range") {
		return false
	}
	if l.angles > 0 {
		return true // they are closed, as the outermost are
	}
	if l.untyped++; l.untyped > 50 {
		return false // the text compares columns called array, or is none
	}
	text := l.rest()[:min(len(l.rest()), 4000)] // more is no type that somebody wrote
	depth, word := 0, 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if inWord(c) {
			continue
		}
		if key := strings.ToLower(text[word:i]); reserved[key] && key != "not" && key != "null" {
			return false
		}
		word = i + 1
		switch c {
		case '<':
			depth++
		case '>':
			if depth--; depth == 0 {
				l.untyped--
				return true
			}
		case ' ', '\t', '\n', ',', '.', ':', '(', ')':
		default:
			return false
		}
	}
	return false
}
