package rag

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// Embed returns a vector of length 1 per passage. Its errors name what is wrong
// with what d.Embed returned.
func Embed(ctx context.Context, d Document, passages []Passage) ([][]float32, error) {
	texts := make([]string, len(passages))
	for i, p := range passages {
		texts[i] = p.Text
		if p.Context != "" {
			texts[i] = p.Context + "\n" + p.Text
		}
	}
	vectors, err := d.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(vectors) != len(texts) {
		return nil, fault.New(fault.Upstream, "The model '%s' returned %d vectors for %d passages.", d.Embedding, len(vectors), len(texts))
	}
	for i, v := range vectors {
		if len(v) != len(vectors[0]) {
			return nil, fault.New(fault.Upstream, "The model '%s' returned vectors of %d and of %d dimensions.", d.Embedding, len(vectors[0]), len(v))
		}
		if vectors[i], err = Unit(v); err != nil {
			return nil, fault.New(fault.Upstream, "The model '%s' returned a vector that cannot be used: %v.", d.Embedding, err)
		}
	}
	return vectors, nil
}

// Unit returns v with length 1: then the product of two is the cosine of their
// angle. It fails for vectors that have no direction.
func Unit(v []float32) ([]float32, error) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return nil, fmt.Errorf("its length is the root of %v", sum)
	}
	unit, by := make([]float32, len(v)), 1/math.Sqrt(sum)
	for i, x := range v {
		unit[i] = float32(float64(x) * by)
	}
	return unit, nil
}

// QueryVector returns the query's vector with length 1, for a collection with
// vectors of a model; nil if the query has none. It fails as Searcher.Search.
func (q *Query) QueryVector(ctx context.Context, model string, dimensions int) ([]float32, error) {
	if q.Embed == nil {
		return nil, nil
	}
	if q.Embedding != model {
		return nil, OtherModel(q.Collection, model, q.Embedding)
	}
	list, err := q.Embed(ctx, []string{q.Text})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if len(list[0]) != dimensions {
		return nil, OtherLength(q.Collection, model, dimensions, len(list[0]))
	}
	v, err := Unit(list[0])
	if err != nil {
		return nil, fault.New(fault.Upstream, "The model '%s' returned a vector for the query that cannot be used: %v.", model, err)
	}
	return v, nil
}

// OtherModel is the error of vectors that do not compare with a collection's.
// given is "" if there are none.
func OtherModel(collection, has, given string) error {
	if given == "" {
		return &fault.Error{Kind: fault.Conflict, Param: "collection", Message: fmt.Sprintf("The collection '%s' has vectors of the model '%s', and no model is set that could make more: use it again, or another collection.", collection, has)}
	}
	return &fault.Error{Kind: fault.Conflict, Param: "collection", Message: fmt.Sprintf("The collection '%s' has vectors of the model '%s', which do not compare with those of '%s': use the old model again, or another collection.", collection, has, given)}
}

// OtherLength is the error of vectors of another length than a collection's.
func OtherLength(collection, model string, has, given int) error {
	return &fault.Error{Kind: fault.Conflict, Param: "collection", Message: fmt.Sprintf("The vectors in the collection '%s' have %d dimensions; '%s' now returned one of %d: use another collection.", collection, has, model, given)}
}

// chunk is how many vectors lie together: an index grows without copying.
const chunk = 1024

// Dense is an index of passages by their vectors. As long as that takes no more
// than some milliseconds, it compares them one by one; when there are more, only
// those that are likely to be among the best (see signs).
// Searches may run concurrently with each other, but not with Add and Remove.
type Dense struct {
	dimensions int
	chunks     [][]float32
	has        []bool // by slot
	live       int    // slots that have a vector
	most       int    // numbers that are compared one by one
	share      int    // words of signs for a goroutine
	signs      *signs // nil while there are few
}

const (
	// worthSigns is how many numbers are compared one by one at most, unless
	// tests say otherwise.
	worthSigns = 1 << 22
	// fewestSigns is how many dimensions it takes for their signs to say much.
	fewestSigns = 256
	// fewestLikely is how many vectors are compared exactly at least, and
	// likelyShare how many of their numbers per vector of the index: that takes
	// about as long as to look at its signs.
	fewestLikely = 1024
	likelyShare  = 8
)

// NewDense returns an empty index.
func NewDense(dimensions int) *Dense {
	return &Dense{dimensions: dimensions, most: worthSigns, share: worthSharing}
}

// Add sets the vector of a slot, which has length 1.
func (x *Dense) Add(slot uint32, v []float32) {
	for int(slot) >= len(x.chunks)*chunk {
		x.chunks = append(x.chunks, make([]float32, chunk*x.dimensions))
		x.has = append(x.has, make([]bool, chunk)...)
	}
	copy(x.vector(slot), v)
	if !x.has[slot] {
		x.has[slot] = true
		x.live++
	}
	switch {
	case x.signs != nil && x.signs.added < x.signs.learnt:
		x.signs.added++
		x.signs.add(slot, v)
	case x.signs != nil || x.dimensions >= fewestSigns && x.live*x.dimensions > x.most:
		x.learn()
	}
}

// learn makes the signs of all vectors, and does so again when as many more have
// been added: the first documents may have been of another kind.
func (x *Dense) learn() {
	x.signs = newSigns(x)
	for slot, has := range x.has {
		if has {
			x.signs.add(uint32(slot), x.vector(uint32(slot)))
		}
	}
}

// Remove takes a slot out.
func (x *Dense) Remove(slot uint32) {
	if x.has[slot] {
		x.has[slot] = false
		x.live--
	}
}

func (x *Dense) vector(slot uint32) []float32 {
	at := int(slot%chunk) * x.dimensions
	return x.chunks[slot/chunk][at : at+x.dimensions]
}

// Search returns the passages that are most like v, which has length 1, best
// first and at most k. A nil keep takes all; others may be called by several
// goroutines at a time. The scores are exact; in a large index some of the last
// of many results may be missing, for which others follow.
func (x *Dense) Search(v []float32, k int, keep func(slot uint32) bool) []Scored {
	if k <= 0 {
		return nil
	}
	best := ranking{k: k}
	n := max(fewestLikely, 8*k, likelyShare*x.live/x.dimensions)
	if x.signs != nil && x.live > 4*n {
		for _, c := range x.likely(v, n, keep) {
			best.offer(Scored{c.Slot, dot(v, x.vector(c.Slot))})
		}
		return best.sorted()
	}
	for i, has := range x.has {
		if slot := uint32(i); has && (keep == nil || keep(slot)) {
			best.offer(Scored{slot, dot(v, x.vector(slot))})
		}
	}
	return best.sorted()
}

const (
	// worthSharing is how many words of signs are worth a goroutine, unless tests
	// say otherwise: more than a millisecond's.
	worthSharing = 1 << 19
	// mostShares is how many goroutines one search has at most: others search, too.
	mostShares = 4
)

// likely returns the n passages whose signs are most like v, in no order.
func (x *Dense) likely(v []float32, n int, keep func(slot uint32) bool) []Scored {
	q, chunks := x.signs.question(v), len(x.signs.chunks)
	shares := min(runtime.GOMAXPROCS(0), mostShares, chunks*chunk*x.signs.words/x.share)
	if shares < 2 {
		return x.likelyOf(0, chunks, q, n, keep)
	}
	lists, failed := make([][]Scored, shares), make([]error, shares)
	var over sync.WaitGroup
	for i := range lists {
		over.Go(func() {
			failed[i] = fault.Guard(func() error {
				lists[i] = x.likelyOf(i*chunks/shares, (i+1)*chunks/shares, q, n, keep)
				return nil
			})
		})
	}
	over.Wait()
	if err := errors.Join(failed...); err != nil {
		panic(err) // where the caller can recover
	}
	best := ranking{k: n, heap: lists[0]}
	for _, list := range lists[1:] {
		for _, c := range list {
			best.offer(c)
		}
	}
	return best.heap
}

// likelyOf is likely for the chunks from first to end.
func (x *Dense) likelyOf(first, end int, q question, n int, keep func(slot uint32) bool) []Scored {
	best, words := ranking{k: n, heap: make([]Scored, 0, n)}, x.signs.words
	slot := uint32(first * chunk)
	for _, codes := range x.signs.chunks[first:end] {
		for ; len(codes) > 0; codes = codes[words:] {
			if c := (Scored{slot, q.like(codes[:words])}); x.has[slot] && best.wants(c) && (keep == nil || keep(slot)) {
				best.add(c)
			}
			slot++
		}
	}
	return best.heap
}

// dot has four sums, so that additions need not wait for each other.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y := a[i:i+4:i+4], b[i:i+4:i+4]
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
