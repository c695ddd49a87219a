package chain

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// MaxCalls is how many calls a run makes at a time.
const MaxCalls = 16

// Calls is what a run asks of the world. Steps call it concurrently.
type Calls interface {
	// Prompt asks a model. An error's answer says what was billed all the same;
	// the text of one that was cut off is what came.
	Prompt(ctx context.Context, ask Ask) (Answer, error)
	// Retrieve returns the passages that q finds, best first.
	Retrieve(ctx context.Context, q rag.Query) ([]rag.Hit, error)
	// Template returns a stored template. It fails with fault.NotFound.
	Template(ctx context.Context, name string, ref recipe.Ref) (*template.Template, error)
}

// Ask is one call to a model.
type Ask struct {
	Step string
	Item int    // of a map; -1 otherwise
	Body []byte // a chat request
	// Share sets money aside for the call, before Hold: its part of what the
	// budgets of the step and of the chain have left. That is at least usual, if
	// there is so much, and never more than most; while other calls hold so much
	// that there is less, it waits for them. all is what the call has then and
	// what no other holds; both are usage.None if there is no budget. It fails if
	// ctx ends.
	Share func(ctx context.Context, usual, most usage.Nano) (own, all usage.Nano, err error)
	// Hold must be called before anything is spent, with the most that the call
	// is expected to cost, and again before it may cost more than that. It fails
	// with fault.Quota if that is above what the call has and what the budgets
	// have left; less than it was called with last is always taken. It must not be
	// called concurrently.
	Hold func(most usage.Nano) error
	// Emit is told the answer's text as it comes; nil if nobody wants it. If it
	// fails, the call is to end with its error.
	Emit func(text string) error
}

// Answer is what a model said.
type Answer struct {
	Text   string
	Finish string // OpenAI's finish_reason
	Model  string // that answered
	Usage  llm.Usage
	Cost   usage.Nano

	Unasked bool // nobody was asked: a budget refused the call
}

// Options say how to run a chain.
type Options struct {
	ID      string
	Version int             // of the chain
	Input   json.RawMessage // as Chain.Inputs returned it
	Calls   Calls
	Tools   codegen.Tools // for the files that code steps write; nil: they stay as they are
	Trace   Tracer        // nil: no tracing

	// Observe hears of events, one at a time. If it fails, the run is cancelled.
	// What an event points to must not be kept: the run goes on. Nil: nobody
	// listens.
	Observe func(Event) error
	Deltas  bool // Observe wants the texts of prompts as they come

	// Resume is an earlier run with the same id, version and input: what it has
	// finished is not done again.
	Resume *Run
	// Save stores the run as Runs.Save does: before its first step, so that it can
	// be found from then on and nobody else resumes it, too, soon after each step,
	// from time to time and at its end; never twice at once. Nil: it cannot be
	// resumed.
	Save func(context.Context, *Run) error
}

// errStopped is why steps are cancelled when another one has failed.
var errStopped = fault.New(fault.Canceled, "Another step failed first.")

// runner is a run under way. The goroutine of Run alone changes which results
// there are, and no result itself. mu guards what steps change, and what is
// read to be saved.
type runner struct {
	c     *Chain
	o     Options
	run   *Run
	input any // run.Input, decoded; steps read it at the same time
	stop  context.CancelCauseFunc

	slots chan struct{} // one for each call under way

	mu     sync.Mutex
	held   usage.Nano        // the most that calls under way may cost
	paid   chan struct{}     // closed when less is held; nil if nobody waits for that
	doing  map[string]*tally // of steps that have begun
	memory memory
	size   int          // bytes of all outputs
	effort atomic.Int64 // steps taken between calls

	telling sync.Mutex // one event at a time

	over  time.Time     // when the run must be over
	news  chan struct{} // there is something worth saving
	saved time.Time
	taken bool // the store has another's revision
}

// Run runs c. The run it returns is never nil and holds all results there are;
// the error is what ended the run, and is in it, too. A Resume that cannot be
// resumed is refused with fault.Conflict, and then it is what is returned.
func (c *Chain) Run(ctx context.Context, o Options) (*Run, error) {
	if o.Resume != nil {
		if err := c.resumable(o.Resume, o); err != nil {
			return o.Resume, err
		}
	}
	now := time.Now()
	r := &runner{c: c, o: o, input: decode(o.Input), slots: make(chan struct{}, MaxCalls), memory: memory{}, doing: map[string]*tally{},
		over: now.Add(c.Timeout), news: make(chan struct{}, 1)}
	r.run = &Run{ID: o.ID, Chain: c.Name, Version: o.Version, Input: o.Input, Status: Running, Created: now, Updated: now}
	for _, s := range c.Steps {
		r.run.Steps = append(r.run.Steps, &Result{ID: s.ID, Type: s.Type, Status: Canceled})
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(r.over) {
		r.over = deadline
	}
	r.run.Until = r.until(now)
	if o.Resume != nil {
		if err := r.takeUp(ctx, o.Resume); err != nil {
			return o.Resume, err
		}
	}
	ctx, ended := r.traced(ctx)
	defer ended()
	if o.Resume == nil {
		r.save(ctx)
	}
	caller := ctx
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	ctx, cancel := context.WithDeadlineCause(ctx, now.Add(c.Timeout), fault.New(fault.Timeout, "The chain took longer than %s.", c.Timeout))
	defer cancel()

	r.tell(Event{Type: "run.start", Item: -1, Run: r.run})
	done := r.keepSaved(ctx)
	err := r.steps(ctx)
	done()
	if err == nil {
		r.run.Output, err = r.output(ctx)
	}
	r.end(caller, err)
	return r.run, err
}

// resumable says whether was can be gone on with.
func (c *Chain) resumable(was *Run, o Options) error {
	conflict := func(format string, args ...any) error {
		return fault.New(fault.Conflict, "The run '"+was.ID+"' "+format+".", args...)
	}
	switch {
	case was.Chain != c.Name || was.Version != o.Version:
		return conflict("is one of version %d of the chain '%s'", was.Version, was.Chain)
	case !equal(decode(was.Input), decode(o.Input)):
		return conflict("has another input; a resumption takes none, or the same")
	case was.Lost != "":
		return conflict("cannot be resumed: %s", strings.TrimSuffix(was.Lost, "."))
	case was.Status == Running && time.Now().Before(was.Until):
		return goesOn(was.ID, was.Until)
	}
	return nil
}

// goesOn is the error for a run that somebody is busy with, until a time at
// least.
func goesOn(id string, until time.Time) error {
	return &fault.Error{Kind: fault.Conflict, Code: "run_in_progress", RetryAfter: time.Until(until),
		Message: "The run '" + id + "' is still going on; if it was broken off, it can be resumed after " + until.UTC().Format(time.RFC3339) + "."}
}

// tell passes an event on; if nobody can be told any more, the run ends.
func (r *runner) tell(e Event) {
	if r.o.Observe == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	if err := r.o.Observe(e); err != nil {
		r.stop(err)
	}
}

// steps runs what can run until nothing more can. It returns the failure that
// ended the run.
func (r *runner) steps(ctx context.Context) (failed error) {
	type finish struct {
		step int
		res  *Result
		err  error
	}
	var (
		n        = len(r.c.Steps)
		over     = make([]bool, n)
		started  = make([]bool, n)
		finished = make(chan finish)
		active   = 0
		news     = false // a step has ended
	)
	for i, res := range r.run.Steps {
		if res.Resumed {
			over[i], started[i] = true, true
			r.tell(Event{Type: "step.end", Step: res.ID, Item: -1, Result: res})
		}
	}
	for {
		var begun []func()            // together, so that each knows of the others
		for _, i := range r.c.order { // in this order one pass finds all
			s := r.c.Steps[i]
			ready := !started[i] && failed == nil && ctx.Err() == nil
			for _, d := range s.deps {
				ready = ready && over[d]
			}
			switch {
			case !ready:
			case r.skips(s):
				started[i], over[i] = true, true
				skipped := *r.run.Steps[i] // it may have cost something in an earlier run
				skipped.Status = Skipped
				r.settle(i, &skipped)
				r.tell(Event{Type: "step.end", Step: s.ID, Item: -1, Result: r.run.Steps[i]})
			default:
				started[i] = true
				active++
				w := &work{runner: r, s: s, top: s, data: r.data(s.deps), item: -1, tally: r.begin(s)}
				r.tell(Event{Type: "step.start", Step: s.ID, Item: -1, Kind: s.Type})
				begun = append(begun, func() {
					res, err := w.step(ctx)
					finished <- finish{i, res, err}
				})
			}
		}
		for _, step := range begun {
			go step()
		}
		if active == 0 {
			break // and what is new is saved with the end
		}
		if news {
			r.saveSoon()
		}
		f := <-finished
		news = true
		active--
		over[f.step] = true
		r.settle(f.step, f.res)
		r.tell(Event{Type: "step.end", Step: f.res.ID, Item: -1, Result: f.res})
		if f.res.Status == Failed && failed == nil {
			failed = f.err
			r.stop(errStopped)
		}
	}
	if failed == nil && ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	return failed
}

// settle notes how a step ended.
func (r *runner) settle(i int, res *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Steps[i] = res
}

// skips says that nothing is left for s to do: its condition chose the other
// branch, or all that it builds on was skipped.
func (r *runner) skips(s *Step) bool {
	gone, others := 0, 0
	for _, d := range s.deps {
		res := r.run.Steps[d]
		if d == s.governor {
			if chosen, _ := res.value.(bool); res.Status != OK || chosen != r.c.Steps[d].chooses(s.ID) {
				return true
			}
			continue
		}
		others++
		if res.Status == Skipped {
			gone++
		}
	}
	return gone > 0 && gone == others
}

// chooses says what s, a condition, must give for a step to run.
func (s *Step) chooses(id string) bool { return slices.Contains(s.Then, id) }

// data is what a step can see: the input, and the outputs of the steps it
// depends on. What was skipped has null.
func (r *runner) data(deps []int) map[string]any {
	steps := map[string]any{}
	for _, d := range deps {
		res := r.run.Steps[d]
		steps[res.ID] = map[string]any{"output": res.value}
	}
	return map[string]any{"input": r.input, "steps": steps}
}

// output is what the chain as a whole gives.
func (r *runner) output(ctx context.Context) (json.RawMessage, error) {
	sel := r.c.output
	if sel == nil {
		for i := len(r.run.Steps) - 1; i >= 0; i-- {
			if res := r.run.Steps[i]; res.Status == OK {
				return res.Output, nil
			}
		}
		return json.RawMessage("null"), nil
	}
	all := make([]int, len(r.c.Steps))
	for i := range all {
		all[i] = i
	}
	v, _, err := sel.value(r.data(all), r.spend(ctx))
	if err == nil {
		var out json.RawMessage
		if out, err = encode(v); err == nil {
			return out, nil
		}
	}
	f := *fault.As(err)
	f.Param = "output"
	return nil, &f
}

// end completes the run and stores it, whatever became of the caller.
func (r *runner) end(ctx context.Context, err error) {
	run := r.run
	run.Status = OK
	if err != nil {
		run.Status, run.Error = Failed, failure(err)
		if errors.Is(err, fault.Canceled) || errors.Is(err, context.Canceled) {
			run.Status = Canceled
		}
	}
	r.save(ctx)
	r.tell(Event{Type: "run.end", Item: -1, Run: run})
}
