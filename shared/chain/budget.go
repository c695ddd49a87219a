package chain

import (
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
}

// begin returns the tally of a step that is about to be done. What it took in
// runs that this one resumes is in it, and counts for its budget.
func (r *runner) begin(s *Step) *tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &tally{}
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
	res.Attempts, res.Cached, res.Model, res.Usage, res.Cost = t.attempts, t.cached, t.model, t.usage, t.cost
}

// hold sets money aside for a call. Less than nothing is given back.
func (w *work) hold(more usage.Nano) error {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	if b := w.c.Budget; b > 0 && more > 0 && w.run.Cost+w.runner.held+more > b {
		return overBudget("the chain", b, b-w.run.Cost-w.runner.held, more)
	}
	if b := w.budget(); b > 0 && more > 0 && w.tally.cost+w.tally.held+more > b {
		return overBudget("the step", b, b-w.tally.cost-w.tally.held, more)
	}
	w.runner.held += more
	w.tally.held += more
	return nil
}

// left is what hold has for further calls.
func (w *work) left() usage.Nano {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	left := usage.None
	if b := w.c.Budget; b > 0 {
		left = min(left, max(0, b-w.run.Cost-w.runner.held))
	}
	if b := w.budget(); b > 0 {
		left = min(left, max(0, b-w.tally.cost-w.tally.held))
	}
	return left
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

// pay books what a call has cost instead of what was held for it.
func (w *work) pay(a Answer, held usage.Nano) {
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	w.runner.held -= held
	w.tally.held -= held
	w.run.Cost += a.Cost
	w.cost += a.Cost
	w.run.Usage.Add(a.Usage)
	w.usage.Add(a.Usage)
	if a.Model != "" {
		w.model = a.Model
	}
}
