package openai_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/openai"
)

// TestBoundsHaveTheNameThatTheServerKnows: the new name alone bounds thinking
// models, the old one alone reaches everybody else.
func TestBoundsHaveTheNameThatTheServerKnows(t *testing.T) {
	const newer, older = "max_completion_tokens", "max_tokens"
	for _, tc := range []struct{ url, model, want string }{
		{"https://api.openai.com/v1", "anything", newer},
		{"https://EU.api.openai.com:443/v1/", "gpt-oss-120b", newer},
		{"https://contoso.openai.azure.com/openai/v1", "my-deployment", newer},
		{"https://contoso.openai.azure.us/openai/deployments/x?api-version=2024-10-21", "x", newer},
		{"https://contoso.services.ai.azure.com/openai/v1", "my-deployment", newer},
		{"https://contoso.services.ai.azure.com/models", "Mistral-Large", older},
		{"https://api.contoso.com/llm?api-version=2024-10-21", "my-deployment", newer},

		{"https://api.mistral.ai/v1", "mistral-small-latest", older},
		{"http://localhost:11434/v1", "llama3.2", older},
		{"https://api.groq.com/openai/v1", "openai/gpt-oss-120b", older},
		{"https://api.deepseek.com", "deepseek-chat", older},
		{"https://openai.com.example.com/v1", "m", older},
		{"https://notopenai.com/v1", "m", older},
		{"https://azure.com.example.com/openai/v1", "m", older},
		{"http://localhost:8000/v1", "olmo-2", older},
		{"http://localhost:8000/v1", "gpt-j-6b", older},
		{"http://localhost:8000/v1", "o", older},
		{"http://localhost:8000/v1", "", older},
		{"://", "m", older},

		{"https://openrouter.ai/api/v1", "openai/gpt-5-mini", newer},
		{"https://llm.contoso.com/v1", "o4-mini", newer},
		{"https://llm.contoso.com/v1", "gpt-4o", newer},
		{"https://llm.contoso.com/v1", "ft:gpt-4.1:acme::1", newer},
		{"https://llm.contoso.com/v1", "chatgpt-4o-latest", newer},
	} {
		if got := openai.Bound(&openai.Provider{BaseURL: tc.url}, tc.model); got != tc.want {
			t.Errorf("bound of %s at %s = %s, want %s", tc.model, tc.url, got, tc.want)
		}
	}
}
