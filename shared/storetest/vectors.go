package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// Trigrams is an embedding model for tests: texts with the same letters in a
// row are alike.
type Trigrams struct {
	Model      string
	Dimensions int
	Err        error // instead of vectors
	Texts      atomic.Int64
}

// Embed is a rag.Embedder.
func (m *Trigrams) Embed(_ context.Context, texts []string) ([][]float32, error) {
	m.Texts.Add(int64(len(texts)))
	if m.Err != nil {
		return nil, m.Err
	}
	var list [][]float32
	for _, t := range texts {
		list = append(list, m.Vector(t))
	}
	return list, nil
}

// Vector is that of one text.
func (m *Trigrams) Vector(text string) []float32 {
	v, r := make([]float32, m.Dimensions), []rune(" "+strings.ToLower(text)+" ")
	for i := range len(r) - 2 {
		h := fnv.New32a()
		h.Write([]byte(string(r[i : i+3])))
		v[h.Sum32()%uint32(m.Dimensions)]++
	}
	return v
}

// Sees is a rag.Embedder for queries: it returns the vector of text, whatever is
// asked, and does not count.
func (m *Trigrams) Sees(text string) rag.Embedder {
	return func(context.Context, []string) ([][]float32, error) { return [][]float32{m.Vector(text)}, nil }
}

// embed stores a document with vectors of m.
func (r *reader) embed(m *Trigrams, collection, id, text, metadata string) rag.Document {
	r.Helper()
	d, _, err := r.tryEmbed(m, collection, id, text, metadata)
	if err != nil {
		r.Fatalf("Put(%s, %s) = %v", collection, id, err)
	}
	return d
}

func (r *reader) tryEmbed(m *Trigrams, collection, id, text, metadata string) (rag.Document, bool, error) {
	d := rag.Document{Key: rag.Key{Collection: collection, ID: id}, Kind: rag.Text, Text: text, Embedding: m.Model, Embed: m.Embed}
	if metadata != "" {
		d.Metadata = json.RawMessage(metadata)
	}
	return r.Put(r.Context(), r.tenant, d)
}

// asks is a query with a vector of m.
func asks(m *Trigrams, collection, text string) rag.Query {
	return rag.Query{Collection: collection, Text: text, Embedding: m.Model, Embed: m.Sees(text)}
}

// refused checks an error that the client is to understand: its kind, and that
// it says every word.
func (r *reader) refused(what string, err error, kind fault.Kind, words ...string) {
	r.Helper()
	if !errors.Is(err, kind) {
		r.Errorf("%s: %v, want %s", what, err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(fault.As(err).Message, w) {
			r.Errorf("%s: %q does not say %q", what, fault.As(err).Message, w)
		}
	}
}

var vectorCases = []libraryCase{
	{"vectors find what words do not", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 256}
		d := r.embed(m, "docs", "doctor", "Physicians prescribe medication.", "")
		r.embed(m, "docs", "ship", "Harbours are full of sailing boats.", "")
		if d.Embedding != m.Model || d.Embed != nil {
			r.Errorf("Put returns the model %q, Embed nil = %v", d.Embedding, d.Embed == nil)
		}
		if got, err := r.Get(r.Context(), r.tenant, d.Key); err != nil || got.Embedding != m.Model {
			r.Errorf("Get = %+v, %v", got, err)
		}
		if list, _, err := r.Documents(r.Context(), r.tenant, d.Key, "", 1); err != nil || len(list) != 1 || list[0].Embedding != m.Model {
			r.Errorf("Documents = %+v, %v", list, err)
		}
		wrong := "fysicians presribbe medicaton"
		r.finds(rag.Query{Collection: "docs", Text: wrong})
		r.finds(asks(m, "docs", wrong), "doctor", "ship")
		wrong = "harbuors ful sailling baots"
		r.finds(asks(m, "docs", wrong), "ship", "doctor")
		r.finds(rag.Query{Collection: "docs", Text: "sailing"}, "ship")
		r.finds(asks(m, "none", wrong))
	}},
	{"ranks by words and by vectors are added", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 256}
		r.embed(m, "docs", "both", "Herons stand.", "")
		r.embed(m, "docs", "words", "Of all birds of this region that somebody has described in the last century, herons and storks are those that are most often seen.", "")
		r.embed(m, "docs", "letters", "Heronsstands.", "")
		q := asks(m, "docs", "herons stand")
		hits := r.search(q)
		r.finds(q, "both", "words", "letters")
		for i, want := range []float64{1./61 + 1./61, 1./62 + 1./63, 1. / 62}[:len(hits)] {
			if math.Abs(hits[i].Score-want) > 1e-6 {
				r.Errorf("score of %s = %v, want %v", hits[i].ID, hits[i].Score, want)
			}
		}
	}},
	{"the same again costs no vectors", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 64}
		d := r.embed(m, "docs", "long", essay("whales"), `{"a":1}`)
		if got := m.Texts.Load(); got != int64(d.Passages) {
			r.Errorf("%d texts for %d passages", got, d.Passages)
		}
		again, changed, err := r.tryEmbed(m, "docs", "long", essay("whales"), `{"a":1}`)
		if err != nil || changed || again.Embedding != m.Model || again.Embed != nil || m.Texts.Load() != int64(d.Passages) {
			r.Errorf("second Put = %+v, %v, %v after %d texts", again, changed, err, m.Texts.Load())
		}
		if _, changed, err := r.tryEmbed(m, "docs", "long", essay("herons"), `{"a":1}`); err != nil || !changed || m.Texts.Load() == int64(d.Passages) {
			r.Errorf("Put of other text = %v, %v after %d texts", changed, err, m.Texts.Load())
		}
		for _, h := range r.search(asks(m, "docs", "sentence tells of whales")) {
			if strings.Contains(h.Text, "whales") {
				r.Errorf("the old text is found: %.60q", h.Text)
			}
		}
	}},
	{"without its vectors nothing is stored", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 64}
		old := r.embed(m, "docs", "old", "Old herons.", "")
		cause := fault.New(fault.Quota, "Spent.")
		bad := map[string]rag.Embedder{
			"an error":         func(context.Context, []string) ([][]float32, error) { return nil, cause },
			"too few":          func(context.Context, []string) ([][]float32, error) { return nil, nil },
			"a zero vector":    func(context.Context, []string) ([][]float32, error) { return [][]float32{make([]float32, 64)}, nil },
			"no dimensions":    func(context.Context, []string) ([][]float32, error) { return [][]float32{{}}, nil },
			"not a number":     func(context.Context, []string) ([][]float32, error) { return [][]float32{{float32(math.NaN())}}, nil },
			"other dimensions": (&Trigrams{Dimensions: 65}).Embed,
		}
		for name, embed := range bad {
			for _, id := range []string{"old", "new"} {
				d := rag.Document{Key: rag.Key{Collection: "docs", ID: id}, Kind: rag.Text, Text: "New storks.", Embedding: m.Model, Embed: embed}
				_, _, err := r.Put(r.Context(), r.tenant, d)
				if err == nil || name == "an error" && !errors.Is(err, fault.Quota) {
					r.Errorf("%s: Put = %v", name, err)
				}
				if name == "other dimensions" {
					r.refused(name, err, fault.Conflict, "docs", m.Model, "64", "65")
				}
			}
			d := rag.Document{Key: rag.Key{Collection: "fresh", ID: "new"}, Kind: rag.Text, Text: "New storks.", Embedding: m.Model, Embed: embed}
			if name == "other dimensions" {
				continue
			}
			if _, _, err := r.Put(r.Context(), r.tenant, d); err == nil {
				r.Errorf("%s: Put into a new collection succeeds", name)
			}
		}
		r.missing(rag.Key{Collection: "docs", ID: "new"})
		r.missing(rag.Key{Collection: "fresh", ID: "new"})
		r.finds(rag.Query{Collection: "docs", Text: "storks"})
		r.finds(asks(m, "docs", "herons"), "old")
		if got, err := r.Get(r.Context(), r.tenant, old.Key); err != nil || got.Text != "Old herons." {
			r.Errorf("Get = %+v, %v", got, err)
		}
		if got := r.lists(rag.Key{}, 10); len(got) != 1 {
			r.Errorf("listing = %q", got)
		}
	}},
	{"vectors of two models do not mix", func(r *reader) {
		one, two := &Trigrams{Model: "p/one", Dimensions: 64}, &Trigrams{Model: "p/two", Dimensions: 64}
		r.embed(one, "docs", "a", "Herons.", "")
		for _, id := range []string{"a", "b"} {
			_, _, err := r.tryEmbed(two, "docs", id, "Storks.", "")
			r.refused("Put of "+id, err, fault.Conflict, "docs", "p/one", "p/two")
		}
		if two.Texts.Load() != 0 {
			r.Error("vectors were made for a document that is refused")
		}
		_, _, err := r.Put(r.Context(), r.tenant, rag.Document{Key: rag.Key{Collection: "docs", ID: "b"}, Kind: rag.Text, Text: "Storks."})
		r.refused("Put without a model", err, fault.Conflict, "docs", "p/one")
		_, err = r.Search(r.Context(), r.tenant, rag.Query{Collection: "docs", Text: "herons", Limit: 5, Embedding: two.Model, Embed: two.Embed})
		r.refused("Search", err, fault.Conflict, "docs", "p/one", "p/two")
		if two.Texts.Load() != 0 {
			r.Error("a vector was made for a search that is refused")
		}
		_, err = r.Search(r.Context(), r.tenant, rag.Query{Collection: "docs", Text: "herons", Limit: 5, Embedding: one.Model, Embed: (&Trigrams{Dimensions: 65}).Embed})
		r.refused("Search with 65 dimensions", err, fault.Conflict, "docs", "64", "65")
		r.missing(rag.Key{Collection: "docs", ID: "b"})
		r.finds(rag.Query{Collection: "docs", Text: "storks"})
		r.finds(asks(one, "docs", "herons"), "a")
		r.embed(two, "other", "b", "Storks.", "")
		r.finds(asks(two, "other", "storks"), "b")
	}},
	{"a question's vector is made where there are others", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 64}
		r.embed(m, "meant", "a", "Herons.", "")
		if _, _, err := r.Put(r.Context(), r.tenant, rag.Document{Key: rag.Key{Collection: "plain", ID: "a"}, Kind: rag.Text, Text: "Herons."}); err != nil {
			r.Fatal(err)
		}
		for collection, want := range map[string]int64{"meant": 1, "plain": 0, "empty": 0} {
			m.Texts.Store(0)
			hits, err := r.Search(r.Context(), r.tenant, rag.Query{Collection: collection, Text: "herons", Limit: 5, Embedding: m.Model, Embed: m.Embed})
			if n := m.Texts.Load(); err != nil || n != want || (len(hits) == 1) != (collection != "empty") {
				r.Errorf("Search(%s) = %d hits, %v, with %d vectors made, want %d", collection, len(hits), err, n, want)
			}
		}
		m.Err = fault.New(fault.Timeout, "too late")
		if _, err := r.Search(r.Context(), r.tenant, rag.Query{Collection: "meant", Text: "herons", Limit: 5, Embedding: m.Model, Embed: m.Embed}); !errors.Is(err, fault.Timeout) {
			r.Errorf("Search with a model that fails = %v, want its error", err)
		}
		none := func(context.Context, []string) ([][]float32, error) { return nil, nil }
		r.finds(rag.Query{Collection: "meant", Text: "herons", Embedding: m.Model, Embed: none}, "a")
	}},
	{"a collection changes its model while a question's vector is made", func(r *reader) {
		one, two := &Trigrams{Model: "p/one", Dimensions: 64}, &Trigrams{Model: "p/two", Dimensions: 96}
		for collection, next := range map[string]rag.Document{
			"other": {Kind: rag.Text, Text: "Herons.", Embedding: two.Model, Embed: two.Embed},
			"none":  {Kind: rag.Text, Text: "Herons."},
		} {
			r.embed(one, collection, "old", "Herons.", "")
			next.Key = rag.Key{Collection: collection, ID: "new"}
			change := func(ctx context.Context, texts []string) ([][]float32, error) {
				if err := r.Delete(ctx, r.tenant, rag.Key{Collection: collection, ID: "old"}); err != nil {
					return nil, err
				}
				if _, _, err := r.Put(ctx, r.tenant, next); err != nil {
					return nil, err
				}
				return one.Embed(ctx, texts)
			}
			hits, err := r.Search(r.Context(), r.tenant, rag.Query{Collection: collection, Text: "herons", Limit: 5, Embedding: one.Model, Embed: change})
			if err != nil || slices.ContainsFunc(hits, func(h rag.Hit) bool { return h.ID != "new" }) {
				r.Errorf("Search(%s) = %v, %v, want nothing but what is there now", collection, hits, err)
			}
			r.finds(rag.Query{Collection: collection, Text: "herons"}, "new")
		}
	}},
	{"the first documents of two models race", func(r *reader) {
		models := []*Trigrams{{Model: "p/one", Dimensions: 64}, {Model: "p/two", Dimensions: 64}, {Model: "p/two", Dimensions: 96}}
		for i, rivals := range [][2]*Trigrams{{models[0], models[1]}, {models[1], models[2]}} {
			collection := fmt.Sprintf("race%d", i)
			var ready, over sync.WaitGroup
			ready.Add(len(rivals))
			errs := make([]error, len(rivals))
			for n, m := range rivals {
				d := rag.Document{Key: rag.Key{Collection: collection, ID: fmt.Sprint(n)}, Kind: rag.Text, Text: "Herons.", Embedding: m.Model}
				d.Embed = func(ctx context.Context, texts []string) ([][]float32, error) {
					ready.Done() // both have seen an empty collection
					ready.Wait()
					return m.Embed(ctx, texts)
				}
				over.Go(func() { _, _, errs[n] = r.Put(r.Context(), r.tenant, d) })
			}
			over.Wait()
			won := slices.Index(errs, nil)
			if won < 0 || errs[1-won] == nil || !errors.Is(errs[1-won], fault.Conflict) && !errors.Is(errs[1-won], fault.Invalid) {
				r.Errorf("race %d ends with %v, want one winner", i, errs)
				continue
			}
			r.finds(asks(rivals[won], collection, "herons"), fmt.Sprint(won))
			r.missing(rag.Key{Collection: collection, ID: fmt.Sprint(1 - won)})
		}
	}},
	{"an empty collection takes any model", func(r *reader) {
		one, two := &Trigrams{Model: "p/one", Dimensions: 64}, &Trigrams{Model: "p/two", Dimensions: 96}
		empty := func(id string) {
			r.Helper()
			if err := r.Delete(r.Context(), r.tenant, rag.Key{Collection: "docs", ID: id}); err != nil {
				r.Fatal(err)
			}
		}
		r.embed(one, "docs", "a", "Herons.", "")
		empty("a")
		r.embed(two, "docs", "b", "Heroines.", "")
		r.finds(asks(two, "docs", "herons"), "b")
		empty("b")
		r.put("docs", "c", "Herons.", "")
		r.finds(asks(one, "docs", "heron"), "c")
		empty("c")
		r.embed(one, "docs", "d", "Heroines.", "")
		r.finds(asks(one, "docs", "herons"), "d")
	}},
	{"a collection without vectors stays so", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 64}
		r.put("docs", "a", "Herons.", "")
		d := r.embed(m, "docs", "b", "Heroines and herons.", "")
		if d.Embedding != "" || m.Texts.Load() != 0 {
			r.Errorf("Put = %+v after %d texts, want no vectors", d, m.Texts.Load())
		}
		r.finds(asks(m, "docs", "heron"), "a", "b")
		r.finds(asks(m, "docs", "herronns"))
	}},
	{"a document without passages, or of too many, is refused", func(r *reader) {
		one, two := &Trigrams{Model: "p/one", Dimensions: 64}, &Trigrams{Model: "p/two", Dimensions: 96}
		refuse := func(id string) {
			for _, c := range []struct {
				kind rag.Kind
				text string
				want fault.Kind
			}{
				{rag.HTML, "<script>herons</script>", fault.Invalid}, {rag.Text, " \n", fault.Invalid}, {rag.Markdown, "", fault.Invalid}, {rag.Code, "\t", fault.Invalid},
				{rag.Markdown, strings.Repeat("# Herons\nfly\n", rag.MaxPassages+1), fault.TooLarge},
			} {
				d := rag.Document{Key: rag.Key{Collection: "docs", ID: id}, Kind: c.kind, Text: c.text, Embedding: one.Model, Embed: one.Embed}
				_, changed, err := r.Put(r.Context(), r.tenant, d)
				r.refused(fmt.Sprintf("Put of %.30q", c.text), err, c.want, "'text'")
				if f := fault.As(err); f != nil && f.Param != "text" || changed {
					r.Errorf("Put of %.30q = %v, %+v, want a fault of the text", c.text, changed, f)
				}
			}
		}
		refuse("nothing")
		if n := one.Texts.Load(); n > 0 {
			r.Errorf("%d vectors are made of nothing", n)
		}
		if got := r.lists(rag.Key{}, 10); len(got) > 0 {
			r.Errorf("listing = %q", got)
		}
		r.embed(two, "docs", "a", "Herons.", "")
		refuse("a")
		r.missing(rag.Key{Collection: "docs", ID: "nothing"})
		r.finds(asks(two, "docs", "herons"), "a")
	}},
	{"filters and limits hold for vectors", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 128}
		r.embed(m, "docs", "long", essay("whales"), `{"lang":"en"}`)
		for i := range 30 {
			r.embed(m, "docs", fmt.Sprintf("loud%d", i), fmt.Sprintf("Chapter sentence tells of herons %d.", i), `{"lang":"fr"}`)
		}
		r.embed(m, "docs", "quiet", "Of whales.", `{"lang":["en","is"]}`)
		f, err := rag.ParseFilter("filter", []byte(`{"lang":"en"}`))
		if err != nil {
			r.Fatal(err)
		}
		q := asks(m, "docs", "chappter sentance tels hairons")
		q.Limit, q.PerDoc, q.Filter = 2, 1, f
		r.finds(q, "long", "quiet")
		q.PerDoc = 2
		r.finds(q, "long", "long")
		q.Filter, q.Limit, q.PerDoc = nil, 40, 1
		seen := map[string]bool{}
		for _, h := range r.search(q) {
			if seen[h.ID] {
				r.Errorf("%s is there twice", h.ID)
			}
			seen[h.ID] = true
		}
		if len(seen) != 32 {
			r.Errorf("%d documents of 32 are found", len(seen))
		}
	}},
	{"vectors of tenants are apart", func(r *reader) {
		one, two := &Trigrams{Model: "p/one", Dimensions: 64}, &Trigrams{Model: "p/two", Dimensions: 64}
		r.embed(one, "docs", "mine", "Secret salamander.", "")
		o := r.as(r.tenant + "x")
		o.finds(asks(one, "docs", "secret salamander"))
		o.embed(two, "docs", "theirs", "Open secret.", "")
		o.finds(asks(two, "docs", "secret salamander"), "theirs")
		r.finds(asks(one, "docs", "secret salamander"), "mine")
	}},
	{"deleted vectors are gone", func(r *reader) {
		m := &Trigrams{Model: "p/one", Dimensions: 64}
		d := r.embed(m, "docs", "a", essay("whales"), "")
		r.embed(m, "docs", "b", "Herons.", "")
		if err := r.Delete(r.Context(), r.tenant, d.Key); err != nil {
			r.Fatal(err)
		}
		r.finds(asks(m, "docs", "chapter whales"), "b")
		r.embed(m, "docs", "c", "Whales.", "")
		r.finds(asks(m, "docs", "whals"), "c", "b")
	}},
}
