package providers_test

import (
	"context"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/providers"
)

func TestParseFile(t *testing.T) {
	f, err := providers.ParseFile([]byte(`
providers:
  - name: groq
    kind: openai
    base_url: https://api.groq.com/openai/v1/
    api_key: env:GROQ_API_KEY
    models: [llama-3.3-70b-versatile]
`))
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Providers[0]; p.BaseURL != "https://api.groq.com/openai/v1" || p.Models[0] != "llama-3.3-70b-versatile" {
		t.Errorf("provider = %+v", p)
	}
}

func TestParseFileComplains(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"not yaml", "providers: [", "gateway.yaml"},
		{"unknown key", "providers:\n  - name: a\n    kind: openai\n    base_ulr: http://x\n", "base_ulr"},
		{"bad kind", "providers:\n  - {name: a, kind: mistral, base_url: http://x}\n", "kind: must be"},
		{"taken name", "providers:\n  - {name: openai, kind: openai, base_url: http://x}\n", "built in"},
		{"twice", "providers:\n  - {name: a, kind: openai, base_url: http://x}\n  - {name: a, kind: openai, base_url: http://y}\n", "used twice"},
		{"a key in the file", "providers:\n  - {name: a, kind: openai, api_key: sk-123}\n", "must be a reference"},
		{"credentials in the URL", "providers:\n  - {name: a, kind: openai, base_url: 'http://u:p@x'}\n", "without credentials"},
		{"all at once", "providers:\n  - {name: A, kind: x}\n", "base_url, api_key, or both"},
	} {
		_, err := providers.ParseFile([]byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "sk-123") {
			t.Errorf("%s: the error repeats a secret", tc.name)
		}
	}
}

func resolve(c config.Config, name string) (gateway.Target, error) {
	m, err := gateway.NewRegistry(providers.List(c, providers.File{}, true)...).Find(context.Background(), name, catalog.Chat)
	if err != nil {
		return gateway.Target{}, err
	}
	return *m.Group.Targets[0].Of.(*gateway.Target), nil
}

func TestUnconfiguredProviderSaysWhatToSet(t *testing.T) {
	for name, want := range map[string]string{"gpt-4o-mini": "OPENAI_API_KEY", "openai/gpt-4o-mini": "OPENAI_API_KEY", "anthropic/claude-x": "ANTHROPIC_API_KEY",
		"gemini/gemini-2.5-pro": "GEMINI_API_KEY", "bedrock/amazon.nova-lite-v1:0": "AWS_REGION"} {
		_, err := resolve(config.Config{}, name)
		if f := fault.As(err); f == nil || f.Kind != fault.NotFound || f.Code != "model_not_found" || !strings.Contains(f.Message, want) {
			t.Errorf("%s: %v, want a 404 that names %s", name, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	c := config.Config{OpenAIURL: "http://localhost:11434/v1", GeminiKey: "x"}
	for name, want := range map[string]string{"echo": "echo echo", "echo/echo": "echo echo", "gpt-4o-mini": "openai gpt-4o-mini", "openai/llama3": "openai llama3",
		"openai/org/model": "openai org/model", "gemini/gemini-2.5-pro": "gemini gemini-2.5-pro", "gemini-2.5-pro": "gemini gemini-2.5-pro"} {
		target, err := resolve(c, name)
		if got := target.Provider + " " + target.Model; err != nil || got != want {
			t.Errorf("Resolve(%s) = %s, %v; want %s", name, got, err, want)
		}
	}
	if target, _ := resolve(c, "openai/llama3"); target.Priced {
		t.Error("a model that the catalogue lacks must be unpriced")
	}
	if _, err := resolve(c, "text-embedding-3-small"); fault.As(err).Kind != fault.Invalid {
		t.Errorf("an embedding model cannot chat: %v", err)
	}
}
