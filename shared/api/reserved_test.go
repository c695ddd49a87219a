package api_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// counting counts the round trips to the store of accounts that requests make
// before their answer.
type counting struct {
	admission.Store
	trips atomic.Int64
}

func (c *counting) Admit(ctx context.Context, a admission.Ask) (admission.Grant, error) {
	c.trips.Add(1)
	return c.Store.Admit(ctx, a)
}

func (c *counting) TopUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	c.trips.Add(1)
	return c.Store.TopUp(ctx, l, reserved)
}

// TestWhatIsAddedWasReserved: however full the prompt gets, of whatever is
// added, one trip to the accounts comes before the provider, and a short stream
// needs no other.
func TestWhatIsAddedWasReserved(t *testing.T) {
	texts := map[string]string{
		"English": strings.Repeat("The harbour master wrote that the ferry would not sail before the storm had passed. ", 700),
		"code":    strings.Repeat("\tfor i := range list { if err := check(list[i].Name); err != nil { return err } }\n", 700),
		"JSON":    strings.Repeat(`{"id": 4711, "price": 12.50, "tags": ["fruit", "fresh"], "stock": null}, `, 700),
		"Chinese": strings.Repeat("港务长写道，渡轮要等暴风雨过去才会开航。", 700),
	}
	for kind, text := range texts {
		l := newProjects(t, reply("application/json", completion), anas(text))
		l.converse("conv_0123456789")
		for rest := text; len(rest) > 0; { // turns of some 2,000 bytes
			n := min(len(rest), 2000)
			for n < len(rest) && !utf8.RuneStart(rest[n]) {
				n++
			}
			body := `{"messages":[{"role":"user","content":` + quote(rest[:n]) + `},{"role":"assistant","content":"Yes."}]}`
			if a := l.do("POST", "/ai/conversations/conv_0123456789/messages", body); a.status != 201 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			rest = rest[n:]
		}
		l.document("docs", "d", text)
		question := text[:strings.IndexAny(text, ".。\n,")]
		store := &counting{Store: l.store}
		l.server.Gateway.Store = store
		for _, tc := range []struct {
			gateway string
			has     []string // of the account
		}{
			{`"conversation":"conv_0123456789"`, []string{"memory="}},
			{`"project":"pump"`, []string{"project="}},
			{`"rag":{"collection":"docs","top_k":20}`, []string{"passages="}},
			{`"conversation":"conv_0123456789","project":"pump","rag":{"collection":"docs"}`, []string{"memory=", "project=", "passages="}},
			{`"conversation":"conv_0123456789","project":"pump","rag":{"collection":"docs"},"context":"truncate"`, []string{"memory=", "project=", "passages="}},
			{`"conversation":"conv_0123456789","project":"pump","rag":{"collection":"docs"},"optimize":true`, []string{"memory=", "project="}},
		} {
			for _, model := range []string{"gpt-4o-mini", "gpt-4", `gpt-4o-mini","stream":true,"user":"u`} { // whose window has room, or hardly any
				store.trips.Store(0)
				a := l.chat(`{"model":"` + model + `","max_tokens":100,"messages":[{"role":"user","content":` + quote(question) + `}],"gateway":{` + tc.gateway + `}}`)
				account := a.header.Get("X-Gateway-Context")
				for _, part := range tc.has {
					if a.status != 200 || !strings.Contains(account, part) || strings.Contains(account, part+"0") {
						t.Errorf("%s, %s, %s: %d %.200s, account %q, want it to have %s", kind, model, tc.gateway, a.status, a.body, account, part)
					}
				}
				if n := store.trips.Load(); n != 1 {
					t.Errorf("%s, %s, %s: %d trips before the answer for %s, want one", kind, model, tc.gateway, n, account)
				}
			}
		}
	}
}
