package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Work is one call to a model, prepared: its body read, its model found, its
// way planned. It is used once.
type Work struct {
	chat  *llm.Request
	embed *llm.EmbedRequest // instead of chat
	found *embedding        // its vectors, as they come
	opts  Options
	offer *offer // what the model was found in
	model *Model
	route *router.Route
	est   estimate
	bare  int64 // tokens of input in est that are the client's own, where others are added

	attempts []*attempt // to make it; the session's lock guards them

	filled *filled           // the template that is in chat; nil for none
	asked  string            // the model, as the client calls it
	said   []json.RawMessage // of chat, what the client said: what a conversation keeps

	// Fund is asked before the call may cost more than it allowed last: with the
	// most that it may cost then, all its attempts and how far they have got
	// included. If it fails, what needs more is not asked, or ends: a stream as if
	// the account had refused it. What the account did refuse then, it has back: it
	// is asked for less than it allowed, which must not fail. One question is asked
	// at a time, and it must not use the session. Nil: the account alone decides.
	Fund    func(most usage.Nano) error
	allowed usage.Nano // what it allowed last; changed with both locks of the session held
	bound   int64      // of the answer, set by Bound
	yields  bool       // it may come down to what the account has

	// Side marks a call whose answer the client does not get: its cost counts,
	// its tokens and times are not those of the request.
	Side bool
}

// Chat is the request of a chat; the caller may ask more of it (Need) before
// the call is made.
func (w *Work) Chat() *llm.Request { return w.chat }

// PrepareChat reads the body of a chat; there is no I/O in it, unless the body
// names a template that was not read lately. It fails with what is wrong, naming
// the field, or with fault.NotFound for the model or the template.
func (g *Gateway) PrepareChat(ctx context.Context, c *Call, body []byte) (*Work, error) {
	fields, err := llm.ReadBody(body)
	if err != nil {
		return nil, err
	}
	t, err := g.fill(ctx, c, body, fields)
	if err == nil && t != nil {
		body = t.body
		fields, err = llm.ReadBody(body)
	}
	if err != nil {
		return nil, err
	}
	req, opts, err := parseChat(body, fields)
	if err != nil {
		return nil, err
	}
	return g.plan(ctx, c, &Work{chat: req, opts: opts, filled: t})
}

// plan finds the model of w and the way to it.
func (g *Gateway) plan(ctx context.Context, c *Call, w *Work) (_ *Work, err error) {
	w.offer = g.Models.now(ctx)
	stream := false
	if req := w.chat; req != nil {
		req.ID, req.Strict, stream, w.asked = c.Record.ID, w.opts.Strict, req.Stream, req.Model
		w.est = estimateChat(req)
		w.est.fits = w.opts.Context != ""
		w.model, err = w.offer.choose(req.Model, catalog.Chat, w.opts)
	} else {
		req := w.embed
		req.ID, req.Strict, w.asked = c.Record.ID, w.opts.Strict, req.Model
		w.est = estimateEmbed(req)
		w.model, err = w.offer.choose(req.Model, catalog.Embedding, w.opts)
	}
	if err != nil {
		if c.Record.Asked == "" {
			c.Record.Asked = plainName(w.asked) // for the log: the request is refused
		}
		return nil, err
	}
	opts, assembled := w.opts, w.chat != nil && w.opts.assembles()
	if w.embed != nil || assembled {
		opts.MaxPrice = 0 // until it is known what the request may cost: see priced
	}
	if w.route, err = g.route(c, w.model, opts, w.est, stream); err != nil {
		return nil, err
	}
	if assembled { // what will be added is reserved, too
		b := w.budget()
		if g.Projects == nil {
			b.Project = 0 // there is nobody to ask
		}
		w.bare = w.est.input
		w.est.input += b.Project + b.Memory + b.Passages
		if b.Passages > 0 {
			w.est.input += ruleTokens
		}
		w.est.caches = w.est.caches || w.opts.Optimize && w.caches()
		err = g.priced(w)
	}
	return w, err
}

// Session is an admitted request while it calls models: once for a chat, many
// times for a chain. Its calls are on one bill and end in one ledger record,
// which Settle writes after the last of them. It may be used concurrently.
type Session struct{ bill }

// Open admits the request with what first may cost at most where it is asked
// first; every call after it raises what is held, or fails with fault.Quota.
// It fails as admission.Store.Admit, and with fault.Invalid if first may cost
// more than its own maximum.
func (g *Gateway) Open(ctx context.Context, c *Call, first *Work) (*Session, error) {
	ask := admission.Ask{
		ID: c.Record.ID, User: c.User, KeyHash: c.Hash, Scope: "inference",
		Model: first.model.Name, Provider: first.model.Provider, Lease: true, Now: time.Now(),
	}
	targets := first.route.First()
	ask.Reserve = first.est.all(targets)
	for _, to := range targets {
		t := to.Of.(*Target)
		input, output := first.est.usual(t)
		ask.Tokens += input + output
		ask.Unpriced = ask.Unpriced || !t.Priced && g.UnknownPrice != "allow"
	}
	if err := first.worth(ask.Reserve); err != nil {
		return nil, g.Refuse(ctx, c, err)
	}
	grant, err := g.Store.Admit(ctx, ask)
	if errors.Is(err, fault.Unavailable) && g.FailOpen {
		g.Log.LogAttrs(ctx, slog.LevelWarn, "admitted although the store is down", slog.String("request_id", c.Record.ID), slog.Any("err", err))
		c.Record.FailOpen = true
		all := []string{"*"} // nobody can say what is allowed
		grant, err = admission.Grant{Lease: admission.Lease{ID: ask.ID, User: ask.User, Admitted: ask.Period()}, KeyModels: all, UserModels: all}, nil
	}
	if err != nil {
		c.Grant = grant
		return nil, first.est.advise(err)
	}
	c.Grant, c.admitted = grant, true
	c.Record.Project, c.Record.Reserved = grant.Project, grant.Lease.Reserved
	s := &Session{bill{g: g, c: c, reserved: grant.Lease.Reserved}}
	s.attempts = s.one[:0]
	s.priced = g.UnknownPrice != "allow" && grant.Budgeted // or "reject", which routes see to
	c.session = s
	return s, first.model.permits(&c.Grant, first.opts)
}

// Allows says whether the key may use w's model, which Open has asked for the
// first call only. It fails with fault.Forbidden.
func (s *Session) Allows(w *Work) error {
	grant := &s.c.Grant
	if !grant.Allows(w.model.Name, w.model.Provider) {
		return &fault.Error{Kind: fault.Forbidden, Param: "model", Code: "model_not_allowed", Message: "This key may not use the model '" + w.model.Name + "'."}
	}
	return w.model.permits(grant, w.opts)
}

// within bounds ctx to the time that the request gives w.
func (w *Work) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if w.opts.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, w.opts.Timeout)
}

// Chat puts the prompt together, makes the call, and passes its events on, one
// at a time. It returns what ended the answer, if that was not its own end.
func (s *Session) Chat(ctx context.Context, w *Work, emit func(*llm.Event) error) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	if w.opts.assembles() {
		if err := s.assemble(ctx, w); err != nil {
			return err
		}
	}
	if w.opts.Conversation != "" {
		return s.converse(ctx, w, emit)
	}
	return newMeter(&s.bill, w).run(ctx, emit)
}

// Answer makes a call and returns its answer, as far as it came if there is an
// error.
func (s *Session) Answer(ctx context.Context, w *Work) (*llm.Answer, error) {
	a := &llm.Answer{}
	w.chat.Need |= llm.NeedText
	err := s.Chat(ctx, w, func(e *llm.Event) error {
		a.Add(e)
		return nil
	})
	return a, err
}

// Embed makes a call for vectors.
func (s *Session) Embed(ctx context.Context, w *Work) (*llm.Embeddings, error) {
	ctx, cancel := w.within(ctx)
	defer cancel()
	return s.embed(ctx, w)
}

// permits says whether an admitted request may use the fallbacks that it named
// itself. Those of the configuration belong to the model.
func (m *Model) permits(grant *admission.Grant, opts Options) error {
	for i, f := range m.requested {
		if !grant.Allows(f.Name, f.Provider) {
			return &fault.Error{Kind: fault.Invalid, Param: "gateway.fallbacks[" + strconv.Itoa(i) + "]", Code: "model_not_allowed",
				Message: "This key may not use the model '" + opts.Fallbacks[i] + "'."}
		}
	}
	return nil
}

// PrepareVectors is PrepareChat for vectors of texts of our own. What the cache
// knows is found here.
func (g *Gateway) PrepareVectors(ctx context.Context, c *Call, model string, texts []string) (*Work, error) {
	body := rawjson.AppendString([]byte(`{"model":`), model)
	body = append(body, `,"input":[`...)
	for i, t := range texts {
		if i > 0 {
			body = append(body, ',')
		}
		body = rawjson.AppendString(body, t)
	}
	return g.prepareEmbed(ctx, c, append(body, `]}`...))
}

// Vectors makes a call for vectors and returns one per input.
func (s *Session) Vectors(ctx context.Context, w *Work) ([][]float32, error) {
	out, err := s.Embed(ctx, w)
	if err != nil {
		return nil, err
	}
	list, err := out.Floats(len(w.embed.Inputs))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Upstream, Provider: s.c.Record.Provider, Message: "The provider sent vectors that cannot be used.", Err: err}
	}
	return list, nil
}
