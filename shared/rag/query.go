package rag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// QueryTerm is a term of a query, and how much it matters: 1 for a word that is
// there once.
type QueryTerm struct {
	Text   string
	Weight float32
	Typo   bool // it may be a mistyped word, if no passage has it
}

// Said is how many of a query's terms are what it says, and not beside that.
func Said(terms []QueryTerm) int {
	n := 0
	for _, t := range terms {
		if !beside(t.Text) {
			n++
		}
	}
	return n
}

const (
	// A word is otherWeight what differs from it in accents alone, and one with
	// accents accentWeight what has the same.
	otherWeight  = 0.4
	accentWeight = 1 - otherWeight
	// What abbreviates a word in code is found like the word. What the query
	// abbreviates is spellingWeight other spellings there, and what it spells out
	// fullSpelling more where that is done, too.
	spellingWeight = 0.3
	fullSpelling   = 0.1
	// loneWeight is that of a Chinese character that no other one stands beside.
	loneWeight = 0.5
)

// QueryTerms returns the distinct terms of queries that are asked as one, in
// order, and after each those beside it. What is said twice matters more, but
// never three times as much. Words that nearly every text has are left out, if
// there are others.
func QueryTerms(queries ...string) []QueryTerm {
	q := asking{at: map[string]int{}}
	for _, text := range queries {
		text = normal(text)
		words(text, q.word, q.run)
		numbers(text, func(number string) { q.ask(" "+shorten(number), 1) })
	}
	if !q.says {
		for _, word := range q.common {
			q.ask(" "+word, 1)
			q.ask(" "+strings.ToUpper(word), 1)
		}
	}
	for i, n := range q.counts {
		q.list[i].Weight *= n * (K3 + 1) / (n + K3)
	}
	return q.list
}

// asking is what is known of a query so far.
type asking struct {
	list   []QueryTerm
	counts []float32      // how often each is there
	at     map[string]int // where it is
	says   bool           // there is a word in it that not every text has
	common []string       // the others
}

// ask adds a term, and returns it.
func (q *asking) ask(term string, weight float32) *QueryTerm {
	i, seen := q.at[term]
	if !seen {
		i = len(q.list)
		q.at[term] = i
		q.list, q.counts = append(q.list, QueryTerm{Text: term}), append(q.counts, 0)
	}
	q.counts[i]++
	t := &q.list[i]
	t.Weight = max(t.Weight, weight)
	return t
}

func (q *asking) word(word string) {
	identifier(word, func(part string) { q.part(part, word) }, func(whole string) {
		q.says = true
		q.ask(whole, 1)
	})
}

func (q *asking) part(part, word string) {
	low := lower(part)
	if stopWords[low] {
		q.common = append(q.common, low)
		if capitals(part) {
			q.ask(" "+part, 1)
		}
		return
	}
	q.says = true
	term, bare, full := stem(low), unaccented(low), spellOut(low)
	switch {
	case word[0] == '.': // net is not what .NET means, but what some write
		q.ask(term, otherWeight)
	case bare == low:
		q.ask(term, 1).Typo = part == word && full == "" && mayBeTypo(part, term)
	default:
		q.ask(term, accentWeight)
		q.ask(stem(bare), otherWeight)
	}
	if !isDigit(low[0]) {
		q.ask(" "+stem(bare), otherWeight)
	}
	switch {
	case full == term:
		q.ask(inFull+full, fullSpelling)
	case full != "" && !capitals(part): // nobody abbreviates like that
		q.ask(spelt+full, spellingWeight)
	}
}

func (q *asking) run(run string) {
	q.says = true
	if _, size := utf8.DecodeRuneInString(run); size == len(run) {
		q.ask(" "+run, 1)
		return
	}
	all := []rune(run)
	han := func(i int) bool { return i >= 0 && i < len(all) && unicode.Is(unicode.Han, all[i]) }
	i := 0
	characters(run, func(one, pair string) {
		if pair != "" {
			q.ask(pair, 1)
		}
		if han(i) && !han(i-1) && !han(i+1) {
			q.ask(" "+one, loneWeight)
		}
		i++
	})
}
