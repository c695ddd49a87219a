package tokens

import (
	"math"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// EstimateMessages estimates the tokens of a chat prompt: messages is the
// array in OpenAI's format, more are other parts of the request that the model
// gets to read, such as tools, as JSON. Both must be valid.
func (c Counter) EstimateMessages(messages []byte, more ...[]byte) Estimate {
	s := sum{fixed: table[c.Family].perAnswer}
	c.walkAll(messages, more, &s, s.add)
	return s.estimate(c.Family)
}

// RoughMessages is EstimateMessages by length alone, at four bytes a token: a
// tenth of the work, for those who need a figure with every request. Images and
// the like count the most.
func (c Counter) RoughMessages(messages []byte, more ...[]byte) int64 {
	s := sum{fixed: table[c.Family].perAnswer}
	c.walkAll(messages, more, &s, func(value []byte) { s.bytes += int64(len(value)) })
	return s.fixed + s.media.High + (s.bytes+3)/4
}

// CountMessages counts what EstimateMessages estimates: the texts exactly where
// Exact.
func (c Counter) CountMessages(messages []byte, more ...[]byte) int64 {
	t := c.unending()
	s := sum{fixed: table[c.Family].perAnswer}
	c.walkAll(messages, more, &s, t.text(&s))
	s.counted = t.n
	return s.estimate(c.Family).Tokens
}

// CountMessage counts one message as CountMessages does. The sum of all is 3
// tokens less than the count of the array.
func (c Counter) CountMessage(message []byte) int64 {
	n, _ := c.unending().Message(message, math.MaxInt64)
	return n
}

// Unsure is by how many tokens a message may have fewer than CountMessage says,
// because of images and files that nobody has looked at.
func (c Counter) Unsure(message []byte) int64 {
	var s sum
	c.walk(message, &s, func([]byte) {})
	return s.media.Tokens - s.media.Low
}

// textOf is what the model reads of a value: a string's text, or else its JSON.
func textOf(value []byte) string {
	if text, ok := rawjson.String(value); ok {
		return text
	}
	return string(value)
}

func (s *sum) add(value []byte) {
	text := textOf(value)
	s.features.add(text)
	s.bytes += int64(len(text))
}

func (c Counter) walkAll(messages []byte, more [][]byte, s *sum, text func([]byte)) {
	if !rawjson.IsNull(messages) {
		rawjson.Elements(messages, func(_ int, m []byte) error {
			c.walk(m, s, text)
			return nil
		})
	}
	c.beside(more, s, text)
}

// beside is what a model reads beside messages.
func (c Counter) beside(more [][]byte, s *sum, text func([]byte)) {
	for _, m := range more {
		switch {
		case rawjson.IsNull(m):
		case c.Exact() && rawjson.Kind(m) == "array":
			c.tools(m, s, text)
		default:
			text(m)
		}
	}
}

// perName is what the format of chats adds to the name of who speaks.
const perName = 1

// toolCall is what the format of chats adds to a call's name and arguments.
const toolCall = 6

// walk calls text with every value of a message that a model reads, and adds
// the rest to s.
func (c Counter) walk(message []byte, s *sum, text func([]byte)) {
	s.fixed += table[c.Family].perMessage
	var buf [8]rawjson.Field
	for _, f := range rawjson.Fields(buf[:0], message) {
		switch f.Name {
		case "role", "id", "tool_call_id", "cache_control":
			continue
		case "name":
			s.fixed += perName
		case "tool_calls":
			if rawjson.Kind(f.Value) == "array" {
				rawjson.Elements(f.Value, func(_ int, call []byte) error {
					s.call(rawjson.Get(rawjson.Fields(nil, call), "function"), call, text)
					return nil
				})
			}
			continue
		case "function_call":
			if !rawjson.IsNull(f.Value) {
				s.call(f.Value, f.Value, text)
			}
			continue
		}
		switch kind := rawjson.Kind(f.Value); {
		case kind == "null" || kind == "nothing":
		case kind == "array" && f.Name == "content":
			c.parts(f.Value, s, text)
		default:
			text(f.Value)
		}
	}
}

// call counts a call of a function, or, if it is none, its JSON.
func (s *sum) call(function, whole []byte, text func([]byte)) {
	s.fixed += toolCall
	if rawjson.Kind(function) != "object" {
		text(whole)
		return
	}
	for _, f := range rawjson.Fields(nil, function) {
		if rawjson.Kind(f.Value) == "string" {
			text(f.Value)
		}
	}
}

func (c Counter) parts(parts []byte, s *sum, text func([]byte)) {
	var buf [8]rawjson.Field
	rawjson.Elements(parts, func(_ int, part []byte) error {
		if rawjson.Kind(part) != "object" {
			return nil
		}
		if v := textIn(rawjson.Fields(buf[:0], part)); v != nil {
			text(v)
			return nil
		}
		m, _ := MediaOf(part)
		e := c.Media(m)
		s.media.Tokens += e.Tokens
		s.media.Low += e.Low
		s.media.High += e.High
		return nil
	})
}
