package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestRender(t *testing.T) {
	r := newAuthor(t)
	r.template(r.do("POST", "/ai/templates", tutor), 201)
	a := r.do("POST", "/ai/templates/tutor/render", `{"variables":{"topic":"<maps>"}}`)
	var got struct {
		Object, Template, Model string
		Messages                []struct{ Role, Content string }
		Parameters              map[string]json.Number
		Estimate                struct {
			Input    int64 `json:"input_tokens"`
			Exact    bool
			Output   int64       `json:"max_output_tokens"`
			InputUSD usage.Nano  `json:"input_usd"`
			MaxUSD   *usage.Nano `json:"max_usd"`
		}
		Warnings []string
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("render: %d %s", a.status, a.body)
	}
	want := []struct{ Role, Content string }{{"system", "You teach beginners."}, {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Explain <maps>."}}
	if diff := cmp.Diff(want, got.Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if got.Object != "template.render" || got.Template != "tutor@1" || got.Model != "gpt-4o-mini" || got.Parameters["temperature"] != "0.20" || len(got.Warnings) != 0 {
		t.Errorf("render = %s", a.body)
	}
	e := got.Estimate
	if e.Input != 30 || !e.Exact || e.Output != 100 || e.InputUSD != usage.Nano(e.Input*150) || e.MaxUSD == nil || *e.MaxUSD != usage.Nano(e.Input*150+100*600) {
		t.Errorf("estimate = %+v", e)
	}
	if n := len(r.records("ana")); n != 0 {
		t.Errorf("%d ledger records of a preview", n)
	}
	for _, tc := range []struct {
		body, param, code string
		status            int
	}{
		{`{}`, "variables.topic", "missing_required_parameter", 400},
		{`{"variables":{"topic":"x","other":1}}`, "variables.other", "unknown_parameter", 400},
		{`{"variables":{"topic":7}}`, "variables.topic", "invalid_type", 400},
		{`{"variables":[]}`, "variables", "invalid_type", 400},
		{`{"variables":{"topic":"` + strings.Repeat("x", template.MaxOutput) + `"}}`, "variables", "template_too_large", 413},
		{`{"variables":{"topic":"x"},"version":2}`, "version", "not_found", 404},
		{`{"variables":{"topic":"x"},"version":"production"}`, "version", "not_found", 404},
		{`{"variables":{"topic":"x"},"version":true}`, "version", "invalid_request", 400},
		{`{"variables":{"topic":"x"},"model":5}`, "model", "invalid_request", 400},
		{`{"variables":{"topic":"x"},"model":"nothing/like-this"}`, "model", "model_not_found", 404},
		{`{"variables":{"topic":"x"},"model":"text-embedding-3-small"}`, "model", "model_not_supported", 400},
		{`{"variables":{"topic":"x"},"debug":true}`, "debug", "unknown_parameter", 400},
	} {
		a := r.do("POST", "/ai/templates/tutor/render", tc.body)
		if _, _, param, code := a.fail(t); a.status != tc.status || param != tc.param || code != tc.code {
			t.Errorf("render %.80s: %d %s", tc.body, a.status, a.body)
		}
	}
}

// TestRenderWithoutAPrice: what is not known is null, and said.
func TestRenderWithoutAPrice(t *testing.T) {
	r := newAuthor(t)
	for name, tc := range map[string]struct{ template, body, want, warning string }{
		"no model":               {`{"name":"t","user":"a"}`, ``, `"input_tokens":9,"exact":false,"max_output_tokens":null,"input_usd":null,"max_usd":null`, "no price"},
		"no bound":               {`{"name":"t","user":"a","model":"gpt-4o-mini"}`, ``, `"max_output_tokens":null,"input_usd":0.0000012,"max_usd":null`, ""},
		"the request's model":    {`{"name":"t","user":"a","model":"nothing"}`, `{"model":"gpt-4o-mini"}`, `"model":"gpt-4o-mini"`, ""},
		"tools count":            {`{"name":"t","user":"a","model":"gpt-4o-mini","parameters":{"tools":[{"type":"function","function":{"name":"f","description":"Finds words."}}]}}`, ``, `"input_tokens":32,"exact":true`, ""},
		"not configured":         {`{"name":"t","user":"a","model":"anthropic/claude-sonnet-4-5"}`, ``, `"input_usd":null`, "ANTHROPIC_API_KEY"},
		"a bound above the most": {`{"name":"t","user":"a","model":"gpt-4o-mini","parameters":{"max_tokens":1000000,"n":2}}`, ``, `"max_output_tokens":32768`, ""},
	} {
		r.do("POST", "/ai/templates", tc.template)
		a := r.do("POST", "/ai/templates/t/render", tc.body)
		if a.status != 200 || !strings.Contains(a.body, tc.want) || !strings.Contains(a.body, `"content":"a"`) || (tc.warning == "") != strings.Contains(a.body, `"warnings":[]`) || !strings.Contains(a.body, tc.warning) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	few := []string{"Authorization", "Bearer " + r.user("bob", func(u *admission.User) { u.Models = []string{"script/*"} })}
	r.do("POST", "/ai/templates", `{"name":"t","user":"a","model":"gpt-4o-mini"}`, few...)
	if _, _, param, code := r.do("POST", "/ai/templates/t/render", "", few...).fail(t); param != "model" || code != "model_not_allowed" {
		t.Errorf("a model that bob may not use: %q %q", param, code)
	}
}
