package gemini

import (
	"encoding/json"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestGeneration(t *testing.T) {
	for model, want := range map[string]int{
		"gemini-2.0-flash-001": 20, "gemini-2.5-pro": 25, "models/gemini-2.5-flash-lite": 25, "gemini-3-pro-preview": 30,
		"gemini-3.1-flash-lite": 31, "gemini-4-argon": 40, "gemini-flash-latest": 1 << 10, "gemma-3-27b-it": 0, "learnlm-1.5": 0, "": 0,
		"gemini-exp-1206": 1 << 10, "gemini-1206-x": 1 << 10, "gemini-NaN": 1 << 10,
	} {
		if got := generation(model); got != want {
			t.Errorf("generation(%q) = %d, want %d", model, got, want)
		}
	}
}

func TestThink(t *testing.T) {
	for _, tc := range []struct{ model, effort, want string }{
		{"gemini-2.5-flash", "", "null"},
		{"gemini-2.5-flash", "minimal", `{"includeThoughts":true,"thinkingBudget":1024}`},
		{"gemini-2.5-flash", "none", `{"thinkingBudget":0}`},
		{"gemini-2.5-pro", "none", `{"thinkingBudget":128}`},
		{"gemini-2.5-pro", "max", `{"includeThoughts":true,"thinkingBudget":24576}`},
		{"gemini-2.5-pro", "frantic", ""},
		{"gemini-2.0-flash", "low", ""},
		{"gemini-2.0-flash", "none", "null"},
		{"gemma-3-27b-it", "high", ""},
		{"gemini-3.5-flash", "none", `{"thinkingLevel":"minimal"}`},
		{"gemini-3.5-flash", "medium", `{"includeThoughts":true,"thinkingLevel":"medium"}`},
		{"gemini-3.1-pro-preview", "minimal", `{"includeThoughts":true,"thinkingLevel":"low"}`},
		{"gemini-3.1-pro-preview", "medium", `{"includeThoughts":true,"thinkingLevel":"medium"}`},
		{"gemini-3-pro-preview", "medium", `{"includeThoughts":true,"thinkingLevel":"high"}`},
		{"gemini-pro-latest", "xhigh", `{"includeThoughts":true,"thinkingLevel":"high"}`},
		{"gemini-3.5-flash", "frantic", `{"includeThoughts":true,"thinkingLevel":"frantic"}`}, // Google will say
	} {
		config, ok := think(tc.model, &llm.Chat{ReasoningEffort: tc.effort})
		got, _ := json.Marshal(config)
		if ok != (tc.want != "") || ok && string(got) != tc.want {
			t.Errorf("think(%q, %q) = %s, %t; want %s", tc.model, tc.effort, got, ok, tc.want)
		}
	}
}
