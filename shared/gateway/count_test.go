package gateway

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestCountPromptIsNearTheTruth holds the count against what the tokenizers of
// the models and their chat formats give for the same prompts.
func TestCountPromptIsNearTheTruth(t *testing.T) {
	english := strings.Repeat("The gateway keeps exact accounts of every request, and tells its users what they have spent so far. ", 20)
	for _, tc := range []struct {
		name, model, body string
		want              int64
		off               float64
	}{
		{"hello", "gpt-4o", `"messages":[{"role":"user","content":"Hello!"}]`, 9, 0.15},
		{"two messages", "gpt-4o", `"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the capital of France?"}]`, 21, 0.1},
		{"English prose", "gpt-4o", `"messages":[{"role":"user","content":"` + english + `"}]`, 407, 0.1},
		{"the same for Claude", "anthropic/claude-sonnet-5", `"messages":[{"role":"user","content":"` + english + `"}]`, 588, 0.1},
		{"parts", "openai/gpt-4o-mini", `"messages":[{"role":"user","content":[{"type":"text","text":"` + english + `"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAAAAAA="}}]}]`, 407 + 25_501, 0.1},
		{"Russian", "gpt-4", `"messages":[{"role":"user","content":"Вчера вечером мы наконец закончили ремонт на кухне."}]`, 34, 0.2},
		{"tools", "gpt-4o", `"messages":[{"role":"user","content":"Hello!"}],"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}}],"functions":null`, 9 + 28, 0.25},
	} {
		req, err := llm.ParseRequest([]byte(`{"model":"` + tc.model + `",` + tc.body + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got := countPrompt(req)
		if off := float64(got)/float64(tc.want) - 1; off > tc.off || off < -tc.off {
			t.Errorf("%s: countPrompt = %d, want %d within %.0f %%", tc.name, got, tc.want, tc.off*100)
		}
	}
}

func TestReservationIsNeverBelowTheCount(t *testing.T) {
	for _, model := range []string{"gpt-4o", "gpt-4", "claude-3-5-sonnet", "claude-sonnet-5", "gemini-2.5-flash", "m"} {
		for _, text := range []string{"x", "Hello!", strings.Repeat("word ", 5000), strings.Repeat("日本語", 300)} {
			req, err := llm.ParseRequest([]byte(`{"model":"` + model + `","messages":[{"role":"user","content":"` + text + `"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if est, count := estimateChat(req).input, countPrompt(req); est < count {
				t.Errorf("%.20q for %s: %d tokens are reserved, %d counted", text, model, est, count)
			}
		}
	}
}
