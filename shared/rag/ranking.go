package rag

import (
	"cmp"
	"slices"
)

// RRF is the constant of reciprocal rank fusion: how little the first ranks
// matter more than those that follow.
const RRF = 60

// Deepest is how many ranks of words and of vectors are fused at least: what is
// good in one list is seldom first in the other.
const Deepest = 100

// Fuse ranks what is in any of the lists, each best first, by the sum of
// 1/(RRF+rank), ranks counted from 1; that is the score, too. Ties go to the
// lower slot.
func Fuse(lists ...[]Scored) []Scored {
	sums := map[uint32]float32{}
	for _, list := range lists {
		for i, s := range list {
			sums[s.Slot] += 1 / float32(RRF+1+i)
		}
	}
	fused := make([]Scored, 0, len(sums))
	for slot, sum := range sums {
		fused = append(fused, Scored{slot, sum})
	}
	slices.SortFunc(fused, compare)
	return fused
}

// ranking keeps the k best in a heap whose root is the worst of them.
type ranking struct {
	k    int
	heap []Scored
}

// wants says whether c is among the k best so far.
func (r *ranking) wants(c Scored) bool { return len(r.heap) < r.k || better(c, r.heap[0]) }

// offer takes c if it is wanted.
func (r *ranking) offer(c Scored) {
	if r.wants(c) {
		r.add(c)
	}
}

// add takes what is wanted.
func (r *ranking) add(c Scored) {
	heap := r.heap
	if len(heap) < r.k {
		heap = append(heap, c)
		for i := len(heap) - 1; i > 0 && better(heap[(i-1)/2], heap[i]); i = (i - 1) / 2 {
			heap[i], heap[(i-1)/2] = heap[(i-1)/2], heap[i]
		}
		r.heap = heap
		return
	}
	heap[0] = c
	for i := 0; ; {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < r.k; child++ {
			if better(heap[worst], heap[child]) {
				worst = child
			}
		}
		if worst == i {
			return
		}
		heap[i], heap[worst] = heap[worst], heap[i]
		i = worst
	}
}

// sorted returns them, best first.
func (r *ranking) sorted() []Scored {
	slices.SortFunc(r.heap, compare)
	return r.heap
}

func better(a, b Scored) bool { return a.Score > b.Score || a.Score == b.Score && a.Slot < b.Slot }

func compare(a, b Scored) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Slot, b.Slot))
}
