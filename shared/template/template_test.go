package template_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

func TestEqualTemplatesHaveEqualBytes(t *testing.T) {
	a := parse(t, `{"name":"t","system":"S","user":"U {{.x}}","variables":[{"name":"x"}],"parameters":{"temperature":0.50,"stop":["\u00e9"]}}`)
	b := parse(t, ` { "parameters" : { "temperature" : 0.50 , "stop" : [ "é" ] }, "variables" : [ { "required" : true, "type" : "string", "name" : "x", "default":null } ], "examples":[],
		"model":null,"description":"", "user":"U {{.x}}","system":"\u0053","name":"t"}`)
	if diff := cmp.Diff(string(a.JSON()), string(b.JSON())); diff != "" {
		t.Errorf("JSON (-a +b):\n%s", diff)
	}
	const want = `{"name":"t","system":"S","user":"U {{.x}}","variables":[{"name":"x","type":"string","required":true}],"parameters":{"temperature":0.50,"stop":["é"]}}`
	if got := string(a.JSON()); got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
	if got := string(parse(t, want).JSON()); got != want {
		t.Errorf("JSON of JSON = %s, want %s", got, want)
	}
}

func TestWrongTemplatesAreRefused(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tc := range []struct{ body, param, want string }{
		{`[]`, "", "not a valid JSON object"},
		{`{"user":"a","user":"b"}`, "", "given twice"},
		{`{}`, "user", "needs a text"},
		{`{"user":""}`, "user", "needs a text"},
		{`{"user":" \n"}`, "user", "blank"},
		{`{"user":1}`, "user", "string"},
		{`{"user":"a","sistem":"b"}`, "sistem", "Unknown parameter: 'sistem'"},
		{`{"user":"a","name":7}`, "name", "string"},
		{`{"user":"a","description":"` + long + `"}`, "description", "4096"},
		{`{"user":"a","model":"` + long + `"}`, "model", "256"},

		{`{"user":"a","examples":{}}`, "examples", "array"},
		{`{"user":"a","examples":["x"]}`, "examples[0]", "object"},
		{`{"user":"a","examples":[{"user":"x","assistant":"y"},{"user":"x"}]}`, "examples[1].assistant", "Missing"},
		{`{"user":"a","examples":[{"assistant":"y"}]}`, "examples[0].user", "Missing"},
		{`{"user":"a","examples":[{"user":"x","assistant":"y","role":"z"}]}`, "examples[0].role", "Unknown"},
		{`{"user":"a","examples":[{"user":"x","assistant":5}]}`, "examples[0].assistant", "string"},
		{`{"user":"a","examples":[` + strings.Repeat(`{"user":"x","assistant":"y"},`, 50) + `{}]}`, "examples", "50"},

		{`{"user":"a","variables":{}}`, "variables", "array"},
		{`{"user":"a","variables":["x"]}`, "variables[0]", "object"},
		{`{"user":"a","variables":[{}]}`, "variables[0].name", "letters"},
		{`{"user":"a","variables":[{"name":"a-b"}]}`, "variables[0].name", "letters"},
		{`{"user":"a","variables":[{"name":"1a"}]}`, "variables[0].name", "letters"},
		{`{"user":"a","variables":[{"name":"x"},{"name":"x"}]}`, "variables[1].name", "twice"},
		{`{"user":"a","variables":[{"name":"x","type":"text"}]}`, "variables[0].type", "string"},
		{`{"user":"a","variables":[{"name":"x","type":5}]}`, "variables[0].type", "string"},
		{`{"user":"a","variables":[{"name":"x","requierd":true}]}`, "variables[0].requierd", "Unknown"},
		{`{"user":"a","variables":[{"name":"x","required":1}]}`, "variables[0].required", "boolean"},
		{`{"user":"a","variables":[{"name":"x","default":1}]}`, "variables[0].default", "expected a string, got the number 1"},
		{`{"user":"a","variables":[{"name":"x","type":"integer","default":1.0}]}`, "variables[0].default", "expected an integer, got the number 1.0"},
		{`{"user":"a","variables":[{"name":"x","type":"object","default":{"a":{"b":1,"b":2}}}]}`, "variables[0].default.a.b", "twice"},
		{`{"user":"a","variables":[{"name":"x","default":"abc","max_length":2}]}`, "variables[0].default", "limit is 2"},
		{`{"user":"a","variables":[{"name":"x","type":"number","max_length":2}]}`, "variables[0].max_length", "string or an array"},
		{`{"user":"a","variables":[{"name":"x","max_length":0}]}`, "variables[0].max_length", "positive"},

		{`{"user":"a","parameters":[]}`, "parameters", "object"},
		{`{"user":"a","parameters":` + object(101) + `}`, "parameters", "has 101 fields; the limit is 100"},
		{`{"user":"a","parameters":{"temperature":"hot"}}`, "parameters.temperature", "Invalid type for 'parameters.temperature'"},
		{`{"user":"a","parameters":{"max_tokens":0}}`, "parameters.max_tokens", "between"},
		{`{"user":"a","parameters":{"tools":[{}]}}`, "parameters.tools[0].type", "parameters.tools"},
		{`{"user":"a","parameters":{"response_format":{"a":1,"a":2}}}`, "parameters.response_format.a", "twice"},
		{`{"user":"a","parameters":{"messages":[]}}`, "parameters.messages", "cannot hold"},
		{`{"user":"a","parameters":{"model":"m"}}`, "parameters.model", "cannot hold"},
		{`{"user":"a","parameters":{"stream":true}}`, "parameters.stream", "cannot hold"},
		{`{"user":"a","parameters":{"stream_options":{}}}`, "parameters.stream_options", "cannot hold"},
		{`{"user":"a","parameters":{"gateway":{}}}`, "parameters.gateway", "cannot hold"},
	} {
		_, err := template.Parse([]byte(tc.body))
		f := fault.As(err)
		if f == nil {
			t.Errorf("Parse(%.200s) = nil, want an error about %q", tc.body, tc.param)
		} else if f.Kind != fault.Invalid || f.Param != tc.param || !strings.Contains(f.Message, tc.want) {
			t.Errorf("Parse(%.200s) = %v, param %q; want %q, param %q", tc.body, err, f.Param, tc.want, tc.param)
		}
	}
}

func TestOddTemplatesAreWarnedAbout(t *testing.T) {
	p := parse(t, `{"user":"{{.a}}","variables":[{"name":"a","required":true,"default":"x"},{"name":"b"}]}`)
	got := strings.Join(p.Warnings(), "\n")
	if len(p.Warnings()) != 2 || !strings.Contains(got, "variables[0]: 'a' has a default") || !strings.Contains(got, "variables[1]: no text uses 'b'") {
		t.Errorf("Warnings = %q", got)
	}
	if w := parse(t, `{"user":"{{.a}}","variables":[{"name":"a"}]}`).Warnings(); len(w) != 0 {
		t.Errorf("Warnings of a sound template = %q", w)
	}
}
