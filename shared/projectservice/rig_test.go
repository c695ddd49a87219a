package projectservice_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	serviceKey = "key-of-the-service-0123456789"
	known      = "The pump project uses tabs."
)

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

func open(t testing.TB, o projectservice.Options) *projectservice.Service {
	t.Helper()
	if o.Key == nil {
		o.Key = secret(serviceKey)
	}
	s, err := projectservice.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// over returns a client of a server that answers with h.
func over(t testing.TB, h http.HandlerFunc) *projectservice.Service {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return open(t, projectservice.Options{URL: server.URL, HTTP: transport})
}

// wire is a network that the test writes; it counts the calls.
type wire struct {
	mu     sync.Mutex
	calls  int
	answer func(*http.Request) (*http.Response, error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls++
	answer := w.answer
	w.mu.Unlock()
	return answer(r)
}

// asked is the number of calls since it was last asked for.
func (w *wire) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.calls
	w.calls = 0
	return n
}

func (w *wire) says(answer func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// reply is an answer with these headers (name, value, …).
func reply(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// silent never answers.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
