package chain

import (
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/template"
)

// Variables are the names that the reference gives values to.
func (t *TemplateRef) Variables() (names []string) {
	for _, b := range t.variables {
		names = append(names, b.name)
	}
	return names
}

// Check says whether v, a variable of the template, can take what the reference
// gives it, as far as that is known before a run. param names it in errors.
func (t *TemplateRef) Check(param string, v *template.Variable) error {
	for _, b := range t.variables {
		if b.name == v.Name {
			return b.check(param, v)
		}
	}
	return nil
}

func (b *binding) check(param string, v *template.Variable) error {
	switch {
	case b.text != nil && v.Type != template.String:
		return fault.WrongType(param, "string", string(v.Type))
	case b.text != nil:
		if len(b.text.refs) > 0 {
			return nil
		}
		s, err := b.text.render(nil, nil) // it is the same in every run
		if err != nil {
			return err
		}
		return v.Accepts(param, rawjson.AppendString(nil, s))
	case b.path != nil:
		of := shape{kind: b.kind}
		if of.may(string(v.Type)) || v.Type == template.Integer && b.kind == "number" {
			return nil
		}
		return fault.WrongType(param, b.kind, string(v.Type))
	case !rawjson.IsNull(b.value):
		return v.Accepts(param, b.value)
	case v.Required && v.Default == nil:
		return fault.Field(param, "'%s' must not be null: the template requires it.", param)
	}
	return nil
}

// bound notes what the selections for the template of s, if it has one, give.
func (c *Chain) bound(s *Step, item *shape) {
	if s.Template == nil {
		return
	}
	for i := range s.Template.variables {
		b := &s.Template.variables[i]
		if b.path == nil {
			continue
		}
		of, several, _ := c.shapeOf(b.path, item)
		if b.kind = of.kind; several {
			b.kind = "array"
		}
	}
}
