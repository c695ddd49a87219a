package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// world answers calls as a test writes it, and notes them.
type world struct {
	say  func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) // nil: repeat the user's text
	hits []rag.Hit

	mu   sync.Mutex
	said []string // the user's texts, in the order of the calls
	busy int
	peak int // calls at a time
}

func (w *world) Prompt(ctx context.Context, ask chain.Ask) (chain.Answer, error) {
	req, err := llm.ParseRequest(ask.Body)
	if err != nil {
		return chain.Answer{}, err
	}
	chat, err := req.Chat()
	if err != nil {
		return chain.Answer{}, err
	}
	user := chat.Messages[len(chat.Messages)-1].Text()
	w.mu.Lock()
	w.said = append(w.said, user)
	w.busy++
	w.peak = max(w.peak, w.busy)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.busy--
		w.mu.Unlock()
	}()
	if w.say == nil {
		return chain.Answer{Text: user, Model: "m-1", Usage: llm.Usage{Input: 2, Output: 1}, Cost: 10}, nil
	}
	return w.say(ctx, ask, user)
}

func (w *world) Retrieve(_ context.Context, q rag.Query) ([]rag.Hit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, q.Collection+"?"+q.Text)
	return w.hits, nil
}

func (w *world) Template(_ context.Context, name string, ref recipe.Ref) (*template.Template, error) {
	if name != "tutor" || ref.Label != "production" {
		return nil, recipe.Missing(recipe.Template, name, ref)
	}
	return template.Parse([]byte(`{"model":"from-template","system":"You teach {{.topic}}.","user":"Level {{.level}} of {{len .list}}","parameters":{"temperature":0.5},
		"variables":[{"name":"topic"},{"name":"level","type":"integer"},{"name":"list","type":"array"}]}`))
}

func (w *world) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := slices.Clone(w.said)
	slices.Sort(list)
	return list
}

const runID = "run_0123456789"

func inputs(t *testing.T, c *chain.Chain, in string) json.RawMessage {
	t.Helper()
	input, err := c.Inputs([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return input
}

func run(t *testing.T, body, in string, w *world) (*chain.Run, error) {
	t.Helper()
	c := parse(t, body)
	return c.Run(t.Context(), chain.Options{ID: runID, Version: 1, Input: inputs(t, c, in), Calls: w})
}

// states says how each step of r ended.
func states(r *chain.Run) string {
	var list []string
	for _, s := range r.Steps {
		list = append(list, s.ID+":"+string(s.Status))
	}
	return strings.Join(list, " ")
}

func TestDataFlowsThroughAllTypesOfSteps(t *testing.T) {
	w := &world{hits: []rag.Hit{{Key: rag.Key{Collection: "docs", ID: "d1"}, Passage: 2, Heading: "Types", Text: "Maps are tables.", Score: 1.5, Metadata: json.RawMessage(`{"lang":"go"}`)}, {Key: rag.Key{ID: "d2"}, Text: "And more."}},
		say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			a := chain.Answer{Text: user, Model: "m-1", Usage: llm.Usage{Input: 2, Output: 1}, Cost: 10}
			switch ask.Step {
			case "plan":
				a.Text = `{"points":["a","b"],"n":12345678901234567890}`
			case "write":
				a.Text = "Look:\n\n```go main.go\npackage main\n```\n"
			}
			return a, nil
		}}
	r, err := run(t, with(
		`{"id":"find","type":"retrieve","collection":"docs","query":"about {{.input.topic}}","top_k":2},`+
			prompt("plan", `{{range .steps.find.output}}{{.text}}|{{end}}`, `"parameters":{"response_format":{"type":"json_object"}}`)+`,`+
			`{"id":"each","type":"map","over":"$.steps.plan.output.points","do":{"type":"prompt","model":"m","user":"{{.index}}={{.item}} of {{$.input.topic}}"}},`+
			`{"id":"write","type":"code","model":"m","language":"go","user":"Write {{.input.topic}}"},`+
			`{"id":"pick","type":"transform","select":{"lang":"$.steps.find.output[0].metadata.lang","n":"$.steps.plan.output.n","file":"$.steps.write.output.files[*].path"}},`+
			`{"id":"taught","type":"prompt","template":{"name":"tutor","version":"production","variables":{"topic":"{{.input.topic}}s","level":7,"list":{"path":"$.steps.each.output"}}}}`,
		vars, `"output":{"each":"$.steps.each.output","pick":"$.steps.pick.output","taught":"$.steps.taught.output","none":"$.steps.plan.output.none","files":"$.steps.write.output.files"}`),
		`{"topic":"map"}`, w)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"each":["0=a of map","1=b of map"],"files":[{"content":"package main\n","language":"go","path":"main.go"}],"none":null,` +
		`"pick":{"file":["main.go"],"lang":"go","n":12345678901234567890},"taught":"Level 7 of 2"}`
	if string(r.Output) != want {
		t.Errorf("output = %s, want %s", r.Output, want)
	}
	if r.Status != chain.OK || r.Error != nil || r.Cost != 50 || r.Usage != (llm.Usage{Input: 10, Output: 5}) {
		t.Errorf("run = %s, %v, %s, %+v, want ok at 50 nano-dollars", r.Status, r.Error, r.Cost.USD(), r.Usage)
	}
	if got := string(r.Step("find").Output); !strings.HasPrefix(got, `[{"collection":"docs","heading":"Types","id":"d1","metadata":{"lang":"go"},"passage":2,"score":1.5,"text":"Maps are tables."},`) {
		t.Errorf("passages = %s", got)
	}
	if each := r.Step("each"); each.Cost != 20 || each.Attempts != 2 || each.Model != "m-1" {
		t.Errorf("map = %+v, want 2 attempts at 20", each)
	}
	if calls := w.calls(); !slices.Contains(calls, "docs?about map") || !slices.Contains(calls, "Maps are tables.|And more.|") {
		t.Errorf("calls = %q", calls)
	}
}

func TestPromptsAreChatRequests(t *testing.T) {
	var bodies sync.Map
	w := &world{say: func(_ context.Context, ask chain.Ask, _ string) (chain.Answer, error) {
		bodies.Store(ask.Step, string(ask.Body))
		return chain.Answer{Text: "x"}, nil
	}}
	_, err := run(t, with(`{"id":"a","type":"prompt","model":"m","system":"Be \"brief\".","user":"{{.input.topic}}","parameters":{"temperature": 0.2, "x_unknown": [1]}},`+
		`{"id":"b","type":"prompt","model":"mine","parameters":{"temperature":1},"template":{"name":"tutor","version":"production","variables":{"topic":"t","level":1,"list":[]}}}`, vars), `{"topic":"<maps>"}`, w)
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"a": `{"temperature": 0.2, "x_unknown": [1],"model":"m","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"<maps>"}]}`,
		"b": `{"temperature":1,"model":"mine","messages":[{"role":"system","content":"You teach t."},{"role":"user","content":"Level 1 of 0"}]}`,
	} {
		got, _ := bodies.Load(step)
		if got != want {
			t.Errorf("body of %s = %s, want %s", step, got, want)
		}
	}
}

func TestIndependentStepsRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(ctx context.Context, _ chain.Ask, user string) (chain.Answer, error) {
			time.Sleep(time.Second)
			return chain.Answer{Text: user}, nil
		}}
		start := time.Now()
		var steps []string
		for i := range 20 {
			steps = append(steps, prompt(fmt.Sprintf("s%d", i), "x"))
		}
		last := "x"
		for i := range 20 {
			last += fmt.Sprintf("{{.steps.s%d.output}}", i)
		}
		steps = append(steps, prompt("last", last))
		if _, err := run(t, with(strings.Join(steps, ",")), "", w); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second || w.peak != 16 {
			t.Errorf("took %s with %d calls at a time, want 3s with 16", took, w.peak)
		}
	})
}

func TestMapsRunAsManyItemsAtOnceAsTheySay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			time.Sleep(time.Duration(10-ask.Item) * time.Second) // the last is ready first
			return chain.Answer{Text: user}, nil
		}}
		r, err := run(t, with(`{"id":"m","type":"map","over":"$.input.list","parallel":3,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars), `{"topic":"","list":[5,4,3,2,1]}`, w)
		if err != nil || string(r.Output) != `["5","4","3","2","1"]` || w.peak != 3 {
			t.Errorf("run = %s, %v with %d calls at a time, want the items' order and 3", r.Output, err, w.peak)
		}
	})
}

func TestConditionsChooseBranches(t *testing.T) {
	body := with(prompt("yes", "long")+","+prompt("no", "short")+","+prompt("onlyNo", "{{.steps.no.output}}!")+","+
		`{"id":"q","type":"condition","if":{"path":"$.input.n","gt":5},"then":["yes"],"else":["no","nested"]},`+
		`{"id":"nested","type":"condition","if":{"path":"$.input.n","equals":1},"then":["deep"],"else":["flat"]},`+prompt("deep", "deep")+","+prompt("flat", "flat")+","+
		prompt("both", "{{.steps.yes.output}}{{.steps.no.output}}")+","+prompt("knows", "{{.steps.q.output}}"), vars, `"output":"$.steps.both.output"`)
	for in, want := range map[string]string{
		`{"topic":"","n":6}`: `yes:ok no:skipped onlyNo:skipped q:ok nested:skipped deep:skipped flat:skipped both:ok knows:ok "long"`,
		`{"topic":"","n":5}`: `yes:skipped no:ok onlyNo:ok q:ok nested:ok deep:skipped flat:ok both:ok knows:ok "short"`,
		`{"topic":"","n":1}`: `yes:skipped no:ok onlyNo:ok q:ok nested:ok deep:ok flat:skipped both:ok knows:ok "short"`,
	} {
		r, err := run(t, body, in, &world{})
		if got := states(r) + " " + string(r.Output); got != want || err != nil {
			t.Errorf("run(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
}

// TestWhatIsHeldCanBeGivenBack: also when others have overdrawn the budget
// meanwhile, and then others may use it.
func TestWhatIsHeldCanBeGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			switch user {
			case "dear":
				err := ask.Hold(1000)
				time.Sleep(time.Second / 2)
				return chain.Answer{Text: user, Cost: 2200}, err
			case "modest":
				if err := ask.Hold(1500); err != nil {
					return chain.Answer{}, err
				}
				time.Sleep(time.Second) // the other ends
				if err := ask.Hold(500); err != nil {
					t.Errorf("Hold of less = %v", err)
				}
				if err := ask.Hold(501); !errors.Is(err, fault.Quota) {
					t.Errorf("Hold of more = %v, want quota", err)
				}
				return chain.Answer{Text: user, Cost: 0}, ask.Hold(0)
			}
			return chain.Answer{Text: user, Cost: 300}, ask.Hold(300)
		}}
		r, err := run(t, with(prompt("a", "dear")+","+prompt("b", "modest")+","+prompt("c", "last", `"needs":["b"]`), `"budget_usd":0.0000025`), "", w)
		if got := states(r); err != nil || got != "a:ok b:ok c:ok" || r.Cost != 2500 {
			t.Errorf("run = %s at %d, %v, want all of it at 2500", got, r.Cost, err)
		}
	})
}

func TestBudgets(t *testing.T) {
	holding := func(most usage.Nano) *world {
		return &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			if err := ask.Hold(most); err != nil {
				return chain.Answer{}, err
			}
			time.Sleep(time.Second)
			return chain.Answer{Text: user, Cost: 1000}, nil
		}}
	}
	for name, tt := range map[string]struct {
		body   string
		most   usage.Nano
		states string
		cost   usage.Nano
	}{
		"of the chain, one after the other": {with(prompt("a", "x")+","+prompt("b", "x", `"needs":["a"]`)+","+prompt("c", "x", `"needs":["b"]`), `"budget_usd":0.0000025`), 1500, "a:ok b:ok c:failed", 2000},
		"of the chain, at once":             {with(prompt("a", "x")+","+prompt("b", "x"), `"budget_usd":0.0000025`), 1500, "", 1000},
		"of a step":                         {with(prompt("a", "x", `"budget_usd":0.000001`)), 1500, "a:failed", 0},
		"of a map":                          {with(`{"id":"m","type":"map","over":"$.input.list","parallel":1,"budget_usd":0.0000025,"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars), 1000, "m:failed", 2000},
		"enough":                            {with(prompt("a", "x", `"budget_usd":0.0000015`)+","+prompt("b", "x"), `"budget_usd":0.000003`), 1500, "a:ok b:ok", 2000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := ""
				if strings.Contains(tt.body, `"input"`) {
					in = `{"topic":"","list":[1,2,3]}`
				}
				r, err := run(t, tt.body, in, holding(tt.most))
				if tt.states == "" {
					if !errors.Is(err, fault.Quota) || len(r.Steps) != 2 || r.Steps[0].Status == r.Steps[1].Status {
						t.Errorf("run = %s, %v, want one of both to fail: together they may cost too much", states(r), err)
					}
					return
				}
				if states(r) != tt.states || r.Cost != tt.cost || (err != nil) != strings.Contains(tt.states, "failed") {
					t.Errorf("run = %s at %d, %v, want %s at %d", states(r), r.Cost, err, tt.states, tt.cost)
				}
				if err != nil && fault.As(err).Code != "chain_budget_exceeded" {
					t.Errorf("Run = %v, want chain_budget_exceeded", err)
				}
			})
		})
	}
}

func TestEqualCallsAreMadeOnceWithACache(t *testing.T) {
	w := &world{hits: []rag.Hit{{Text: "p"}}}
	r, err := run(t, with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item}}","cache":"exact"}},`+
		prompt("same", "x", `"cache":"exact"`, `"needs":["m"]`)+","+prompt("uncached", "x", `"needs":["same"]`)+","+prompt("warmer", "x", `"cache":"exact"`, `"parameters":{"temperature":2}`)+","+
		`{"id":"r1","type":"retrieve","collection":"c","query":"q","cache":"exact"},{"id":"r2","type":"retrieve","collection":"c","query":"q","cache":"exact","top_k":7,"needs":["r1"]},`+
		`{"id":"r3","type":"retrieve","collection":"c","query":"q","cache":"exact","needs":["r2"]}`, vars),
		`{"topic":"","list":["x","y","x","x"]}`, w)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c?q", "c?q", "x", "x", "x", "y"}, w.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if m, same := r.Step("m"), r.Step("same"); m.Cached != 2 || m.Cost != 20 || string(m.Output) != `["x","y","x","x"]` || same.Cached != 1 || same.Cost != 0 || same.Model != "m-1" {
		t.Errorf("map = %+v, step = %+v, want two and one from the cache, which cost nothing", m, same)
	}
}

// TestACachedCallThatFailsIsMadeAgain: those who wait for it do not fail with
// it.
func TestACachedCallThatFailsIsMadeAgain(t *testing.T) {
	w := failing(map[string]int{"x": 1}, fault.New(fault.Unavailable, "Down."))
	r, err := run(t, with(prompt("a", "x", `"cache":"exact"`, `"on_error":"skip"`)+","+prompt("b", "x", `"cache":"exact"`, `"on_error":"skip"`)), "", w)
	if err != nil || r.Cost != 11 || len(w.calls()) != 2 {
		t.Errorf("run = %s at %d after %d calls, %v, want one of both to succeed", states(r), r.Cost, len(w.calls()), err)
	}
}

func TestEvents(t *testing.T) {
	w := failing(map[string]int{"x": 1}, fault.New(fault.Unavailable, "Down."))
	say := w.say
	w.say = func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		if err := ask.Emit("He"); err != nil {
			return chain.Answer{}, err
		}
		if err := ask.Emit("llo"); err != nil {
			return chain.Answer{}, err
		}
		return say(ctx, ask, user)
	}
	c := parse(t, with(prompt("a", "x", `"retry":{"max_attempts":2,"backoff_ms":0}`)+`,{"id":"q","type":"condition","if":{"path":"$.steps.a.output","exists":true},"else":["b"]},`+prompt("b", "y")))
	var got []string
	_, err := c.Run(t.Context(), chain.Options{ID: runID, Calls: w, Deltas: true, Observe: func(e chain.Event) error {
		text := e.Type + " " + e.Step + e.Text
		if e.Result != nil {
			text += " " + string(e.Result.Status)
		}
		if e.Run != nil {
			text += string(e.Run.Status)
		}
		got = append(got, strings.TrimSpace(text))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"run.start running", "step.start a", "step.delta aHe", "step.delta allo", "step.retry a", "step.delta aHe", "step.delta allo",
		"step.end a ok", "step.start q", "step.end q ok", "step.end b skipped", "run.end ok"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNobodyListensAnyMore(t *testing.T) {
	gone := fault.New(fault.Canceled, "The client left.")
	for _, at := range []string{"run.start", "step.start", "step.delta", "step.end"} {
		w := &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			err := ask.Emit("text")
			return chain.Answer{Text: user, Cost: 7}, err
		}}
		c := parse(t, with(prompt("a", "x")+","+prompt("b", "{{.steps.a.output}}")))
		events := 0
		r, err := c.Run(t.Context(), chain.Options{ID: runID, Calls: w, Deltas: true, Observe: func(e chain.Event) error {
			if events++; e.Type == at {
				return gone
			}
			return nil
		}})
		if !errors.Is(err, fault.Canceled) || r.Status != chain.Canceled || r.Steps[1].Status != chain.Canceled {
			t.Errorf("gone at %s: run = %s, %s, %v, want canceled", at, r.Status, states(r), err)
		}
		if calls := w.calls(); len(calls) > 1 {
			t.Errorf("gone at %s: %d calls, want at most 1", at, len(calls))
		}
	}
}

// tools shouts, and finds fault with everything.
type tools struct{}

func (tools) Tidy(f codegen.File, format bool) (string, []codegen.Diagnostic) {
	d := codegen.Diagnostic{Path: f.Path, Line: 2, Column: 3, Severity: codegen.Warning, Code: "loud", Message: "m", Source: "tools"}
	if !format {
		return f.Content, []codegen.Diagnostic{d}
	}
	return strings.ToUpper(f.Content), []codegen.Diagnostic{d}
}

func (tools) IsCode(language, text string) bool { return language == "go" && text == "package bare" }

func TestCodeStepsFormatAndCheck(t *testing.T) {
	for _, tc := range []struct{ answer, more, want string }{
		{"```go main.go\npackage main\n```", ``, `["PACKAGE MAIN\n"]`},
		{"```go main.go\npackage main\n```", `,"format":true`, `["PACKAGE MAIN\n"]`},
		{"```go main.go\npackage main\n```", `,"format":false`, `["package main\n"]`},
		{"package bare", ``, `["PACKAGE BARE"]`},
	} {
		w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
			return chain.Answer{Text: tc.answer}, nil
		}}
		c := parse(t, with(`{"id":"write","type":"code","model":"m","language":"go","user":"x"`+tc.more+`}`,
			`"output":{"text":"$.steps.write.output.files[*].content","notes":"$.steps.write.output.diagnostics[?@.line > 1]"}`))
		r, err := c.Run(t.Context(), chain.Options{ID: runID, Version: 1, Input: inputs(t, c, `{}`), Calls: w, Tools: tools{}})
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ Text, Notes json.RawMessage }
		if err := json.Unmarshal(r.Output, &out); err != nil || string(out.Text) != tc.want {
			t.Errorf("%s with %q: text = %s, %v, want %s", tc.answer, tc.more, out.Text, err, tc.want)
		}
		if want := `[{"code":"loud","column":3,"line":2,"message":"m","path":"main.go","severity":"warning","source":"tools"}]`; string(out.Notes) != want {
			t.Errorf("notes = %s, want %s", out.Notes, want)
		}
	}
}
