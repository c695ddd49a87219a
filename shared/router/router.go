// Package router decides which of a model's targets answers a request: it
// chooses, retries, falls back, races, and remembers which targets are ill. A
// Route is a provider made of providers.
package router

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Target is one place where a model can be asked: a provider, its name for the
// model, and the credential and region that are used.
type Target struct {
	Name     string // what its health goes by: "provider/model", with "#credential" if there are several
	Provider string
	Weight   int64 // its share under Weighted, and where users stick; 0 gets no first choice
	Of       any   // the caller's own view of the target; never looked at here
	Health   *Health
}

// Router remembers the health of targets, by name, while configurations come
// and go. The zero Router is ready for use.
type Router struct {
	// Notify hears of breakers that open and close. It is called by requests.
	Notify func(Change)
	// Board is where instances pool what they see; nil: each for itself.
	Board Board

	mu      sync.Mutex
	targets map[string]*Health
	pool    pool
}

// Health returns the health of the target with that name.
func (r *Router) Health(name string) *Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.targets[name]
	if h == nil {
		if r.targets == nil {
			r.targets = map[string]*Health{}
		}
		h = &Health{name: name, notify: func(c Change) {
			if r.Notify != nil {
				r.Notify(c)
			}
		}}
		r.targets[name] = h
	}
	return h
}

// States describes every target that has been asked for, by name.
func (r *Router) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]State, 0, len(r.targets))
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(r.targets)) {
		list = append(list, r.targets[name].state(now))
	}
	return list
}

// Policy says how a model's targets are used.
type Policy struct {
	Strategy   Strategy
	Sticky     bool          // a user's requests prefer one target, whose prompt cache they fill
	LastResort bool          // when every target is ill, ask the least ill instead of failing
	Retries    int           // how often each target may be asked again
	TTFT       time.Duration // how long the first event may take, where another target is left; 0: no bound
	Parallel   int           // targets of a race, at least 2
	HedgeAfter time.Duration // when a hedge starts; 0: after the target's own p95
}

// Group is a model with its targets. It lives as long as its configuration and
// may be used concurrently.
type Group struct {
	Model   string
	Targets []Target
	Policy

	mu      sync.Mutex
	current []int64 // of the smooth weighting
	spare   float64 // hedges that may be started
}

// Route is the way of one request. The zero Policy fields of a group mean what
// they say: a Group of one Target without retries asks it once.
type Route struct {
	Group *Group // the model's own targets
	// Fallbacks are asked when all own targets have failed; Context when the
	// prompt was too long for one, Content when one refused it by policy.
	Fallbacks, Context, Content []*Group

	Policy                    // for the own targets; usually the group's, as the request changed it
	Allow  func(*Target) bool // which targets may be asked; nil: all
	Order  []string           // providers to be asked first; the strategy decides among the others
	User   string             // who sticks

	// Price is what the request may cost at a target, for the strategy Cost.
	Price func(*Target) usage.Nano
	// Ask asks a target: with the client's request, as the target calls the
	// model. It may be called concurrently if Racing.
	Ask func(ctx context.Context, t *Target, req *llm.Request, emit func(*llm.Event) error) error
	// Picked hears which target speaks, before its first event is passed on.
	Picked func(*Target)

	Rotations int // calls that followed a refusal of our credentials

	order  []*Target     // own targets, first choice first
	waited time.Duration // between attempts
	begun  bool          // the client has been told something
	broke  bool          // and could not take it
	dead   []*Target     // lost a race in a way that speaks against asking them again
}

// Plan puts the own targets in order, so that First can be priced before
// anything is asked. Complete and Run do it if nobody else has.
func (r *Route) Plan() {
	if r.order == nil {
		r.order = r.sort(r.Group, r.Strategy)
	}
}

// Narrow leaves out of the plan what Allow forbids by now. To plan again would
// take another turn.
func (r *Route) Narrow() {
	r.order = slices.DeleteFunc(r.order, func(t *Target) bool { return !r.Allow(t) })
}

// First returns the targets that will be asked first: one, or those of a race.
func (r *Route) First() []*Target {
	r.Plan()
	ready := make([]*Target, 0, len(r.order))
	now := time.Now()
	for _, t := range r.order {
		if len(ready) < r.width() && !t.Health.shut(now) {
			ready = append(ready, t)
		}
	}
	if len(ready) == 0 && len(r.order) > 0 {
		ready = append(ready, r.order[0])
	}
	return ready
}

// Racing says whether targets may be asked at the same time.
func (r *Route) Racing() bool { return r.Strategy == Race || r.Strategy == Hedge }

func (r *Route) width() int {
	if r.Strategy == Race {
		return max(2, r.Parallel)
	}
	return 1
}

// Complete answers req from the first target that can, as llm.Provider.
func (r *Route) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	call := func(ctx context.Context, t *Target, begun func()) error {
		said := false
		return r.Ask(ctx, t, req, func(e *llm.Event) error {
			if !said {
				if r.refused(e) {
					return errRefused
				}
				said = true
				begun()
				if r.Picked != nil {
					r.Picked(t)
				}
			}
			return r.pass(emit(e))
		})
	}
	if !r.Racing() || len(r.targets()) < 2 {
		return r.Run(ctx, call)
	}
	verdict, err := r.race(ctx, req, emit)
	if err == nil && r.begun {
		return nil
	}
	if err == nil || verdict.ill() && len(r.Fallbacks) == 0 && len(r.dead) < len(r.order) { // all are beaten: one by one, then
		if v, other := r.exhaust(ctx, r.targets(), r.Policy, len(r.Fallbacks) > 0, call); other == nil || err == nil || v == Stop {
			verdict, err = v, other
		}
	}
	return r.fallBack(ctx, verdict, err, call)
}

// pass notes that the client's side failed, which is no target's fault.
func (r *Route) pass(err error) error {
	r.broke = r.broke || err != nil
	return err
}

// refused reports whether an answer begins, and so ends, with a refusal by
// policy that another model may not share.
func (r *Route) refused(e *llm.Event) bool {
	return len(r.Content) > 0 && e.Finish == "content_filter" && e.Bytes == 0 && e.Text == "" && e.Reasoning == "" && len(e.Tools) == 0
}

// targets are the own targets in order.
func (r *Route) targets() []*Target {
	r.Plan()
	return r.order
}

// errRefused is what an answer that is nothing but a refusal counts as. The
// client sees it only if no fallback answers.
var errRefused = &fault.Error{Kind: fault.Invalid, Code: "content_filter", Message: "The provider refused to answer: its content filter was triggered."}

var _ llm.Provider = (*Route)(nil)
