package template

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Rendered is a template filled in: the pieces of a chat request.
type Rendered struct {
	System     string    // "" is none; likewise User
	Examples   []Example // as turns before the last message
	User       string
	Model      string          // "" is none
	Parameters json.RawMessage // an object of chat fields, or nil
}

// Render fills in an object of variables, which may be absent. param is where
// the object stands in the caller's request, such as "variables". Errors are
// fault.Invalid and name the variable ("variables.topic"), or fault.TooLarge
// above MaxOutput.
func (t *Template) Render(variables json.RawMessage, param string) (Rendered, error) {
	return t.RenderWithin(variables, param, nil)
}

// RenderWithin is Render for those who count its steps.
func (t *Template) RenderWithin(variables json.RawMessage, param string, spend Spend) (Rendered, error) {
	r := Rendered{Model: t.Model, Parameters: t.Parameters}
	values, err := t.values(variables, param)
	if err != nil {
		return r, err
	}
	m := machine{output: MaxOutput, steps: maxSteps, spend: spend}
	out := make([]string, len(t.texts))
	for i := range t.texts {
		if out[i], err = m.run(&t.texts[i], values, param); err != nil {
			if s, ok := errors.AsType[*stuck](err); ok {
				err = fault.Field(param, "With these variables '%s' of the template fails at %s: %s.", m.x.param, m.x.place(s.at), s.why)
			}
			return r, err
		}
	}
	if t.System != "" {
		r.System, out = out[0], out[1:]
	}
	for range t.Examples {
		if e := (Example{User: out[0], Assistant: out[1]}); e.User != "" || e.Assistant != "" {
			r.Examples = append(r.Examples, e)
		}
		out = out[2:]
	}
	if t.User != "" {
		r.User = out[0]
	}
	return r, nil
}

// Messages returns the array of messages in OpenAI's format.
func (r *Rendered) Messages() json.RawMessage {
	dst := []byte{'['}
	add := func(role, content string) {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, llm.TextMessage(role, content)...)
	}
	if r.System != "" {
		add("system", r.System)
	}
	for _, e := range r.Examples {
		add("user", e.User)
		add("assistant", e.Assistant)
	}
	if r.User != "" {
		add("user", r.User)
	}
	return append(dst, ']')
}

// Apply returns a chat request's body as the template completes it: its
// messages come before the client's own, and its model and parameters hold
// where the client sets none. fields are those of body, which rawjson.Object
// found. Messages of the client that are no array stay, to be refused.
func (r *Rendered) Apply(body []byte, fields []rawjson.Field) []byte {
	edits := r.defaults(fields)
	own := rawjson.Get(fields, "messages")
	if rawjson.IsNull(own) || rawjson.Kind(own) == "array" {
		edits = append(edits, rawjson.Edit{Name: "messages", Value: join(r.Messages(), own)})
	}
	return rawjson.Apply(nil, body, fields, edits...)
}

// defaults returns the template's model and parameters as far as the client,
// whose fields are given, left them open.
func (r *Rendered) defaults(fields []rawjson.Field) []rawjson.Edit {
	var edits []rawjson.Edit
	// Most SDKs cannot leave the model out, but they can leave it empty.
	if model := rawjson.Get(fields, "model"); r.Model != "" && (rawjson.IsNull(model) || string(model) == `""`) {
		edits = append(edits, rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, r.Model)})
	}
	if r.Parameters == nil {
		return edits
	}
	for _, f := range rawjson.Fields(nil, r.Parameters) {
		if rawjson.Get(fields, f.Name) == nil && rawjson.Get(fields, otherName[f.Name]) == nil {
			edits = append(edits, rawjson.Edit{Name: f.Name, Value: f.Value})
		}
	}
	return edits
}

// otherName has the fields that mean the same under two names.
var otherName = map[string]string{"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

// join makes one array of two; the second may be absent.
func join(a, b []byte) []byte {
	if rawjson.IsNull(b) {
		return a
	}
	inner := bytes.TrimSpace(b[1 : len(b)-1])
	switch {
	case len(inner) == 0:
		return a
	case len(a) == 2:
		return b
	}
	return append(append(append(bytes.Clone(a[:len(a)-1]), ','), inner...), ']')
}
