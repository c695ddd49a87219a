package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// request is the body of POST /v1/messages.
type request struct {
	Model         string          `json:"model"`
	MaxTokens     int64           `json:"max_tokens"`
	System        []block         `json:"system,omitempty"`
	Messages      []turn          `json:"messages"`
	Tools         []tool          `json:"tools,omitempty"`
	ToolChoice    *toolChoice     `json:"tool_choice,omitempty"`
	Thinking      json.RawMessage `json:"thinking,omitempty"`
	OutputConfig  *outputConfig   `json:"output_config,omitempty"`
	Temperature   *float64        `json:"temperature,omitempty"`
	TopP          *float64        `json:"top_p,omitempty"`
	TopK          *int64          `json:"top_k,omitempty"`
	StopSequences []string        `json:"stop_sequences,omitempty"`
	Metadata      *metadata       `json:"metadata,omitempty"`
	ServiceTier   string          `json:"service_tier,omitempty"`
	CacheControl  json.RawMessage `json:"cache_control,omitempty"`
	Stream        bool            `json:"stream,omitempty"`

	jsonTool string // the tool whose input is the answer, if the schema had to become one
}

type tool struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema"`
	Strict       bool            `json:"strict,omitempty"`
	CacheControl json.RawMessage `json:"cache_control,omitempty"`
}

type toolChoice struct {
	Type                   string `json:"type"`
	Name                   string `json:"name,omitempty"`
	DisableParallelToolUse bool   `json:"disable_parallel_tool_use,omitempty"`
}

func (c *toolChoice) forces() bool { return c != nil && (c.Type == "any" || c.Type == "tool") }

type outputConfig struct {
	Effort string        `json:"effort,omitempty"`
	Format *outputFormat `json:"format,omitempty"`
}

type outputFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

type metadata struct {
	UserID string `json:"user_id"`
}

func (w *request) config() *outputConfig {
	if w.OutputConfig == nil {
		w.OutputConfig = &outputConfig{}
	}
	return w.OutputConfig
}

// always are the fields that every model takes, in one way or another.
var always = []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "tools",
	"response_format", "user", "safety_identifier", "thinking", "cache_control"}

// translate turns a chat request into one for Anthropic.
func (p *Provider) translate(req *llm.Request) (*request, error) {
	chat, err := req.Chat()
	if err != nil {
		return nil, err
	}
	tr := traitsOf(req.Model)
	w := &request{Model: req.Model, Messages: []turn{}, Stream: req.Stream, StopSequences: stops(chat.Stop)}
	if err := w.converse(chat.Messages); err != nil {
		return nil, err
	}
	done := append([]string(nil), always...)
	done = append(done, w.offer(chat, tr)...)
	w.shape(chat, tr)
	thinks, followed := p.think(w, req, chat, tr)
	if followed {
		done = append(done, "reasoning_effort")
	}
	done = append(done, w.sample(chat, tr, thinks)...)
	switch chat.ServiceTier {
	case "auto", "priority": // priority is used if the account has any
		w.ServiceTier = "auto"
		done = append(done, "service_tier")
	case "default", "standard_only":
		w.ServiceTier = "standard_only"
		done = append(done, "service_tier")
	}
	if id := userID(req, chat); id != "" {
		w.Metadata = &metadata{UserID: id}
	}
	if c := rawjson.Get(req.Fields, "cache_control"); !rawjson.IsNull(c) {
		w.CacheControl = c
	}
	return w, req.Drop(p.name(), done...)
}

// maxStrict is how many tools of a request may be strict.
const maxStrict = 20

// offer translates the tools and the choice among them, and returns the names
// of the fields that are taken care of.
func (w *request) offer(chat *llm.Chat, tr traits) []string {
	strict := 0
	for _, t := range chat.Tools {
		wt := tool{Name: t.Name, Description: t.Description, InputSchema: t.Parameters, CacheControl: nonNull(t.CacheControl)}
		if rawjson.Kind(rawjson.Get(rawjson.Fields(nil, t.Parameters), "type")) != "string" {
			wt.InputSchema = withType(t.Parameters)
		}
		if t.Strict && tr.schemas && strict < maxStrict {
			if closed, ok := closeSchema(wt.InputSchema); ok {
				wt.InputSchema, wt.Strict = closed, true
				strict++
			}
		}
		w.Tools = append(w.Tools, wt)
	}
	if len(w.Tools) == 0 {
		return []string{"tool_choice", "parallel_tool_calls"} // about nothing
	}
	done := []string{"parallel_tool_calls"}
	switch chat.ToolChoice.Mode {
	case "auto", "none":
		w.ToolChoice = &toolChoice{Type: chat.ToolChoice.Mode}
	case "required", "any":
		w.ToolChoice = &toolChoice{Type: "any"}
	case "function":
		w.ToolChoice = &toolChoice{Type: "tool", Name: chat.ToolChoice.Name}
	}
	if w.ToolChoice.forces() && !tr.forcible {
		w.ToolChoice = nil
	} else if w.ToolChoice != nil {
		done = append(done, "tool_choice")
	}
	if chat.ParallelToolCalls != nil && !*chat.ParallelToolCalls {
		if w.ToolChoice == nil {
			w.ToolChoice = &toolChoice{Type: "auto"}
		}
		w.ToolChoice.DisableParallelToolUse = w.ToolChoice.Type != "none"
	}
	return done
}

// shape translates response_format. Current models have structured outputs,
// which cannot express every schema; for the others, and those schemas, the
// answer becomes the input of a tool that must be called, where that is
// possible, and else the model is asked.
func (w *request) shape(chat *llm.Chat, tr traits) {
	f := chat.ResponseFormat
	switch f.Type {
	case "json_object":
		w.instruct("Answer with one valid JSON object and nothing else: no explanation, no Markdown.")
		return
	case "json_schema":
	default:
		return
	}
	if schema, closed := closeSchema(f.Schema); tr.schemas && closed {
		w.config().Format = &outputFormat{Type: "json_schema", Schema: schema}
		return
	}
	named := w.ToolChoice != nil && w.ToolChoice.Type == "tool"
	isObject := string(rawjson.Get(rawjson.Fields(nil, f.Schema), "type")) == `"object"`
	if !tr.forcible || !isObject || named {
		w.instruct("Answer with one JSON value that is valid against this JSON Schema, and nothing else: no explanation, no Markdown.\n" + string(f.Schema))
		return
	}
	w.jsonTool = "json_answer"
	for i := 1; w.hasTool(w.jsonTool); i++ {
		w.jsonTool = fmt.Sprintf("json_answer_%d", i)
	}
	choice := &toolChoice{Type: "tool", Name: w.jsonTool}
	if len(w.Tools) > 0 && (w.ToolChoice == nil || w.ToolChoice.Type != "none") { // the model may still call the client's
		choice = &toolChoice{Type: "any", DisableParallelToolUse: w.ToolChoice != nil && w.ToolChoice.DisableParallelToolUse}
	}
	w.ToolChoice = choice
	w.Tools = append(w.Tools, tool{Name: w.jsonTool, InputSchema: f.Schema,
		Description: "Gives the final answer" + strings.TrimRight(" "+f.Name, " ") + ". Call it once, when no other tool is needed."})
}

func (w *request) hasTool(name string) bool {
	for _, t := range w.Tools {
		if t.Name == name {
			return true
		}
	}
	return false
}

func (w *request) instruct(text string) {
	w.System = append(w.System, block{Type: "text", Text: text})
}

func nonNull(v json.RawMessage) json.RawMessage {
	if rawjson.IsNull(v) {
		return nil
	}
	return v
}
