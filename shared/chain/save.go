package chain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	savePause    = time.Second      // between saves, at least, while a run goes on
	saveInterval = 10 * time.Second // between saves, at most
	saveTimeout  = 10 * time.Second
	aliveFor     = 3 * saveInterval // a run that was not saved for so long was broken off
)

// until is when a run that was saved at a time counts as broken off.
func (r *runner) until(saved time.Time) time.Time {
	if end := saved.Add(aliveFor); end.Before(r.over) {
		return end
	}
	return r.over
}

// takeUp goes on with what was done before.
func (r *runner) takeUp(ctx context.Context, was *Run) error {
	r.run.Created, r.run.Rev, r.run.Cost, r.run.Usage, r.run.Trace = was.Created, was.Rev, was.Cost, was.Usage, was.Trace
	r.memory.load(was.Memory)
	if r.o.Save != nil {
		claim := *was
		claim.Status, claim.Updated, claim.Until, claim.Rev = Running, r.run.Updated, r.run.Until, was.Rev+1
		claim.Output, claim.Error = nil, nil
		switch err := r.store(ctx, &claim); {
		case errors.Is(err, fault.Conflict): // another one was faster
			return goesOn(was.ID, claim.Until)
		case err != nil:
			return err
		}
		r.run.Rev++
	}
	r.saved = r.run.Updated
	for i, s := range r.run.Steps {
		if old := was.Step(s.ID); old != nil && (old.Status == OK || old.Status == Skipped && old.Error != nil) {
			done := *old
			done.Resumed, done.value = true, decode(old.Output)
			r.run.Steps[i] = &done
		} else if old != nil { // it will be done again, and has cost something
			s.Attempts, s.Cached, s.Model, s.Usage, s.Cost = old.Attempts, old.Cached, old.Model, old.Usage, old.Cost
		}
	}
	return nil
}

// keepSaved saves the run while it goes on, also while nothing ends: a save says
// that it is alive. What it returns ends that.
func (r *runner) keepSaved(ctx context.Context) (done func()) {
	if r.o.Save == nil {
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for !r.taken {
			select {
			case <-over:
				return
			case <-r.news:
				select {
				case <-over:
					return
				case <-time.After(time.Until(r.saved.Add(savePause))):
				}
			case <-time.After(time.Until(r.saved.Add(saveInterval))):
			}
			select {
			case <-r.news: // it is saved now
			default:
			}
			r.save(ctx)
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// saveSoon has the run saved as soon as the last save is long enough ago.
func (r *runner) saveSoon() {
	select {
	case r.news <- struct{}{}:
	default: // it was said before
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
	r.run.Until = r.until(r.run.Updated)
	now := *r.run
	now.Steps = slices.Clone(now.Steps)
	for i, res := range now.Steps {
		if t := r.doing[res.ID]; t != nil && res.Status == Canceled { // under way: what it has cost counts
			one := *res
			t.into(&one)
			now.Steps[i] = &one
		}
	}
	r.mu.Unlock()
	now.Rev++
	now.Lost = ""
	ctx = context.WithoutCancel(ctx)
	err := r.store(ctx, &now)
	if errors.Is(err, fault.TooLarge) {
		now.Lost = fault.As(err).Message
		err = r.store(ctx, now.small())
	}
	if r.saved, r.taken = time.Now(), errors.Is(err, fault.Conflict); err != nil {
		r.run.Lost = "it could not be stored"
		return
	}
	r.run.Rev, r.run.Lost = now.Rev, now.Lost
}

// store is Save, within its time. A panic in it must not end the process: nobody
// is above it in the goroutine that keeps a run saved.
func (r *runner) store(ctx context.Context, run *Run) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	return fault.Guard(func() error { return r.o.Save(ctx, run) })
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
