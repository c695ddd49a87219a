package openai_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/openai"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func open(url string) *openai.Provider {
	return &openai.Provider{
		Name: "openai", BaseURL: url + "/v1",
		Key:    func(context.Context) (string, error) { return "test-key", nil },
		Header: http.Header{"Openai-Organization": {"org-1"}},
		HTTP:   upstream.NewTransport(),
	}
}

func TestComplete(t *testing.T) {
	llmtest.Provider(t, func(url string) llm.Provider { return open(url) }, "testdata/chat",
		llmtest.WantHeader("Authorization", "Bearer test-key"), llmtest.WantHeader("Openai-Organization", "org-1"))
}

func TestEmbed(t *testing.T) {
	llmtest.Embedder(t, func(url string) llm.Embedder { return open(url) }, "testdata/embed",
		llmtest.WantHeader("Authorization", "Bearer test-key"), llmtest.WantHeader("Openai-Organization", "org-1"))
}

func TestBatch(t *testing.T) {
	if got, want := (&openai.Provider{}).Batch("m"), (llm.Batch{Inputs: 2048, Tokens: 300_000}); got != want {
		t.Errorf("Batch = %+v, want %+v: OpenAI's own bounds", got, want)
	}
	if got := (&openai.Provider{Inputs: 10}).Batch("m").Inputs; got != 10 {
		t.Errorf("Batch = %d inputs, want 10 as configured", got)
	}
}
