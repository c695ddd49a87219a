package rag

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// topics makes vectors as models do: all have much in common, a few numbers are
// large in each, and those of one topic are alike.
type topics struct {
	rnd     *rand.Rand
	common  []float32
	centres [][]float32
}

func newTopics(dimensions, n int) *topics {
	s := &topics{rnd: rand.New(rand.NewPCG(3, uint64(dimensions)))}
	s.common = random(s.rnd, dimensions)
	for range n {
		s.centres = append(s.centres, random(s.rnd, dimensions))
	}
	return s
}

func (s *topics) vector() []float32 {
	v, centre := random(s.rnd, len(s.common)), s.centres[s.rnd.IntN(len(s.centres))]
	for i := range v {
		v[i] += s.common[i] + centre[i]*(0.5+s.rnd.Float32())
	}
	v[7] *= 8
	v[11] += 1
	v, err := Unit(v)
	if err != nil {
		panic(err)
	}
	return v
}

// exact compares one by one.
func exact(x *Dense, v []float32, k int, keep func(uint32) bool) []Scored {
	all := *x
	all.signs = nil
	return all.Search(v, k, keep)
}

// filled returns an index of n slots with signs, of which a third was used again
// and a third of the others is empty.
func filled(t testing.TB, dimensions, n int) (*Dense, *topics) {
	t.Helper()
	x, s := NewDense(dimensions), newTopics(dimensions, n/140)
	x.most = n * dimensions / 2
	for slot := range uint32(n) {
		x.Add(slot, s.vector())
	}
	for slot := range uint32(n) {
		if slot%3 == 0 {
			x.Remove(slot)
		}
	}
	for slot := range uint32(n) {
		if slot%6 == 0 {
			x.Add(slot, s.vector())
		}
	}
	if x.signs == nil {
		t.Fatalf("%d vectors of %d dimensions are still compared one by one", n, dimensions)
	}
	return x, s
}

// TestSignsFindTheBest compares with what comparing one by one finds.
func TestSignsFindTheBest(t *testing.T) {
	x, s := filled(t, 300, 20_000)
	tenth := func(slot uint32) bool { return slot%10 == 7 }
	var best10, best100, kept, first int
	const questions = 15
	for range questions {
		v := s.vector()
		all, got := exact(x, v, 100, nil), x.Search(v, 100, nil)
		best10 += shared(all[:10], got)
		best100 += shared(all, got)
		kept += shared(exact(x, v, 10, tenth), x.Search(v, 10, tenth))

		slot := uint32(s.rnd.IntN(len(x.has)))
		for !x.has[slot] {
			slot = uint32(s.rnd.IntN(len(x.has)))
		}
		if got := x.Search(x.vector(slot), 1, nil); len(got) == 1 && got[0].Slot == slot && diff(got[0].Score, 1) < 1e-5 {
			first++
		}
	}
	if best10 < questions*10*99/100 || best100 < questions*100*85/100 || kept < questions*10*99/100 || first != questions {
		t.Errorf("of %d questions found %d of the best 10 each, %d of the best 100, %d of the best 10 that a filter keeps, and %d that are stored themselves", questions, best10, best100, kept, first)
	}
}

func shared(want, got []Scored) (n int) {
	in := map[uint32]bool{}
	for _, c := range got {
		in[c.Slot] = true
	}
	for _, c := range want {
		if in[c.Slot] {
			n++
		}
	}
	return n
}

// TestSearchesThatAreShared find what one goroutine finds.
func TestSearchesThatAreShared(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	x, s := filled(t, 300, 10_000)
	var asked atomic.Int64
	tenth := func(slot uint32) bool { asked.Add(1); return slot%10 == 7 }
	for range 5 {
		v := s.vector()
		for _, keep := range []func(uint32) bool{nil, tenth} {
			x.share = worthSharing
			want := x.Search(v, 100, keep)
			for parts := 2; parts <= 5; parts++ {
				x.share = len(x.has) * x.signs.words / parts
				if diff := cmp.Diff(want, x.Search(v, 100, keep)); diff != "" || len(want) != 100 {
					t.Errorf("in %d parts (-one +shared):\n%s", parts, diff)
				}
			}
		}
	}
	if asked.Load() == 0 {
		t.Error("the filter was not asked")
	}
}

// TestFewAreComparedOneByOne, and so are vectors whose signs say little.
func TestFewAreComparedOneByOne(t *testing.T) {
	for _, tc := range []struct {
		dimensions, vectors int
		signs               bool
	}{{512, worthSigns / 512, false}, {512, worthSigns/512 + 1, true}, {255, worthSigns/255 + 1, false}} {
		x, v := NewDense(tc.dimensions), make([]float32, tc.dimensions)
		for slot := range uint32(tc.vectors) {
			x.Add(slot, v)
		}
		if got := x.signs != nil; got != tc.signs {
			t.Errorf("%d vectors of %d dimensions: signs %t, want %t", tc.vectors, tc.dimensions, got, tc.signs)
		}
	}
}

// TestSignsHideNothing: what a filter leaves few of is compared exactly, as are
// many results; and nothing that was removed is found.
func TestSignsHideNothing(t *testing.T) {
	x, s := filled(t, 256, 8000)
	few := func(slot uint32) bool { return slot%50 == 1 }
	v := s.vector()
	if d := cmp.Diff(exact(x, v, 9999, few), x.Search(v, 9999, few)); d != "" {
		t.Errorf("what a filter keeps (-one by one +Search):\n%s", d)
	}
	if d := cmp.Diff(exact(x, v, 20, few), x.Search(v, 20, few)); d != "" {
		t.Errorf("the best of what a filter keeps (-one by one +Search):\n%s", d)
	}
	if got := x.Search(v, len(x.has), nil); len(got) != x.live {
		t.Errorf("found %d of all %d", len(got), x.live)
	}
	for _, c := range x.Search(v, 1000, nil) {
		if c.Slot%6 == 3 {
			t.Errorf("found %v, which was removed", c)
		}
	}
}

// TestMixKeepsProducts, whatever was in its space before.
func TestMixKeepsProducts(t *testing.T) {
	rnd, space := rand.New(rand.NewPCG(1, 2)), make([]float32, 128)
	for range 5 {
		a, b := random(rnd, 100), random(rnd, 100)
		mixed := slices.Clone(mix(a, space))
		if got, want := dot(mixed, mix(b, space))/64, dot(a, b); diff(got, want) > 1e-5 {
			t.Errorf("the product is %v, want %v", got, want)
		}
	}
}

// TestSignsOfNothingSpecial: vectors that are all the same, and a question that
// is like none of them, have no signs to go by.
func TestSignsOfNothingSpecial(t *testing.T) {
	const n = 5000
	x, one := NewDense(256), make([]float32, 256)
	x.most = n / 2 * 256
	one[0] = 1
	for slot := range uint32(n) {
		x.Add(slot, one)
	}
	got := x.Search(one, 3, nil)
	if len(got) != 3 || got[0].Score != 1 {
		t.Errorf("hits = %v", got)
	}
	other := make([]float32, 256)
	other[5] = 1
	if got := x.Search(other, 3, nil); len(got) != 3 || got[0].Score != 0 {
		t.Errorf("hits = %v", got)
	}
}

// TestSignsAreLearntAgain: what came first may be unlike what follows, or be
// replaced by it, and may have left every other slot free.
func TestSignsAreLearntAgain(t *testing.T) {
	const n = 1000
	for name, fill := range map[string]func(x *Dense, v func(other bool) []float32){
		"more": func(x *Dense, v func(bool) []float32) {
			for slot := range uint32(5 * n) {
				x.Add(slot, v(slot >= n))
			}
		},
		"others": func(x *Dense, v func(bool) []float32) {
			for slot := range uint32(n) {
				x.Add(slot, v(false))
			}
			for slot := range uint32(n) {
				x.Remove(slot)
				x.Add(slot, v(true))
			}
			x.Add(n, v(true))
		},
		"with holes": func(x *Dense, v func(bool) []float32) {
			for slot := range uint32(12 * n) {
				x.Add(slot, v(true))
			}
			for slot := range uint32(12 * n) {
				if slot%2 == 0 {
					x.Remove(slot)
				}
			}
			x.learn()
		},
	} {
		x, rnd := NewDense(256), rand.New(rand.NewPCG(1, 2))
		x.most = (n - 1) * 256
		fill(x, func(other bool) []float32 {
			v := random(rnd, 256)
			if other {
				v[0] = 9 // above the middle of the first ones, all of them
				v, _ = Unit(v)
			}
			return v
		})
		// The block of 64 that the number is in has it in each of its signs.
		if got := x.signs.middle[0]; got < 0.7 {
			t.Errorf("%s: the middle is %.2f in a dimension where most numbers are nearly 1", name, got)
		}
	}
}

func BenchmarkDense(b *testing.B) {
	for _, c := range []struct{ dimensions, vectors int }{{384, 10_000}, {384, 100_000}, {1536, 100_000}} {
		x, s := NewDense(c.dimensions), newTopics(c.dimensions, 500)
		for slot := range uint32(c.vectors) {
			x.Add(slot, s.vector())
		}
		v := s.vector()
		for name, search := range map[string]func(){
			"likely": func() { x.Search(v, 100, nil) },
			"exact":  func() { exact(x, v, 100, nil) },
		} {
			b.Run(fmt.Sprintf("%s/%dx%d", name, c.vectors, c.dimensions), func(b *testing.B) {
				for b.Loop() {
					search()
				}
			})
		}
		b.Run(fmt.Sprintf("learn/%dx%d", c.vectors, c.dimensions), func(b *testing.B) {
			for b.Loop() {
				x.learn()
			}
		})
	}
}
