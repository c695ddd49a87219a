package gemini_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gemini"
	"github.com/devmentor/ai-gateway/shared/llm"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(contentType string, body io.Reader) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body), Request: r}, nil
	}
}

func request(t testing.TB, body string) *llm.Request {
	req, err := llm.ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const hi = `{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"hi"}],"stream":true}`

func ask(t testing.TB, contentType string, body io.Reader, emit func(*llm.Event) error) error {
	p := gemini.Provider{HTTP: answer(contentType, body)}
	req := request(t, hi)
	req.Stream = contentType != "application/json"
	return p.Complete(context.Background(), req, emit)
}

// TestCountsOnTheWay: for an answer that is cut short, each piece says what was
// counted until then.
func TestCountsOnTheWay(t *testing.T) {
	const body = `data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":50,"cachedContentTokenCount":40,"candidatesTokenCount":1,"thoughtsTokenCount":900}}

data: {"candidates":[{"content":{"parts":[{"text":"b"}]}}],"usageMetadata":{"promptTokenCount":50,"cachedContentTokenCount":40,"candidatesTokenCount":2,"thoughtsTokenCount":900}}

`
	var got []llm.Usage
	err := ask(t, "text/event-stream", strings.NewReader(body), func(e *llm.Event) error {
		got = append(got, *e.SoFar)
		return nil
	})
	one := llm.Usage{Input: 50, CachedInput: 40, Output: 901, Reasoning: 900}
	two := one
	two.Output++
	if want := []llm.Usage{one, two}; !slices.Equal(got, want) || !errors.Is(err, fault.Upstream) {
		t.Errorf("counted %+v, %v, want %+v and a broken upstream", got, err, want)
	}
}

// FuzzAnswer: whatever an upstream sends, there is no panic, and in an answer
// without error every choice that says something ends exactly once.
func FuzzAnswer(f *testing.F) {
	paths, _ := filepath.Glob("testdata/chat/*.txtar")
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
		ends := map[int]int{}
		err := ask(t, contentType, bytes.NewReader(body), func(e *llm.Event) error {
			if ends[e.Index] > 0 {
				t.Errorf("choice %d goes on after its end", e.Index)
			}
			ends[e.Index] += len(e.Finish)
			return nil
		})
		if err == nil && len(ends) == 0 {
			t.Error("an answer of nothing is no error")
		}
		for i, n := range ends {
			if err == nil && n == 0 {
				t.Errorf("choice %d has no end", i)
			}
		}
		if err != nil && fault.As(err).Provider != "gemini" {
			t.Errorf("the error %v names no provider", err)
		}
	})
}

// TestAddress: what the client calls a model cannot lead the request, and the
// key with it, anywhere else; the key is never in the address.
func TestAddress(t *testing.T) {
	const base = "https://generativelanguage.googleapis.com/v1beta/"
	for model, want := range map[string]string{
		"gemini-2.5-pro":        "models/gemini-2.5-pro:generateContent",
		"models/gemini-2.5-pro": "models/gemini-2.5-pro:generateContent",
		"tunedModels/mine":      "tunedModels/mine:generateContent",
		"../../v1/files":        "models/..%2F..%2Fv1%2Ffiles:generateContent",
		"x?key=1#":              "models/x%3Fkey=1%23:generateContent",
		"..":                    "models/..:generateContent",
	} {
		var got string
		p := gemini.Provider{Key: key, HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return nil, errors.New("never mind")
		})}
		req := request(t, strings.Replace(hi, "true", "false", 1))
		req.Model = model
		p.Complete(t.Context(), req, nil)
		if got != base+want {
			t.Errorf("model %q is asked at %q, want %q", model, got, base+want)
		}
	}
}

// TestHeader: configured headers are sent, and win over the key.
func TestHeader(t *testing.T) {
	var got http.Header
	p := gemini.Provider{BaseURL: "http://proxy/", Key: key, Header: http.Header{"authorization": {"Bearer x"}}, HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return nil, errors.New("never mind")
	})}
	p.Complete(t.Context(), request(t, hi), nil)
	if got.Get("Authorization") != "Bearer x" || got.Get("X-Goog-Api-Key") != "" {
		t.Errorf("headers %v, want the configured Authorization and no key", got)
	}
}

// TestNoKey: credentials that cannot be had are the gateway's failure, not the
// caller's, and no request goes out without them.
func TestNoKey(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		ctx  context.Context
		want fault.Kind
	}{{t.Context(), fault.Upstream}, {gone, fault.Canceled}} {
		cause := errors.New("access denied to secret/gemini")
		p := gemini.Provider{Name: "google", Key: func(context.Context) (string, error) { return "", cause }}
		f := fault.As(p.Complete(tc.ctx, request(t, hi), nil))
		if f.Kind != tc.want || f.Provider != "google" || f.Status != 0 || strings.Contains(f.Message, "secret") {
			t.Errorf("without a key: %#v, want kind %s of provider google", f, tc.want)
		}
	}
}

func TestBatch(t *testing.T) {
	if got, want := (&gemini.Provider{}).Batch("gemini-embedding-001"), (llm.Batch{Inputs: 100}); got != want {
		t.Errorf("Batch = %+v, want %+v", got, want)
	}
}

func BenchmarkStream(b *testing.B) {
	const chunk = `data: {"candidates":[{"content":{"parts":[{"text":" some more words of it"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"totalTokenCount":12,"promptTokensDetails":[{"modality":"TEXT","tokenCount":5}]},"modelVersion":"gemini-2.5-flash","responseId":"resp_1"}` + "\n\n"
	const tail = `data: {"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}` + "\n\n"
	const chunks = 1000
	body := strings.Repeat(chunk, chunks) + tail
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := ask(b, "text/event-stream", strings.NewReader(body), func(e *llm.Event) error {
			n += len(e.Text)
			return nil
		})
		if err != nil || n != chunks*len(" some more words of it") {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}
