package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/jsonlog"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// canned answers every upstream request from memory, and tells of it as
// http.Transport does.
type canned struct{ contentType, body string }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	io.Copy(io.Discard, r.Body)
	if t := httptrace.ContextClientTrace(r.Context()); t != nil {
		t.GotConn(httptrace.GotConnInfo{})
		t.WroteRequest(httptrace.WroteRequestInfo{})
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {c.contentType}}, Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: r}, nil
}

// BenchmarkChat is the whole way of a request without the network: key,
// limits, budget, lease, provider, ledger and log, on the embedded store.
func BenchmarkChat(b *testing.B) {
	long := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat(`The quick brown fox jumps over the lazy dog.\n`, 50_000/46) + `"}]}`
	flood := strings.Repeat("data: "+chunk1+"\n\n", 100) + "data: " + chunk2 + "\n\ndata: " + chunkUsage + "\n\ndata: [DONE]\n\n"
	for _, bc := range []struct {
		name, body string
		up         canned
	}{
		{"small", hello, canned{"application/json", completion}},
		{"stream of 100 chunks", helloSSE, canned{"text/event-stream", flood}},
		{"50KB prompt", long, canned{"application/json", completion}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			store, err := bolt.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			o := &openai.Provider{Name: "openai", BaseURL: "http://upstream/v1", HTTP: bc.up}
			log := jsonlog.New(io.Discard, "info")
			s := &api.Server{Log: log, Gateway: &gateway.Gateway{Store: store, Log: log, Pepper: secret(pepper),
				Models: gateway.NewRegistry(gateway.Instance{Name: "openai", Catalog: "openai", Chats: true, Chat: o})}}
			u := admission.User{ID: "ana", Active: true, Models: []string{"*"}, Rate: 1e6, Burst: 1e6, Parallel: 256, Tokens: 1e14, Day: usage.None / 2, Month: usage.None / 2}
			if _, err := store.CreateUser(b.Context(), u); err != nil {
				b.Fatal(err)
			}
			key, hash := admission.NewKey([]byte(pepper), "ana")
			if err := store.PutKey(b.Context(), "ana", admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now()}); err != nil {
				b.Fatal(err)
			}
			h := s.Handler()
			b.ReportAllocs()
			b.SetBytes(int64(len(bc.body)))
			for b.Loop() {
				r := httptest.NewRequest("POST", "/ai/chat/completions", strings.NewReader(bc.body))
				r.Header.Set("Authorization", "Bearer "+key)
				w := httptest.NewRecorder()
				w.Body = new(bytes.Buffer)
				h.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
