package sdktest_test

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/qdranttest"
)

// models are one of each provider. All of them answer the same.
var models = []struct{ provider, name string }{
	{"openai", "gpt-4o-mini"},
	{"openai-prefixed", "openai/gpt-4o-mini"},
	{"anthropic", "anthropic/claude-sonnet-4-5"},
	{"gemini", "gemini/gemini-2.5-flash"},
	{"bedrock", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"},
}

// provider is the first part of a provider's name in models.
func provider(name string) string {
	p, _, _ := strings.Cut(name, "-")
	return p
}

const (
	weatherPrompt = "What is the weather in Paris and in Oslo today?"
	book          = `{"title": "Dune", "pages": 412, "tags": ["sand", "spice"]}`
	bookPrompt    = "Describe the book as JSON: " + book
	// pixel is a PNG of 68 bytes.
	pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNiAAAABgADNjd8qAAAAABJRU5ErkJggg=="
)

// weatherSchema and bookSchema are what clients send.
var (
	weatherSchema = object{"type": "object", "properties": object{"city": object{"type": "string"}, "unit": object{"type": "string", "enum": []string{"celsius", "fahrenheit"}}},
		"required": []string{"city", "unit"}, "additionalProperties": false}
	bookSchema = object{"type": "object", "properties": object{"title": object{"type": "string"}, "pages": object{"type": "integer"}, "tags": object{"type": "array", "items": object{"type": "string"}}},
		"required": []string{"title", "pages", "tags"}, "additionalProperties": false}
)

// conversations is what every deployment must be able to do, whichever SDK
// talks to it.
func conversations(t *testing.T, s *site) {
	s.shelve(t)
	t.Run("openai-go", func(t *testing.T) { testOpenAIGo(t, s) })
	t.Run("go-openai", func(t *testing.T) { testGoOpenAI(t, s) })
	t.Run("node", func(t *testing.T) { testNode(t, s) })
	t.Run("echo", func(t *testing.T) { testEcho(t, s) })
	t.Run("limits", func(t *testing.T) { testLimits(t, s) })
	t.Run("health", func(t *testing.T) { testHealth(t, s) })
	t.Run("guarantees", func(t *testing.T) { testGuarantees(t, s) })
}

func TestLocal(t *testing.T) {
	t.Parallel()
	s := startLocal(t)
	conversations(t, s)
	s.audit(t)
}

func TestLambda(t *testing.T) {
	t.Parallel()
	s := startLambda(t, "QDRANT_URL="+qdranttest.New(t).URL)
	conversations(t, s)
	s.audit(t)
}
