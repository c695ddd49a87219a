package inference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/telemetry"
	"github.com/devmentor/ai-gateway/shared/upstream"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type span struct {
	TraceID, SpanID, ParentSpanID, Name string
	Links                               []struct{ TraceID, SpanID string }
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
}

func (s span) get(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// collector takes exports.
type collector struct {
	mu    sync.Mutex
	spans []span
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	var export struct {
		ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
	}
	if err := json.NewDecoder(r.Body).Decode(&export); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range export.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// take returns the spans of one request, and the way from the request to each,
// by name and sorted.
func (c *collector) take(t *testing.T) (spans map[string]span, ways []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	spans = map[string]span{}
	byID := map[string]span{}
	for _, s := range c.spans {
		byID[s.SpanID] = s
		spans[s.Name] = s
		if s.TraceID != c.spans[0].TraceID {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	for _, s := range c.spans {
		way := s.Name
		for at := s; at.ParentSpanID != ""; way = at.Name + " > " + way {
			at = byID[at.ParentSpanID]
			if at.SpanID == "" {
				t.Errorf("%s has a parent that was not exported", s.Name)
				break
			}
		}
		ways = append(ways, way)
	}
	slices.Sort(ways)
	c.spans = nil
	return spans, ways
}

// TestTracesOfChains: a run is one trace in which calls lie under the steps that
// make them, and a resumed run is linked to the first.
func TestTracesOfChains(t *testing.T) {
	var mu sync.Mutex
	failures := 2 // of "weak"
	models := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		text := req.Messages[0].Content
		if text == "weak" && failures == 0 {
			text = "{}" // otherwise it is no JSON
		} else if text == "weak" {
			failures--
		}
		fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, text)
	}))
	defer models.Close()
	transport := upstream.NewTransport()
	defer transport.CloseIdleConnections()
	store, err := bolt.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	secret := func(s string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, nil }
	}
	log := slog.New(slog.DiscardHandler)
	s := &api.Server{Recipes: store.Recipes(), Runs: store.Runs(), Log: log, Gateway: &gateway.Gateway{Store: store, Log: log, Pepper: secret("pepper-of-the-tests"),
		Models: gateway.NewRegistry(gateway.Instance{Name: "openai", Kind: "openai", Catalog: "openai", Chats: true,
			Chat: &openai.Provider{Name: "openai", BaseURL: models.URL, Key: secret("sk"), HTTP: transport}})}}
	c := &collector{}
	tracer, err := telemetry.Open(telemetry.Config{Endpoint: "http://collector.test", HTTP: c})
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Close(context.Background())
	inference.Trace(s, tracer, true)
	if _, err := store.CreateUser(t.Context(), admission.User{ID: "ana", Active: true, Models: []string{"*"}, Burst: 10, Parallel: 10, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	key, hash := admission.NewKey([]byte("pepper-of-the-tests"), "ana")
	if err := store.PutKey(t.Context(), "ana", admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	do := func(path, body string) map[string]any {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		var o map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
			t.Fatalf("%s = %d %s", path, w.Code, w.Body)
		}
		if o["error"] != nil && o["run"] == nil {
			t.Fatalf("%s = %d %s", path, w.Code, w.Body)
		}
		return o
	}
	do("/ai/chains", `{"name":"brief","steps":[
		{"id":"list","type":"transform","select":"$.input","default":null},
		{"id":"each","type":"map","over":"$.steps.texts.output","parallel":1,"do":{"type":"prompt","model":"gpt-4o-mini","user":"{{.item}}"}},
		{"id":"texts","type":"transform","select":"$.input.list"},
		{"id":"weak","type":"prompt","model":"gpt-4o-mini","user":"weak","needs":["each"],"parameters":{"response_format":{"type":"json_object"}},"retry":{"max_attempts":2,"backoff_ms":1}}],
		"input":[{"name":"list","type":"array","default":["one","two"]}]}`)
	if len(c.spans) != 0 {
		t.Errorf("storing a chain made the spans %v", c.spans)
	}
	failed := do("/ai/chains/brief/runs", `{}`)
	run, _ := failed["run"].(map[string]any)
	if run == nil {
		t.Fatalf("the run = %v, want one that failed", failed)
	}
	id := run["id"].(string)
	first, ways := c.take(t)
	const root = "POST /ai/chains/{name}/runs"
	if diff := cmp.Diff([]string{
		root,
		root + " > invoke_workflow brief",
		root + " > invoke_workflow brief > step each",
		root + " > invoke_workflow brief > step each > item of each",
		root + " > invoke_workflow brief > step each > item of each",
		root + " > invoke_workflow brief > step each > item of each > chat gpt-4o-mini",
		root + " > invoke_workflow brief > step each > item of each > chat gpt-4o-mini",
		root + " > invoke_workflow brief > step list",
		root + " > invoke_workflow brief > step texts",
		root + " > invoke_workflow brief > step weak",
		root + " > invoke_workflow brief > step weak > chat gpt-4o-mini",
		root + " > invoke_workflow brief > step weak > chat gpt-4o-mini",
	}, ways); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"invoke_workflow brief": "brief 1 " + id + "   failed ", "step weak": "brief 1 " + id + " weak   failed", "chat gpt-4o-mini": "brief 1 " + id + " weak 2  "} {
		s := first[name]
		got := strings.Join([]string{s.get("gen_ai.workflow.name"), s.get("gateway.chain.version"), s.get("gateway.chain.run.id"), s.get("gateway.chain.step.id"),
			s.get("gateway.chain.step.attempt"), s.get("gateway.chain.run.status"), s.get("gateway.chain.step.status")}, " ")
		if got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}

	if again := do("/ai/chains/brief/runs", `{"run_id":"`+id+`"}`); again["status"] != "ok" {
		t.Fatalf("the resumption = %v", again)
	}
	second, ways := c.take(t)
	if len(ways) != 4 || second["step weak"].get("gateway.chain.step.status") != "ok" {
		t.Errorf("spans of the resumption = %q, want only what was missing", ways)
	}
	if s := second["step weak"]; s.get("gateway.chain.run.id") != id || s.TraceID == first["step weak"].TraceID {
		t.Errorf("the resumed step = %+v, want the same run in another trace", s)
	}
	link := second["invoke_workflow brief"].Links
	if begun := first["invoke_workflow brief"]; len(link) != 1 || link[0].TraceID != begun.TraceID || link[0].SpanID != begun.SpanID {
		t.Errorf("links = %v, want the first run, %s", link, begun.TraceID)
	}
}
