package rag

import (
	"math"
	"math/bits"
)

// signs says of every vector of an index, with one bit per dimension, whether
// it lies above the middle of them all. That is a thirtieth of the memory, and
// enough to estimate which vectors are most like another: what they have in
// common, which in many models is most of a vector, is in the middle.
type signs struct {
	learnt, added  int // the number of vectors when that was found out, and of those that came later
	words          int // per vector
	middle, spread []float32
	mixed          []float32 // space for a vector
	chunks         [][]uint64
}

// learnFrom is of how many vectors the middle is taken.
const learnFrom = 4096

// newSigns has no vectors yet. It needs one in x.
func newSigns(x *Dense) *signs {
	words := (x.dimensions + 63) / 64
	s := &signs{learnt: x.live, words: words, middle: make([]float32, words*64), spread: make([]float32, words*64), mixed: make([]float32, words*64)}
	var sample [][]float32
	every, n := 1+x.live/learnFrom, 0
	for slot, has := range x.has {
		if !has {
			continue
		}
		if n++; n%every == 0 {
			sample = append(sample, mix(x.vector(uint32(slot)), make([]float32, words*64)))
		}
	}
	by := 1 / float32(max(1, len(sample)))
	for _, v := range sample {
		for i, y := range v {
			s.middle[i] += y * by
		}
	}
	for _, v := range sample {
		for i, y := range v {
			s.spread[i] += max(y-s.middle[i], s.middle[i]-y) * by
		}
	}
	return s
}

// mix turns v, by blocks of 64 dimensions, so that a number that is larger than
// others has a part in 64 signs (a Walsh-Hadamard transform). Products stay the
// same, up to a factor.
func mix(v, mixed []float32) []float32 {
	clear(mixed[copy(mixed, v):])
	for b := mixed; len(b) > 0; b = b[64:] {
		for h := 1; h < 64; h *= 2 {
			for i := 0; i < 64; i += 2 * h {
				x, y := b[i:i+h:i+h], b[i+h:i+2*h]
				y = y[:len(x)]
				for k := range x {
					x[k], y[k] = x[k]+y[k], x[k]-y[k]
				}
			}
		}
	}
	return mixed
}

// add sets the signs of a slot. It knows no branches: half of them would be
// guessed wrong.
func (s *signs) add(slot uint32, v []float32) {
	for int(slot) >= len(s.chunks)*chunk {
		s.chunks = append(s.chunks, make([]uint64, chunk*s.words))
	}
	code := s.chunks[slot/chunk][int(slot%chunk)*s.words:][:s.words]
	v = mix(v, s.mixed)
	for w := range code {
		var word uint64
		middle := s.middle[w*64:][:64]
		for i, y := range v[w*64:][:64] {
			word |= uint64(math.Float32bits(middle[i]-y)>>31) << i
		}
		code[w] = word
	}
}

// question is a vector that others are compared with, rounded to whole numbers
// from -4 to 3, of which the bits lie apart: then 64 products are three times
// an AND and the number of bits that are left.
type question [][3]uint64

// perStep is by how much of its usual size a number has to differ to become
// another whole one. From 0.45 to 0.75 it makes no difference to what is found.
const perStep = 0.6

func (s *signs) question(v []float32) question {
	q := make(question, s.words)
	v = mix(v, make([]float32, s.words*64))
	var sum float64
	for i, y := range v {
		w := float64(y * s.spread[i])
		sum += w * w
	}
	if !(sum > 0) {
		return q
	}
	step := perStep * math.Sqrt(sum/float64(len(v)))
	for i, y := range v {
		w := max(-4, min(3, math.Round(float64(y*s.spread[i])/step)))
		for j := range q[i/64] {
			q[i/64][j] |= uint64(int64(w)) >> j & 1 << (i % 64)
		}
	}
	return q
}

// like is larger, the larger the product with a vector probably is.
func (q question) like(code []uint64) float32 {
	code = code[:len(q)]
	var ones, twos, fours int
	for i, c := range code {
		ones += bits.OnesCount64(c & q[i][0])
		twos += bits.OnesCount64(c & q[i][1])
		fours += bits.OnesCount64(c & q[i][2])
	}
	return float32(ones + 2*twos - 4*fours)
}
