package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// streamPatience is how long the first event of a stream may take where another
// target is left and nothing else was set.
const streamPatience = 2 * time.Minute

// route makes the way of a request: the model's, as the request changes it. It
// fails with fault.Invalid if the request leaves nobody to ask.
func (g *Gateway) route(c *Call, m *Model, opts Options, est estimate, stream bool) (*router.Route, error) {
	r := &router.Route{Group: m.Group, Fallbacks: m.Errors, Context: m.Context, Content: m.Content, Policy: m.Group.Policy, Order: opts.Order, User: c.User}
	if opts.Strategy != "" {
		r.Strategy = opts.Strategy
	}
	if opts.TTFT > 0 {
		r.TTFT = opts.TTFT
	} else if r.TTFT == 0 && stream && (len(m.Group.Targets) > 1 || len(r.Fallbacks) > 0) {
		r.TTFT = streamPatience
	}
	if r.Strategy == router.Cost {
		r.Price = func(t *router.Target) usage.Nano { return est.cost(t.Of.(*Target)) }
	}
	if len(opts.Only) > 0 || opts.MaxPrice > 0 || g.UnknownPrice == "reject" {
		r.Allow = func(t *router.Target) bool { return g.refuseTarget(t, opts, est) == nil }
	}
	r.Plan()
	return r, g.somebody(r, opts, est)
}

// somebody says why there is nobody to ask, if so it is.
func (g *Gateway) somebody(r *router.Route, opts Options, est estimate) error {
	if len(r.First()) > 0 {
		return nil
	}
	for i := range r.Group.Targets {
		if err := g.refuseTarget(&r.Group.Targets[i], opts, est); err != nil {
			return err
		}
	}
	return nil
}

// priced leaves out the targets at which w may cost too much, by what is known
// of it now.
func (g *Gateway) priced(w *Work) error {
	if w.opts.MaxPrice == 0 {
		return nil
	}
	opts, est := w.opts, w.est
	w.route.Allow = func(t *router.Target) bool { return g.refuseTarget(t, opts, est) == nil }
	w.route.Narrow()
	return g.somebody(w.route, opts, est)
}

// refuseTarget says why a request may not go to a target.
func (g *Gateway) refuseTarget(to *router.Target, opts Options, est estimate) error {
	t := to.Of.(*Target)
	switch {
	case len(opts.Only) > 0 && !slices.Contains(opts.Only, t.Provider):
		return fault.Field("gateway.only", "No provider in 'gateway.only' serves this model.")
	case opts.MaxPrice > 0 && est.cost(t) > opts.MaxPrice: // alone; what is asked first may be more of them: see worth
		return est.tooDear(est.cost(t))
	case g.UnknownPrice == "reject" && !t.Priced:
		return &fault.Error{Kind: fault.Forbidden, Param: "model", Code: "unknown_price",
			Message: "No price is known for '" + t.Provider + "/" + t.Model + "', and this gateway rejects such models."}
	}
	return nil
}

// worth fails if cost is above what the request wants to cost at most.
func (w *Work) worth(cost usage.Nano) error {
	if most := w.opts.MaxPrice; most > 0 && cost > most {
		return w.est.tooDear(cost)
	}
	return nil
}

// tooDear refuses a request that may cost more than it wants to.
func (e estimate) tooDear(cost usage.Nano) error {
	return &fault.Error{Kind: fault.Invalid, Param: "gateway.max_price_usd", Code: "price_above_maximum",
		Message: "This request may cost up to $" + cost.USD() + ", above its own gateway.max_price_usd. " + e.less() + "." + e.reserves()}
}

// with returns m with the fallbacks that a request names, for every kind of
// failure. It fails with fault.Invalid and the field's name.
func (o *offer) with(m *Model, opts Options, mode catalog.Mode) (*Model, error) {
	for _, list := range []struct {
		field     string
		providers []string
	}{{"gateway.only", opts.Only}, {"gateway.order", opts.Order}} {
		for _, name := range list.providers {
			if o.instance(name) == nil {
				return nil, fault.Field(list.field, "There is no provider '%s'.", name)
			}
		}
	}
	if opts.Fallbacks == nil {
		return m, nil
	}
	own := *m
	own.Errors, own.requested = nil, nil
	for i, name := range opts.Fallbacks {
		f, err := o.find(name, mode)
		if err != nil {
			wrong := *fault.As(err)
			wrong.Kind, wrong.Param = fault.Invalid, "gateway.fallbacks["+strconv.Itoa(i)+"]"
			return nil, &wrong
		}
		if f.Name == m.Name {
			return nil, fault.Field("gateway.fallbacks["+strconv.Itoa(i)+"]", "The model '%s' cannot fall back to itself.", name)
		}
		own.requested = append(own.requested, f)
		own.Errors = append(own.Errors, f.Group)
	}
	own.Context, own.Content = own.Errors, own.Errors
	return &own, nil
}

// choose finds the model that a request names, as its options change it.
func (o *offer) choose(name string, mode catalog.Mode, opts Options) (*Model, error) {
	m, err := o.find(name, mode)
	if err != nil {
		return nil, err
	}
	return o.with(m, opts, mode)
}
