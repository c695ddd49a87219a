package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
)

// taking answers each call after a while.
func taking(d time.Duration) *world {
	return &world{say: func(ctx context.Context, _ chain.Ask, user string) (chain.Answer, error) {
		select {
		case <-time.After(d):
			return chain.Answer{Text: user, Cost: 10}, nil
		case <-ctx.Done():
			return chain.Answer{}, context.Cause(ctx)
		}
	}}
}

// watch runs c and says when it was saved, as what, and until when that holds.
func watch(t *testing.T, c *chain.Chain, w *world) (saved []string) {
	t.Helper()
	store, start := &shelf{t: t}, time.Now()
	_, err := c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: w, Save: func(ctx context.Context, r *chain.Run) error {
		saved = append(saved, fmt.Sprintf("%s: %s %s, until %s", time.Since(start), r.Status, states(r), r.Until.Sub(start)))
		return store.save(ctx, r)
	}})
	if err != nil {
		t.Error(err)
	}
	return saved
}

func TestRunsAreSavedWhileTheyGoOn(t *testing.T) {
	row := func(timeout string) string {
		return with(prompt("a", "x")+","+prompt("b", "{{.steps.a.output}}")+","+prompt("c", "{{.steps.b.output}}"), `"timeout_ms":`+timeout)
	}
	for name, tt := range map[string]struct {
		body string
		step time.Duration
		want []string
	}{
		"after each step": {row("900000"), 7 * time.Second, []string{
			"0s: running a:canceled b:canceled c:canceled, until 30s",
			"7s: running a:ok b:canceled c:canceled, until 37s",
			"14s: running a:ok b:ok c:canceled, until 44s",
			"21s: ok a:ok b:ok c:ok, until 51s"}},
		"once a second when steps are fast": {row("900000"), 400 * time.Millisecond, []string{
			"0s: running a:canceled b:canceled c:canceled, until 30s",
			"1s: running a:ok b:ok c:canceled, until 31s",
			"1.2s: ok a:ok b:ok c:ok, until 31.2s"}},
		"also while a step goes on": {with(prompt("a", "x"), `"timeout_ms":45000`), 34 * time.Second, []string{
			"0s: running a:canceled, until 30s",
			"10s: running a:canceled, until 40s",
			"20s: running a:canceled, until 45s",
			"30s: running a:canceled, until 45s",
			"34s: ok a:ok, until 45s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(tt.want, watch(t, parse(t, tt.body), taking(tt.step))); diff != "" {
					t.Errorf("saved (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestARunCanBeFoundFromItsStartOn(t *testing.T) {
	store := &shelf{t: t}
	c := parse(t, with(prompt("a", "x")))
	w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		if r := store.load(); r.Status != chain.Running || r.Rev != 1 {
			t.Errorf("at the first call, %s at revision %d is stored, want running at 1", r.Status, r.Rev)
		}
		return chain.Answer{}, nil
	}}
	_, err := c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: w, Save: store.save, Observe: func(e chain.Event) error {
		if e.Type == "run.start" && store.rev != 1 {
			t.Error("the run was announced before it was stored")
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
}

// A process that is killed saves nothing more, whatever it still does here.
func TestARunWhoseProcessIsKilledIsResumedFromWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, killed := &shelf{t: t}, false
		c := parse(t, with(prompt("a", "one")+","+prompt("b", "{{.steps.a.output}} two"), `"timeout_ms":900000`))
		o := chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: taking(5 * time.Second), Save: func(ctx context.Context, r *chain.Run) error {
			if killed {
				return errors.New("nobody is there")
			}
			killed = r.Step("a").Status == chain.OK
			return store.save(ctx, r)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(6*time.Second, cancel)
		if _, err := c.Run(ctx, o); err == nil {
			t.Fatal("the run went on")
		}
		was := store.load() // it was saved when a ended, at 5 s
		w := taking(0)
		o.Calls, o.Save, o.Resume = w, store.save, was
		time.Sleep(28 * time.Second)
		if _, err := c.Run(t.Context(), o); !errors.Is(err, fault.Conflict) || fault.As(err).RetryAfter != time.Second || !strings.Contains(err.Error(), "still going on") {
			t.Errorf("resumption after 29 s = %v, want it refused for another second", err)
		}
		time.Sleep(time.Second)
		r, err := c.Run(t.Context(), o)
		if err != nil || string(r.Output) != `"one two"` || r.Cost != 20 || !r.Step("a").Resumed {
			t.Errorf("resumption = %s at %d, %v, want the rest to be done", r.Output, r.Cost, err)
		}
		if diff := cmp.Diff([]string{"one two"}, w.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if _, err := c.Run(t.Context(), o); !errors.Is(err, fault.Conflict) {
			t.Errorf("a second resumption of the same = %v, want conflict", err)
		}
	})
}

func TestAResumptionIsAliveAsLongAsItIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{t: t}
		c := parse(t, with(prompt("a", "x"), `"timeout_ms":900000`))
		o := chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: failing(map[string]int{"x": 1}, fault.New(fault.Upstream, "Odd.")), Save: store.save}
		if _, err := c.Run(t.Context(), o); err == nil {
			t.Fatal("the first run did not fail")
		}
		o.Calls, o.Resume = taking(2*time.Minute), store.load()
		over := make(chan error)
		go func() {
			_, err := c.Run(t.Context(), o)
			over <- err
		}()
		synctest.Wait()
		if r := store.load(); r.Status != chain.Running || r.Error != nil || r.Output != nil {
			t.Errorf("stored = %s, %+v, %s, want it to be running again", r.Status, r.Error, r.Output)
		}
		for range 3 {
			time.Sleep(35 * time.Second)
			other := o
			other.Calls, other.Resume = &world{}, store.load()
			if _, err := c.Run(t.Context(), other); !errors.Is(err, fault.Conflict) {
				t.Errorf("another resumption = %v, want conflict", err)
			}
		}
		if err := <-over; err != nil {
			t.Errorf("resumption = %v", err)
		}
	})
}

func TestARunIsNeverSavedTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := &shelf{t: t}, parse(t, with(prompt("a", "x")))
		var saving atomic.Int64
		r, err := c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: taking(12 * time.Second), Save: func(ctx context.Context, r *chain.Run) error {
			if saving.Add(1) > 1 {
				t.Error("saved twice at once")
			}
			defer saving.Add(-1)
			time.Sleep(5 * time.Second)
			return store.save(ctx, r)
		}})
		if err != nil || r.Lost != "" || store.load().Status != chain.OK {
			t.Errorf("run = %v, lost %q, want it to be stored", err, r.Lost)
		}
	})
}

func TestARunThatSomebodyElseHasIsNotSavedAgainUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parse(t, with(prompt("a", "x")))
		for _, tt := range []struct {
			err   error
			saves int
		}{{chain.TakenRun(runID), 2}, {errors.New("disk full"), 4}} {
			saves := 0
			r, err := c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: taking(25 * time.Second), Save: func(context.Context, *chain.Run) error {
				saves++
				return tt.err
			}})
			if err != nil || saves != tt.saves || r.Lost == "" {
				t.Errorf("with %v: %d saves, %v, lost %q, want %d, and the run to go on", tt.err, saves, err, r.Lost, tt.saves)
			}
		}
	})
}

func TestAPanicInTheStoreEndsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
			time.Sleep(15 * time.Second) // a save comes meanwhile, in its own goroutine
			return chain.Answer{Text: "x"}, nil
		}}
		c := parse(t, with(prompt("a", "x"), `"output":"$.steps.a.output"`))
		r, err := c.Run(t.Context(), chain.Options{ID: runID, Version: 1, Input: inputs(t, c, `{}`), Calls: w,
			Save: func(context.Context, *chain.Run) error { panic("ouch") }})
		if err != nil || r.Status != chain.OK || r.Lost == "" {
			t.Errorf("run = %s, %v, lost %q, want it to go on, and to say that it is not stored", r.Status, err, r.Lost)
		}
	})
}

// TestAResumptionDoesNotWaitForItsStore for longer than other saves: nothing is
// said to the client before it is stored.
func TestAResumptionDoesNotWaitForItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{t: t}
		c := parse(t, with(prompt("a", "x")))
		o := chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: &world{}, Save: store.save}
		if _, err := c.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		o.Resume, o.Save = store.load(), func(ctx context.Context, _ *chain.Run) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := c.Run(ctx, o); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("Run = %v after %s, want it to give up after 10s", err, time.Since(start))
		}
	})
}
