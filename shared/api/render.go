package api

import (
	"strconv"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// chunkHead is what every chunk of one stream repeats.
type chunkHead struct {
	id, model string
	text      []byte // rendered, once known
}

func (h *chunkHead) learn(e *llm.Event) {
	if h.id == "" && e.ID != "" {
		h.id = e.ID
	}
	if h.model == "" && e.Model != "" {
		h.model = e.Model
	}
}

func (h *chunkHead) append(dst []byte, c *gateway.Call) []byte {
	if h.text == nil {
		h.text = appendHead(nil, "chat.completion.chunk", h.id, h.model, c)
	}
	return append(dst, h.text...)
}

// appendHead writes an answer's first members, up to and with the comma.
func appendHead(dst []byte, object, id, model string, c *gateway.Call) []byte {
	if id == "" {
		id = "chatcmpl-" + c.Record.ID
	}
	if model == "" {
		model = c.Record.Model
	}
	dst = append(dst, `{"id":`...)
	dst = rawjson.AppendString(dst, id)
	dst = append(dst, `,"object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, c.Record.Time.Unix(), 10)
	dst = append(dst, `,"model":`...)
	dst = rawjson.AppendString(dst, model)
	return append(dst, ',')
}

// appendChunk renders one parsed event.
func (h *chunkHead) appendChunk(dst []byte, e *llm.Event, role bool, c *gateway.Call) []byte {
	dst = h.append(dst, c)
	dst = append(dst, `"choices":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(e.Index), 10)
	dst = append(dst, `,"delta":{`...)
	open := len(dst)
	if role {
		dst = append(dst, `"role":"assistant",`...)
	}
	if e.Text != "" || role {
		dst = append(rawjson.AppendString(append(dst, `"content":`...), e.Text), ',')
	}
	if e.Reasoning != "" {
		dst = append(rawjson.AppendString(append(dst, `"reasoning_content":`...), e.Reasoning), ',')
	}
	if e.Refusal != "" {
		dst = append(rawjson.AppendString(append(dst, `"refusal":`...), e.Refusal), ',')
	}
	if e.Thinking != nil {
		dst = append(llm.AppendThinking(append(dst, `"thinking_blocks":`...), []llm.Thinking{*e.Thinking}), ',')
	}
	if len(e.Tools) > 0 {
		dst = append(dst, `"tool_calls":[`...)
		for i, t := range e.Tools {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"index":`...)
			dst = strconv.AppendInt(dst, int64(t.Index), 10)
			dst = llm.AppendToolCall(append(dst, ','), t.ID, t.Name, t.Arguments, t.Signature)
		}
		dst = append(dst, `],`...)
	}
	if len(dst) > open {
		dst = dst[:len(dst)-1]
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	dst = appendFinish(dst, e.Finish)
	dst = append(dst, `}]`...)
	if e.Notice != "" {
		dst = append(rawjson.AppendString(append(dst, `,"gateway":{"notice":`...), e.Notice), '}')
	}
	return append(dst, '}')
}

func appendFinish(dst []byte, finish string) []byte {
	if finish == "" {
		return append(dst, "null"...)
	}
	return rawjson.AppendString(dst, finish)
}

// appendUsage renders the usage chunk of a stream.
func (h *chunkHead) appendUsage(dst []byte, c *gateway.Call) []byte {
	dst = h.append(dst, c)
	dst = append(dst, `"choices":[],"usage":`...)
	dst = appendUsage(dst, c)
	dst = append(dst, `,"gateway":`...)
	return append(appendFigures(dst, c), '}')
}

// appendFailure renders the last chunk of a stream that broke. The error comes
// first: go-openai knows it by nothing else.
func (h *chunkHead) appendFailure(dst []byte, err error, c *gateway.Call) []byte {
	dst = append(appendError(append(dst, `{"error":`...), err), ',')
	dst = append(dst, h.append(nil, c)[len("{"):]...)
	return append(dst, `"choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"error"}]}`...)
}

func appendUsage(dst []byte, c *gateway.Call) []byte {
	r := &c.Record
	n := func(name string, v int64) {
		dst = append(dst, name...)
		dst = strconv.AppendInt(dst, v, 10)
	}
	n(`{"prompt_tokens":`, r.InputTokens)
	n(`,"completion_tokens":`, r.OutputTokens)
	n(`,"total_tokens":`, r.InputTokens+r.OutputTokens)
	n(`,"prompt_tokens_details":{"cached_tokens":`, r.CachedTokens)
	if r.CacheWriteTokens > 0 {
		n(`,"cache_write_tokens":`, r.CacheWriteTokens)
	}
	n(`},"completion_tokens_details":{"reasoning_tokens":`, r.ReasoningTokens)
	return append(dst, `}}`...)
}

// appendCompletion renders a whole answer from events that were not OpenAI's.
func appendCompletion(dst []byte, a *llm.Answer, c *gateway.Call) []byte {
	dst = appendHead(dst, "chat.completion", a.ID, a.Model, c)
	dst = append(dst, `"choices":[`...)
	for i, ch := range a.Choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"message":{"role":"assistant","content":`...)
		if ch.Text.Len() == 0 && len(ch.ToolCalls) > 0 {
			dst = append(dst, "null"...)
		} else {
			dst = rawjson.AppendString(dst, ch.Text.String())
		}
		if ch.Reasoning.Len() > 0 {
			dst = rawjson.AppendString(append(dst, `,"reasoning_content":`...), ch.Reasoning.String())
		}
		if len(ch.Thinking) > 0 {
			dst = llm.AppendThinking(append(dst, `,"thinking_blocks":`...), ch.Thinking)
		}
		dst = append(dst, `,"refusal":`...)
		dst = appendFinish(dst, ch.Refusal.String())
		if len(ch.ToolCalls) > 0 {
			dst = append(dst, `,"tool_calls":[`...)
			for j, t := range ch.ToolCalls {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = llm.AppendToolCall(append(dst, '{'), t.ID, t.Name, t.Arguments, t.Signature)
			}
			dst = append(dst, ']')
		}
		dst = append(dst, `},"logprobs":null,"finish_reason":`...)
		finish := ch.Finish
		if finish == "" {
			finish = "stop"
		}
		dst = append(rawjson.AppendString(dst, finish), '}')
	}
	dst = append(dst, `],"usage":`...)
	return append(appendUsage(dst, c), '}')
}
