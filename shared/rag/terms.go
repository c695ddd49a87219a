package rag

import (
	"hash/fnv"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
)

// maxTerm bounds a term, in bytes. Of longer words the beginning and a hash
// stand for them.
const maxTerm = 64

// Term is a word as the index knows it, and how often a text has it.
//
// Terms that begin with a space are beside the words of a text, other ways to
// find some of them, and make it no longer:
//
//	" who"      a word that nearly every text has
//	" WHO"      one of those in capitals: a name
//	" cafe"     a word that has accents, without them
//	" 1.26.3"   numbers that belong together
//	" .net"     a name that begins with a point
//	" c++"      in code, a letter with signs that make a name of it in prose
//	" 猫"       a character of a script without spaces
//	" ~string"  in code, a word that has abbreviations, or one of these
//	" =string"  in code, such a word if it is spelt out
type Term struct {
	Text  string
	Count uint8 // at most 255
}

// beside says whether a term is beside the words of the text.
func beside(term string) bool { return term[0] == ' ' }

// Length is how long the text with these terms counts as.
func Length(terms []Term) int {
	n := 0
	for _, t := range terms {
		if !beside(t.Text) {
			n += int(t.Count)
		}
	}
	return max(1, n)
}

// Analyzer turns passages into terms. It remembers words that it has seen,
// which makes many passages cheaper than one; a zero Analyzer has seen none. It
// is not safe for concurrent use.
type Analyzer struct {
	prose, code, runs map[string][]string // the terms of what is written
	counts            map[string]int
}

// maxSeen bounds what an Analyzer remembers.
const maxSeen = 1 << 16

const (
	contextWeight = 1
	leadWeight    = 3 // beside the one that it has as text
	nameWeight    = 3
)

// Terms returns the terms of a passage in no particular order. The name of a
// definition, a title and the passage's context say more than other words do,
// and count as often as their weights say.
func (a *Analyzer) Terms(p Passage) []Term {
	if a.counts == nil {
		a.counts = map[string]int{}
	}
	clear(a.counts)
	a.add(p.Text, 1, p.Code)
	a.add(p.Context, contextWeight, p.Code)
	a.add(p.Text[:p.Lead], leadWeight, p.Code)
	if p.Code {
		for _, name := range definitions(p.Text) {
			a.add(name, nameWeight, true)
		}
	}
	list := make([]Term, 0, len(a.counts))
	for text, n := range a.counts {
		list = append(list, Term{text, uint8(min(n, math.MaxUint8))})
	}
	return list
}

func (a *Analyzer) add(text string, weight int, code bool) {
	text = normal(text)
	a.sequence(text, code, func(terms []string) {
		for _, t := range terms {
			a.counts[t] += weight
		}
	})
	numbers(text, func(number string) { a.counts[" "+shorten(number)] += weight })
}

// sequence calls yield with the terms of every word of a normal text.
func (a *Analyzer) sequence(text string, code bool, yield func(terms []string)) {
	words(text, func(word string) {
		yield(a.word(word, code))
	}, func(run string) { a.run(run, yield) })
}

// word returns the terms of a word.
func (a *Analyzer) word(word string, code bool) []string {
	if code {
		return a.terms(&a.code, word, codeTerms)
	}
	return a.terms(&a.prose, word, wordTerms)
}

// run yields the terms of characters of a script without spaces.
func (a *Analyzer) run(run string, yield func(terms []string)) {
	characters(run, func(one, pair string) {
		yield(a.terms(&a.runs, one, func(c string, yield func(string)) { yield(" " + c) }))
		if pair != "" {
			yield(a.terms(&a.runs, pair, func(c string, yield func(string)) { yield(c) }))
		}
	})
}

// terms returns what of yields for what is written.
func (a *Analyzer) terms(seen *map[string][]string, written string, of func(string, func(string))) []string {
	if list, ok := (*seen)[written]; ok {
		return list
	}
	if *seen == nil || len(*seen) >= maxSeen {
		*seen = map[string][]string{}
	}
	list := copies(written, of)
	(*seen)[strings.Clone(written)] = list
	return list
}

// copies are what of yields: the index keeps them, and must not keep the text
// that they are from.
func copies(written string, of func(string, func(string))) (list []string) {
	of(written, func(t string) { list = append(list, strings.Clone(t)) })
	return list
}

const (
	spelt  = " ~" // what terms for a word and all its abbreviations begin with
	inFull = " =" // what terms for such a word that is spelt out begin with
)

// wordTerms yields the terms of a word in prose.
func wordTerms(word string, yield func(string)) {
	identifier(word, func(part string) { partTerms(part, yield) }, yield)
}

// codeTerms yields the terms of a word in code.
func codeTerms(word string, yield func(string)) {
	if c := word[len(word)-1]; c == '+' || c == '#' { // the variable c is counted up, more often than C++ is meant
		partTerms(word[:1], yield)
		yield(" " + lower(word))
		return
	}
	identifier(word, func(part string) {
		low := lower(part)
		term, full := stem(low), spellOut(low)
		switch {
		case full == "":
			partTerms(part, yield)
			return
		case full != term:
			yield(full)
		default:
			yield(inFull + full)
		}
		yield(term)
		yield(spelt + full)
	}, yield)
}

func partTerms(part string, yield func(string)) {
	low := lower(part)
	if stopWords[low] {
		yield(" " + low)
		if capitals(part) {
			yield(" " + part)
		}
		return
	}
	yield(stem(low))
	if bare := unaccented(low); bare != low {
		yield(" " + stem(bare))
	}
}

// leastPart is how long the parts of a name that is longer than maxTerm are on
// average: what changes between small and capital letters more often is data.
const leastPart = 3

// identifier calls part with the parts of a word, and whole with the term of the
// word itself if it has more than one: getUserName and get_user_name are get,
// user, name and getusername. What has a point before it is beside itself.
func identifier(word string, part, whole func(string)) {
	if name, ok := strings.CutPrefix(word, "."); ok {
		part(name)
		whole(" " + lower(word))
		return
	}
	n := 0
	for range parts(word) {
		n++
	}
	if len(word) <= maxTerm || len(word) >= leastPart*n {
		for p := range parts(word) {
			if len(p) <= maxTerm {
				part(p)
			}
		}
	}
	if n > 1 || len(word) > maxTerm {
		whole(shorten(lower(strings.ReplaceAll(word, "_", ""))))
	}
}

// parts are what is between '_' in a word, or begins with a capital.
func parts(word string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for start := 0; start < len(word); {
			end := partEnd(word, start)
			if end > start && !yield(word[start:end]) {
				return
			}
			start = end
			for start < len(word) && word[start] == '_' {
				start++
			}
		}
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

// capitals says whether a word has two letters or more, all capitals.
func capitals(word string) bool {
	for i := range len(word) {
		if !isUpper(word[i]) {
			return false
		}
	}
	return len(word) > 1
}

// shorten returns the term of a word that may be too long for one.
func shorten(word string) string {
	if len(word) <= maxTerm {
		return word
	}
	h := fnv.New64a()
	h.Write([]byte(word))
	return clip.To(word, maxTerm/4) + "…" + strconv.FormatUint(h.Sum64(), 36)
}
