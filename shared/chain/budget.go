package chain

import (
	"cmp"
	"context"
	"sync"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// tally adds up what a step takes.
type tally struct {
	mu       sync.Mutex
	attempts int
	cached   int
	model    string
	usage    llm.Usage
	cost     usage.Nano
	held     usage.Nano // the most that the step's calls under way may cost
	finish   string     // why the answer ended; "length" if that of any item did

	// The runner's lock guards these.
	lanes   int // calls that the step makes at a time
	todo    int // of those, how many have not ended
	holders int // of those, how many have money
}

// begin returns the tally of a step that is about to be done. What it took in
// runs that this one resumes is in it, and counts for its budget.
func (r *runner) begin(s *Step) *tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &tally{}
	switch {
	case s.Do != nil && s.Do.calls():
		t.lanes, t.todo = s.Parallel, MaxItems // until it is known
	case s.calls():
		t.lanes, t.todo = 1, 1
	}
	if was := r.run.Step(s.ID); was != nil {
		t.attempts, t.cached, t.usage, t.cost = was.Attempts, was.Cached, was.Usage, was.Cost
	}
	r.doing[s.ID] = t
	return t
}

// into enters in res what the step has taken.
func (t *tally) into(res *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	res.Attempts, res.Cached, res.Model, res.Usage, res.Cost, res.Finish = t.attempts, t.cached, t.model, t.usage, t.cost, t.finish
}

// remain says how many calls of the step have not ended.
func (w *work) remain(n int) {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.todo = n
}

// did says that one of them has.
func (w *work) did() {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.todo--
}

// fund is a budget that a call is paid from.
type fund struct {
	whose      string
	limit      usage.Nano
	cost, held usage.Nano // what calls have cost, and may still cost
	mates      int        // calls that may want to hold some of it now, this one included
}

func (f fund) left() usage.Nano { return max(0, f.limit-f.cost-f.held) }

// funds lists the budgets that w is paid from. The caller holds both locks.
func (w *work) funds() (list []fund) {
	if b := w.c.Budget; b > 0 {
		n := 0
		for _, t := range w.doing {
			n += t.coming()
		}
		list = append(list, fund{"the chain", b, w.run.Cost, w.runner.held, min(max(1, n), MaxCalls)})
	}
	if b := w.budget(); b > 0 {
		list = append(list, fund{"the step", b, w.tally.cost, w.tally.held, min(max(1, w.coming()), MaxCalls)})
	}
	return list
}

// coming is how many calls of the step may want money at the same time, without
// those that have theirs.
func (t *tally) coming() int { return max(0, min(t.lanes, t.todo)-t.holders) }

// loan is what a call has of the budgets.
type loan struct {
	held  usage.Nano
	taken bool
}

// share sets aside a call's part of the budgets: as much as each of those gets
// that may want some at the same time, or what calls usually need if that is
// more, and never more than most. If others hold so much that what is usual is
// not left, it waits until they have paid what they really cost. own is what it
// has then, all that and what nobody holds; usage.None if there is no budget. It
// fails if ctx ends.
func (w *work) share(ctx context.Context, l *loan, usual, most usage.Nano) (own, all usage.Nano, err error) {
	for {
		own, all, paid := w.take(l, usual, most)
		if paid == nil {
			return own, all, nil
		}
		select {
		case <-paid:
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
}

// take is share without the wait: where there is one, it returns what ends it.
func (w *work) take(l *loan, usual, most usage.Nano) (own, all usage.Nano, paid <-chan struct{}) {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	own, all = most, usage.None
	for _, f := range w.funds() {
		left := f.left()
		if left < usual && f.held > 0 {
			if w.paid == nil {
				w.paid = make(chan struct{})
			}
			return 0, 0, w.paid
		}
		own, all = min(own, left/usage.Nano(f.mates)), min(all, left)
	}
	if all == usage.None {
		return usage.None, usage.None, nil
	}
	own = max(own, min(usual, most, all))
	w.lend(l, own)
	l.taken = true
	w.holders++
	return own, all, nil
}

// hold sets aside most for a call, instead of what it has. It fails with
// fault.Quota if the budgets have not so much.
func (w *work) hold(l *loan, most usage.Nano) error {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	if more := most - l.held; more > 0 {
		for _, f := range w.funds() {
			if f.cost+f.held+more > f.limit {
				return overBudget(f.whose, f.limit, f.limit-f.cost-f.held+l.held, most)
			}
		}
	}
	w.lend(l, most)
	return nil
}

// lend changes what a call has to an amount. The caller holds both locks.
func (w *work) lend(l *loan, amount usage.Nano) {
	more := amount - l.held
	w.runner.held += more
	w.tally.held += more
	l.held = amount
	if more < 0 {
		w.tellPaid()
	}
}

// tellPaid wakes those who wait for what others hold. The caller holds the
// runner's lock.
func (r *runner) tellPaid() {
	if r.paid != nil {
		close(r.paid)
		r.paid = nil
	}
}

// budget is the smaller of what a map and its item may cost; the step's own
// otherwise.
func (w *work) budget() usage.Nano {
	if w.top.Budget > 0 && (w.s.Budget == 0 || w.top.Budget < w.s.Budget) {
		return w.top.Budget
	}
	return w.s.Budget
}

func overBudget(whose string, budget, left, need usage.Nano) error {
	return &fault.Error{Kind: fault.Quota, Code: "chain_budget_exceeded",
		Message: "The budget of " + whose + " is $" + budget.USD() + ", of which $" + max(0, left).USD() + " is left; the call may cost $" + need.USD() + "."}
}

// pay books what a call has cost instead of what it held.
func (w *work) pay(a Answer, l *loan) {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	w.lend(l, 0)
	if l.taken {
		w.holders--
	}
	w.run.Cost += a.Cost
	w.cost += a.Cost
	w.run.Usage.Add(a.Usage)
	w.usage.Add(a.Usage)
	if a.Model != "" {
		w.model = a.Model
	}
	if w.finish != "length" { // of a map, one that is cut off says so for all
		w.finish = cmp.Or(a.Finish, w.finish)
	}
	if a.Unasked {
		w.attempts--
	}
}
