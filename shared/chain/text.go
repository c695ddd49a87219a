package chain

import (
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

// text is a template over a step's data.
type text struct {
	*template.Snippet

	refs []names
}

func (p *Problems) parseText(at, src string) *text {
	s, err := template.ParseSnippet(at, src, "input", "steps", "item", "index")
	if err != nil {
		*p = append(*p, Problem{Param: at, Message: fault.As(err).Message})
		return nil
	}
	t := &text{Snippet: s}
	for _, path := range s.Paths() {
		t.refs = append(t.refs, path)
	}
	return t
}

// render fills in data. A failure is the data's fault, not that of the
// request: a step has given something else than the text can use.
func (t *text) render(data map[string]any, spend template.Spend) (string, error) {
	if t == nil {
		return "", nil
	}
	out, err := t.Render(data, "", spend)
	if f := fault.As(err); f != nil && f.Kind == fault.Invalid {
		return "", &fault.Error{Kind: fault.Unprocessable, Code: f.Code, Message: f.Message}
	}
	return out, err
}
