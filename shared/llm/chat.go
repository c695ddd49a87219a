package llm

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Chat is the body of a chat request, decoded for providers that speak another
// protocol than OpenAI's.
type Chat struct {
	Messages          []Message
	Tools             []Tool
	ToolChoice        ToolChoice
	ParallelToolCalls *bool
	ResponseFormat    ResponseFormat
	Stop              []string
	Temperature       *float64
	TopP              *float64
	TopK              *int64 // an extension that several providers know
	PresencePenalty   *float64
	FrequencyPenalty  *float64
	Seed              *int64
	LogProbs          bool
	TopLogProbs       *int64
	ReasoningEffort   string // none, minimal, low, medium, high, …; "" if absent
	User              string
	ServiceTier       string
	Thinking          json.RawMessage // Anthropic's own field, for those who send it
}

// Message is one turn. System and developer messages are the same thing to
// every provider that distinguishes at most one of them.
type Message struct {
	Role       string
	Content    []Part // a plain string is one text part
	Name       string
	Reasoning  string     // reasoning_content of an assistant turn
	Thinking   []Thinking // thinking_blocks of an assistant turn
	ToolCalls  []ToolCall
	ToolCallID string // of a tool message
	Index      int    // in the request's messages, for error texts
}

// Text joins the text parts of m.
func (m *Message) Text() string {
	if len(m.Content) == 1 {
		return m.Content[0].Text
	}
	var b strings.Builder
	for _, p := range m.Content {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Part is a piece of content. Raw is the part as the client wrote it, nil for
// a plain string.
type Part struct {
	Type         string // text, image_url, input_audio, file, …
	Text         string
	URL          string // of an image: a data: URL or an address
	CacheControl json.RawMessage
	Raw          json.RawMessage
}

// DataURL splits a base64 data: URL into media type and base64 text. ok is
// false for any other URL.
func (p *Part) DataURL() (mediaType, base64 string, ok bool) {
	rest, ok := strings.CutPrefix(p.URL, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return "", "", false
	}
	mediaType, ok = strings.CutSuffix(head, ";base64")
	if i := strings.IndexByte(mediaType, ';'); i >= 0 {
		mediaType = mediaType[:i]
	}
	return mediaType, data, ok
}

// Tool is a function that the model may call.
type Tool struct {
	Name, Description string
	Parameters        json.RawMessage // a JSON Schema; nil means no parameters
	Strict            bool
	CacheControl      json.RawMessage
}

// ToolChoice is the client's tool_choice: Mode is "" (absent), "none", "auto",
// "required" or "function"; with the last, Name says which.
type ToolChoice struct{ Mode, Name string }

// ToolCall is a call that an assistant turn made.
type ToolCall struct {
	ID, Name  string
	Arguments string // JSON text, as the model wrote it
	Signature string // see ToolDelta
}

// ResponseFormat is the client's response_format: Type is "", "text",
// "json_object" or "json_schema"; with the last, Schema holds the JSON Schema.
type ResponseFormat struct {
	Type, Name string
	Schema     json.RawMessage
	Strict     bool
}

type wireMessage struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	Name             string          `json:"name"`
	ReasoningContent string          `json:"reasoning_content"`
	ThinkingBlocks   []struct {
		Type      string `json:"type"`
		Thinking  string `json:"thinking"`
		Signature string `json:"signature"`
		Data      string `json:"data"`
	} `json:"thinking_blocks"`
	ToolCalls []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
		ExtraContent struct {
			Google struct {
				ThoughtSignature string `json:"thought_signature"`
			} `json:"google"`
		} `json:"extra_content"`
	} `json:"tool_calls"`
	ToolCallID   string `json:"tool_call_id"`
	FunctionCall *struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function_call"`
}

type wireChat struct {
	Messages []wireMessage `json:"messages"`
	Tools    []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
			Strict      *bool           `json:"strict"`
		} `json:"function"`
		CacheControl json.RawMessage `json:"cache_control"`
	} `json:"tools"`
	ToolChoice        json.RawMessage `json:"tool_choice"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls"`
	ResponseFormat    *struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
			Strict *bool           `json:"strict"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Stop             json.RawMessage `json:"stop"`
	Temperature      *float64        `json:"temperature"`
	TopP             *float64        `json:"top_p"`
	TopK             *int64          `json:"top_k"`
	PresencePenalty  *float64        `json:"presence_penalty"`
	FrequencyPenalty *float64        `json:"frequency_penalty"`
	Seed             *int64          `json:"seed"`
	LogProbs         bool            `json:"logprobs"`
	TopLogProbs      *int64          `json:"top_logprobs"`
	ReasoningEffort  string          `json:"reasoning_effort"`
	User             string          `json:"user"`
	ServiceTier      string          `json:"service_tier"`
	Thinking         json.RawMessage `json:"thinking"`
}

// Chat decodes Raw. It fails with fault.Invalid, naming the field, where the
// body is well-formed but cannot be understood (a custom tool, say).
func (r *Request) Chat() (*Chat, error) {
	var w wireChat
	if err := json.Unmarshal(r.Raw, &w); err != nil {
		return nil, decodeFault(err)
	}
	c := &Chat{
		ParallelToolCalls: w.ParallelToolCalls, Temperature: w.Temperature, TopP: w.TopP, TopK: w.TopK,
		PresencePenalty: w.PresencePenalty, FrequencyPenalty: w.FrequencyPenalty, Seed: w.Seed,
		LogProbs: w.LogProbs, TopLogProbs: w.TopLogProbs, ReasoningEffort: w.ReasoningEffort,
		User: w.User, ServiceTier: w.ServiceTier,
	}
	if !rawjson.IsNull(w.Thinking) {
		c.Thinking = w.Thinking
	}
	for i := range w.Messages {
		m, err := w.Messages[i].message(i)
		if err != nil {
			return nil, err
		}
		c.Messages = append(c.Messages, m)
	}
	for i, t := range w.Tools {
		if t.Type != "function" {
			return nil, fault.Field(fmt.Sprintf("tools[%d].type", i), "This model takes only tools of type 'function', not %q.", t.Type)
		}
		tool := Tool{Name: t.Function.Name, Description: t.Function.Description, CacheControl: t.CacheControl,
			Strict: t.Function.Strict != nil && *t.Function.Strict}
		if !rawjson.IsNull(t.Function.Parameters) {
			tool.Parameters = t.Function.Parameters
		}
		c.Tools = append(c.Tools, tool)
	}
	if f := w.ResponseFormat; f != nil {
		c.ResponseFormat = ResponseFormat{Type: f.Type, Name: f.JSONSchema.Name, Schema: f.JSONSchema.Schema,
			Strict: f.JSONSchema.Strict != nil && *f.JSONSchema.Strict}
		if f.Type == "json_schema" && rawjson.Kind(f.JSONSchema.Schema) != "object" {
			return nil, fault.Missing("response_format.json_schema.schema")
		}
	}
	var err error
	if c.ToolChoice, err = toolChoice(w.ToolChoice); err != nil {
		return nil, err
	}
	if c.Stop, err = stop(w.Stop); err != nil {
		return nil, err
	}
	return c, nil
}

func (w *wireMessage) message(i int) (Message, error) {
	m := Message{Role: w.Role, Name: w.Name, Reasoning: w.ReasoningContent, ToolCallID: w.ToolCallID, Index: i}
	for _, b := range w.ThinkingBlocks {
		m.Thinking = append(m.Thinking, Thinking{Text: b.Thinking, Signature: b.Signature, Redacted: b.Data})
	}
	for _, t := range w.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments,
			Signature: t.ExtraContent.Google.ThoughtSignature})
	}
	if f := w.FunctionCall; f != nil {
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: f.Name, Name: f.Name, Arguments: f.Arguments})
	}
	if w.Role == "function" { // the old form of a tool message: the name was the id
		m.Role, m.ToolCallID = "tool", w.Name
	}
	if s, ok := rawjson.String(w.Content); ok {
		m.Content = []Part{{Type: "text", Text: s}}
		return m, nil
	}
	if rawjson.IsNull(w.Content) {
		return m, nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(w.Content, &parts); err != nil {
		return m, decodeFault(err)
	}
	for j, raw := range parts {
		var p struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Refusal  string `json:"refusal"`
			ImageURL struct {
				URL string `json:"url"`
			} `json:"image_url"`
			CacheControl json.RawMessage `json:"cache_control"`
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return m, fault.Field(fmt.Sprintf("messages[%d].content[%d]", i, j), "messages[%d].content[%d] cannot be read: %v.", i, j, err)
		}
		if p.Type == "refusal" {
			p.Type, p.Text = "text", p.Refusal
		}
		m.Content = append(m.Content, Part{Type: p.Type, Text: p.Text, URL: p.ImageURL.URL, CacheControl: p.CacheControl, Raw: raw})
	}
	return m, nil
}

func toolChoice(v json.RawMessage) (ToolChoice, error) {
	if rawjson.IsNull(v) {
		return ToolChoice{}, nil
	}
	if mode, ok := rawjson.String(v); ok {
		return ToolChoice{Mode: mode}, nil
	}
	var w struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(v, &w); err != nil || w.Type != "function" || w.Function.Name == "" {
		return ToolChoice{}, fault.Field("tool_choice", "'tool_choice' must be a string or {\"type\":\"function\",\"function\":{\"name\":…}} for this model.")
	}
	return ToolChoice{Mode: "function", Name: w.Function.Name}, nil
}

func stop(v json.RawMessage) ([]string, error) {
	if rawjson.IsNull(v) {
		return nil, nil
	}
	if s, ok := rawjson.String(v); ok {
		return []string{s}, nil
	}
	var list []string
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, fault.Field("stop", "'stop' must be a string or an array of strings.")
	}
	return list, nil
}

func decodeFault(err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok && t.Field != "" {
		return &fault.Error{Kind: fault.Invalid, Param: t.Field, Code: "invalid_type", Err: err,
			Message: fmt.Sprintf("Invalid type for '%s': got %s.", t.Field, t.Value)}
	}
	return &fault.Error{Kind: fault.Invalid, Code: "invalid_json", Err: err, Message: "The body cannot be read as a chat request."}
}
