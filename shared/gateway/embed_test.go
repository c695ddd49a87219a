package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const small = "openai/text-embedding-3-small"

// scripted is an embedder that notes what it is asked and answers, unless the
// test says otherwise, with a vector of each text's length and mark.
type scripted struct {
	limit  llm.Batch
	mark   float32
	raw    bool // answer in OpenAI's format
	before func(ctx context.Context, req *llm.EmbedRequest) error

	mu            sync.Mutex
	calls         [][]string // inputs
	bodies        []string
	running, most int
}

func (s *scripted) Batch(string) llm.Batch { return s.limit }

func (s *scripted) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	inputs := slices.Clone(req.Inputs)
	for _, ids := range req.Tokens {
		inputs = append(inputs, fmt.Sprint(ids))
	}
	s.mu.Lock()
	s.calls, s.bodies = append(s.calls, inputs), append(s.bodies, string(req.Raw))
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if s.before != nil {
		if err := s.before(ctx, req); err != nil {
			return nil, err
		}
	}
	out := &llm.Embeddings{Model: "as " + req.Model, Usage: &llm.Usage{}}
	for _, text := range inputs {
		out.Vectors = append(out.Vectors, s.vector(text))
		out.Usage.Input += int64(len(text))
	}
	if s.raw {
		out.Raw = []byte(`{"data":[`)
		for i, v := range out.Vectors {
			out.Raw = fmt.Appendf(out.Raw, `%s{"index":%d,"embedding":[%g,%g]}`, strings.Repeat(",", min(i, 1)), i, v[0], v[1])
		}
		out.Raw, out.Vectors = append(out.Raw, `]}`...), nil
	}
	return out, nil
}

func (s *scripted) vector(text string) []float32 { return []float32{float32(len(text)), s.mark} }

func (s *scripted) asked() (inputs []string) {
	for _, c := range s.calls {
		inputs = append(inputs, c...)
	}
	return inputs
}

// place is a provider with OpenAI's prices.
func place(name string, s *scripted) gateway.Instance {
	return gateway.Instance{Name: name, Kind: "openai", Catalog: "openai", Embeds: true, Embedder: s}
}

// embedded is what became of a request for vectors.
type embedded struct {
	out    *llm.Embeddings
	err    error
	record usage.Record
	cache  string
}

func (r *rig) embed(ctx context.Context, body string) embedded {
	r.t.Helper()
	now := time.Now()
	c, err := r.gateway.Begin(ctx, requestid.New(now), r.key, "embeddings", now)
	if err != nil {
		r.t.Fatal(err)
	}
	_, out, err := r.gateway.Embed(ctx, c, []byte(body))
	r.gateway.Settle(ctx, c, 0, err)
	return embedded{out, err, c.Record, c.Cache}
}

// ask is the body of a request; more is put behind the inputs.
func ask(model string, inputs []string, more string) string {
	body := []byte(`{"model":"` + model + `","input":[`)
	for i, text := range inputs {
		if i > 0 {
			body = append(body, ',')
		}
		body = rawjson.AppendString(body, text)
	}
	return string(body) + "]" + more + "}"
}

// lengths returns n texts of the lengths 1 to n.
func lengths(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Repeat("x", i+1)
	}
	return list
}

// checkVectors checks that an answer has a vector for each text, from s.
func checkVectors(t *testing.T, e embedded, s *scripted, texts []string) {
	t.Helper()
	if e.err != nil {
		t.Fatal(e.err)
	}
	got, err := e.out.Floats(len(texts))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if want := s.vector(text); !slices.Equal(got[i], want) {
			t.Fatalf("vector %d = %v, want %v", i, got[i], want)
		}
	}
}

func total(texts []string) (n int64) {
	for _, text := range texts {
		n += int64(len(text))
	}
	return n
}

func TestLargeRequestsAreCut(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit llm.Batch
		want  []int // inputs per call
		most  int   // calls at a time
	}{
		{"no bound", llm.Batch{}, []int{250}, 1},
		{"inputs", llm.Batch{Inputs: 100}, []int{50, 100, 100}, 3},
		{"one by one", llm.Batch{Inputs: 1}, slices.Repeat([]int{1}, 250), 4},
		{"one by one, eight at a time", llm.Batch{Inputs: 1, Calls: 8}, slices.Repeat([]int{1}, 250), 8},
		{"tokens", llm.Batch{Tokens: 8000}, []int{74, 176}, 2}, // the lengths 1 to 176 are 7,920 tokens, at two bytes each
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{limit: tc.limit, raw: true, before: func(context.Context, *llm.EmbedRequest) error {
					time.Sleep(time.Duration(1 + rand.N(1000))) // they end in any order
					return nil
				}}
				r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
				texts := lengths(250)
				got := r.embed(t.Context(), ask(small, texts, ""))
				checkVectors(t, got, s, texts)
				var sizes []int
				for _, c := range s.calls {
					sizes = append(sizes, len(c))
				}
				slices.Sort(sizes)
				if !slices.Equal(sizes, tc.want) || s.most != tc.most {
					t.Errorf("%d calls of %v inputs, %d at a time, want %v, %d", len(sizes), sizes, s.most, tc.want, tc.most)
				}
				if whole := got.out.Raw != nil; whole != (len(tc.want) == 1) {
					t.Errorf("the answer is the provider's own: %t", whole)
				}
				m, _ := catalog.Lookup("openai", "text-embedding-3-small")
				cost := m.Price.Cost(llm.Usage{Input: total(texts)})
				if rec := got.record; rec.InputTokens != total(texts) || rec.Cost != cost || cost == 0 || rec.Attempts != len(tc.want) || len(rec.Tried) != 0 || got.out.Model != "as text-embedding-3-small" {
					t.Errorf("record = %+v, model %s, want %d tokens, $%s, %d attempts", rec, got.out.Model, total(texts), cost.USD(), len(tc.want))
				}
				if r.books() != cost || len(r.vault.records) != 1 {
					t.Errorf("%d records of $%s, want one of $%s", len(r.vault.records), r.books().USD(), cost.USD())
				}
			})
		})
	}
}

func TestPartsKeepTheBody(t *testing.T) {
	s := &scripted{limit: llm.Batch{Inputs: 2, Calls: 1}}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
	got := r.embed(t.Context(), `{"vendor": 1.0, "input": ["a\u0062", "c" , "d"], "model": "`+small+`"}`)
	if want := []string{`{"vendor": 1.0, "input": ["a\u0062","c"], "model": "` + small + `"}`, `{"vendor": 1.0, "input": ["d"], "model": "` + small + `"}`}; got.err != nil || !slices.Equal(s.bodies, want) {
		t.Errorf("bodies = %v, %v, want %v", s.bodies, got.err, want)
	}
	s.calls = nil
	got = r.embed(t.Context(), `{"input":[[1],[2,3],[4]],"model":"`+small+`"}`)
	if want := [][]string{{"[1]", "[2 3]"}, {"[4]"}}; got.err != nil || !cmp.Equal(s.calls, want) {
		t.Errorf("calls = %v, %v, want %v", s.calls, got.err, want)
	}
	s.calls = nil
	got = r.embed(t.Context(), `{"input":[1,2,3],"model":"`+small+`"}`)
	if want := [][]string{{"[1 2 3]"}}; got.err != nil || !cmp.Equal(s.calls, want) {
		t.Errorf("calls = %v, %v, want %v", s.calls, got.err, want)
	}
}

func TestPartsAreTriedAgainByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := map[string]int{}
		var mu sync.Mutex
		s := &scripted{limit: llm.Batch{Inputs: 1}, before: func(_ context.Context, req *llm.EmbedRequest) error {
			mu.Lock()
			defer mu.Unlock()
			if failed[req.Inputs[0]]++; failed[req.Inputs[0]] < 3 {
				return status(503, fault.Unavailable)
			}
			return nil
		}}
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
		texts := lengths(20)
		got := r.embed(t.Context(), ask(small, texts, ""))
		checkVectors(t, got, s, texts)
		if rec := got.record; rec.Attempts != 60 || rec.InputTokens != total(texts) || len(rec.Tried) != 2 || rec.Tried[0].Status != 503 || rec.Tried[0].Calls != 40 || rec.Tried[1].Calls != 20 || rec.Tried[1].InputTokens != total(texts) {
			t.Errorf("record = %+v, want 60 attempts, in two entries", rec)
		}
		r.books()
	})
}

func TestOneFailureEndsTheOthers(t *testing.T) {
	refusal := &fault.Error{Kind: fault.Invalid, Status: 400, Provider: "openai", Param: "input", Message: "input[1] is too long"}
	started := make(chan struct{}, 10)
	s := &scripted{limit: llm.Batch{Inputs: 2}, before: func(ctx context.Context, req *llm.EmbedRequest) error {
		started <- struct{}{}
		if req.Inputs[0] == strings.Repeat("x", 5) {
			for range 4 { // once all others hang
				<-started
			}
			return refusal
		}
		<-ctx.Done()
		return fault.As(ctx.Err())
	}}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
	got := r.embed(t.Context(), ask(small, lengths(20), ""))
	f := fault.As(got.err)
	if got.out != nil || f.Kind != fault.Invalid || f.Status != 400 || f.Param != "input[5]" || f.Message != "input[5] is too long" {
		t.Errorf("Embed = %v, %#v, want the refusal of input[5]", got.out, f)
	}
	if len(s.calls) != 4 || got.record.Attempts != 4 || got.record.Cost != 0 || got.record.InputTokens != 0 {
		t.Errorf("%d calls, record %+v, want 4 that cost nothing", len(s.calls), got.record)
	}
	r.books()
}

func TestAPanicInAPartIsAnError(t *testing.T) {
	s := &scripted{limit: llm.Batch{Inputs: 1}, before: func(_ context.Context, req *llm.EmbedRequest) error {
		if len(req.Inputs[0]) == 3 {
			panic("ouch")
		}
		return nil
	}}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
	got := r.embed(t.Context(), ask(small, lengths(5), ""))
	if !errors.Is(got.err, fault.Internal) || strings.Contains(fault.As(got.err).Message, "ouch") {
		t.Errorf("Embed = %v, want an internal error that tells nothing", got.err)
	}
	r.books()
}

// TestAPanicIsAFailedCall: it is in the record like any other, and what the
// request has cost elsewhere stands.
func TestAPanicIsAFailedCall(t *testing.T) {
	a := &scripted{mark: 1, before: func(context.Context, *llm.EmbedRequest) error { panic("ouch") }}
	b := &scripted{mark: 2}
	r := newRig(t, two(a, b, &scripted{}), nil)
	got := r.embed(t.Context(), ask("pub", lengths(3), ""))
	checkVectors(t, got, b, lengths(3))
	if rec := got.record; len(rec.Tried) != 2 || rec.Tried[0].Error != string(fault.Internal) || rec.Tried[0].Cost != 0 || rec.Cost == 0 {
		t.Errorf("record %+v, want the panic's attempt and the answer's", rec)
	}
	r.books()
}

func TestThePartsEndWhenTheClientLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := &scripted{limit: llm.Batch{Inputs: 1}, before: func(ctx context.Context, _ *llm.EmbedRequest) error {
		leave()
		<-ctx.Done()
		return fault.As(ctx.Err())
	}}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
	got := r.embed(ctx, ask(small, lengths(50), ""))
	if !errors.Is(got.err, fault.Canceled) || len(s.calls) > 4 {
		t.Errorf("Embed = %v after %d calls, want canceled after at most 4", got.err, len(s.calls))
	}
	r.books()
}

// TestPartsStayWithinTheBudget: an estimate that was too low is raised before a
// call, and where the budget ends, so does the request.
func TestPartsStayWithinTheBudget(t *testing.T) {
	const budget = 2000 * 20 // nano-dollars: two thousand tokens
	s := &scripted{limit: llm.Batch{Inputs: 1, Calls: 1}}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, func(u *admission.User, _ *admission.Rule) { u.Day = budget })
	var texts []string
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("%02d", i)+strings.Repeat("y", 198)) // estimated at 101 tokens, billed 200
	}
	got := r.embed(t.Context(), ask(small, texts[:18], ""))
	if !errors.Is(got.err, fault.Quota) || len(s.calls) < 2 {
		t.Errorf("Embed = %v after %d calls, want insufficient_quota after some", got.err, len(s.calls))
	}
	if spent := r.books(); spent > budget || spent != usage.Nano(len(s.calls)*200*20) {
		t.Errorf("spent %d of %d nano-dollars for %d calls", spent, budget, len(s.calls))
	}
	if got := r.embed(t.Context(), ask(small, texts, "")); !errors.Is(got.err, fault.Quota) || got.record.Attempts != 0 {
		t.Errorf("a request above the budget: %v after %d attempts, want insufficient_quota at once", got.err, got.record.Attempts)
	}
}

// two is a public model with two targets of different models, and a fallback.
func two(a, b, c *scripted) gateway.Set {
	return gateway.Set{Instances: []gateway.Instance{place("a", a), place("b", b), place("c", c)},
		Models: []gateway.Public{{Name: "pub", Policy: router.Policy{Strategy: router.Priority, Retries: 1}, Errors: []string{"c/text-embedding-3-small"},
			Places: []gateway.Place{{Provider: "a", Model: "text-embedding-3-small", Weight: 1}, {Provider: "b", Model: "text-embedding-3-large", Weight: 1}}}}}
}

// TestAllVectorsAreFromOnePlace: where a part had to go elsewhere, all go
// there, since vectors of different models do not compare.
func TestAllVectorsAreFromOnePlace(t *testing.T) {
	down := func(context.Context, *llm.EmbedRequest) error { return broken }
	for _, tc := range []struct {
		name string
		b    *scripted
		want float32
	}{
		{"another target", &scripted{mark: 2, limit: llm.Batch{Inputs: 10}}, 2},
		{"a fallback", &scripted{mark: 2, before: down}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				a := &scripted{mark: 1, limit: llm.Batch{Inputs: 5, Calls: 1}, before: func(context.Context, *llm.EmbedRequest) error {
					if n++; n > 2 {
						return broken
					}
					return nil
				}}
				c := &scripted{mark: 3, limit: llm.Batch{Inputs: 3}}
				r := newRig(t, two(a, tc.b, c), nil)
				texts := lengths(20)
				got := r.embed(t.Context(), ask("pub", texts, ""))
				checkVectors(t, got, &scripted{mark: tc.want}, texts)
				if rec := got.record; rec.InputTokens != total(texts) || rec.Cost <= rec.Tried[len(rec.Tried)-1].Cost || rec.Tried[0].InputTokens != total(texts[:10]) {
					t.Errorf("record = %+v, want the tokens of what is in the answer and the cost of all", rec)
				}
				r.books()
			})
		})
	}
}

// TestFallbacksAreAskedInTheirOwnSize: a part that is too large for a fallback
// is cut for it, and what that answered before it failed is not asked again.
func TestFallbacksAreAskedInTheirOwnSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		a := &scripted{before: func(context.Context, *llm.EmbedRequest) error { return broken }}
		b := &scripted{mark: 2, limit: llm.Batch{Inputs: 4}, before: func(context.Context, *llm.EmbedRequest) error {
			if n++; n == 3 {
				return broken
			}
			return nil
		}}
		r := newRig(t, two(a, b, &scripted{}), nil)
		texts := lengths(10)
		got := r.embed(t.Context(), ask("pub", texts, ""))
		checkVectors(t, got, b, texts)
		if sizes := fmt.Sprint(len(b.calls[0]), len(b.calls[1]), len(b.calls[2]), len(b.calls[3])); sizes != "4 4 2 2" || len(b.calls) != 4 {
			t.Errorf("calls = %v, want 4, 4, 2 and the last again", b.calls)
		}
		r.books()
	})
}

func TestUnevenVectorsAreNoAnswer(t *testing.T) {
	s := &scripted{limit: llm.Batch{Inputs: 1}}
	in := place("openai", s)
	in.Embedder = uneven{s}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
	if got := r.embed(t.Context(), ask(small, lengths(3), "")); !errors.Is(got.err, fault.Upstream) || got.record.Cost == 0 {
		t.Errorf("Embed = %v for $%s, want a broken upstream that was paid", got.err, got.record.Cost.USD())
	}
	r.books()
}

// uneven gives every text a vector of its own length.
type uneven struct{ *scripted }

func (u uneven) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	out, err := u.scripted.Embed(ctx, req)
	if err == nil {
		out.Vectors = [][]float32{make([]float32, len(req.Inputs[0]))}
	}
	return out, err
}
