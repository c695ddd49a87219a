package sdktest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var anthropicProtocol = protocol{
	name: "anthropic",
	authorized: func(h http.Header) bool {
		return h.Get("X-Api-Key") == anthropicKey && h.Get("Authorization") == "" && h.Get("Anthropic-Version") == "2023-06-01"
	},
	question: anthropicQuestion,
	answer:   anthropicAnswer,
	stream:   anthropicStream,
	failure: func(status int, message string) []byte {
		types := map[int]string{400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
		typ := types[status]
		if typ == "" {
			typ = "api_error"
		}
		return toJSON(object{"type": "error", "error": object{"type": typ, "message": message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})
	},
}

type anthropicBlock struct {
	Type      string           `json:"type"`
	Text      string           `json:"text"`
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Input     json.RawMessage  `json:"input"`
	ToolUseID string           `json:"tool_use_id"`
	Content   []anthropicBlock `json:"content"`
	IsError   bool             `json:"is_error"`
	Thinking  string           `json:"thinking"`
	Signature string           `json:"signature"`
	Source    struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
	} `json:"source"`
}

// UnmarshalJSON is strict, as the whole is.
func (b *anthropicBlock) UnmarshalJSON(text []byte) error {
	type plain anthropicBlock
	return strict(text, (*plain)(b))
}

// anthropicContent may be given in short, as text.
type anthropicContent []anthropicBlock

func (c *anthropicContent) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		*c = anthropicContent{{Type: "text"}}
		return json.Unmarshal(text, &(*c)[0].Text)
	}
	return json.Unmarshal(text, (*[]anthropicBlock)(c))
}

// strict refuses unknown fields, as Anthropic and Google do.
func strict(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func anthropicQuestion(_ *http.Request, body []byte) (*question, error) {
	var b struct {
		Model     string           `json:"model"`
		MaxTokens int              `json:"max_tokens"`
		System    anthropicContent `json:"system"`
		Messages  []struct {
			Role    string           `json:"role"`
			Content anthropicContent `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Schema      json.RawMessage `json:"input_schema"`
			Strict      bool            `json:"strict"`
		} `json:"tools"`
		ToolChoice struct {
			Type     string `json:"type"`
			Name     string `json:"name"`
			Parallel bool   `json:"disable_parallel_tool_use"`
		} `json:"tool_choice"`
		Thinking struct {
			Type         string `json:"type"`
			BudgetTokens int    `json:"budget_tokens"`
			Display      string `json:"display"`
		} `json:"thinking"`
		OutputConfig struct {
			Effort string `json:"effort"`
			Format struct {
				Type   string          `json:"type"`
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"output_config"`
		Temperature   *float64 `json:"temperature"`
		TopP          *float64 `json:"top_p"`
		StopSequences []string `json:"stop_sequences"`
		Metadata      struct {
			UserID string `json:"user_id"`
		} `json:"metadata"`
		Stream bool `json:"stream"`
	}
	if err := strict(body, &b); err != nil {
		return nil, err
	}
	q := &question{Model: b.Model, Stream: b.Stream, N: 1, Calls: map[string]string{}, Schema: b.OutputConfig.Format.Schema, Thinks: b.Thinking.Type != "" && b.Thinking.Type != "disabled"}
	switch {
	case !strings.HasPrefix(b.Model, "claude-"):
		return nil, fmt.Errorf("model: %q", b.Model)
	case b.MaxTokens < 1:
		return nil, errors.New("max_tokens: Field required")
	case b.Thinking.Type == "enabled" && (b.Thinking.BudgetTokens < 1024 || b.Thinking.BudgetTokens >= b.MaxTokens):
		return nil, errors.New("`max_tokens` must be greater than `thinking.budget_tokens`")
	case q.Thinks && b.Temperature != nil && *b.Temperature != 1:
		return nil, errors.New("`temperature` may only be set to 1 when thinking is enabled")
	case b.Temperature != nil && *b.Temperature > 1:
		return nil, errors.New("temperature: range: 0..1")
	}
	for _, s := range b.System {
		q.System += s.Text
	}
	for i, m := range b.Messages {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			return nil, fmt.Errorf("messages.%d: role %q, want %q", i, m.Role, want)
		}
		if m.Role == "user" {
			q.Results = nil
		}
		for _, c := range m.Content {
			switch {
			case c.Type == "text" && strings.TrimSpace(c.Text) == "":
				return nil, errors.New("text content blocks must contain non-whitespace text")
			case c.Type == "text" && m.Role == "user":
				q.Prompt = c.Text
			case c.Type == "text" || c.Type == "thinking" && m.Role == "assistant" && c.Signature != "":
			case c.Type == "image" && m.Role == "user" && c.Source.Type == "base64":
				image, err := imageURL("data:" + c.Source.MediaType + ";base64," + c.Source.Data)
				if err != nil {
					return nil, err
				}
				q.Images = append(q.Images, image)
			case c.Type == "tool_use" && m.Role == "assistant":
				if c.ID == "" || c.Name == "" || len(c.Input) == 0 || c.Input[0] != '{' {
					return nil, fmt.Errorf("messages.%d: tool_use %+v", i, c)
				}
				q.Calls[c.ID] = c.Name
			case c.Type == "tool_result" && m.Role == "user":
				if q.Calls[c.ToolUseID] == "" {
					return nil, fmt.Errorf("unexpected `tool_use_id` found in `tool_result` blocks: %s", c.ToolUseID)
				}
				for _, part := range c.Content {
					q.Results = append(q.Results, part.Text)
				}
			default:
				return nil, fmt.Errorf("messages.%d: block %+v from the %s", i, c, m.Role)
			}
		}
	}
	for _, t := range b.Tools {
		var schema struct{ Type string }
		if json.Unmarshal(t.Schema, &schema) != nil || schema.Type != "object" {
			return nil, fmt.Errorf("tools: input_schema: %s", t.Schema)
		}
		q.Tools = append(q.Tools, t.Name)
	}
	switch b.ToolChoice.Type {
	case "none":
		q.Choice = "none"
	case "any":
		q.Choice = "required"
	case "tool":
		q.Choice = b.ToolChoice.Name
	}
	return q, nil
}

func anthropicStop(a *reply) string {
	if len(a.Calls) > 0 {
		return "tool_use"
	}
	return "end_turn"
}

func anthropicMessage(q *question, a *reply, content []any, stop any, output int) object {
	m := object{"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": q.Model + "-20250929", "content": content,
		"stop_reason": stop, "stop_sequence": nil}
	if a.Metered {
		m["usage"] = object{"input_tokens": a.Input - a.Cached, "cache_creation_input_tokens": 0, "cache_read_input_tokens": a.Cached,
			"cache_creation": object{"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": output, "service_tier": "standard"}
	}
	return m
}

const anthropicSignature = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"

func anthropicAnswer(q *question, a *reply) []byte {
	content := []any{}
	if a.Thinking != nil {
		content = append(content, object{"type": "thinking", "thinking": strings.Join(a.Thinking, ""), "signature": anthropicSignature})
	}
	if a.Text != nil {
		content = append(content, object{"type": "text", "text": a.text()})
	}
	for _, c := range a.Calls {
		content = append(content, object{"type": "tool_use", "id": "toolu_" + c.ID, "name": c.Name, "input": json.RawMessage(c.Arguments)})
	}
	return toJSON(anthropicMessage(q, a, content, anthropicStop(a), a.Output))
}

func anthropicStream(q *question, a *reply) *script {
	s := &script{contentType: "text/event-stream; charset=utf-8", garbage: []byte("event: content_block_delta\ndata: {\"type\":\"content_\n\n"),
		failure: []byte("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")}
	event := func(typ string, fields object) {
		fields["type"] = typ
		s.events = append(s.events, fmt.Appendf(nil, "event: %s\ndata: %s\n\n", typ, toJSON(fields)))
	}
	index := 0
	block := func(start object, deltas ...object) {
		event("content_block_start", object{"index": index, "content_block": start})
		if index == 0 {
			event("ping", object{})
		}
		for _, d := range deltas {
			event("content_block_delta", object{"index": index, "delta": d})
		}
		event("content_block_stop", object{"index": index})
		index++
	}
	event("message_start", object{"message": anthropicMessage(q, a, []any{}, nil, 1)})
	var deltas []object
	if a.Thinking != nil {
		for _, t := range a.Thinking {
			deltas = append(deltas, object{"type": "thinking_delta", "thinking": t})
		}
		deltas = append(deltas, object{"type": "signature_delta", "signature": anthropicSignature})
		block(object{"type": "thinking", "thinking": "", "signature": ""}, deltas...)
	}
	if a.Text != nil {
		deltas = nil
		for _, t := range a.Text {
			deltas = append(deltas, object{"type": "text_delta", "text": t})
		}
		block(object{"type": "text", "text": ""}, deltas...)
	}
	for _, c := range a.Calls {
		deltas = []object{{"type": "input_json_delta", "partial_json": ""}}
		for _, part := range fragments(c.Arguments) {
			deltas = append(deltas, object{"type": "input_json_delta", "partial_json": part})
		}
		block(object{"type": "tool_use", "id": "toolu_" + c.ID, "name": c.Name, "input": object{}}, deltas...)
	}
	end := object{"delta": object{"stop_reason": anthropicStop(a), "stop_sequence": nil}}
	if a.Metered {
		end["usage"] = object{"output_tokens": a.Output}
	}
	event("message_delta", end)
	event("message_stop", object{})
	return s
}
