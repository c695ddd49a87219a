package sdktest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The gateway's own credentials. The fake refuses all others, and nobody but
// the fake may ever see them.
const (
	openaiKey     = "sk-proj-of-the-gateway-itself-1"
	anthropicKey  = "sk-ant-of-the-gateway-itself-2"
	geminiKey     = "AIzaOfTheGatewayItself-0000003"
	bedrockID     = "AKIAOFTHEGATEWAY"
	bedrockSecret = "secret-of-the-gateway-itself-4"
)

// retryAfter is what a refusal says: more than the gateway would wait.
const retryAfter = "27"

// fake is the upstream: OpenAI, Anthropic, Gemini and Bedrock on one port. It
// answers what think makes of a prompt, and notes whatever is wrong with the
// requests it gets; those notes fail the test.
//
// A word that begins with # in the prompt changes how the answer comes:
//
//	#fail-429     the request is refused with that status; where that has a
//	              retry-after, it is more than the gateway waits for
//	#tell-422     as #fail, and the refusal repeats the prompt
//	#flaky-NAME   the first two requests with that name are refused with 500
//	#reset        the connection breaks in the middle
//	#cut          the stream ends in the middle, as if it were complete
//	#undone       only the stream's last event is missing
//	#error        an error event comes in the middle
//	#garbage      something comes that is not the protocol
//	#unmetered    nothing is said of the usage
//	#flood-1000   the answer has so many words
//	#long         among inputs to be embedded: that one is refused, by number
//	#hold-NAME    the stream stops in the middle until release(NAME); what is
//	              not streamed comes then
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	problems []string
	seen     []seen
	holds    map[string]*hold
	flaky    map[string]int // how often a name has failed
}

// seen is a request that came.
type seen struct {
	Path   string          `json:"path"`
	Header http.Header     `json:"header"`
	Body   json.RawMessage `json:"body"`
	Prompt string          `json:"prompt"`
}

// hold is a stream that waits in its middle.
type hold struct {
	reached chan struct{} // closed when the first half is out
	release chan struct{} // closed to let it go on
	left    chan struct{} // closed when the client went away instead
	once    sync.Once
	came    sync.Once
	went    sync.Once
}

// protocol is how a provider talks.
type protocol struct {
	name       string
	authorized func(http.Header) bool
	question   func(*http.Request, []byte) (*question, error) // an error is what the provider would refuse
	answer     func(*question, *reply) []byte
	stream     func(*question, *reply) *script
	failure    func(status int, message string) []byte
}

// script is a streamed answer, event by event.
type script struct {
	contentType string
	events      [][]byte
	failure     []byte // an error event
	garbage     []byte
}

func startFake(t testing.TB) *fake {
	f := &fake{holds: map[string]*hold{}, flaky: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openai/v1/chat/completions", f.chat(openaiProtocol))
	mux.HandleFunc("POST /openai/v1/embeddings", f.openaiEmbeddings)
	mux.HandleFunc("POST /anthropic/v1/messages", f.chat(anthropicProtocol))
	mux.HandleFunc("POST /gemini/v1beta/models/{call}", f.gemini)
	mux.HandleFunc("POST /bedrock/model/{model}/converse", f.chat(bedrockProtocol))
	mux.HandleFunc("POST /bedrock/model/{model}/converse-stream", f.chat(bedrockProtocol))
	mux.HandleFunc("POST /control/release/{name}", func(_ http.ResponseWriter, r *http.Request) { f.release(r.PathValue("name")) })
	mux.HandleFunc("POST /control/left/{name}", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-f.hold(r.PathValue("name")).left:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /control/seen", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(f.find(r.FormValue("marker"))) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		f.problem("%s %s was called, which no provider has", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
		for _, p := range f.problems {
			t.Error("upstream:", p)
		}
	})
	return f
}

func (f *fake) problem(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// find returns the requests with marker in their prompt.
func (f *fake) find(marker string) []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []seen{}
	for _, s := range f.seen {
		if strings.Contains(s.Prompt, marker) {
			found = append(found, s)
		}
	}
	return found
}

func (f *fake) hold(name string) *hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.holds[name]
	if h == nil {
		h = &hold{reached: make(chan struct{}), release: make(chan struct{}), left: make(chan struct{})}
		f.holds[name] = h
	}
	return h
}

func (f *fake) release(name string) {
	h := f.hold(name)
	h.once.Do(func() { close(h.release) })
}

// receive reads a request and checks what all providers check.
func (f *fake) receive(r *http.Request, provider string) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.problem("%s: the request's body: %v", provider, err)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/json" {
		f.problem("%s: content type %q, want application/json", provider, ct)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		f.problem("%s: the body is no JSON object: %v: %.200s", provider, err, body)
	}
	if g, ok := fields["gateway"]; ok {
		f.problem("%s: got the field gateway = %s, which is never forwarded", provider, g)
	}
	if bytes.Contains(body, []byte("gw_")) {
		f.problem("%s: a gateway key was forwarded: %.200s", provider, body)
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), "gw_") {
			f.problem("%s: a gateway key was forwarded in %s", provider, name)
		}
	}
	return body
}

func (f *fake) note(r *http.Request, body []byte, prompt string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(body) > 64<<10 {
		body = []byte("null") // long ones are not kept
	}
	f.seen = append(f.seen, seen{Path: r.URL.Path, Header: r.Header, Body: body, Prompt: prompt})
}

func (f *fake) chat(p protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := f.receive(r, p.name)
		if !p.authorized(r.Header) {
			f.problem("%s: the gateway's key did not come: %q", p.name, r.Header)
			f.refuse(w, p, http.StatusUnauthorized, "")
			return
		}
		q, err := p.question(r, body)
		if err != nil {
			f.problem("%s: %v in %.2000s", p.name, err, body)
			f.refuse(w, p, http.StatusBadRequest, err.Error())
			return
		}
		f.note(r, body, q.Prompt)
		a := think(q)
		switch what, arg := directive(q.Prompt); {
		case what == "fail":
			status, _ := strconv.Atoi(arg)
			f.refuse(w, p, status, "")
		case what == "tell":
			status, _ := strconv.Atoi(arg)
			f.refuse(w, p, status, q.Prompt)
		case what == "flaky" && f.fails(arg):
			f.refuse(w, p, http.StatusInternalServerError, "")
		case q.Stream:
			f.play(w, r, p.stream(q, a), what, arg)
		case what == "garbage":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html><body>It works!</body></html>")
		case what == "reset":
			w.Header().Set("Content-Type", "application/json")
			w.Write(p.answer(q, a)[:20])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case what == "hold" && !f.hold(arg).wait(r):
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Write(p.answer(q, a))
		}
	}
}

// wait waits for the release, or until the client goes away.
func (h *hold) wait(r *http.Request) (released bool) {
	h.came.Do(func() { close(h.reached) })
	select {
	case <-h.release:
		return true
	case <-r.Context().Done():
		h.went.Do(func() { close(h.left) })
		return false
	}
}

// refuse answers with an error that repeats secrets and addresses, as
// providers do.
func (f *fake) refuse(w http.ResponseWriter, p protocol, status int, message string) {
	if message == "" {
		message = fmt.Sprintf("Refused with %d at %s by key %s.", status, f.URL, openaiKey)
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	w.Write(p.failure(status, message))
}

func (f *fake) fails(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flaky[name]++
	return f.flaky[name] <= 2
}

var directives = regexp.MustCompile(`#([a-z]+)(?:-([A-Za-z0-9]+))?`)

func directive(prompt string) (what, arg string) {
	m := directives.FindStringSubmatch(prompt[:min(len(prompt), 200)])
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

// play sends a stream, event by event.
func (f *fake) play(w http.ResponseWriter, r *http.Request, s *script, what, arg string) {
	w.Header().Set("Content-Type", s.contentType)
	rc := http.NewResponseController(w)
	send := func(events ...[]byte) {
		for _, e := range events {
			w.Write(e) // a client that left is noticed by whoever waits for it
			rc.Flush()
		}
	}
	half := len(s.events) / 2
	if what == "undone" {
		half = len(s.events) - 1
	}
	send(s.events[:half]...)
	switch what {
	case "undone", "cut":
		return
	case "reset":
		panic(http.ErrAbortHandler)
	case "error":
		send(s.failure)
		return
	case "garbage":
		send(s.garbage)
	case "hold":
		if !f.hold(arg).wait(r) {
			return
		}
	}
	send(s.events[half:]...)
}
