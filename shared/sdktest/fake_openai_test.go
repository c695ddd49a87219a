package sdktest_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
)

var openaiProtocol = protocol{
	name:       "openai",
	authorized: func(h http.Header) bool { return h.Get("Authorization") == "Bearer "+openaiKey },
	question:   openaiQuestion,
	answer:     openaiAnswer,
	stream:     openaiStream,
	failure:    openaiFailure,
}

func openaiQuestion(_ *http.Request, body []byte) (*question, error) {
	var b struct {
		Model    string
		Messages []struct {
			Role       string
			Content    any
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID, Type string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Stream        bool
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		N     int
		Tools []struct {
			Type     string
			Function struct{ Name string }
		}
		ToolChoice     any `json:"tool_choice"`
		ResponseFormat struct {
			Type       string
			JSONSchema struct{ Schema json.RawMessage } `json:"json_schema"`
		} `json:"response_format"`
		ReasoningEffort string `json:"reasoning_effort"`
		Logprobs        bool
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	q := &question{Model: b.Model, Stream: b.Stream, N: max(1, b.N), Calls: map[string]string{}, Schema: b.ResponseFormat.JSONSchema.Schema,
		Thinks: b.ReasoningEffort != "", Logprobs: b.Logprobs}
	if strings.Contains(b.Model, "/") || b.Model == "" {
		return nil, fmt.Errorf("model %q is not OpenAI's", b.Model)
	}
	if b.Stream && !b.StreamOptions.IncludeUsage {
		return nil, errors.New("a stream without its usage")
	}
	for _, m := range b.Messages {
		text := ""
		switch c := m.Content.(type) {
		case string:
			text = c
		case []any:
			for _, p := range c {
				part := p.(object)
				switch part["type"] {
				case "text":
					text += part["text"].(string)
				case "image_url":
					image, err := imageURL(part["image_url"].(object)["url"].(string))
					if err != nil {
						return nil, err
					}
					q.Images = append(q.Images, image)
				default:
					return nil, fmt.Errorf("a part of type %v", part["type"])
				}
			}
		}
		switch m.Role {
		case "system", "developer":
			q.System += text
		case "user":
			q.Prompt, q.Results = text, nil
		case "assistant":
			q.Results = nil
			for _, c := range m.ToolCalls {
				if c.ID == "" || c.Type != "function" || !json.Valid([]byte(c.Function.Arguments)) {
					return nil, fmt.Errorf("a malformed call: %+v", c)
				}
				q.Calls[c.ID] = c.Function.Name
			}
		case "tool":
			if q.Calls[m.ToolCallID] == "" {
				return nil, fmt.Errorf("a tool message for %q, which no message calls", m.ToolCallID)
			}
			q.Results = append(q.Results, text)
		default:
			return nil, fmt.Errorf("role %q", m.Role)
		}
	}
	for _, t := range b.Tools {
		if t.Type != "function" || t.Function.Name == "" {
			return nil, fmt.Errorf("tool %+v", t)
		}
		q.Tools = append(q.Tools, t.Function.Name)
	}
	switch c := b.ToolChoice.(type) {
	case string:
		q.Choice = c
	case object:
		q.Choice = c["function"].(object)["name"].(string)
	}
	return q, nil
}

// imageURL describes an image given as a data: URL.
func imageURL(url string) (string, error) {
	head, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil {
		return "", fmt.Errorf("image %.40q is no data: URL", url)
	}
	return fmt.Sprintf("%s of %d bytes", head, len(raw)), nil
}

func openaiUsage(a *reply) any {
	return object{"prompt_tokens": a.Input, "completion_tokens": a.Output, "total_tokens": a.Input + a.Output,
		"prompt_tokens_details":     object{"cached_tokens": a.Cached, "audio_tokens": 0},
		"completion_tokens_details": object{"reasoning_tokens": a.Reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
}

func openaiFinish(a *reply) string {
	if len(a.Calls) > 0 {
		return "tool_calls"
	}
	return "stop"
}

func logprobs(pieces ...string) any {
	list := []any{}
	for _, p := range pieces {
		list = append(list, object{"token": p, "logprob": -0.25, "bytes": nil, "top_logprobs": []any{}})
	}
	return object{"content": list, "refusal": nil}
}

func openaiAnswer(q *question, a *reply) []byte {
	var choices []any
	for i := range q.N {
		m := object{"role": "assistant", "content": a.text(), "refusal": nil, "annotations": []any{}}
		if a.Thinking != nil {
			m["reasoning_content"] = strings.Join(a.Thinking, "")
		}
		if a.Calls != nil {
			var calls []any
			for _, c := range a.Calls {
				calls = append(calls, object{"id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": c.Arguments}})
			}
			m["content"], m["tool_calls"] = nil, calls
		}
		choice := object{"index": i, "message": m, "logprobs": nil, "finish_reason": openaiFinish(a)}
		if q.Logprobs {
			choice["logprobs"] = logprobs(a.Text...)
		}
		choices = append(choices, choice)
	}
	out := object{"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion", "created": 1741570283, "model": q.Model + "-2024-07-18",
		"choices": choices, "service_tier": "default", "system_fingerprint": "fp_fc9f1d7035"}
	if a.Metered {
		out["usage"] = openaiUsage(a)
	}
	return toJSON(out)
}

func openaiStream(q *question, a *reply) *script {
	s := &script{contentType: "text/event-stream; charset=utf-8", garbage: []byte("data: {\"choices\":[{\"delta\":\n\n"),
		failure: []byte("data: " + string(openaiFailure(500, "The server had an error.")) + "\n\n")}
	chunk := func(choices []any, usage any) {
		s.events = append(s.events, fmt.Appendf(nil, "data: %s\n\n", toJSON(object{"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
			"object": "chat.completion.chunk", "created": 1741570283, "model": q.Model + "-2024-07-18", "service_tier": "default",
			"system_fingerprint": "fp_fc9f1d7035", "choices": choices, "usage": usage, "obfuscation": "nSuJ"})))
	}
	delta := func(i int, d object, finish any) {
		choice := object{"index": i, "delta": d, "logprobs": nil, "finish_reason": finish}
		if text, ok := d["content"].(string); ok && q.Logprobs {
			choice["logprobs"] = logprobs(text)
		}
		chunk([]any{choice}, nil)
	}
	each := func(d object, finish any) {
		for i := range q.N {
			delta(i, d, finish)
		}
	}
	each(object{"role": "assistant", "content": "", "refusal": nil}, nil)
	for _, t := range a.Thinking {
		each(object{"reasoning_content": t}, nil)
	}
	for _, t := range a.Text {
		each(object{"content": t}, nil)
	}
	for i, c := range a.Calls {
		each(object{"tool_calls": []any{object{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""}}}}, nil)
		for _, part := range fragments(c.Arguments) {
			each(object{"tool_calls": []any{object{"index": i, "function": object{"arguments": part}}}}, nil)
		}
	}
	each(object{}, openaiFinish(a))
	if a.Metered {
		chunk([]any{}, openaiUsage(a))
	}
	s.events = append(s.events, []byte("data: [DONE]\n\n"))
	return s
}

func openaiFailure(status int, message string) []byte {
	e := object{"message": message, "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}
	if status == 429 {
		e = object{"message": message, "type": "tokens", "param": nil, "code": "rate_limit_exceeded"}
	} else if status >= 500 {
		e = object{"message": message, "type": "server_error", "param": nil, "code": nil}
	}
	return toJSON(object{"error": e})
}

func (f *fake) openaiEmbeddings(w http.ResponseWriter, r *http.Request) {
	body := f.receive(r, "openai")
	if !openaiProtocol.authorized(r.Header) {
		f.problem("openai: the gateway's key did not come")
	}
	var b struct {
		Model          string
		Input          any
		Dimensions     int
		EncodingFormat string `json:"encoding_format"`
	}
	if err := json.Unmarshal(body, &b); err != nil || strings.Contains(b.Model, "/") {
		f.problem("openai: embeddings: %v in %.200s", err, body)
	}
	inputs, ok := b.Input.([]any)
	if !ok {
		inputs = []any{b.Input}
	} else if len(inputs) > 0 {
		if _, number := inputs[0].(float64); number {
			inputs = []any{inputs} // one text's token ids
		}
	}
	f.note(r, body, fmt.Sprint(inputs[0]))
	for i, in := range inputs {
		switch what, _ := directive(fmt.Sprint(in)); what {
		case "fail":
			f.refuse(w, openaiProtocol, http.StatusBadRequest, "")
			return
		case "long":
			w.WriteHeader(http.StatusBadRequest)
			w.Write(toJSON(object{"error": object{"message": fmt.Sprintf("Invalid 'input[%d]': too long.", i), "type": "invalid_request_error", "param": "input", "code": "too_long"}}))
			return
		}
	}
	if b.Dimensions == 0 {
		b.Dimensions = 1536
	}
	data := []any{}
	for i, in := range inputs {
		var embedding any = vector(fmt.Sprint(in), b.Dimensions)
		if b.EncodingFormat == "base64" {
			var raw []byte
			for _, x := range embedding.([]float32) {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			embedding = base64.StdEncoding.EncodeToString(raw)
		}
		data = append(data, object{"object": "embedding", "index": i, "embedding": embedding})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(toJSON(object{"object": "list", "data": data, "model": b.Model, "usage": object{"prompt_tokens": 5 * len(inputs), "total_tokens": 5 * len(inputs)}}))
}

// vector is a unit vector that depends on the text.
func vector(text string, n int) []float32 {
	h := fnv.New64a()
	h.Write([]byte(text))
	x, sum := h.Sum64()|1, 0.0
	v := make([]float32, n)
	for i := range v {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		v[i] = float32(x%2000)/1000 - 1
		sum += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}
