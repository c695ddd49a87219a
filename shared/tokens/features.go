package tokens

// A feature is something in a text that costs tokens. What it costs depends on
// the family; how often it is there takes one look at every byte.
type feature uint8

const (
	// Words in Latin letters, by their length in characters.
	word2 feature = iota // 1 or 2
	word4
	word6
	word9
	word13
	wordLong  // 14 and more, of which
	wordBytes // are the characters beyond 13
	accents   // letters of two bytes in them
	tones     // letters of three bytes, as Vietnamese has
	humps     // capitals after small letters: getUserName has two
	capitals  // words that begin with one
	shouting  // capitals after capitals
	glued     // words that follow something other than a space

	digits
	digitGroups // of up to three

	marks     // runs of ASCII punctuation
	moreMarks // further characters in them, if other than
	sameMarks // those that repeat the one before
	loneSpace // a single space before something other than a word or a mark
	indents   // runs of spaces and tabs
	deep      // bytes in them beyond 16
	lines     // runs that hold a newline
	moreLines // newlines in them beyond 2

	// Characters of other scripts, by the range they are from.
	greek
	cyrillic
	hebrew
	arabic
	rest2 // of two bytes
	devanagari
	indic
	thai
	rest3      // of three bytes
	typography // dashes, quotes, arrows, boxes: U+2000 to U+2FFF
	kana
	han
	hangul
	forms // U+E000 to U+FFFF
	rare  // of four bytes: emoji and the like
	alien // words of them, where the script has spaces

	numFeatures
)

// features counts a text's.
type features [numFeatures]int32

// byteKind is what a byte begins.
type byteKind uint8

const (
	kindMark byteKind = iota
	kindSpace
	kindLine
	kindDigit
	kindLower
	kindUpper
	kindLatin // letter of two bytes
	kindWide  // character of two bytes and more
	kindTail  // of a character, or not UTF-8
)

var byteKinds = func() (t [256]byteKind) {
	for b := range 256 {
		switch c := byte(b); {
		case c == ' ' || c == '\t':
			t[b] = kindSpace
		case c == '\n' || c == '\r':
			t[b] = kindLine
		case '0' <= c && c <= '9':
			t[b] = kindDigit
		case 'a' <= c && c <= 'z':
			t[b] = kindLower
		case 'A' <= c && c <= 'Z':
			t[b] = kindUpper
		case 0xc3 <= c && c <= 0xc9:
			t[b] = kindLatin
		case 0x80 <= c && c < 0xc0:
			t[b] = kindTail
		case c >= 0xc2:
			t[b] = kindWide
		}
	}
	return t
}()

// add counts text's features.
func (f *features) add(text string) {
	for i := 0; i < len(text); {
		switch byteKinds[text[i]] {
		case kindLower, kindUpper, kindLatin:
			i = f.word(text, i)
		case kindSpace, kindLine:
			i = f.space(text, i)
		case kindDigit:
			start := i
			for i < len(text) && byteKinds[text[i]] == kindDigit {
				i++
			}
			f[digits] += int32(i - start)
			f[digitGroups] += int32(i-start+2) / 3
		case kindMark:
			for i++; i < len(text) && byteKinds[text[i]] == kindMark; i++ {
				if text[i] == text[i-1] {
					f[sameMarks]++
				} else {
					f[moreMarks]++
				}
			}
			f[marks]++
		default:
			if tonal(text, i) {
				i = f.word(text, i)
			} else {
				i = f.wide(text, i)
			}
		}
	}
}

// tonal says whether one of the Latin letters of three bytes begins at i.
func tonal(text string, i int) bool {
	return text[i] == 0xe1 && i+2 < len(text) && text[i+1] >= 0xb8 && text[i+1] <= 0xbb
}

func (f *features) word(text string, start int) int {
	i, n := start, 0
	before := kindSpace
loop:
	for ; i < len(text); n++ {
		kind := byteKinds[text[i]]
		switch kind {
		case kindLower:
		case kindUpper:
			if before == kindLower {
				f[humps]++
			} else if before == kindUpper {
				f[shouting]++
			}
		case kindLatin:
			f[accents]++
			if i+1 < len(text) && byteKinds[text[i+1]] == kindTail {
				i++
			}
			kind = kindLower
		default:
			if !tonal(text, i) {
				break loop
			}
			f[tones]++
			i += 2
			kind = kindLower
		}
		i++
		before = kind
	}
	switch {
	case n <= 2:
		f[word2]++
	case n <= 4:
		f[word4]++
	case n <= 6:
		f[word6]++
	case n <= 9:
		f[word9]++
	case n <= 13:
		f[word13]++
	default:
		f[wordLong]++
		f[wordBytes] += int32(n - 13)
	}
	if byteKinds[text[start]] == kindUpper {
		f[capitals]++
	}
	if start > 0 && byteKinds[text[start-1]] != kindSpace {
		f[glued]++
	}
	return i
}

func (f *features) space(text string, start int) int {
	i, newlines := start, int32(0)
	for ; i < len(text); i++ {
		if kind := byteKinds[text[i]]; kind == kindLine {
			newlines++
		} else if kind != kindSpace {
			break
		}
	}
	n := int32(i - start)
	if newlines > 0 {
		f[lines]++
		f[moreLines] += max(0, newlines-2)
		n = 0 // what follows the last newline
		for j := i; byteKinds[text[j-1]] == kindSpace; j-- {
			n++
		}
	}
	switch {
	case n > 1:
		f[indents]++
		f[deep] += max(0, n-16)
	case n == 1 && i < len(text) && (byteKinds[text[i]] == kindDigit || byteKinds[text[i]] >= kindWide):
		f[loneSpace]++
	}
	return i
}

// wide counts one character outside Latin.
func (f *features) wide(text string, i int) int {
	c := text[i]
	end := i + 1
	for end < len(text) && end < i+4 && byteKinds[text[end]] == kindTail {
		end++
	}
	second := byte(0)
	if end > i+1 {
		second = text[i+1]
	}
	spaced := false
	switch {
	case c < 0xc2:
		f[rare]++
	case c < 0xce:
		f[rest2]++
	case c < 0xd0:
		f[greek]++
		spaced = true
	case c < 0xd4:
		f[cyrillic]++
		spaced = true
	case c < 0xd6:
		f[rest2]++
		spaced = true
	case c == 0xd6, c == 0xd7:
		f[hebrew]++
		spaced = true
	case c < 0xdc:
		f[arabic]++
		spaced = true
	case c < 0xe0:
		f[rest2]++
	case c == 0xe0 && (second == 0xa4 || second == 0xa5):
		f[devanagari]++
		spaced = true
	case c == 0xe0 && second >= 0xb8 && second <= 0xb9:
		f[thai]++
	case c == 0xe0:
		f[indic]++
		spaced = true
	case c == 0xe1:
		f[rest3]++
		spaced = true
	case c == 0xe2:
		f[typography]++
	case c == 0xe3:
		f[kana]++
	case c < 0xea:
		f[han]++
	case c < 0xee:
		f[hangul]++
		spaced = true
	case c < 0xf0:
		f[forms]++
	default:
		f[rare]++
	}
	if spaced && (i == 0 || byteKinds[text[i-1]] < kindLower) {
		f[alien]++
	}
	return end
}
