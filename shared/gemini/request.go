package gemini

import (
	"encoding/json"
	"slices"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// request is the body of generateContent and streamGenerateContent.
type request struct {
	SystemInstruction *content         `json:"systemInstruction,omitempty"`
	Contents          []content        `json:"contents"`
	Tools             []tools          `json:"tools,omitempty"`
	ToolConfig        *toolConfig      `json:"toolConfig,omitempty"`
	GenerationConfig  generationConfig `json:"generationConfig,omitzero"`
	ServiceTier       string           `json:"service_tier,omitempty"`
}

type tools struct {
	FunctionDeclarations []function `json:"functionDeclarations"`
}

// function declares a tool. Its schema goes into parametersJsonSchema, which
// takes JSON Schema as it is. The older field, parameters, takes a dialect of
// OpenAPI that refuses what OpenAI's clients send as a matter of course
// ($ref, additionalProperties, const, a list of types): cleaning those away
// would change what the schema means.
type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parametersJsonSchema,omitempty"`
}

type toolConfig struct {
	FunctionCallingConfig callingConfig `json:"functionCallingConfig"`
}

type callingConfig struct {
	Mode                 string   `json:"mode"`
	AllowedFunctionNames []string `json:"allowedFunctionNames,omitempty"`
}

type generationConfig struct {
	Temperature        *float64        `json:"temperature,omitempty"`
	TopP               *float64        `json:"topP,omitempty"`
	TopK               *int64          `json:"topK,omitempty"`
	CandidateCount     int64           `json:"candidateCount,omitempty"`
	MaxOutputTokens    int64           `json:"maxOutputTokens,omitempty"`
	StopSequences      []string        `json:"stopSequences,omitempty"`
	Seed               *int32          `json:"seed,omitempty"`
	PresencePenalty    *float64        `json:"presencePenalty,omitempty"`
	FrequencyPenalty   *float64        `json:"frequencyPenalty,omitempty"`
	ResponseMIMEType   string          `json:"responseMimeType,omitempty"`
	ResponseJSONSchema json.RawMessage `json:"responseJsonSchema,omitempty"`
	ThinkingConfig     *thinkingConfig `json:"thinkingConfig,omitempty"`
}

// always are the fields that every model takes, in one way or another. Token
// probabilities are not among them: Gemini has some, but our events do not.
var always = []string{"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "seed", "stop",
	"temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "tools", "tool_choice", "response_format"}

// translate turns a chat request into one for Gemini.
func (p *Provider) translate(req *llm.Request) (*request, error) {
	chat, err := req.Chat()
	if err != nil {
		return nil, err
	}
	w := &request{Contents: []content{}, GenerationConfig: generationConfig{
		Temperature: chat.Temperature, TopP: chat.TopP, TopK: chat.TopK, MaxOutputTokens: req.MaxTokens,
		PresencePenalty: nonZero(chat.PresencePenalty), FrequencyPenalty: nonZero(chat.FrequencyPenalty),
		StopSequences: slices.DeleteFunc(chat.Stop, func(s string) bool { return s == "" }),
	}}
	config := &w.GenerationConfig
	if req.N > 1 {
		config.CandidateCount = req.N
	}
	if chat.Seed != nil {
		config.Seed = new(int32(*chat.Seed)) // equal seeds stay equal
	}
	if err := w.converse(chat.Messages, generation(req.Model)); err != nil {
		return nil, err
	}
	w.offer(chat)
	w.shape(chat, generation(req.Model))

	done := append([]string(nil), always...)
	var followed bool
	if config.ThinkingConfig, followed = think(req.Model, chat); followed {
		done = append(done, "reasoning_effort")
	}
	if len(chat.Tools) == 0 { // else one at a time cannot be asked for
		done = append(done, "parallel_tool_calls")
	}
	switch chat.ServiceTier {
	case "flex", "priority":
		w.ServiceTier = chat.ServiceTier
		done = append(done, "service_tier")
	case "auto", "default":
		done = append(done, "service_tier")
	}
	return w, req.Drop(p.name(), done...)
}

// offer translates the tools and the choice among them.
func (w *request) offer(chat *llm.Chat) {
	if len(chat.Tools) == 0 {
		return
	}
	var list []function
	for _, t := range chat.Tools {
		list = append(list, function{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
	}
	w.Tools = []tools{{FunctionDeclarations: list}}
	var config callingConfig
	switch chat.ToolChoice.Mode {
	case "auto":
		config.Mode = "AUTO"
	case "none":
		config.Mode = "NONE"
	case "required", "any":
		config.Mode = "ANY"
	case "function":
		config.Mode, config.AllowedFunctionNames = "ANY", []string{chat.ToolChoice.Name}
	default:
		return
	}
	w.ToolConfig = &toolConfig{config}
}

// shape translates response_format. Before Gemini 3 the API refuses JSON mode
// beside tools; there the model is asked instead.
func (w *request) shape(chat *llm.Chat, version int) {
	f := chat.ResponseFormat
	if f.Type != "json_object" && f.Type != "json_schema" {
		return
	}
	if len(w.Tools) == 0 || version >= 30 {
		w.GenerationConfig.ResponseMIMEType = "application/json"
		w.GenerationConfig.ResponseJSONSchema = f.Schema
		return
	}
	text := "When you give your final answer, give one valid JSON value and nothing else: no explanation, no Markdown."
	if f.Schema != nil {
		text += " It must be valid against this JSON Schema:\n" + string(f.Schema)
	}
	if w.SystemInstruction == nil {
		w.SystemInstruction = &content{}
	}
	w.SystemInstruction.Parts = append(w.SystemInstruction.Parts, part{Text: text})
}

func nonZero(f *float64) *float64 {
	if f != nil && *f == 0 {
		return nil // the default; models that have no penalties refuse even that
	}
	return f
}
