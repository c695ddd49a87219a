package template

import (
	"errors"
	"slices"
	"text/template/parse"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// Snippet is a text on its own, over data that somebody else knows: a step's
// prompt in a chain. It is safe for concurrent use.
type Snippet struct {
	x     text
	paths [][]string
}

// ParseSnippet parses and checks a text whose data are an object of names.
// Errors are as of Parse.
func ParseSnippet(param, source string, names ...string) (*Snippet, error) {
	x, err := parseText(param, source)
	if err != nil {
		return nil, err
	}
	var declared []Variable
	for _, n := range names {
		declared = append(declared, Variable{Name: n})
	}
	if err := x.check(declared, map[string]bool{}); err != nil {
		return nil, err
	}
	s := &Snippet{x: x}
	s.walk(x.root, true)
	return s, nil
}

// Paths lists the fields of the data that the text reads: {{.a.b}} is [a b].
// An empty path is the data as a whole.
func (s *Snippet) Paths() [][]string { return s.paths }

// walk collects paths; top says that the dot is the data.
func (s *Snippet) walk(n parse.Node, top bool) {
	branch := func(b *parse.BranchNode, inside bool) {
		s.walk(b.Pipe, top)
		s.walk(b.List, inside)
		s.walk(b.ElseList, top)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, one := range n.Nodes {
				s.walk(one, top)
			}
		}
	case *parse.ActionNode:
		s.walk(n.Pipe, top)
	case *parse.IfNode:
		branch(&n.BranchNode, top)
	case *parse.WithNode:
		branch(&n.BranchNode, false)
	case *parse.RangeNode:
		branch(&n.BranchNode, false)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			for _, a := range c.Args {
				s.walk(a, top)
			}
		}
	case *parse.ChainNode:
		s.walk(n.Node, top)
	case *parse.DotNode:
		if top {
			s.paths = append(s.paths, nil)
		}
	case *parse.FieldNode:
		if top {
			s.paths = append(s.paths, slices.Clone(n.Ident))
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			s.paths = append(s.paths, slices.Clone(n.Ident[1:]))
		}
	}
}

// Render fills in data, whose values are as of encoding/json with numbers as
// json.Number. Errors are as of Template.Render; param names the data. spend may
// be nil.
func (s *Snippet) Render(data map[string]any, param string, spend Spend) (string, error) {
	m := machine{output: MaxOutput, steps: maxSteps, spend: spend}
	out, err := m.run(&s.x, data, param)
	if stop, ok := errors.AsType[*stuck](err); ok {
		err = fault.Field(param, "With this data '%s' fails at %s: %s.", s.x.param, s.x.place(stop.at), stop.why)
	}
	return out, err
}
