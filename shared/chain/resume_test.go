package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// shelf keeps one run as stores do: as JSON, by revision.
type shelf struct {
	t    *testing.T
	mu   sync.Mutex
	body []byte
	rev  int
}

func (s *shelf) save(_ context.Context, r *chain.Run) error {
	body, err := r.Encode()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Rev != s.rev+1 {
		return chain.TakenRun(r.ID)
	}
	s.body, s.rev = body, r.Rev
	return nil
}

func (s *shelf) load() *chain.Run {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var r chain.Run
	if err := json.Unmarshal(s.body, &r); err != nil {
		s.t.Fatal(err)
	}
	return &r
}

const resumed = `{"id":"first","type":"prompt","model":"m","user":"one"},` +
	`{"id":"m","type":"map","over":"$.input.list","parallel":1,"needs":["first","settled"],"do":{"type":"prompt","model":"m","user":"{{.item}}"}},` +
	`{"id":"branch","type":"condition","if":{"path":"$.steps.first.output","equals":"one"},"else":["never"]},` +
	`{"id":"never","type":"prompt","model":"m","user":"never"},` +
	`{"id":"weak","type":"prompt","model":"m","user":"weak","on_error":"skip","needs":["first"]},` +
	`{"id":"settled","type":"prompt","model":"m","user":"settled","on_error":"skip","needs":["first"]},` +
	`{"id":"last","type":"prompt","model":"m","user":"{{.steps.m.output}}","needs":["first","weak"]}`

func TestAResumptionDoesTheRestOnly(t *testing.T) {
	c := parse(t, with(resumed, vars))
	store := &shelf{t: t}
	o := chain.Options{ID: runID, Version: 3, Input: inputs(t, c, `{"topic":"","list":["a","x","b"]}`), Save: store.save}
	down := fault.New(fault.Unavailable, "Down.")

	w := failing(map[string]int{"x": 1, "weak": 1, "settled": 1}, down)
	o.Calls = w
	r, err := c.Run(t.Context(), o)
	if !errors.Is(err, fault.Unavailable) || r.Step("first").Status != chain.OK || r.Step("m").Status != chain.Failed || r.Lost != "" {
		t.Fatalf("first run = %s, %v, %q", states(r), err, r.Lost)
	}
	spent := r.Cost

	w = &world{}
	o.Calls, o.Resume = w, store.load()
	r, err = c.Run(t.Context(), o)
	if err != nil || states(r) != "first:ok m:ok branch:ok never:skipped weak:skipped settled:skipped last:ok" && states(r) != "first:ok m:ok branch:ok never:skipped weak:ok settled:skipped last:ok" {
		t.Fatalf("resumption = %s, %v", states(r), err)
	}
	for _, call := range w.calls() {
		if call == "one" || call == "a" || call == "never" || call == "settled" {
			t.Errorf("%q was asked again", call)
		}
	}
	if string(r.Step("m").Output) != `["a","x","b"]` || string(r.Output) != `"[\"a\",\"x\",\"b\"]"` {
		t.Errorf("outputs = %s, %s", r.Step("m").Output, r.Output)
	}
	if first := r.Step("first"); !first.Resumed || first.Cost != 10 || r.Step("m").Resumed || r.Step("m").Cached != 1 {
		t.Errorf("first = %+v, m = %+v, want the first to be as it was, and one item of the map", first, r.Step("m"))
	}
	var sum usage.Nano
	for _, s := range r.Steps {
		sum += s.Cost
	}
	if r.Cost != sum || r.Cost < spent+30 { // x, b and last
		t.Errorf("cost = %d, want the sum of the steps, %d, and more than %d: of both runs", r.Cost, sum, spent)
	}

	o.Calls, o.Resume = &world{}, store.load()
	again, err := c.Run(t.Context(), o)
	if err != nil || len(o.Calls.(*world).calls()) != 0 || string(again.Output) != string(r.Output) || again.Cost != r.Cost {
		t.Errorf("resuming what is done = %s, %v after %q, want the same for nothing", again.Output, err, o.Calls.(*world).calls())
	}
}

func TestCachedCallsAreKnownToResumptions(t *testing.T) {
	c := parse(t, with(prompt("a", "x", `"cache":"exact"`)+","+prompt("b", "y", `"needs":["a"]`)+","+prompt("c", "x", `"cache":"exact"`, `"needs":["b"]`)))
	store := &shelf{t: t}
	o := chain.Options{ID: runID, Input: inputs(t, c, ""), Save: store.save, Calls: failing(map[string]int{"y": 1}, fault.New(fault.Upstream, "Odd."))}
	if _, err := c.Run(t.Context(), o); err == nil {
		t.Fatal("the first run did not fail")
	}
	w := &world{}
	o.Calls, o.Resume = w, store.load()
	if _, err := c.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"y"}, w.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestTheBudgetIsThatOfAllResumptions(t *testing.T) {
	c := parse(t, with(prompt("a", "x")+","+prompt("b", "y", `"needs":["a"]`), `"budget_usd":0.000000012`))
	store := &shelf{t: t}
	w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		if err := ask.Hold(5); err != nil {
			return chain.Answer{}, err
		}
		if user == "y" {
			return chain.Answer{Cost: 4}, fault.New(fault.Upstream, "Odd.")
		}
		return chain.Answer{Text: user, Cost: 4}, nil
	}}
	o := chain.Options{ID: runID, Input: inputs(t, c, ""), Save: store.save, Calls: w}
	if _, err := c.Run(t.Context(), o); !errors.Is(err, fault.Upstream) {
		t.Fatalf("first run = %v, want upstream", err)
	}
	o.Resume = store.load()
	r, err := c.Run(t.Context(), o)
	if !errors.Is(err, fault.Quota) || r.Cost != 8 {
		t.Errorf("resumption = %v at %d, want quota: 8 of 12 are spent, and 5 are needed", err, r.Cost)
	}
}

func TestWhatCannotBeResumed(t *testing.T) {
	c := parse(t, with(prompt("a", "x"), vars))
	input := inputs(t, c, `{"topic":"t","n":3}`)
	for name, tt := range map[string]struct {
		change  func(*chain.Run, *chain.Options)
		message string
	}{
		"another version": {func(_ *chain.Run, o *chain.Options) { o.Version = 2 }, "version 1"},
		"another chain":   {func(r *chain.Run, _ *chain.Options) { r.Chain = "other" }, "'other'"},
		"another input":   {func(_ *chain.Run, o *chain.Options) { o.Input = inputs(t, c, `{"topic":"u"}`) }, "another input"},
		"too large":       {func(r *chain.Run, _ *chain.Options) { r.Lost = "It was too large." }, "too large"},
		"going on":        {func(r *chain.Run, _ *chain.Options) { r.Status, r.Until = chain.Running, time.Now().Add(time.Minute) }, "still going on"},
		"claimed by another": {func(_ *chain.Run, o *chain.Options) {
			o.Save = func(context.Context, *chain.Run) error { return chain.TakenRun(runID) }
		}, "still going on"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			was := &chain.Run{ID: runID, Chain: "c", Version: 1, Input: input, Status: chain.Failed, Rev: 1}
			o := chain.Options{ID: runID, Version: 1, Input: input, Calls: w, Resume: was}
			tt.change(was, &o)
			r, err := c.Run(t.Context(), o)
			f := fault.As(err)
			if f == nil || f.Kind != fault.Conflict || !strings.Contains(f.Message, tt.message) || strings.Contains(f.Message, "..") || r != was {
				t.Fatalf("Run = %v, want a conflict about %q", err, tt.message)
			}
			if goesOn := tt.message == "still going on"; goesOn != (f.Code == "run_in_progress") || goesOn != (f.RetryAfter > 20*time.Second) {
				t.Errorf("Run = %q after %s, want run_in_progress for a while: %t", f.Code, f.RetryAfter, goesOn)
			}
			if len(w.calls()) > 0 {
				t.Errorf("calls = %q, want none", w.calls())
			}
		})
	}
	was := &chain.Run{ID: runID, Chain: "c", Version: 1, Input: json.RawMessage(`{"o":null,"n":3.0,"any":null,"list":null,"topic":"t"}`), Status: chain.Running, Until: time.Now().Add(-time.Second)}
	if _, err := c.Run(t.Context(), chain.Options{ID: runID, Version: 1, Input: input, Calls: &world{}, Resume: was}); err != nil {
		t.Errorf("a run that was broken off: %v, want it to be resumed", err)
	}
}

func TestARunThatCannotBeStoredSaysSo(t *testing.T) {
	big := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		return chain.Answer{Text: strings.Repeat("x", chain.MaxRun)}, nil
	}}
	c := parse(t, with(prompt("a", "x")))
	store := &shelf{t: t}
	r, err := c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: big, Save: store.save})
	if err != nil || !strings.Contains(r.Lost, "limit") || len(r.Output) < chain.MaxRun {
		t.Errorf("run = %v, lost %q, want its output, and that it was too large", err, r.Lost)
	}
	if s := store.load(); s.Status != chain.OK || s.Lost == "" || s.Steps[0].Output != nil || s.Steps[0].Status != chain.OK {
		t.Errorf("stored = %+v, want all but the outputs", s)
	}
	r, err = c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: &world{}, Save: func(context.Context, *chain.Run) error { return errors.New("disk full") }})
	if err != nil || r.Lost != "it could not be stored" || r.Rev != 0 {
		t.Errorf("run = %v, lost %q, want it to go on without its store", err, r.Lost)
	}
	store, fails := &shelf{t: t}, 1
	r, err = c.Run(t.Context(), chain.Options{ID: runID, Input: inputs(t, c, ""), Calls: &world{}, Save: func(ctx context.Context, r *chain.Run) error {
		if fails--; fails >= 0 {
			return errors.New("disk full")
		}
		return store.save(ctx, r)
	}})
	if s := store.load(); err != nil || r.Lost != "" || s.Lost != "" || s.Status != chain.OK {
		t.Errorf("run = %v, lost %q, stored as %+v, want what was stored at last", err, r.Lost, s)
	}
}

// TestTheBudgetOfAStepOutlivesItsRun: a resumption does not begin it anew, and
// what steps cost adds up to what the run did.
func TestTheBudgetOfAStepOutlivesItsRun(t *testing.T) {
	c := parse(t, with(`{"id":"m","type":"map","over":"$.input.list","parallel":1,"budget_usd":2.5e-8,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars))
	store := &shelf{t: t}
	w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		if err := ask.Hold(10); err != nil {
			return chain.Answer{}, err
		}
		return chain.Answer{Text: user, Cost: 10}, nil
	}}
	o := chain.Options{ID: runID, Version: 3, Input: inputs(t, c, `{"topic":"","list":["a","b","c","d"]}`), Save: store.save, Calls: w}
	for n := range 3 {
		r, err := c.Run(t.Context(), o)
		m := r.Step("m")
		if f := fault.As(err); f == nil || f.Code != "chain_budget_exceeded" || r.Cost != 20 || m.Cost != 20 {
			t.Errorf("run %d: %v at %d, of which the step %d, want it to stop at 20 of 25", n, err, r.Cost, m.Cost)
		}
		if want := 3 + n; m.Attempts != want || m.Cached != 2*n {
			t.Errorf("run %d: %d attempts and %d from memory, want %d and %d", n, m.Attempts, m.Cached, want, 2*n)
		}
		o.Resume = store.load()
	}
}

// TestARunThatWasKilledKeepsWhatItsStepsHaveCost: the step was under way when it
// was stored last.
func TestARunThatWasKilledKeepsWhatItsStepsHaveCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parse(t, with(`{"id":"m","type":"map","over":"$.input.list","parallel":1,"budget_usd":2.5e-8,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars))
		store := &shelf{t: t}
		var killed *chain.Run
		w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			if user == "c" {
				time.Sleep(time.Minute) // it is stored meanwhile
				killed = store.load()
			}
			return chain.Answer{Text: user, Cost: 10}, ask.Hold(0)
		}}
		o := chain.Options{ID: runID, Version: 3, Input: inputs(t, c, `{"topic":"","list":["a","b","c"]}`), Save: store.save, Calls: w}
		if _, err := c.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if m := killed.Step("m"); killed.Status != chain.Running || m.Status != chain.Canceled || m.Cost != 20 || killed.Cost != 20 || m.Attempts != 3 {
			t.Errorf("stored while it went on: %s %+v of %d, want the step's 20", killed.Status, m, killed.Cost)
		}
	})
}
