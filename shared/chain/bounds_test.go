package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// TestPureStepsAreBounded runs what makes no call and would take minutes.
func TestPureStepsAreBounded(t *testing.T) {
	const input = `"input":[{"name":"q"},{"name":"l","type":"array"}]`
	long, list := strings.Repeat("a", 5_000_000), strings.Repeat("1,", 399)+"1"
	loops := `{{range .input.l}}{{if eq $.input.q $.input.q}}{{end}}{{end}}x`
	for name, tc := range map[string]struct{ steps, more, in, param string }{
		"condition": {`{"id":"c","type":"condition","if":{"path":"$.input.q","matches":"((a{0,20}){0,20})*b$"},"then":["t"]},{"id":"t","type":"transform","select":"$.input.q"}`, "",
			`{"q":"` + long + `"}`, "steps[0]"},
		"selection": {`{"id":"t","type":"transform","select":"$.input.l[?search($.input.q, 'b')]"}`, "", `{"q":"` + long + `","l":[` + list + `]}`, "steps[0]"},
		"texts of a map": {`{"id":"m","type":"map","over":"$.input.l","parallel":16,"do":{"type":"prompt","model":"m","user":"` + loops + `"}}`, "",
			`{"q":"` + long[:100_000] + `","l":[` + list + `]}`, "steps[0]"},
		"output": {`{"id":"t","type":"transform","select":"$.input.q"}`, `"output":{"a":"$.input.l[?search($.input.q, 'b')]"}`,
			`{"q":"` + long[:4_000_000] + `","l":[` + list + `]}`, "output"},
	} {
		w := &world{}
		r, err := run(t, `{"name":"c",`+input+`,"steps":[`+tc.steps+`]`+comma(tc.more)+`}`, tc.in, w)
		if f := fault.As(err); f == nil || f.Kind != fault.Unprocessable || f.Code != "chain_work_exceeded" || f.Param != tc.param {
			t.Errorf("%s: %+v, want chain_work_exceeded of %q", name, f, tc.param)
		}
		if r.Status != chain.Failed {
			t.Errorf("%s: the run is %s, want failed", name, r.Status)
		}
	}
}

func comma(more string) string {
	if more == "" {
		return ""
	}
	return "," + more
}

// TestPureStepsHearThatTheCallerLeft: they make no call in which they could.
func TestPureStepsHearThatTheCallerLeft(t *testing.T) {
	for name, step := range map[string]string{
		"transform": `{"id":"s","type":"transform","select":"$.input.q"}`,
		"condition": `{"id":"s","type":"condition","if":{"path":"$.input.q","exists":true},"then":["t"]},{"id":"t","type":"transform","select":"$.input.q"}`,
	} {
		c := parse(t, `{"name":"c","input":[{"name":"q"}],"steps":[`+step+`]}`)
		ctx, leave := context.WithCancel(t.Context())
		r, err := c.Run(ctx, chain.Options{ID: runID, Version: 1, Input: inputs(t, c, `{"q":"x"}`), Calls: &world{}, Observe: func(e chain.Event) error {
			if e.Type == "step.start" {
				leave()
			}
			return nil
		}})
		if r.Steps[0].Status != chain.Canceled || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %s, %v, want canceled", name, r.Steps[0].Status, err)
		}
	}
}

// TestLongNumbersAreRefused wherever they come from.
func TestLongNumbersAreRefused(t *testing.T) {
	long := strings.Repeat("7", 101)
	c := parse(t, `{"name":"c","input":[{"name":"n","type":"number"},{"name":"l","type":"array"}],"steps":[{"id":"t","type":"transform","select":"$.input.n"}]}`)
	for in, param := range map[string]string{`{"n":` + long + `}`: "input.n", `{"l":[1,{"a":-` + long + `}]}`: "input.l[1].a"} {
		if _, err := c.Inputs([]byte(in)); fault.As(err) == nil || fault.As(err).Param != param {
			t.Errorf("Inputs(%.20s) = %v, want invalid for %s", in, err, param)
		}
	}
	for body, param := range map[string]string{
		`{"name":"c","input":[{"name":"n","type":"number","default":` + long + `}],"steps":[{"id":"t","type":"transform","select":"$.input.n"}]}`:                   "input[0].default",
		`{"name":"c","steps":[{"id":"t","type":"transform","select":"$.input","default":[` + long + `]}]}`:                                                          "steps[0].default[0]",
		`{"name":"c","steps":[{"id":"t","type":"prompt","model":"m","user":"x"},{"id":"u","type":"transform","select":"$.steps.t.output","default":` + long + `}]}`: "steps[1].default",
	} {
		if _, err := chain.Parse([]byte(body)); fault.As(err) == nil || fault.As(err).Param != param {
			t.Errorf("Parse(%.80s) = %v, want invalid for %s", body, err, param)
		}
	}
	w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) {
		return chain.Answer{Text: `{"n":` + long + `}`}, nil
	}}
	_, err := run(t, `{"name":"c","steps":[{"id":"t","type":"prompt","model":"m","user":"x","parameters":{"response_format":{"type":"json_object"}}}]}`, `{}`, w)
	if f := fault.As(err); f == nil || f.Code != "invalid_json_answer" {
		t.Errorf("an answer with a long number = %v, want invalid_json_answer", err)
	}
	w.hits = []rag.Hit{{Key: rag.Key{ID: "d"}, Metadata: json.RawMessage(`{"n":` + long + `}`)}}
	if _, err = run(t, `{"name":"c","steps":[{"id":"t","type":"retrieve","collection":"docs","query":"x"}]}`, `{}`, w); !errors.Is(err, fault.Unprocessable) {
		t.Errorf("metadata with a long number = %v, want unprocessable", err)
	}
}

// TestMembersThatAreGivenTwiceAreRefused at any depth: which of them counts is
// anybody's guess.
func TestMembersThatAreGivenTwiceAreRefused(t *testing.T) {
	c := parse(t, `{"name":"c","input":[{"name":"o","type":"object"},{"name":"l","type":"array"}],"steps":[{"id":"t","type":"transform","select":"$.input.o"}]}`)
	for in, param := range map[string]string{
		`{"o":{"a":1,"b":2,"a":1}}`:          "input.o.a",
		`{"l":[1,{"x":{"a":1,"\u0061":2}}]}`: "input.l[1].x.a",
		`{"o":{"a":{"a":1},"b":{"a":1}}}`:    "",
		`{"l":[{"a":1},{"a":1}]}`:            "",
	} {
		_, err := c.Inputs([]byte(in))
		if f := fault.As(err); f == nil && param != "" || f != nil && (f.Param != param || f.Code != "invalid_input") {
			t.Errorf("Inputs(%s) = %v, want invalid for %q", in, err, param)
		}
	}
	const twice = `[{"a":1,"a":2}]`
	for steps, param := range map[string]string{
		`{"id":"t","type":"transform","select":"$.input","default":` + twice + `}`:                                                                            "steps[0].default[0].a",
		`{"id":"t","type":"transform","select":"$.input","on_error":{"default":` + twice + `}}`:                                                               "steps[0].on_error.default[0].a",
		`{"id":"t","type":"prompt","model":"m","template":{"name":"x","variables":{"v":` + twice + `}}}`:                                                      "steps[0].template.variables.v[0].a",
		`{"id":"c","type":"condition","if":{"path":"$.input.v","in":` + twice + `},"then":["t"]},{"id":"t","type":"prompt","model":"m","user":"x"}`:           "steps[0].if.in[0].a",
		`{"id":"c","type":"condition","if":{"path":"$.input.v","equals":{"b":` + twice + `}},"then":["t"]},{"id":"t","type":"prompt","model":"m","user":"x"}`: "steps[0].if.equals.b[0].a",
	} {
		_, err := chain.Parse([]byte(`{"name":"c","input":[{"name":"v","type":"any"}],"steps":[` + steps + `]}`))
		if f := fault.As(err); f == nil || f.Param != param {
			t.Errorf("Parse(%s) = %v, want invalid for %s", steps, err, param)
		}
	}
	if _, err := chain.Parse([]byte(`{"name":"c","input":[{"name":"v","type":"array","default":` + twice + `}],"steps":[{"id":"t","type":"transform","select":"$.input"}]}`)); fault.As(err) == nil || fault.As(err).Param != "input[0].default[0].a" {
		t.Errorf("Parse with such a default = %v", err)
	}
}

// TestRunsThatFailAtLengthCanBeStored: what remains of a run that is too large is
// bounded, whatever models say about why.
func TestRunsThatFailAtLengthCanBeStored(t *testing.T) {
	refusal := &fault.Error{Kind: fault.Unprocessable, Code: "refusal", Message: strings.Repeat("é", 1_000_000)}
	w := &world{say: func(context.Context, chain.Ask, string) (chain.Answer, error) { return chain.Answer{}, refusal }}
	store := &shelf{t: t}
	c := parse(t, with(prompt("a", "x")))
	r, err := c.Run(t.Context(), chain.Options{ID: runID, Version: 1, Input: inputs(t, c, `{}`), Calls: w, Save: store.save})
	if !errors.Is(err, fault.Unprocessable) || r.Lost != "" {
		t.Fatalf("run = %v, %q, want it stored", err, r.Lost)
	}
	if f := store.load().Step("a").Error; len(f.Message) > 3000 || !strings.HasSuffix(f.Message, "é…") || f.Code != "refusal" {
		t.Errorf("stored %d bytes of %s, want a few thousand", len(f.Message), f.Code)
	}
}
