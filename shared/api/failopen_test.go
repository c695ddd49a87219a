package api_test

import (
	"context"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
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
