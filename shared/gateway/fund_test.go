package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// fund is a budget beside the account's: how it was asked, and what it holds.
type fund struct {
	limit usage.Nano
	asked []usage.Nano
	held  usage.Nano
}

func (f *fund) hold(most usage.Nano) error {
	f.asked = append(f.asked, most)
	if most > f.limit {
		return fault.New(fault.Quota, "The fund has $%s.", f.limit.USD())
	}
	f.held = most
	return nil
}

// talks answers with pieces of 40 bytes until nobody wants more.
func talks(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
	for {
		if err := emit(&llm.Event{Text: strings.Repeat("word", 10)}); err != nil {
			return err
		}
	}
}

// open begins a request with w, whose body is given.
func (r *rig) open(body string) (*gateway.Call, *gateway.Session, *gateway.Work) {
	r.t.Helper()
	now := time.Now()
	c, err := r.gateway.Begin(r.t.Context(), requestid.New(now), r.key, "chain", now)
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := r.gateway.PrepareChat(r.t.Context(), c, []byte(body))
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.gateway.Open(r.t.Context(), c, w)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, s, w
}

const endless = `{"model":"openai/gpt-4o-mini","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"Hello!"}]}`

// TestAFundHoldsWhatTheLeaseDoes: it is asked for no more than the stream needs,
// and has back what the account refused, so that others may use it.
func TestAFundHoldsWhatTheLeaseDoes(t *testing.T) {
	mini, _ := catalog.Lookup("openai", "gpt-4o-mini")
	step := mini.Price.Bound(0, gateway.DefaultMaxTokens) // what a stream asks for at a time
	for _, tc := range []struct {
		name           string
		account, limit usage.Nano
	}{
		{"the account is small", 2 * step / 3, usage.Dollar},
		{"the account has a little more than it asks for", step + step/7, usage.Dollar},
		{"the fund is small", usage.Dollar, 2 * step / 3},
		{"both are", step, step + 1},
	} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", talks)}}, func(u *admission.User, _ *admission.Rule) { u.Day = tc.account })
		c, s, w := r.open(endless)
		f := &fund{limit: tc.limit}
		w.Fund = f.hold
		cut := false
		err := s.Chat(t.Context(), w, func(e *llm.Event) error {
			cut = cut || e.Notice == "budget_exceeded"
			return nil
		})
		r.gateway.Settle(t.Context(), c, 200, err)
		if err != nil || !cut {
			t.Errorf("%s: Chat = %v, cut = %t, want it cut", tc.name, err, cut)
		}
		if most := slices.Max(f.asked); most > min(tc.account, tc.limit)+step {
			t.Errorf("%s: the fund was asked for %d, want at most %d more than there is: %d", tc.name, most, step, f.asked)
		}
		if f.held != c.Record.Reserved || f.held < min(tc.account, tc.limit)*9/10 {
			t.Errorf("%s: the fund holds %d, the lease %d, want the same and most of %d", tc.name, f.held, c.Record.Reserved, min(tc.account, tc.limit))
		}
		r.books()
	}
}

// TestAFundHasBackWhatACallWasRefused: by the account.
func TestAFundHasBackWhatACallWasRefused(t *testing.T) {
	in := instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		if req.Model == "gpt-4o-mini" {
			return status(400, fault.Upstream)
		}
		return says("openai")(ctx, req, emit)
	})
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(u *admission.User, _ *admission.Rule) { u.Day = 100_000 })
	c, s, w := r.open(strings.TrimSuffix(endless, "}") + `,"gateway":{"fallbacks":["openai/gpt-4o"]}}`)
	f := &fund{limit: usage.Dollar}
	w.Fund = f.hold
	_, err := s.Answer(t.Context(), w)
	r.gateway.Settle(t.Context(), c, 200, err)
	if err == nil || slices.Max(f.asked) <= 100_000 || f.held != c.Record.Reserved {
		t.Errorf("Answer = %v, the fund holds %d of %d, want a failure and the %d of the lease", err, f.held, f.asked, c.Record.Reserved)
	}
	r.books()
}

// busy is a store that answers who wants more money when it is let.
type busy struct {
	*vault
	asked chan struct{}
	let   chan struct{}
}

func (b *busy) TopUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	select {
	case b.asked <- struct{}{}:
	default:
	}
	<-b.let
	return b.vault.TopUp(ctx, l, reserved)
}

// TestNobodyWaitsForOthersMoney: a call for which enough is reserved begins,
// speaks and ends while the account is asked for more for another.
func TestNobodyWaitsForOthersMoney(t *testing.T) {
	const first = `{"model":"openai/gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"Hello!"}]}`
	for name, body := range map[string]string{
		"before it begins":    strings.Replace(first, "100", "1000", 1),
		"in the middle of it": endless,
	} {
		in := instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			if req.Stream {
				return talks(ctx, req, emit)
			}
			return says("openai")(ctx, req, emit)
		})
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(u *admission.User, _ *admission.Rule) { u.Day = 1_300_000 })
		store := &busy{vault: r.vault, asked: make(chan struct{}, 1), let: make(chan struct{})}
		r.gateway.Store = store
		c, s, _ := r.open(first) // which leaves room for two small ones
		w, err := r.gateway.PrepareChat(t.Context(), c, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		other := r.work(c, "openai/gpt-4o-mini")
		poor, rich := make(chan error, 1), make(chan error, 1)
		go func() { poor <- s.Chat(t.Context(), w, func(*llm.Event) error { return nil }) }()
		<-store.asked
		go func() {
			_, err := s.Answer(t.Context(), other)
			c.Overhead()
			rich <- err
		}()
		select {
		case err := <-rich:
			if err != nil {
				t.Errorf("%s: Answer = %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: a call that needs no more waits for one that does", name)
		}
		close(store.let)
		if err := <-poor; err != nil && !errors.Is(err, fault.Quota) {
			t.Errorf("%s: Chat = %v", name, err)
		}
		r.gateway.Settle(t.Context(), c, 200, nil)
		if cost, _ := s.Spent(other); cost == 0 {
			t.Errorf("%s: the other call cost nothing", name)
		}
		r.books()
	}
}
