package router

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Board is where the instances of a fleet pool what they see of targets, so
// that each knows of the failures of all.
type Board interface {
	// Pool adds what this instance saw since it last asked, by target, and
	// returns what the whole fleet saw in the last 30 seconds or so, this
	// instance included. It is called at most once a second.
	Pool(ctx context.Context, seen map[string]Seen) (map[string]Seen, error)
}

// Seen counts the calls to a target and how many of them failed.
type Seen struct{ Calls, Failures int64 }

const (
	poolEvery = time.Second     // at most, with failures to tell
	poolIdle  = 5 * time.Second // at most, without
	poolLimit = time.Second     // for one exchange
)

// States describes the targets of a fleet by what it has seen of them in the
// window, for those who call none themselves. Sorted by name.
func States(seen map[string]Seen) []State {
	list := make([]State, 0, len(seen))
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		s := State{Target: name, State: "closed", Calls: seen[name].Calls, Failures: seen[name].Failures}
		if s.Calls >= minCalls && 2*s.Failures >= s.Calls {
			s.State = "open"
		}
		list = append(list, s)
	}
	return list
}

// pool is when the board was last asked.
type pool struct {
	mu   sync.Mutex
	last time.Time
}

// Share exchanges news with the board, if there are any: failures a second
// after the last time, successes after five. It is for the end of a request: on Lambda, nothing
// runs between requests. A board that does not answer changes nothing: each
// instance then goes by what it sees itself.
func (r *Router) Share(ctx context.Context) error {
	if r.Board == nil || !r.pool.mu.TryLock() {
		return nil
	}
	defer r.pool.mu.Unlock()
	now := time.Now()
	if now.Sub(r.pool.last) < poolEvery {
		return nil
	}
	seen := r.news(now.Sub(r.pool.last) >= poolIdle)
	if len(seen) == 0 {
		return nil
	}
	r.pool.last = now
	ctx, cancel := context.WithTimeout(ctx, poolLimit)
	defer cancel()
	fleet, err := r.Board.Pool(ctx, seen)
	if err != nil {
		return err
	}
	now = time.Now()
	for name, s := range fleet {
		r.mu.Lock()
		h := r.targets[name]
		r.mu.Unlock()
		h.learn(now, tally{s.Calls, s.Failures})
	}
	return nil
}

// news takes what has not been told yet, if there are failures in it or if
// successes are due as well.
func (r *Router) news(due bool) map[string]Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.targets {
		due = due || h.failed()
	}
	if !due {
		return nil
	}
	seen := map[string]Seen{}
	for name, h := range r.targets {
		if t := h.take(); t.calls > 0 {
			seen[name] = Seen{t.calls, t.failures}
		}
	}
	return seen
}

func (h *Health) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pending.failures > 0
}

func (h *Health) take() tally {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.pending
	h.pending = tally{}
	return t
}

// learn takes over what the fleet saw. What this instance saw itself is part
// of it.
func (h *Health) learn(now time.Time, fleet tally) {
	if h == nil {
		return
	}
	h.mu.Lock()
	was := h.cool
	h.fleet = tally{}
	own := h.seen(now)
	h.fleet, h.heard = tally{max(0, fleet.calls-own.calls), max(0, fleet.failures-own.failures)}, now
	if h.cool == 0 {
		h.check(now)
	}
	change := Change{Target: h.name, Open: h.cool > 0, For: h.cool}
	h.mu.Unlock()
	if h.notify != nil && was != change.For {
		h.notify(change)
	}
}
