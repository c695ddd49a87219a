package router

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	// maxWait is how long a request may wait between attempts, in all. Where a
	// fallback is left, nobody waits longer than a second.
	maxWait     = 10 * time.Second
	shortWait   = time.Second
	firstWait   = 250 * time.Millisecond
	longestWait = 4 * time.Second
	// maxAttempts bounds the calls to the targets of one model.
	maxAttempts = 12
)

// Call asks one target. It says begun when the target has been heard, after
// which nobody is asked again.
type Call func(ctx context.Context, t *Target, begun func()) error

// Run makes call with one target after the other until one succeeds: the own
// targets, then the fallbacks that the kind of failure asks for.
func (r *Route) Run(ctx context.Context, call Call) error {
	verdict, err := r.exhaust(ctx, r.targets(), r.Policy, len(r.Fallbacks) > 0, call)
	return r.fallBack(ctx, verdict, err, call)
}

// fallBack goes on where the own targets ended with err. If no fallback
// answers either, the client is told what was wrong at first.
func (r *Route) fallBack(ctx context.Context, verdict Verdict, err error, call Call) error {
	if err == nil || verdict == Stop {
		return err
	}
	list := r.Fallbacks
	switch verdict {
	case Longer:
		list = r.Context
	case Content:
		list = r.Content
	}
	for i, g := range list {
		_, other := r.exhaust(ctx, r.sort(g, g.Strategy), g.Policy, i+1 < len(list), call)
		if other == nil || r.begun || ctx.Err() != nil {
			return other
		}
	}
	return err
}

// turn is how far a request has come with one target.
type turn struct {
	target    *Target
	tries     int
	notBefore time.Time // the target asked not to be called earlier
	over      bool
	force     bool // ask although it is ill
}

// exhaust asks the targets of one model in order, in rounds with a growing
// pause between them, until one succeeds or none may be asked any more. rest
// says that there are fallbacks after them.
func (r *Route) exhaust(ctx context.Context, order []*Target, p Policy, rest bool, call Call) (Verdict, error) {
	var buf [4]turn
	turns := buf[:0]
	for _, t := range order {
		// A breaker could only fail what might have worked where there is no choice.
		turns = append(turns, turn{target: t, force: len(order) == 1 && !rest, over: slices.Contains(r.dead, t)})
	}
	last, result, calls := Retry, error(nil), 0
	for round := 0; ; round++ {
		for i := range turns {
			t, now := &turns[i], time.Now()
			if t.over || t.tries > p.Retries || calls >= maxAttempts || now.Before(t.notBefore) {
				continue
			}
			if t.over = calls > 0 && !reachable(ctx, t.target, now); t.over {
				continue
			}
			if !t.target.Health.enter(now, t.force) {
				continue
			}
			t.tries, calls = t.tries+1, calls+1
			verdict, err := r.attempt(ctx, t.target, p.TTFT, call)
			if err == nil || verdict == Stop || verdict == Longer || verdict == Content {
				return verdict, err
			}
			if verdict == Rotate {
				r.Rotations++
			}
			t.over = verdict != Retry
			t.notBefore = time.Now().Add(fault.As(err).RetryAfter)
			if result == nil || last == Poor {
				result, last = err, verdict
			}
		}
		if calls == 0 {
			ill, err := leastIll(turns, p.LastResort)
			if ill == nil {
				return Retry, err
			}
			turns = append(turns[:0], turn{target: ill, force: true})
			continue
		}
		if calls >= maxAttempts || !r.pause(ctx, turns, p.Retries, round, rest) {
			return last, result
		}
	}
}

// attempt makes one call. If the first event takes longer than bound, the call
// is cancelled and has failed.
func (r *Route) attempt(ctx context.Context, t *Target, bound time.Duration, call Call) (_ Verdict, err error) {
	start, inner := time.Now(), ctx
	var timer *time.Timer
	if bound > 0 {
		limited, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		timer = slowly(t, bound, cancel)
		defer timer.Stop()
		inner = limited
	}
	found := Rotate // of the target's health; so it stays if the call panics
	defer func() { t.Health.leave(time.Now(), time.Since(start), found) }()
	err = call(inner, t, func() {
		r.begun = true
		if timer != nil {
			timer.Stop()
		}
		t.Health.spoke(time.Now(), time.Since(start))
	})
	if err == nil {
		found = ""
		return "", nil
	}
	if slow, ok := context.Cause(inner).(*fault.Error); ok && !r.begun && ctx.Err() == nil {
		err = slow // whatever the provider made of it
	}
	found = Judge(ctx, err, r.broke)
	if r.begun {
		return Stop, err
	}
	return found, err
}

// slowly cancels a call whose first event takes longer than bound.
func slowly(t *Target, bound time.Duration, cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(bound, func() {
		cancel(&fault.Error{Kind: fault.Timeout, Code: "upstream_timeout", Provider: t.Provider,
			Message: "The provider '" + t.Provider + "' did not begin to answer in time."})
	})
}

// leastIll is asked for when no target may be called: the least ill of them if
// it is the last resort, or the answer that they all are.
func leastIll(turns []turn, lastResort bool) (*Target, error) {
	var best *Target
	for i := range turns {
		if t := turns[i].target; best == nil || t.Health.opens().Before(best.Health.opens()) {
			best = t
		}
	}
	if best != nil && lastResort {
		return best, nil
	}
	err := &fault.Error{Kind: fault.Unavailable, Code: "no_target_available", RetryAfter: time.Second,
		Message: "Every provider of this model is failing at the moment; try again later."}
	if best != nil {
		err.RetryAfter = max(time.Second, time.Until(best.Health.opens()))
	}
	return nil, err
}

// pause waits before the next round, if there is anybody left to ask, time to
// wait, and time for an answer after that.
func (r *Route) pause(ctx context.Context, turns []turn, retries, round int, rest bool) bool {
	now := time.Now()
	var next *turn
	for i := range turns {
		t := &turns[i]
		if t.over || t.tries > retries || !t.force && t.target.Health.shut(now) {
			continue
		}
		if next == nil || t.notBefore.Before(next.notBefore) {
			next = t
		}
	}
	if next == nil {
		return false
	}
	step := min(firstWait<<min(round, 8), longestWait)
	wait := max(step/2+rand.N(step/2), next.notBefore.Sub(now))
	most := maxWait
	if rest {
		most = shortWait
	}
	if r.waited+wait > most || !reachable(ctx, next.target, now.Add(wait)) {
		return false
	}
	r.waited += wait
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reachable says whether an answer that is asked for at a time can begin
// before the request's deadline, going by how long the target took lately.
func reachable(ctx context.Context, t *Target, at time.Time) bool {
	end, ok := ctx.Deadline()
	return !ok || at.Add(max(t.Health.expect(at), soonestAnswer)).Before(end)
}

// soonestAnswer is how long a call takes at least.
const soonestAnswer = 50 * time.Millisecond
