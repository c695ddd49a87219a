package rag

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSearchAgreesWithTheFormula adds and removes at random and compares with
// BM25 calculated passage by passage.
func TestSearchAgreesWithTheFormula(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var x Inverted
	live := map[uint32][]Term{}
	remove := func(n int) {
		slots := slices.Sorted(maps.Keys(live))
		rnd.Shuffle(len(slots), func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
		var passages [][]Term
		slots = slots[:min(n, len(slots))]
		for _, slot := range slots {
			passages = append(passages, live[slot])
			delete(live, slot)
		}
		x.Remove(slots, passages)
	}
	for step := range 3000 {
		if rnd.IntN(3) == 0 {
			remove(rnd.IntN(6))
		} else {
			var passages [][]Term
			for range rnd.IntN(5) {
				p := Passage{}
				for range 1 + rnd.IntN(12) {
					p.Text += fmt.Sprintf("w%d ", rnd.IntN(20))
				}
				passages = append(passages, new(Analyzer).Terms(p))
			}
			for i, slot := range x.AddAll(passages) {
				if live[slot] != nil {
					t.Fatalf("step %d: slot %d is given twice", step, slot)
				}
				live[slot] = passages[i]
			}
		}
		for term, list := range x.lists {
			if !slices.IsSorted(*list) {
				t.Fatalf("step %d: postings of %s are out of order: %v", step, term, *list)
			}
		}
		if step%50 != 0 {
			continue
		}
		odd := func(slot uint32) bool { return slot%2 == 1 }
		query := []QueryTerm{{Text: "w1", Weight: 1}, {Text: "w7", Weight: 1.5}, {Text: "w19", Weight: 1}, {Text: "nothing", Weight: 1}}
		want := formula(live, query, odd)
		got := x.Search(query, 10, odd)
		if len(got) != min(10, len(want)) || x.Len() != len(live) {
			t.Fatalf("step %d: %d hits of %d passages, want %d of %d", step, len(got), x.Len(), min(10, len(want)), len(live))
		}
		for i, h := range got {
			if score := want[h.Slot]; diff(score, h.Score) > 1e-4 {
				t.Fatalf("step %d: score of %d = %v, want %v", step, h.Slot, h.Score, score)
			}
			if i > 0 && better(h, got[i-1]) {
				t.Fatalf("step %d: hits are out of order: %v", step, got)
			}
			delete(want, h.Slot)
		}
		for slot, score := range want {
			if len(got) == 10 && float64(score) > float64(got[9].Score)+1e-4 {
				t.Fatalf("step %d: %d with %v is missing from %v", step, slot, score, got)
			}
		}
	}
	remove(len(live))
	if len(x.lists) != 0 || x.total != 0 || x.Len() != 0 {
		t.Errorf("after removing everything: %d lists, %d terms, %d passages", len(x.lists), x.total, x.Len())
	}
}

func diff(a, b float32) float32 { return max(a-b, b-a) }

func formula(live map[uint32][]Term, query []QueryTerm, keep func(uint32) bool) map[uint32]float32 {
	total, length, df := 0, map[uint32]int{}, map[string]int{}
	for slot, terms := range live {
		for _, t := range terms {
			length[slot] += int(t.Count)
			df[t.Text]++
		}
		total += length[slot]
	}
	n := float64(len(live))
	scores := map[uint32]float32{}
	for slot, terms := range live {
		for _, t := range terms {
			i := slices.IndexFunc(query, func(q QueryTerm) bool { return q.Text == t.Text })
			if i >= 0 && keep(slot) {
				scores[slot] += query[i].Weight * float32(IDF(n, float64(df[t.Text]))) * Saturate(float32(t.Count), float32(length[slot]), float32(total)/float32(n))
			}
		}
	}
	return scores
}

func TestTheRightPassageComesFirst(t *testing.T) {
	docs := map[string]string{
		"settle":  "Settlement. The ledger record is written first; then the lease is removed and the difference returned.",
		"limits":  "Limits. The rate limit is GCRA: in any window at most rate times window plus burst requests are admitted.",
		"streams": "Streams. Events are written as they come, in one piece while more of them are already at hand.",
		"reverse": "def reverse_words(sentence):\n    \"\"\"Reverse the order of the words.\"\"\"\n    return ' '.join(sentence.split()[::-1])",
		"iso":     "def parseIsoDate(s):\n    return datetime.strptime(s, '%Y-%m-%d')",
		"dedupe":  "func uniqueStrings(list []string) []string {\n\tseen := map[string]bool{}\n\treturn slices.DeleteFunc(list, func(s string) bool { old := seen[s]; seen[s] = true; return old })\n}",
	}
	var x Inverted
	name := map[uint32]string{}
	for id, text := range docs {
		kind := GuessKind(text)
		language := ""
		if kind == Code {
			language = GuessLanguage(text)
		}
		for _, p := range Split(kind, language, text) {
			name[x.Add(new(Analyzer).Terms(p))] = id
		}
	}
	for query, want := range map[string]string{
		"how is a lease settled?":              "settle",
		"limiting the rate of requests":        "limits",
		"streaming event":                      "streams",
		"python reverse order of word":         "reverse",
		"python parse an iso date from a str":  "iso",
		"parseIsoDate":                         "iso",
		"unique_strings":                       "dedupe",
		"golang remove strings seen in a list": "dedupe",
	} {
		hits := x.Search(QueryTerms(query), 3, nil)
		if len(hits) == 0 || name[hits[0].Slot] != want {
			t.Errorf("best for %q = %v, want %s", query, hits, want)
		}
	}
	if hits := x.Search(QueryTerms("zebra"), 3, nil); len(hits) != 0 {
		t.Errorf("hits for a word that nothing has: %v", hits)
	}
}

// BenchmarkSearch asks 100,000 passages of 120 words, whose frequencies follow
// Zipf's law, questions of 6.
func BenchmarkSearch(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rnd, 1.1, 5, 200_000)
	var x Inverted
	for range 100_000 {
		count := map[string]uint8{}
		for range 120 {
			count[fmt.Sprintf("t%d", zipf.Uint64())]++
		}
		var terms []Term
		for text, n := range count {
			terms = append(terms, Term{text, n})
		}
		x.Add(terms)
	}
	for b.Loop() {
		var q []QueryTerm
		for range 6 {
			q = append(q, QueryTerm{Text: fmt.Sprintf("t%d", zipf.Uint64()), Weight: 1})
		}
		x.Search(q, 10, nil)
	}
}

func BenchmarkTerms(b *testing.B) {
	p := Passage{Text: prose(40)}
	b.SetBytes(int64(len(p.Text)))
	var a Analyzer
	for b.Loop() {
		a.Terms(p)
	}
}
