package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// Library is a place for documents in both of its roles.
type Library interface {
	rag.Library
	rag.Searcher
}

// RunLibrary is the contract of libraries. It calls open once per subtest;
// backends may return the same library each time, since every subtest has
// tenants of its own.
func RunLibrary(t *testing.T, open func(t *testing.T) Library) {
	for _, c := range slices.Concat(libraryCases, passageCases, vectorCases) {
		t.Run(c.name, func(t *testing.T) {
			c.run(&reader{T: t, Library: open(t), tenant: "t-" + requestid.New(time.Now())})
		})
	}
}

// reader is a tenant at work in a library.
type reader struct {
	*testing.T
	Library
	tenant string
}

// as is the same library for another tenant.
func (r *reader) as(tenant string) *reader { return &reader{r.T, r.Library, tenant} }

func (r *reader) put(collection, id, text, metadata string) (rag.Document, bool) {
	r.Helper()
	d := rag.Document{Key: rag.Key{Collection: collection, ID: id}, Kind: rag.Text, Text: text}
	if metadata != "" {
		d.Metadata = json.RawMessage(metadata)
	}
	d, changed, err := r.Put(r.Context(), r.tenant, d)
	if err != nil {
		r.Fatalf("Put(%s, %s) = %v", collection, id, err)
	}
	return d, changed
}

func (r *reader) search(q rag.Query) []rag.Hit {
	r.Helper()
	if q.Limit == 0 {
		q.Limit = 10
	}
	hits, err := r.Search(r.Context(), r.tenant, q)
	if err != nil {
		r.Fatalf("Search(%+v) = %v", q, err)
	}
	return hits
}

// finds checks the ids of the hits, best first.
func (r *reader) finds(q rag.Query, want ...string) {
	r.Helper()
	var got []string
	for _, h := range r.search(q) {
		if h.Collection != q.Collection {
			r.Errorf("a hit in %q for a search in %q", h.Collection, q.Collection)
		}
		got = append(got, h.ID)
	}
	if !slices.Equal(got, want) {
		r.Errorf("hits of %q for %q = %q, want %q", r.tenant, q.Text, got, want)
	}
}

// lists returns the keys of a whole listing, sorted, page by page.
func (r *reader) lists(of rag.Key, page int) []string {
	r.Helper()
	var keys []string
	for after := ""; ; {
		docs, next, err := r.Documents(r.Context(), r.tenant, of, after, page)
		if err != nil {
			r.Fatalf("Documents(%v, %q) = %v", of, after, err)
		}
		if len(docs) > page || next != "" && len(docs) != page || next != "" && next == after {
			r.Fatalf("%d documents of at most %d, and next = %q after %q", len(docs), page, next, after)
		}
		for _, d := range docs {
			if d.Text != "" {
				r.Errorf("the listing has the text of %v", d.Key)
			}
			keys = append(keys, d.Collection+"/"+d.ID)
		}
		if next == "" {
			slices.Sort(keys)
			return keys
		}
		after = next
	}
}

func (r *reader) missing(k rag.Key) {
	r.Helper()
	if d, err := r.Get(r.Context(), r.tenant, k); !errors.Is(err, fault.NotFound) {
		r.Errorf("Get(%s, %v) = %+v, %v, want not_found", r.tenant, k, d, err)
	}
}

// essay is a document of several passages; all have the word "chapter".
func essay(about string) string {
	var b strings.Builder
	for i := range 120 {
		fmt.Fprintf(&b, "Chapter sentence %d tells of %s and little else.\n\n", i, about)
	}
	return b.String()
}

type libraryCase struct {
	name string
	run  func(r *reader)
}

var libraryCases = []libraryCase{
	{"what was stored is found at once", func(r *reader) {
		d, changed := r.put("docs", "a", "Budgets hold money in nano-dollars.", `{"b": 1, "a": ["x"]}`)
		if !changed || d.Passages != 1 || d.Created.IsZero() {
			r.Errorf("Put = %+v, %v", d, changed)
		}
		got, err := r.Get(r.Context(), r.tenant, d.Key)
		if diff := cmp.Diff(d, got); err != nil || diff != "" {
			r.Errorf("Get = %v, (-put +got):\n%s", err, diff)
		}
		hits := r.search(rag.Query{Collection: "docs", Text: "how is money held?"})
		if len(hits) != 1 || hits[0].Score <= 0 {
			r.Fatalf("hits = %+v", hits)
		}
		want := rag.Hit{Key: d.Key, Text: d.Text, Metadata: d.Metadata, Score: hits[0].Score}
		if diff := cmp.Diff(want, hits[0]); diff != "" {
			r.Errorf("hit (-want +got):\n%s", diff)
		}
	}},
	{"storing the same again changes nothing", func(r *reader) {
		first, _ := r.put("docs", "a", "Budgets.", `{"a":1}`)
		again, changed := r.put("docs", "a", "Budgets.", `{"a":1}`)
		if changed || !cmp.Equal(first.Created, again.Created) || again.Passages != 1 {
			r.Errorf("second Put = %+v, changed %v", again, changed)
		}
		r.finds(rag.Query{Collection: "docs", Text: "budget"}, "a")
		if _, changed := r.put("docs", "a", "Budgets.", `{"a":2}`); !changed {
			r.Error("other metadata are no change")
		}
		r.finds(rag.Query{Collection: "docs", Text: "budget", Filter: rag.Filter{rag.Labels(json.RawMessage(`{"a":1}`))}})
		r.finds(rag.Query{Collection: "docs", Text: "budget", Filter: rag.Filter{rag.Labels(json.RawMessage(`{"a":2}`))}}, "a")
	}},
	{"a replaced document leaves nothing behind", func(r *reader) {
		r.put("docs", "a", essay("whales"), "")
		d, changed := r.put("docs", "a", "Only herons.", "")
		if !changed || d.Passages != 1 {
			r.Errorf("Put = %+v, %v", d, changed)
		}
		r.finds(rag.Query{Collection: "docs", Text: "whales chapter"})
		r.finds(rag.Query{Collection: "docs", Text: "heron"}, "a")
		if got := r.lists(rag.Key{}, 10); !slices.Equal(got, []string{"docs/a"}) {
			r.Errorf("listing = %q", got)
		}
	}},
	{"a deleted document is gone", func(r *reader) {
		d, _ := r.put("docs", "a", essay("whales"), "")
		r.put("docs", "b", "Whales too.", "")
		if err := r.Delete(r.Context(), r.tenant, d.Key); err != nil {
			r.Fatalf("Delete = %v", err)
		}
		r.missing(d.Key)
		r.finds(rag.Query{Collection: "docs", Text: "whales"}, "b")
		if got := r.lists(rag.Key{}, 10); !slices.Equal(got, []string{"docs/b"}) {
			r.Errorf("listing = %q", got)
		}
		if err := r.Delete(r.Context(), r.tenant, d.Key); !errors.Is(err, fault.NotFound) {
			r.Errorf("second Delete = %v, want not_found", err)
		}
		r.put("docs", "a", "Whales again.", "")
		r.finds(rag.Query{Collection: "docs", Text: "again"}, "a")
	}},
	{"no tenant sees another's documents", func(r *reader) {
		key := rag.Key{Collection: "docs", ID: "a"}
		others := []*reader{r.as(r.tenant + "x"), r.as(r.tenant[:len(r.tenant)-1]), r.as(strings.ToUpper(r.tenant)), r.as(r.tenant + ".docs")}
		r.put(key.Collection, key.ID, "My secret salamander.", `{"lang":"go"}`)
		for _, o := range others {
			o.missing(key)
			o.finds(rag.Query{Collection: "docs", Text: "secret salamander"})
			if got := o.lists(rag.Key{}, 10); len(got) > 0 {
				r.Errorf("%s lists %q", o.tenant, got)
			}
			if err := o.Delete(r.Context(), o.tenant, key); !errors.Is(err, fault.NotFound) {
				r.Errorf("Delete by %s = %v, want not_found", o.tenant, err)
			}
			o.put(key.Collection, key.ID, "A salamander of "+o.tenant, "")
			o.finds(rag.Query{Collection: "docs", Text: "secret"})
		}
		r.finds(rag.Query{Collection: "docs", Text: "salamander"}, "a")
		if got, err := r.Get(r.Context(), r.tenant, key); err != nil || got.Text != "My secret salamander." {
			r.Errorf("after others used the same names: %q, %v", got.Text, err)
		}
		if err := others[0].Delete(r.Context(), others[0].tenant, key); err != nil {
			r.Error(err)
		}
		r.finds(rag.Query{Collection: "docs", Text: "salamander"}, "a")
		others[1].finds(rag.Query{Collection: "docs", Text: "salamander"}, "a")
	}},
	{"collections are apart", func(r *reader) {
		r.put("one", "a", "Otters.", "")
		r.put("two", "a", "Otters and otters.", "")
		r.put("two", "b", "Weasels.", "")
		r.finds(rag.Query{Collection: "one", Text: "otter"}, "a")
		r.finds(rag.Query{Collection: "none", Text: "otter"})
		r.missing(rag.Key{Collection: "one", ID: "b"})
		if err := r.Delete(r.Context(), r.tenant, rag.Key{Collection: "one", ID: "a"}); err != nil {
			r.Error(err)
		}
		r.finds(rag.Query{Collection: "two", Text: "otter"}, "a")
	}},
	{"the better passage comes first", func(r *reader) {
		r.put("docs", "both", "Reserve money, then settle the lease.", "")
		r.put("docs", "one", "Reserve a table for two persons.", "")
		r.put("docs", "none", "Streams end with a usage chunk.", "")
		r.put("docs", "name", "Call getUserName to read it.", "")
		r.finds(rag.Query{Collection: "docs", Text: "how are leases reserved and settled"}, "both", "one")
		r.finds(rag.Query{Collection: "docs", Text: "get_user_name"}, "name")
		r.finds(rag.Query{Collection: "docs", Text: "Leases RESERVED", Limit: 1}, "both")
		r.finds(rag.Query{Collection: "docs", Text: "the of and"}, "both")
		r.finds(rag.Query{Collection: "docs", Text: ""})
		r.finds(rag.Query{Collection: "docs", Text: "zebra"})
	}},
	{"a long document has many passages", func(r *reader) {
		d, _ := r.put("docs", "long", essay("whales"), "")
		r.put("docs", "short", "One chapter, which is not long, about harbours and ships and the sea in general, told by those who sailed.", "")
		if d.Passages < 3 {
			r.Fatalf("%d passages", d.Passages)
		}
		all := r.search(rag.Query{Collection: "docs", Text: "chapter whales", Limit: 100})
		seen := map[int]bool{}
		for i, h := range all {
			if i > 0 && h.Score > all[i-1].Score {
				r.Errorf("hit %d is better than the one before it", i)
			}
			if h.ID == "long" {
				seen[h.Passage] = true
				if !strings.Contains(d.Text, h.Text) {
					r.Errorf("passage %d is no part of its document", h.Passage)
				}
			}
		}
		if len(seen) != d.Passages {
			r.Errorf("%d passages of %d are found", len(seen), d.Passages)
		}
		r.finds(rag.Query{Collection: "docs", Text: "chapter whales", PerDoc: 1, Limit: 2}, "long", "short")
		r.finds(rag.Query{Collection: "docs", Text: "chapter whales", PerDoc: 2, Limit: 2}, "long", "long")
	}},
	{"filters hold", func(r *reader) {
		r.put("docs", "go", "Channels of communication.", `{"lang":"go","year":2024,"tags":["x","y"]}`)
		r.put("docs", "rust", "Channels of communication.", `{"lang":"rust","year":2025,"draft":true}`)
		r.put("docs", "bare", "Channels of communication.", "")
		for filter, want := range map[string][]string{
			`{"lang":"go"}`: {"go"}, `{"lang":["go","rust"],"year":2025}`: {"rust"}, `{"tags":"y"}`: {"go"}, `{"draft":true}`: {"rust"},
			`{"year":"2024"}`: nil, `{"lang":"go","draft":true}`: nil,
		} {
			f, err := rag.ParseFilter("filter", []byte(filter))
			if err != nil {
				r.Fatal(err)
			}
			r.finds(rag.Query{Collection: "docs", Text: "channel", Filter: f}, want...)
		}
	}},
	{"filters tell numbers apart that floating point cannot", func(r *reader) { // they may be what separates customers
		r.put("docs", "mine", "Channels of communication.", `{"customer":1234567890123456789}`)
		r.put("docs", "other", "Channels of communication.", `{"customer":1234567890123456788}`)
		for filter, want := range map[string][]string{
			`{"customer":1234567890123456789}`: {"mine"}, `{"customer":1234567890123456788.0}`: {"other"},
			`{"customer":1234567890123456780}`: nil, `{"customer":1.2345678901234568e18}`: nil,
		} {
			f, err := rag.ParseFilter("filter", []byte(filter))
			if err != nil {
				r.Fatal(err)
			}
			r.finds(rag.Query{Collection: "docs", Text: "channel", Filter: f}, want...)
		}
	}},
	{"a filter does not cost hits", func(r *reader) {
		for i := range 30 {
			r.put("docs", fmt.Sprintf("loud%d", i), "Heron heron heron.", `{"k":"loud"}`)
		}
		r.put("docs", "quiet", "Among many other birds that live here there is a heron.", `{"k":"quiet"}`)
		f, err := rag.ParseFilter("filter", []byte(`{"k":"quiet"}`))
		if err != nil {
			r.Fatal(err)
		}
		r.finds(rag.Query{Collection: "docs", Text: "heron", Limit: 1, Filter: f}, "quiet")
	}},
	{"listings are whole, page by page", func(r *reader) {
		var want []string
		for i := range 7 {
			c := fmt.Sprintf("c%d", i%3)
			r.put(c, fmt.Sprintf("d%d", i), "Text.", "")
			want = append(want, fmt.Sprintf("%s/d%d", c, i))
		}
		r.put("c1", "d0", "Text.", "")
		want = append(want, "c1/d0")
		slices.Sort(want)
		for _, page := range []int{1, 2, 3, 8, 100} {
			if got := r.lists(rag.Key{}, page); !slices.Equal(got, want) {
				r.Errorf("pages of %d = %q, want %q", page, got, want)
			}
		}
		if got := r.lists(rag.Key{Collection: "c0"}, 2); !slices.Equal(got, []string{"c0/d0", "c0/d3", "c0/d6"}) {
			r.Errorf("of c0 = %q", got)
		}
		if got := r.lists(rag.Key{ID: "d0"}, 1); !slices.Equal(got, []string{"c0/d0", "c1/d0"}) {
			r.Errorf("called d0 = %q", got)
		}
		if got := r.lists(rag.Key{Collection: "c2", ID: "d0"}, 1); len(got) > 0 {
			r.Errorf("c2/d0 = %q", got)
		}
	}},
	{"any name is a name", func(r *reader) {
		ids := []string{"docs/read me.md", "ünï \"quoted\" 'x'", "../../etc/passwd", "a", "A", strings.Repeat("x", 256), "%2e", "{}", "日本"}
		for _, id := range ids {
			r.put("My.Docs-1_2", id, "Text of marmots "+id, "")
		}
		for _, id := range ids {
			if d, err := r.Get(r.Context(), r.tenant, rag.Key{Collection: "My.Docs-1_2", ID: id}); err != nil || d.Text != "Text of marmots "+id {
				r.Errorf("Get(%q) = %q, %v", id, d.Text, err)
			}
		}
		r.missing(rag.Key{Collection: "my.docs-1_2", ID: "a"})
		for _, id := range ids {
			if err := r.Delete(r.Context(), r.tenant, rag.Key{Collection: "My.Docs-1_2", ID: id}); err != nil {
				r.Errorf("Delete(%q) = %v", id, err)
			}
		}
		r.finds(rag.Query{Collection: "My.Docs-1_2", Text: "marmots"})
	}},
	{"all kinds", func(r *reader) {
		for _, d := range []rag.Document{
			{Key: rag.Key{ID: "md"}, Kind: rag.Markdown, Text: "# Guide\n\n## Install\n\nRun the installer."},
			{Key: rag.Key{ID: "html"}, Kind: rag.HTML, Text: "<h1>Fish</h1><p>and &quot;chips&quot;</p><script>hiddenword()</script>"},
			{Key: rag.Key{ID: "code"}, Kind: rag.Code, Language: "python", Text: "def read_csv(path):\n    return list(csv.reader(open(path)))"},
		} {
			d.Collection = "docs"
			if _, _, err := r.Put(r.Context(), r.tenant, d); err != nil {
				r.Fatal(err)
			}
			if got, err := r.Get(r.Context(), r.tenant, d.Key); err != nil || got.Text != d.Text || got.Kind != d.Kind || got.Language != d.Language {
				r.Errorf("Get = %+v, %v", got, err)
			}
		}
		r.finds(rag.Query{Collection: "docs", Text: "installing"}, "md")
		r.finds(rag.Query{Collection: "docs", Text: "chips"}, "html")
		r.finds(rag.Query{Collection: "docs", Text: "hiddenword"})
		r.finds(rag.Query{Collection: "docs", Text: "python read csv"}, "code")
	}},
	{"changes and searches at once", func(r *reader) {
		ctx, stop := context.WithCancel(r.Context())
		var writers, readers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for i := range 15 {
					d := rag.Document{Key: rag.Key{Collection: "docs", ID: fmt.Sprintf("d%d", i%5)}, Kind: rag.Text, Text: fmt.Sprintf("Version %d of %d on puffins.", i, w)}
					if _, _, err := r.Put(ctx, r.tenant, d); err != nil {
						r.Errorf("Put = %v", err)
					}
					if i%4 == w {
						if err := r.Delete(ctx, r.tenant, d.Key); err != nil && !errors.Is(err, fault.NotFound) {
							r.Errorf("Delete = %v", err)
						}
					}
				}
			})
		}
		for range 2 {
			readers.Go(func() {
				for ctx.Err() == nil {
					hits, err := r.Search(r.Context(), r.tenant, rag.Query{Collection: "docs", Text: "puffin", Limit: 10})
					if err != nil {
						r.Errorf("Search = %v", err)
						return
					}
					for _, h := range hits {
						if !strings.HasSuffix(h.Text, " on puffins.") {
							r.Errorf("hit = %q", h.Text)
						}
					}
				}
			})
		}
		writers.Wait()
		stop()
		readers.Wait()
		var want []string
		for _, key := range r.lists(rag.Key{}, 10) {
			want = append(want, strings.TrimPrefix(key, "docs/"))
		}
		var got []string
		for _, h := range r.search(rag.Query{Collection: "docs", Text: "puffin"}) {
			got = append(got, h.ID)
			if d, err := r.Get(r.Context(), r.tenant, h.Key); err != nil || d.Text != h.Text {
				r.Errorf("the search has %q, Get has %q, %v", h.Text, d.Text, err)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			r.Errorf("searchable are %q, listed are %q", got, want)
		}
	}},
}
