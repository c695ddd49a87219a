// Package rawjson reads and edits JSON in place: one pass proves a document
// valid and finds its top-level fields, and edits copy everything they do not
// touch byte for byte. A gateway that decodes and encodes what it merely
// forwards pays ten times the CPU and loses the fields that it does not know.
package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says where a document stops being JSON.
type SyntaxError struct {
	Offset int // bytes from the start
	Msg    string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset) }

// maxMembers bounds the members of an object where it is checked: a field takes
// ten times the memory that its text does, and is kept while others are read.
const maxMembers = 1 << 18

// Field is one name and value of an object. Both are slices of the document.
type Field struct {
	Name       string // unescaped
	Value      []byte // without surrounding space
	start, end int    // of name through value, in the document
}

// Object checks that data is one valid JSON object in UTF-8, nested at most
// depth deep (the object itself counts as 1) and without a repeated top-level
// name or an object of more than 262,144 members, and appends its fields to dst
// in order. Repeated names are refused because readers disagree about which of
// them counts.
func Object(dst []Field, data []byte, depth int) ([]Field, error) {
	s := scanner{data: data, depth: depth}
	s.space()
	if s.peek() != '{' {
		return dst, s.fail("want an object")
	}
	first := len(dst)
	dst, err := s.object(dst)
	if err != nil {
		return dst, err
	}
	if s.space(); s.pos != len(data) {
		return dst, s.fail("more text follows the object")
	}
	if !s.utf8() {
		s.pos = firstInvalid(data)
		return dst, s.fail("text is not UTF-8")
	}
	if f := repeated(dst[first:]); f != nil {
		return dst, &SyntaxError{Offset: f.start, Msg: fmt.Sprintf("%q is given twice", f.Name)}
	}
	return dst, nil
}

// few are fields that are sooner compared with each other than put into a map.
const few = 64

// repeated returns the first field whose name another one before it has; nil if
// there is none.
func repeated(fields []Field) *Field {
	var seen map[string]bool
	if len(fields) > few {
		seen = make(map[string]bool, len(fields))
	}
	for i := range fields {
		f := &fields[i]
		if seen[f.Name] || seen == nil && Get(fields[:i], f.Name) != nil {
			return f
		}
		if seen != nil {
			seen[f.Name] = true
		}
	}
	return nil
}

// Valid reports whether data is one JSON value nested at most depth deep.
func Valid(data []byte, depth int) error {
	s := scanner{data: data, depth: depth}
	s.space()
	if err := s.value(); err != nil {
		return err
	}
	if s.space(); s.pos != len(data) {
		return s.fail("more text follows the value")
	}
	if !s.utf8() {
		s.pos = firstInvalid(data)
		return s.fail("text is not UTF-8")
	}
	return nil
}

// Get returns the value of the field called name, or nil.
func Get(fields []Field, name string) []byte {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value
		}
	}
	return nil
}

// Edit is a change to a top-level field. A nil Value removes it; otherwise it
// replaces the field's value, or adds the field at the end.
type Edit struct {
	Name  string
	Value []byte
}

// Apply appends data to dst with edits made; fields are those that Object
// found in data. Everything else is copied unchanged.
func Apply(dst, data []byte, fields []Field, edits ...Edit) []byte {
	pos := bytes.IndexByte(data, '{') + 1 // data is copied, or left out, up to here
	dst = append(dst, data[:pos]...)
	wrote, removed := false, false
	for _, f := range fields {
		e := find(edits, f.Name)
		if e != nil && e.Value == nil {
			removed = true
			pos = f.end
			continue
		}
		if removed && !wrote { // the comma behind a removed predecessor goes too
			pos = f.start
		}
		if e == nil {
			dst = append(dst, data[pos:f.end]...)
		} else {
			dst = append(dst, data[pos:f.end-len(f.Value)]...)
			dst = append(dst, e.Value...)
		}
		wrote = true
		pos = f.end
	}
	for _, e := range edits {
		if e.Value == nil || Get(fields, e.Name) != nil {
			continue
		}
		if wrote {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, e.Name)
		dst = append(dst, ':')
		dst = append(dst, e.Value...)
		wrote = true
	}
	return append(dst, data[pos:]...)
}

func find(edits []Edit, name string) *Edit {
	for i := range edits {
		if edits[i].Name == name {
			return &edits[i]
		}
	}
	return nil
}

// Kind is the type of a JSON value: one of "object", "array", "string",
// "number", "boolean", "null".
func Kind(value []byte) string {
	if len(value) == 0 {
		return "nothing"
	}
	switch value[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// KindOf is Kind of a value that was decoded with its numbers as json.Number.
func KindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// IsNull reports whether value is absent or null.
func IsNull(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

// String returns the text of a valid JSON string, and false for another type.
func String(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	if s, ok := unescape(inner); ok {
		return s, true
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// unescape resolves escapes of two bytes, which is what prompts and code have,
// and leaves all other texts to encoding/json, which needs twice the memory.
func unescape(inner []byte) (string, bool) {
	var b strings.Builder
	b.Grow(len(inner))
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			break
		}
		if i+1 == len(inner) || !short[inner[i+1]] {
			return "", false
		}
		b.Write(inner[:i])
		c := inner[i+1]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		}
		b.WriteByte(c)
		inner = inner[i+2:]
	}
	b.Write(inner)
	return b.String(), utf8.ValidString(b.String())
}

// Int returns the number in value if it is an integer that fits.
func Int(value []byte) (int64, bool) {
	if len(value) == 0 || len(value) > 19 {
		return 0, false
	}
	digits, neg := value, value[0] == '-'
	if neg {
		digits = value[1:]
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
		if n < 0 {
			return 0, false
		}
	}
	if neg {
		n = -n
	}
	return n, len(digits) > 0
}

// ErrEnough is what a function fails with that needs no more of Elements.
var ErrEnough = errors.New("enough elements")

// Elements calls fn with each element of a valid array, until fn fails.
func Elements(array []byte, fn func(i int, value []byte) error) error {
	s := scanner{data: array, pos: 1, depth: 1 << 30, valid: true}
	for i := 0; ; i++ {
		if s.space(); s.peek() == ']' {
			return nil
		}
		start := s.pos
		if err := s.value(); err != nil {
			return err
		}
		if err := fn(i, array[start:s.pos]); err != nil {
			return err
		}
		if s.space(); s.peek() == ',' {
			s.pos++
		}
	}
}

// Fields appends the fields of an object that is known to be valid to dst.
func Fields(dst []Field, object []byte) []Field {
	s := scanner{data: object, depth: 1 << 30, valid: true}
	s.space()
	dst, _ = s.object(dst)
	return dst
}

// Marshal is json.Marshal, but leaves <, > and & as they are: prompts and code
// are full of them.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// AppendString appends s to dst as a JSON string.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\ufffd`...)
				start = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}
