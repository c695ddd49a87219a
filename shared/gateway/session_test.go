package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// session begins a request whose first call is to model.
func (r *rig) session(model string) (*gateway.Call, *gateway.Session, *gateway.Work) {
	r.t.Helper()
	now := time.Now()
	c, err := r.gateway.Begin(r.t.Context(), requestid.New(now), r.key, "chain", now)
	if err != nil {
		r.t.Fatal(err)
	}
	w := r.work(c, model)
	s, err := r.gateway.Open(r.t.Context(), c, w)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, s, w
}

func (r *rig) work(c *gateway.Call, model string) *gateway.Work {
	r.t.Helper()
	w, err := r.gateway.PrepareChat(r.t.Context(), c, []byte(`{"model":"`+model+`","max_tokens":100,"messages":[{"role":"user","content":"Hello!"}]}`))
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func TestSessionPutsAllCallsOnOneBill(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	c, s, first := r.session("openai/gpt-4o-mini")
	var calls sync.WaitGroup
	for i := range 16 {
		w := first
		if i > 0 {
			w = r.work(c, "openai/gpt-4o")
		}
		calls.Go(func() {
			a, err := s.Answer(t.Context(), w)
			if err != nil || len(a.Choices) != 1 || a.Choices[0].Text.Len() == 0 {
				t.Errorf("Answer = %+v, %v", a, err)
			}
		})
	}
	calls.Wait()
	aside := r.work(c, "openai/gpt-4o")
	aside.Side = true
	if _, err := s.Answer(t.Context(), aside); err != nil {
		t.Error(err)
	}
	r.gateway.Settle(t.Context(), c, 200, nil)
	if rec := c.Record; rec.InputTokens != 16*billed.Input || rec.OutputTokens != 16*billed.Output || rec.Attempts != 17 || len(rec.Tried) != 17 {
		t.Errorf("record = %d in, %d out, %d attempts, %d tried, want the sum of 16 answers and 17 attempts", rec.InputTokens, rec.OutputTokens, rec.Attempts, len(rec.Tried))
	}
	var sum usage.Nano
	for _, a := range c.Record.Tried {
		sum += a.Cost
	}
	if got := r.books(); got != sum || sum == 0 || len(r.vault.records) != 1 {
		t.Errorf("the ledger has %d records of $%s, want one of $%s", len(r.vault.records), got.USD(), sum.USD())
	}
}

// TestTopUpsSayWhatIsHeld: all of them, not only the first, so that none takes
// a write that is bound to fail.
func TestTopUpsSayWhatIsHeld(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	c, s, w := r.session("openai/gpt-4o-mini")
	for range 4 {
		if _, err := s.Answer(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		w = r.work(c, "openai/gpt-4o-mini")
	}
	r.gateway.Settle(t.Context(), c, 200, nil)
	if r.vault.topups != 3 || r.vault.stale != 0 {
		t.Errorf("%d top-ups, %d of which did not know what the lease held, want 3 and none", r.vault.topups, r.vault.stale)
	}
	r.books()
}

func TestSessionStopsAtTheBudget(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}},
		func(u *admission.User, _ *admission.Rule) { u.Day = usage.FromUSD(0.0005) })
	c, s, w := r.session("openai/gpt-4o-mini")
	var err error
	calls := 0
	for ; err == nil && calls < 100; calls++ {
		_, err = s.Answer(t.Context(), w)
		w = r.work(c, "openai/gpt-4o-mini")
	}
	r.gateway.Settle(t.Context(), c, 429, err)
	if !errors.Is(err, fault.Quota) || calls < 3 {
		t.Errorf("after %d calls: %v, want insufficient_quota after some", calls, err)
	}
	if spent := r.books(); spent > usage.FromUSD(0.0005) || spent == 0 {
		t.Errorf("spent $%s of $0.0005", spent.USD())
	}
}

func TestSessionAsksForEveryModel(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}},
		func(_ *admission.User, k *admission.Rule) { k.Models = []string{"openai/gpt-4o-mini"} })
	c, s, w := r.session("openai/gpt-4o-mini")
	if err := s.Allows(w); err != nil {
		t.Errorf("Allows(gpt-4o-mini) = %v", err)
	}
	if err := s.Allows(r.work(c, "openai/gpt-4o")); !errors.Is(err, fault.Forbidden) {
		t.Errorf("Allows(gpt-4o) = %v, want forbidden", err)
	}
	r.gateway.Settle(t.Context(), c, 403, nil)
	r.books()
}

// TestSessionOutlivesAFailedCall: what failed is on the bill, what follows
// runs, and the record shows the sum.
func TestSessionOutlivesAFailedCall(t *testing.T) {
	n := 0
	flaky := func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		if n++; n == 2 {
			return &fault.Error{Kind: fault.Invalid, Provider: "openai", Status: 400, Message: "no"}
		}
		return says("openai")(ctx, req, emit)
	}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", flaky)}}, nil)
	c, s, w := r.session("openai/gpt-4o-mini")
	var got []string
	for range 3 {
		_, err := s.Answer(t.Context(), w)
		got = append(got, fmt.Sprint(err == nil))
		w = r.work(c, "openai/gpt-4o-mini")
	}
	r.gateway.Settle(t.Context(), c, 200, nil)
	if want := "[true false true]"; fmt.Sprint(got) != want || c.Record.OutputTokens != 2*billed.Output {
		t.Errorf("calls = %v with %d tokens, want %s with %d", got, c.Record.OutputTokens, want, 2*billed.Output)
	}
	r.books()
}

// vectors gives every text a vector of its length and its first byte.
type vectors struct{}

func (vectors) Embed(_ context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	out := &llm.Embeddings{Usage: &llm.Usage{Input: 7}}
	for _, s := range req.Inputs {
		out.Vectors = append(out.Vectors, []float32{float32(len(s)), float32(s[0])})
	}
	return out, nil
}

func TestSessionMakesVectors(t *testing.T) {
	in := instance("openai", says("openai"))
	in.Embeds, in.Embedder = true, vectors{}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
	c, s, w := r.session("openai/gpt-4o-mini")
	if _, err := s.Answer(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	w, err := r.gateway.PrepareVectors(t.Context(), c, "openai/text-embedding-3-small", []string{"a", "\"b\"\n"})
	if err != nil {
		t.Fatal(err)
	}
	w.Side = true
	got, err := s.Vectors(t.Context(), w)
	if err != nil || fmt.Sprint(got) != "[[1 97] [4 34]]" {
		t.Errorf("Vectors = %v, %v", got, err)
	}
	r.gateway.Settle(t.Context(), c, 200, nil)
	if rec := c.Record; rec.InputTokens != billed.Input || len(rec.Tried) != 2 || rec.Tried[1].InputTokens != 7 || rec.Tried[1].Cost == 0 {
		t.Errorf("record = %d tokens, tried %+v, want the answer's tokens and both calls", rec.InputTokens, rec.Tried)
	}
	r.books()
}

// TestUnknownPricesMatterToBudgets: a later call without a known price is let
// through for those who have no budget, and refused to the others.
func TestUnknownPricesMatterToBudgets(t *testing.T) {
	own := gateway.Instance{Name: "own", Kind: "openai", Chats: true, Chat: says("own"), Own: []string{"llama"}}
	for _, month := range []usage.Nano{usage.None, usage.Dollar} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai")), own}}, func(u *admission.User, _ *admission.Rule) { u.Month = month })
		c, s, w := r.session("openai/gpt-4o-mini")
		if _, err := s.Answer(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		_, err := s.Answer(t.Context(), r.work(c, "own/llama"))
		if budgeted := month != usage.None; (err != nil) != budgeted || budgeted && !errors.Is(err, fault.Quota) {
			t.Errorf("with a budget: %t; a model without a price = %v", budgeted, err)
		}
		r.gateway.Settle(t.Context(), c, 200, err)
		r.books()
	}
}

// TestOverheadIsOurOwnTime: waiting for a provider, for an answer as for a
// vector, is not.
func TestOverheadIsOurOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			time.Sleep(time.Second)
			return says("openai")(ctx, req, emit)
		})
		in.Embeds, in.Embedder = true, slow{}
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
		c, s, w := r.session("openai/gpt-4o-mini")
		time.Sleep(time.Millisecond) // ours
		v, err := r.gateway.PrepareVectors(t.Context(), c, "openai/text-embedding-3-small", []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		v.Side = true
		if _, err := s.Vectors(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // ours
		var first time.Duration
		err = s.Chat(t.Context(), w, func(*llm.Event) error {
			if first == 0 {
				first = c.Overhead()
			}
			time.Sleep(time.Second)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // ours
		if last := c.Overhead(); first != 2*time.Millisecond || last != 3*time.Millisecond {
			t.Errorf("Overhead = %v at the first event and %v at the end, want 2ms and 3ms", first, last)
		}
		r.gateway.Settle(t.Context(), c, 200, nil)
	})
}

// slow takes its time to make vectors.
type slow struct{}

func (slow) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	time.Sleep(time.Second)
	return vectors{}.Embed(ctx, req)
}
