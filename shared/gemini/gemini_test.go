package gemini_test

import (
	"context"
	"testing"

	"github.com/devmentor/ai-gateway/shared/gemini"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func key(context.Context) (string, error) { return "test-key", nil }

func TestProvider(t *testing.T) {
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	llmtest.Provider(t, func(baseURL string) llm.Provider {
		return &gemini.Provider{BaseURL: baseURL, Key: key, HTTP: transport}
	}, "testdata/chat", llmtest.WantHeader("X-Goog-Api-Key", "test-key"))
}

func TestEmbedder(t *testing.T) {
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	llmtest.Embedder(t, func(baseURL string) llm.Embedder {
		return &gemini.Provider{BaseURL: baseURL, Key: key, HTTP: transport}
	}, "testdata/embed", llmtest.WantHeader("X-Goog-Api-Key", "test-key"))
}
