package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// TestBody: the golden cases compare indented JSON; here every byte counts.
func TestBody(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"Hi"}]`
	for _, tc := range []struct{ name, in, want string }{
		{"nothing to change", `{"model": "m",  ` + messages + ` }`, `{"model": "m",  ` + messages + ` }`},
		{"model", `{ "model" : "p/m", ` + messages + `, "x":1.0}`, `{ "model" : "m", ` + messages + `, "x":1.0}`},
		{"gateway first", `{"gateway":{"tags":["a"]}, "model":"m",` + messages + `}`, `{"model":"m",` + messages + `}`},
		{"gateway null", `{"model":"m",` + messages + `,"gateway":null}`, `{"model":"m",` + messages + `}`},
		{"stream", `{"model":"m",` + messages + `,"stream":true}`, `{"model":"m",` + messages + `,"stream":true,"stream_options":{"include_usage":true}}`},
		{"null options", `{"model":"m",` + messages + `,"stream":true,"stream_options":null}`, `{"model":"m",` + messages + `,"stream":true,"stream_options":{"include_usage":true}}`},
		{"other options", `{"model":"m",` + messages + `,"stream":true,"stream_options":{ "a":[1] }}`, `{"model":"m",` + messages + `,"stream":true,"stream_options":{ "a":[1],"include_usage":true }}`},
		{"refused usage", `{"model":"m",` + messages + `,"stream_options":{"include_usage":null,"a":1},"stream":true}`, `{"model":"m",` + messages + `,"stream_options":{"include_usage":true,"a":1},"stream":true}`},
		{"options without a stream are the client's business", `{"model":"m",` + messages + `,"stream_options":{}}`, `{"model":"m",` + messages + `,"stream_options":{}}`},
	} {
		req, err := llm.ParseRequest([]byte(tc.in))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		req.Model = "m"
		if got := string(openai.ChatBody(&openai.Provider{}, t.Context(), req)); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		n        int
		ok       bool
	}{
		{"text", `{"choices":[{"delta":{"content":"abc"},"finish_reason":null}],"usage":null}`, 3, true},
		{"two choices", `{"choices":[{"delta":{"content":"abc"}},{"delta":{"content":"de"}}]}`, 5, true},
		{"names in text", `{"choices":[{"delta":{"content":"\"usage\":{\"error\": 1, \"delta\":{"}}]}`, 30, true},
		{"text that is a name", `{"choices":[{"delta":{"content":"usage"}}]}`, 5, true},
		{"names in other strings", `{"x":"\"usage\":{}","choices":[{"delta":{"content":"a"}}],"y":"error"}`, 1, true},
		{"names that end alike", `{"native_finish_reason":"x","x_error":1,"choices":[{"delta":{"content":"a"}}]}`, 1, true},
		{"finish", `{"choices":[{"delta":{},"finish_reason":"stop"}]}`, 0, false},
		{"finish before", `{"choices":[{"finish_reason" : "stop", "delta":{}}]}`, 0, false},
		{"finish of the second choice", `{"choices":[{"delta":{},"finish_reason":null},{"delta":{},"finish_reason":"stop"}]}`, 0, false},
		{"usage", `{"usage":{"prompt_tokens":1},"choices":[{"delta":{"content":"a"}}]}`, 0, false},
		{"error", `{"choices":[{"delta":{"content":"a"}}],"error":"x"}`, 0, false},
		{"no delta", `{"choices":[]}`, 0, false},
		{"cut", `{"choices":[{"delta":{"content":"ab`, 2, true},
		{"cut in an escape", `{"choices":[{"delta":{"content":"ab\`, 3, true},
		{"colon at the end", `{"delta":`, 0, true},
	} {
		n, ok := openai.Plain([]byte(tc.in))
		if ok != tc.ok || n != tc.n {
			t.Errorf("%s: plain = %d, %v, want %d, %v", tc.name, n, ok, tc.n, tc.ok)
		}
	}
}

// FuzzPlain: whatever a model writes, a chunk of text is plain and its text is
// measured exactly, however it is escaped.
func FuzzPlain(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add(`"usage":{"x":1},"finish_reason":"stop"`, `\"error\":\\"`, "\u2028é漢😀\x00\n<>&")
	f.Add(`"}]},"usage":{`, `\`, `"delta":{"content":"x"}`)
	f.Fuzz(func(t *testing.T, content, reasoning, arguments string) {
		if !utf8.ValidString(content) || !utf8.ValidString(reasoning) || !utf8.ValidString(arguments) {
			return
		}
		type function struct {
			Arguments string `json:"arguments"`
		}
		type call struct {
			Function function `json:"function"`
		}
		delta := struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
			Calls     []call `json:"tool_calls"`
		}{content, reasoning, []call{{function{arguments}}}}
		std, err := json.Marshal(delta) // escapes <, > and & too
		if err != nil {
			t.Fatal(err)
		}
		ours := `{"content":` + string(rawjson.AppendString(nil, content)) + `, "reasoning_content" : ` + string(rawjson.AppendString(nil, reasoning)) +
			`,"tool_calls":[{"function":{"arguments":` + string(rawjson.AppendString(nil, arguments)) + `}}]}`
		want := len(content) + len(reasoning) + len(arguments)
		for _, d := range []string{string(std), ours} {
			chunk := `{"note":` + string(rawjson.AppendString(nil, content)) + `,"choices":[{"delta":` + d + `,"finish_reason":null}],"usage":null}`
			if n, ok := openai.Plain([]byte(chunk)); !ok || n != want {
				t.Errorf("plain(%s) = %d, %v, want %d, true", chunk, n, ok, want)
			}
			for i := range chunk { // a chunk that is cut anywhere must not be read beyond its end
				openai.Plain([]byte(chunk)[:i:i])
			}
		}
	})
}

func TestAddressAndCredentials(t *testing.T) {
	var got *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, `{"choices":[]}`)
	}))
	defer srv.Close()
	key := func(s string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, err }
	}
	for _, tc := range []struct {
		name      string
		p         openai.Provider
		uri, auth string
	}{
		{"no key", openai.Provider{BaseURL: srv.URL + "/v1"}, "/v1/chat/completions", ""},
		{"empty key", openai.Provider{BaseURL: srv.URL + "/v1/", Key: key("", nil)}, "/v1/chat/completions", ""},
		{"key", openai.Provider{BaseURL: srv.URL + "/v1", Key: key("k", nil)}, "/v1/chat/completions", "Bearer k"},
		{"header wins", openai.Provider{BaseURL: srv.URL, Key: key("k", nil), Header: http.Header{"authorization": {"Basic x"}}}, "/chat/completions", "Basic x"},
		{"query", openai.Provider{BaseURL: srv.URL + "/openai/v1?api-version=preview"}, "/openai/v1/chat/completions?api-version=preview", ""},
	} {
		if err := tc.p.Complete(t.Context(), request(t, false), func(*llm.Event) error { return nil }); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got.RequestURI != tc.uri || got.Header.Get("Authorization") != tc.auth {
			t.Errorf("%s: %s with %q, want %s with %q", tc.name, got.RequestURI, got.Header.Get("Authorization"), tc.uri, tc.auth)
		}
	}

	secret := errors.New("vault at 10.0.0.1 is sealed")
	p := openai.Provider{Name: "openai", BaseURL: srv.URL, Key: key("", secret)}
	err := p.Complete(t.Context(), request(t, false), nil)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || !errors.Is(err, secret) || f.Code != "upstream_credentials" || f.Provider != "openai" || strings.Contains(f.Message, "vault") {
		t.Errorf("a key that cannot be had: %#v", err)
	}
}

func request(t testing.TB, stream bool) *llm.Request {
	req, err := llm.ParseRequest(fmt.Appendf(nil, `{"model":"m","stream":%v,"messages":[{"role":"user","content":"Hi"}]}`, stream))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const end = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`

// TestConnectionIsReused: an answer that was read to its end leaves its
// connection to the next request.
func TestConnectionIsReused(t *testing.T) {
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: "+end+"\n\ndata: [DONE]\n\n")
		w.(http.Flusher).Flush() // the end of the body comes later than the last event
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	p := &openai.Provider{Name: "p", BaseURL: srv.URL, HTTP: upstream.NewTransport()}
	for range 20 {
		if err := p.Complete(t.Context(), request(t, true), func(*llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("20 requests opened %d connections, want 1", n)
	}
}

// body is an answer that goes on until its request ends.
type body struct {
	io.Reader
	ctx    context.Context
	closed chan struct{}
}

func (b *body) Read(p []byte) (int, error) {
	if n, err := b.Reader.Read(p); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *body) Close() error { close(b.closed); return nil }

type endless struct {
	text   string
	closed chan struct{}
}

func (e endless) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: &body{strings.NewReader(e.text), req.Context(), e.closed}}, nil
}

// TestOpenAfterDone: [DONE] is the end even if the upstream keeps the
// connection open.
func TestOpenAfterDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := endless{"data: " + end + "\n\ndata: [DONE]\n\n", make(chan struct{})}
		p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: up}
		start := time.Now()
		if err := p.Complete(t.Context(), request(t, true), func(*llm.Event) error { return nil }); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 200*time.Millisecond {
			t.Errorf("the end was waited for %v", d)
		}
		<-up.closed
	})
}

func TestDeadlineInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := endless{"data: " + wordChunk + "\n\n", make(chan struct{})}
		p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: up}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start, n := time.Now(), 0
		err := p.Complete(ctx, request(t, true), func(*llm.Event) error { n++; return nil })
		if f := fault.As(err); f.Kind != fault.Timeout || f.Provider != "p" || n != 1 || time.Since(start) != time.Minute {
			t.Errorf("after %v and %d events: %v", time.Since(start), n, err)
		}
		<-up.closed
	})
}

// TestStreamsDoNotMix: buffers are shared between requests, their contents are
// not, whatever the size of the events.
func TestStreamsDoNotMix(t *testing.T) {
	var all sync.WaitGroup
	for g := range 8 {
		word := strings.Repeat(string(rune('a'+g)), 1+g*9000) // the larger ones do not fit a read buffer
		chunk := `{"id":"id` + word[:1] + `","choices":[{"index":0,"delta":{"content":"` + word + `"},"finish_reason":null}]}`
		p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: canned(strings.Repeat("data: "+chunk+"\n\n", 20) + "data: " + end + "\n\n")}
		all.Go(func() {
			for range 10 {
				n := 0
				err := p.Complete(t.Context(), request(t, true), func(ev *llm.Event) error {
					n++
					switch {
					case n == 1 && ev.ID != "id"+word[:1], n > 1 && ev.ID != "":
						t.Errorf("event %d has the id %q", n, ev.ID)
					case n <= 20 && (string(ev.Raw) != chunk || ev.Bytes != len(word)):
						t.Errorf("event %d is not what was sent: %d bytes of %.80s", n, ev.Bytes, ev.Raw)
					case n == 21 && ev.Finish != "stop":
						t.Errorf("the last event ends with %q", ev.Finish)
					}
					return nil
				})
				if err != nil || n != 21 {
					t.Errorf("%d events, %v, want 21", n, err)
				}
			}
		})
	}
	all.Wait()
}

// TestRelayAllocatesNothingPerChunk guards the hot path.
func TestRelayAllocatesNothingPerChunk(t *testing.T) {
	p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: streamOf(wordChunk)}
	req := request(t, true)
	n := testing.AllocsPerRun(5, func() {
		if err := p.Complete(t.Context(), req, func(*llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n > chunks/5 { // what a request costs, pools that were emptied included
		t.Errorf("%v allocations for a stream of %d chunks", n, chunks)
	}
}

// track is an answer that knows how far it was read.
type track struct {
	io.Reader
	end, closed bool
}

func (b *track) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.end = b.end || err == io.EOF
	return n, err
}

func (b *track) Close() error { b.closed = true; return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestReadToTheEnd: without the read that finds the end of the body, which is
// not the one that finds [DONE], a connection cannot be used again.
func TestReadToTheEnd(t *testing.T) {
	b := &track{Reader: strings.NewReader("data: " + wordChunk + "\n\ndata: " + end + "\n\ndata: [DONE]\n\n")}
	p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: b}, nil
	})}
	var more []bool
	err := p.Complete(t.Context(), request(t, true), func(ev *llm.Event) error {
		more = append(more, ev.More)
		return nil
	})
	if err != nil || !b.end || !b.closed {
		t.Errorf("end reached: %v, closed: %v, error %v; want true, true, none", b.end, b.closed, err)
	}
	if len(more) != 2 || !more[0] {
		t.Errorf("More = %v, want true for the first of two events that arrived together", more)
	}
}

func TestWhatIsLogged(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"an error's text, without secrets", `data: {"error":"boom, key sk-abcdef123456 at https://10.0.0.1/x"}` + "\n\n", "boom"},
		{"what is not JSON", "data: oops sk-abcdef123456\n\n", "oops"},
		{"too large an event", "data: {\"" + strings.Repeat("x", 17<<20), "event too large"},
	} {
		p := &openai.Provider{Name: "p", BaseURL: "http://upstream", HTTP: canned(tc.body)}
		err := p.Complete(t.Context(), request(t, true), func(*llm.Event) error { return nil })
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Code != "upstream_error" || !strings.Contains(f.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
			continue
		}
		if strings.Contains(f.Error(), "sk-abc") || strings.Contains(f.Error(), "10.0.0.1") || len(f.Error()) > 2000 {
			t.Errorf("%s: %d bytes: %.200v", tc.name, len(f.Error()), f)
		}
	}
}
