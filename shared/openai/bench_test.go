package openai_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/sse"
)

const chunks = 1000

// wordChunk is what OpenAI sends per token, obfuscation included.
const wordChunk = `{"id":"chatcmpl-CQ1a2b3c4d5e6f7g8h9i0jKlMnOpQ","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aZ3xYw"}`

const usageChunk = `{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1000}}`

// canned answers every request from memory.
type canned []byte

func (b canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(bytes.NewReader(b)), Request: req}, nil
}

func streamOf(chunk string) canned {
	return canned(strings.Repeat("data: "+chunk+"\n\n", chunks) + "data: " + usageChunk + "\n\ndata: [DONE]\n\n")
}

func benchRequest(b testing.TB, need llm.Need) *llm.Request {
	req, err := llm.ParseRequest([]byte(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	req.Need = need
	return req
}

// BenchmarkStream reports costs per chunk: relayed, parsed because somebody
// needs the text, and decoded and encoded as most gateways do.
func BenchmarkStream(b *testing.B) {
	body := streamOf(wordChunk)
	for name, need := range map[string]llm.Need{"relay": 0, "text": llm.NeedText} {
		b.Run(name, func(b *testing.B) {
			p := &openai.Provider{Name: "openai", BaseURL: "http://upstream/v1", HTTP: body}
			req := benchRequest(b, need)
			n := 0
			perChunk(b, func() {
				if err := p.Complete(b.Context(), req, func(ev *llm.Event) error { n += ev.Bytes; return nil }); err != nil {
					b.Fatal(err)
				}
			})
			if n%(chunks*len(" word")) != 0 {
				b.Errorf("generated text of %d bytes, want a multiple of %d", n, chunks*5)
			}
		})
	}
	b.Run("decode+encode", func(b *testing.B) {
		perChunk(b, func() {
			r := sse.NewReader(bytes.NewReader(body))
			for {
				ev, err := r.Next()
				if err != nil || string(ev.Data) == "[DONE]" {
					return
				}
				var c naiveChunk
				if err := json.Unmarshal(ev.Data, &c); err != nil {
					b.Fatal(err)
				}
				if _, err := json.Marshal(&c); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func perChunk(b *testing.B, run func()) {
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}

type naiveChunk struct {
	ID                string `json:"id"`
	Object            string `json:"object"`
	Created           int64  `json:"created"`
	Model             string `json:"model"`
	ServiceTier       string `json:"service_tier,omitempty"`
	SystemFingerprint string `json:"system_fingerprint,omitempty"`
	Choices           []struct {
		Index int `json:"index"`
		Delta struct {
			Role    string  `json:"role,omitempty"`
			Content *string `json:"content,omitempty"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
	} `json:"usage"`
}

// BenchmarkBody edits a body as Complete does, against decoding it into a map,
// which is the cheapest way with encoding/json.
func BenchmarkBody(b *testing.B) {
	raw := []byte(`{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"` +
		strings.Repeat(`The quick brown fox said: \"jump\" over\nthe lazy dog. `, 1000) + `"}],"gateway":{"tags":["a"]}}`)
	req, err := llm.ParseRequest(raw)
	if err != nil {
		b.Fatal(err)
	}
	req.Model = "gpt-4o-mini"
	b.Run("edit", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			openai.ChatBody(&openai.Provider{}, b.Context(), req)
		}
	})
	b.Run("map", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				b.Fatal(err)
			}
			delete(m, "gateway")
			m["model"], m["stream_options"] = []byte(`"gpt-4o-mini"`), []byte(`{"include_usage":true}`)
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
