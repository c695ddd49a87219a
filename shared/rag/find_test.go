package rag

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shelf is an index with the passages that are in it.
type shelf struct {
	Inverted
	passages []Passage
}

func (s *shelf) put(list ...Passage) {
	for _, p := range list {
		s.Add(new(Analyzer).Terms(p))
		s.passages = append(s.passages, p)
	}
}

func (s *shelf) read(slot uint32) (Passage, error) { return s.passages[slot], nil }

func (s *shelf) find(t *testing.T, query string, k int, keep func(uint32) bool) []Scored {
	t.Helper()
	list, err := s.Find(QueryTerms(query), k, keep, s.read)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// filler is n passages that have nothing to do with anything.
func filler(n int) (list []Passage) {
	for i := range n {
		list = append(list, Passage{Text: fmt.Sprintf("Of cabbages%d and kings%d.", i, i)})
	}
	return list
}

func slots(list []Scored) (slots []uint32) {
	for _, s := range list {
		slots = append(slots, s.Slot)
	}
	return slots
}

func TestFindLearnsFromTheBestPassage(t *testing.T) {
	var prose, code shelf
	for _, s := range []*shelf{&prose, &code} {
		for _, text := range []string{
			"Settlement: houses, gardens, fields, roads and people.",
			"Settlement: lease, ledger, escrow, notary and people.",
			"Settlement of settlements: lease, ledger and notary.",
		} {
			s.put(Passage{Text: text, Code: s == &code})
		}
		s.put(filler(20)...)
	}
	if got := slots(prose.Search(QueryTerms("settlements"), 9, nil)); !slices.Equal(got, []uint32{2, 0, 1}) {
		t.Errorf("Search finds %v, want the first two as equals", got)
	}
	if got := slots(prose.find(t, "settlements", 9, nil)); !slices.Equal(got, []uint32{2, 1, 0}) {
		t.Errorf("Find finds %v, want what is like the best before what is not", got)
	}
	_, err := prose.Find(QueryTerms("settlements people"), 9, func(slot uint32) bool { return slot != 2 }, func(slot uint32) (Passage, error) {
		if slot == 2 {
			t.Error("Find reads a passage that the filter keeps out")
		}
		return prose.read(slot)
	})
	if err != nil {
		t.Error(err)
	}
	if got := slots(code.find(t, "settlements", 9, nil)); !slices.Equal(got, []uint32{2, 0, 1}) {
		t.Errorf("Find learns from code: %v", got)
	}
}

func TestFindPrefersWordsThatStandTogether(t *testing.T) {
	for _, isCode := range []bool{false, true} {
		var s shelf
		for _, text := range []string{
			"slip is one two three four five six seven eight nine ten that flow",
			"one slip two three four five flow six seven eight nine ten",
			"one two three four five flow slip six seven eight nine ten",
			"one two three four five six seven eight nine ten and slip flow",
		} {
			s.put(Passage{Text: text, Code: isCode})
		}
		s.put(filler(9)...)
		if got := slots(s.find(t, "slip flow", 9, nil)); !slices.Equal(got, []uint32{2, 3, 1, 0}) {
			t.Errorf("Find = %v, want words nearer to each other first", got)
		}
		if far := s.Search(QueryTerms("slip flow"), 9, nil)[0].Score; isCode && s.find(t, "slip flow", 9, nil)[3].Score != far {
			t.Errorf("words that stand far from each other change the score %v", far)
		}
		if list := s.find(t, "slip", 9, nil); list[0].Score != list[3].Score {
			t.Errorf("one word stands near itself: %v", list)
		}
	}
}

func TestAWordIsNotNearItself(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "slip slip one two three four five six seven eight nine flow", Code: true}, Passage{Text: "slip one two three four five six seven eight slip nine flow", Code: true})
	s.put(filler(9)...)
	if list := s.find(t, "slip flow", 9, nil); list[0].Slot != 1 || list[1].Score != s.Search(QueryTerms("slip flow"), 9, nil)[0].Score {
		t.Errorf("Find = %v, want the score of the first passage as it was", list)
	}
}

// TestFindOnlySorts asks at random: Find has the passages that Search has, in an
// order that does not depend on how many are wanted.
func TestFindOnlySorts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	word := func() string { return fmt.Sprintf("w%d ", int(rnd.ExpFloat64()*30)) }
	var s shelf
	for range 300 {
		var b strings.Builder
		for range 5 + rnd.IntN(30) {
			b.WriteString(word())
		}
		s.put(Passage{Text: b.String(), Code: rnd.IntN(4) == 0, Lead: rnd.IntN(4)})
	}
	odd := func(slot uint32) bool { return slot%2 == 1 }
	changed := 0
	for range 200 {
		query := word() + word() + word()
		want := slots(s.Search(QueryTerms(query), 300, odd))
		list := s.find(t, query, 300, odd)
		got := slots(list)
		if !slices.Equal(got, want) {
			changed++
		}
		if !slices.IsSortedFunc(list, compare) {
			t.Errorf("hits of %q are out of order: %v", query, list)
		}
		for _, k := range []int{0, 1, 10, refined, refined + 1, 50} {
			if some := slots(s.find(t, query, k, odd)); !slices.Equal(some, got[:min(k, len(got))]) {
				t.Errorf("the best %d for %q = %v, want the first of %v", k, query, some, got)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("Find(%q) = %v, Search = %v", query, got, want)
		}
	}
	if changed < 100 {
		t.Errorf("Find changes the order of %d answers of 200", changed)
	}
	for slot, p := range s.passages {
		if plain := s.Search(QueryTerms(p.Text), 1, nil); len(plain) == 0 || plain[0].Slot != uint32(slot) && s.passages[plain[0].Slot].Text != p.Text {
			continue
		}
		if got := s.find(t, p.Text, 1, nil); got[0].Slot != uint32(slot) && s.passages[got[0].Slot].Text != p.Text {
			t.Errorf("who asks for all of passage %d finds %d first", slot, got[0].Slot)
		}
	}
}

// TestFindingsGoAsDeepAsTheyAreAsked, in any order, without learning anew.
func TestFindingsGoAsDeepAsTheyAreAsked(t *testing.T) {
	var s shelf
	for i := range 200 {
		s.put(Passage{Text: fmt.Sprintf("slip %s flow leases%d notaries%d", strings.Repeat("on ", i%11), i%17, i%29)})
	}
	s.put(filler(20)...)
	odd := func(slot uint32) bool { return slot%2 == 1 }
	want := s.find(t, "slip flow", 300, odd)
	if len(want) != 100 {
		t.Fatalf("%d passages are found, want 100", len(want))
	}
	reads := 0
	f, err := s.Ask(QueryTerms("slip flow"), true, odd, func(slot uint32) (Passage, error) {
		reads++
		return s.read(slot)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range []int{10, 40, 300, 1, refined, 160} {
		got, err := f.Best(k)
		if d := cmp.Diff(want[:min(k, len(want))], got); d != "" || err != nil {
			t.Errorf("Best(%d) = %v (-Find +Best):\n%s", k, err, d)
		}
		for j := range got { // it belongs to who asked
			got[j].Score = 0
		}
		if i == 0 {
			reads = 0
		}
	}
	if reads != 0 {
		t.Errorf("%d passages are read again to go deeper", reads)
	}
	f.Close()
	if d := cmp.Diff(want, s.find(t, "slip flow", 300, odd)); d != "" {
		t.Errorf("Find (-before +after such findings):\n%s", d)
	}
	var empty Inverted
	f, err = empty.Ask(QueryTerms("slip"), true, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := f.Best(9); err != nil || len(got) > 0 {
		t.Errorf("an empty index finds %v, %v", got, err)
	}
}

func TestFeedbackIsBounded(t *testing.T) {
	var s shelf
	common := strings.Repeat("everywhere ", 3)
	for i := range 400 {
		var b strings.Builder
		b.WriteString(common)
		for j := range 60 {
			fmt.Fprintf(&b, "t%d ", (i*7+j*j)%500)
		}
		s.put(Passage{Text: b.String()})
	}
	s.put(Passage{Text: "unique " + common})
	var a Analyzer
	more, err := s.feedback(&a, []Scored{{0, 9}, {1, 8}, {400, 8}}, s.read)
	if err != nil {
		t.Fatal(err)
	}
	postings := 0
	for i, m := range more {
		df := len(*s.lists[m.Text])
		postings += df
		if m.Text == "everywher" || m.Text == "uniqu" {
			t.Errorf("%q joins the query: %d of %d passages have it", m.Text, df, s.Len())
		}
		if m.Weight <= 0 || m.Weight > 3*feedbackWeight || i == 0 && m.Weight != feedbackWeight {
			t.Errorf("term %d weighs %v", i, m.Weight)
		}
	}
	if len(more) == 0 || len(more) > feedbackTerms || postings > s.Len() {
		t.Errorf("%d terms in %d passages join the query, want at most %d and %d", len(more), postings, feedbackTerms, s.Len())
	}
	rare := ""
	for i := range 2 * feedbackTerms {
		rare += fmt.Sprintf("rare%d ", i)
	}
	s.put(Passage{Text: rare + "better better"}, Passage{Text: rare + "worse worse"}, Passage{Text: "better worse"})
	if more, _ = s.feedback(&a, []Scored{{401, 9}}, s.read); len(more) != feedbackTerms || more[0].Text != "better" {
		t.Errorf("%d terms join the query, want %d and the most frequent first: %v", len(more), feedbackTerms, more)
	}
	more, _ = s.feedback(&a, []Scored{{401, 9}, {402, 9 - 9*feedbackPeak}}, s.read)
	i := slices.IndexFunc(more, func(m QueryTerm) bool { return m.Text == "worse" })
	if i >= 0 && more[i].Weight > more[0].Weight/2 || more[0].Text != "better" {
		t.Errorf("a passage that is worse has as much of a say: %v", more)
	}
	if more, err := s.feedback(&a, nil, s.read); more != nil || err != nil {
		t.Errorf("feedback of nothing = %v, %v", more, err)
	}
}

func TestFeedbackOfCommonWords(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "often seldom"})
	for i := range 39 {
		text := filler(40)[i].Text
		if i < 9 {
			text += " seldom"
		}
		if i < 12 {
			text += " often"
		}
		s.put(Passage{Text: text})
	}
	more, err := s.feedback(&Analyzer{}, []Scored{{0, 1}}, s.read)
	if got := texts(more); err != nil || !slices.Equal(got, []string{"seldom"}) {
		t.Errorf("%q of often and seldom, %v, join the query, want what a quarter of the passages have and no more", got, err)
	}
}

func TestFeedbackIsOfWords(t *testing.T) {
	var s shelf
	for range 2 {
		s.put(Passage{Text: "The lease, by WHO: 1.26.3 cafés, 猫猫. "})
	}
	s.put(filler(40)...)
	more, err := s.feedback(&Analyzer{}, []Scored{{0, 1}}, s.read)
	if err != nil || len(more) == 0 {
		t.Fatalf("feedback = %v, %v", more, err)
	}
	for _, m := range more {
		if beside(m.Text) {
			t.Errorf("%q joins the query, and is no word", m.Text)
		}
	}
}

func TestFindFailsIfAPassageCannotBeRead(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "slip flow"}, Passage{Text: "slip and flow"})
	broken := errors.New("broken")
	for n := range 4 { // the first reads are for feedback, the others for words that stand together
		left := n
		_, err := s.Find(QueryTerms("slip flow"), 5, nil, func(slot uint32) (Passage, error) {
			if left--; left < 0 {
				return Passage{}, broken
			}
			return s.passages[slot], nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("after %d passages: %v, want the error of the next", n, err)
		}
	}
	if list, err := s.Find(QueryTerms("slip flow"), 5, nil, s.read); err != nil || len(list) != 2 {
		t.Errorf("Find after errors = %v, %v", list, err)
	}
}

// TestPlacesOfWords: what is left out to save time changes nothing of where the
// others stand.
func TestPlacesOfWords(t *testing.T) {
	texts := []string{
		"The ads of Dying spies: what sky, by dyes and Ties is not TIED? An übung, getUserName; 東京 v2 eying it.", prose(30),
		strings.Repeat("a", 65) + " ids used uses us iOS X 3d 4 yes",
	}
	var all beginnings
	for i := range all.one {
		all.one[i] = true
	}
	for i := range all.two {
		all.two[i] = true
	}
	for _, text := range texts {
		for _, code := range []bool{false, true} {
			want := map[string][]int{}
			new(Analyzer).places(Passage{Text: text, Code: code}, &all, func(term string, at int) { want[term] = append(want[term], at) })
			if len(want) < 9 {
				t.Fatalf("%q has the words %v", text, want)
			}
			looked, all := 0, 0
			for term, places := range want {
				all += len(places)
				var one beginnings
				one.add(term)
				var got []int
				new(Analyzer).places(Passage{Text: text, Code: code}, &one, func(other string, at int) {
					looked++
					if other == term {
						got = append(got, at)
					}
				})
				if !slices.Equal(got, places) {
					t.Errorf("%q is at %v, want %v in %q", term, got, places, text)
				}
			}
			if all *= len(want); !code && looked > all/2 {
				t.Errorf("%d words of %d are looked up for %d terms", looked, all, len(want))
			}
		}
	}
}

func TestAskLearnsIfItIsTold(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "Settlement: houses, gardens, fields, roads and people."}, Passage{Text: "Settlement: lease, ledger, escrow, notary and people."}, Passage{Text: "Settlement of settlements: lease, ledger and notary."})
	s.put(filler(20)...)
	for learn, want := range map[bool][]uint32{true: {2, 1, 0}, false: {2, 0, 1}} {
		f, err := s.Ask(QueryTerms("settlements"), learn, nil, s.read)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Best(9); err != nil || !slices.Equal(slots(got), want) {
			t.Errorf("learning %v it finds %v, %v, want %v", learn, slots(got), err, want)
		}
		f.Close()
	}
}

// BenchmarkFind asks 100,000 passages of 120 words, whose frequencies follow
// Zipf's law, questions of 6.
func BenchmarkFind(b *testing.B) {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 5, 200_000)
	text := func(n int) string {
		var t strings.Builder
		for range n {
			fmt.Fprintf(&t, "t%d ", zipf.Uint64())
		}
		return t.String()
	}
	var s shelf
	for range 100_000 {
		s.put(Passage{Text: text(120)})
	}
	for b.Loop() {
		if _, err := s.Find(QueryTerms(text(6)), 10, nil, s.read); err != nil {
			b.Fatal(err)
		}
	}
}
