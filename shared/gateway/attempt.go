package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// attempt is one call to a target.
type attempt struct {
	target *Target
	held   usage.Nano // the most that it costs, while it runs
	ended  bool
	asked  time.Time
	bytes  int64      // of generated text
	seen   bool       // an event has come
	soFar  *llm.Usage // what the provider has counted before the end; nil: nothing
	calls  int        // how many it stands for, if there are several
	result Outcome

	dropped []string // request fields that the provider could not take

	// What was billed, if that is known.
	known bool
	usage llm.Usage
	cost  usage.Nano
	guess bool // it was counted here
}

// bill holds the attempts of one request and the money that is reserved for
// them. Attempts of a race, and the calls of a session, use it concurrently: mu
// guards it and, while calls are under way, the call's record and times. It is
// never held while somebody is asked for money: funding is, before it, so that
// one question is asked at a time, and calls that need no more do not wait.
type bill struct {
	g      *Gateway
	c      *Call
	priced bool // targets without a known price must not be asked

	funding  sync.Mutex
	mu       sync.Mutex
	attempts []*attempt
	reserved usage.Nano  // changed with both locks held
	answered llm.Usage   // of all works that have ended
	one      [1]*attempt // where attempts usually fit

	// Sums over the attempts, which in a run are thousands.
	committed usage.Nano // what they have cost and may still cost
	cost      usage.Nano
	guesses   int // whose tokens were counted here
	unpriced  int // whose cost is not known
}

// open begins an attempt at t for w. If the reservation does not cover it besides
// what the others cost, more is reserved first; it fails as raise and Work.Fund
// do, and with fault.Quota if t has no known price while prices matter.
func (b *bill) open(ctx context.Context, w *Work, t *Target) (*attempt, error) {
	a := &attempt{target: t, held: w.est.cost(t)}
	if !t.Priced && b.priced {
		return nil, &fault.Error{Kind: fault.Quota, Code: "unknown_price", Message: "No price is known for '" + t.Provider + "/" + t.Model + "'."}
	}
	if b.enter(w, a) {
		return a, nil
	}
	b.funding.Lock()
	defer b.funding.Unlock()
	for !b.enter(w, a) { // others may have entered meanwhile, who needed no more
		if err := b.cover(ctx, w, a); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// count notes what an event holds.
func (b *bill) count(a *attempt, e *llm.Event) {
	if !a.seen {
		a.seen = true
		a.result.TTFT = time.Since(a.asked)
		a.result.ID, a.result.Model = e.ID, e.Model
	}
	a.bytes += e.Generated()
	if e.SoFar != nil {
		a.soFar = e.SoFar
	}
	if e.Usage != nil {
		b.price(a, *e.Usage, false)
	}
	if e.Finish != "" && len(a.result.Finish) == 0 {
		a.result.Finish = append(a.result.Finish, e.Finish)
	}
}

func (b *bill) price(a *attempt, u llm.Usage, guess bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(a, -1)
	a.known, a.usage, a.cost, a.guess = true, u, a.target.Price.Cost(u), guess
	b.take(a, 1)
}

// take adds what is known of a's price to the sums, or, with -1, takes it out.
// The caller holds mu.
func (b *bill) take(a *attempt, sign int) {
	b.cost += usage.Nano(sign) * a.cost
	if a.guess {
		b.guesses += sign
	}
	if a.known && !a.target.Priced {
		b.unpriced += sign
	}
}

// estimate prices what the provider has not counted, or not to the end.
func (b *bill) estimate(a *attempt, input func() int64) {
	var u llm.Usage
	if a.soFar != nil {
		u = *a.soFar
	} else {
		u.Input = input()
	}
	u.Output = max(u.Output, (a.bytes+bytesPerTokenUsual-1)/bytesPerTokenUsual)
	b.price(a, u, true)
}

// close ends an attempt. If something was generated and the provider did not
// say what it bills, or was not let finish, that is counted here.
func (b *bill) close(a *attempt, input func() int64, err error) {
	if a.seen && !a.known {
		b.estimate(a, input)
	}
	a.result.Err = err
	if a.known && b.g.Trace != nil {
		u := a.usage
		a.result.Usage = &u
	}
	b.mu.Lock()
	a.ended = true
	b.committed += a.cost - a.held
	b.mu.Unlock()
}

// book enters in the record what speaker was billed for its part of w's answer,
// and what all attempts cost so far. over says that it is all.
func (b *bill) book(w *Work, speaker *attempt, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.sum()
	if w.Side {
		return
	}
	all := b.answered
	all.Add(speaker.usage)
	if over {
		b.answered = all
	}
	r := &b.c.Record
	r.Count(all)
	r.Provider, r.Model = speaker.target.Provider, speaker.target.Model
}

// sum enters the costs. The caller holds mu.
func (b *bill) sum() {
	r := &b.c.Record
	r.Cost, r.Estimated, r.Unpriced = b.cost, r.Estimated || b.guesses > 0, r.Unpriced || b.unpriced > 0
}

// finish completes the record when all attempts have ended.
func (b *bill) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum()
	r := &b.c.Record
	b.c.Grant.Lease.Reserved, r.Reserved = b.reserved, b.reserved
	if len(b.attempts) < 2 {
		return
	}
	for _, a := range b.attempts {
		r.Try(a.record())
	}
}

func (a *attempt) record() usage.Attempt {
	t := usage.Attempt{Provider: a.target.Provider, Model: a.target.Model, Calls: a.calls, Status: http.StatusOK,
		InputTokens: a.usage.Input, OutputTokens: a.usage.Output, Cost: a.cost}
	if err := a.result.Err; err != nil && !errors.Is(err, errCut) {
		f := fault.As(err)
		t.Status, t.Error = f.Status, string(f.Kind)
		if f.Kind == fault.Canceled {
			t.Status = fault.StatusClientLeft
		}
	}
	return t
}
