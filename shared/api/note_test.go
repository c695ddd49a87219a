package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestEveryRequestHasALogLine: those that run no model, too. None tells what a
// document is called or says.
func TestEveryRequestHasALogLine(t *testing.T) {
	r := newReader(t)
	admin := []string{"Authorization", "Bearer " + adminKey}
	type line struct {
		Message   string
		Operation string
		Method    string
		Path      string
		Status    int
		User      string
		Param     string `json:"error_param"`
	}
	var want []line
	for _, tc := range []struct {
		method, path, body string
		header             []string
		line               line
	}{
		{"POST", "/ai/documents", `{"collection":"docs","id":"diary/secret.md","text":"secret words"}`, nil, line{"request", "documents", "POST", "/ai/documents", 201, "ana", ""}},
		{"GET", "/ai/v1/documents/diary/secret.md", "", nil, line{"request", "documents", "GET", "/ai/v1/documents/{id...}", 200, "ana", ""}},
		{"POST", "/ai/search", `{"collection":"docs","query":"secret"}`, nil, line{"request", "search", "POST", "/ai/search", 200, "ana", ""}},
		{"POST", "/ai/search", `{"collection":"docs"}`, nil, line{"request", "search", "POST", "/ai/search", 400, "ana", "query"}},
		{"DELETE", "/ai/documents/diary/secret.md", "", nil, line{"request", "documents", "DELETE", "/ai/documents/{id...}", 200, "ana", ""}},
		{"DELETE", "/ai/documents/diary/secret.md", "", nil, line{"request", "documents", "DELETE", "/ai/documents/{id...}", 404, "ana", ""}},
		{"GET", "/ai/models", "", nil, line{"request", "models", "GET", "/ai/models", 200, "ana", ""}},
		{"GET", "/ai/models", "", []string{"Authorization", "Bearer gw_x"}, line{"request", "models", "GET", "/ai/models", 401, "", ""}},
		{"POST", "/admin/users", `{"id":"bob"}`, admin, line{"request", "admin", "POST", "/admin/users", 201, "", ""}},
		{"DELETE", "/admin/users/bob", "", admin, line{"request", "admin", "DELETE", "/admin/users/bob", 200, "", ""}},
		{"DELETE", "/admin/users/ana", "", nil, line{"request", "admin", "DELETE", "/admin/users/ana", 403, "ana", ""}},
	} {
		if a := r.do(tc.method, tc.path, tc.body, tc.header...); a.status != tc.line.Status {
			t.Errorf("%s %s: %d %s, want %d", tc.method, tc.path, a.status, a.body, tc.line.Status)
		}
		want = append(want, tc.line)
	}
	var got []line
	for text := range strings.Lines(r.log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err, text)
		}
		got = append(got, l)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if strings.Contains(r.log.String(), "secret") {
		t.Errorf("the log tells secrets: %s", r.log)
	}
}

// TestUnknownModelsAreLogged: who runs the gateway sees what its clients ask
// for and it does not have, but no text in place of a name.
func TestUnknownModelsAreLogged(t *testing.T) {
	for model, want := range map[string]string{"mistral/large": "mistral/large", "llama3:8b": "llama3:8b", "nope": "nope", "my secret words": "…"} {
		for _, path := range []string{"/ai/chat/completions", "/ai/embeddings"} {
			r := newRig(t, reply("application/json", completion), nil)
			a := r.do("POST", path, fmt.Sprintf(`{"model":%q,"input":"x","messages":[{"role":"user","content":"x"}]}`, model))
			var line struct {
				Asked string `json:"model_asked"`
			}
			if err := json.Unmarshal([]byte(r.log.String()), &line); err != nil {
				t.Fatal(err, r.log)
			}
			if a.status != 404 || line.Asked != want {
				t.Errorf("%s of %q: %d, model_asked %q, want %q", path, model, a.status, line.Asked, want)
			}
		}
	}
}

// TestManyDroppedFieldsAreNotAllNamed: a header of megabytes is one that clients
// and load balancers refuse, with the answer that was paid for.
func TestManyDroppedFieldsAreNotAllNamed(t *testing.T) {
	r := newRig(t, nil, llm.ProviderFunc(func(_ context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		if err := req.Drop("script", "model", "messages"); err != nil {
			return err
		}
		return emit(&llm.Event{Text: "Hi.", Finish: "stop", Usage: &llm.Usage{Input: 1, Output: 1}})
	}))
	for n, cut := range map[int]bool{1: false, 170: false, 171: true, 5000: true} {
		var fields strings.Builder
		for i := range n {
			fmt.Fprintf(&fields, `,"field%05d":5`, i)
		}
		a := r.chat(`{"model":"script","messages":[{"role":"user","content":"x"}]` + fields.String() + `}`)
		names := a.header.Get("X-Gateway-Dropped")
		if a.status != 200 || !strings.HasPrefix(names, "field00000") || len(names) > 2052 || strings.HasSuffix(names, " ...") != cut {
			t.Errorf("%d fields: %d, %d bytes of names: %.3000s", n, a.status, len(names), names)
		}
	}
}
