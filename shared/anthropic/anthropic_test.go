package anthropic_test

import (
	"context"
	"testing"

	"github.com/devmentor/ai-gateway/shared/anthropic"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func key(context.Context) (string, error) { return "test-key", nil }

func TestProvider(t *testing.T) {
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	llmtest.Provider(t, func(baseURL string) llm.Provider {
		return &anthropic.Provider{BaseURL: baseURL, Key: key, HTTP: transport}
	}, "testdata", llmtest.WantHeader("X-Api-Key", "test-key"), llmtest.WantHeader("Anthropic-Version", "2023-06-01"))
}
