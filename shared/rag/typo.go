package rag

import "slices"

const (
	// longTypo is how many letters a word has at least that may be mistyped, and
	// longTypoStem how many without its ending: shorter ones are other words, and
	// names. mistyped is what the word weighs that was meant, and maxTypos how many
	// a query may have.
	longTypo     = 8
	longTypoStem = 6
	mistyped     = 0.7
	maxTypos     = 16
)

// mayBeTypo says whether a word may be mistyped, of which term is the stem. Names
// have capitals, or digits by which they differ for a reason.
func mayBeTypo(word, term string) bool {
	for i := range len(word) {
		if word[i] < 'a' || word[i] > 'z' {
			return false
		}
	}
	return len(word) >= longTypo && len(term) >= longTypoStem
}

// correct replaces terms that no passage has by those that are one letter away
// and that most passages have. The first letter is right: few mistype that. A
// query of which no word is there at all asks for what is not there.
func (x *Inverted) correct(terms []QueryTerm) []QueryTerm {
	if !slices.ContainsFunc(terms, func(t QueryTerm) bool { return x.lists[t.Text] != nil }) {
		return terms
	}
	var list []QueryTerm // a copy, once something has changed
	typos := 0
	for i, t := range terms {
		if !t.Typo || x.lists[t.Text] != nil || x.lists[" "+t.Text] != nil || typos == maxTypos {
			continue
		}
		typos++
		best, df := "", 0
		edits(t.Text, func(word []byte) {
			if postings := x.lists[string(word)]; postings != nil && (len(*postings) > df || len(*postings) == df && string(word) < best) {
				best, df = string(word), len(*postings)
			}
		})
		if best == "" {
			continue
		}
		if list == nil {
			list = append(list, terms...)
		}
		list[i] = QueryTerm{Text: best, Weight: t.Weight * mistyped}
	}
	if list == nil {
		return terms
	}
	return distinct(list)
}

// distinct leaves out the terms that are there already.
func distinct(terms []QueryTerm) []QueryTerm {
	at := map[string]int{}
	var list []QueryTerm
	for _, t := range terms {
		if i, seen := at[t.Text]; seen {
			list[i].Weight = max(list[i].Weight, t.Weight)
			continue
		}
		at[t.Text] = len(list)
		list = append(list, t)
	}
	return list
}

// edits yields what one change after the first letter makes of word: a letter
// less, more or another, or two that are swapped.
func edits(word string, yield func([]byte)) {
	buf := make([]byte, 0, maxTerm+1)
	for i := 1; i <= len(word); i++ {
		for c := byte('a'); c <= 'z'; c++ {
			yield(append(append(append(buf, word[:i]...), c), word[i:]...))
		}
		if i == len(word) {
			break
		}
		yield(append(append(buf, word[:i]...), word[i+1:]...))
		for c := byte('a'); c <= 'z'; c++ {
			if c != word[i] {
				yield(append(append(append(buf, word[:i]...), c), word[i+1:]...))
			}
		}
		if i+1 < len(word) && word[i] != word[i+1] {
			yield(append(append(append(buf, word[:i]...), word[i+1], word[i]), word[i+2:]...))
		}
	}
}
