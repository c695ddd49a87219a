//go:build unix

package growthtest_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
)

// count remembers failures instead of failing.
type count struct {
	testing.TB
	failures int
}

func (c *count) Errorf(string, ...any) { c.failures++ }

var sum int

func add(n int) {
	s := sum
	for i := range n {
		s += i ^ s
	}
	sum = s
}

func TestLinear(t *testing.T) {
	for _, tc := range []struct {
		name     string
		prepare  func(size int) func()
		failures int
	}{
		{"in proportion", func(size int) func() { return func() { add(size * 500) } }, 0},
		{"its square", func(size int) func() { return func() { add(size * size) } }, 1},
		{"a preparation that takes long", func(size int) func() {
			add(size * size)
			return func() { add(size * 500) }
		}, 0},
	} {
		c := &count{TB: t}
		growthtest.Linear(c, tc.name, 500, tc.prepare)
		if c.failures != tc.failures {
			t.Errorf("%s: %d failures, want %d", tc.name, c.failures, tc.failures)
		}
	}
}
