package llmtest

import (
	"fmt"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// Format writes an event on one line, without More, which depends on how the
// bytes arrived. Line ends inside Raw are shown as ␍ and ⏎.
func Format(e *llm.Event) string {
	b := &line{}
	b.str("id", e.ID)
	b.str("model", e.Model)
	b.num("index", int64(e.Index))
	b.str("text", e.Text)
	b.str("reasoning", e.Reasoning)
	if th := e.Thinking; th != nil {
		b.group("thinking", func(b *line) {
			b.str("text", th.Text)
			b.str("signature", th.Signature)
			b.str("redacted", th.Redacted)
		})
	}
	b.str("refusal", e.Refusal)
	for _, d := range e.Tools {
		b.group(fmt.Sprintf("tool%d", d.Index), func(b *line) {
			b.str("id", d.ID)
			b.str("name", d.Name)
			b.str("arguments", d.Arguments)
			b.str("signature", d.Signature)
		})
	}
	b.str("finish", e.Finish)
	b.usage(e.Usage)
	if e.UsageOnly {
		b.add("usage-only")
	}
	b.num("bytes", int64(e.Bytes))
	if e.Repeats {
		b.add("repeats")
	}
	b.raw(e.Raw)
	if b.Len() == 0 {
		return "empty"
	}
	return b.String()
}

func formatEmbeddings(e *llm.Embeddings) string {
	b := &line{}
	b.str("model", e.Model)
	b.usage(e.Usage)
	b.raw(e.Raw)
	b.WriteByte('\n')
	for i, v := range e.Vectors {
		fmt.Fprintf(b, "vector %d: %v\n", i, v)
	}
	return b.String()
}

// line joins words by spaces; what is empty or zero is left out.
type line struct{ strings.Builder }

func (b *line) add(word string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(word)
}

func (b *line) str(name, value string) {
	if value != "" {
		b.add(fmt.Sprintf("%s=%q", name, value))
	}
}

func (b *line) num(name string, n int64) {
	if n != 0 {
		b.add(fmt.Sprintf("%s=%d", name, n))
	}
}

func (b *line) group(name string, fill func(*line)) {
	inner := &line{}
	fill(inner)
	b.add(name + "(" + inner.String() + ")")
}

func (b *line) usage(u *llm.Usage) {
	if u == nil {
		return
	}
	b.group("usage", func(b *line) {
		b.num("input", u.Input)
		b.num("cached", u.CachedInput)
		b.num("cache-write", u.CacheWrite)
		b.num("cache-write-1h", u.CacheWrite1h)
		b.num("output", u.Output)
		b.num("reasoning", u.Reasoning)
	})
}

func (b *line) raw(raw []byte) {
	if raw != nil {
		b.add("raw=" + strings.NewReplacer("\r", "␍", "\n", "⏎").Replace(string(raw)))
	}
}
