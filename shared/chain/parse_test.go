package chain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
)

// with makes a chain of steps, which are JSON objects, and of further fields.
func with(steps string, more ...string) string {
	return `{"name":"c","steps":[` + steps + `]` + strings.Join(append([]string{""}, more...), ",") + `}`
}

const vars = `"input":[{"name":"topic","required":true},{"name":"n","type":"integer","default":3},{"name":"list","type":"array"},{"name":"o","type":"object"},{"name":"any","type":"any"}]`

func prompt(id, user string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"type":"prompt","model":"m","user":%q%s}`, id, user, strings.Join(append([]string{""}, more...), ","))
}

func parse(t *testing.T, body string) *chain.Chain {
	t.Helper()
	c, err := chain.Parse([]byte(body))
	if err != nil {
		t.Fatalf("Parse(%s) = %v", body, err)
	}
	return c
}

// params are the fields that the problems of a chain name.
func params(err error) (list []string) {
	if p, ok := errors.AsType[chain.Problems](err); ok {
		for _, one := range p {
			list = append(list, one.Param)
		}
	}
	return list
}

func TestParseTellsWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct{ body, param, message string }{
		"no steps":             {`{"name":"c","steps":[]}`, "steps", "at least one"},
		"no name":              {`{"steps":[` + prompt("a", "x") + `]}`, "name", "letter"},
		"unknown field":        {with(prompt("a", "x"), `"bugdet_usd":1`), "bugdet_usd", "not known"},
		"unknown step field":   {with(prompt("a", "x", `"colour":1`)), "steps[0].colour", "not known"},
		"field twice":          {with(prompt("a", "x", `"model":"m"`)), "steps[0].model", "twice"},
		"id twice":             {with(prompt("a", "x") + "," + prompt("a", "y")), "steps[1].id", "taken"},
		"id no template names": {with(prompt("a-b", "x")), "steps[0].id", "letter"},
		"unknown type":         {with(`{"id":"a","type":"magic"}`), "steps[0].type", "'condition' or 'map'"},
		"no model":             {with(`{"id":"a","type":"prompt","user":"x"}`), "steps[0].model", "missing"},
		"no user":              {with(`{"id":"a","type":"prompt","model":"m"}`), "steps[0].user", "missing"},
		"unknown need":         {with(prompt("a", "x", `"needs":["b"]`)), "steps[0].needs[0]", "'b'"},
		"needs itself":         {with(prompt("a", "x", `"needs":["a"]`)), "steps[0].needs[0]", "itself"},
		"unknown variable":     {with(prompt("a", "{{.input.tpoic}}"), vars), "steps[0].user", "input.tpoic"},
		"bare variable":        {with(prompt("a", "{{.topic}}"), vars), "steps[0].user", "topic"},
		"unknown step":         {with(prompt("a", "{{.steps.b.output}}")), "steps[0].user", "steps.b"},
		"own output":           {with(prompt("a", "{{.steps.a.output}}")), "steps[0].user", "own step"},
		"not the output":       {with(prompt("a", "x") + "," + prompt("b", "{{.steps.a.text}}")), "steps[1].user", "steps.a.output"},
		"all steps":            {with(prompt("a", "{{range .steps}}x{{end}}")), "steps[0].user", "known what it depends on"},
		"all data":             {with(prompt("a", "{{with .}}{{.input.topic}}{{end}}")), "steps[0].user", "whole data"},
		"variable in a loop":   {with(prompt("a", "{{range .input.list}}{{$.input.nope}}{{end}}"), vars), "steps[0].user", "input.nope"},
		"item outside a map":   {with(prompt("a", "{{.item}}")), "steps[0].user", "only in what a map does"},
		"bad template":         {with(prompt("a", "{{.input.topic")), "steps[0].user", "line 1"},
		"call in a template":   {with(prompt("a", `{{printf "%s" "x"}}`)), "steps[0].user", "printf"},
		"field of text":        {with(prompt("a", "x") + "," + prompt("b", "{{.steps.a.output.title}}")), "steps[1].user", "'steps[1].user' is wrong: steps.a.output is text, which has no field 'title'"},
		"field of a number":    {with(prompt("a", "{{.input.n.x}}"), vars), "steps[0].user", "a number"},
		"unknown passage part": {with(`{"id":"r","type":"retrieve","collection":"c","query":"x"},{"id":"s","type":"transform","select":"$.steps.r.output[0].titel"}`), "steps[1].select", "no field 'titel'"},
		"unknown JSON part": {with(prompt("a", "x", `"parameters":{"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"title":{"type":"string"}},"additionalProperties":false}}}}`) + "," +
			prompt("b", "{{.steps.a.output.titel}}")), "steps[1].user", "no field 'titel'"},
		"cycle of three":         {with(prompt("a", "{{.steps.c.output}}") + "," + prompt("b", "{{.steps.a.output}}") + "," + prompt("c", "{{.steps.b.output}}")), "steps[0]", "a → b → c → a"},
		"cycle by needs":         {with(prompt("a", "x", `"needs":["b"]`) + "," + prompt("b", "{{.steps.a.output}}")), "steps[0]", "a → b → a"},
		"cycle by condition":     {with(prompt("a", "x") + `,{"id":"q","type":"condition","if":{"path":"$.steps.a.output","exists":true},"then":["a"]}`), "steps[0]", "→"},
		"tools":                  {with(prompt("a", "x", `"parameters":{"tools":[]}`)), "steps[0].parameters.tools", "cannot be set"},
		"bad parameter":          {with(prompt("a", "x", `"parameters":{"temperature":"hot"}`)), "steps[0].parameters.temperature", "number"},
		"parameter twice":        {with(prompt("a", "x", `"parameters":{"seed":1,"seed":2}`)), "steps[0].parameters.seed", "twice"},
		"template and user":      {with(prompt("a", "x", `"template":{"name":"t"}`)), "steps[0].template", "one or the other"},
		"template version":       {with(`{"id":"a","type":"prompt","template":{"name":"t","version":"no label!"}}`), "steps[0].template.version", "label"},
		"template variable":      {with(`{"id":"a","type":"prompt","template":{"name":"t","variables":{"v":"{{.input.x}}"}}}`), "steps[0].template.variables.v", "input.x"},
		"template variable path": {with(`{"id":"a","type":"prompt","template":{"name":"t","variables":{"v":{"path":"$.input.x"}}}}`), "steps[0].template.variables.v.path", "input.x"},
		"no collection":          {with(`{"id":"r","type":"retrieve","query":"x"}`), "steps[0].collection", "missing"},
		"odd collection":         {with(`{"id":"r","type":"retrieve","query":"x","collection":"a/b"}`), "steps[0].collection", "letters"},
		"top_k":                  {with(`{"id":"r","type":"retrieve","collection":"c","query":"x","top_k":101}`), "steps[0].top_k", "1 to 100"},
		"filter":                 {with(`{"id":"r","type":"retrieve","collection":"c","query":"x","filter":[]}`), "steps[0].filter", "object"},
		"no JSONPath":            {with(`{"id":"s","type":"transform","select":"$.input["}`), "steps[0].select", "JSONPath"},
		"not a selection":        {with(`{"id":"s","type":"transform","select":"input"}`), "steps[0].select", "selection"},
		"unknown in a filter":    {with(`{"id":"s","type":"transform","select":"$.input.list[?@.x == $.input.nope]"}`, vars), "steps[0].select", "input.nope"},
		"unknown in an object":   {with(`{"id":"s","type":"transform","select":{"a":"$.input.topic","b":"$.steps.x.output"}}`, vars), "steps[0].select.b", "steps.x"},
		"two questions":          {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.any","equals":1,"exists":true},"then":["a"]}`, vars), "steps[1].if.equals", "one question too many"},
		"no question":            {with(prompt("a", "x") + `,{"id":"q","type":"condition","if":{"path":"$.input"},"then":["a"]}`), "steps[1].if", "must ask"},
		"no branches":            {with(`{"id":"q","type":"condition","if":{"path":"$.input","exists":true}}`), "steps[0].then", "must name"},
		"branch unknown":         {with(`{"id":"q","type":"condition","if":{"path":"$.input","exists":true},"then":["z"]}`), "steps[0].then[0]", "'z'"},
		"both branches":          {with(prompt("a", "x") + `,{"id":"q","type":"condition","if":{"path":"$.input","exists":true},"then":["a"],"else":["a"]}`), "steps[1].else[0]", "twice"},
		"two conditions": {with(prompt("a", "x") + `,{"id":"q","type":"condition","if":{"path":"$.input","exists":true},"then":["a"]},{"id":"r","type":"condition","if":{"path":"$.input","exists":true},"else":["a"]}`),
			"steps[2].else[0]", "another condition"},
		"number against text":  {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.n","equals":"3"},"then":["a"]}`, vars), "steps[1].if.path", "a number, where text"},
		"text more than":       {with(prompt("a", "x") + "," + prompt("b", "x") + `,{"id":"q","type":"condition","if":{"path":"$.steps.a.output","gt":3},"then":["b"]}`), "steps[2].if.path", "text, where a number"},
		"number matches":       {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.n","matches":"3"},"then":["a"]}`, vars), "steps[1].if.path", "a number, where text"},
		"bad expression":       {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.topic","matches":"("},"then":["a"]}`, vars), "steps[1].if.matches", "RE2"},
		"several values":       {with(prompt("a", "x")+`,{"id":"q","type":"condition","if":{"path":"$.input.list[*]","equals":1},"then":["a"]}`, vars), "steps[1].if.path", "one value"},
		"map over text":        {with(prompt("a", "x") + `,{"id":"m","type":"map","over":"$.steps.a.output","do":{"type":"prompt","model":"m","user":"{{.item}}"}}`), "steps[1].over", "text, where an array"},
		"map over a number":    {with(`{"id":"m","type":"map","over":"$.input.n","do":{"type":"prompt","model":"m","user":"{{.item}}"}}`, vars), "steps[0].over", "a number, where an array"},
		"map in a map":         {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"map"}}`, vars), "steps[0].do.type", "'prompt', 'retrieve'"},
		"map without do":       {with(`{"id":"m","type":"map","over":"$.input.list"}`, vars), "steps[0].do", "object"},
		"unknown in a map":     {with(`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.steps.z.output}}"}}`, vars), "steps[0].do.user", "steps.z"},
		"parallel":             {with(`{"id":"m","type":"map","over":"$.input.list","parallel":17,"do":{"type":"prompt","model":"m","user":"x"}}`, vars), "steps[0].parallel", "1 to 16"},
		"field of a text item": {with(prompt("a", "x")+`,{"id":"s","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"x"}},{"id":"m","type":"map","over":"$.steps.s.output","do":{"type":"prompt","model":"m","user":"{{.item.name}}"}}`, vars), "steps[2].do.user", "text, which has no field"},
		"retry what":           {with(prompt("a", "x", `"retry":{"on":["invalid"]}`)), "steps[0].retry.on[0]", "cannot be retried"},
		"retry often":          {with(prompt("a", "x", `"retry":{"max_attempts":6}`)), "steps[0].retry.max_attempts", "1 to 5"},
		"on_error":             {with(prompt("a", "x", `"on_error":"ignore"`)), "steps[0].on_error", "skip"},
		"budget":               {with(prompt("a", "x", `"budget_usd":0`)), "steps[0].budget_usd", "positive"},
		"timeout":              {with(prompt("a", "x", `"timeout_ms":900001`)), "steps[0].timeout_ms", "900000"},
		"cache of a transform": {with(`{"id":"s","type":"transform","select":"$.input","cache":"exact"}`), "steps[0].cache", "make calls"},
		"semantic cache":       {with(prompt("a", "x", `"cache":"semantic"`)), "steps[0].cache", "not implemented"},
		"variable twice":       {with(prompt("a", "x"), `"input":[{"name":"a"},{"name":"a"}]`), "input[1].name", "taken"},
		"variable type":        {with(prompt("a", "x"), `"input":[{"name":"a","type":"date"}]`), "input[0].type", "string, number"},
		"default of that type": {with(prompt("a", "x"), `"input":[{"name":"a","type":"integer","default":1.5}]`), "input[0].default", "integer"},
		"useless default":      {with(prompt("a", "x"), `"input":[{"name":"a","required":true,"default":"x"}]`), "input[0].default", "required"},
		"output":               {with(prompt("a", "x"), `"output":"$.steps.b.output"`), "output", "steps.b"},
		"output text":          {with(prompt("a", "x"), `"output":"{{.steps.a.output.x}}"`), "output", "no field 'x'"},
		"label":                {with(prompt("a", "x"), `"labels":["latest"]`), "labels[0]", "not be 'latest'"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := chain.Parse([]byte(tt.body))
			f := fault.As(err)
			if f == nil {
				t.Fatalf("Parse(%s) accepts it, want a problem at %s", tt.body, tt.param)
			}
			if f.Param != tt.param || !strings.Contains(f.Message, tt.message) {
				t.Errorf("Parse = %q at %q, want %q at %q", f.Message, f.Param, tt.message, tt.param)
			}
			want := fault.Invalid
			if name == "semantic cache" {
				want = fault.Unimplemented
			}
			if f.Kind != want || len(params(err)) != 1 {
				t.Errorf("Parse = %s with problems at %q, want %s and one problem", f.Kind, params(err), want)
			}
		})
	}
}

func TestParseFindsAllProblemsAtOnce(t *testing.T) {
	_, err := chain.Parse([]byte(with(
		prompt("a", "{{.input.x}} and {{.steps.z.output}}", `"cache":"semantic"`)+`,{"id":"b","type":"transform","select":"$["},`+
			prompt("a", "{{.steps.b.output"), `"timeout_ms":-1`)))
	want := []string{"timeout_ms", "steps[0].cache", "steps[1].select", "steps[2].id", "steps[2].user", "steps[0].user", "steps[0].user"}
	if diff := cmp.Diff(want, params(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if f := fault.As(err); f.Kind != fault.Invalid || f.Code != "invalid_chain" {
		t.Errorf("Parse = %s, %s, want invalid, invalid_chain", f.Kind, f.Code)
	}
}

func TestParseRefusesWhatIsNoObject(t *testing.T) {
	for _, body := range []string{``, `[]`, `{"name":`, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`} {
		if _, err := chain.Parse([]byte(body)); !errors.Is(err, fault.Invalid) || fault.As(err).Code != "invalid_json" {
			t.Errorf("Parse(%.20q) = %v, want invalid_json", body, err)
		}
	}
}

func TestParseBoundsTheNumberOfSteps(t *testing.T) {
	var steps []string
	for i := range chain.MaxSteps + 1 {
		steps = append(steps, prompt(fmt.Sprintf("s%d", i), "x"))
	}
	parse(t, with(strings.Join(steps[1:], ",")))
	if _, err := chain.Parse([]byte(with(strings.Join(steps, ",")))); fault.As(err) == nil || fault.As(err).Param != "steps" {
		t.Errorf("Parse of %d steps = %v, want a problem at steps", len(steps), err)
	}
}

// TestParseKnowsTypesThroughSteps: what a step gives is known through others
// that pass it on.
func TestParseKnowsTypesThroughSteps(t *testing.T) {
	c := parse(t, with(
		`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"{{.item.name}} {{.index}}"}},`+
			`{"id":"s","type":"transform","select":{"texts":"$.steps.m.output","names":"$.input.list[*].name"}},`+
			`{"id":"again","type":"map","over":"$.steps.s.output.texts","do":{"type":"transform","select":"$.item"}},`+
			prompt("end", "{{range .steps.again.output}}- {{.}}{{end}}{{.input.any.thing}}"), vars))
	if len(c.Steps) != 4 {
		t.Errorf("%d steps, want 4", len(c.Steps))
	}
	_, err := chain.Parse([]byte(with(
		`{"id":"m","type":"map","over":"$.input.list","do":{"type":"prompt","model":"m","user":"x"}},`+
			`{"id":"s","type":"transform","select":{"texts":"$.steps.m.output"}},`+
			prompt("x", "{{.steps.s.output.text}}")+`,`+prompt("y", "{{.steps.s.output.texts.a}}"), vars)))
	if diff := cmp.Diff([]string{"steps[2].user", "steps[3].user"}, params(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestInputs(t *testing.T) {
	c := parse(t, with(prompt("a", "x"), vars))
	for _, tt := range []struct{ in, want string }{
		{`{"topic":"go"}`, `{"topic":"go","n":3,"list":null,"o":null,"any":null}`},
		{` {"topic":"go","n":4,"list":[1],"o":{},"any":[true]} `, `{"topic":"go","n":4,"list":[1],"o":{},"any":[true]}`},
	} {
		got, err := c.Inputs([]byte(tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("Inputs(%s) = %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for in, want := range map[string][]string{
		``:                                     {"input.topic"},
		`{"topic":1,"n":1.5,"list":{},"no":1}`: {"input.topic", "input.n", "input.list", "input.no"},
	} {
		_, err := c.Inputs([]byte(in))
		if diff := cmp.Diff(want, params(err)); diff != "" {
			t.Errorf("problems of %q (-want +got):\n%s", in, diff)
		}
	}
	for _, in := range []string{`[]`, `{`, `"x"`, `{"topic":"a","topic":"b"}`} {
		if _, err := c.Inputs([]byte(in)); !errors.Is(err, fault.Invalid) {
			t.Errorf("Inputs(%s) = %v, want invalid", in, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(with(prompt("a", "{{.input.topic}}"), vars, `"output":"$.steps.a.output"`)))
	f.Add([]byte(with(`{"id":"m","type":"map","over":"$.input.list[?@.x > 1]","do":{"type":"code","model":"m","user":"{{.item}}"}}`, vars)))
	f.Add([]byte(with(prompt("a", "x") + `,{"id":"q","type":"condition","if":{"path":"$.steps.a.output","matches":"x"},"then":["a"]}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, err := chain.Parse(body); err == nil {
			c.Inputs(nil)
		} else if k := fault.As(err).Kind; k != fault.Invalid && k != fault.Unimplemented {
			t.Errorf("Parse = %s, want invalid", k)
		}
	})
}
