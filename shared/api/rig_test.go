package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/jsonlog"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/upstream"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	pepper   = "pepper-of-the-tests"
	adminKey = "admin-key-of-the-tests"
)

// rig is a gateway with its real store, in front of an upstream that the test
// writes.
type rig struct {
	t      *testing.T
	url    string
	store  *bolt.Store
	server *api.Server
	key    string // of user "ana", who has no limits
	log    *buffer
	open   sync.WaitGroup // requests that are being served
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newRig opens a gateway whose provider "openai" is asked at upstream, and whose
// provider "script" is p.
func newRig(t *testing.T, up http.HandlerFunc, p llm.Provider) *rig {
	t.Helper()
	store, err := bolt.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, store: store, log: &buffer{}}
	backend := httptest.NewServer(up)
	t.Cleanup(backend.Close)
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	o := &openai.Provider{Name: "openai", BaseURL: backend.URL, Key: secret("sk-upstream-secret-123456"), HTTP: transport}
	log := jsonlog.New(r.log, "info")
	r.server = &api.Server{Users: store, Keys: store, Projects: store, WriteOffs: store, Ledger: store, Log: log, Version: "test", AdminKey: secret(adminKey),
		Gateway: &gateway.Gateway{Store: store, Log: log, Pepper: secret(pepper), Models: gateway.NewRegistry(
			gateway.Instance{Name: "openai", Kind: "openai", Catalog: "openai", Chats: true, Embeds: true, Chat: o, Embedder: o},
			gateway.Instance{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Missing: "ANTHROPIC_API_KEY"},
			gateway.Instance{Name: "script", Kind: "script", Chats: p != nil, Own: []string{"script"}, Free: true, Chat: p},
		)}}
	handler := r.server.Handler()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.open.Add(1)
		defer r.open.Done()
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(front.Close)
	r.url = front.URL
	r.key = r.user("ana", nil)
	return r
}

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// user makes a user without limits, changed by change, and returns a key.
func (r *rig) user(id string, change func(*admission.User)) string {
	r.t.Helper()
	u := admission.User{ID: id, Active: true, Models: []string{"*"}, Burst: 10, Parallel: 256, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None, Created: time.Now()}
	if change != nil {
		change(&u)
	}
	if _, err := r.store.CreateUser(r.t.Context(), u); err != nil {
		r.t.Fatal(err)
	}
	key, hash := admission.NewKey([]byte(pepper), id)
	err := r.store.PutKey(r.t.Context(), id, admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with ana's key, unless the headers (name, value, …) say
// otherwise.
func (r *rig) do(method, path, body string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (r *rig) chat(body string, header ...string) answer {
	r.t.Helper()
	return r.do("POST", "/ai/chat/completions", body, header...)
}

// fail reads OpenAI's error object and checks that it is whole.
func (a answer) fail(t *testing.T) (message, typ, param, code string) {
	t.Helper()
	var e struct {
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	for _, name := range []string{"message", "type", "param", "code"} {
		if _, ok := e.Error[name]; !ok {
			t.Errorf("error %s lacks %q", a.body, name)
		}
	}
	param, _ = e.Error["param"].(string)
	message, _ = e.Error["message"].(string)
	typ, _ = e.Error["type"].(string)
	code, _ = e.Error["code"].(string)
	return message, typ, param, code
}

// wantParts checks that a body has all of the parts.
func wantParts(t *testing.T, what, body string, parts ...string) {
	t.Helper()
	for _, want := range parts {
		if !strings.Contains(body, want) {
			t.Errorf("%s = %s\nwant it to have %s", what, body, want)
		}
	}
}

// records returns the ledger of a user.
func (r *rig) records(user string) []usage.Record {
	r.t.Helper()
	var list []usage.Record
	for rec, err := range r.store.Records(r.t.Context(), user, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, rec)
	}
	return list
}

// settled returns the ledger of a user when all requests have ended, those as
// well that nobody waits for. They must have begun.
func (r *rig) settled(user string) []usage.Record {
	r.t.Helper()
	r.open.Wait()
	return r.records(user)
}

// account returns what a user's account holds; it must have no open lease.
func (r *rig) account(user string) admission.Account {
	r.t.Helper()
	a, err := r.store.User(r.t.Context(), user)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(a.Leases) != 0 {
		r.t.Errorf("user %s has open leases: %v", user, a.Leases)
	}
	return a
}

// chunks splits a stream into the data of its events.
func chunks(body string) (list []string) {
	for _, block := range strings.Split(body, "\n\n") {
		if data, ok := strings.CutPrefix(block, "data: "); ok {
			list = append(list, data)
		}
	}
	return list
}

// reply is an upstream that always answers the same.
func reply(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

const (
	hello      = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello!"}]}`
	helloSSE   = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hello!"}]}`
	completion = `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Hi.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`
	chunk1     = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null}`
	chunk2     = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`
	chunkUsage = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`
	sse        = "data: " + chunk1 + "\n\ndata: " + chunk2 + "\n\ndata: " + chunkUsage + "\n\ndata: [DONE]\n\n"
	// cost of 9 input and 3 output tokens of gpt-4o-mini, in nano-dollars
	helloCost usage.Nano = 9*150 + 3*600
)
