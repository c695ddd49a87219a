package gateway_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/gateway"
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
