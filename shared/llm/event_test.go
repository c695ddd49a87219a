package llm_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestGeneratedCountsOnce: an event is relayed and read, and paid for once.
func TestGeneratedCountsOnce(t *testing.T) {
	tools := []llm.ToolDelta{{Index: 0, ID: "call_1", Name: "f", Arguments: `{"a":1}`, Signature: "s"}, {Index: 1, Arguments: "{}"}}
	for _, tc := range []struct {
		name string
		of   llm.Event
		want int64
	}{
		{"text", llm.Event{Text: "four"}, 4},
		{"every field that a model writes", llm.Event{Text: "1", Reasoning: "22", Refusal: "333", Tools: tools}, 6 + 8 + 2},
		{"a block of thinking repeats its pieces", llm.Event{Thinking: &llm.Thinking{Text: "22"}}, 0},
		{"raw, unread", llm.Event{Raw: []byte(`{"text":"four"}`), Bytes: 4}, 4},
		{"raw, read", llm.Event{Raw: []byte(`{"text":"four"}`), Bytes: 4, Text: "four", Tools: tools}, 4},
		{"raw without text", llm.Event{Raw: []byte(`{}`)}, 0},
		{"a further choice of a whole answer", llm.Event{Index: 1, Text: "four", Repeats: true}, 0},
		{"usage", llm.Event{Usage: &llm.Usage{Output: 7}, UsageOnly: true}, 0},
	} {
		if got := tc.of.Generated(); got != tc.want {
			t.Errorf("%s: Generated = %d, want %d", tc.name, got, tc.want)
		}
	}
}
