package router

import (
	"cmp"
	"context"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

const (
	// hedgeShare is which part of the requests may be hedged in the long run,
	// hedgeBurst how many in a row: a hedge is paid twice.
	hedgeShare = 0.1
	hedgeBurst = 10
	// hedgeBlind is when a hedge starts while no percentile is known.
	hedgeBlind = 2 * time.Second
)

// errLost ends the calls that lost a race. Who made one still books what it
// generated.
var errLost = &fault.Error{Kind: fault.Canceled, Code: "race_lost", Message: "Another provider was faster."}

// leg is one call of a race.
type leg struct {
	target *Target
	start  time.Time
	cancel context.CancelCauseFunc
	reply  chan error // to its events
	spoke  bool       // it has had one
	bound  *time.Timer
}

// saying is an event on its way from a leg to the racer; a nil event is the
// leg's end.
type saying struct {
	leg   *leg
	event *llm.Event
	err   error
}

// race asks several targets at once, or a second one after a while, and passes
// on the answer of the first to speak. The others are cancelled at that very
// moment, and race returns when all have come to their end. If nobody spoke,
// the verdict is the worst that was found: one that ends the request, if any.
//
// Events are handed over to the caller's goroutine, on which emit is called.
func (r *Route) race(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) (Verdict, error) {
	queue := r.targets()
	said := make(chan saying)
	var legs []*leg
	var winner *leg
	var owed *leg // who waits while emit runs
	running := 0
	next := func() bool {
		for len(queue) > 0 {
			t := queue[0]
			queue = queue[1:]
			if now := time.Now(); t.Health.enter(now, false) {
				inner, cancel := context.WithCancelCause(ctx)
				l := &leg{target: t, start: now, cancel: cancel, reply: make(chan error)}
				l.bound = slowly(t, cmp.Or(r.TTFT, forever), cancel)
				legs = append(legs, l)
				running++
				go r.run(inner, l, req, said)
				return true
			}
		}
		return false
	}
	// However this ends, also by a panic of emit: nobody is left behind.
	defer func() {
		for _, l := range legs {
			l.cancel(errLost)
		}
		if owed != nil {
			owed.reply <- errLost
		}
		for running > 0 {
			s := <-said
			if s.event != nil {
				s.leg.reply <- errLost
				continue
			}
			running--
			r.end(ctx, s.leg, s.err, s.leg != winner)
		}
	}()

	for range r.width() {
		next()
	}
	if running == 0 {
		return Retry, nil // all ill: exhaust has the words for it
	}
	hedge := r.hedgeTimer(legs[0].target)
	defer hedge.Stop()
	verdict, result := Retry, error(nil)
	for running > 0 {
		select {
		case <-hedge.C:
			if winner == nil && r.Group.spendHedge() {
				next()
			}
		case s := <-said:
			l := s.leg
			l.spoke = l.spoke || s.event != nil
			switch {
			case s.event != nil && winner == nil && !r.refused(s.event):
				winner, owed, r.begun = l, l, true
				hedge.Stop()
				l.bound.Stop()
				for _, other := range legs {
					if other != l {
						other.cancel(errLost)
					}
				}
				l.target.Health.spoke(time.Now(), time.Since(l.start))
				if r.Picked != nil {
					r.Picked(l.target)
				}
				err := r.pass(emit(s.event))
				owed = nil
				l.reply <- err
			case s.event != nil && winner == l:
				owed = l
				err := r.pass(emit(s.event))
				owed = nil
				l.reply <- err
			case s.event != nil && winner == nil:
				l.reply <- errRefused
			case s.event != nil:
				l.reply <- errLost
			default:
				running--
				r.end(ctx, l, s.err, winner != nil && winner != l)
				if l == winner {
					return Stop, s.err
				}
				if winner != nil {
					continue
				}
				v := Judge(ctx, s.err, false)
				if result == nil || !v.ill() {
					verdict, result = v, s.err
				}
				if v != Retry {
					r.dead = append(r.dead, l.target)
				}
				if verdict.ill() && running == 0 && ctx.Err() == nil {
					next() // nobody is left: the next one runs alone
				}
			}
		}
	}
	return verdict, result
}

const forever time.Duration = 1 << 62

// run makes the call of a leg, in a goroutine of its own.
func (r *Route) run(ctx context.Context, l *leg, req *llm.Request, said chan<- saying) {
	err := fault.Guard(func() error {
		err := r.Ask(ctx, l.target, req, func(e *llm.Event) error {
			said <- saying{leg: l, event: e}
			return <-l.reply
		})
		if f, ok := context.Cause(ctx).(*fault.Error); ok && f.Kind == fault.Timeout && err != nil {
			return f
		}
		return err
	})
	said <- saying{leg: l, err: err}
}

// end closes a leg's visit at its target.
func (r *Route) end(ctx context.Context, l *leg, err error, lost bool) {
	l.bound.Stop()
	l.cancel(nil)
	v := Verdict("")
	switch {
	case lost || r.broke || context.Cause(ctx) != nil:
		v = Stop // nothing is known of who was not let finish
	case err != nil:
		v = Judge(ctx, err, false)
	}
	if lost && !l.spoke {
		l.target.Health.lagged(time.Now(), time.Since(l.start))
	}
	l.target.Health.leave(time.Now(), time.Since(l.start), v)
}

// hedgeTimer fires when a hedge is due; never, without one.
func (r *Route) hedgeTimer(t *Target) *time.Timer {
	if r.Strategy != Hedge {
		return time.NewTimer(forever)
	}
	r.Group.earnHedge()
	after := r.HedgeAfter
	if p95, ok := t.Health.p95(); after == 0 && ok {
		after = p95
	} else if after == 0 {
		after = hedgeBlind
	}
	return time.NewTimer(after)
}

func (g *Group) earnHedge() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spare = min(hedgeBurst, g.spare+hedgeShare)
}

func (g *Group) spendHedge() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spare < 1 {
		return false
	}
	g.spare--
	return true
}
