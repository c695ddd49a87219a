package gateway

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestCountPromptIsNearTheTruth holds the count against what OpenAI's o200k
// tokenizer and chat format give for the same prompts.
func TestCountPromptIsNearTheTruth(t *testing.T) {
	english := strings.Repeat("The gateway keeps exact accounts of every request, and tells its users what they have spent so far. ", 20)
	for _, tc := range []struct {
		name, body string
		want       int64 // by o200k_base and the chat format
		off        float64
	}{
		{"hello", `{"model":"m","messages":[{"role":"user","content":"Hello!"}]}`, 9, 0.15},
		{"two messages", `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the capital of France?"}]}`, 21, 0.25},
		{"English prose", `{"model":"m","messages":[{"role":"user","content":"` + english + `"}]}`, 407, 0.30},
		{"parts", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"` + english + `"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}`, 407 + imageTokens, 0.1},
	} {
		req, err := llm.ParseRequest([]byte(tc.body))
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
	for _, text := range []string{"x", "Hello!", strings.Repeat("word ", 5000), strings.Repeat("日本語", 300)} {
		req, err := llm.ParseRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"` + text + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if est, count := estimateChat(req).input, countPrompt(req); est < count {
			t.Errorf("%.20q: %d tokens are reserved, %d counted", text, est, count)
		}
	}
}
