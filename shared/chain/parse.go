package chain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// idPattern is what a template can name: {{.steps.ID.output}}.
var idPattern = pattern.Pattern{Expr: `^[A-Za-z_][A-Za-z0-9_]*$`}

func validID(s string) bool { return len(s) <= maxID && idPattern.Match(s) }

// Parse reads a chain and checks all of it: an error is fault.Invalid (or
// fault.Unimplemented), names the first field that is wrong, tells of all, and
// has the Problems as its cause.
func Parse(body []byte) (*Chain, error) {
	fields, err := llm.ReadObject("", body)
	if err != nil {
		return nil, err
	}
	var p Problems
	o := &object{p: &p, fields: fields}
	c := &Chain{Name: o.str("name", recipe.MaxName), Description: o.str("description", 4<<10), index: map[string]int{}}
	if !recipe.ValidName(c.Name) {
		p.add("name", "must be 1 to %d letters, digits, '.', '_' or '-', and begin with a letter", recipe.MaxName)
	}
	c.Budget = o.dollars("budget_usd")
	c.Timeout = time.Duration(o.integer("timeout_ms", 1, MaxTimeout.Milliseconds(), MaxTimeout.Milliseconds())) * time.Millisecond
	c.Labels = o.list("labels", recipe.MaxLabels)
	for i, l := range c.Labels {
		if !recipe.ValidLabel(l) {
			p.add(fmt.Sprintf("labels[%d]", i), "must be 1 to %d letters, digits, '.', '_' or '-', begin with a letter, and not be 'latest'", recipe.MaxName)
		}
	}
	c.readInput(&p, o.get("input"))
	c.readSteps(&p, o.get("steps"))
	var uses []use
	c.output = p.selection("output", o.get("output"), true, &uses)
	o.rest()
	c.link(&p, uses)
	if err := p.fault("invalid_chain"); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Chain) readInput(p *Problems, v []byte) {
	if v == nil {
		return
	}
	if rawjson.Kind(v) != "array" {
		p.add("input", "must be an array of variables")
		return
	}
	_ = rawjson.Elements(v, func(i int, e []byte) error {
		at := fmt.Sprintf("input[%d]", i)
		if i >= maxInputs {
			p.add("input", "has more than %d variables", maxInputs)
			return rawjson.ErrEnough
		}
		p.digits(at, e)
		o, ok := p.object(at, e)
		if !ok {
			return nil
		}
		one := Variable{Name: o.str("name", maxID), Type: o.str("type", maxID), Description: o.str("description", 4<<10),
			Required: o.boolean("required"), Default: slices.Clone(o.get("default"))}
		o.rest()
		if one.Type == "" {
			one.Type = "string"
		}
		_, known := varTypes[one.Type]
		switch {
		case !validID(one.Name):
			p.add(at+".name", "must be 1 to %d letters, digits or '_', and not begin with a digit", maxID)
		case slices.ContainsFunc(c.Input, func(v Variable) bool { return v.Name == one.Name }):
			p.add(at+".name", "is taken: there is another variable '%s'", one.Name)
		case !known:
			p.add(at+".type", "must be string, number, integer, boolean, array, object or any")
		case one.Default != nil && one.Required:
			p.add(at+".default", "is of no use: the variable is required")
		case one.Default != nil && !one.accepts(one.Default):
			p.add(at+".default", "is not of type '%s'", one.Type)
		case one.Default != nil:
			p.twice(at+".default", one.Default)
		}
		c.Input = append(c.Input, one)
		return nil
	})
}

func (v *Variable) accepts(value []byte) bool {
	want := varTypes[v.Type]
	if _, whole := rawjson.Int(value); v.Type == "integer" && !whole {
		return false
	}
	return want == "" || want == rawjson.Kind(value)
}

func (c *Chain) readSteps(p *Problems, v []byte) {
	if rawjson.Kind(v) != "array" {
		p.add("steps", "must be an array of steps")
		return
	}
	_ = rawjson.Elements(v, func(i int, e []byte) error {
		if i >= MaxSteps {
			p.add("steps", "has more than %d steps", MaxSteps)
			return rawjson.ErrEnough
		}
		at := fmt.Sprintf("steps[%d]", i)
		p.digits(at, e)
		o, ok := p.object(at, e)
		if !ok {
			return nil
		}
		s := &Step{at: at, ID: o.str("id", maxID), governor: -1}
		if _, taken := c.index[s.ID]; taken {
			p.add(at+".id", "is taken: there is another step '%s'", s.ID)
		} else if !validID(s.ID) {
			p.add(at+".id", "must be 1 to %d letters, digits or '_', and not begin with a digit", maxID)
		} else {
			c.index[s.ID] = len(c.Steps)
		}
		s.needs = o.list("needs", MaxSteps)
		p.step(s, o, "")
		c.Steps = append(c.Steps, s)
		return nil
	})
	if len(c.Steps) == 0 {
		p.add("steps", "must have at least one step")
	}
}

// Inputs checks what a run is given and returns all variables: a given value,
// the default, or null. An error is as of Parse; fields are "input.NAME".
func (c *Chain) Inputs(given []byte) (json.RawMessage, error) {
	var fields []rawjson.Field
	var p Problems
	if given = bytes.TrimSpace(given); !rawjson.IsNull(given) {
		var err error
		if fields, err = llm.ReadObject("input", given); err != nil {
			return nil, err
		}
	}
	o := &object{p: &p, at: "input", fields: fields}
	out := []byte{'{'}
	for _, v := range c.Input {
		value := o.get(v.Name)
		switch {
		case value == nil && v.Required:
			p.add(o.path(v.Name), "is missing")
		case value == nil && v.Default != nil:
			value = v.Default
		case value == nil:
			value = []byte("null")
		case !v.accepts(value):
			p.add(o.path(v.Name), "must be of type '%s'", v.Type)
		default:
			p.digits(o.path(v.Name), value)
			p.twice(o.path(v.Name), value)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(rawjson.AppendString(out, v.Name), ':'), value...)
	}
	o.rest()
	if err := p.fault("invalid_input"); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}
