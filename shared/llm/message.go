package llm

import (
	"encoding/json"
	"strings"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Message is the choice as an assistant's turn in OpenAI's format, in the form
// in which a later request sends it back. Reasoning stays out of it, except for
// the blocks that a provider wants back together with tool calls.
func (c *Choice) Message() json.RawMessage {
	m := []byte(`{"role":"assistant","content":`)
	if c.Text.Len() == 0 && len(c.ToolCalls) > 0 {
		m = append(m, "null"...)
	} else {
		m = rawjson.AppendString(m, c.Text.String())
	}
	if c.Refusal.Len() > 0 {
		m = rawjson.AppendString(append(m, `,"refusal":`...), c.Refusal.String())
	}
	if len(c.ToolCalls) > 0 {
		m = append(m, `,"tool_calls":[`...)
		for i, t := range c.ToolCalls {
			if i > 0 {
				m = append(m, ',')
			}
			m = AppendToolCall(append(m, '{'), t.ID, t.Name, t.Arguments, t.Signature)
		}
		m = append(m, ']')
		if len(c.Thinking) > 0 {
			m = AppendThinking(append(m, `,"thinking_blocks":`...), c.Thinking)
		}
	}
	return append(m, '}')
}

// AppendToolCall writes the members of a tool call and its closing brace. A
// stream gives id and name once, with the call's first fragment.
func AppendToolCall(dst []byte, id, name, arguments, signature string) []byte {
	if id != "" {
		dst = append(rawjson.AppendString(append(dst, `"id":`...), id), `,"type":"function",`...)
	}
	dst = append(dst, `"function":{`...)
	if name != "" {
		dst = append(rawjson.AppendString(append(dst, `"name":`...), name), ',')
	}
	dst = append(rawjson.AppendString(append(dst, `"arguments":`...), arguments), '}')
	if signature != "" {
		dst = append(rawjson.AppendString(append(dst, `,"extra_content":{"google":{"thought_signature":`...), signature), `}}`...)
	}
	return append(dst, '}')
}

// AppendThinking writes blocks of thinking as the list thinking_blocks.
func AppendThinking(dst []byte, blocks []Thinking) []byte {
	dst = append(dst, '[')
	for i, b := range blocks {
		if i > 0 {
			dst = append(dst, ',')
		}
		if b.Redacted != "" {
			dst = append(rawjson.AppendString(append(dst, `{"type":"redacted_thinking","data":`...), b.Redacted), '}')
			continue
		}
		dst = rawjson.AppendString(append(dst, `{"type":"thinking","thinking":`...), b.Text)
		dst = append(rawjson.AppendString(append(dst, `,"signature":`...), b.Signature), '}')
	}
	return append(dst, ']')
}

// TextMessage is a message of one text.
func TextMessage(role, text string) json.RawMessage {
	m := rawjson.AppendString([]byte(`{"role":`), role)
	return append(rawjson.AppendString(append(m, `,"content":`...), strings.ToValidUTF8(text, "\uFFFD")), '}')
}
