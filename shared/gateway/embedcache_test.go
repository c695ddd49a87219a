package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// caching is a rig with a cache of a megabyte.
func caching(t testing.TB, set gateway.Set) *rig {
	r := newRig(t, set, nil)
	r.gateway.Vectors = gateway.NewVectorCache(1 << 20)
	return r
}

func one(s *scripted) gateway.Set {
	return gateway.Set{Instances: []gateway.Instance{place("openai", s)}}
}

func TestWhatWasEmbeddedIsRemembered(t *testing.T) {
	for _, raw := range []bool{true, false} {
		s := &scripted{raw: raw}
		r := caching(t, one(s))
		texts := lengths(10)
		first := r.embed(t.Context(), ask(small, texts, ""))
		checkVectors(t, first, s, texts)
		if first.cache != "miss" || (first.out.Raw != nil) != raw {
			t.Errorf("the first answer: %q, raw %t, want a miss and the provider's own", first.cache, first.out.Raw != nil)
		}
		again := r.embed(t.Context(), ask("text-embedding-3-small", texts, `,"encoding_format":"base64","user":"u"`))
		checkVectors(t, again, s, texts)
		if rec := again.record; len(s.calls) != 1 || again.cache != "hit" || rec.Cost != 0 || rec.Reserved != 0 || rec.InputTokens != 0 || rec.Attempts != 0 ||
			rec.Provider != "openai" || rec.Model != "text-embedding-3-small" || again.out.Model != "as text-embedding-3-small" || *again.out.Usage != (llm.Usage{}) {
			t.Errorf("again: %d calls, %s, model %s, %+v; want a hit that costs nothing", len(s.calls), again.cache, again.out.Model, rec)
		}
		mixed := append([]string{"new"}, texts...)
		part := r.embed(t.Context(), ask(small, mixed, ""))
		checkVectors(t, part, s, mixed)
		if rec := part.record; part.cache != "miss" || rec.InputTokens != 3 || rec.Cost != 60 || rec.Reserved != 40 || !cmp.Equal(s.calls[1:], [][]string{{"new"}}) {
			t.Errorf("one of eleven is new: %s, calls %v, %+v; want three tokens for it", part.cache, s.calls[1:], rec)
		}
		if r.books() != usage.Nano(20*(total(texts)+3)) || len(r.vault.records) != 3 {
			t.Errorf("%d records for $%s", len(r.vault.records), r.books().USD())
		}
	}
}

// TestTheCacheTellsRequestsApart: what may give another vector is another
// entry, and what is not understood is not remembered.
// TestAHitIsAllOfARequest: one of several calls that needed nobody is no hit.
func TestAHitIsAllOfARequest(t *testing.T) {
	for want, texts := range map[string][]string{"hit": {"old", "old"}, "miss": {"old", "new", "old"}} {
		in := instance("openai", says("openai"))
		in.Embeds, in.Embedder = true, &scripted{}
		r := caching(t, gateway.Set{Instances: []gateway.Instance{in}})
		r.embed(t.Context(), ask(small, []string{"old"}, ""))
		c, s, _ := r.session("openai/gpt-4o-mini")
		for _, text := range texts {
			w, err := r.gateway.PrepareVectors(t.Context(), c, small, []string{text})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Vectors(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		r.gateway.Settle(t.Context(), c, 200, nil)
		if c.Cache != want {
			t.Errorf("%q: the cache is said to be a %s, want %s", texts, c.Cache, want)
		}
		r.books()
	}
}

func TestTheCacheTellsRequestsApart(t *testing.T) {
	s := &scripted{limit: llm.Batch{Inputs: 1}, before: func(_ context.Context, req *llm.EmbedRequest) error {
		if req.Dimensions == 3 {
			req.Dropped = []string{"dimensions"}
		}
		return nil
	}}
	r := caching(t, one(s))
	for _, tc := range []struct {
		body string
		want string
	}{
		{`{"model":"` + small + `","input":"a"}`, "miss"},
		{`{"model":"` + small + `","input":"a"}`, "hit"},
		{`{"model":"` + small + `","input":["a"],"encoding_format":"base64","dimensions":null}`, "hit"},
		{`{"model":"` + small + `","input":"A"}`, "miss"},
		{`{"model":"` + small + `","input":["a","A"]}`, "hit"},
		{`{"model":"` + small + `","input":"a","dimensions":2}`, "miss"},
		{`{"model":"` + small + `","input":"a","dimensions":2}`, "hit"},
		{`{"model":"` + small + `","input":"a","dimensions":3}`, "miss"},
		{`{"model":"` + small + `","input":"a","dimensions":3}`, "miss"}, // it was dropped: the client must hear of it
		{`{"model":"` + small + `","input":[97]}`, "miss"},
		{`{"model":"` + small + `","input":[97]}`, "hit"},
		{`{"model":"` + small + `","input":"a` + strings.Repeat(`\u0000`, 7) + `"}`, "miss"}, // the same bytes as the token 97
		{`{"model":"` + small + `","input":[[97]]}`, "hit"},
		{`{"model":"` + small + `","input":[97,0]}`, "miss"},
		{`{"model":"` + small + `","input":"a","input_type":"query"}`, "miss"},
		{`{"model":"` + small + `","input":"a","input_type":"query"}`, "hit"},
		{`{"model":"` + small + `","input":"a","input_type":"document"}`, "miss"},
		{`{"model":"` + small + `","input":"a","late_chunking":true}`, ""},
		{`{"model":"` + small + `","input":"a","late_chunking":true}`, ""},
		{`{"model":"` + small + `","input":"a","gateway":{"cache":{"mode":"off"}}}`, ""},
		{`{"model":"` + small + `","input":"a","gateway":{"cache":{"mode":"exact"}}}`, "hit"},
		{`{"model":"openai/text-embedding-3-large","input":"a"}`, "miss"},
		{`{"model":"` + small + `","input":"a"}`, "hit"},
	} {
		calls := len(s.calls)
		got := r.embed(t.Context(), tc.body)
		if got.err != nil || got.cache != tc.want || (len(s.calls) == calls) != (tc.want == "hit") {
			t.Errorf("%s: %q after %d calls, %v, want %q", tc.body, got.cache, len(s.calls)-calls, got.err, tc.want)
		}
	}
}

// TestUsersDoNotShareTheCache: guarantee 3. Not even the time of an answer may
// tell what others have asked.
func TestUsersDoNotShareTheCache(t *testing.T) {
	s := &scripted{}
	ana := caching(t, one(s))
	bob := newRig(t, gateway.Set{}, nil)
	bob.gateway.Models, bob.gateway.Vectors = ana.gateway.Models, ana.gateway.Vectors
	key, hash := admission.NewKey([]byte(pepper), "bob")
	bob.key = key
	bob.vault.account.Keys[hash] = admission.Rule{Expires: admission.Never, Models: []string{"*"}, Scopes: []string{"inference"}}
	for i, tc := range []struct {
		r    *rig
		want string
	}{{ana, "miss"}, {bob, "miss"}, {ana, "hit"}, {bob, "hit"}} {
		if got := tc.r.embed(t.Context(), ask(small, []string{"the secret"}, "")); got.err != nil || got.cache != tc.want || (tc.want == "miss") != (got.record.Cost > 0) {
			t.Errorf("request %d of %s: %q for $%s, %v, want %q", i, got.record.User, got.cache, got.record.Cost.USD(), got.err, tc.want)
		}
	}
	if len(s.calls) != 2 {
		t.Errorf("%d calls, want one for each of them", len(s.calls))
	}
}

func TestTheCacheHasABound(t *testing.T) {
	s := &scripted{}
	r := caching(t, one(s))
	r.gateway.Vectors = gateway.NewVectorCache(20_000) // room for about sixty vectors
	texts := lengths(200)
	for i := range texts {
		r.embed(t.Context(), ask(small, texts[i:i+1], ""))
		r.embed(t.Context(), ask(small, texts[:1], "")) // is asked for all the time, and stays
	}
	if n := len(s.calls); n != 200 {
		t.Errorf("%d calls, want 200", n)
	}
	kept := 0
	for _, text := range slices.Backward(texts) {
		if r.embed(t.Context(), ask(small, []string{text}, "")).cache != "hit" {
			break
		}
		kept++
	}
	if kept < 30 || kept > 20_000/330 {
		t.Errorf("the last %d vectors are there, want about 60", kept)
	}
	if gateway.NewVectorCache(0) != nil {
		t.Error("a cache without room is a cache")
	}
	r.books()
}

// TestVectorsOfTheCacheAreCopies: what callers do with theirs is their affair.
func TestVectorsOfTheCacheAreCopies(t *testing.T) {
	s := &scripted{}
	r := caching(t, one(s))
	for range 3 {
		got := r.embed(t.Context(), ask(small, []string{"abc"}, ""))
		checkVectors(t, got, s, []string{"abc"})
		got.out.Vectors[0][0] = -1
	}
}

// TestTheCacheFollowsTheRoute: remembered vectors count only if the rest of the
// answer is from the same place, and if the request may go there.
func TestTheCacheFollowsTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		a := &scripted{mark: 1, before: func(context.Context, *llm.EmbedRequest) error {
			if down {
				return broken
			}
			return nil
		}}
		b, c := &scripted{mark: 2}, &scripted{mark: 3}
		r := caching(t, two(a, b, c))
		checkVectors(t, r.embed(t.Context(), ask("pub", lengths(4), "")), a, lengths(4))
		if got := r.embed(t.Context(), ask("pub", lengths(4), `,"gateway":{"only":["b"]}`)); got.cache != "miss" || got.record.Provider != "b" {
			t.Errorf("only b: %s from %s, want b to be asked", got.cache, got.record.Provider)
		}
		down = true // b's vectors have taken the place of a's; some are known of neither
		got := r.embed(t.Context(), ask("pub", lengths(6), ""))
		checkVectors(t, got, b, lengths(6))
		if got.record.InputTokens != 5+6 {
			t.Errorf("%d tokens, want those of the two new texts", got.record.InputTokens)
		}
		down = false
		r.embed(t.Context(), ask("pub", []string{"only a has seen this"}, ""))
		mixed := append(lengths(2), "only a has seen this", "nobody has")
		got = r.embed(t.Context(), ask("pub", mixed, ""))
		checkVectors(t, got, b, mixed)
		down = true
		b.before = func(context.Context, *llm.EmbedRequest) error { return broken }
		known := append(lengths(2), "quite new") // remembered from b, which fails
		got = r.embed(t.Context(), ask("pub", known, ""))
		checkVectors(t, got, c, known)
		down, b.before = false, nil
		if got = r.embed(t.Context(), ask("pub", known, "")); got.cache != "miss" || got.record.Provider == "c" {
			t.Errorf("after the outage: %s from %s: a fallback's vectors were remembered", got.cache, got.record.Provider)
		}
		r.books()
	})
}

func TestANewConfigurationEmptiesTheCache(t *testing.T) {
	s := &scripted{}
	r := caching(t, one(s))
	body := ask(small, []string{"a"}, "")
	r.embed(t.Context(), body)
	r.gateway.Models.Use(one(s))
	if got := r.embed(t.Context(), body); got.cache != "miss" {
		t.Errorf("after a new configuration: %s, want a miss", got.cache)
	}
	if got := r.embed(t.Context(), body); got.cache != "hit" {
		t.Errorf("and then: %s, want a hit", got.cache)
	}
}

// TestAModelThatChangesSize: a server may be given another model under the old
// name; its vectors do not mix with what is remembered.
func TestAModelThatChangesSize(t *testing.T) {
	s := &scripted{}
	in := place("openai", s)
	r := caching(t, gateway.Set{Instances: []gateway.Instance{in}})
	r.embed(t.Context(), ask(small, []string{"a", "b"}, ""))
	wide := false
	in.Embedder = embedderFunc(func(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
		out, err := s.Embed(ctx, req)
		for i := range out.Vectors {
			if wide {
				out.Vectors[i] = append(out.Vectors[i], 9)
			}
		}
		return out, err
	})
	r = caching(t, gateway.Set{Instances: []gateway.Instance{in}})
	r.embed(t.Context(), ask(small, []string{"a", "b"}, ""))
	wide = true
	got := r.embed(t.Context(), ask(small, []string{"a", "new", "b"}, ""))
	if got.err != nil || len(got.out.Vectors[0]) != 3 || len(got.out.Vectors[1]) != 3 || len(got.out.Vectors[2]) != 3 || got.record.InputTokens != 5 {
		t.Errorf("Embed = %+v, %v for %d tokens, want three new vectors", got.out, got.err, got.record.InputTokens)
	}
	r.books()
}

type embedderFunc func(context.Context, *llm.EmbedRequest) (*llm.Embeddings, error)

func (f embedderFunc) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	return f(ctx, req)
}

// TestPartialAnswersAreRememberedInPart: refused inputs are asked again.
func TestPartialAnswersAreRememberedInPart(t *testing.T) {
	s := &scripted{before: refusing(true)}
	r := caching(t, one(s))
	texts := []string{"a", "bad", "", "b"}
	for _, calls := range []int{2, 3} {
		got := r.embed(t.Context(), ask(small, texts, partial))
		if got.err != nil || got.out.Failed[1] == nil || got.out.Failed[2] == nil || got.out.Vectors[0] == nil || got.out.Vectors[3] == nil || len(s.calls) != calls {
			t.Fatalf("Embed = %+v, %v after %d calls, want %d", got.out, got.err, len(s.calls), calls)
		}
	}
	if want := []string{"bad"}; !slices.Equal(s.calls[2], want) {
		t.Errorf("the last call was for %v, want %v", s.calls[2], want)
	}
	r.books()
}

func TestManyRequestsShareTheCache(t *testing.T) {
	s := &scripted{limit: llm.Batch{Inputs: 7}}
	r := caching(t, one(s))
	r.gateway.Vectors = gateway.NewVectorCache(30_000)
	var requests sync.WaitGroup
	for i := range 32 {
		requests.Go(func() {
			texts := lengths(20 + i)
			got := r.embed(t.Context(), ask(small, texts, ""))
			vs, err := got.out.Floats(len(texts))
			if got.err != nil || err != nil {
				t.Error(got.err, err)
				return
			}
			for i, v := range vs {
				if v[0] != float32(i+1) {
					t.Errorf("vector %d = %v", i, v)
				}
				v[0] = 0
			}
		})
	}
	requests.Wait()
	if r.books() != usage.Nano(20*total(s.asked())) || len(r.vault.records) != 32 {
		t.Errorf("%d records of $%s, want 32 for what was sent", len(r.vault.records), r.books().USD())
	}
}

// BenchmarkEmbed is one request for vectors of 1,536 dimensions in numbers, as
// OpenAI sends them: without a cache, filling it, and from it.
func BenchmarkEmbed(b *testing.B) {
	numbers := strings.Repeat("-0.023064255,", 1535) + "0.015797101"
	for _, n := range []int{1, 100} {
		var data []string
		for i := range n {
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[%s]}`, i, numbers))
		}
		raw := []byte(`{"object":"list","data":[` + strings.Join(data, ",") + `],"model":"m"}`)
		in := place("openai", nil)
		in.Embedder = embedderFunc(func(context.Context, *llm.EmbedRequest) (*llm.Embeddings, error) {
			return &llm.Embeddings{Raw: raw, Model: "m", Usage: &llm.Usage{Input: 1}}, nil
		})
		for _, bc := range []struct {
			name  string
			cache int64
			vary  bool
		}{{"off", 0, false}, {"miss", 16 << 20, true}, {"hit", 16 << 20, false}} {
			b.Run(fmt.Sprintf("%d/%s", n, bc.name), func(b *testing.B) {
				r := newRig(b, gateway.Set{Instances: []gateway.Instance{in}}, nil)
				r.gateway.Vectors = gateway.NewVectorCache(bc.cache)
				texts := lengths(n)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if i++; bc.vary {
						for k := range texts {
							texts[k] = fmt.Sprint(i, " ", k)
						}
					}
					if got := r.embed(b.Context(), ask(small, texts, "")); got.err != nil {
						b.Fatal(got.err)
					}
				}
			})
		}
	}
}
