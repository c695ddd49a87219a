package rag

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
)

func random(rnd *rand.Rand, dimensions int) []float32 {
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(rnd.NormFloat64())
	}
	v, err := Unit(v)
	if err != nil {
		panic(err)
	}
	return v
}

// TestDenseAgreesWithTheDefinition adds and removes at random and compares with
// cosines calculated one by one. 13 dimensions are no multiple of 4.
func TestDenseAgreesWithTheDefinition(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	x := NewDense(13)
	live := map[uint32][]float32{}
	for range 3000 {
		slot := uint32(rnd.IntN(2 * chunk))
		if live[slot] != nil {
			x.Remove(slot)
			delete(live, slot)
			continue
		}
		live[slot] = random(rnd, 13)
		x.Add(slot, live[slot])
	}
	third := func(slot uint32) bool { return slot%3 == 0 }
	for range 20 {
		v := random(rnd, 13)
		var want []Scored
		for slot, other := range live {
			var product float64
			for i := range v {
				product += float64(v[i]) * float64(other[i])
			}
			if third(slot) {
				want = append(want, Scored{slot, float32(product)})
			}
		}
		slices.SortFunc(want, compare)
		got := x.Search(v, 25, third)
		near := cmp.Comparer(func(a, b float32) bool { return diff(a, b) < 1e-5 })
		if d := cmp.Diff(want[:25], got, near); d != "" {
			t.Fatalf("Search (-want +got):\n%s", d)
		}
	}
	if got := x.Search(random(rnd, 13), 0, nil); len(got) != 0 {
		t.Errorf("best 0 = %v", got)
	}
	if got := x.Search(random(rnd, 13), 9999, nil); len(got) != len(live) {
		t.Errorf("best 9999 are %d, want all %d", len(got), len(live))
	}
}

func TestFuseAddsRanks(t *testing.T) {
	words := []Scored{{1, 40}, {2, 30}, {3, 2}}
	vectors := []Scored{{3, 0.9}, {1, 0.8}, {9, 0.7}}
	want := []Scored{{1, 1./61 + 1./62}, {3, 1./61 + 1./63}, {2, 1. / 62}, {9, 1. / 63}}
	near := cmp.Comparer(func(a, b float32) bool { return diff(a, b) < 1e-7 })
	if d := cmp.Diff(want, Fuse(words, vectors), near); d != "" {
		t.Errorf("Fuse (-want +got):\n%s", d)
	}
	if got := Fuse(nil, nil); len(got) != 0 {
		t.Errorf("of nothing = %v", got)
	}
	if got := Fuse([]Scored{{7, 1}}, []Scored{{5, 1}}); got[0].Slot != 5 {
		t.Errorf("a tie = %v, want the lower slot first", got)
	}
}

func TestUnit(t *testing.T) {
	v, err := Unit([]float32{3, 0, -4})
	if err != nil || !slices.Equal(v, []float32{0.6, 0, -0.8}) {
		t.Errorf("Unit = %v, %v", v, err)
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, bad := range [][]float32{nil, {}, {0, 0}, {1, inf}, {nan, 1}} {
		if v, err := Unit(bad); err == nil {
			t.Errorf("Unit(%v) = %v, want an error", bad, v)
		}
	}
}

// always is the model that sees one vector in everything.
func always(v ...float32) Embedder {
	return func(context.Context, []string) ([][]float32, error) { return [][]float32{v}, nil }
}

func TestVectorsOfAQueryMustCompare(t *testing.T) {
	for name, c := range map[string]struct {
		q    Query
		kind fault.Kind
		none bool
	}{
		"good":           {q: Query{Embed: always(0, 2), Embedding: "m"}},
		"nobody made it": {q: Query{Embed: func(context.Context, []string) ([][]float32, error) { return nil, nil }, Embedding: "m"}, none: true},
		"it failed":      {q: Query{Embed: func(context.Context, []string) ([][]float32, error) { return nil, fault.Timeout }, Embedding: "m"}, kind: fault.Timeout},
		"none":           {q: Query{Embedding: "other"}, none: true},
		"another model":  {q: Query{Embed: always(0, 2), Embedding: "other"}, kind: fault.Conflict},
		"no model":       {q: Query{Embed: always(0, 2)}, kind: fault.Conflict},
		"a length":       {q: Query{Embed: always(0, 2, 1), Embedding: "m"}, kind: fault.Conflict},
		"no direction":   {q: Query{Embed: always(0, 0), Embedding: "m"}, kind: fault.Upstream},
	} {
		v, err := c.q.QueryVector(t.Context(), "m", 2)
		if c.kind != "" && !errors.Is(err, c.kind) || c.kind == "" && err != nil {
			t.Errorf("%s: err = %v, want %q", name, err, c.kind)
		}
		if c.kind == "" && (v == nil) != c.none {
			t.Errorf("%s: vector = %v", name, v)
		}
	}
}
