package tokens

const (
	// longPart is up to how many bytes a piece is merged at once: more take longer,
	// each of them, and memory.
	longPart = 16 << 10
	// longOverlap is how much of a part is merged again with the next one, at least,
	// in bytes.
	longOverlap = 8 * longestToken
)

// long returns the tokens of a piece of any length, in a time that grows with
// it: the same as merge. It is not ok if more ended it.
//
// What is merged depends on nothing but the bytes of which a token is made, and
// on those beside it. So tokens that follow each other are what the text between
// their ends is split into alone; and if in a row of tokens each pair of
// neighbours is what the text of the two is split into, nothing is ever merged
// across their ends, and the row is what the whole is split into. Thus two parts
// that overlap can be joined wherever a token ends in both, and the one before
// that place, of the first part, and the one behind it, of the second, are such a
// pair. In parts that nothing can join, the piece is merged as a whole.
func (m *merger) long(e *encoding, piece string, more func(bytes, found int) bool) (row []uint32, ok bool) {
	for end := 0; end < len(piece); {
		last, at := len(row), end // the next part begins with the token last of the row, at at
		for end-at < longOverlap && last > 0 {
			last--
			at -= e.size(row[last])
		}
		to := min(at+longPart, len(piece))
		if !more(to-end, len(row)) {
			return nil, false
		}
		next := m.tokens(e, piece[at:to])
		if at == 0 {
			row = next
		} else if row, ok = m.joinParts(e, row, last, next); !ok {
			return m.tokens(e, piece), true
		}
		end = to
	}
	return row, true
}

// tokens splits a text that is not empty as merge does.
func (m *merger) tokens(e *encoding, text string) (row []uint32) {
	m.merge(e, text, func(id uint32) { row = append(row, id) })
	return row
}

// joinParts continues row with next, which begins where token from of row does. It
// is not ok if that is nowhere possible.
func (m *merger) joinParts(e *encoding, row []uint32, from int, next []uint32) ([]uint32, bool) {
	for i, j, ahead := from, 0, 0; j < len(next); { // ahead: by how many bytes next[:j] is longer than row[from:i]
		if ahead == 0 && i > 0 && m.neighbours(e, row[i-1], next[j]) {
			return append(row[:i], next[j:]...), true
		}
		if i == len(row) {
			break
		}
		if ahead <= 0 {
			ahead += e.size(next[j])
			j++
		}
		for ahead > 0 && i < len(row) {
			ahead -= e.size(row[i])
			i++
		}
	}
	return nil, false
}

// neighbours says whether two tokens are what their text is split into.
func (m *merger) neighbours(e *encoding, a, b uint32) bool {
	row := m.tokens(e, e.text(a)+e.text(b))
	return len(row) == 2 && row[0] == a
}

func (e *encoding) text(id uint32) string { return e.texts[e.starts[id]:e.starts[id+1]] }

func (e *encoding) size(id uint32) int { return int(e.starts[id+1] - e.starts[id]) }
