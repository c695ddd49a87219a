package api_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// shut is a store that admits nobody, because it is down.
type shut struct{ admission.Store }

func (shut) Admit(context.Context, admission.Ask) (admission.Grant, error) {
	return admission.Grant{}, fault.New(fault.Unavailable, "The account store does not answer.")
}

// TestAnAccountStoreThatIsDown closes the gateway, unless it was told to stay
// open: then requests are served and their records marked.
func TestAnAccountStoreThatIsDown(t *testing.T) {
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"gateway":{"fallbacks":["gpt-4o"]}}`
	r := newChainRig(t, &parrot{}, nil)
	r.saves(chainOf("c", step("a", "x")))
	r.server.Gateway.Store = shut{r.store}
	a := r.chat(body)
	if _, typ, _, _ := a.fail(t); a.status != 503 || typ != "server_error" || a.header.Get("Retry-After") == "" {
		t.Errorf("chat = %d %v %s, want 503 with retry-after", a.status, a.header, a.body)
	}
	if records := r.records("ana"); len(records) > 0 {
		t.Errorf("records = %+v, want none of what was not admitted", records)
	}

	r.server.Gateway.FailOpen = true
	if a := r.chat(body); a.status != 200 {
		t.Errorf("open: chat = %d %s, want 200", a.status, a.body)
	}
	records := r.records("ana")
	if len(records) != 1 || !records[0].FailOpen || records[0].Cost == 0 || records[0].Status != 200 {
		t.Errorf("open: records = %+v, want one with its cost, marked", records)
	}
	if a := r.chat(body, "Authorization", "Bearer gw_ana_00000000000000000000000000000000"); a.status != 401 {
		t.Errorf("open: an invented key gets %d, want 401", a.status)
	}
	r.account("ana")
}

// dozing is a store that went down after it had admitted the request: the next
// failing top-ups are not answered.
type dozing struct {
	admission.Store
	failing atomic.Int64
	kind    fault.Kind
}

func (m *dozing) TopUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	if m.failing.Add(-1) >= 0 {
		return admission.Lease{}, &fault.Error{Kind: m.kind, Message: "The account store does not answer.", RetryAfter: time.Second}
	}
	return m.Store.TopUp(ctx, l, reserved)
}

// TestAnAccountStoreThatGoesDownInBetween: nobody is told that a budget is used
// up when nobody knows. What needs no more than it holds goes on.
func TestAnAccountStoreThatGoesDownInBetween(t *testing.T) {
	const always = 1000
	chains := chainOf("c", step("a", "x"), `{"id":"b","type":"prompt","model":"gpt-4o","user":"{{.steps.a.output}}"}`)
	for _, tc := range []struct {
		name    string
		failing int64
		kind    fault.Kind
		open    bool
		whole   bool // a long stream gets through
		status  int  // of a chain whose second call needs a top-up
	}{
		{"for good", always, fault.Unavailable, false, false, 503},
		{"by a bug", always, fault.Internal, false, false, 503},
		{"the lease is gone", always, fault.NotFound, false, false, 503},
		{"for one call", 1, fault.Unavailable, false, true, 503}, // the stream asks again
		{"for good, and the gateway stays open", always, fault.Unavailable, true, true, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, words(1000), nil) // 10,000 tokens
			r.server.Gateway.FailOpen = tc.open
			store := &dozing{Store: r.store, kind: tc.kind}
			store.failing.Store(tc.failing)
			r.server.Gateway.Store = store
			a := r.chat(helloSSE)
			list := chunks(a.body)
			whole := len(list) == 1002 && list[1001] == "[DONE]"
			if last := list[len(list)-1]; a.status != 200 || whole != tc.whole || !whole && (!strings.Contains(last, `"code":"unavailable"`) || !strings.Contains(last, `"finish_reason":"error"`)) || strings.Contains(a.body, "budget_exceeded") {
				t.Errorf("stream = %d, %d chunks, the last %s; want it whole: %t, or else its end by 'unavailable'", a.status, len(list), last, tc.whole)
			}
			rec := r.records("ana")[0]
			if rec.Cost == 0 || rec.FailOpen != tc.open || rec.Partial == tc.whole || (rec.Error == "unavailable") == tc.whole || !tc.whole && rec.OutputTokens < 4000 {
				t.Errorf("record of the stream = %+v", rec)
			}

			r = newChainRig(t, &parrot{}, nil)
			r.server.Gateway.FailOpen, r.server.Gateway.Store = tc.open, store
			store.Store = r.store
			store.failing.Store(tc.failing)
			r.saves(chains)
			a = r.do("POST", "/ai/chains/c/runs", `{}`)
			if retry := a.header.Get("X-Should-Retry"); a.status != tc.status || a.status == 503 && (a.header.Get("Retry-After") != "1" || retry != "" || !strings.Contains(a.body, `"code":"unavailable"`)) {
				t.Errorf("chain = %d %s, Retry-After %q, X-Should-Retry %q, want %d", a.status, a.body, a.header.Get("Retry-After"), retry, tc.status)
			}
			rec = r.records("ana")[0]
			if rec.Status != tc.status || (rec.Error == "unavailable") != (tc.status == 503) || rec.FailOpen != tc.open || rec.Cost < helloCost {
				t.Errorf("record of the chain = %+v", rec)
			}
			for _, target := range r.server.Gateway.Models.Router.States() {
				if target.Failures > 0 {
					t.Errorf("%s is blamed for %d failures", target.Target, target.Failures)
				}
			}
			r.account("ana")
		})
	}
}
