package lru_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/lru"
)

func TestWhatWasUsedLastStays(t *testing.T) {
	c := lru.Cache[string, int]{Most: 10}
	want := func(when string, values map[string]int) {
		t.Helper()
		for k, v := range values {
			if got, ok := c.Get(k); ok != (v > 0) || got != v {
				t.Errorf("%s: Get(%s) = %d, %v, want %d", when, k, got, ok, v)
			}
		}
	}
	want("empty", map[string]int{"a": 0})
	c.Put("a", 1, 4)
	c.Put("b", 2, 4)
	c.Get("a")
	c.Put("c", 3, 4)
	want("full", map[string]int{"a": 1, "b": 0, "c": 3})
	c.Put("a", 5, 6)
	want("replaced", map[string]int{"a": 5, "c": 3})
	c.Put("c", 9, 11)
	want("too large", map[string]int{"a": 5, "c": 0})
	c.Drop("a")
	c.Drop("a")
	c.Put("d", 4, 10)
	want("dropped", map[string]int{"a": 0, "d": 4})
	c.Clear()
	c.Put("e", 6, 10)
	want("cleared", map[string]int{"d": 0, "e": 6})
}
