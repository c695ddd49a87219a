package rag

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normal returns a text in which what reads alike is written alike: NFKC, without
// characters that nobody sees.
func normal(text string) string {
	if isASCII(text) || norm.NFKC.IsNormalString(text) && strings.IndexFunc(text, unseen) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case unseen(r):
		case r >= utf8.RuneSelf && unicode.In(r, unicode.No, unicode.So) && !('₀' <= r && r <= '₉'):
			b.WriteString(" " + string(r) + " ") // a footnote's number does not belong to the word before it
		default:
			b.WriteRune(r)
		}
	}
	return norm.NFKC.String(b.String())
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unseen says whether r only says how a word is to be broken or drawn.
func unseen(r rune) bool {
	return r == 0xAD || 0x200C <= r && r <= 0x200F || r == 0x2060 || r == 0xFEFF || 0xFE00 <= r && r <= 0xFE0F
}

// otherLetters are written otherwise by those who do not mind which is meant.
var otherLetters = strings.NewReplacer("ß", "ss", "ς", "σ")

// lower returns a word of a normal text in lower case.
func lower(word string) string {
	word = strings.ToLower(word)
	if isASCII(word) {
		return word
	}
	return otherLetters.Replace(word)
}

// marked are letters whose marks are part of them.
var marked = strings.NewReplacer("đ", "d", "ø", "o", "ł", "l", "ħ", "h", "ı", "i", "æ", "ae", "œ", "oe", "ð", "d", "þ", "th")

// lastOptional is before the first script whose marks cannot be left out, as they
// can in Latin, Greek, Cyrillic, Hebrew and Arabic.
const lastOptional = 0x06FF

// unaccented returns a word in lower case without marks above and below its
// letters, as those write it whose keyboard has none.
func unaccented(word string) string {
	if isASCII(word) {
		return word
	}
	var b strings.Builder
	letter := rune(0)
	for _, r := range norm.NFD.String(word) {
		if !unicode.Is(unicode.Mn, r) {
			letter = r
		} else if letter <= lastOptional {
			continue
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 { // nothing but marks
		return word
	}
	return marked.Replace(norm.NFC.String(b.String()))
}

// words calls word with every word of a normal text: runs of letters, digits and
// '_', with the signs that make names of C, F and NET (see signed); and run with
// every run of characters of a script without spaces.
func words(text string, word, run func(string)) {
	for i := 0; i < len(text); {
		start, kind := i, other
		for i < len(text) {
			k, size := other, 1
			if c := text[i]; c < utf8.RuneSelf {
				k = kinds[c]
			} else {
				var r rune
				if r, size = utf8.DecodeRuneInString(text[i:]); unspaced(r) {
					k = character
				} else if isWord(r) {
					k = letter
				}
			}
			if k == inside && kind == letter {
				k = letter
			}
			if i > start && k != kind {
				break
			}
			kind = k
			i += size
		}
		switch kind {
		case letter:
			start, i = signed(text, start, i)
			word(text[start:i])
		case character:
			run(text[start:i])
		}
	}
}

// signed says where the word from start to end begins and ends with the signs that
// belong to it: in C++, C# and C#12, but not in c#part of an address; in .NET and
// ASP.NET, but not in example.net.
func signed(text string, start, end int) (int, int) {
	switch end - start {
	case 1:
		switch rest := text[end:]; {
		case !isLatin(text[start]):
		case strings.HasPrefix(rest, "++"):
			return start, end + 2
		case strings.HasPrefix(rest, "#") && (len(rest) == 1 || !isLatin(rest[1])):
			return start, end + 1
		}
	case 3:
		if start > 0 && text[start-1] == '.' && strings.EqualFold(text[start:end], "net") &&
			(text[start] == 'N' || start == 1 || text[start-2] >= utf8.RuneSelf || kinds[text[start-2]] == other) {
			return start - 1, end
		}
	}
	return start, end
}

func isLatin(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }

const (
	other     = iota // stands between words
	letter           // makes words
	inside           // makes words, but begins none
	character        // of a script without spaces
)

// kinds are those of ASCII.
var kinds = func() (kinds [utf8.RuneSelf]int) {
	for c := range kinds {
		if isWord(rune(c)) {
			kinds[c] = letter
		}
	}
	kinds['_'] = inside
	return kinds
}()

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// unspaced says whether r's script writes no spaces between words, or none
// before endings.
func unspaced(r rune) bool {
	return r >= 0x0E00 && (r == 'ー' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar))
}

// characters yields the characters of a run, and each with the one before it.
func characters(run string, yield func(one, pair string)) {
	before, at := 0, 0
	for at < len(run) {
		_, size := utf8.DecodeRuneInString(run[at:])
		pair := ""
		if at > 0 {
			pair = run[before : at+size]
		}
		yield(run[at:at+size], pair)
		before, at = at, at+size
	}
}

// numbers yields what is written as one in spite of what stands between its
// digits: versions, addresses, dates, fractions.
func numbers(text string, yield func(string)) {
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) {
			continue
		}
		start, several := i, false
		for i+1 < len(text) {
			if c := text[i+1]; i+2 < len(text) && strings.IndexByte(".:-/,", c) >= 0 && isDigit(text[i+2]) {
				several = true
			} else if !isDigit(c) {
				break
			}
			i++
		}
		if several {
			yield(text[start : i+1])
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
