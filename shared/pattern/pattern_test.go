package pattern_test

import (
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

var word = pattern.Pattern{Expr: `^\w+$`}

func TestPatternIsCompiledOnce(t *testing.T) {
	var all sync.WaitGroup
	first := word.Regexp()
	for range 8 {
		all.Go(func() {
			if word.Regexp() != first || !word.Match("gopher") || word.Match("two words") {
				t.Error("the pattern changed")
			}
		})
	}
	all.Wait()
}

func TestWrongPatternPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a wrong expression was taken")
		}
	}()
	(&pattern.Pattern{Expr: `(`}).Match("x")
}
