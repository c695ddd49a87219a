package rag

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
)

// The constants of BM25, tuned with make eval; abstracts and code agree.
const (
	K1 = 1.6  // how soon more of the same term stops mattering
	B  = 0.75 // how much longer passages must have more of it
	K3 = 2    // how soon more of the same term in the query stops mattering
)

// Inverted is an index of passages by their terms. A passage is known by its
// slot, a small number. Searches may run concurrently with each other, but not
// with Add and Remove. The zero value is empty.
type Inverted struct {
	lists   map[string]*[]posting // in the order of slots
	lengths []uint32              // terms of the passage, by slot; 0 for none
	free    []uint32              // slots that can be used again
	total   uint64                // of lengths
	scratch sync.Pool             // *scores
	readers sync.Pool             // *Analyzer
}

// posting is a slot and how often its passage has the term.
type posting uint32

const (
	countBits = 8
	// MaxSlots is how many passages an index can hold.
	MaxSlots = 1 << (32 - countBits)
)

func newPosting(slot uint32, count uint8) posting { return posting(slot<<countBits | uint32(count)) }
func (p posting) slot() uint32                    { return uint32(p >> countBits) }
func (p posting) count() uint8                    { return uint8(p) }

// Scored is a passage and how well it fits.
type Scored struct {
	Slot  uint32
	Score float32
}

// Len is the number of passages.
func (x *Inverted) Len() int { return len(x.lengths) - len(x.free) }

// Full says whether there is no room for n more passages.
func (x *Inverted) Full(n int) bool { return x.Len()+n > MaxSlots }

// Add indexes a passage and returns its slot.
func (x *Inverted) Add(terms []Term) uint32 { return x.AddAll([][]Term{terms})[0] }

// AddAll indexes passages, given by their terms, and returns their slots. That is
// far faster than one after the other where others are indexed.
func (x *Inverted) AddAll(passages [][]Term) []uint32 {
	if x.lists == nil {
		x.lists = map[string]*[]posting{}
	}
	slots := make([]uint32, len(passages))
	var inner []entry
	for i, terms := range passages {
		if n := len(x.free); n > 0 {
			slots[i], x.free = x.free[n-1], x.free[:n-1]
		} else {
			slots[i] = uint32(len(x.lengths))
			x.lengths = append(x.lengths, 0)
		}
		length := uint32(Length(terms))
		x.lengths[slots[i]] = length
		x.total += uint64(length)
		for _, t := range terms {
			p, list := newPosting(slots[i], t.Count), x.lists[t.Text]
			switch {
			case list == nil:
				x.lists[t.Text] = &[]posting{p}
			case (*list)[len(*list)-1] < p:
				*list = append(*list, p)
			default: // the slot was another's before
				inner = append(inner, entry{t.Text, p})
			}
		}
	}
	eachTerm(inner, func(term string, more []posting) { *x.lists[term] = merged(*x.lists[term], more) })
	return slots
}

// Remove takes passages out; passages are the terms that they were added with.
func (x *Inverted) Remove(slots []uint32, passages [][]Term) {
	var all []entry
	for i, terms := range passages {
		for _, t := range terms {
			all = append(all, entry{t.Text, newPosting(slots[i], t.Count)})
		}
	}
	eachTerm(all, func(term string, gone []posting) {
		list := x.lists[term]
		if list == nil {
			return
		}
		if *list = without(*list, gone); len(*list) == 0 {
			delete(x.lists, term)
		}
	})
	for _, slot := range slices.Backward(slots) { // they are taken again in their order
		x.total -= uint64(x.lengths[slot])
		x.lengths[slot] = 0
		x.free = append(x.free, slot)
	}
}

// entry is a posting and the term whose it is.
type entry struct {
	term string
	posting
}

// eachTerm calls yield with every term and its postings, in order.
func eachTerm(all []entry, yield func(term string, list []posting)) {
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.term, b.term), cmp.Compare(a.posting, b.posting))
	})
	var list []posting
	for i, e := range all {
		list = append(list, e.posting)
		if i+1 == len(all) || all[i+1].term != e.term {
			yield(e.term, list)
			list = list[:0]
		}
	}
}

// merged is list with more in it; both are in order. What stands between is moved
// once.
func merged(list, more []posting) []posting {
	end, i := len(list), len(more)-1
	list = append(list, more...)
	for ; i >= 0 && end > 0 && list[end-1] > more[0]; i-- {
		at, _ := slices.BinarySearch(list[:end], more[i])
		copy(list[at+i+1:], list[at:end])
		list[at+i] = more[i]
		end = at
	}
	copy(list[end:], more[:i+1])
	return list
}

// without is list without what is gone from it; both are in order.
func without(list, gone []posting) []posting {
	kept, next := 0, 0
	for _, p := range gone {
		i, found := slices.BinarySearch(list[next:], p)
		if !found {
			continue
		}
		if kept == next {
			kept += i
		} else {
			kept += copy(list[kept:], list[next:next+i])
		}
		next += i + 1
	}
	if next == 0 {
		return list
	}
	return list[:kept+copy(list[kept:], list[next:])]
}

// scores are the sums of one search, by slot. touched says which are not 0.
type scores struct {
	by      []float32
	touched []uint32
}

// Search returns the passages that have any of the terms and that keep lets
// pass, best first and at most k; ties go to the lower slot. A nil keep takes
// all.
func (x *Inverted) Search(terms []QueryTerm, k int, keep func(slot uint32) bool) []Scored {
	if k <= 0 || x.Len() == 0 {
		return nil
	}
	s := x.scores()
	defer x.done(s)
	x.sum(s, x.correct(terms), false)
	return s.best(k, keep)
}

// scores returns sums that are all 0; done takes them back.
func (x *Inverted) scores() *scores {
	s, _ := x.scratch.Get().(*scores)
	if s == nil {
		s = &scores{}
	}
	if len(s.by) < len(x.lengths) {
		s.by = make([]float32, len(x.lengths)+len(x.lengths)/4)
	}
	return s
}

func (x *Inverted) done(s *scores) {
	for _, slot := range s.touched {
		s.by[slot] = 0
	}
	s.touched = s.touched[:0]
	x.scratch.Put(s)
}

// sum adds what the terms say of passages: of all, or of those alone that have
// been touched.
func (x *Inverted) sum(s *scores, terms []QueryTerm, again bool) {
	average := x.average()
	for _, t := range terms {
		list := x.lists[t.Text]
		if list == nil {
			continue
		}
		weight := t.Weight * x.idf(len(*list))
		for _, p := range *list {
			slot := p.slot()
			if s.by[slot] == 0 {
				if again {
					continue
				}
				s.touched = append(s.touched, slot)
			}
			s.by[slot] += weight * Saturate(float32(p.count()), float32(x.lengths[slot]), average)
		}
	}
}

// average is the mean length of passages.
func (x *Inverted) average() float32 { return float32(float64(x.total) / float64(x.Len())) }

func (x *Inverted) idf(df int) float32 { return float32(IDF(float64(x.Len()), float64(df))) }

// best are the k best of what keep lets pass.
func (s *scores) best(k int, keep func(uint32) bool) []Scored {
	best := ranking{k: k, heap: make([]Scored, 0, min(k, len(s.touched)))}
	for _, slot := range s.touched {
		c := Scored{slot, s.by[slot]}
		if best.wants(c) && (keep == nil || keep(slot)) {
			best.add(c)
		}
	}
	return best.sorted()
}

// IDF is the weight of a term that df of n passages have.
func IDF(n, df float64) float64 { return math.Log(1 + (n-df+0.5)/(df+0.5)) }

// Saturate is the weight of a term that a passage of the given length has
// count times.
func Saturate(count, length, average float32) float32 {
	return count * (K1 + 1) / (count + K1*(1-B+B*length/average))
}
