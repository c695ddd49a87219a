package template

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Bounds of one text's syntax, so that no step of the machine takes long.
const (
	maxActions = 2000 // {{…}}, and with them how deeply they nest
	maxLocals  = 100  // $x that are in scope at once
	maxWord    = 256  // bytes of a field's name
	maxDigits  = 100  // of a number, here and in variables
)

// text is one text of a template, parsed.
type text struct {
	param  string // the field it comes from: "system", "examples[0].user"
	source string
	root   *parse.ListNode // nil: there is nothing to do but to copy source
}

// parseText uses the parser of text/template, but not that package: it could
// call methods and functions, and what it links makes a cold start slower.
func parseText(param, source string) (text, error) {
	x := text{param: param, source: source}
	switch n := strings.Count(source, "{{"); {
	case n == 0:
		return x, nil
	case n > maxActions:
		return x, fault.Field(param, "'%s' has more than %d actions.", param, maxActions)
	}
	tree := parse.New(param)
	tree.Mode = parse.SkipFuncCheck // the check knows positions
	all := map[string]*parse.Tree{}
	if _, err := tree.Parse(source, "", "", all); err != nil {
		line, why, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: "+param+":"), ": ")
		return x, wrong(param, "'%s' is wrong in line %s: %s.", param, line, strings.TrimSuffix(why, "."))
	}
	if len(all) > 1 || all[param] != tree {
		return x, wrong(param, "'%s' is wrong: 'define' and 'block' are not supported.", param)
	}
	x.root = tree.Root
	return x, nil
}

func wrong(param, format string, args ...any) error {
	return &fault.Error{Kind: fault.Invalid, Param: param, Code: "invalid_template", Message: fmt.Sprintf(format, args...)}
}

// place is where n begins, for people.
func (x *text) place(n parse.Node) string {
	before := x.source[:min(int(n.Position()), len(x.source))]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// shape is what is known of a value before there is one.
type shape struct {
	kind string // as of rawjson.Kind; "" is unknown
	root bool   // the object that holds the variables
}

type binding[T any] struct {
	name  string // with its $
	value T
}

// checker walks through all branches of a text. It finds whatever must go
// wrong, and every variable that is used.
type checker struct {
	*text
	declared []Variable
	used     map[string]bool
	locals   []binding[shape]
}

// check notes in used which of the declared variables x uses.
func (x *text) check(declared []Variable, used map[string]bool) error {
	if x.root == nil {
		return nil
	}
	root := shape{root: true}
	c := checker{text: x, declared: declared, used: used, locals: []binding[shape]{{"$", root}}}
	return c.list(x.root, root)
}

func (c *checker) fail(n parse.Node, format string, args ...any) error {
	return wrong(c.param, "'%s' is wrong at %s: %s.", c.param, c.place(n), fmt.Sprintf(format, args...))
}

func (c *checker) list(list *parse.ListNode, dot shape) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		if err := c.node(n, dot); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) node(n parse.Node, dot shape) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		s, err := c.pipe(n.Pipe, dot)
		if err == nil && s.root && len(n.Pipe.Decl) == 0 {
			err = c.fail(n.Pipe, "'.' stands for all variables here; name one, such as {{.topic}}")
		}
		return err
	case *parse.IfNode:
		return c.branch(&n.BranchNode, dot, func(shape) shape { return dot })
	case *parse.WithNode:
		return c.branch(&n.BranchNode, dot, func(s shape) shape { return s })
	case *parse.RangeNode:
		return c.rangeNode(n, dot)
	}
	return c.fail(n, "%s is not supported", n)
}

func (c *checker) branch(n *parse.BranchNode, dot shape, inside func(shape) shape) error {
	defer func(depth int) { c.locals = c.locals[:depth] }(len(c.locals))
	s, err := c.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	if err := c.list(n.List, inside(s)); err != nil {
		return err
	}
	return c.list(n.ElseList, dot)
}

func (c *checker) rangeNode(n *parse.RangeNode, dot shape) error {
	defer func(depth int) { c.locals = c.locals[:depth] }(len(c.locals))
	s, err := c.commands(n.Pipe, dot)
	if err != nil {
		return err
	}
	if s.root || !slices.Contains([]string{"", "array", "object", "null"}, s.kind) {
		return c.fail(n.Pipe, "range needs an array or an object")
	}
	for _, v := range n.Pipe.Decl {
		if err := c.bind(v, n.Pipe.IsAssign, shape{}); err != nil {
			return err
		}
	}
	if err := c.list(n.List, shape{}); err != nil {
		return err
	}
	return c.list(n.ElseList, dot)
}

// pipe checks a pipeline with its declarations.
func (c *checker) pipe(p *parse.PipeNode, dot shape) (shape, error) {
	s, err := c.commands(p, dot)
	if err != nil {
		return s, err
	}
	for _, v := range p.Decl {
		if err := c.bind(v, p.IsAssign, s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (c *checker) bind(v *parse.VariableNode, assign bool, s shape) error {
	if !assign {
		if len(c.locals) > maxLocals || len(v.Ident[0]) > maxWord {
			return c.fail(v, "a text takes %d variables of its own, with names of at most %d bytes", maxLocals, maxWord)
		}
		c.locals = append(c.locals, binding[shape]{v.Ident[0], s})
		return nil
	}
	for i := range slices.Backward(c.locals) {
		if l := &c.locals[i]; l.name == v.Ident[0] {
			if s.root || l.value.root || len(v.Ident) > 1 {
				return c.fail(v, "'%s' cannot be assigned to like that", v)
			}
			l.value = shape{} // which branches are taken is not known
			return nil
		}
	}
	return c.fail(v, "there is no '%s'", v)
}

func (c *checker) commands(p *parse.PipeNode, dot shape) (s shape, err error) {
	for i, cmd := range p.Cmds {
		name, ok := cmd.Args[0].(*parse.IdentifierNode)
		if !ok {
			if len(cmd.Args) > 1 || i > 0 {
				return s, c.fail(cmd, "'%s' is not a function. %s", cmd.Args[0], known)
			}
			if s, err = c.operand(cmd.Args[0], dot); err != nil {
				return s, err
			}
			continue
		}
		var args []shape
		for _, a := range cmd.Args[1:] {
			arg, err := c.operand(a, dot)
			if err != nil {
				return s, err
			}
			args = append(args, arg)
		}
		if i > 0 {
			args = append(args, s)
		}
		f, ok := functionOf(name.Ident)
		if !ok {
			return s, c.fail(cmd, "there is no function '%s'. %s", name.Ident, known)
		}
		if len(args) < f.least || len(args) > f.most {
			return s, c.fail(cmd, "'%s' is used with %d values", name.Ident, len(args))
		}
		if s, err = f.check(args); err != nil {
			return s, c.fail(cmd, "'%s' %v", name.Ident, err)
		}
	}
	return s, nil
}

func (c *checker) operand(n parse.Node, dot shape) (shape, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.NilNode:
		return shape{kind: "null"}, nil
	case *parse.BoolNode:
		return shape{kind: "boolean"}, nil
	case *parse.StringNode:
		return shape{kind: "string"}, nil
	case *parse.NumberNode:
		if len(n.Text) > maxDigits || rawjson.Valid([]byte(n.Text), 1) != nil {
			return shape{}, c.fail(n, "write the number %.40s as JSON does, with at most %d digits", n.Text, maxDigits)
		}
		return shape{kind: "number"}, nil
	case *parse.FieldNode:
		return c.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		for _, l := range slices.Backward(c.locals) {
			if l.name == n.Ident[0] {
				return c.fields(n, l.value, n.Ident[1:])
			}
		}
	case *parse.ChainNode:
		s, err := c.operand(n.Node, dot)
		if err != nil {
			return s, err
		}
		return c.fields(n, s, n.Field)
	case *parse.PipeNode:
		return c.pipe(n, dot)
	case *parse.IdentifierNode:
		return shape{}, c.fail(n, "put the function '%s' and its values in parentheses", n.Ident)
	}
	return shape{}, c.fail(n, "%s is not supported", n)
}

func (c *checker) fields(n parse.Node, s shape, names []string) (shape, error) {
	for _, name := range names {
		switch {
		case len(name) > maxWord:
			return s, c.fail(n, "a name has more than %d bytes", maxWord)
		case s.root:
			i := slices.IndexFunc(c.declared, func(v Variable) bool { return v.Name == name })
			if i < 0 {
				return s, c.fail(n, "the variable '%s' is not declared in 'variables'", name)
			}
			c.used[name] = true
			if s = (shape{kind: string(c.declared[i].Type)}); s.kind == string(Integer) {
				s.kind = "number"
			}
		case s.kind == "" || s.kind == "object" || s.kind == "null":
			s = shape{}
		default:
			return s, c.fail(n, "%s: '%s' cannot be found in a %s", n, name, s.kind)
		}
	}
	return s, nil
}
