package anthropic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/devmentor/ai-gateway/shared/anthropic"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// answer is a transport that answers everything with one body.
type answer struct {
	contentType string
	body        io.Reader
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {a.contentType}}, Body: io.NopCloser(a.body), Request: r}, nil
}

func request(t testing.TB, body string) *llm.Request {
	req, err := llm.ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const hi = `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}],"stream":true}`

func ask(t testing.TB, contentType string, body io.Reader, emit func(*llm.Event) error) error {
	p := anthropic.Provider{HTTP: answer{contentType, body}}
	req := request(t, hi)
	req.Stream = contentType != "application/json"
	return p.Complete(context.Background(), req, emit)
}

// TestThePromptIsCountedFirst: for an answer that is cut short, the first piece
// says what the prompt cost.
func TestThePromptIsCountedFirst(t *testing.T) {
	const body = `data: {"type":"message_start","message":{"type":"message","id":"msg_1","model":"m","usage":{"input_tokens":3,"cache_read_input_tokens":900,"cache_creation_input_tokens":70,"output_tokens":1}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}

`
	var got []*llm.Usage
	err := ask(t, "text/event-stream", strings.NewReader(body), func(e *llm.Event) error {
		got = append(got, e.SoFar)
		return nil
	})
	want := llm.Usage{Input: 973, CachedInput: 900, CacheWrite: 70, Output: 1}
	if len(got) != 2 || got[0] == nil || *got[0] != want || got[1] != nil || !errors.Is(err, fault.Upstream) {
		t.Errorf("counted %+v, %v, want %+v once and a broken upstream", got, err, want)
	}
}

// FuzzAnswer: whatever an upstream sends, there is no panic, and an answer
// without error has exactly one end.
func FuzzAnswer(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if _, body, ok := bytes.Cut(file.Data, []byte("\n\n")); ok && file.Name == "upstream.response" {
				f.Add(body, true)
				f.Add(body, false)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, stream bool) {
		contentType := "application/json"
		if stream {
			contentType = "text/event-stream"
		}
		ends := 0
		err := ask(t, contentType, bytes.NewReader(body), func(e *llm.Event) error {
			if e.Finish != "" {
				ends++
			}
			return nil
		})
		if err == nil && ends != 1 {
			t.Errorf("%d ends, want 1", ends)
		}
		if err != nil && fault.As(err).Provider != "anthropic" {
			t.Errorf("the error %v names no provider", err)
		}
	})
}

func TestConfiguration(t *testing.T) {
	var got struct {
		url, beta, key string
		body           []byte
	}
	spy := roundTrip(func(r *http.Request) (*http.Response, error) {
		got.url, got.beta, got.key = r.URL.String(), r.Header.Get("anthropic-beta"), strings.Join(r.Header["X-Api-Key"], ",")
		got.body, _ = io.ReadAll(r.Body)
		return answer{"application/json", strings.NewReader(`{"type":"message"}`)}.RoundTrip(r)
	})
	p := anthropic.Provider{HTTP: spy, Key: key, Header: http.Header{"anthropic-beta": {"a,b"}, "x-api-key": {"other"}}, MaxTokens: func(model string) int64 { return int64(len(model)) }}
	req := request(t, strings.Replace(hi, "true", "false", 1))
	if err := p.Complete(t.Context(), req, func(*llm.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got.url != "https://api.anthropic.com/v1/messages" || got.beta != "a,b" || got.key != "other" {
		t.Errorf("request to %q with beta %q, key %q; want the public address, and the configured headers", got.url, got.beta, got.key)
	}
	if want := `"max_tokens":17,`; !bytes.Contains(got.body, []byte(want)) {
		t.Errorf("body %s, want %s of the configuration", got.body, want)
	}
}

// TestStrictToolsAreFew: more strict tools than the API compiles are offered
// as plain ones, instead of failing the request.
func TestStrictToolsAreFew(t *testing.T) {
	var tools []string
	for i := range 25 {
		tools = append(tools, fmt.Sprintf(`{"type":"function","function":{"name":"t%d","strict":true,"parameters":{"type":"object","properties":{}}}}`, i))
	}
	var body []byte
	p := anthropic.Provider{HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ = io.ReadAll(r.Body)
		return answer{"application/json", strings.NewReader(`{"type":"message"}`)}.RoundTrip(r)
	})}
	req := request(t, strings.Replace(hi, `"stream":true`, `"tools":[`+strings.Join(tools, ",")+`]`, 1))
	if err := p.Complete(t.Context(), req, func(*llm.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if all, strict := bytes.Count(body, []byte(`"input_schema"`)), bytes.Count(body, []byte(`"strict":true`)); all != 25 || strict != 20 {
		t.Errorf("%d tools, %d of them strict; want 25 and 20", all, strict)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoKey: credentials that cannot be had are the gateway's failure, not the
// caller's, and no request goes out without them.
func TestNoKey(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		ctx  context.Context
		want fault.Kind
	}{{t.Context(), fault.Upstream}, {gone, fault.Canceled}} {
		cause := errors.New("access denied to secret/anthropic")
		p := anthropic.Provider{Name: "claude", Key: func(context.Context) (string, error) { return "", cause }}
		f := fault.As(p.Complete(tc.ctx, request(t, hi), nil))
		if f.Kind != tc.want || f.Provider != "claude" || f.Status != 0 || strings.Contains(f.Message, "secret") {
			t.Errorf("without a key: %#v, want kind %s of provider claude", f, tc.want)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	const head = `data: {"type":"message_start","message":{"id":"msg_01","model":"claude","usage":{"input_tokens":12}}}` + "\n\n" +
		`data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n"
	const delta = "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}` + "\n\n"
	const tail = `data: {"type":"message_stop"}` + "\n\n"
	const chunks = 1000
	body := head + strings.Repeat(delta, chunks) + tail
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := ask(b, "text/event-stream", strings.NewReader(body), func(e *llm.Event) error {
			n += len(e.Text)
			return nil
		})
		if err != nil || n != chunks*5 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}
