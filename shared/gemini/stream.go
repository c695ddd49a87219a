package gemini

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/sse"
)

// tokens reads usageMetadata; nil if there was none, or nothing readable.
func tokens(raw []byte) *llm.Usage {
	var buf [8]rawjson.Field
	fields, ok := object(buf[:0], raw), rawjson.Kind(raw) == "object"
	count := func(name string) int64 {
		v := rawjson.Get(fields, name)
		n, whole := rawjson.Int(v)
		ok = ok && (whole || rawjson.IsNull(v))
		return n
	}
	thoughts := count("thoughtsTokenCount")
	u := &llm.Usage{
		Input: count("promptTokenCount") + count("toolUsePromptTokenCount"), CachedInput: count("cachedContentTokenCount"),
		Output: count("candidatesTokenCount") + thoughts, Reasoning: thoughts,
	}
	if !ok {
		return nil
	}
	return u
}

// maxCandidates is more than anybody can ask for.
const maxCandidates = 128

// decoder turns the chunks of one answer into our events.
//
// The protocol has no terminal event: a candidate is complete when a chunk has
// said its finishReason and no other follows. Some models say STOP in every
// chunk, so that the end is told when the stream has ended; the usage, which
// every chunk repeats, is told then too.
type decoder struct {
	client  *client
	emit    func(*llm.Event) error
	request string // our id, for the ids of calls

	id, model  string
	candidates []candidate
	calls      int    // of all candidates, for their ids
	usage      []byte // the last usageMetadata, read when it is final
	blocked    bool   // the prompt was refused: no candidate will come
}

type candidate struct {
	calls  int
	seen   bool
	finish string
}

// stream reads chunks until the upstream ends the stream.
func (d *decoder) stream(ctx context.Context, r *sse.Reader) error {
	for {
		ev, err := r.Next()
		switch {
		case err != nil && d.complete(): // how the connection ended does not matter any more
			return d.end()
		case errors.Is(err, io.EOF):
			return d.client.Broken("ended its answer before it was complete", io.ErrUnexpectedEOF)
		case errors.Is(err, sse.ErrTooLarge):
			return d.client.Broken("sent an event that is too large", err)
		case err != nil:
			return d.client.NetError(ctx, err)
		}
		if err := d.chunk(ev.Data, r.More()); err != nil {
			return err
		}
		if d.blocked {
			return d.end()
		}
	}
}

// whole decodes an answer that was not streamed.
func (d *decoder) whole(body []byte) error {
	if err := d.chunk(body, true); err != nil {
		return err
	}
	if !d.complete() {
		return d.client.Broken("sent an answer without an end", nil)
	}
	return d.end()
}

// chunk takes one chunk of a stream, or a whole answer. It reads in place what
// it needs, since nearly all of a chunk repeats what the one before has said.
func (d *decoder) chunk(data []byte, more bool) error {
	var buf [8]rawjson.Field
	fields, err := rawjson.Object(buf[:0], data, llm.MaxDepth)
	if err != nil || !rawjson.IsNull(rawjson.Get(fields, "error")) {
		return d.client.notAnAnswer(data)
	}
	if d.id == "" && len(d.candidates) == 0 {
		d.id, d.model = str(fields, "responseId"), str(fields, "modelVersion")
	}
	if u := rawjson.Get(fields, "usageMetadata"); !rawjson.IsNull(u) {
		d.usage = append(d.usage[:0], u...)
	}
	candidates := rawjson.Get(fields, "candidates")
	if rawjson.Kind(candidates) == "array" {
		err = rawjson.Elements(candidates, func(_ int, v []byte) error { return d.take(v, more) })
	}
	if err == nil && len(d.candidates) == 0 && str(object(nil, rawjson.Get(fields, "promptFeedback")), "blockReason") != "" {
		d.blocked = true
		d.candidates = []candidate{{seen: true, finish: "content_filter"}}
	}
	return err
}

// take emits what a chunk has of one candidate.
func (d *decoder) take(v []byte, more bool) error {
	var buf [6]rawjson.Field
	fields := object(buf[:0], v)
	index, _ := rawjson.Int(rawjson.Get(fields, "index"))
	if index < 0 || index >= maxCandidates {
		return d.client.Broken("numbered its answers strangely", nil)
	}
	for len(d.candidates) <= int(index) {
		d.candidates = append(d.candidates, candidate{})
	}
	c := &d.candidates[index]
	c.seen = true
	e := llm.Event{Index: int(index), More: more}
	var inner [2]rawjson.Field
	if parts := rawjson.Get(object(inner[:0], rawjson.Get(fields, "content")), "parts"); rawjson.Kind(parts) == "array" {
		var text, reasoning strings.Builder
		rawjson.Elements(parts, func(_ int, p []byte) error {
			d.part(&e, &text, &reasoning, c, p)
			return nil
		})
		e.Text, e.Reasoning = text.String(), reasoning.String()
	}
	if e.Text != "" || e.Reasoning != "" || e.Tools != nil {
		e.SoFar = tokens(d.usage) // thoughts, which may be most of it, are not to be seen
		if err := d.send(e); err != nil {
			return err
		}
	}
	if reason := str(fields, "finishReason"); reason != "" && reason != "FINISH_REASON_UNSPECIFIED" {
		if c.finish = finish(reason); c.finish == "" {
			return d.client.Broken("stopped because the model went wrong ("+reason+")", nil)
		}
	}
	return nil
}

// part adds one part to e, whose texts are built beside it. Images and code that
// the model ran are left out: OpenAI's format has no place for them.
func (d *decoder) part(e *llm.Event, text, reasoning *strings.Builder, c *candidate, p []byte) {
	var buf [4]rawjson.Field
	fields := object(buf[:0], p)
	call := rawjson.Get(fields, "functionCall")
	switch {
	case rawjson.Kind(call) == "object":
		call := object(nil, call)
		id := str(call, "id")
		if id == "" {
			id = fmt.Sprintf("call_%s_%d", d.request, d.calls)
		}
		args := &bytes.Buffer{}
		if json.Compact(args, rawjson.Get(call, "args")) != nil || rawjson.IsNull(args.Bytes()) {
			args = bytes.NewBufferString("{}")
		}
		e.Tools = append(e.Tools, llm.ToolDelta{Index: c.calls, ID: id, Name: str(call, "name"), Arguments: args.String(),
			Signature: str(fields, "thoughtSignature")})
		c.calls++
		d.calls++
	case string(rawjson.Get(fields, "thought")) == "true":
		reasoning.WriteString(str(fields, "text"))
	default:
		text.WriteString(str(fields, "text"))
	}
}

// object returns the fields of a value, none if it is no object.
func object(dst []rawjson.Field, v []byte) []rawjson.Field {
	if rawjson.Kind(v) != "object" {
		return nil
	}
	return rawjson.Fields(dst, v)
}

// str returns the text of a field, "" if it has none.
func str(fields []rawjson.Field, name string) string {
	s, _ := rawjson.String(rawjson.Get(fields, name))
	return s
}

// finish translates a finishReason. It returns "" where the model failed at a
// call: told as a "stop" that would be an empty answer, which nobody retries.
func finish(reason string) string {
	switch reason {
	case "STOP":
		return "stop"
	case "MAX_TOKENS":
		return "length"
	case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return "content_filter"
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE":
		return ""
	}
	return "stop" // OTHER, and what may come
}

// send emits e, with the answer's id and model if it is the first.
func (d *decoder) send(e llm.Event) error {
	e.ID, e.Model, d.id, d.model = d.id, d.model, "", ""
	return d.emit(&e)
}

// complete reports whether every candidate that was begun has an end.
func (d *decoder) complete() bool {
	n := 0
	for _, c := range d.candidates {
		if c.seen && c.finish == "" {
			return false
		}
		if c.seen {
			n++
		}
	}
	return n > 0
}

// end tells how the candidates ended, and with the last the usage.
func (d *decoder) end() error {
	for i, c := range d.candidates {
		if !c.seen {
			continue
		}
		e := llm.Event{Index: i, Finish: c.finish, More: i < len(d.candidates)-1}
		if c.finish == "stop" && c.calls > 0 {
			e.Finish = "tool_calls"
		}
		if !e.More {
			e.Usage = tokens(d.usage)
		}
		if err := d.send(e); err != nil {
			return err
		}
	}
	return nil
}
