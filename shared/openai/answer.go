package openai

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// maxDepth bounds the nesting of an upstream's JSON.
const maxDepth = 256

// answer is a JSON object that the upstream sent: a whole answer or a chunk.
type answer struct {
	raw    []byte
	fields []rawjson.Field
}

// readAnswer reads an answer whole. A body that is no JSON object, or that
// reports an error under status 200, is an error.
func readAnswer(ctx context.Context, c *upstream.Client, resp *http.Response) (*answer, error) {
	body, err := c.ReadAll(ctx, resp)
	if err != nil {
		return nil, err
	}
	a := &answer{raw: bytes.TrimSpace(body)} // some send spaces to keep the connection alive
	if len(a.raw) == 0 {
		return nil, c.Broken("sent an empty answer", nil)
	}
	if a.fields, err = rawjson.Object(nil, a.raw, maxDepth); err != nil {
		return nil, c.Broken("sent an answer that is not JSON", errors.Join(err, excerpt(a.raw)))
	}
	if reportsError(a.fields) {
		return nil, reported(c, resp.Header, a.raw)
	}
	return a, nil
}

// emitWhole passes the answer on as it is.
func (a *answer) emitWhole(need llm.Need, emit func(*llm.Event) error) error {
	choices := a.choices()
	first := &llm.Event{}
	if len(choices) > 0 {
		first = choices[0].event(need)
	}
	a.describe(first)
	first.Raw = a.raw
	first.Usage = parseUsage(rawjson.Get(a.fields, "usage"))
	for _, ch := range choices {
		n, _ := generated(ch.content, 0)
		first.Bytes += n
	}
	if err := emit(first); err != nil || need&llm.NeedText == 0 {
		return err
	}
	for _, ch := range choices[min(1, len(choices)):] {
		ev := ch.event(need)
		ev.Repeats = true
		if err := emit(ev); err != nil {
			return err
		}
	}
	return nil
}

// emitAsStream takes the answer apart for a client that wants a stream.
func (a *answer) emitAsStream(emit func(*llm.Event) error) error {
	for i, ch := range a.choices() {
		ev := ch.event(llm.NeedText)
		if i == 0 {
			a.describe(ev)
		}
		if err := emit(ev); err != nil {
			return err
		}
	}
	if u := parseUsage(rawjson.Get(a.fields, "usage")); u != nil {
		return emit(&llm.Event{Usage: u, UsageOnly: true})
	}
	return nil
}

func (a *answer) describe(ev *llm.Event) {
	ev.ID, _ = rawjson.String(rawjson.Get(a.fields, "id"))
	ev.Model, _ = rawjson.String(rawjson.Get(a.fields, "model"))
}

// choice is one element of choices.
type choice struct {
	value   []byte
	index   int
	finish  string
	content []byte // the object called message, or delta in a chunk
}

func (a *answer) choices() []choice {
	list := rawjson.Get(a.fields, "choices")
	if rawjson.Kind(list) != "array" {
		return nil
	}
	var choices []choice
	rawjson.Elements(list, func(i int, v []byte) error {
		if i == maxChoices {
			return rawjson.ErrEnough
		}
		if rawjson.Kind(v) != "object" {
			return nil
		}
		ch := choice{value: v, index: i}
		for _, f := range rawjson.Fields(make([]rawjson.Field, 0, 8), v) {
			switch f.Name {
			case "index":
				if n, ok := rawjson.Int(f.Value); ok && 0 <= n && n < maxChoices {
					ch.index = int(n)
				}
			case "finish_reason":
				ch.finish, _ = rawjson.String(f.Value)
			case "message", "delta":
				if rawjson.Kind(f.Value) == "object" {
					ch.content = f.Value
				}
			}
		}
		choices = append(choices, ch)
		return nil
	})
	return choices
}

// maxChoices bounds the elements that are read and the indices that are
// believed: receivers make lists of that length. OpenAI allows 128 choices and
// 128 tools.
const maxChoices = 1024

func (ch *choice) event(need llm.Need) *llm.Event {
	ev := &llm.Event{Index: ch.index, Finish: ch.finish}
	if need&llm.NeedText != 0 && ch.content != nil {
		ch.fill(ev)
	}
	return ev
}

// fill sets the parsed fields of ev.
func (ch *choice) fill(ev *llm.Event) {
	for _, f := range rawjson.Fields(make([]rawjson.Field, 0, 8), ch.content) {
		switch f.Name {
		case "content":
			if rawjson.Kind(f.Value) == "array" {
				text, thinking := parts(f.Value)
				ev.Text = text
				ev.Reasoning += thinking
			} else {
				ev.Text, _ = rawjson.String(f.Value)
			}
		case "reasoning_content", "reasoning": // DeepSeek's name and OpenRouter's; some send both
			if ev.Reasoning == "" {
				ev.Reasoning, _ = rawjson.String(f.Value)
			}
		case "refusal":
			ev.Refusal, _ = rawjson.String(f.Value)
		case "tool_calls":
			if rawjson.Kind(f.Value) == "array" {
				ev.Tools = toolCalls(f.Value)
			}
		case "function_call": // the old form of a single call
			if rawjson.Kind(f.Value) == "object" && ev.Tools == nil {
				d := llm.ToolDelta{}
				function(f.Value, &d)
				d.ID = d.Name
				ev.Tools = []llm.ToolDelta{d}
			}
		}
	}
}

// parts reads content that is a list, as Mistral's reasoning models send it.
func parts(list []byte) (text, reasoning string) {
	var said, thought strings.Builder
	rawjson.Elements(list, func(_ int, v []byte) error {
		if rawjson.Kind(v) != "object" {
			return nil
		}
		for _, f := range rawjson.Fields(nil, v) {
			switch f.Name {
			case "text":
				s, _ := rawjson.String(f.Value)
				said.WriteString(s)
			case "thinking":
				if rawjson.Kind(f.Value) == "array" {
					inner, _ := parts(f.Value)
					thought.WriteString(inner)
				}
			}
		}
		return nil
	})
	return said.String(), thought.String()
}

func toolCalls(list []byte) []llm.ToolDelta {
	var calls []llm.ToolDelta
	rawjson.Elements(list, func(i int, v []byte) error {
		if i == maxChoices {
			return rawjson.ErrEnough
		}
		if rawjson.Kind(v) != "object" {
			return nil
		}
		d := llm.ToolDelta{Index: i}
		for _, f := range rawjson.Fields(make([]rawjson.Field, 0, 8), v) {
			switch f.Name {
			case "index":
				if n, ok := rawjson.Int(f.Value); ok && 0 <= n && n < maxChoices {
					d.Index = int(n)
				}
			case "id":
				d.ID, _ = rawjson.String(f.Value)
			case "function":
				function(f.Value, &d)
			case "extra_content": // Gemini behind an OpenAI face
				google := member(f.Value, "google")
				d.Signature, _ = rawjson.String(member(google, "thought_signature"))
			}
		}
		calls = append(calls, d)
		return nil
	})
	return calls
}

func function(v []byte, d *llm.ToolDelta) {
	d.Name, _ = rawjson.String(member(v, "name"))
	d.Arguments, _ = rawjson.String(member(v, "arguments"))
}

// member returns a field of v, or nil if v is no object.
func member(v []byte, name string) []byte {
	if rawjson.Kind(v) != "object" {
		return nil
	}
	return rawjson.Get(rawjson.Fields(make([]rawjson.Field, 0, 8), v), name)
}

// readCount reads a number of tokens, which some write as 12.0 or 1.2e3.
func readCount(v []byte) (int64, bool) {
	n, ok := rawjson.Int(v)
	if !ok && rawjson.Kind(v) == "number" {
		f, err := strconv.ParseFloat(string(v), 64)
		if n = int64(min(math.Ceil(f), maxCount+1)); err == nil {
			ok = true
		}
	}
	if !ok || n < 0 || n > maxCount {
		return 0, false
	}
	return n, true
}

// maxCount is more tokens than any answer has: their prices can be added up.
const maxCount = 1e12

// parseUsage reads a usage object, or returns nil if there is none.
func parseUsage(v []byte) *llm.Usage {
	if rawjson.Kind(v) != "object" {
		return nil
	}
	f := rawjson.Fields(make([]rawjson.Field, 0, 12), v)
	count := func(v []byte) int64 {
		n, _ := readCount(v)
		return n
	}
	input, output := rawjson.Get(f, "prompt_tokens"), rawjson.Get(f, "completion_tokens")
	if rawjson.IsNull(input) && rawjson.IsNull(output) {
		return nil
	}
	for _, v := range [][]byte{input, output} { // what makes no sense is as good as nothing, and not nothing to pay
		if _, ok := readCount(v); !ok && !rawjson.IsNull(v) {
			return nil
		}
	}
	in, out := rawjson.Get(f, "prompt_tokens_details"), rawjson.Get(f, "completion_tokens_details")
	u := &llm.Usage{
		Input:  count(input),
		Output: count(output),
		// OpenAI's place, Anthropic's name, DeepSeek's name
		CachedInput: max(count(member(in, "cached_tokens")), count(rawjson.Get(f, "cache_read_input_tokens")), count(rawjson.Get(f, "prompt_cache_hit_tokens"))),
		CacheWrite:  max(count(rawjson.Get(f, "cache_creation_input_tokens")), count(member(in, "cache_write_tokens"))),
		Reasoning:   count(member(out, "reasoning_tokens")),
	}
	if long := count(member(rawjson.Get(f, "cache_creation"), "ephemeral_1h_input_tokens")); long > 0 {
		u.CacheWrite1h = min(long, u.CacheWrite)
		u.CacheWrite -= u.CacheWrite1h
	}
	// xAI leaves the reasoning out of completion_tokens, but not out of the total.
	if u.Reasoning > 0 && count(rawjson.Get(f, "total_tokens")) == u.Input+u.Output+u.Reasoning {
		u.Output += u.Reasoning
	}
	// What is part of something is not larger: prices are differences.
	u.CachedInput = min(u.CachedInput, u.Input)
	u.CacheWrite = min(u.CacheWrite, u.Input-u.CachedInput)
	u.CacheWrite1h = min(u.CacheWrite1h, u.Input-u.CachedInput-u.CacheWrite)
	u.Reasoning = min(u.Reasoning, u.Output)
	return u
}

// reportsError tells whether an object holds an error worth the name.
func reportsError(fields []rawjson.Field) bool {
	switch e := rawjson.Get(fields, "error"); string(e) {
	case "", "null", "{}", `""`, "false":
		return false
	}
	return true
}

// reported is the error that an upstream reported under status 200. Where it
// says what status it means, that is what counts.
func reported(c *upstream.Client, header http.Header, raw []byte) error {
	fields := rawjson.Fields(nil, raw)
	e := rawjson.Get(fields, "error")
	if e == nil { // an event called error whose data is the error itself
		e = raw
		raw = append(append([]byte(`{"error":`), raw...), '}')
	}
	for _, v := range [][]byte{member(e, "code"), member(e, "status"), member(e, "status_code"), member(e, "type")} {
		if status := statusOf(v); status != 0 {
			return c.Failure(status, header, raw)
		}
	}
	return c.Broken("reported an error", excerpt(raw))
}

// statusOf reads an HTTP status from a number, a numeric text or one of the
// words that providers use.
func statusOf(v []byte) int {
	word, ok := rawjson.String(v)
	if !ok {
		word = string(v)
	}
	if n, err := strconv.Atoi(word); err == nil && 400 <= n && n < 600 {
		return n
	}
	switch word {
	case "invalid_request_error", "BadRequestError", "context_length_exceeded", "content_policy_violation", "invalid_prompt":
		return http.StatusBadRequest
	case "authentication_error", "invalid_api_key":
		return http.StatusUnauthorized
	case "permission_error", "permission_denied":
		return http.StatusForbidden
	case "not_found_error", "model_not_found", "NotFoundError":
		return http.StatusNotFound
	case "rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "too_many_requests":
		return http.StatusTooManyRequests
	case "server_error", "internal_error", "api_error", "InternalServerError":
		return http.StatusInternalServerError
	case "overloaded_error", "service_unavailable", "ServiceUnavailableError":
		return http.StatusServiceUnavailable
	case "timeout_error", "timeout":
		return http.StatusGatewayTimeout
	}
	return 0
}

// excerpt is the beginning of what an upstream sent, for the log.
func excerpt(raw []byte) error {
	const limit = 512
	text := string(raw[:min(len(raw), limit)])
	return errors.New(upstream.Scrub(text))
}
