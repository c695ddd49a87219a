package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
)

func TestBothSpellingsOfEveryPath(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	for _, path := range []string{"/ai/chat/completions", "/ai/v1/chat/completions"} {
		if a := r.do("POST", path, hello); a.status != 200 {
			t.Errorf("POST %s: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/ai/models", "/ai/v1/models", "/ai/models/openai/gpt-4o-mini", "/ai/v1/models/gpt-4o-mini", "/health", "/health/ready", "/"} {
		if a := r.do("GET", path, ""); a.status != 200 {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
}

// TestTheFrontPageNamesEveryPartOfTheAPI: at least one path of each function.
func TestTheFrontPageNamesEveryPartOfTheAPI(t *testing.T) {
	page := newRig(t, nil, nil).do("GET", "/", "").body
	named := map[string]bool{}
	for _, route := range api.Routes() {
		named[route.Function] = named[route.Function] || !strings.HasPrefix(route.Path, "/ai/") || strings.Contains(page, `"`+route.Method+" "+route.Path+`"`)
	}
	for function, ok := range named {
		if !ok {
			t.Errorf("GET / names no path of %s: %s", function, page)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	r := newRig(t, nil, nil)
	a := r.do("GET", "/ai/nothing", "")
	if a.fail(t); a.status != 404 {
		t.Errorf("GET /ai/nothing: %d", a.status)
	}
	a = r.do("DELETE", "/ai/chat/completions", "")
	if a.fail(t); a.status != 405 || a.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("DELETE chat: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	if a := r.do("GET", "/metrics", ""); a.status != 404 {
		t.Errorf("metrics that are not served: %d", a.status)
	}
}

func TestPreflightIsTheSameEverywhere(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, path := range []string{"/ai/chat/completions", "/ai/v1/models", "/admin/users/x", "/health", "/ai/nothing"} {
		a := r.do("OPTIONS", path, "", "Origin", "https://app.example", "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization, x-stainless-os")
		if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Headers") != "authorization, x-stainless-os" ||
			a.header.Get("Access-Control-Allow-Methods") != "GET, POST, PATCH, DELETE, OPTIONS" {
			t.Errorf("OPTIONS %s: %d %v", path, a.status, a.header)
		}
	}
	if a := r.do("GET", "/health", "", "Origin", "https://app.example"); a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "x-request-id") || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "x-should-retry") {
		t.Errorf("GET /health: %v", a.header)
	}
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	seen := map[string]bool{}
	for _, a := range []answer{r.chat(hello), r.chat(`{}`), r.do("GET", "/health", ""), r.do("GET", "/nothing", ""), r.chat(hello, "X-Request-Id", "stolen"), r.chat(hello, "X-Request-Id", "stolen")} {
		id := a.header.Get("X-Request-Id")
		if len(id) != 16 || seen[id] {
			t.Errorf("x-request-id = %q", id)
		}
		seen[id] = true
	}
}

func TestModelsListsWhatTheKeyMayCall(t *testing.T) {
	r := newRig(t, nil, nil)
	all := r.do("GET", "/ai/models", "").body
	if !strings.Contains(all, `"id":"openai/gpt-4o-mini"`) || !strings.Contains(all, `"input_usd_per_million_tokens":0.15,`) || !strings.Contains(all, `"context_window":128000,"max_output_tokens":16384`) || !strings.Contains(all, `"context_window":400000,"max_input_tokens":272000,"max_output_tokens":128000`) {
		t.Errorf("models = %.600s", all)
	}
	if strings.Contains(all, "anthropic/") {
		t.Error("a provider without credentials is listed")
	}
	few := r.user("bob", func(u *admission.User) { u.Models = []string{"openai/gpt-4o-mini"} })
	list := r.do("GET", "/ai/models", "", "Authorization", "Bearer "+few).body
	if strings.Count(list, `"object":"model"`) != 1 || !strings.Contains(list, "gpt-4o-mini") {
		t.Errorf("bob's models = %.600s", list)
	}
	if a := r.do("GET", "/ai/models/openai/gpt-4o", "", "Authorization", "Bearer "+few); a.status != 404 {
		t.Errorf("a model that bob may not use: %d", a.status)
	}
	a := r.chat(`{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`, "Authorization", "Bearer "+few)
	if _, _, param, code := a.fail(t); a.status != 403 || param != "model" || code != "model_not_allowed" {
		t.Errorf("chat with it: %d %q %q", a.status, param, code)
	}
}

// TestReadyWithoutWhatIsOptional: it is listed, and nothing depends on it.
func TestReadyWithoutWhatIsOptional(t *testing.T) {
	r := newRig(t, nil, nil)
	down := func(ctx) error { return errors.New("down at 10.0.0.7") }
	r.server.Ready = []api.Check{{Name: "store", Ask: func(ctx) error { return nil }}, {Name: "project service", Ask: down, Optional: true}}
	var page struct {
		Status string
		Checks []struct {
			Name, Status string
			Optional     bool
		}
	}
	a := r.do("GET", "/health/ready", "")
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 || page.Status != "ready" || strings.Contains(a.body, "10.0.0.7") {
		t.Fatalf("%d %s, %v", a.status, a.body, err)
	}
	if c := page.Checks; len(c) != 2 || c[0].Optional || c[1].Name != "project service" || c[1].Status != "down" || !c[1].Optional {
		t.Errorf("checks = %+v", c)
	}
}

func TestNotReady(t *testing.T) {
	r := newRig(t, nil, nil)
	r.server.Ready = []api.Check{{Name: "fine", Ask: func(ctx ctx) error { return nil }}, {Name: "store", Ask: func(ctx ctx) error { panic("down, password=hunter2") }}}
	a := r.do("GET", "/health/ready", "")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `{"name":"store","status":"down"`) || !strings.Contains(a.body, `{"name":"fine","status":"ok"`) || strings.Contains(a.body, "hunter2") {
		t.Errorf("ready: %d %s", a.status, a.body)
	}
}

func TestRoutesAreServed(t *testing.T) {
	h := newRig(t, nil, nil).server.Handler().(*http.ServeMux)
	methods := map[string][]string{}
	for _, route := range api.Routes() {
		methods[route.Path] = append(methods[route.Path], route.Method)
	}
	for path, list := range methods {
		for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
			req, _ := http.NewRequest(m, strings.NewReplacer("{id...}", "x/y", "{id}", "x", "{kid}", "y").Replace(path), nil)
			if _, pattern := h.Handler(req); slices.Contains(list, m) && (pattern == "/" || pattern == "") {
				t.Errorf("%s %s is not served", m, path)
			}
		}
	}
}
