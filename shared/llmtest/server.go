package llmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mode is how a case's answer is delivered and received.
type mode int

const (
	asWritten mode = iota
	byteByByte
	emitFails // at the first event; a stream then stays open until the client leaves
)

// server is the upstream of one run.
type server struct {
	*httptest.Server
	response
	c    *testCase
	mode mode

	delivered chan struct{} // closed when the body has been sent
	calls     sync.WaitGroup

	mu       sync.Mutex
	requests []string
	problems []string
}

// response is the parsed section upstream.response.
type response struct {
	status int // 0 if there is none
	header http.Header
	body   []byte
	piece  int  // bytes at a time; 0 is all at once
	reset  bool // break the connection at the end
	hang   int  // events after which the client leaves, while the body stays open; -1 is never
}

func (c *testCase) serve(t *testing.T, m mode) *server {
	t.Helper()
	s := &server{c: c, mode: m, delivered: make(chan struct{})}
	var err error
	if s.response, err = parseResponse(c.section("upstream.response"), c.encode); err != nil {
		t.Fatalf("upstream.response: %v", err)
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func parseResponse(text []byte, encode func([]byte) []byte) (response, error) {
	r := response{header: http.Header{}, hang: -1}
	if len(text) == 0 {
		return r, nil
	}
	head, body, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		head = bytes.TrimSpace(text)
	}
	lines := strings.Split(string(head), "\n")
	var err error
	if r.status, err = strconv.Atoi(lines[0]); err != nil {
		return r, fmt.Errorf("the first line must be a status: %w", err)
	}
	cut := 0
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value)
		how, number, _ := strings.Cut(value, "=")
		n, numErr := strconv.Atoi(number)
		switch {
		case name == "X-Newline" && value == "crlf":
			body = bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))
		case name == "X-Cut":
			cut, err = strconv.Atoi(value)
		case name == "X-Deliver" && how == "bytewise":
			r.piece = 1
		case name == "X-Deliver" && how == "split":
			r.piece, err = n, numErr
		case name == "X-Deliver" && how == "reset-at-end":
			r.reset = true
		case name == "X-Deliver" && how == "hang":
			r.hang, err = n, numErr
		case name == "X-Newline" || name == "X-Deliver":
			err = fmt.Errorf("unknown value")
		default:
			r.header.Add(name, value)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", l, err)
		}
	}
	if cut > len(body) {
		return r, fmt.Errorf("X-Cut: %d of %d bytes", cut, len(body))
	}
	r.body = body[:len(body)-cut]
	if encode != nil {
		r.body = encode(r.body)
	}
	return r, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	defer s.calls.Done()
	body, err := io.ReadAll(r.Body) // also lets the server notice that its client leaves
	if err != nil {
		s.problem("the request's body: %v", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, body, "", "  "); err != nil {
		s.problem("the request's body is not JSON: %v: %s", err, body)
	}
	for name := range s.c.header {
		if got, want := r.Header.Get(name), s.c.header.Get(name); got != want {
			s.problem("the request's header %s = %q, want %q", name, got, want)
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, fmt.Sprintf("%s %s\n%s\n", r.Method, r.URL.RequestURI(), bytes.TrimSpace(indented.Bytes())))
	first := len(s.requests) == 1
	s.mu.Unlock()
	if !first || s.status == 0 {
		w.WriteHeader(http.StatusTeapot) // finish tells the test
		return
	}
	s.deliver(w, r)
}

func (s *server) deliver(w http.ResponseWriter, r *http.Request) {
	piece, hang := s.piece, s.hang >= 0
	switch s.mode {
	case byteByByte:
		piece = 1
	case emitFails:
		contentType := s.response.header.Get("Content-Type") // text/event-stream, or Amazon's binary one
		hang = hang || strings.Contains(contentType, "event-stream") || strings.Contains(contentType, "eventstream")
	}
	flush := http.NewResponseController(w).Flush
	for name, values := range s.response.header {
		w.Header()[name] = values
	}
	if !hang || len(s.body) > 0 { // else not even a status is sent
		w.WriteHeader(s.status)
	}
	for body := s.body; len(body) > 0; {
		n := len(body)
		if piece > 0 {
			n = min(piece, n)
		}
		if _, err := w.Write(body[:n]); err != nil {
			break // the client left
		}
		body = body[n:]
		if piece > 0 || len(body) > 0 {
			flush()
		}
	}
	switch {
	case hang:
		if len(s.body) > 0 {
			flush()
		}
		close(s.delivered)
		<-r.Context().Done()
	case s.reset:
		flush()
		panic(http.ErrAbortHandler)
	}
}

func (s *server) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// leave cancels the client's context when it has seen as many events as the
// case says.
func (s *server) leave(ctx context.Context, cancel context.CancelFunc, events int) {
	switch {
	case s.hang != events || s.mode == emitFails:
	case events > 0:
		cancel()
	default:
		go func() {
			select {
			case <-s.delivered:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
}

// watch ends a run that takes too long; stop calls it off.
func (s *server) watch(cancel context.CancelFunc) (stop func()) {
	timer := time.AfterFunc(s.c.returns, func() {
		s.problem("the adapter did not return in %v", s.c.returns)
		cancel()
	})
	return func() { timer.Stop() }
}

// finish reports what was wrong with the requests and returns the first one.
func (s *server) finish(t *testing.T) string {
	t.Helper()
	released := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(released)
	}()
	select {
	case <-released:
	case <-time.After(s.c.frees):
		t.Error("the adapter returned, but holds on to the connection: it must close the answer's body")
		s.CloseClientConnections()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.problems {
		t.Error(p)
	}
	switch n := len(s.requests); {
	case n == 0 && s.status != 0:
		t.Error("the adapter sent no request")
	case n > 0 && s.status == 0:
		t.Error("the adapter sent a request that the case says it must refuse by itself")
	case n > 1:
		t.Errorf("the adapter sent %d requests; retries are not its business", n)
	}
	if len(s.requests) == 0 {
		return ""
	}
	return s.requests[0]
}
