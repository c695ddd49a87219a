package chain

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	maxCalls     = 16               // of a run at a time
	saveInterval = 10 * time.Second // between saves while a run goes on
	saveTimeout  = 10 * time.Second
)

// Calls is what a run asks of the world. Steps call it concurrently.
type Calls interface {
	// Prompt asks a model. An error's answer says what was billed all the same.
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
	// Hold must be called before anything is spent, with the most that the call
	// is expected to cost. It fails with fault.Quota if that is above what the
	// budgets of the step and of the chain have left.
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
}

// Options say how to run a chain.
type Options struct {
	ID      string
	Version int             // of the chain
	Input   json.RawMessage // as Chain.Inputs returned it
	Calls   Calls
	Tools   codegen.Tools // for the files that code steps write; nil: they stay as they are

	// Observe hears of events, one at a time. If it fails, the run is cancelled.
	// What an event points to must not be kept: the run goes on. Nil: nobody
	// listens.
	Observe func(Event) error
	Deltas  bool // Observe wants the texts of prompts as they come

	// Resume is an earlier run with the same id, version and input: what it has
	// finished is not done again.
	Resume *Run
	// Save stores the run as Runs.Save does: from time to time and at its end, and
	// before a resumption, so that nobody else resumes it, too. Nil: it cannot be
	// resumed.
	Save func(context.Context, *Run) error
}

// errStopped is why steps are cancelled when another one has failed.
var errStopped = fault.New(fault.Canceled, "Another step failed first.")

// runner is a run under way. The goroutine of Run alone changes results; mu
// guards what steps change.
type runner struct {
	c     *Chain
	o     Options
	run   *Run
	input any // run.Input, decoded; steps read it at the same time
	stop  context.CancelCauseFunc

	slots chan struct{} // one for each call under way

	mu     sync.Mutex
	held   usage.Nano // the most that calls under way may cost
	memory memory
	size   int // bytes of all outputs

	telling sync.Mutex // one event at a time
	saved   time.Time
	broken  bool // the store has failed
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
	r := &runner{c: c, o: o, input: decode(o.Input), slots: make(chan struct{}, maxCalls), saved: now, memory: memory{}}
	r.run = &Run{ID: o.ID, Chain: c.Name, Version: o.Version, Input: o.Input, Status: Running, Created: now, Updated: now, Until: now.Add(c.Timeout)}
	for _, s := range c.Steps {
		r.run.Steps = append(r.run.Steps, &Result{ID: s.ID, Type: s.Type, Status: Canceled})
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(r.run.Until) {
		r.run.Until = deadline
	}
	if o.Resume != nil {
		if err := r.takeUp(ctx, o.Resume); err != nil {
			return o.Resume, err
		}
	}
	caller := ctx
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	ctx, cancel := context.WithDeadlineCause(ctx, now.Add(c.Timeout), fault.New(fault.Timeout, "The chain took longer than %s.", c.Timeout))
	defer cancel()

	r.tell(Event{Type: "run.start", Item: -1, Run: r.run})
	err := r.steps(ctx)
	if err == nil {
		r.run.Output, err = r.output()
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
		return conflict("cannot be resumed: %s", was.Lost)
	case was.Status == Running && time.Now().Before(was.Until):
		return &fault.Error{Kind: fault.Conflict, Code: "run_in_progress", RetryAfter: time.Until(was.Until),
			Message: "The run '" + was.ID + "' is still going on; if it was broken off, it can be resumed after " + was.Until.UTC().Format(time.RFC3339) + "."}
	}
	return nil
}

// takeUp goes on with what was done before.
func (r *runner) takeUp(ctx context.Context, was *Run) error {
	r.run.Created, r.run.Rev, r.run.Cost, r.run.Usage = was.Created, was.Rev, was.Cost, was.Usage
	r.memory.load(was.Memory)
	if r.o.Save != nil {
		claim := *was
		claim.Status, claim.Updated, claim.Until, claim.Rev = Running, r.run.Updated, r.run.Until, was.Rev+1
		if err := r.o.Save(ctx, &claim); err != nil {
			return err
		}
		r.run.Rev++
	}
	for i, s := range r.run.Steps {
		if old := was.Step(s.ID); old != nil && (old.Status == OK || old.Status == Skipped && old.Error != nil) {
			done := *old
			done.Resumed, done.value = true, decode(old.Output)
			r.run.Steps[i] = &done
		}
	}
	return nil
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
	)
	for i, res := range r.run.Steps {
		if res.Resumed {
			over[i], started[i] = true, true
			r.tell(Event{Type: "step.end", Step: res.ID, Item: -1, Result: res})
		}
	}
	for {
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
				r.run.Steps[i].Status = Skipped
				r.tell(Event{Type: "step.end", Step: s.ID, Item: -1, Result: r.run.Steps[i]})
			default:
				started[i] = true
				active++
				data := r.data(s.deps)
				r.tell(Event{Type: "step.start", Step: s.ID, Item: -1, Kind: s.Type})
				go func() {
					res, err := r.step(ctx, s, data)
					finished <- finish{i, res, err}
				}()
			}
		}
		if active == 0 {
			break
		}
		f := <-finished
		active--
		over[f.step] = true
		r.run.Steps[f.step] = f.res
		r.tell(Event{Type: "step.end", Step: f.res.ID, Item: -1, Result: f.res})
		if f.res.Status == Failed && failed == nil {
			failed = f.err
			r.stop(errStopped)
		}
		r.saveNow(ctx)
	}
	if failed == nil && ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	return failed
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
func (r *runner) output() (json.RawMessage, error) {
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
	v, _, err := sel.value(r.data(all))
	if err != nil {
		return nil, err
	}
	return encode(v)
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

// saveNow saves if it is time to.
func (r *runner) saveNow(ctx context.Context) {
	if time.Since(r.saved) >= saveInterval && !r.broken {
		r.save(ctx)
	}
}

// save stores the run. A run that cannot be stored goes on, and says so.
func (r *runner) save(ctx context.Context) {
	if r.o.Save == nil {
		r.run.Lost = "runs are not stored here"
		return
	}
	r.mu.Lock() // steps are adding to what it has cost
	r.run.Memory = r.memory.list(r.run)
	r.run.Updated = time.Now()
	now := *r.run
	r.mu.Unlock()
	now.Rev++
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	err := r.o.Save(ctx, &now)
	if errors.Is(err, fault.TooLarge) {
		now.Lost = fault.As(err).Message
		err = r.o.Save(ctx, now.small())
	}
	if r.saved, r.broken = time.Now(), err != nil; err != nil {
		r.run.Lost = "it could not be stored"
		return
	}
	r.run.Rev, r.run.Lost = now.Rev, now.Lost
}

// small is r without what makes it large.
func (r *Run) small() *Run {
	s := *r
	s.Input, s.Output, s.Memory, s.Steps = nil, nil, nil, nil
	for _, res := range r.Steps {
		one := *res
		one.Output, one.Items = nil, nil
		s.Steps = append(s.Steps, &one)
	}
	return &s
}
