package prompt

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// Tidy makes messages shorter without changing what they say, and says about
// how many tokens that saves. System messages come first, so that the beginning
// stays the same from request to request; space that nobody reads goes, except
// in code; a paragraph that stood in an earlier message is not said again. What
// tools answered, and repetitions in the newest user message, are left alone.
func Tidy(messages []json.RawMessage, c tokens.Counter) (tidy []json.RawMessage, saved int64) {
	for _, front := range []bool{true, false} {
		for _, m := range messages {
			if isSystem(m) == front {
				tidy = append(tidy, m)
			}
		}
	}
	newest := -1
	for i, m := range tidy {
		if role(m) == "user" {
			newest = i
		}
	}
	said := map[string]bool{}
	for i, m := range tidy {
		switch r := role(m); {
		case r == "tool" || r == "function":
		case r == "assistant" || i == newest:
			tidy[i] = edit(m, squeeze)
		default:
			tidy[i] = edit(m, func(text string) string { return repeated(squeeze(text), said) })
		}
	}
	return tidy, max(0, c.EstimateMessages(Join(messages)).Tokens-c.EstimateMessages(Join(tidy)).Tokens)
}

// edit changes the texts of a message. One that stays the same keeps every
// byte.
func edit(m json.RawMessage, change func(string) string) json.RawMessage {
	fields := rawjson.Fields(nil, m)
	content := rawjson.Get(fields, "content")
	if text, ok := rawjson.String(content); ok {
		if changed := change(text); changed != text {
			return rawjson.Apply(nil, m, fields, rawjson.Edit{Name: "content", Value: rawjson.AppendString(nil, changed)})
		}
		return m
	}
	if rawjson.Kind(content) != "array" {
		return m
	}
	parts, changed := partsOf(content), false
	for i, part := range parts {
		if rawjson.Kind(part) != "object" {
			continue
		}
		of := rawjson.Fields(nil, part)
		if text, ok := rawjson.String(rawjson.Get(of, "text")); ok {
			if shorter := change(text); shorter != text {
				parts[i] = rawjson.Apply(nil, part, of, rawjson.Edit{Name: "text", Value: rawjson.AppendString(nil, shorter)})
				changed = true
			}
		}
	}
	if !changed {
		return m
	}
	return rawjson.Apply(nil, m, fields, rawjson.Edit{Name: "content", Value: Join(parts)})
}

func partsOf(content []byte) (parts []json.RawMessage) {
	rawjson.Elements(content, func(_ int, part []byte) error {
		parts = append(parts, part)
		return nil
	})
	return parts
}

// squeeze takes out the space of a text that nobody reads: at the ends of lines,
// of blank lines all but one, between words all but one. Code in fences stays
// as it is, and so do lines whose space may mean something.
func squeeze(text string) string {
	var b strings.Builder
	blanks := 0
	for line, code := range lines(text) {
		if code {
			blanks = 0
			b.WriteString(line)
			continue
		}
		body := strings.TrimRight(line, " \t\r\n")
		if body == "" {
			if blanks++; blanks > 1 || b.Len() == 0 {
				continue
			}
		} else {
			blanks = 0
		}
		b.WriteString(single(body))
		if strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	if _, code := lastLine(text); code {
		return b.String()
	}
	return strings.TrimRight(b.String(), "\n")
}

// lines yields the lines of a text, with their ends, and whether they are code
// between fences or a fence.
func lines(text string) func(yield func(line string, code bool) bool) {
	return func(yield func(string, bool) bool) {
		fence := ""
		for line := range strings.Lines(text) {
			bare := strings.TrimSpace(line)
			mark := bare[:len(bare)-len(strings.TrimLeft(bare, "`~"))]
			code := fence != ""
			switch {
			case fence == "" && (strings.HasPrefix(mark, "```") || strings.HasPrefix(mark, "~~~")):
				fence, code = mark, true
			case fence != "" && strings.HasPrefix(mark, fence) && mark == bare:
				fence = ""
			}
			if !yield(line, code) {
				return
			}
		}
	}
}

func lastLine(text string) (line string, code bool) {
	for l, c := range lines(text) {
		line, code = l, c
	}
	return line, code
}

// single makes runs of spaces one, unless the line is indented, or looks like
// code, a table or columns.
func single(line string) string {
	if !strings.Contains(line, "  ") || strings.HasPrefix(line, "  ") || strings.ContainsAny(line, "|`\t") || strings.Count(line, "   ") > 1 {
		return line
	}
	var b strings.Builder
	for i := range len(line) {
		if line[i] != ' ' || i == 0 || line[i-1] != ' ' {
			b.WriteByte(line[i])
		}
	}
	return b.String()
}

const (
	// leastRepeated is from how many bytes a paragraph is not said again: short
	// ones may mean something else in another place.
	leastRepeated = 120
	asBefore      = "[as before]"
)

// repeated replaces the paragraphs of text that were said, and notes the
// others. A block of code is one.
func repeated(text string, said map[string]bool) string {
	var b strings.Builder
	var paragraph strings.Builder
	flush := func() {
		p := paragraph.String()
		paragraph.Reset()
		key := strings.TrimSpace(p)
		switch {
		case len(key) < leastRepeated:
			b.WriteString(p)
		case said[key]:
			b.WriteString(asBefore + p[len(strings.TrimRight(p, "\n")):])
		default:
			said[key] = true
			b.WriteString(p)
		}
	}
	before := false
	for line, code := range lines(text) {
		if code != before {
			flush()
		}
		before = code
		paragraph.WriteString(line)
		if !code && strings.TrimSpace(line) == "" {
			flush()
		}
	}
	flush()
	return b.String()
}

// Distinct returns the numbers of the passages that are not said by one before
// them, or by any of the messages.
func Distinct(passages []Passage, messages []json.RawMessage) (kept []int) {
	var said []string
	for _, m := range messages {
		said = append(said, flat(textOf(m)))
	}
	for i, p := range passages {
		text := flat(p.Text)
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, text) }) {
			said = append(said, text)
			kept = append(kept, i)
		}
	}
	return kept
}

// flat is a text with single spaces, for comparisons.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// leastCached is from how many tokens on providers cache the beginning of a
// prompt.
const leastCached = 1024

// CachePoints asks Anthropic's models, there or at Bedrock, to cache the
// beginning of a prompt: up to the end of messages[:end] for each of ends, in
// growing order, if at least 1,024 tokens have come since the point before. more
// is what comes before the messages: tools. If the client has set points of its
// own, they alone count. It returns how many points were set.
func CachePoints(messages []json.RawMessage, c tokens.Counter, more []byte, ends ...int) ([]json.RawMessage, int) {
	if bytes.Contains(more, []byte(`"cache_control"`)) || slices.ContainsFunc(messages, func(m json.RawMessage) bool { return bytes.Contains(m, []byte(`"cache_control"`)) }) {
		return messages, 0
	}
	out, points, from := slices.Clone(messages), 0, 0
	size := c.EstimateMessages(nil, more).Tokens
	for _, end := range ends {
		for _, m := range messages[from:end] {
			size += c.EstimateMessages(Join([]json.RawMessage{m})).Tokens
		}
		start := from
		from = end
		if size < leastCached {
			continue
		}
		for i := end - 1; i >= start; i-- {
			if with := cachePoint(messages[i]); with != nil {
				out[i] = with
				points++
				size = 0
				break
			}
		}
	}
	return out, points
}

var ephemeral = []byte(`{"type":"ephemeral"}`)

// cachePoint sets a point behind m's last text; nil if it has none.
func cachePoint(m json.RawMessage) json.RawMessage {
	fields := rawjson.Fields(nil, m)
	content := rawjson.Get(fields, "content")
	if r := role(m); r == "tool" || r == "function" {
		return nil
	}
	var parts []json.RawMessage
	if text, ok := rawjson.String(content); ok {
		parts = []json.RawMessage{append(rawjson.AppendString([]byte(`{"type":"text","text":`), text), '}')}
	} else if rawjson.Kind(content) == "array" {
		parts = partsOf(content)
	}
	for i, part := range slices.Backward(parts) {
		if rawjson.Kind(part) != "object" {
			continue
		}
		of := rawjson.Fields(nil, part)
		if text, ok := rawjson.String(rawjson.Get(of, "text")); ok && strings.TrimSpace(text) != "" {
			parts[i] = rawjson.Apply(nil, part, of, rawjson.Edit{Name: "cache_control", Value: ephemeral})
			return rawjson.Apply(nil, m, fields, rawjson.Edit{Name: "content", Value: Join(parts)})
		}
	}
	return nil
}
