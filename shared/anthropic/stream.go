package anthropic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/sse"
)

// message is an answer, and what message_start has of it.
type message struct {
	Type        string            `json:"type"`
	ID          string            `json:"id"`
	Model       string            `json:"model"`
	Content     []json.RawMessage `json:"content"`
	StopReason  string            `json:"stop_reason"`
	StopDetails stopDetails       `json:"stop_details"`
	Usage       json.RawMessage   `json:"usage"`
}

type stopDetails struct {
	Explanation string `json:"explanation"`
}

// usage is cumulative: what a later event says replaces what an earlier one
// said, field by field.
type usage struct {
	InputTokens              int64 `json:"input_tokens"`
	OutputTokens             int64 `json:"output_tokens"`
	CacheReadInputTokens     int64 `json:"cache_read_input_tokens"`
	CacheCreationInputTokens int64 `json:"cache_creation_input_tokens"`
	CacheCreation            struct {
		Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	OutputTokensDetails struct {
		ThinkingTokens int64 `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

// decoder turns the events of one answer into ours.
type decoder struct {
	client   *client
	emit     func(*llm.Event) error
	jsonTool string

	more     func() bool // whether the next event is there
	id       string
	model    string
	blocks   map[int]*blockState
	tools    int             // calls so far, without the jsonTool's
	answered bool            // the jsonTool was called
	aside    strings.Builder // text beside the jsonTool
	usage    usage
	hasUsage bool
	begun    bool // something was emitted
	stop     string
	refusal  string
}

// blockState is what must be remembered of a content block until it ends.
type blockState struct {
	kind      string // text, thinking, redacted_thinking, tool_use, json, or one that is skipped
	tool      int    // index among the tool calls
	hasInput  bool
	thinking  strings.Builder
	signature strings.Builder
	redacted  string
}

// stream reads events until message_stop.
func (d *decoder) stream(ctx context.Context, r *sse.Reader) error {
	d.more = r.More
	for {
		ev, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return d.client.Broken("ended its answer before it was complete", io.ErrUnexpectedEOF)
		case errors.Is(err, sse.ErrTooLarge):
			return d.client.Broken("sent an event that is too large", err)
		case err != nil:
			return d.client.NetError(ctx, err)
		}
		done, err := d.event(ev.Data)
		if done || err != nil {
			return err
		}
	}
}

// whole decodes an answer that was not streamed.
func (d *decoder) whole(body []byte) error {
	d.more = func() bool { return true } // nothing is gained by flushing between parts of one body
	var m message
	if json.Unmarshal(body, &m) != nil || m.Type != "message" {
		return d.client.notAnAnswer(body)
	}
	if err := d.start(&m); err != nil {
		return err
	}
	for i, b := range m.Content {
		if err := d.startBlock(i, b); err != nil {
			return err
		}
		if err := d.stopBlock(i); err != nil {
			return err
		}
	}
	d.stop, d.refusal = m.StopReason, m.StopDetails.Explanation
	d.more = func() bool { return false }
	return d.finish()
}

// event takes one event of a stream; done says that it was the last.
func (d *decoder) event(data []byte) (done bool, err error) {
	var buf [6]rawjson.Field
	fields, err := rawjson.Object(buf[:0], data, llm.MaxDepth)
	if err != nil {
		return false, d.client.Broken("sent an event that cannot be read", err)
	}
	index := 0
	if n, ok := rawjson.Int(rawjson.Get(fields, "index")); ok {
		index = int(n)
	}
	kind, _ := rawjson.String(rawjson.Get(fields, "type"))
	switch kind {
	case "content_block_delta":
		return false, d.delta(index, rawjson.Get(fields, "delta"))
	case "content_block_start":
		return false, d.startBlock(index, rawjson.Get(fields, "content_block"))
	case "content_block_stop":
		return false, d.stopBlock(index)
	case "message_start":
		var m message
		if err := d.decode(rawjson.Get(fields, "message"), &m); err != nil {
			return false, err
		}
		return false, d.start(&m)
	case "message_delta":
		var m message
		if err := d.decode(rawjson.Get(fields, "delta"), &m); err != nil {
			return false, err
		}
		if m.StopReason != "" {
			d.stop = m.StopReason
		}
		if m.StopDetails.Explanation != "" {
			d.refusal = m.StopDetails.Explanation
		}
		return false, d.count(rawjson.Get(fields, "usage"))
	case "message_stop":
		return true, d.finish()
	case "error":
		return true, d.client.notAnAnswer(data)
	}
	return false, nil // ping, and what may come
}

func (d *decoder) decode(data []byte, into any) error {
	if rawjson.IsNull(data) {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return d.client.Broken("sent an event that cannot be read", err)
	}
	return nil
}

// send emits e, with the answer's id and model if it is the first, and with what
// its prompt cost: much of that may have come from a cache.
func (d *decoder) send(e llm.Event) error {
	if !d.begun && d.hasUsage {
		e.SoFar = d.billed()
	}
	d.begun = true
	e.ID, e.Model, d.id, d.model = d.id, d.model, "", ""
	e.More = d.more()
	return d.emit(&e)
}

func (d *decoder) start(m *message) error {
	d.id, d.model = m.ID, m.Model
	return d.count(m.Usage)
}

func (d *decoder) count(u json.RawMessage) error {
	d.hasUsage = d.hasUsage || !rawjson.IsNull(u)
	return d.decode(u, &d.usage)
}

func (d *decoder) startBlock(index int, data []byte) error {
	var b struct {
		Type      string          `json:"type"`
		Text      string          `json:"text"`
		Thinking  string          `json:"thinking"`
		Signature string          `json:"signature"`
		Data      string          `json:"data"`
		ID        string          `json:"id"`
		Name      string          `json:"name"`
		Input     json.RawMessage `json:"input"`
	}
	if err := d.decode(data, &b); err != nil {
		return err
	}
	s := &blockState{kind: b.Type, redacted: b.Data}
	if d.blocks == nil {
		d.blocks = map[int]*blockState{}
	}
	d.blocks[index] = s
	switch b.Type {
	case "text":
		return d.text(b.Text)
	case "thinking":
		s.signature.WriteString(b.Signature)
		return d.think(s, b.Thinking)
	case "tool_use":
		if b.Name == d.jsonTool && d.jsonTool != "" {
			s.kind, d.answered = "json", true
		} else {
			s.tool = d.tools
			d.tools++
			if err := d.send(llm.Event{Tools: []llm.ToolDelta{{Index: s.tool, ID: b.ID, Name: b.Name}}}); err != nil {
				return err
			}
		}
		var input bytes.Buffer
		if json.Compact(&input, b.Input) == nil && input.Len() > len("{}") { // which only holds the place
			return d.input(s, input.String())
		}
	}
	return nil
}

func (d *decoder) delta(index int, data []byte) error {
	s := d.blocks[index]
	if s == nil || rawjson.Kind(data) != "object" {
		return d.client.Broken("sent a piece of a block that was never begun", nil)
	}
	var buf [4]rawjson.Field
	fields := rawjson.Fields(buf[:0], data)
	get := func(name string) string {
		text, _ := rawjson.String(rawjson.Get(fields, name))
		return text
	}
	switch get("type") {
	case "text_delta":
		return d.text(get("text"))
	case "input_json_delta":
		return d.input(s, get("partial_json"))
	case "thinking_delta":
		return d.think(s, get("thinking"))
	case "signature_delta":
		s.signature.WriteString(get("signature"))
	}
	return nil
}

func (d *decoder) stopBlock(index int) error {
	s := d.blocks[index]
	if s == nil {
		return nil
	}
	delete(d.blocks, index)
	switch {
	case s.kind == "thinking":
		return d.send(llm.Event{Thinking: &llm.Thinking{Text: s.thinking.String(), Signature: s.signature.String()}})
	case s.kind == "redacted_thinking":
		return d.send(llm.Event{Thinking: &llm.Thinking{Redacted: s.redacted}})
	case (s.kind == "tool_use" || s.kind == "json") && !s.hasInput:
		return d.input(s, "{}")
	}
	return nil
}

// text emits a piece of text. Where a tool's input is to be the answer, text
// beside it would spoil the JSON: it is kept, for the case that none comes.
func (d *decoder) text(text string) error {
	switch {
	case text == "":
		return nil
	case d.jsonTool != "":
		d.aside.WriteString(text)
		return nil
	}
	return d.send(llm.Event{Text: text})
}

func (d *decoder) think(s *blockState, text string) error {
	if text == "" {
		return nil
	}
	s.thinking.WriteString(text)
	return d.send(llm.Event{Reasoning: text})
}

func (d *decoder) input(s *blockState, piece string) error {
	switch {
	case piece == "":
		return nil
	case s.kind == "json":
		s.hasInput = true
		return d.send(llm.Event{Text: piece})
	case s.kind == "tool_use":
		s.hasInput = true
		return d.send(llm.Event{Tools: []llm.ToolDelta{{Index: s.tool, Arguments: piece}}})
	}
	return nil // of a tool that runs at Anthropic's
}

func (d *decoder) finish() error {
	e := llm.Event{Finish: "stop"}
	if !d.answered {
		e.Text = d.aside.String()
	}
	switch d.stop {
	case "max_tokens", "model_context_window_exceeded":
		e.Finish = "length"
	case "refusal":
		e.Finish, e.Refusal = "content_filter", d.refusal
	case "tool_use", "":
		if d.tools > 0 { // the jsonTool is none
			e.Finish = "tool_calls"
		}
	}
	if d.hasUsage {
		e.Usage = d.billed()
	}
	return d.send(e)
}

// billed is what was counted until now.
func (d *decoder) billed() *llm.Usage {
	u := d.usage
	hour := min(u.CacheCreation.Ephemeral1h, u.CacheCreationInputTokens)
	return &llm.Usage{
		Input:       u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens,
		CachedInput: u.CacheReadInputTokens,
		CacheWrite:  u.CacheCreationInputTokens - hour, CacheWrite1h: hour,
		Output: u.OutputTokens, Reasoning: u.OutputTokensDetails.ThinkingTokens,
	}
}
