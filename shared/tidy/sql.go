package tidy

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// checkSQL reports what no dialect allows: what is opened and not closed, or the
// other way round.
func checkSQL(f codegen.File) []codegen.Diagnostic {
	l := lexSQL(f.Content)
	if l.err == nil {
		l.err = unbalanced(l)
	}
	if l.unclear || l.err == nil {
		return nil
	}
	line, column := place(f.Content, l.err.pos)
	return []codegen.Diagnostic{wrong("sql", line, column, l.err.message)}
}

func unbalanced(l *sqlLexer) *sqlError {
	if l.opaque {
		return nil
	}
	var open []*sqlToken
	for _, t := range l.tokens {
		switch {
		case t.is("("):
			open = append(open, t)
		case t.is(")") && len(open) == 0:
			return &sqlError{t.pos, "the parenthesis closes nothing"}
		case t.is(")"):
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return &sqlError{open[len(open)-1].pos, "the parenthesis is not closed"}
	}
	return nil
}

// formatSQL takes the laid out form only if it has the same tokens, together and
// apart where that could mean something, and laying it out again changes
// nothing.
func formatSQL(f codegen.File) (string, bool) {
	source, windows := f.Content, false
	if n := strings.Count(source, "\r"); n > 0 {
		if n != strings.Count(source, "\n") || n != strings.Count(source, "\r\n") {
			return "", false
		}
		source, windows = strings.ReplaceAll(source, "\r\n", "\n"), true
	}
	printed, ok := layoutSQL(source)
	if !ok || !sameSQL(source, printed) {
		return "", false
	}
	if again, ok := layoutSQL(printed); !ok || again != printed {
		return "", false
	}
	if windows {
		printed = strings.ReplaceAll(printed, "\n", "\r\n")
	}
	return printed, true
}

// sameSQL proves that two texts differ in nothing but the case of words that are
// keywords, and in space that has no meaning.
func sameSQL(a, b string) bool {
	before, after := lexSQL(a), lexSQL(b)
	if after.unclear || after.err != nil || len(before.tokens) != len(after.tokens) {
		return false
	}
	for i, s := range before.tokens {
		t := after.tokens[i]
		if s.kind != t.kind || s.text != t.text && (s.kind != sqlWord || s.key != t.key || t.text != strings.ToUpper(s.text)) {
			return false
		}
		if i == 0 {
			continue
		}
		p := before.tokens[i-1]
		if s.kind == sqlString && p.kind == sqlString && (s.breaks() > 0) != (t.breaks() > 0) {
			return false // 'a' 'b' is one string only if a line ends between
		}
		if s.glued() != t.glued() && !mayPart(before.tokens[:i+1]) && (s.glued() || !mayGlue(p, s)) {
			return false
		}
	}
	return true
}

// mayGlue says that space between the two means nothing and may go.
func mayGlue(p, t *sqlToken) bool {
	return p.is("(", ",") || t.is(")", ",", ";")
}

// mayPart says that space may come, or go, before the last of the tokens.
func mayPart(tokens []*sqlToken) bool {
	p, t := tokens[len(tokens)-2], tokens[len(tokens)-1]
	switch {
	case mayGlue(p, t) || p.isComment() || t.isComment() || p.is(";") || p.kind == sqlBatch:
		return true
	case !t.glued():
		return false
	case t.is("("):
		if p.is("values") && len(tokens) == 2 {
			return true
		} else if p.is("values") {
			before := tokens[len(tokens)-3]
			return before.kind != sqlOp && !before.is(",", "(")
		}
		return p.kind == sqlOp && spaced[p.text] || p.kind == sqlWord && !callable(p.key) || columnsOf(func(n int) *sqlToken {
			if n+2 > len(tokens) {
				return nil
			}
			return tokens[len(tokens)-2-n]
		})
	}
	if t.kind == sqlWord && endsAlone(p) || p.kind == sqlWord && sqlReserved[p.key] && !t.is(".") {
		return true
	}
	return p.kind == sqlOp && spaced[p.text] || t.kind == sqlOp && (spaced[t.text] || p.kind == sqlOp && spaced[p.text])
}

// endsAlone says that a word directly after the token is one of its own.
func endsAlone(t *sqlToken) bool {
	return t.is(")") || t.kind == sqlString || t.kind == sqlName || t.kind == sqlBody
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
