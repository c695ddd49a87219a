// Package pattern compiles regular expressions when they are first used. A
// variable that is compiled at the start is paid for by every cold start, and
// links package regexp into programs that never use it.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression in Go's syntax, as a variable that needs no
// initialisation:
//
//	var word = pattern.Pattern{Expr: `^\w+$`}
//
// It is safe for concurrent use, and must not be copied. An expression that is
// wrong panics at its first use.
type Pattern struct {
	Expr string

	once     sync.Once
	compiled *regexp.Regexp
}

// Regexp returns the compiled expression.
func (p *Pattern) Regexp() *regexp.Regexp {
	p.once.Do(func() { p.compiled = regexp.MustCompile(p.Expr) })
	return p.compiled
}

// Match says whether text holds a match.
func (p *Pattern) Match(text string) bool { return p.Regexp().MatchString(text) }
