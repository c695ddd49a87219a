package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestSessionKnowsWhatEachCallCost: the parts add up to the bill, and none was
// dearer than announced.
func TestSessionKnowsWhatEachCallCost(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	c, s, cheap := r.session("openai/gpt-4o-mini")
	dear := r.work(c, "openai/gpt-4o")
	if cost, u := s.Spent(dear); cost != 0 || u.Input != 0 {
		t.Errorf("Spent before the call = %d, %+v, want nothing", cost, u)
	}
	for _, w := range []*gateway.Work{cheap, dear} {
		if _, err := s.Answer(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	r.gateway.Settle(t.Context(), c, 200, nil)
	a, u := s.Spent(cheap)
	b, _ := s.Spent(dear)
	if a == 0 || a >= b || a+b != c.Record.Cost || u != billed {
		t.Errorf("Spent = %d and %d of %d, %+v, want the sum and %+v each", a, b, c.Record.Cost, u, billed)
	}
	if cheap.Most() < a || dear.Most() < b || dear.Most() <= cheap.Most() {
		t.Errorf("Most = %d and %d, want at least %d and %d", cheap.Most(), dear.Most(), a, b)
	}
}

// TestOurBoundIsNoneWhereTheModelsOwnIsLower: a fallback that can write less
// would refuse it, and what ends there was not cut off by us.
func TestOurBoundIsNoneWhereTheModelsOwnIsLower(t *testing.T) {
	for _, tc := range []struct {
		bound   int64
		sent    string
		boundOf int64
	}{
		{8000, "[gpt-4o-mini 8000 gpt-4 0]", 0},
		{2000, "[gpt-4o-mini 2000 gpt-4 2000]", 2000},
		{16_384, "[gpt-4o-mini 0 gpt-4 0]", 0},
	} {
		var sent []any
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			sent = append(sent, req.Model, req.MaxTokens)
			if req.Model == "gpt-4o-mini" {
				return status(400, fault.Upstream)
			}
			return says("openai")(ctx, req, emit)
		})}}, nil)
		c, s, w := r.open(`{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hello!"}],"gateway":{"fallbacks":["openai/gpt-4"]}}`)
		w.Bound(tc.bound)
		_, err := s.Answer(t.Context(), w)
		r.gateway.Settle(t.Context(), c, 200, err)
		if got := fmt.Sprint(sent); err != nil || got != tc.sent || s.BoundOf(w) != tc.boundOf {
			t.Errorf("Bound(%d): %v, %s were asked, BoundOf = %d, want %s and %d", tc.bound, err, got, s.BoundOf(w), tc.sent, tc.boundOf)
		}
		r.books()
	}
}

// TestAnAnswerHasWhatThePromptLeavesOfAWindow that both share.
func TestAnAnswerHasWhatThePromptLeavesOfAWindow(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	c, _, _ := r.session("openai/gpt-4o-mini")
	for _, tc := range []struct {
		model     string
		words     int
		low, high int64
	}{
		{"o3", 10, 100_000, 100_000},
		{"o3", 150_000, 20_000, 50_000},
		{"o3", 300_000, 1, 1},
		{"gpt-5", 200_000, 128_000, 128_000}, // has one for each
	} {
		w, err := r.gateway.PrepareChat(t.Context(), c, fmt.Appendf(nil, `{"model":"openai/%s","messages":[{"role":"user","content":%q}]}`, tc.model, strings.Repeat(" word", tc.words)))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.MaxOutput(); got < tc.low || got > tc.high {
			t.Errorf("%s after %d words: MaxOutput = %d, want %d to %d", tc.model, tc.words, got, tc.low, tc.high)
		}
	}
}
