package sdktest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

var bedrockProtocol = protocol{
	name: "bedrock",
	authorized: func(h http.Header) bool {
		return strings.HasPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+bedrockID+"/") && strings.Contains(h.Get("Authorization"), "/us-east-1/bedrock/aws4_request")
	},
	question: bedrockQuestion,
	answer:   bedrockAnswer,
	stream:   bedrockStream,
	failure:  func(_ int, message string) []byte { return toJSON(object{"message": message}) },
}

type bedrockBlock struct {
	Text  string `json:"text"`
	Image *struct {
		Format string                 `json:"format"`
		Source struct{ Bytes []byte } `json:"source"`
	} `json:"image"`
	ToolUse *struct {
		ID    string          `json:"toolUseId"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	} `json:"toolUse"`
	ToolResult *struct {
		ID      string         `json:"toolUseId"`
		Status  string         `json:"status"`
		Content []bedrockBlock `json:"content"`
	} `json:"toolResult"`
	JSON             json.RawMessage `json:"json"`
	ReasoningContent json.RawMessage `json:"reasoningContent"`
}

func bedrockQuestion(r *http.Request, body []byte) (*question, error) {
	var b struct {
		Messages []struct {
			Role    string         `json:"role"`
			Content []bedrockBlock `json:"content"`
		} `json:"messages"`
		System          []bedrockBlock `json:"system"`
		InferenceConfig struct {
			MaxTokens     int      `json:"maxTokens"`
			Temperature   *float64 `json:"temperature"`
			TopP          *float64 `json:"topP"`
			StopSequences []string `json:"stopSequences"`
		} `json:"inferenceConfig"`
		ToolConfig struct {
			Tools []struct {
				ToolSpec struct {
					Name        string `json:"name"`
					Description string `json:"description"`
					InputSchema struct {
						JSON json.RawMessage `json:"json"`
					} `json:"inputSchema"`
					Strict bool `json:"strict"`
				} `json:"toolSpec"`
			} `json:"tools"`
			ToolChoice map[string]struct{ Name string } `json:"toolChoice"`
		} `json:"toolConfig"`
		Fields struct {
			Thinking *struct {
				Type string `json:"type"`
			} `json:"thinking"`
			ReasoningConfig any `json:"reasoning_config"`
			OutputConfig    any `json:"output_config"`
		} `json:"additionalModelRequestFields"`
		OutputConfig struct {
			TextFormat struct {
				Type      string `json:"type"`
				Structure struct {
					JSONSchema struct {
						Name   string `json:"name"`
						Schema string `json:"schema"`
					} `json:"jsonSchema"`
				} `json:"structure"`
			} `json:"textFormat"`
		} `json:"outputConfig"`
		RequestMetadata map[string]string `json:"requestMetadata"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	q := &question{Model: r.PathValue("model"), Stream: strings.HasSuffix(r.URL.Path, "/converse-stream"), N: 1, Calls: map[string]string{},
		Thinks: b.Fields.Thinking != nil}
	if s := b.OutputConfig.TextFormat.Structure.JSONSchema.Schema; s != "" {
		q.Schema = json.RawMessage(s)
	}
	if b.InferenceConfig.MaxTokens < 1 {
		return nil, errors.New("inferenceConfig.maxTokens is missing: the model's whole window counts against the quota")
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
			case c.ToolUse != nil && m.Role == "assistant" && c.ToolUse.ID != "" && len(c.ToolUse.Input) > 0 && c.ToolUse.Input[0] == '{':
				q.Calls[c.ToolUse.ID] = c.ToolUse.Name
			case c.ToolResult != nil && m.Role == "user" && q.Calls[c.ToolResult.ID] != "":
				for _, part := range c.ToolResult.Content {
					q.Results = append(q.Results, part.Text+string(part.JSON))
				}
			case c.Image != nil && m.Role == "user":
				q.Images = append(q.Images, fmt.Sprintf("image/%s of %d bytes", c.Image.Format, len(c.Image.Source.Bytes)))
			case strings.TrimSpace(c.Text) != "":
				if m.Role == "user" {
					q.Prompt = c.Text
				}
			case c.ReasoningContent != nil && m.Role == "assistant":
			default:
				return nil, fmt.Errorf("messages.%d: block %+v from the %s", i, c, m.Role)
			}
		}
	}
	for _, t := range b.ToolConfig.Tools {
		q.Tools = append(q.Tools, t.ToolSpec.Name)
	}
	if len(q.Calls) > 0 && len(q.Tools) == 0 {
		return nil, errors.New("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
	}
	for kind, c := range b.ToolConfig.ToolChoice {
		q.Choice = map[string]string{"any": "required", "tool": c.Name}[kind]
	}
	return q, nil
}

func bedrockStop(a *reply) string {
	if len(a.Calls) > 0 {
		return "tool_use"
	}
	return "end_turn"
}

func bedrockUsage(a *reply) object {
	return object{"inputTokens": a.Input - a.Cached, "cacheReadInputTokens": a.Cached, "cacheWriteInputTokens": 0, "outputTokens": a.Output, "totalTokens": a.Input + a.Output}
}

func bedrockAnswer(_ *question, a *reply) []byte {
	content := []any{}
	if a.Thinking != nil {
		content = append(content, object{"reasoningContent": object{"reasoningText": object{"text": strings.Join(a.Thinking, ""), "signature": anthropicSignature}}})
	}
	if a.Text != nil {
		content = append(content, object{"text": a.text()})
	}
	for _, c := range a.Calls {
		content = append(content, object{"toolUse": object{"toolUseId": "tooluse_" + c.ID, "name": c.Name, "input": json.RawMessage(c.Arguments)}})
	}
	out := object{"output": object{"message": object{"role": "assistant", "content": content}}, "stopReason": bedrockStop(a), "metrics": object{"latencyMs": 3}}
	if a.Metered {
		out["usage"] = bedrockUsage(a)
	}
	return toJSON(out)
}

// bedrockStream writes Amazon's binary events.
func bedrockStream(_ *question, a *reply) *script {
	frame := func(kind, name string, payload any) []byte {
		m := eventstream.Message{Payload: toJSON(payload)}
		m.Headers.Set(":message-type", eventstream.StringValue(kind))
		m.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
		m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
		var b bytes.Buffer
		if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
			panic(err) // of the tests' own making
		}
		return b.Bytes()
	}
	s := &script{contentType: "application/vnd.amazon.eventstream", garbage: []byte("this is no frame, but long enough to be one"),
		failure: frame("exception", "modelStreamErrorException", object{"message": "The model failed."})}
	event := func(name string, payload object) { s.events = append(s.events, frame("event", name, payload)) }
	index := 0
	block := func(deltas ...object) {
		for _, d := range deltas {
			event("contentBlockDelta", object{"contentBlockIndex": index, "delta": d})
		}
		event("contentBlockStop", object{"contentBlockIndex": index})
		index++
	}
	event("messageStart", object{"role": "assistant"})
	if a.Thinking != nil {
		var deltas []object
		for _, t := range a.Thinking {
			deltas = append(deltas, object{"reasoningContent": object{"text": t}})
		}
		block(append(deltas, object{"reasoningContent": object{"signature": anthropicSignature}})...)
	}
	if a.Text != nil {
		var deltas []object
		for _, t := range a.Text {
			deltas = append(deltas, object{"text": t})
		}
		block(deltas...)
	}
	for _, c := range a.Calls {
		event("contentBlockStart", object{"contentBlockIndex": index, "start": object{"toolUse": object{"toolUseId": "tooluse_" + c.ID, "name": c.Name}}})
		var deltas []object
		for _, part := range fragments(c.Arguments) {
			deltas = append(deltas, object{"toolUse": object{"input": part}})
		}
		block(deltas...)
	}
	event("messageStop", object{"stopReason": bedrockStop(a)})
	if a.Metered {
		event("metadata", object{"usage": bedrockUsage(a), "metrics": object{"latencyMs": 3}})
	}
	return s
}
