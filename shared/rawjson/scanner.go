package rawjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner is a recursive-descent reader of RFC 8259 JSON. Bytes outside ASCII
// are let through in strings; the callers check UTF-8 once for the whole text,
// if there were any.
type scanner struct {
	data  []byte
	pos   int
	depth int // levels that may still be opened
	// valid says that the text has been checked before, so that strings can be
	// skipped from quote to quote, which is many times faster.
	valid bool
	// seen has, in the high bits, whether a byte outside ASCII was let through;
	// there may be marks where there was none.
	seen uint64
}

// utf8 reports whether the text, which has been read to its end, is UTF-8.
func (s *scanner) utf8() bool { return s.seen&highs == 0 || utf8.Valid(s.data) }

func (s *scanner) fail(msg string) error {
	if s.pos >= len(s.data) {
		msg = "the text ends too early"
	}
	return &SyntaxError{Offset: min(s.pos, len(s.data)), Msg: msg}
}

// peek returns the byte at the position, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\n', '\t', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() error {
	switch c := s.peek(); c {
	case '"':
		return s.str()
	case '{':
		return s.skipObject()
	case '[':
		return s.array()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return s.number()
		}
		return s.fail("want a value")
	}
}

func (s *scanner) word(w string) error {
	for i := range len(w) {
		if s.peek() != w[i] {
			return s.fail("want " + w)
		}
		s.pos++
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("want a digit")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("want a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("want a digit")
		}
	}
	return nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in their high bits, the bytes of w that end a run of plain
// string text: a quote, a backslash or a control character. Flipping the second
// bit puts the quote, 0x22, right above the control characters, so that one
// subtraction finds both: it sets the high bit of a byte that was too small.
// Bytes outside ASCII, which have it set anyway, are let through. Only the lowest
// mark is exact, since borrows may have made the others.
func special(w uint64) uint64 {
	return (((w ^ ones*0x02) - ones*0x21) | ((w ^ ones*'\\') - ones)) &^ w & highs
}

// str skips a string. Most of a prompt's bytes pass here, 32 at a time.
func (s *scanner) str() error {
	s.pos++
	if s.valid {
		return s.skipString()
	}
	data, i := s.data, s.pos
	var seen uint64 // by all bytes, of which only the high bits matter
	for {
		for len(data)-i >= 32 {
			b := data[i : i+32]
			w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			w2, w3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
			seen |= w0 | w1 | w2 | w3
			m0, m1, m2, m3 := special(w0), special(w1), special(w2), special(w3)
			if m0|m1|m2|m3 == 0 {
				i += 32
				continue
			}
			switch {
			case m0 != 0:
				i += bits.TrailingZeros64(m0) / 8
			case m1 != 0:
				i += 8 + bits.TrailingZeros64(m1)/8
			case m2 != 0:
				i += 16 + bits.TrailingZeros64(m2)/8
			default:
				i += 24 + bits.TrailingZeros64(m3)/8
			}
			break
		}
		if i >= len(data) {
			s.pos = i
			return s.fail("")
		}
		switch c := data[i]; {
		case c == '"':
			s.pos, s.seen = i+1, s.seen|seen
			return nil
		case c == '\\':
			if i+1 < len(data) && short[data[i+1]] {
				i += 2
				continue
			}
			s.pos = i
			if err := s.escape(); err != nil {
				return err
			}
			i = s.pos
		case c < 0x20:
			s.pos = i
			return s.fail("control character in a string")
		default:
			seen |= uint64(c)
			i++
		}
	}
}

// short has the characters that make an escape of two bytes.
var short = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// skipString finds the end of a valid string: the first quote with an even
// number of backslashes before it.
func (s *scanner) skipString() error {
	start := s.pos
	for {
		i := bytes.IndexByte(s.data[s.pos:], '"')
		if i < 0 {
			s.pos = len(s.data)
			return s.fail("")
		}
		end := s.pos + i
		s.pos = end + 1
		slashes := 0
		for end-slashes > start && s.data[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return nil
		}
	}
}

func (s *scanner) escape() error {
	s.pos++
	switch c := s.peek(); {
	case short[c]:
		s.pos++
		return nil
	case c == 'u':
		s.pos++
		for range 4 {
			c := s.peek() | 0x20
			if !('0' <= s.peek() && s.peek() <= '9' || 'a' <= c && c <= 'f') {
				return s.fail("want four hexadecimal digits")
			}
			s.pos++
		}
		return nil
	}
	return s.fail("unknown escape")
}

func (s *scanner) enter() error {
	if s.depth--; s.depth < 0 {
		return s.fail("nested too deeply")
	}
	s.pos++
	return nil
}

// skipNumbers finds the end of a valid array of nothing but numbers, as vectors
// are, without reading them. The position is behind the bracket.
func (s *scanner) skipNumbers() bool {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return false
	}
	end := bytes.IndexByte(s.data[s.pos:], ']')
	if end < 0 {
		return false
	}
	inner := s.data[s.pos : s.pos+end]
	if bytes.IndexByte(inner, '"') >= 0 || bytes.IndexByte(inner, '[') >= 0 || bytes.IndexByte(inner, '{') >= 0 {
		return false
	}
	s.pos += end + 1
	s.depth++
	return true
}

func (s *scanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.space(); s.peek() == ']' {
		s.pos++
		s.depth++
		return nil
	}
	if s.valid && s.skipNumbers() {
		return nil
	}
	for {
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			s.depth++
			return nil
		default:
			return s.fail("want a comma or ]")
		}
	}
}

// name skips a field's name and colon and returns where the name stood.
func (s *scanner) name() (start, end int, err error) {
	if s.space(); s.peek() != '"' {
		return 0, 0, s.fail("want a name in quotes")
	}
	start = s.pos
	if err := s.str(); err != nil {
		return 0, 0, err
	}
	end = s.pos
	if s.space(); s.peek() != ':' {
		return 0, 0, s.fail("want a colon")
	}
	s.pos++
	s.space()
	return start, end, nil
}

func (s *scanner) skipObject() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.space(); s.peek() == '}' {
		s.pos++
		s.depth++
		return nil
	}
	for n := 1; ; n++ {
		if n > maxMembers && !s.valid {
			return s.fail("an object has too many members")
		}
		if _, _, err := s.name(); err != nil {
			return err
		}
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			s.depth++
			return nil
		default:
			return s.fail("want a comma or }")
		}
	}
}

// object is skipObject that remembers the fields. It is a second function
// because nested objects, which are most of them, need no memory.
func (s *scanner) object(dst []Field) ([]Field, error) {
	if err := s.enter(); err != nil {
		return dst, err
	}
	if s.space(); s.peek() == '}' {
		s.pos++
		s.depth++
		return dst, nil
	}
	for first := len(dst); ; {
		if len(dst)-first >= maxMembers && !s.valid {
			return dst, s.fail("an object has too many members")
		}
		nameStart, nameEnd, err := s.name()
		if err != nil {
			return dst, err
		}
		valueStart := s.pos
		if err := s.value(); err != nil {
			return dst, err
		}
		name, ok := fieldName(s.data[nameStart:nameEnd])
		if !ok {
			return dst, s.fail("unreadable name")
		}
		dst = append(dst, Field{Name: name, Value: s.data[valueStart:s.pos], start: nameStart, end: s.pos})
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			s.depth++
			return dst, nil
		default:
			return dst, s.fail("want a comma or }")
		}
	}
}

// fieldName is String for names. Those that every request and chunk has are
// not allocated anew.
func fieldName(quoted []byte) (string, bool) {
	switch string(quoted[1 : len(quoted)-1]) {
	case "role":
		return "role", true
	case "content":
		return "content", true
	case "model":
		return "model", true
	case "messages":
		return "messages", true
	case "stream":
		return "stream", true
	case "type":
		return "type", true
	case "text":
		return "text", true
	case "max_tokens":
		return "max_tokens", true
	case "temperature":
		return "temperature", true
	case "tools":
		return "tools", true
	case "id":
		return "id", true
	case "object":
		return "object", true
	case "created":
		return "created", true
	case "choices":
		return "choices", true
	case "usage":
		return "usage", true
	case "index":
		return "index", true
	case "delta":
		return "delta", true
	case "message":
		return "message", true
	case "finish_reason":
		return "finish_reason", true
	case "logprobs":
		return "logprobs", true
	case "function":
		return "function", true
	case "name":
		return "name", true
	case "arguments":
		return "arguments", true
	}
	return String(quoted)
}
