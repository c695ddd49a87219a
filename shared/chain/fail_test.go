package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// failing fails the calls whose text it has, so many times.
func failing(times map[string]int, err error) *world {
	w := &world{}
	var mu sync.Mutex
	w.say = func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		a := chain.Answer{Text: user, Cost: 10}
		if times[user] > 0 {
			times[user]--
			return chain.Answer{Cost: 1}, err
		}
		return a, nil
	}
	return w
}

func TestRetriesWaitAndCount(t *testing.T) {
	body := with(prompt("a", "x", `"retry":{"max_attempts":4,"backoff_ms":1000}`))
	for name, tt := range map[string]struct {
		fails    int
		err      error
		attempts int
		took     time.Duration
		ok       bool
	}{
		"doubling":           {3, fault.New(fault.Unavailable, "Down."), 4, 7 * time.Second, true},
		"too often":          {4, fault.New(fault.Unavailable, "Down."), 4, 7 * time.Second, false},
		"told when":          {1, &fault.Error{Kind: fault.RateLimited, RetryAfter: 20 * time.Second}, 2, 20 * time.Second, true},
		"not worth it":       {1, fault.New(fault.Invalid, "Wrong."), 1, 0, false},
		"quota is not":       {1, fault.New(fault.Quota, "Broke."), 1, 0, false},
		"later than the end": {1, &fault.Error{Kind: fault.RateLimited, RetryAfter: time.Hour}, 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				r, err := run(t, body, "", failing(map[string]int{"x": tt.fails}, tt.err))
				s := r.Steps[0]
				if (err == nil) != tt.ok || s.Attempts != tt.attempts || time.Since(start) != tt.took {
					t.Errorf("run = %v after %d attempts and %s, want ok = %t after %d and %s", err, s.Attempts, time.Since(start), tt.ok, tt.attempts, tt.took)
				}
				want := usage.Nano(min(tt.fails, tt.attempts))
				if tt.ok {
					want += 10
				}
				if s.Cost != want || r.Cost != want {
					t.Errorf("cost = %d and %d, want %d: failed attempts count", s.Cost, r.Cost, want)
				}
			})
		})
	}
}

func TestTimeouts(t *testing.T) {
	slow := func() *world {
		return &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			if strings.HasPrefix(user, "slow") {
				<-ctx.Done()
				return chain.Answer{Cost: 5}, fault.Wrap(fault.Canceled, ctx.Err(), "Gone.")
			}
			return chain.Answer{Text: user}, nil
		}}
	}
	for name, tt := range map[string]struct {
		body, states string
		took         time.Duration
	}{
		"of a step":  {with(prompt("a", "slow", `"timeout_ms":3000`) + "," + prompt("b", "x")), "a:failed b:ok", 3 * time.Second},
		"of a chain": {with(prompt("a", "slow")+","+prompt("b", "x"), `"timeout_ms":5000`), "a:canceled b:ok", 5 * time.Second},
		"of a map":   {with(`{"id":"m","type":"map","over":"$.input.list","timeout_ms":2000,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars), "m:failed", 2 * time.Second},
		"of an item": {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item}}","timeout_ms":1000}}`, vars), "m:failed", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				in := ""
				if strings.Contains(tt.body, `"input"`) {
					in = `{"topic":"","list":["fast","slow"]}`
				}
				r, err := run(t, tt.body, in, slow())
				if !errors.Is(err, fault.Timeout) || fault.As(err).Kind != fault.Timeout || states(r) != tt.states || time.Since(start) != tt.took {
					t.Errorf("run = %v, %s after %s, want timeout, %s after %s", err, states(r), time.Since(start), tt.states, tt.took)
				}
				if r.Status != chain.Failed || r.Cost != 5 {
					t.Errorf("run = %s at %d, want failed at 5", r.Status, r.Cost)
				}
				if strings.HasPrefix(tt.states, "m") && string(r.Steps[0].Output) != `["fast",null]` {
					t.Errorf("output of the map = %s, want what was done", r.Steps[0].Output)
				}
			})
		})
	}
}

func TestAFailureEndsTheRunAndKeepsWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			switch ask.Step {
			case "bad":
				time.Sleep(time.Second)
				return chain.Answer{}, &fault.Error{Kind: fault.Upstream, Code: "odd", Message: "It broke."}
			case "long":
				<-ctx.Done()
				return chain.Answer{Cost: 3}, ctx.Err()
			}
			return chain.Answer{Text: user, Cost: 10}, nil
		}}
		start := time.Now()
		r, err := run(t, with(prompt("good", "x")+","+prompt("bad", "x")+","+prompt("long", "x")+","+prompt("after", "{{.steps.bad.output}}")), "", w)
		if f := fault.As(err); f.Kind != fault.Upstream || f.Code != "odd" || f.Param != "steps[1]" || f.Message != "Step 'bad': It broke." {
			t.Errorf("Run = %+v, want the step's own failure", f)
		}
		if got, want := states(r), "good:ok bad:failed long:canceled after:canceled"; got != want || time.Since(start) != time.Second {
			t.Errorf("steps = %s after %s, want %s at once", got, time.Since(start), want)
		}
		if string(r.Steps[0].Output) != `"x"` || r.Cost != 13 || r.Error.Kind != fault.Upstream || r.Output != nil {
			t.Errorf("run = %s, %d, %+v, %s, want the first output, 13 and the failure", r.Steps[0].Output, r.Cost, r.Error, r.Output)
		}
	})
}

func TestFailuresThatAreAllowed(t *testing.T) {
	down := fault.New(fault.Unavailable, "Down.")
	for name, tt := range map[string]struct{ body, states, output string }{
		"skipped with what depends on it only": {
			with(prompt("a", "x", `"on_error":"skip"`) + "," + prompt("b", "{{.steps.a.output}}") + "," + prompt("c", "y") + "," + prompt("d", "{{.steps.b.output}}/{{.steps.c.output}}")),
			"a:skipped b:skipped c:ok d:ok", `"/y"`},
		"a default instead": {
			with(prompt("a", "x", `"on_error":{"default":["z"]}`) + "," + `{"id":"b","type":"transform","select":"$.steps.a.output[0]"}`),
			"a:ok b:ok", `"z"`},
		"null instead":   {with(prompt("a", "x", `"on_error":{"default":null}`)), "a:ok", "null"},
		"nothing at all": {with(prompt("a", "x", `"on_error":"skip"`)), "a:skipped", "null"},
		"items left out": {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item}}","on_error":"skip"}}`, vars), "m:ok", `["a","b"]`},
		"items replaced": {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item}}","on_error":{"default":0}}}`, vars), "m:ok", `["a",0,"b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			in := ""
			if strings.Contains(tt.body, `"input"`) {
				in = `{"topic":"","list":["a","x","b"]}`
			}
			r, err := run(t, tt.body, in, failing(map[string]int{"x": 1}, down))
			if err != nil || states(r) != tt.states || string(r.Output) != tt.output {
				t.Errorf("run = %s, %s, %v, want %s, %s", states(r), r.Output, err, tt.states, tt.output)
			}
			s := r.Steps[0]
			if s.Type == chain.Map {
				if len(s.Items) != 1 || s.Items[0].Index != 1 || s.Items[0].Error.Kind != fault.Unavailable {
					t.Errorf("items = %+v, want the failure of item 1", s.Items)
				}
			} else if s.Error == nil || s.Error.Kind != fault.Unavailable {
				t.Errorf("error = %+v, want what was forgiven", s.Error)
			}
		})
	}
}

func TestAFailingItemEndsItsMap(t *testing.T) {
	r, err := run(t, with(`{"id":"m","type":"map","over":"$.input.list","parallel":1,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars), `{"topic":"","list":["a","x","b"]}`,
		failing(map[string]int{"x": 1}, fault.New(fault.Unavailable, "Down.")))
	if f := fault.As(err); f == nil || f.Kind != fault.Unavailable || f.Message != "Step 'm': Item 1: Down." {
		t.Errorf("Run = %v, want the item's failure", err)
	}
	if got := string(r.Steps[0].Output); got != `["a",null,null]` {
		t.Errorf("output = %s, want what was done before", got)
	}
}

func TestWhatNoDataFits(t *testing.T) {
	for name, tt := range map[string]struct{ body, in, message string }{
		"nothing selected":      {with(`{"id":"s","type":"transform","select":"$.input.o.x"}`, vars), `{"topic":"","o":{}}`, "selects nothing"},
		"map over an object":    {with(`{"id":"m","type":"map","over":"$.input.any","do":{"type":"transform","select":"$.item"}}`, vars), `{"topic":"","any":{}}`, "needs an array"},
		"too many items":        {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"transform","select":"$.item"}}`, vars), `{"topic":"","list":[` + strings.Repeat("1,", chain.MaxItems) + `1]}`, "1001 items"},
		"no loop":               {with(prompt("a", "{{range .input.any}}x{{end}}"), vars), `{"topic":"","any":"text"}`, "range needs"},
		"a string is no number": {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.any","gt":1},"then":["a"]}`, vars), `{"topic":"","any":"text"}`, "only numbers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, tt.body, tt.in, &world{})
			if f := fault.As(err); f == nil || f.Kind != fault.Unprocessable || !strings.Contains(f.Message, tt.message) {
				t.Errorf("Run = %v, want unprocessable with %q", err, tt.message)
			}
		})
	}
	r, err := run(t, with(`{"id":"s","type":"transform","select":"$.input.o.x","default":{"a":1}},{"id":"m","type":"map","over":"$.input.list","do":{"type":"transform","select":"$.item"}}`, vars, `"output":"{{.steps.s.output}} {{.steps.m.output}}"`), `{"topic":"","o":{}}`, &world{})
	if err != nil || string(r.Output) != `"{\"a\":1} []"` {
		t.Errorf("run = %s, %v, want the default, and nothing for null", r.Output, err)
	}
}

func TestAPanicIsAFailureOfItsStep(t *testing.T) {
	w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		if user == "x" {
			panic("bug")
		}
		return chain.Answer{Text: user}, nil
	}}
	for _, body := range []string{
		with(prompt("a", "x")),
		with(prompt("a", "x", `"cache":"exact"`)),
		with(`{"id":"a","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, `"input":[{"name":"list","type":"array","default":["y","x","x"]}]`),
	} {
		r, err := run(t, body, "", w)
		if !errors.Is(err, fault.Internal) || states(r) != "a:failed" || strings.Contains(r.Error.Message, "bug") {
			t.Errorf("run = %s, %v, want internal, and no details for the client", states(r), r.Error)
		}
	}
}

func TestOutputsAreBounded(t *testing.T) {
	w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		return chain.Answer{Text: strings.Repeat("x", 5<<20), Cost: 1}, nil
	}}
	r, err := run(t, with(prompt("a", "x")), "", w)
	if !errors.Is(err, fault.TooLarge) || r.Cost != 1 {
		t.Errorf("run = %v at %d, want too_large, and paid for", err, r.Cost)
	}
	var steps []string
	for i := range 6 {
		steps = append(steps, prompt(fmt.Sprintf("s%d", i), "x"))
	}
	w = &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		return chain.Answer{Text: strings.Repeat("x", 3<<20)}, nil
	}}
	if r, err = run(t, with(strings.Join(steps, ",")), "", w); !errors.Is(err, fault.TooLarge) {
		t.Errorf("six outputs of 3 MB: run = %s, %v, want too_large", states(r), err)
	}
}

func TestACancelledRunIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{say: func(ctx context.Context, _ chain.Ask, _ string) (chain.Answer, error) {
			<-ctx.Done()
			return chain.Answer{Cost: 4}, ctx.Err()
		}}
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		var stored *chain.Run
		c := parse(t, with(prompt("a", "x")))
		r, err := c.Run(ctx, chain.Options{ID: runID, Calls: w, Save: func(ctx context.Context, r *chain.Run) error {
			stored = r
			return ctx.Err()
		}})
		if !errors.Is(err, context.Canceled) || r.Status != chain.Canceled || r.Cost != 4 || states(r) != "a:canceled" {
			t.Errorf("run = %s, %s, %d, %v, want canceled at 4", r.Status, states(r), r.Cost, err)
		}
		if stored == nil || stored.Status != chain.Canceled || r.Lost != "" {
			t.Errorf("stored %+v, lost %q, want the run to be stored although the caller is gone", stored, r.Lost)
		}
	})
}

// TestWhatIsSkippedGivesNothing: an output for which there is no room is neither
// there for the steps behind it nor kept in the run.
func TestWhatIsSkippedGivesNothing(t *testing.T) {
	size := 5 << 20
	w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		return chain.Answer{Text: strings.Repeat("x", size)}, nil
	}}
	r, err := run(t, with(prompt("a", "x", `"on_error":"skip"`)+`,{"id":"b","type":"condition","if":{"path":"$.steps.a.output","exists":true},"then":["c"],"needs":["d"]},
		{"id":"c","type":"transform","select":"$.input.n"},{"id":"d","type":"transform","select":"$.input.n"}`, `"input":[{"name":"n","default":"1"}]`), "", w)
	if err != nil || states(r) != "a:skipped b:ok c:skipped d:ok" {
		t.Errorf("one output of 5 MB: run = %s, %v, want null for the condition", states(r), err)
	}
	var steps []string
	for i := range 8 {
		steps = append(steps, prompt(fmt.Sprintf("s%d", i), "x", `"on_error":"skip"`))
	}
	size = 3 << 20
	kept := 0
	r, err = run(t, with(strings.Join(steps, ",")), "", w)
	for _, s := range r.Steps {
		kept += len(s.Output)
	}
	if err != nil || kept > 16<<20 || strings.Count(states(r), "skipped") != 3 {
		t.Errorf("eight outputs of 3 MB: run = %s with %d bytes, %v, want three to be skipped", states(r), kept, err)
	}
}
