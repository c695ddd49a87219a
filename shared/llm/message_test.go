package llm_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestChoiceComesBackAsAMessage(t *testing.T) {
	plain := &llm.Choice{Thinking: []llm.Thinking{{Text: "hm", Signature: "s"}}}
	plain.Text.WriteString("Hi \"you\"\n")
	plain.Reasoning.WriteString("hm")
	calls := &llm.Choice{
		ToolCalls: []llm.ToolCall{{ID: "1", Name: "f", Arguments: `{"a":1}`}, {ID: "2", Name: "g", Arguments: `{}`, Signature: "sig"}},
		Thinking:  []llm.Thinking{{Text: "hm", Signature: "s"}, {Redacted: "x"}},
	}
	refusal := &llm.Choice{}
	refusal.Refusal.WriteString("no")
	for _, tc := range []struct {
		choice *llm.Choice
		want   string
	}{
		{plain, `{"role":"assistant","content":"Hi \"you\"\n"}`},
		{calls, `{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},` +
			`{"id":"2","type":"function","function":{"name":"g","arguments":"{}"},"extra_content":{"google":{"thought_signature":"sig"}}}],` +
			`"thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"}]}`},
		{refusal, `{"role":"assistant","content":"","refusal":"no"}`},
	} {
		got := string(tc.choice.Message())
		if got != tc.want {
			t.Errorf("Message = %s, want %s", got, tc.want)
		}
		if _, err := llm.ParseRequest([]byte(`{"model":"m","messages":[` + got + `]}`)); err != nil {
			t.Errorf("%s is not taken back: %v", got, err)
		}
	}
}
