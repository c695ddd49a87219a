package rag

import (
	"cmp"
	"math"
	"slices"
)

const (
	// From the best feedbackFrom passages those feedbackTerms terms that tell them
	// from others join the query. The best term weighs feedbackWeight of a word of
	// the query, and a passage whose score is feedbackPeak less than the best one's
	// has a say e times smaller: where one passage stands out, it alone is asked,
	// so that who looks for one thing is not led astray.
	feedbackFrom   = 5
	feedbackTerms  = 40
	feedbackWeight = 0.2
	feedbackPeak   = 0.05
	// feedbackRarity is in which part of all passages such a term may be, at most:
	// one that is everywhere tells nothing, and costs most.
	feedbackRarity = 4

	// refined is how many passages are looked at for words of the query that stand
	// near each other: at most nearBy terms apart. They weigh nearWeight of what
	// the same words would if they were one.
	refined    = 20
	nearBy     = 8
	nearWeight = 0.3
)

// Find returns the passages that Search does, in a better order. It looks at the
// best of them for other terms, which join the query (pseudo-relevance feedback,
// after Rocchio); code is left out there, since its authors choose names as they
// like. Then it prefers those in which the terms of the query stand near each
// other (after Rasolofo and Savoy). keep is as for Search. read returns a passage
// with its Text, Lead and Code; Find fails if it does.
func (x *Inverted) Find(terms []QueryTerm, k int, keep func(slot uint32) bool, read func(slot uint32) (Passage, error)) ([]Scored, error) {
	if k <= 0 {
		return nil, nil
	}
	f, err := x.Ask(terms, true, keep, read)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Best(k)
}

// Findings are what Find returns, as far as they are asked for. They are not safe
// for concurrent use.
type Findings struct {
	x     *Inverted
	terms []QueryTerm
	keep  func(slot uint32) bool
	read  func(slot uint32) (Passage, error)

	scores   *scores
	analyzer *Analyzer
	first    []Scored // the best, refined; nil until they are asked for
}

// Ask finds as Find does, for who cannot know yet how many passages it takes.
// learn says whether other terms join the query: who also searches by vectors,
// which find what is said in other words, saves the time. The index must not be
// changed until the findings are closed.
func (x *Inverted) Ask(terms []QueryTerm, learn bool, keep func(slot uint32) bool, read func(slot uint32) (Passage, error)) (*Findings, error) {
	f := &Findings{x: x, terms: terms, keep: keep, read: read, scores: x.scores()}
	if f.analyzer, _ = x.readers.Get().(*Analyzer); f.analyzer == nil {
		f.analyzer = &Analyzer{}
	}
	if x.Len() == 0 {
		return f, nil
	}
	f.terms = x.correct(terms)
	x.sum(f.scores, f.terms, false)
	if !learn {
		return f, nil
	}
	more, err := x.feedback(f.analyzer, f.scores.best(feedbackFrom, keep), read)
	if err != nil {
		f.Close()
		return nil, err
	}
	x.sum(f.scores, more, true)
	return f, nil
}

// Close ends the findings.
func (f *Findings) Close() {
	f.x.readers.Put(f.analyzer)
	f.x.done(f.scores)
}

// Best returns the best k, best first. It fails if read does.
func (f *Findings) Best(k int) ([]Scored, error) {
	best := f.scores.best(max(k, refined), f.keep)
	top := best[:min(refined, len(best))]
	if f.first == nil {
		if err := f.x.refine(f.analyzer, top, f.terms, f.read); err != nil {
			return nil, err
		}
		f.first = slices.Clone(top)
	}
	copy(top, f.first)
	return best[:min(k, len(best))], nil
}

// feedback returns the terms by which the best passages differ from others.
func (x *Inverted) feedback(a *Analyzer, best []Scored, read func(uint32) (Passage, error)) ([]QueryTerm, error) {
	type candidate struct {
		text          string
		df            int
		often, weight float32 // how often it is there, and that by how rare it is
	}
	at := map[string]int{}
	var list []candidate
	for _, b := range best {
		p, err := read(b.Slot)
		if err != nil {
			return nil, err
		}
		if p.Code {
			continue
		}
		share := float32(math.Exp(float64((b.Score - best[0].Score) / (feedbackPeak * best[0].Score))))
		for _, t := range a.Terms(p) {
			i, seen := at[t.Text]
			if !seen {
				df := 0
				if postings := x.lists[t.Text]; postings != nil {
					df = len(*postings)
				}
				i, at[t.Text] = len(list), len(list)
				list = append(list, candidate{text: t.Text, df: df})
			}
			list[i].often += share * Saturate(float32(t.Count), float32(x.lengths[b.Slot]), x.average())
		}
	}
	list = slices.DeleteFunc(list, func(c candidate) bool { return c.df < 2 || c.df > x.Len()/feedbackRarity || beside(c.text) })
	for i := range list {
		list[i].weight = list[i].often * x.idf(list[i].df)
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.text, b.text)) })
	var terms []QueryTerm
	postings := 0 // no more of them than there are passages: that bounds the time
	for _, c := range list {
		if len(terms) == feedbackTerms {
			break
		}
		if postings+c.df <= x.Len() {
			postings += c.df
			terms = append(terms, QueryTerm{Text: c.text, Weight: feedbackWeight * c.often / list[0].often})
		}
	}
	return terms, nil
}

// refine sorts the best passages anew by how near to each other the query's
// terms stand in them.
func (x *Inverted) refine(a *Analyzer, best []Scored, terms []QueryTerm, read func(uint32) (Passage, error)) error {
	at := map[string]int{}
	var idf []float32
	var wanted beginnings
	for _, t := range terms {
		if list := x.lists[t.Text]; list != nil && !beside(t.Text) {
			wanted.add(t.Text)
			at[t.Text] = len(idf)
			idf = append(idf, x.idf(len(*list)))
		}
	}
	if len(idf) < 2 || len(best) < 2 {
		return nil
	}
	near := make([]float32, len(idf)) // how much of others each term has beside it
	for i := range best {
		p, err := read(best[i].Slot)
		if err != nil {
			return err
		}
		clear(near)
		before, beforePos := -1, 0
		a.places(p, &wanted, func(term string, pos int) {
			this, ok := at[term]
			if !ok {
				return
			}
			if d := float32(pos - beforePos); before >= 0 && before != this && d <= nearBy {
				near[this] += idf[before] / (d * d)
				near[before] += idf[this] / (d * d)
			}
			before, beforePos = this, pos
		})
		for t, n := range near {
			best[i].Score += nearWeight * min(1, idf[t]) * Saturate(n, float32(x.lengths[best[i].Slot]), x.average())
		}
	}
	slices.SortFunc(best, compare)
	return nil
}

// beginnings are those of the terms that are looked for: one byte, and two.
type beginnings struct {
	one [256]bool
	two [1024]bool
}

func (b *beginnings) add(term string) {
	b.one[term[0]] = true
	if len(term) > 1 {
		b.two[pair(term[0], term[1])] = true
	}
}

func pair(a, b byte) int { return (int(a)*31 + int(b)) % 1024 }

// may says whether the term of a simple word may be among them. The stem of a
// short word may be a byte, and that of one whose second is y have another there.
func (b *beginnings) may(word string) bool {
	first := word[0]
	if isUpper(first) {
		first |= 0x20
	}
	return b.one[first] && (len(word) < 5 || word[1] == 'y' || b.two[pair(first, word[1])])
}

// places calls yield with the words of a passage and where they stand, those that
// nearly every text has not counted. It may leave out words that are not wanted:
// to know the terms of all takes longer.
func (a *Analyzer) places(p Passage, wanted *beginnings, yield func(term string, at int)) {
	at := 0
	each := func(terms []string) {
		for _, t := range terms {
			if !beside(t) {
				at++
				yield(t, at)
			}
		}
	}
	words(normal(p.Text), func(word string) {
		if p.Code || !isSimple(word) || wanted.may(word) {
			each(a.word(word, p.Code))
		} else if !isStopWord(word) {
			at++
		}
	}, func(run string) { a.run(run, each) })
}

// isSimple says whether a word is one term, which begins as it does.
func isSimple(word string) bool {
	for i := range len(word) {
		if c := word[i]; (c < 'a' || c > 'z') && !isDigit(c) && (i > 0 || !isUpper(c)) {
			return false
		}
	}
	return len(word) <= maxTerm
}
