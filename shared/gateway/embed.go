package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

// prepareEmbed is PrepareChat for the body of an embeddings request. What the
// cache knows is found here, so that only the rest is reserved for.
func (g *Gateway) prepareEmbed(ctx context.Context, c *Call, body []byte) (*Work, error) {
	req, opts, own, err := parseEmbed(body)
	if err != nil {
		return nil, err
	}
	w, err := g.plan(ctx, c, &Work{embed: req, opts: opts})
	if err != nil {
		return nil, err
	}
	e := &embedding{w: w, req: req, partial: own.partial, got: make([]vector, max(len(req.Inputs), len(req.Tokens))), used: map[place]llm.Usage{}}
	e.distinct = len(e.got)
	for _, i := range req.Empty {
		e.got[i].err = llm.EmptyInput(i)
	}
	w.found = e
	prefix, known := contextOf(c.User, w.model.Name, req)
	if known {
		e.twins()
	}
	if g.Vectors != nil && !own.uncached && known {
		e.recall(g, prefix)
	}
	e.reserve()
	return w, g.priced(w)
}

// reserve estimates what is still to be made.
func (e *embedding) reserve() {
	e.w.est = estimate{}
	for i := range e.got {
		if v := &e.got[i]; !v.twin && !v.cached {
			e.w.est.input += e.tokens(i)
		}
	}
}

// embedding is a request for vectors on its way: which inputs have theirs, and
// from where. Vectors of different models do not compare, so that in the end
// all must be from one place.
type embedding struct {
	b       *bill
	w       *Work
	req     *llm.EmbedRequest
	partial bool     // refused inputs do not fail the others
	memory  *memory  // nil: the cache is not used
	raw     [][]byte // the inputs as they stand in the body, once they are needed one by one
	split   sync.Once

	distinct int // inputs that are sent, unless they are known

	mu       sync.Mutex // guards the rest while calls are under way
	got      []vector   // by input
	whole    *llm.Embeddings
	at       place // where the last answer is from,
	size     int   // and the dimensions of its vectors, if they were looked at
	target   *Target
	asked    *Target // the last one, whether it answered or not
	used     map[place]llm.Usage
	dropped  []string
	refusals int
	tried    []*attempt
}

// place is where vectors compare: a provider's model.
type place struct{ provider, model string }

func (t *Target) place() place { return place{t.Provider, t.Model} }

// vector is what is known of one input.
type vector struct {
	values []float32 // nil if they are in the whole answer, unread
	at     place
	model  string // in the upstream's words
	cached bool   // it was there before
	fades  bool   // it is not to be remembered: the client must hear of what was dropped
	twin   bool   // it is not sent, because it is
	first  int    // the same as this input
	err    error  // why there is none
}

func (v *vector) known() bool { return v.at != place{} }

// embed answers w from the cache and, for the rest, from the route's targets.
func (b *bill) embed(ctx context.Context, w *Work) (*llm.Embeddings, error) {
	e := w.found
	e.b = b
	b.wait()
	err := e.run(ctx)
	b.rest()
	if err == nil {
		e.double()
		err = e.check()
	}
	var out *llm.Embeddings
	if err == nil {
		out = e.answer()
		e.remember()
	}
	e.book(err)
	return out, err
}

// run asks for what is missing. Parts of a request may have gone different
// ways; what is not from where the last of them led is asked for again, there.
func (e *embedding) run(ctx context.Context) error {
	missing := e.which(func(v *vector) bool { return !v.known() && v.err == nil && !v.twin })
	if len(missing) == 0 {
		return nil
	}
	err := e.fetch(ctx, e.w.route, e.w.route.First()[0].Of.(*Target), missing)
	if err != nil {
		return err
	}
	strange := e.which(func(v *vector) bool {
		return v.known() && e.whole == nil && (v.at != e.at || v.cached && len(v.values) != e.size)
	})
	if len(strange) == 0 || e.target == nil {
		return nil
	}
	for _, i := range strange {
		e.got[i] = vector{}
	}
	return e.fetch(ctx, e.only(e.at), e.target, strange)
}

func (e *embedding) which(is func(*vector) bool) []int {
	var list []int
	for i := range e.got {
		if is(&e.got[i]) {
			list = append(list, i)
		}
	}
	return list
}

// only is the route to the targets of one place, wherever they stand in the
// request's own.
func (e *embedding) only(at place) *router.Route {
	r := e.w.route
	own := &router.Route{Group: r.Group, Policy: r.Policy, Order: r.Order, User: r.User, Price: r.Price}
	own.Allow = func(t *router.Target) bool {
		return t.Of.(*Target).place() == at && (r.Allow == nil || r.Allow(t))
	}
	for _, g := range slices.Concat(r.Fallbacks, r.Context, r.Content) {
		if !slices.ContainsFunc(own.Group.Targets, func(t router.Target) bool { return own.Allow(&t) }) {
			own.Group, own.Policy = g, g.Policy
		}
	}
	own.Plan()
	return own
}

// check says whether there is an answer. If every input was refused, that was
// the request's fault; if vectors differ in length, the provider's.
func (e *embedding) check() error {
	var refused error
	size, some := 0, e.whole != nil
	for i := range e.got {
		v := &e.got[i]
		if v.err != nil && refused == nil {
			refused = v.err
		}
		if v.values == nil {
			continue
		}
		if some && len(v.values) != size {
			return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Provider: v.at.provider, Message: "The provider '" + v.at.provider + "' sent vectors of different lengths."}
		}
		size, some = len(v.values), true
	}
	if !some {
		return refused
	}
	return nil
}

// answer joins what came. An answer that came in one piece stays as it is.
func (e *embedding) answer() *llm.Embeddings {
	if e.whole != nil {
		return e.whole
	}
	used := e.used[e.at]
	out := &llm.Embeddings{Vectors: make([][]float32, len(e.got)), Usage: &used}
	for i := range e.got {
		v := &e.got[i]
		out.Vectors[i] = v.values
		if v.err != nil {
			if out.Failed == nil {
				out.Failed = make([]error, len(e.got))
			}
			out.Failed[i] = v.err
		} else if out.Model == "" || !v.cached {
			out.Model = v.model
		}
	}
	return out
}

// book enters what was answered, and by whom, in the call's record.
func (e *embedding) book(err error) {
	b, w := e.b, e.w
	if e.asked != nil {
		speaker := &attempt{target: e.asked}
		if err == nil && e.target != nil { // what was asked may have been refused, and the rest known
			speaker.target, speaker.usage = e.target, e.used[e.at]
		}
		b.book(w, speaker, true)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.c
	now := time.Now()
	if w.Side {
		return
	}
	c.Dropped = e.dropped
	if err != nil {
		return
	}
	c.Record.TTFT = now.Sub(c.Start)
	if e.memory != nil && c.Cache != "miss" { // of an earlier call
		c.Cache = "miss"
		if e.asked == nil {
			c.Cache = "hit"
			for i := range e.got {
				if v := &e.got[i]; v.cached {
					c.Record.Provider, c.Record.Model = v.at.provider, v.at.model
				}
			}
		}
	}
}
