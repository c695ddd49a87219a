package gemini

import (
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// content is a turn; there are two roles, user and model.
type content struct {
	Role  string `json:"role,omitempty"`
	Parts []part `json:"parts"`
}

// part is a piece of content; exactly one of its first five fields is set.
type part struct {
	Text             string            `json:"text,omitempty"`
	InlineData       *inlineData       `json:"inlineData,omitempty"`
	FileData         *fileData         `json:"fileData,omitempty"`
	FunctionCall     *functionCall     `json:"functionCall,omitempty"`
	FunctionResponse *functionResponse `json:"functionResponse,omitempty"`
	ThoughtSignature string            `json:"thoughtSignature,omitempty"`
}

type inlineData struct {
	MIMEType string `json:"mimeType"`
	Data     string `json:"data"`
}

type fileData struct {
	MIMEType string `json:"mimeType,omitempty"`
	FileURI  string `json:"fileUri"`
}

type functionCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type functionResponse struct {
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name"`
	Response json.RawMessage `json:"response"`
}

// unsigned is Google's documented signature for calls that have none, because
// another model made them or the client lost it. Since Gemini 3 the API
// refuses a conversation without any.
const unsigned = "skip_thought_signature_validator"

// converse translates the messages: system and developer messages become the
// instruction, tool messages user turns, and neighbours of one role one turn.
// Texts' own signatures are not sent back: Gemini recommends that but does not
// insist, and OpenAI's format has no place for them.
func (w *request) converse(messages []llm.Message, version int) error {
	names := map[string]string{} // of functions by the id of a call
	for i := range messages {
		m := &messages[i]
		parts, err := translateParts(m)
		if err != nil {
			return err
		}
		switch m.Role {
		case "system", "developer":
			if len(parts) == 0 {
				continue
			}
			if w.SystemInstruction == nil {
				w.SystemInstruction = &content{}
			}
			w.SystemInstruction.Parts = append(w.SystemInstruction.Parts, parts...)
		case "assistant":
			calls, err := called(m, version, names)
			if err != nil {
				return err
			}
			w.say("model", append(parts, calls...))
		case "tool":
			response, err := answered(m, names)
			if err != nil {
				return err
			}
			for _, p := range parts {
				if p.Text == "" { // an image follows the response that it belongs to
					response = append(response, p)
				}
			}
			w.say("user", response)
		default:
			w.say("user", parts)
		}
	}
	if len(w.Contents) == 0 && w.SystemInstruction != nil { // instructions alone are no conversation
		w.say("user", w.SystemInstruction.Parts)
		w.SystemInstruction = nil
	}
	return nil
}

func (w *request) say(role string, parts []part) {
	switch last := len(w.Contents) - 1; {
	case len(parts) == 0:
	case last >= 0 && w.Contents[last].Role == role:
		w.Contents[last].Parts = append(w.Contents[last].Parts, parts...)
	default:
		w.Contents = append(w.Contents, content{Role: role, Parts: parts})
	}
}

// called translates the calls of an assistant's turn and notes their names.
// Of calls made at once only the first is signed.
func called(m *llm.Message, version int, names map[string]string) ([]part, error) {
	var parts []part
	for j, c := range m.ToolCalls {
		args := json.RawMessage(strings.TrimSpace(c.Arguments))
		if len(args) == 0 {
			args = json.RawMessage("{}")
		}
		if rawjson.Kind(args) != "object" || rawjson.Valid(args, llm.MaxDepth) != nil {
			param := fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", m.Index, j)
			return nil, fault.Field(param, "'%s' must be the text of a JSON object for this model.", param)
		}
		names[c.ID] = c.Name
		p := part{FunctionCall: &functionCall{ID: c.ID, Name: c.Name, Args: args}, ThoughtSignature: c.Signature}
		if j == 0 && p.ThoughtSignature == "" && version >= 30 {
			p.ThoughtSignature = unsigned
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// answered translates a tool's answer, which must be an object with the name
// of the function; OpenAI's has text and the id of the call.
func answered(m *llm.Message, names map[string]string) ([]part, error) {
	name := names[m.ToolCallID]
	if name == "" {
		name = m.Name
	}
	if name == "" {
		param := fmt.Sprintf("messages[%d].tool_call_id", m.Index)
		return nil, fault.Field(param, "'%s' is %q, but no earlier message makes a call with that id.", param, m.ToolCallID)
	}
	text := m.Text()
	response := json.RawMessage(strings.TrimSpace(text))
	if rawjson.Kind(response) != "object" || rawjson.Valid(response, llm.MaxDepth) != nil {
		response = append(rawjson.AppendString([]byte(`{"result":`), text), '}')
	}
	return []part{{FunctionResponse: &functionResponse{ID: m.ToolCallID, Name: name, Response: response}}}, nil
}

// translateParts translates a message's content; empty texts are left out.
func translateParts(m *llm.Message) ([]part, error) {
	var parts []part
	for j := range m.Content {
		p := &m.Content[j]
		at := func(field string) string { return fmt.Sprintf("messages[%d].content[%d].%s", m.Index, j, field) }
		var t part
		var err error
		switch media := m.Role == "user" || m.Role == "tool"; {
		case p.Type == "text":
			if p.Text == "" {
				continue
			}
			t.Text = p.Text
		case p.Type == "image_url" && media:
			t, err = byURL(p.URL, at("image_url.url"))
		case p.Type == "file" && media:
			t, err = file(p, at)
		case p.Type == "input_audio" && media:
			t, err = audio(p, at)
		default:
			err = fault.Field(at("type"), "This model cannot take a part of type '%s' in a message of role '%s'.", p.Type, m.Role)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, t)
	}
	return parts, nil
}

// byURL translates a data: URL, or an address that Google fetches.
func byURL(url, param string) (part, error) {
	if mediaType, data, ok := (&llm.Part{URL: url}).DataURL(); ok {
		return part{InlineData: &inlineData{MIMEType: mediaType, Data: data}}, nil
	}
	if strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://") {
		address, _, _ := strings.Cut(url, "?")
		mediaType, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(address)), ";")
		return part{FileData: &fileData{MIMEType: mediaType, FileURI: url}}, nil
	}
	return part{}, fault.Field(param, "'%s' must be a web address or a base64 data: URL.", param)
}

// file translates a file given as data, or by the address that Google's own
// Files API gave it.
func file(p *llm.Part, at func(string) string) (part, error) {
	var w struct {
		File struct {
			FileData string `json:"file_data"`
			FileID   string `json:"file_id"`
		} `json:"file"`
	}
	json.Unmarshal(p.Raw, &w) // another type is as good as none
	if w.File.FileID != "" {
		if !strings.HasPrefix(w.File.FileID, "https://") {
			return part{}, fault.Field(at("file.file_id"), "'%s' must be the address of a file at Google for this model.", at("file.file_id"))
		}
		return byURL(w.File.FileID, "")
	}
	if !strings.HasPrefix(w.File.FileData, "data:") {
		return part{}, fault.Field(at("file.file_data"), "'%s' must be a base64 data: URL.", at("file.file_data"))
	}
	return byURL(w.File.FileData, at("file.file_data"))
}

func audio(p *llm.Part, at func(string) string) (part, error) {
	var w struct {
		Audio struct {
			Data   string `json:"data"`
			Format string `json:"format"`
		} `json:"input_audio"`
	}
	if json.Unmarshal(p.Raw, &w) != nil || w.Audio.Data == "" || w.Audio.Format == "" {
		return part{}, fault.Field(at("input_audio"), "'%s' must have 'data' and 'format'.", at("input_audio"))
	}
	return part{InlineData: &inlineData{MIMEType: "audio/" + w.Audio.Format, Data: w.Audio.Data}}, nil
}
