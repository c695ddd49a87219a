package shelf

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

var trigrams = &storetest.Trigrams{Model: "p/one", Dimensions: 64}

func embed(t *testing.T, s *Shelf, id, text string) {
	t.Helper()
	d := rag.Document{Key: key(id), Kind: rag.Text, Text: text, Embedding: trigrams.Model, Embed: trigrams.Embed}
	if _, _, err := s.Put(t.Context(), tenant, d); err != nil {
		t.Fatal(err)
	}
}

func alike(t *testing.T, s *Shelf, query string) []rag.Hit {
	t.Helper()
	q := rag.Query{Collection: "docs", Text: query, Limit: 20, Embedding: trigrams.Model, Embed: trigrams.Sees(query)}
	hits, err := s.Search(t.Context(), tenant, q)
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

// TestFilesFromBeforeVectors opens a file that a gateway without vectors wrote.
func TestFilesFromBeforeVectors(t *testing.T) {
	old, err := os.ReadFile("testdata/before-vectors.documents")
	if err != nil {
		t.Fatal(err)
	}
	s := reopened(t, old)
	if got := found(t, s, "heron stork"); got != "guide:## Storks\n\nThey nest on chimneys.:1.7072\na:A heron in the water.:1.6453" {
		t.Errorf("hits = %q", got)
	}
	hits, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "storks", Limit: 1})
	if err != nil || len(hits) != 1 || hits[0].Heading != "Birds" {
		t.Errorf("hits = %+v, %v, want one under Birds", hits, err)
	}
	if _, changed, err := s.Put(t.Context(), tenant, rag.Document{Key: key("a"), Kind: rag.Text, Text: "A heron in the water."}); changed || err != nil {
		t.Errorf("Put of what is there = %v, %v, want no change", changed, err)
	}
	embed(t, s, "b", "Another heron.")
	if d, err := s.Get(t.Context(), tenant, key("b")); err != nil || d.Embedding != "" {
		t.Errorf("Get = %+v, %v, want no vectors where others have none", d, err)
	}
	for _, h := range alike(t, s, "herroon") {
		t.Errorf("a collection without vectors finds %s by letters", h.ID)
	}
}

// TestVectorsNeedNoFeedback: where there are vectors, what the first hits have in
// common is neither looked for nor counted.
func TestVectorsNeedNoFeedback(t *testing.T) {
	s := open(t, t.TempDir())
	const alike, short = "There a heron, wading in the morning, was wading along.", "A heron, asleep at noon."
	texts := []string{"Heron upon heron: herons, wading.", alike, short}
	cosines := map[string]float64{alike: 0.5, short: 0.51} // with the question
	for i := range 12 {
		texts = append(texts, fmt.Sprintf("Page %d.", i))
		cosines[texts[len(texts)-1]] = 0.6
	}
	embed := func(_ context.Context, texts []string) (list [][]float32, _ error) {
		for _, text := range texts {
			x := cosines[text]
			list = append(list, []float32{float32(x), float32(math.Sqrt(1 - x*x))})
		}
		return list, nil
	}
	first := func(collection string, d rag.Document, q rag.Query) string {
		for i, text := range texts {
			d.Key, d.Kind, d.Text = rag.Key{Collection: collection, ID: fmt.Sprint(i)}, rag.Text, text
			if _, _, err := s.Put(t.Context(), tenant, d); err != nil {
				t.Fatal(err)
			}
		}
		q.Collection, q.Text, q.Limit = collection, "heron", 20
		hits, err := s.Search(t.Context(), tenant, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			if h.Text == alike || h.Text == short {
				return h.Text
			}
		}
		return ""
	}
	if got := first("words", rag.Document{}, rag.Query{}); got != alike {
		t.Errorf("by words %q comes first, want %q, which is like the best hit", got, alike)
	}
	toward := func(context.Context, []string) ([][]float32, error) { return [][]float32{{1, 0}}, nil }
	if got := first("both", rag.Document{Embedding: "m", Embed: embed}, rag.Query{Embedding: "m", Embed: toward}); got != short {
		t.Errorf("by words and vectors %q comes first, want %q, which is nearer by both", got, short)
	}
}

func TestVectorsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := New(dir)
	embed(t, s, "a", "Herons stand in water.")
	embed(t, s, "gone", "Heroines stand in water.")
	embed(t, s, "b", "Storks nest on chimneys.")
	embed(t, s, "b", "Storks nest on chimneys, all of them.")
	if err := s.Delete(t.Context(), tenant, key("gone")); err != nil {
		t.Fatal(err)
	}
	want := alike(t, s, "herrons standing")
	if len(want) != 2 || want[0].ID != "a" {
		t.Fatalf("hits = %+v", want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if d := cmp.Diff(want, alike(t, s, "herrons standing")); d != "" {
		t.Errorf("hits (-before +after the restart):\n%s", d)
	}
	before := trigrams.Texts.Load()
	embed(t, s, "a", "Herons stand in water.")
	if trigrams.Texts.Load() != before {
		t.Error("the same again costs vectors after a restart")
	}
	_, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "x", Limit: 1, Embedding: "p/other", Embed: trigrams.Embed})
	if err == nil {
		t.Error("the model is forgotten after a restart")
	}
}

// TestDamagedVectors: what the checksum does not cover is not believed.
func TestDamagedVectors(t *testing.T) {
	s := open(t, t.TempDir())
	embed(t, s, "a", "Herons stand in water.")
	embed(t, s, "b", "Storks nest on chimneys.")
	b := file(t, s)
	at := bytes.Index(b, []byte("Herons stand in water.Herons stand in water.")) + 60
	b[at] ^= 1
	r := reopened(t, b)
	if _, err := r.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "x", Limit: 1}); err == nil {
		t.Error("a vector that was changed on disk is not noticed")
	}
}

// TestPagesFromBeforeTitles: a page that was stored when titles were not read is
// read anew when it is stored again.
func TestPagesFromBeforeTitles(t *testing.T) {
	old, err := os.ReadFile("testdata/before-titles.documents")
	if err != nil {
		t.Fatal(err)
	}
	s := reopened(t, old)
	if got := found(t, s, "herons"); got != "" {
		t.Errorf("hits = %q, want none for the title", got)
	}
	d := rag.Document{Key: key("page"), Kind: rag.HTML, Text: "<head><title>Herons</title></head><p>They stand."}
	for _, want := range []bool{true, false} {
		if _, changed, err := s.Put(t.Context(), tenant, d); err != nil || changed != want {
			t.Errorf("Put = %v, %v, want %v", changed, err, want)
		}
	}
	hits, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "herons", Limit: 1})
	if err != nil || len(hits) != 1 || hits[0].Text != "# Herons\n\nThey stand." {
		t.Errorf("hits = %+v, %v", hits, err)
	}
}

// TestDocumentsFromBeforeTheyNeededPassages are there as ever, and decide
// nothing.
func TestDocumentsFromBeforeTheyNeededPassages(t *testing.T) {
	s := open(t, t.TempDir())
	for _, id := range []string{"kept", "replaced", "deleted"} {
		c, release, err := s.collection(tenant, "docs", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.put(rag.Document{Key: key(id), Kind: rag.HTML, Text: "<p>"}, nil, nil); err != nil {
			t.Fatal(err)
		}
		release()
	}
	s = reopened(t, file(t, s))
	embed(t, s, "replaced", "Herons stand in water.")
	if err := s.Delete(t.Context(), tenant, key("deleted")); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if hits := alike(t, s, "herrons"); len(hits) != 1 || hits[0].ID != "replaced" {
		t.Errorf("hits = %+v, want what is like the question", hits)
	}
	list, _, err := s.Documents(t.Context(), tenant, rag.Key{}, "", 10)
	if err != nil || len(list) != 2 || list[0].ID != "kept" || list[0].Passages != 0 || list[1].Embedding != trigrams.Model {
		t.Errorf("Documents = %+v, %v, want one without passages and one with vectors", list, err)
	}
	if d, err := s.Get(t.Context(), tenant, key("kept")); err != nil || d.Text != "<p>" {
		t.Errorf("Get = %+v, %v", d, err)
	}
}
