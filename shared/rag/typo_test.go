package rag

import (
	"fmt"
	"strings"
	"testing"
)

func TestMistypedWords(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "boundary layers of the plate"}, Passage{Text: "accessible accessibility"}, Passage{Text: "restful store of flashes"}, Passage{Text: "boundaries"},
		Passage{Text: "Größenordnung größenordnungen"}, Passage{Text: "magnesium magnetic magneticc"}, Passage{Text: "magnetics grossenordnunk"})
	for query, want := range map[string]string{ // of the first word
		"boundary layer":         "boundari 1",
		"boundarry layer":        "boundari 0.7",
		"bondaries layer":        "boundari 0.7",
		"buondary layer":         "boundari 0.7",
		"boumdary layer":         "boundari 0.7",
		"voundary layer":         "voundari 1", // the first letter is right
		"boumdry layer":          "boumdri 1",  // two mistakes
		"Boumdary layer":         "boumdari 1", // names
		"boumdary_x layer":       "boumdari 1",
		"boumdary1 layer":        "boumdary1 1",
		"bondary layer":          "bondari 1", // seven letters
		"restfuls layer":         "rest 1",    // too little is left without its endings
		"boumdary":               "boumdari 1",
		"boumdary absent":        "boumdari 1",
		"magnetiic layer":        "magnet 0.7",
		"grossenordnung layer":   "grossenordnung 1", // it is there with accents
		"gröszenordnung layer":   "gröszenordnung 0.6",
		"boundari boumdari lies": "boundari 1",
	} {
		terms := QueryTerms(query)
		before := fmt.Sprint(terms)
		got := s.correct(terms)
		if text := fmt.Sprint(got[0].Text, " ", got[0].Weight); text != want {
			t.Errorf("%q asks for %q, want %q", query, text, want)
		}
		if fmt.Sprint(terms) != before {
			t.Errorf("%q: the query's own terms have become %v", query, terms)
		}
		seen := map[string]bool{}
		for _, term := range got {
			if seen[term.Text] {
				t.Errorf("%q asks twice for %q", query, term.Text)
			}
			seen[term.Text] = true
		}
	}
	var many strings.Builder
	for i := range 2 * maxTypos {
		fmt.Fprintf(&many, "boundaryx%cx%cx ", 'a'+i%26, 'a'+i/26)
	}
	for _, term := range s.correct(QueryTerms("layer " + many.String() + "boumdary")) {
		if term.Text == "boundari" {
			t.Error("there is no end of mistyped words")
		}
	}
	if list := s.Search(QueryTerms("boumdary plate"), 5, nil); len(list) != 2 || list[0].Slot != 0 {
		t.Errorf("Search = %v, want the passages with the word as it is written", list)
	}
	if list := s.find(t, "plate of boumdary", 5, nil); len(list) != 2 || list[0].Slot != 0 {
		t.Errorf("Find = %v, want the passages with the word as it is written", list)
	}
}

func TestAWordThatIsNotThereFindsNothing(t *testing.T) {
	var s shelf
	s.put(Passage{Text: "To rest in a store, and to flash."}, Passage{Text: "Boundary hours"}, Passage{Text: "int hours(time t) { delete t; }", Code: true})
	for _, query := range []string{"rust", "flask", "storm", "HR", "boundery", "del delivery", "rusts flasks"} {
		if query == "del delivery" {
			s.put(Passage{Text: "Delete all."})
			s.Remove([]uint32{2}, [][]Term{new(Analyzer).Terms(s.passages[2])})
		}
		if list := s.find(t, query, 5, nil); len(list) != 0 {
			t.Errorf("%q finds %v, want nothing", query, list)
		}
	}
}
