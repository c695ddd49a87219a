package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// turn is a message; there are two roles, user and assistant.
type turn struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is a piece of content. Which fields it has depends on its type.
type block struct {
	Type         string          `json:"type"`
	Text         string          `json:"text,omitempty"`
	Thinking     *string         `json:"thinking,omitempty"` // may be "", but not absent
	Signature    string          `json:"signature,omitempty"`
	Data         string          `json:"data,omitempty"`
	Source       *source         `json:"source,omitempty"`
	Title        string          `json:"title,omitempty"`
	ID           string          `json:"id,omitempty"`
	Name         string          `json:"name,omitempty"`
	Input        json.RawMessage `json:"input,omitempty"`
	ToolUseID    string          `json:"tool_use_id,omitempty"`
	Content      []block         `json:"content,omitempty"`
	CacheControl json.RawMessage `json:"cache_control,omitempty"`
}

type source struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

// converse translates the messages: system and developer messages go to the
// front, tool messages become user turns, and neighbours of one role one turn.
func (w *request) converse(messages []llm.Message) error {
	for i := range messages {
		m := &messages[i]
		blocks, err := content(m)
		if err != nil {
			return err
		}
		switch m.Role {
		case "system", "developer":
			w.System = append(w.System, blocks...)
		case "assistant":
			blocks, err := answered(m, blocks)
			if err != nil {
				return err
			}
			w.say("assistant", blocks)
		case "tool":
			w.say("user", []block{{Type: "tool_result", ToolUseID: toolID(m.ToolCallID), Content: blocks}})
		default:
			w.say("user", blocks)
		}
	}
	if len(w.Messages) == 0 { // instructions alone are no conversation
		w.say("user", w.System)
		w.System = nil
	}
	w.trimPrefill()
	return nil
}

func (w *request) say(role string, blocks []block) {
	switch last := len(w.Messages) - 1; {
	case len(blocks) == 0:
	case last >= 0 && w.Messages[last].Role == role:
		w.Messages[last].Content = append(w.Messages[last].Content, blocks...)
	default:
		w.Messages = append(w.Messages, turn{Role: role, Content: blocks})
	}
}

// trimPrefill removes white space from the end of an answer that the model is
// to continue, because the API refuses it there.
func (w *request) trimPrefill() {
	if len(w.Messages) == 0 {
		return
	}
	last := &w.Messages[len(w.Messages)-1]
	if b := &last.Content[len(last.Content)-1]; last.Role == "assistant" && b.Type == "text" {
		b.Text = strings.TrimRight(b.Text, " \t\r\n")
	}
}

// answered puts thinking before and tool calls after what the assistant said.
// Thinking without a signature is another provider's and is left out.
func answered(m *llm.Message, said []block) ([]block, error) {
	var blocks []block
	for _, t := range m.Thinking {
		switch {
		case t.Redacted != "":
			blocks = append(blocks, block{Type: "redacted_thinking", Data: t.Redacted})
		case t.Signature != "":
			blocks = append(blocks, block{Type: "thinking", Thinking: &t.Text, Signature: t.Signature})
		}
	}
	blocks = append(blocks, said...)
	for j, c := range m.ToolCalls {
		input := json.RawMessage(strings.TrimSpace(c.Arguments))
		if len(input) == 0 {
			input = json.RawMessage("{}")
		}
		if rawjson.Kind(input) != "object" || rawjson.Valid(input, llm.MaxDepth) != nil {
			param := fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", m.Index, j)
			return nil, fault.Field(param, "'%s' must be the text of a JSON object for this model.", param)
		}
		blocks = append(blocks, block{Type: "tool_use", ID: toolID(c.ID), Name: c.Name, Input: input})
	}
	return blocks, nil
}

// toolID writes the id of a call, which another provider may have made up,
// with the characters that Anthropic allows.
func toolID(id string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
}

// content translates the parts of a message. Texts of nothing but white space
// are left out: the API refuses them, and OpenAI's does not.
func content(m *llm.Message) ([]block, error) {
	var blocks []block
	for j := range m.Content {
		p := &m.Content[j]
		at := func(field string) string { return fmt.Sprintf("messages[%d].content[%d].%s", m.Index, j, field) }
		var b block
		var err error
		switch {
		case p.Type == "text":
			if strings.TrimSpace(p.Text) == "" {
				continue
			}
			b = block{Type: "text", Text: p.Text}
		case p.Type == "image_url" && (m.Role == "user" || m.Role == "tool"):
			b, err = image(p, at("image_url.url"))
		case p.Type == "file" && (m.Role == "user" || m.Role == "tool"):
			b, err = document(p, at)
		default:
			err = fault.Field(at("type"), "This model cannot take a part of type '%s' in a message of role '%s'.", p.Type, m.Role)
		}
		if err != nil {
			return nil, err
		}
		b.CacheControl = nonNull(p.CacheControl)
		blocks = append(blocks, b)
	}
	return blocks, nil
}

func image(p *llm.Part, param string) (block, error) {
	if mediaType, data, ok := p.DataURL(); ok {
		return block{Type: "image", Source: &source{Type: "base64", MediaType: mediaType, Data: data}}, nil
	}
	if strings.HasPrefix(p.URL, "https://") || strings.HasPrefix(p.URL, "http://") {
		return block{Type: "image", Source: &source{Type: "url", URL: p.URL}}, nil
	}
	return block{}, fault.Field(param, "'%s' must be a web address or a base64 data: URL.", param)
}

func document(p *llm.Part, at func(string) string) (block, error) {
	var w struct {
		File struct {
			FileData string `json:"file_data"`
			FileName string `json:"filename"`
		} `json:"file"`
	}
	json.Unmarshal(p.Raw, &w) // another type is as good as none
	mediaType, data, ok := (&llm.Part{URL: w.File.FileData}).DataURL()
	switch {
	case !ok:
		return block{}, fault.Field(at("file.file_data"), "'%s' must be a base64 data: URL for this model; it cannot take uploaded files.", at("file.file_data"))
	case mediaType != "application/pdf":
		return block{}, fault.Field(at("file.file_data"), "This model takes files of type application/pdf, not '%s'.", mediaType)
	}
	return block{Type: "document", Title: w.File.FileName, Source: &source{Type: "base64", MediaType: mediaType, Data: data}}, nil
}
