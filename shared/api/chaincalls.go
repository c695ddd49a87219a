package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// chainCalls makes the calls of a run, in one session: one admission, one
// bill.
type chainCalls struct {
	s       *Server
	c       *gateway.Call
	gateway json.RawMessage // what the client wants of each call
	session *gateway.Session

	models []stepModel // that the chain may ask
	search bool        // it has steps that retrieve

	mu        sync.Mutex
	templates map[string]*template.Template // read once in a run
	used      []string                      // their versions: "name@3"
}

// stepModel is a call that a step may make, as far as it is known before.
type stepModel struct {
	at   string
	work *gateway.Work
}

// prepare finds all models of ch, so that a run does not fail half-way because
// one of them is not there.
func (k *chainCalls) prepare(ctx context.Context, ch *chain.Chain) error {
	for _, m := range ch.Models() {
		k.search = k.search || m.Type == chain.Retrieve
		if m.Type == chain.Retrieve {
			continue
		}
		model, body := m.Model, []byte(m.Parameters)
		if m.Template != nil {
			t, err := k.Template(ctx, m.Template.Name, m.Template.Version)
			if err != nil {
				return at(m.At+".template", err)
			}
			if err := fits(m.At+".template", m.Template, t); err != nil { // a label may have moved since it was proved
				return err
			}
			if model = cmp.Or(model, t.Model); model == "" {
				return fault.Field(m.At+".template", "'%s': neither the step nor its template names a model.", m.At)
			}
			if body == nil {
				body = t.Parameters
			}
		}
		if body == nil {
			body = []byte("{}")
		}
		w, err := k.work(ctx, rawjson.Apply(nil, body, rawjson.Fields(nil, body), rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, model)},
			rawjson.Edit{Name: "messages", Value: []byte(`[{"role":"user","content":" "}]`)}))
		if err != nil {
			return at(m.At+".model", err)
		}
		k.models = append(k.models, stepModel{m.At + ".model", w})
	}
	k.c.Record.Template = strings.Join(k.used, " ")
	return nil
}

// at says which step of the chain err is about. What is wrong with the
// gateway object is the request's own mistake.
func at(param string, err error) error {
	f := *fault.As(err)
	if !strings.HasPrefix(f.Param, "gateway") {
		f.Param = param
	}
	return &f
}

// work prepares a call with the client's wishes.
func (k *chainCalls) work(ctx context.Context, body []byte) (*gateway.Work, error) {
	if !rawjson.IsNull(k.gateway) {
		body = rawjson.Apply(nil, body, rawjson.Fields(nil, body), rawjson.Edit{Name: "gateway", Value: k.gateway})
	}
	return k.s.Gateway.PrepareChat(ctx, k.c, body)
}

// open admits the run, with what its first call may cost; the others raise
// that. A run that calls no model takes a slot of the rate limit.
func (k *chainCalls) open(ctx context.Context) (err error) {
	g := k.s.Gateway
	switch {
	case len(k.models) > 0:
		k.session, err = g.Open(ctx, k.c, k.models[0].work)
	case k.search && g.Embedding != "":
		k.session, err = k.s.openSearch(ctx, k.c, " ")
	default:
		return g.Touch(ctx, k.c, "inference")
	}
	if err != nil {
		if fault.As(err).Param == "model" && len(k.models) > 0 { // whose it is
			return at(k.models[0].at, err)
		}
		return err
	}
	for _, m := range k.models {
		if err := k.session.Allows(m.work); err != nil {
			return at(m.at, err)
		}
	}
	return nil
}

// Prompt implements chain.Calls.
func (k *chainCalls) Prompt(ctx context.Context, ask chain.Ask) (chain.Answer, error) {
	body := ask.Body
	if ask.Emit != nil {
		body = rawjson.Apply(nil, body, rawjson.Fields(nil, body), rawjson.Edit{Name: "stream", Value: []byte("true")})
	}
	w, err := k.work(ctx, body)
	if err != nil {
		return chain.Answer{}, err
	}
	bound, err := bounded(ctx, w, ask)
	if err != nil {
		return chain.Answer{Unasked: true}, err
	}
	if err := k.session.Allows(w); err != nil { // a label may have moved to a template with another model
		return chain.Answer{}, err
	}
	var refused error // by the chain's budget, or the step's
	w.Fund = func(most usage.Nano) error {
		refused = ask.Hold(most)
		return refused
	}
	w.Chat().Need |= llm.NeedText
	var sum llm.Answer
	cut := false
	err = k.session.Chat(ctx, w, func(e *llm.Event) error {
		sum.Add(e)
		cut = cut || e.Notice == "budget_exceeded"
		if ask.Emit != nil && e.Text != "" {
			return ask.Emit(e.Text)
		}
		return nil
	})
	a := chain.Answer{Model: sum.Model}
	a.Cost, a.Usage = k.session.Spent(w)
	if err != nil {
		a.Unasked = errors.Is(err, fault.Quota) && !k.session.Asked(w)
		return a, err
	}
	if len(sum.Choices) > 0 {
		a.Text, a.Finish = sum.Choices[0].Text.String(), sum.Choices[0].Finish
	}
	ended := int64(0) // by the bound that it had in the end, which may be the account's
	if a.Finish == "length" && bound > 0 {
		ended = k.session.BoundOf(w)
	}
	switch {
	case cut && refused != nil, ended > 0 && ended == bound:
		return a, &fault.Error{Kind: fault.Quota, Code: "chain_budget_exceeded", Message: usedUp}
	case cut, ended > 0:
		return a, &fault.Error{Kind: fault.Quota, Code: "insufficient_quota", Message: usedUp}
	}
	if len(sum.Choices) > 0 {
		if refusal := sum.Choices[0].Refusal.String(); a.Text == "" && refusal != "" {
			return a, &fault.Error{Kind: fault.Unprocessable, Code: "refusal", Message: "The model refused: " + refusal}
		}
	}
	return a, nil
}

const usedUp = "The budget was used up before the answer was complete."

// bounded takes w's part of the budgets of chain and step, and bounds an answer
// that has no bound to what that pays for: a stream to all that is left, since it
// asks for that while it goes on. It returns how many tokens those are; 0 if
// money is not what bounds it.
func bounded(ctx context.Context, w *gateway.Work, ask chain.Ask) (int64, error) {
	limit, stream := w.MaxOutput(), w.Chat().Stream
	if w.Chat().MaxTokens > 0 {
		_, _, err := ask.Share(ctx, w.Most(), w.Most())
		return 0, err
	}
	known := limit > 0
	if !known { // providers refuse bounds above what they know
		limit = gateway.DefaultMaxTokens
	}
	usual, most := w.Costs(min(limit, gateway.DefaultMaxTokens)), w.Costs(limit)
	if stream {
		most = usual
	}
	own, all, err := ask.Share(ctx, usual, most)
	if err != nil || own == usage.None {
		return 0, err
	}
	if stream {
		own = all
	}
	afford := w.Affords(own)
	switch {
	case afford == math.MaxInt64: // nothing costs anything
		return 0, nil
	case afford == 0: // Hold will say what it takes at least
		w.Bound(1)
		return 1, nil
	case stream && !known && afford > limit: // it is heard when that is used up
		return 0, nil
	}
	afford = min(afford, limit)
	w.Bound(afford)
	if !known && afford == limit { // which is no matter of money
		return 0, nil
	}
	return afford, nil
}

// Retrieve implements chain.Calls.
func (k *chainCalls) Retrieve(ctx context.Context, q rag.Query) ([]rag.Hit, error) {
	hits, err := k.s.find(ctx, k.c, k.session, q)
	if f := fault.As(err); f != nil && f.Kind == fault.Internal {
		return nil, fault.Wrap(fault.Unavailable, err, "The documents cannot be searched right now; try again.")
	}
	return hits, err
}

// Template implements chain.Calls. All calls of a run see the same version.
func (k *chainCalls) Template(ctx context.Context, name string, ref recipe.Ref) (*template.Template, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := name + "@" + ref.String()
	if t := k.templates[key]; t != nil {
		return t, nil
	}
	version, t, err := k.s.findTemplate(ctx, k.c, name, ref)
	if err != nil {
		return nil, k.s.told(ctx, k.c.Record.ID, "chains", err)
	}
	if of := fmt.Sprintf("%s@%d", name, version.Number); !slices.Contains(k.used, of) {
		k.used = append(k.used, of)
	}
	if k.templates == nil {
		k.templates = map[string]*template.Template{}
	}
	k.templates[key] = t
	return t, nil
}
