package api

import (
	"cmp"
	"context"
	"encoding/json"
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
		k.c.Record.Tags = w.Options().Tags
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
	var first *gateway.Work
	switch {
	case len(k.models) > 0:
		first = k.models[0].work
	case k.search && g.Embedding != "":
		if first, err = g.PrepareVectors(ctx, k.c, g.Embedding, []string{" "}); err != nil {
			return g.Refuse(ctx, k.c, err)
		}
	default:
		return g.Touch(ctx, k.c, "inference")
	}
	if k.session, err = g.Open(ctx, k.c, first); err != nil {
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
	bound := int64(0)
	if left := ask.Left(); left < usage.None && w.Chat().MaxTokens == 0 {
		if w, bound, err = k.bounded(ctx, w, left); err != nil {
			return chain.Answer{}, err
		}
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
	switch {
	case err != nil:
		return a, err
	case cut && refused != nil:
		return a, cutOff()
	case cut:
		return a, fault.New(fault.Quota, "The budget was used up before the answer was complete.")
	}
	if len(sum.Choices) > 0 {
		if bound > 0 && sum.Choices[0].Finish == "length" {
			return a, cutOff()
		}
		a.Text, a.Finish = sum.Choices[0].Text.String(), sum.Choices[0].Finish
		if refusal := sum.Choices[0].Refusal.String(); a.Text == "" && refusal != "" {
			return a, &fault.Error{Kind: fault.Unprocessable, Code: "refusal", Message: "The model refused: " + refusal}
		}
	}
	return a, nil
}

// bounded is w with a bound on its answer that left, what budgets of the chain
// have left for it, pays for; 0 if none is needed, or if left pays for nothing,
// which its Hold will say. A stream may use all of it, and asks for it while it
// goes on. Anything else must be held at once, and leaves something to others.
func (k *chainCalls) bounded(ctx context.Context, w *gateway.Work, left usage.Nano) (*gateway.Work, int64, error) {
	most := w.Affords(left)
	if most == 0 || most == math.MaxInt64 {
		return w, 0, nil
	}
	bound, known := most, w.MaxOutput() > 0
	switch { // providers refuse bounds above what they know
	case !w.Chat().Stream && known:
		bound = max(min(most, gateway.DefaultMaxTokens), w.Affords(left/chain.MaxCalls))
	case !w.Chat().Stream:
		bound = min(most, gateway.DefaultMaxTokens)
	case !known && most > gateway.DefaultMaxTokens:
		return w, 0, nil
	}
	w, err := k.s.Gateway.Bound(ctx, k.c, w, bound)
	if err == nil && w.Chat().Stream {
		w.Expect(gateway.DefaultMaxTokens)
	}
	return w, bound, err
}

// cutOff is the error for an answer that a budget of the chain did not pay to
// its end.
func cutOff() error {
	return &fault.Error{Kind: fault.Quota, Code: "chain_budget_exceeded", Message: "The budget was used up before the answer was complete."}
}

// Retrieve implements chain.Calls.
func (k *chainCalls) Retrieve(ctx context.Context, q rag.Query) ([]rag.Hit, error) {
	var hits []rag.Hit
	var err error
	if k.session != nil {
		hits, err = k.session.Find(ctx, q)
	} else {
		hits, err = k.s.Gateway.Find(ctx, k.c.User, q)
	}
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
