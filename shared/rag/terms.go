package rag

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTerm bounds a term, in bytes: longer runs of letters are no words.
const maxTerm = 64

// Term is a word as the index knows it, and how often a text has it.
type Term struct {
	Text  string
	Count uint8 // at most 255
}

// Analyzer turns passages into terms. It remembers words that it has seen,
// which makes many passages cheaper than one; a zero Analyzer has seen none. It
// is not safe for concurrent use.
type Analyzer struct {
	seen   map[string][]string // the terms of a word as it is written
	counts map[string]int
}

// maxSeen bounds what an Analyzer remembers.
const maxSeen = 1 << 16

// Terms returns the terms of a passage in no particular order. The name of a
// definition, a title and the passage's context say more than other words do,
// and count as often as their weights say.
func (a *Analyzer) Terms(p Passage) []Term {
	if a.seen == nil {
		a.seen, a.counts = map[string][]string{}, map[string]int{}
	}
	clear(a.counts)
	a.add(p.Text, 1)
	a.add(p.Context, contextWeight)
	a.add(p.Text[:p.Lead], leadWeight)
	if p.Code {
		for _, name := range definitions(p.Text) {
			a.add(name, nameWeight)
		}
	}
	list := make([]Term, 0, len(a.counts))
	for text, n := range a.counts {
		list = append(list, Term{text, uint8(min(n, math.MaxUint8))})
	}
	return list
}

func (a *Analyzer) add(text string, weight int) {
	words(text, func(word string) {
		for _, t := range a.terms(word) {
			a.counts[t] += weight
		}
	})
}

// terms are those of one word. They are copies: the index keeps them, and must
// not keep the text that they are from.
func (a *Analyzer) terms(word string) []string {
	list, ok := a.seen[word]
	if !ok {
		identifier(word, func(t string) { list = append(list, strings.Clone(t)) })
		if len(a.seen) >= maxSeen {
			clear(a.seen)
		}
		a.seen[strings.Clone(word)] = list
	}
	return list
}

const (
	contextWeight = 1
	leadWeight    = 3 // beside the one that it has as text
	nameWeight    = 3
)

// sequence yields the terms of text in its order.
func (a *Analyzer) sequence(text string, yield func(term string)) {
	if a.seen == nil {
		a.seen, a.counts = map[string][]string{}, map[string]int{}
	}
	words(text, func(word string) {
		for _, t := range a.terms(word) {
			yield(t)
		}
	})
}

// QueryTerm is a term of a query, and how much it matters: 1 for one that is
// there once.
type QueryTerm struct {
	Text   string
	Weight float32
}

// QueryTerms returns the distinct terms of queries that are asked as one, in
// order. What is said twice matters more, but never three times as much.
func QueryTerms(queries ...string) []QueryTerm {
	at := map[string]int{}
	var list []QueryTerm
	var counts []float32
	for _, q := range queries {
		words(q, func(word string) {
			identifier(word, func(t string) {
				i, seen := at[t]
				if !seen {
					i, at[t] = len(list), len(list)
					list, counts = append(list, QueryTerm{Text: t}), append(counts, 0)
				}
				counts[i]++
			})
		})
	}
	for i, n := range counts {
		list[i].Weight = n * (K3 + 1) / (n + K3)
	}
	return list
}

// words calls yield with every word of text: runs of letters, digits and '_',
// and in scripts without spaces pairs of characters.
func words(text string, yield func(string)) {
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		switch {
		case unspaced(r):
			i = pairs(text, i, yield)
		case isWord(r):
			start := i
			for i += size; i < len(text); i += size {
				r, size = rune(text[i]), 1
				if r >= utf8.RuneSelf {
					r, size = utf8.DecodeRuneInString(text[i:])
				}
				if r != '_' && !isWord(r) || unspaced(r) {
					break
				}
			}
			if i-start <= maxTerm {
				yield(text[start:i])
			}
		default:
			i += size
		}
	}
}

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// unspaced says whether r's script writes no spaces between words.
func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// pairs yields the overlapping pairs of a run of unspaced characters, or the
// only one, and returns where the run ends.
func pairs(text string, i int, yield func(string)) int {
	before, count := i, 0
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !unspaced(r) {
			break
		}
		if count++; count > 1 {
			yield(text[before : i+size])
		}
		before = i
		i += size
	}
	if count == 1 {
		yield(text[before:i])
	}
	return i
}

// identifier yields the terms of one word: its parts in lower case without
// their endings, and the word itself if it has more than one (getUserName and
// get_user_name are get, user, name and getusername). Words that every text has
// are left out.
func identifier(word string, yield func(string)) {
	parts := 0
	start := 0
	for start < len(word) {
		end := partEnd(word, start)
		if end > start {
			part(word[start:end], yield)
			parts++
		}
		start = max(end, start)
		for start < len(word) && word[start] == '_' {
			start++
		}
	}
	if parts > 1 {
		yield(strings.ToLower(strings.ReplaceAll(word, "_", "")))
	}
}

// partEnd finds the end of the part that begins at start: before '_', between
// lower and upper case, and before the last capital of HTTPServer's HTTPS.
func partEnd(word string, start int) int {
	for i := start; i < len(word); i++ {
		c := word[i]
		if c == '_' {
			return i
		}
		if i == start || !isUpper(c) {
			continue
		}
		if !isUpper(word[i-1]) || i+1 < len(word) && 'a' <= word[i+1] && word[i+1] <= 'z' && !(word[i+1] == 's' && i+2 == len(word)) {
			return i
		}
	}
	return len(word)
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func part(word string, yield func(string)) {
	word = strings.ToLower(word)
	if stopWords[word] {
		return
	}
	if full, ok := abbreviations()[word]; ok {
		word = full
	}
	yield(stem(word))
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
