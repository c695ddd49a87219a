package rag

import (
	"math"
	"slices"
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
func (x *Inverted) Add(terms []Term) uint32 {
	if x.lists == nil {
		x.lists = map[string]*[]posting{}
	}
	var slot uint32
	if n := len(x.free); n > 0 {
		slot, x.free = x.free[n-1], x.free[:n-1]
	} else {
		slot = uint32(len(x.lengths))
		x.lengths = append(x.lengths, 0)
	}
	length := uint32(Length(terms))
	for _, t := range terms {
		p, list := newPosting(slot, t.Count), x.lists[t.Text]
		if list == nil {
			x.lists[t.Text] = &[]posting{p}
			continue
		}
		if last := (*list)[len(*list)-1]; last < p {
			*list = append(*list, p)
			continue
		}
		i, _ := slices.BinarySearch(*list, p)
		*list = slices.Insert(*list, i, p)
	}
	x.lengths[slot] = length
	x.total += uint64(length)
	return slot
}

// Remove takes a passage out; terms are those that it was added with.
func (x *Inverted) Remove(slot uint32, terms []Term) {
	for _, t := range terms {
		list := x.lists[t.Text]
		if list == nil {
			continue
		}
		i, found := slices.BinarySearch(*list, newPosting(slot, t.Count))
		switch {
		case found && len(*list) == 1:
			delete(x.lists, t.Text)
		case found:
			*list = slices.Delete(*list, i, i+1)
		}
	}
	x.total -= uint64(x.lengths[slot])
	x.lengths[slot] = 0
	x.free = append(x.free, slot)
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
