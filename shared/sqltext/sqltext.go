// Package sqltext formats SQL and says where it is not closed, as far as the
// dialects of PostgreSQL, MySQL, SQLite, SQL Server, BigQuery and Oracle agree.
// It parses no statements: it knows tokens, parentheses and clauses, and leaves
// alone what dialects read differently.
package sqltext

import "strings"

// Check finds what is wrong in every dialect: a string, quoted name, comment, text
// between dollars or parenthesis that is not closed, and a closing parenthesis
// without an opening one. It returns a message in lower case, and the byte at which
// the culprit begins. The message is "" if nothing is wrong, or if dialects
// read the text differently.
func Check(text string) (pos int, message string) {
	l := lex(text)
	if l.err == nil {
		l.err = unbalanced(l)
	}
	if l.unclear || l.err == nil {
		return 0, ""
	}
	return l.err.pos, l.err.message
}

func unbalanced(l *lexer) *problem {
	if l.opaque {
		return nil
	}
	var open []*token
	for _, t := range l.tokens {
		switch {
		case t.is("("):
			open = append(open, t)
		case t.is(")") && len(open) == 0:
			return &problem{t.pos, "the parenthesis closes nothing"}
		case t.is(")"):
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return &problem{open[len(open)-1].pos, "the parenthesis is not closed"}
	}
	return nil
}

// maxGrowth is how many times as long as the source the result may be. Only many
// lines that stand deep in parentheses are longer, and mean nothing.
const maxGrowth = 8

// Format lays text out: one clause per line, 100 columns where that can be, and
// keywords in capitals. Statements of thousands of words keep the lines of their
// author. The result has the same tokens, together and apart where that could
// mean something, and formatting it again changes nothing; ok is false if that
// cannot be had.
func Format(text string) (formatted string, ok bool) {
	source, windows := text, false
	if n := strings.Count(source, "\r"); n > 0 {
		if n != strings.Count(source, "\n") || n != strings.Count(source, "\r\n") {
			return "", false
		}
		source, windows = strings.ReplaceAll(source, "\r\n", "\n"), true
	}
	before := lex(source)
	printed, ok := before.layout()
	if !ok || len(printed) > maxGrowth*len(source)+16<<10 {
		return "", false
	}
	after := lex(printed)
	if !same(before, after) {
		return "", false
	}
	if again, ok := after.layout(); !ok || again != printed {
		return "", false
	}
	if windows {
		printed = strings.ReplaceAll(printed, "\n", "\r\n")
	}
	return printed, true
}

// same proves that two texts differ in nothing but the case of words that are
// keywords, and in space that has no meaning.
func same(before, after *lexer) bool {
	if after.unclear || after.err != nil || len(before.tokens) != len(after.tokens) {
		return false
	}
	for i, s := range before.tokens {
		t := after.tokens[i]
		if s.kind != t.kind || s.text != t.text && (s.kind != kindWord || s.key != t.key || t.text != strings.ToUpper(s.text)) {
			return false
		}
		if i == 0 {
			continue
		}
		p := before.tokens[i-1]
		if s.kind == kindString && p.kind == kindString && (s.breaks() > 0) != (t.breaks() > 0) {
			return false // 'a' 'b' is one string only if a line ends between
		}
		if s.glued() != t.glued() && !mayPart(before.tokens[:i+1]) && (s.glued() || !mayGlue(p, s)) {
			return false
		}
	}
	return true
}

// mayGlue says that space between the two means nothing and may go.
func mayGlue(p, t *token) bool {
	return p.opens() || p.is(",") || t.closes() || t.is(",", ";")
}

// mayPart says that space may come, or go, before the last of the tokens.
func mayPart(tokens []*token) bool {
	p, t := tokens[len(tokens)-2], tokens[len(tokens)-1]
	switch {
	case mayGlue(p, t) || p.isComment() || t.isComment() || p.is(";") || p.kind == kindBatch:
		return true
	case !t.glued():
		return false
	case t.is("("):
		if p.is("values") && len(tokens) == 2 {
			return true
		} else if p.is("values") {
			before := tokens[len(tokens)-3]
			return before.kind != kindOp && !before.is(",", "(")
		}
		return p.kind == kindOp && spaced[p.text] || p.kind == kindWord && !callable(p.key) || columnsOf(func(n int) *token {
			if n+2 > len(tokens) {
				return nil
			}
			return tokens[len(tokens)-2-n]
		})
	}
	if t.kind == kindWord && endsAlone(p) || p.kind == kindWord && reserved[p.key] && !t.is(".") {
		return true
	}
	return p.kind == kindOp && spaced[p.text] || t.kind == kindOp && (spaced[t.text] || p.kind == kindOp && spaced[p.text])
}

// endsAlone says that a word directly after the token is one of its own.
func endsAlone(t *token) bool {
	return t.is(")") || t.kind == kindString || t.kind == kindName || t.kind == kindBody
}

// callable says that the word could be the name of a function, which some
// dialects want directly before its parenthesis.
func callable(key string) bool {
	switch key {
	case "using", "over", "filter", "check", "primary", "key", "as", "in", "from", "join", "on", "and", "or", "not", "where", "select", "having", "when", "then", "else", "by", "like",
		"between", "union", "except", "intersect", "lateral", "materialized", "into", "case", "include", "unique", "returning", "conflict":
		return false
	}
	return true
}
