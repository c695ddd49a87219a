package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/tidy"
)

// parrot is an upstream that repeats the user's text; "fail N: …" fails with
// status N as long as it is told to.
type parrot struct {
	mu      sync.Mutex
	asked   []string
	healthy bool
	hang    chan struct{} // nil: "hang" is a text like others
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var req struct {
		Stream   bool
		Messages []struct{ Content string }
	}
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text := req.Messages[len(req.Messages)-1].Content
	p.mu.Lock()
	p.asked = append(p.asked, text)
	healthy := p.healthy
	p.mu.Unlock()
	var status int
	if _, err := fmt.Sscanf(text, "fail %d", &status); err == nil && !healthy {
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"The upstream's own words.","type":"x","param":null,"code":null}}`)
		return
	}
	if text == "hang" && p.hang != nil {
		close(p.hang)
		<-r.Context().Done()
		return
	}
	quoted := string(mustJSON(text))
	if !req.Stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"gpt-4o-mini-x","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, quoted)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, `data: {"id":"1","model":"gpt-4o-mini-x","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n", quoted)
	io.WriteString(w, `data: {"id":"1","model":"gpt-4o-mini-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n"+
		`data: {"id":"1","model":"gpt-4o-mini-x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`+"\n\ndata: [DONE]\n\n")
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// calls returns the texts asked since the last time, sorted.
func (p *parrot) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.asked
	p.asked = nil
	slices.Sort(list)
	return list
}

func newChainRig(t *testing.T, p *parrot, script llm.Provider) *rig {
	t.Helper()
	r := newRig(t, p.ServeHTTP, script)
	r.server.Recipes, r.server.Runs = r.store.Recipes(), r.store.Runs()
	return r
}

// saves stores a chain and checks that it was taken.
func (r *rig) saves(body string, header ...string) {
	r.t.Helper()
	if a := r.do("POST", "/ai/chains", body, header...); a.status != http.StatusCreated {
		r.t.Fatalf("POST /ai/chains = %d %s", a.status, a.body)
	}
}

func step(id, user string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"type":"prompt","model":"gpt-4o-mini","user":%q,"parameters":{"max_completion_tokens":50}%s}`, id, user, strings.Join(append([]string{""}, more...), ","))
}

func chainOf(name string, steps ...string) string {
	return `{"name":"` + name + `","input":[{"name":"topic","default":"maps"}],"steps":[` + strings.Join(steps, ",") + `]}`
}

// object decodes an answer's body.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return o
}

// want checks status and members of an answer: want is JSON, an object of them.
func (a answer) want(t *testing.T, status int, want string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status = %d %s, want %d", a.status, a.body, status)
		return
	}
	got := a.object(t)
	var w map[string]json.RawMessage
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	for name, value := range w {
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			t.Fatal(err)
		}
		if g := string(mustJSON(got[name])); g != string(mustJSON(v)) {
			t.Errorf("%s = %s, want %s", name, g, value)
		}
	}
}

func TestChainsAreVersioned(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	first := chainOf("c", step("a", "one"))
	a := r.do("POST", "/ai/chains", strings.TrimSuffix(first, "}")+`,"labels":["production"]}`)
	a.want(t, 201, `{"id":"c","object":"chain","version":1,"latest_version":1,"labels":{"production":1},"changed":true,"name":"c"}`)
	r.do("POST", "/ai/chains", strings.ReplaceAll(first, ",", ", ")).want(t, 200, `{"version":1,"changed":false}`)
	r.do("POST", "/ai/v1/chains", chainOf("c", step("a", "two"))).want(t, 201, `{"version":2,"labels":{"production":1}}`)
	r.do("GET", "/ai/chains/c", "").want(t, 200, `{"version":2,"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"two","parameters":{"max_completion_tokens":50}}]}`)
	r.do("GET", "/ai/chains/c?version=production", "").want(t, 200, `{"version":1,"latest_version":2}`)
	r.do("GET", "/ai/chains/c?version=3", "").want(t, 404, `{}`)
	r.do("POST", "/ai/chains/c/labels/production", `{"version":2}`).want(t, 200, `{"object":"chain","labels":{"production":2}}`)
	r.do("POST", "/ai/chains/c/labels/old", `{"version":1}`).want(t, 200, `{"labels":{"production":2,"old":1}}`)
	r.do("DELETE", "/ai/chains/c/labels/old", "").want(t, 200, `{"labels":{"production":2}}`)
	r.do("DELETE", "/ai/chains/c/labels/old", "").want(t, 404, `{}`)
	a = r.do("GET", "/ai/chains/c/versions?limit=1", "")
	a.want(t, 200, `{"object":"list","has_more":true,"next":"2"}`)
	if v := a.object(t)["data"].([]any)[0].(map[string]any); v["object"] != "chain.version" || v["version"] != 2.0 {
		t.Errorf("version = %v", v)
	}
	r.saves(chainOf("b", step("a", "x")))
	a = r.do("GET", "/ai/chains?limit=1", "")
	a.want(t, 200, `{"has_more":true,"next":"b"}`)
	r.do("GET", "/ai/chains?limit=1&after=b", "").want(t, 200, `{"has_more":false}`)

	other := []string{"Authorization", "Bearer " + r.user("ben", nil)}
	r.do("GET", "/ai/chains", "", other...).want(t, 200, `{"data":[]}`)
	r.do("GET", "/ai/chains/c", "", other...).want(t, 404, `{}`)
	r.do("DELETE", "/ai/chains/c", "", other...).want(t, 404, `{}`)
	r.do("POST", "/ai/chains/c/runs", "", other...).want(t, 404, `{}`)

	r.do("DELETE", "/ai/chains/c", "").want(t, 200, `{"id":"c","object":"chain.deleted","deleted":true}`)
	r.do("GET", "/ai/chains/c", "").want(t, 404, `{}`)
}

func TestBadChainsAreRefusedWithEverythingThatIsWrong(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	a := r.do("POST", "/ai/chains", chainOf("c", step("a", "{{.input.nope}}"), step("b", "{{.steps.c.output}}")))
	if _, _, param, code := a.fail(t); a.status != 400 || param != "steps[0].user" || code != "invalid_chain" {
		t.Errorf("answer = %d %s", a.status, a.body)
	}
	if p := a.object(t)["problems"].([]any); len(p) != 2 || p[1].(map[string]any)["param"] != "steps[1].user" {
		t.Errorf("problems = %v, want two", p)
	}
	for body, want := range map[string]string{
		`{`:  "invalid_json",
		`[]`: "invalid_json",
		chainOf("c", step("a", "x", `"cache":"semantic"`)):    "not_implemented",
		chainOf("c", step("a", strings.Repeat("x", 300<<10))): "request_too_large",
	} {
		if _, _, _, code := r.do("POST", "/ai/chains", body).fail(t); code != want {
			t.Errorf("POST %.60s = %s, want %s", body, code, want)
		}
	}
	for step, want := range map[string]string{
		`{"id":"a","type":"prompt","template":{"name":"none"}}`:                                       "steps[0].template",
		`{"id":"a","type":"prompt","template":{"name":"tutor","version":7}}`:                          "steps[0].template",
		`{"id":"a","type":"prompt","template":{"name":"tutor","variables":{"topic":"x","typo":"x"}}}`: "steps[0].template.variables.typo",
		`{"id":"a","type":"prompt","template":{"name":"tutor"}}`:                                      "steps[0].template.variables",
		`{"id":"a","type":"prompt","template":{"name":"tutor","variables":{"topic":"x"}}}`:            "steps[0].template",
	} {
		r.do("POST", "/ai/templates", `{"name":"tutor","user":"Teach {{.topic}}.","variables":[{"name":"topic"}]}`)
		if _, _, param, _ := r.do("POST", "/ai/chains", chainOf("c", step)).fail(t); param != want {
			t.Errorf("POST with %s = a problem at %q, want %q", step, param, want)
		}
	}
	r.do("POST", "/ai/templates", `{"name":"typed","model":"gpt-4o-mini","user":"{{len .l}}{{.n}}{{.s}}{{.o}}","variables":[{"name":"l","type":"array","required":false},
		{"name":"n","type":"integer","required":false},{"name":"s","max_length":4,"required":true},{"name":"o","type":"object","required":false}]}`).want(t, 201, `{}`)
	typed := func(variables string) string {
		return `{"name":"typed","input":[{"name":"topic"},{"name":"count","type":"number"},{"name":"list","type":"array"},{"name":"any","type":"any"}],"steps":[
			{"id":"f","type":"retrieve","collection":"docs","query":"q"},
			{"id":"m","type":"map","over":"$.steps.f.output","do":{"type":"prompt","template":{"name":"typed","variables":` + variables + `}}}]}`
	}
	for variables, want := range map[string]string{
		`{"s":"x","l":"text"}`:                            "l: expected an array, got string.",
		`{"s":"x","l":"{{.input.list}}"}`:                 "l: expected an array, got string.",
		`{"s":"x","l":{"path":"$.input.topic"}}`:          "l: expected an array, got string.",
		`{"s":"x","l":{"a":1}}`:                           "l: expected an array, got object.",
		`{"s":"x","n":1.5}`:                               "n: expected an integer, got the number 1.5.",
		`{"s":"x","n":{"path":"$.item.text"}}`:            "n: expected an integer, got string.",
		`{"s":"x","o":{"path":"$.steps.f.output[*].id"}}`: "o: expected an object, got array.",
		`{"s":"x","o":{"path":"$.index"}}`:                "o: expected an object, got number.",
		`{"s":7}`:                                         "s: expected a string, got the number 7.",
		`{"s":null}`:                                      "s must not be null: the template requires it.",
		`{"s":"12345"}`:                                   "s has 5 characters; the limit is 4.",
	} {
		name, rest, _ := strings.Cut(want, " ")
		at := "steps[1].do.template.variables." + strings.TrimSuffix(name, ":")
		message := "'" + at + "' " + rest
		if strings.HasSuffix(name, ":") {
			message = "Invalid type for '" + at + "': " + rest
		}
		a := r.do("POST", "/ai/chains", typed(variables))
		if got, _, param, _ := a.fail(t); a.status != 400 || param != at || got != message {
			t.Errorf("POST with %s = %d %s, want %q at %s", variables, a.status, a.body, message, at)
		}
	}
	if list := r.do("GET", "/ai/chains", "").object(t)["data"].([]any); len(list) != 0 {
		t.Errorf("chains = %v, want nothing stored", list)
	}
	for _, variables := range []string{
		`{"s":"{{.item.text}} is long","l":[],"n":12,"o":{"a":1}}`,
		`{"s":{"path":"$.item.text"},"l":{"path":"$.steps.f.output[*].id"},"n":{"path":"$.input.count"},"o":{"path":"$.item.metadata"}}`,
		`{"s":{"path":"$.input.any"},"l":null,"n":{"path":"$.index"},"o":{"path":"$.item"}}`,
	} {
		r.saves(typed(variables))
	}
	r.do("POST", "/ai/chains", "x", "Authorization", "Bearer gw_nobody_x").want(t, 401, `{}`)
	r.do("PATCH", "/ai/chains/c", "").want(t, 405, `{}`)
	r.do("GET", "/ai/chains/a%20b", "").want(t, 404, `{}`)
	r.do("GET", "/ai/chains/c/nothing", "").want(t, 404, `{}`)
}

func TestChainsTidyTheCodeTheyWrite(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	r.server.CodeTools = tidy.Tools{}
	// The parrot says what it is asked.
	r.saves(`{"name":"c","steps":[{"id":"w","type":"code","model":"gpt-4o-mini","user":"` + "```go a.go\\npackage  a\\n```\\n```go b.go\\npackage\\n```" + `"}]}`)
	a := r.do("POST", "/ai/chains/c/runs", `{}`)
	wantParts(t, "the run", a.body, `"content":"package a\n"`, `"path":"b.go"`, `"code":"syntax"`, `"line":`)
}

// brokenRuns is a store of runs whose disk is gone.
type brokenRuns struct{ chain.Runs }

func (brokenRuns) Run(context.Context, string, string) (*chain.Run, error) {
	return nil, errors.New("disk of machine 7 is gone")
}
