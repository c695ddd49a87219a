package gateway_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
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

const pepper = "pepper"

// vault is a store in memory that runs admission's rules under a lock.
type vault struct {
	mu      sync.Mutex
	account admission.Account
	records map[string]usage.Record
	topups  int
	stale   int // of those, how many did not know what the lease held: DynamoDB would refuse their first write
}

func (v *vault) Admit(_ context.Context, a admission.Ask) (admission.Grant, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.account.Refusal(a); err != nil {
		return admission.Grant{}, err
	}
	v.account.Admit(a)
	return v.account.Grant(a), nil
}

func (v *vault) TopUp(_ context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.topups++
	if held, ok := v.account.Leases[l.ID]; ok && held != l.Reserved {
		v.stale++
	}
	return v.account.TopUp(l, reserved)
}

func (v *vault) Settle(_ context.Context, l admission.Lease, r usage.Record) (usage.Record, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if won, ok := v.records[r.ID]; ok {
		return won, nil
	}
	v.records[r.ID] = r
	v.account.Settle(l, r.Cost, admission.Tokens(r))
	return r, nil
}

func (v *vault) Expired(context.Context, time.Time) iter.Seq2[admission.Lease, error] {
	return func(func(admission.Lease, error) bool) {}
}

// rig is a gateway over providers that the test writes.
type rig struct {
	t       testing.TB
	gateway *gateway.Gateway
	vault   *vault
	key     string
}

// newRig makes a gateway with the user ana, as change changes her.
func newRig(t testing.TB, set gateway.Set, change func(*admission.User, *admission.Rule)) *rig {
	u := admission.User{ID: "ana", Active: true, Models: []string{"*"}, Burst: 1, Parallel: 1000, Tokens: admission.NoTokenLimit, Day: usage.None, Month: 1000 * usage.Dollar}
	key, hash := admission.NewKey([]byte(pepper), "ana")
	rule := admission.Rule{Expires: admission.Never, Models: []string{"*"}, Scopes: []string{"inference"}}
	if change != nil {
		change(&u, &rule)
	}
	v := &vault{account: *admission.NewAccount(u), records: map[string]usage.Record{}}
	v.account.Keys[hash] = rule
	g := &gateway.Gateway{Models: gateway.NewRegistry(), Store: v, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Pepper: func(context.Context) (string, error) { return pepper, nil }}
	g.Models.Use(set)
	return &rig{t: t, gateway: g, vault: v, key: key}
}

// reply is what became of a request.
type reply struct {
	text   string
	err    error
	record usage.Record
}

// chat runs one request and closes its books.
func (r *rig) chat(ctx context.Context, model, options string) reply {
	r.t.Helper()
	return r.body(ctx, `{"model":"`+model+`","stream":true,"max_tokens":1000,"messages":[{"role":"user","content":"Hello!"}],"gateway":{`+options+`}}`)
}

func (r *rig) body(ctx context.Context, body string) reply {
	r.t.Helper()
	now := time.Now()
	c, err := r.gateway.Begin(ctx, requestid.New(now), r.key, "chat", now)
	if err != nil {
		r.t.Fatal(err)
	}
	var text strings.Builder
	err = r.gateway.Chat(ctx, c, []byte(body), func(e *llm.Event) error {
		text.WriteString(e.Text)
		return nil
	})
	r.gateway.Settle(ctx, c, 0, err)
	return reply{text.String(), err, c.Record}
}

// books checks that no lease is open and that the account has paid what the
// ledger says, which it returns.
func (r *rig) books() usage.Nano {
	r.t.Helper()
	if n := len(r.vault.account.Leases); n != 0 {
		r.t.Errorf("%d leases are open", n)
	}
	var sum usage.Nano
	for _, rec := range r.vault.records {
		sum += rec.Cost
	}
	if _, month := r.vault.account.Spent(time.Now()); month != sum {
		r.t.Errorf("the account has paid $%s, the ledger says $%s", month.USD(), sum.USD())
	}
	return sum
}

// instance is a provider with OpenAI's models and prices.
func instance(name string, chat llm.ProviderFunc) gateway.Instance {
	return gateway.Instance{Name: name, Kind: "openai", Catalog: "openai", Chats: true, Chat: chat}
}

// billed is what every answer is billed.
var billed = llm.Usage{Input: 100, Output: 50}

// says answers with the name of the provider and of the model that was asked.
func says(name string) llm.ProviderFunc {
	return func(_ context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		u := billed
		for _, e := range []llm.Event{{Text: name + "/" + req.Model, Model: req.Model}, {Finish: "stop"}, {Usage: &u, UsageOnly: true}} {
			if err := emit(&e); err != nil {
				return err
			}
		}
		return nil
	}
}

func fails(f *fault.Error) llm.ProviderFunc {
	return func(context.Context, *llm.Request, func(*llm.Event) error) error { return f }
}

func status(code int, kind fault.Kind) *fault.Error {
	return &fault.Error{Kind: kind, Status: code, Provider: "p", Message: fmt.Sprint("status ", code)}
}

var broken = status(500, fault.Upstream)

// cost is what billed costs on a model.
func cost(t testing.TB, model string) usage.Nano {
	m, ok := catalog.Lookup("openai", model)
	if !ok || !m.Price.Known() {
		t.Fatalf("the catalogue lacks %s", model)
	}
	return m.Price.Cost(billed)
}
