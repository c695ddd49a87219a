package tokens

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"sync"
)

//go:generate go run ./generate

//go:embed o200k.vocab
var o200kVocab []byte

//go:embed cl100k.vocab
var cl100kVocab []byte

// The vocabularies stay compressed until something must be counted exactly:
// opening one takes more time than everything else in a cold start. They are
// opened in functions, and not by variables, so that programs which never count
// do not hold them.
var opened struct {
	o200k, cl100k struct {
		once sync.Once
		*encoding
	}
}

func o200k() *encoding {
	o := &opened.o200k
	o.once.Do(func() { o.encoding = open(o200kVocab, o200kPiece) })
	return o.encoding
}

func cl100k() *encoding {
	o := &opened.cl100k
	o.once.Do(func() { o.encoding = open(cl100kVocab, cl100kPiece) })
	return o.encoding
}

// encoding is a byte-pair encoding: a text is split into pieces, and pairs of
// neighbours in a piece are merged, those with the lowest rank first, as long
// as the merged text is a token. A token's rank is its id.
type encoding struct {
	piece func(text string) int // the length of the piece that text begins with

	texts  string   // of all tokens, one after the other
	starts []uint32 // of each token in texts, and the end of the last one
	table  []uint32 // id+1 by hash, 0 for none; a power of two, at most half full
	seed   maphash.Seed

	longest int // token, in bytes
}

// none is the rank of what is no token.
const none = math.MaxUint32

// open unpacks what the generator packed. The data is part of the program: if
// it cannot be read, the program is broken.
func open(packed []byte, piece func(string) int) *encoding {
	n := int(packed[0])<<16 | int(packed[1])<<8 | int(packed[2])
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed[3:])))
	if err != nil || len(data) < n {
		panic(fmt.Sprintf("tokens: the embedded vocabulary is damaged: %v", err))
	}
	e := &encoding{piece: piece, texts: string(data[n:]), starts: make([]uint32, n+1), seed: maphash.MakeSeed()}
	size := 2
	for size < 2*n {
		size *= 2
	}
	e.table = make([]uint32, size)
	mask := uint64(size - 1)
	var at uint32
	for id, length := range data[:n] {
		end := at + uint32(length)
		e.longest = max(e.longest, int(length))
		slot := maphash.String(e.seed, e.texts[at:end]) & mask
		for e.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		e.table[slot] = uint32(id) + 1
		at = end
		e.starts[id+1] = at
	}
	return e
}

// rank returns the id of the token with this text, or none.
func (e *encoding) rank(text string) uint32 {
	if len(text) > e.longest {
		return none
	}
	mask := uint64(len(e.table) - 1)
	for slot := maphash.String(e.seed, text) & mask; ; slot = (slot + 1) & mask {
		id := e.table[slot]
		if id == 0 {
			return none
		}
		if e.texts[e.starts[id-1]:e.starts[id]] == text {
			return id - 1
		}
	}
}

// encode calls yield with the id of every token of text. Before it takes up so
// many more bytes, and has found so many tokens that it has not yielded yet, it
// asks more, and ends if that says so.
func (e *encoding) encode(text string, more func(bytes, found int) bool, yield func(id uint32)) {
	var m merger
	for len(text) > 0 {
		n := e.piece(text)
		piece := text[:n]
		text = text[n:]
		switch id := e.rank(piece); {
		case n > longPart:
			row, ok := m.long(e, piece, more)
			if !ok {
				return
			}
			for _, id := range row {
				yield(id)
			}
		case !more(n, 0):
			return
		case id != none:
			yield(id)
		default:
			m.merge(e, piece, yield)
		}
	}
}

// merger holds the memory of merges from piece to piece.
type merger struct {
	parts []part
	queue []candidate
}

// part is what begins at an index of the piece, while merging.
type part struct {
	next, prev int32  // where the neighbours begin; the end of the piece, -1
	rank       uint32 // of this part merged with the next one
}

// shortPiece is up to how many bytes looking through all parts for the lowest
// rank is faster than keeping a queue.
const shortPiece = 48

// merge splits a piece that is no token itself.
func (m *merger) merge(e *encoding, piece string, yield func(uint32)) {
	n := int32(len(piece))
	m.parts = slices.Grow(m.parts[:0], len(piece))
	for i := range n {
		m.parts = append(m.parts, part{next: i + 1, prev: i - 1, rank: m.pair(e, piece, i, i+1)})
	}
	if n <= shortPiece {
		m.scan(e, piece)
	} else {
		m.drain(e, piece)
	}
	for i := int32(0); i < n; i = m.parts[i].next {
		yield(e.rank(piece[i:m.parts[i].next]))
	}
}

// pair is the rank of the part that begins at i merged with the next one, which
// begins at j.
func (m *merger) pair(e *encoding, piece string, i, j int32) uint32 {
	n := int32(len(piece))
	if j >= n {
		return none
	}
	end := j + 1
	if int(j) < len(m.parts) {
		end = m.parts[j].next
	}
	return e.rank(piece[i:end])
}

// join merges the part at i with the next one and returns the one before it.
func (m *merger) join(e *encoding, piece string, i int32) (before int32) {
	p := &m.parts[i]
	gone := &m.parts[p.next]
	gone.rank = none
	p.next = gone.next
	if int(p.next) < len(m.parts) {
		m.parts[p.next].prev = i
	}
	p.rank = m.pair(e, piece, i, p.next)
	if p.prev >= 0 {
		m.parts[p.prev].rank = m.pair(e, piece, p.prev, i)
	}
	return p.prev
}

// scan merges a short piece. It takes time in the square of its length.
func (m *merger) scan(e *encoding, piece string) {
	for {
		best, at := uint32(none), int32(0)
		for i := int32(0); int(i) < len(m.parts); i = m.parts[i].next {
			if r := m.parts[i].rank; r < best {
				best, at = r, i
			}
		}
		if best == none {
			return
		}
		m.join(e, piece, at)
	}
}

// candidate is a merge that was possible when it was queued: the rank, and
// where the part begins.
type candidate uint64

func newCandidate(rank uint32, at int32) candidate {
	return candidate(uint64(rank)<<32 | uint64(uint32(at)))
}

// drain merges a long piece: the candidates are in a heap, the lowest rank
// first, and among equals the leftmost. Those that a merge made stale are
// skipped when they come up.
func (m *merger) drain(e *encoding, piece string) {
	m.queue = slices.Grow(m.queue[:0], len(m.parts))
	for i := range m.parts {
		m.push(int32(i))
	}
	for len(m.queue) > 0 {
		top := m.pop()
		i := int32(uint32(top))
		if rank := uint32(top >> 32); rank != m.parts[i].rank {
			continue
		}
		before := m.join(e, piece, i)
		m.push(i)
		if before >= 0 {
			m.push(before)
		}
	}
}

func (m *merger) push(at int32) {
	if m.parts[at].rank == none {
		return
	}
	m.queue = append(m.queue, newCandidate(m.parts[at].rank, at))
	q := m.queue
	for i := len(q) - 1; i > 0; {
		parent := (i - 1) / 2
		if q[parent] <= q[i] {
			return
		}
		q[i], q[parent] = q[parent], q[i]
		i = parent
	}
}

func (m *merger) pop() candidate {
	q := m.queue
	top := q[0]
	last := len(q) - 1
	q[0] = q[last]
	q = q[:last]
	m.queue = q
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child] < q[least] {
				least = child
			}
		}
		if least == i {
			return top
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}
