package llm

import (
	"context"
	"encoding/json"
	"strings"
)

// Answer is a whole answer, put together from events.
type Answer struct {
	ID, Model string
	Raw       json.RawMessage // the upstream's own JSON, when one event held the whole answer
	Choices   []*Choice
	Usage     *Usage
}

// Choice is one of an Answer's alternatives.
type Choice struct {
	Text      strings.Builder
	Reasoning strings.Builder
	Refusal   strings.Builder
	Thinking  []Thinking
	ToolCalls []ToolCall
	Finish    string

	arguments []*strings.Builder // of ToolCalls, where they come in pieces
}

// Add takes up one event. Raw chunks of a stream must have been parsed
// (NeedText); a Raw that is the whole answer is kept.
func (a *Answer) Add(e *Event) {
	if a.ID == "" {
		a.ID = e.ID
	}
	if a.Model == "" {
		a.Model = e.Model
	}
	if e.Usage != nil {
		u := *e.Usage
		a.Usage = &u
	}
	if e.Raw != nil {
		a.Raw = append(a.Raw[:0], e.Raw...)
	}
	if e.UsageOnly || e.Raw != nil && e.Text == "" && e.Finish == "" && e.Tools == nil && e.Reasoning == "" && e.Refusal == "" {
		return
	}
	for len(a.Choices) <= e.Index {
		a.Choices = append(a.Choices, &Choice{})
	}
	c := a.Choices[e.Index]
	c.Text.WriteString(e.Text)
	c.Reasoning.WriteString(e.Reasoning)
	c.Refusal.WriteString(e.Refusal)
	if e.Thinking != nil {
		c.Thinking = append(c.Thinking, *e.Thinking)
	}
	for _, d := range e.Tools {
		for len(c.ToolCalls) <= d.Index {
			c.ToolCalls = append(c.ToolCalls, ToolCall{})
		}
		t := &c.ToolCalls[d.Index]
		if d.ID != "" {
			t.ID = d.ID
		}
		if d.Name != "" {
			t.Name = d.Name
		}
		if d.Signature != "" {
			t.Signature = d.Signature
		}
		if t.Arguments == "" {
			t.Arguments = d.Arguments
		} else if d.Arguments != "" {
			t.Arguments = c.joined(d.Index, t.Arguments, d.Arguments)
		}
	}
	if e.Finish != "" {
		c.Finish = e.Finish
	}
}

// joined is a and b, which is appended to what a was made of: there may be a
// million pieces.
func (c *Choice) joined(call int, a, b string) string {
	for len(c.arguments) <= call {
		c.arguments = append(c.arguments, nil)
	}
	if c.arguments[call] == nil {
		c.arguments[call] = &strings.Builder{}
		c.arguments[call].WriteString(a)
	}
	c.arguments[call].WriteString(b)
	return c.arguments[call].String()
}

// Collect runs req to its end and returns the answer.
func Collect(ctx context.Context, p Provider, req *Request) (*Answer, error) {
	a := &Answer{}
	err := p.Complete(ctx, req, func(e *Event) error {
		a.Add(e)
		return nil
	})
	return a, err
}
