package tokens

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what the two encodings' patterns tell apart.
type class uint8

const (
	other   class = iota // neither space, letter nor number; not a mark, either
	mark                 // \p{M}: no letter, but o200k lets words have it
	upper                // \p{Lu}, \p{Lt}
	lower                // \p{Ll}
	letter               // \p{Lm}, \p{Lo}
	number               // \p{N}
	space                // \s, but
	newline              // \r and \n
)

func (c class) isLetter() bool { return c == upper || c == lower || c == letter }
func (c class) isSpace() bool  { return c >= space }

// begins and goes on are the two halves of a word of o200k: GoLang is Go and Lang.
func (c class) begins() bool { return c == upper || c == letter || c == mark }
func (c class) goesOn() bool { return c == lower || c == letter || c == mark }

var byClass = []struct {
	class  class
	tables []*unicode.RangeTable
}{
	{mark, []*unicode.RangeTable{unicode.M}},
	{upper, []*unicode.RangeTable{unicode.Lu, unicode.Lt}},
	{lower, []*unicode.RangeTable{unicode.Ll}},
	{letter, []*unicode.RangeTable{unicode.Lm, unicode.Lo}},
	{number, []*unicode.RangeTable{unicode.N}},
	{space, []*unicode.RangeTable{unicode.White_Space}},
}

// classes are those of the 65,536 characters that texts are made of, nearly.
var classes = sync.OnceValue(func() *[1 << 16]class {
	table := new([1 << 16]class)
	for _, c := range byClass {
		for _, t := range c.tables {
			for _, r := range t.R16 {
				for i := rune(r.Lo); i <= rune(r.Hi); i += rune(r.Stride) {
					table[i] = c.class
				}
			}
		}
	}
	table['\r'], table['\n'] = newline, newline
	return table
})

// rarely is the class of the characters beyond those.
func rarely(r rune) class {
	for _, c := range byClass {
		if unicode.In(r, c.tables...) {
			return c.class
		}
	}
	return other
}

// reader looks at a text, one character after the other.
type reader struct {
	text  string
	table *[1 << 16]class
}

// at returns the class and the length of the character at pos; the length is 0
// at the end. A byte that is not UTF-8 is a character of its own.
func (r reader) at(pos int) (class, int) {
	if pos >= len(r.text) {
		return other, 0
	}
	if c := r.text[pos]; c < utf8.RuneSelf {
		return r.table[c], 1
	}
	char, size := utf8.DecodeRuneInString(r.text[pos:])
	if char < 1<<16 {
		return r.table[char], size
	}
	return rarely(char), size
}

// run returns where the characters that has accepts end.
func (r reader) run(pos int, has func(class) bool) int {
	for {
		c, size := r.at(pos)
		if size == 0 || !has(c) {
			return pos
		}
		pos += size
	}
}

// contraction returns the length of what a word may end with: 's, 't, 're,
// 've, 'm, 'll or 'd, in capitals or not; 0 for none.
func (r reader) contraction(pos int) int {
	if pos+1 >= len(r.text) || r.text[pos] != '\'' {
		return 0
	}
	switch r.text[pos+1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	case 0xc5 | 0x20: // ſ, whose capital is S
		if pos+2 < len(r.text) && r.text[pos+1] == 0xc5 && r.text[pos+2] == 0xbf {
			return 3
		}
		return 0
	}
	if pos+2 >= len(r.text) {
		return 0
	}
	switch string([]byte{r.text[pos+1] | 0x20, r.text[pos+2] | 0x20}) {
	case "re", "ve", "ll":
		return 3
	}
	return 0
}

// o200kPiece is the length of what o200k's pattern finds at the beginning of
// text:
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
//	\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func o200kPiece(text string) int {
	r := reader{text, classes()}
	first, size := r.at(0)
	if first != newline && first != number {
		start := size
		if first.isLetter() {
			start = 0
		}
		end := r.word(start)
		if end == start && first == mark { // a mark can be in front of a word, or its beginning
			start, end = 0, r.word(0)
		}
		if end > start {
			return end + r.contraction(end)
		}
	}
	return r.rest(first, size, '/')
}

// word returns where the word ends that begins at start: letters that begin
// words, then letters that go on with them; start if there is none. Letters
// without case are both.
func (r reader) word(start int) int {
	end, split := start, start // split: where the last letter ends that could also go on
	for {
		c, size := r.at(end)
		if size == 0 || !c.begins() {
			if on := r.run(end, class.goesOn); on > end {
				return on
			}
			break
		}
		end += size
		if c.goesOn() {
			split = end
		}
	}
	if split > start { // capitals that follow are words of their own
		return split
	}
	return end
}

// cl100kPiece is the length of what cl100k's pattern finds at the beginning of
// text:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//	 ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cl100kPiece(text string) int {
	r := reader{text, classes()}
	if n := r.contraction(0); n > 0 {
		return n
	}
	first, size := r.at(0)
	if first != newline && first != number {
		if end := r.run(size, class.isLetter); end > size || first.isLetter() {
			return end
		}
	}
	return r.rest(first, size, '\n')
}

// rest is what the patterns have in common: numbers, punctuation and space. The
// character first, which has size bytes, begins no word. Behind punctuation go
// newlines, and what also is.
func (r reader) rest(first class, size int, also byte) int {
	if first == number {
		end := size
		for range 2 {
			c, n := r.at(end)
			if n == 0 || c != number {
				break
			}
			end += n
		}
		return end
	}
	isOther := func(c class) bool { return c == other || c == mark }
	start := 0
	if r.text[0] == ' ' {
		start = 1
	}
	if end := r.run(start, isOther); end > start {
		for end < len(r.text) && (r.text[end] == '\r' || r.text[end] == '\n' || r.text[end] == also) {
			end++
		}
		return end
	}
	end, last, line := 0, 0, 0 // the last space of a run begins at last; the last newline ends at line
	for {
		c, n := r.at(end)
		if n == 0 || !c.isSpace() {
			break
		}
		last, end = end, end+n
		if c == newline {
			line = end
		}
	}
	switch {
	case line > 0:
		return line
	case end < len(r.text) && last > 0: // the last one belongs to what follows
		return last
	}
	return end
}
