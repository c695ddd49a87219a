package projectservice_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func TestTheQuestion(t *testing.T) {
	var got *http.Request
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, `{"context":"`+known+`","updated_at":1,"more":{"x":[]}}`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := upstream.NewTransport()
	defer transport.CloseIdleConnections()
	for _, tc := range []struct{ base, project, key, path, auth string }{
		{"", "proj_1.a-B", serviceKey, "/v1/projects/proj_1.a-B/context", "Bearer " + serviceKey},
		{"/base/of it", "p", serviceKey + "\n", "/base/of%20it/v1/projects/p/context", "Bearer " + serviceKey},
		{"/", "../../admin?x=#y", "", "/v1/projects/..%2F..%2Fadmin%3Fx=%23y/context", ""},
	} {
		s := open(t, projectservice.Options{URL: server.URL + tc.base, Key: secret(tc.key), HTTP: transport})
		text, err := s.Context(t.Context(), "ana@example.org", "0123456789abcdef", tc.project)
		if err != nil || text != known {
			t.Fatalf("%s: Context = %q, %v", tc.project, text, err)
		}
		if got.Method != "GET" || got.RequestURI != tc.path {
			t.Errorf("asked %s %s, want GET %s", got.Method, got.RequestURI, tc.path)
		}
		if h := got.Header; h.Get("X-Gateway-User") != "ana@example.org" || h.Get("X-Request-Id") != "0123456789abcdef" || h.Get("Authorization") != tc.auth || h.Get("Accept") != "application/json" {
			t.Errorf("%s: headers = %v", tc.project, h)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want one that stays open", n)
	}
	got = nil
	s := open(t, projectservice.Options{URL: server.URL, HTTP: transport})
	for _, path := range []string{"", ".", ".."} {
		if _, err := s.Context(t.Context(), "ana", "id", path); !errors.Is(err, fault.NotFound) || got != nil {
			t.Errorf("project %q: %v, and the service was asked: %t; want not found without a question", path, err, got != nil)
		}
	}
}

func TestAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect is followed, with the headers %v", r.Header)
	}))
	defer elsewhere.Close()
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	whole := `{"context":"` + strings.Repeat("x", 1<<20-14) + `"}`
	for _, tc := range []struct {
		name string
		h    http.HandlerFunc
		want fault.Kind // "": the answer is good
	}{
		{"200", text(200, `{"context":"`+known+`"}`), ""},
		{"an empty context", text(200, `{"context":""}`), ""},
		{"1 MiB", text(200, whole), ""},
		{"more than 1 MiB", text(200, whole+" "), fault.Upstream},
		{"404", text(404, `{"error":"no"}`), fault.NotFound},
		{"403", text(403, `{"error":"bob's"}`), fault.NotFound},
		{"401", text(401, known), fault.Upstream},
		{"400", text(400, known), fault.Upstream},
		{"204", text(204, ""), fault.Upstream},
		{"429", text(429, known), fault.Unavailable},
		{"500", text(500, known), fault.Upstream},
		{"503", text(503, known), fault.Unavailable},
		{"a redirect", http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, fault.Upstream},
		{"a lasting redirect", http.RedirectHandler(elsewhere.URL, http.StatusPermanentRedirect).ServeHTTP, fault.Upstream},
		{"no JSON", text(200, `{"context":"`+known), fault.Upstream},
		{"HTML", text(200, `<html>`+known+`</html>`), fault.Upstream},
		{"nothing", text(200, ""), fault.Upstream},
		{"no context", text(200, `{"text":"`+known+`"}`), fault.Upstream},
		{"null", text(200, `{"context":null}`), fault.Upstream},
		{"a number", text(200, `{"context":271828182845}`), fault.Upstream},
		{"an object", text(200, `{"context":{"text":"`+known+`"}}`), fault.Upstream},
		{"a list", text(200, `["`+known+`"]`), fault.Upstream},
		{"a second value", text(200, `{"context":"a"}{"context":"b"}`), fault.Upstream},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"context":"`+known)
			panic(http.ErrAbortHandler)
		}, fault.Unavailable},
	} {
		got, err := over(t, tc.h).Context(t.Context(), "ana", "id", "pump")
		if tc.want == "" {
			if err != nil || tc.name == "200" && got != known {
				t.Errorf("%s: Context = %.40q, %v", tc.name, got, err)
			}
			continue
		}
		if f := fault.As(err); f == nil || f.Kind != tc.want || got != "" {
			t.Errorf("%s: Context = %.40q, %v; want %s", tc.name, got, err, tc.want)
		}
		for _, private := range []string{serviceKey, "tabs", "271828182845", "bob"} {
			if err != nil && strings.Contains(err.Error(), private) {
				t.Errorf("%s: the error tells: %v", tc.name, err)
			}
		}
	}
}

// TestNotFoundAndForbiddenAreTheSame: nobody learns that another's project is
// there.
func TestNotFoundAndForbiddenAreTheSame(t *testing.T) {
	var told []string
	for _, status := range []int{403, 404} {
		w := &wire{answer: reply(status, "")}
		_, err := open(t, projectservice.Options{URL: "http://x", HTTP: w}).Context(t.Context(), "ana", "id", "pump")
		told = append(told, err.Error())
	}
	if told[0] != told[1] {
		t.Errorf("403 is told as %q, 404 as %q", told[0], told[1])
	}
}

func TestOneMoreAttempt(t *testing.T) {
	reset := errors.New("connection reset")
	w := &wire{}
	first := true
	w.says(func(r *http.Request) (*http.Response, error) {
		if first {
			first = false
			return nil, reset
		}
		return reply(200, `{"context":"x"}`)(r)
	})
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
	if text, err := s.Context(t.Context(), "ana", "id", "pump"); text != "x" || err != nil || w.asked() != 2 {
		t.Errorf("after one reset: %q, %v; want the answer to the second attempt", text, err)
	}
	w.says(func(*http.Request) (*http.Response, error) { return nil, reset })
	if _, err := s.Context(t.Context(), "ana", "id", "pump"); !errors.Is(err, fault.Unavailable) || w.asked() != 2 {
		t.Errorf("after two: %v, want unavailable after two attempts", err)
	}
	w.says(reply(500, ""))
	if _, err := s.Context(t.Context(), "ana", "id", "pump"); !errors.Is(err, fault.Upstream) || w.asked() != 1 {
		t.Errorf("after an answer: %v, want no second attempt", err)
	}

	// Something came back, if not HTTP.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var calls atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Read(make([]byte, 4096))
			io.WriteString(c, "HELLO\r\n\r\n")
			c.Close()
		}
	}()
	transport := upstream.NewTransport()
	defer transport.CloseIdleConnections()
	s = open(t, projectservice.Options{URL: "http://" + ln.Addr().String(), HTTP: transport})
	if _, err := s.Context(t.Context(), "ana", "id", "pump"); !errors.Is(err, fault.Unavailable) || calls.Load() != 1 {
		t.Errorf("garbage: %v after %d attempts, want one", err, calls.Load())
	}
}

func TestNobodyWaitsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]time.Duration{0: 2 * time.Second, 300 * time.Millisecond: 300 * time.Millisecond} {
			w := &wire{answer: silent}
			s := open(t, projectservice.Options{URL: "http://x", HTTP: w, Timeout: timeout})
			start := time.Now()
			_, err := s.Context(t.Context(), "ana", "id", "pump")
			if took := time.Since(start); !errors.Is(err, fault.Timeout) || took != want || w.asked() != 1 {
				t.Errorf("%v: %v after %v, want a timeout after %v", timeout, err, took, want)
			}
		}
	})
}

// TestAnAnswerMayNotDawdle: the bound is on the whole answer, not on its
// beginning.
func TestAnAnswerMayNotDawdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(r *http.Request) (*http.Response, error) {
			resp, err := reply(200, "")(r)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"context":"`), stalled{r.Context()}))
			return resp, err
		}}
		start := time.Now()
		_, err := open(t, projectservice.Options{URL: "http://x", HTTP: w}).Context(t.Context(), "ana", "id", "pump")
		if took := time.Since(start); !errors.Is(err, fault.Timeout) || took != 2*time.Second {
			t.Errorf("%v after %v, want a timeout after 2s", err, took)
		}
	})
}

// stalled has nothing more until the request is over.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestWithoutItsKeyNothingIsAsked(t *testing.T) {
	w := &wire{answer: reply(200, `{"context":"x"}`)}
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w, Key: func(context.Context) (string, error) {
		return "", fault.New(fault.Unavailable, "no secret")
	}})
	for range 20 {
		if _, err := s.Context(t.Context(), "ana", "id", "pump"); err == nil || err.Error() != "no secret" || w.asked() != 0 {
			t.Fatalf("Context = %v, want the failure of the key and no question", err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "host:3004", "ftp://host", "http://", "http://ana:pw@host", "http://host?x=1", "http://host?", "http://host/#a", "http://host:port"} {
		if _, err := projectservice.New(projectservice.Options{URL: bad}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("New(%q) = %v", bad, err)
		}
		if _, err := projectservice.Ping(bad, nil); err == nil {
			t.Errorf("Ping(%q) is fine with that", bad)
		}
	}
}

func TestPing(t *testing.T) {
	w := &wire{}
	ask, err := projectservice.Ping("http://x/base/", w)
	if err != nil {
		t.Fatal(err)
	}
	for status, well := range map[int]bool{200: true, 204: true, 401: true, 404: true, 500: false, 503: false} {
		w.says(func(r *http.Request) (*http.Response, error) {
			if r.URL.String() != "http://x/base/health" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked %s with %v", r.URL, r.Header)
			}
			return reply(status, "")(r)
		})
		if err := ask(t.Context()); (err == nil) != well {
			t.Errorf("status %d: %v", status, err)
		}
	}
	w.says(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	if err := ask(t.Context()); err == nil {
		t.Error("nobody answers, and all is well")
	}
}
