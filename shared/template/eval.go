package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Bounds of one rendering, over all texts.
const (
	MaxOutput = 256 << 10 // bytes
	maxSteps  = 200_000   // actions executed, elements visited
	// bytesPerStep is how much of a string counts as one step where it is read
	// and not written.
	bytesPerStep = 256
	// payEvery is how many steps are taken before a Spend hears of them.
	payEvery = 1000
)

// Spend is told, from time to time and at the end, how many steps a rendering
// has taken since it was told last: some ten nanoseconds each. If it fails, the
// rendering ends with its error.
type Spend func(steps int) error

var (
	errOutput = errors.New("output")
	errSteps  = errors.New("steps")
)

// machine runs texts over JSON values: map[string]any, []any, string,
// json.Number, bool and nil.
type machine struct {
	x      *text
	locals []binding[any]
	out    strings.Builder
	output int // bytes that may still be written
	steps  int // that may still be taken
	spend  Spend
	unpaid int   // steps that spend has not heard of
	broke  error // what it said
}

// flow says whether a list of nodes ran to its end.
type flow int

const (
	onward flow = iota
	breaks
	continues
)

// run renders x. param names the variables in errors.
func (m *machine) run(x *text, values map[string]any, param string) (string, error) {
	m.x = x
	m.out.Reset()
	before := m.output
	m.locals = append(m.locals[:0], binding[any]{"$", values})
	var err error
	if x.root == nil {
		err = m.write(x.source)
	} else {
		_, err = m.list(x.root, values)
	}
	if err == nil {
		err = m.pay(m.unpaid + (before-m.output)/bytesPerStep)
	}
	switch {
	case errors.Is(err, errOutput):
		return "", &fault.Error{Kind: fault.TooLarge, Param: param, Code: "template_too_large",
			Message: fmt.Sprintf("With these variables the template makes more than %d bytes.", MaxOutput)}
	case errors.Is(err, errSteps):
		return "", &fault.Error{Kind: fault.Invalid, Param: param, Code: "template_too_long",
			Message: fmt.Sprintf("With these variables the template takes more than %d steps; '%s' has loops.", maxSteps, x.param)}
	case err != nil:
		return "", err
	}
	return m.out.String(), nil
}

// stuck is the error for values that the template cannot do with.
type stuck struct {
	at  parse.Node
	why string
}

func (s *stuck) Error() string { return s.why }

func (m *machine) work(steps int) error {
	if m.steps -= steps; m.steps < 0 {
		return errSteps
	}
	if m.unpaid += steps; m.unpaid >= payEvery {
		return m.pay(m.unpaid)
	}
	return nil
}

func (m *machine) pay(steps int) error {
	m.unpaid = 0
	if m.spend != nil {
		m.broke = m.spend(steps)
	}
	return m.broke
}

func (m *machine) write(s string) error {
	if m.output -= len(s); m.output < 0 {
		return errOutput
	}
	m.out.WriteString(s)
	return nil
}

func (m *machine) list(list *parse.ListNode, dot any) (flow, error) {
	if list == nil {
		return onward, nil
	}
	for _, n := range list.Nodes {
		if err := m.work(1); err != nil {
			return onward, err
		}
		if f, err := m.node(n, dot); f != onward || err != nil {
			return f, err
		}
	}
	return onward, nil
}

func (m *machine) node(n parse.Node, dot any) (flow, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return onward, m.write(string(n.Text))
	case *parse.ActionNode:
		v, err := m.pipe(n.Pipe, dot)
		if err != nil || len(n.Pipe.Decl) > 0 {
			return onward, err
		}
		return onward, m.print(v)
	case *parse.BreakNode:
		return breaks, nil
	case *parse.ContinueNode:
		return continues, nil
	case *parse.IfNode:
		return m.branch(&n.BranchNode, dot, false)
	case *parse.WithNode:
		return m.branch(&n.BranchNode, dot, true)
	case *parse.RangeNode:
		return m.rangeNode(n, dot)
	}
	return onward, &stuck{n, n.String() + " is not supported"}
}

func (m *machine) branch(n *parse.BranchNode, dot any, with bool) (flow, error) {
	defer func(depth int) { m.locals = m.locals[:depth] }(len(m.locals))
	v, err := m.pipe(n.Pipe, dot)
	switch {
	case err != nil:
		return onward, err
	case !truth(v):
		return m.list(n.ElseList, dot)
	case with:
		return m.list(n.List, v)
	}
	return m.list(n.List, dot)
}

func (m *machine) rangeNode(n *parse.RangeNode, dot any) (flow, error) {
	defer func(depth int) { m.locals = m.locals[:depth] }(len(m.locals))
	v, err := m.commands(n.Pipe, dot)
	if err != nil {
		return onward, err
	}
	if !truth(v) {
		return m.list(n.ElseList, dot)
	}
	depth := len(m.locals)
	each := func(key, element any) (stop bool, f flow, err error) {
		if err := m.work(1); err != nil {
			return true, onward, err
		}
		m.locals = m.locals[:depth]
		switch decl := n.Pipe.Decl; len(decl) {
		case 1:
			m.bind(decl[0], n.Pipe.IsAssign, element)
		case 2:
			m.bind(decl[0], n.Pipe.IsAssign, key)
			m.bind(decl[1], n.Pipe.IsAssign, element)
		}
		f, err = m.list(n.List, element)
		return f == breaks || err != nil, f, err
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if stop, _, err := each(json.Number(fmt.Sprint(i)), e); stop {
				return onward, err
			}
		}
	case map[string]any:
		steps := len(v) // for sorting
		for k := range v {
			steps += len(k) / bytesPerStep
		}
		if err := m.work(steps); err != nil {
			return onward, err
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if stop, _, err := each(k, v[k]); stop {
				return onward, err
			}
		}
	default:
		return onward, &stuck{n.Pipe, "range needs an array or an object, not a " + rawjson.KindOf(v)}
	}
	return onward, nil
}

func (m *machine) pipe(p *parse.PipeNode, dot any) (any, error) {
	v, err := m.commands(p, dot)
	if err != nil {
		return nil, err
	}
	for _, d := range p.Decl {
		m.bind(d, p.IsAssign, v)
	}
	return v, nil
}

func (m *machine) bind(v *parse.VariableNode, assign bool, value any) {
	if !assign {
		m.locals = append(m.locals, binding[any]{v.Ident[0], value})
		return
	}
	for i := range slices.Backward(m.locals) {
		if m.locals[i].name == v.Ident[0] {
			m.locals[i].value = value
			return
		}
	}
}

func (m *machine) commands(p *parse.PipeNode, dot any) (v any, err error) {
	for i, cmd := range p.Cmds {
		if err := m.work(1); err != nil {
			return nil, err
		}
		name, ok := cmd.Args[0].(*parse.IdentifierNode)
		if !ok {
			if v, err = m.operand(cmd.Args[0], dot); err != nil {
				return nil, err
			}
			continue
		}
		final := []any{v}
		if v, err = m.call(name.Ident, cmd, dot, final[:min(i, 1)]); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// call runs a function; final is what the pipeline adds to its arguments.
func (m *machine) call(name string, cmd *parse.CommandNode, dot any, final []any) (v any, err error) {
	args := make([]any, 0, len(cmd.Args))
	for _, a := range cmd.Args[1:] {
		if v, err = m.operand(a, dot); err != nil {
			return nil, err
		}
		if name == "and" && !truth(v) || name == "or" && truth(v) {
			return v, nil
		}
		args = append(args, v)
	}
	args = append(args, final...)
	f, _ := functionOf(name)
	if f.call == nil { // and, or: the last one decides
		return args[len(args)-1], nil
	}
	v, err = f.call(m, args)
	if err != nil && m.broke == nil && !errors.Is(err, errSteps) {
		err = &stuck{cmd, "'" + name + "' " + err.Error()}
	}
	return v, err
}

func (m *machine) operand(n parse.Node, dot any) (any, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.StringNode:
		return n.Text, nil
	case *parse.NumberNode:
		return json.Number(n.Text), nil
	case *parse.FieldNode:
		return m.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		for _, l := range slices.Backward(m.locals) {
			if l.name == n.Ident[0] {
				return m.fields(n, l.value, n.Ident[1:])
			}
		}
	case *parse.ChainNode:
		v, err := m.operand(n.Node, dot)
		if err != nil {
			return nil, err
		}
		return m.fields(n, v, n.Field)
	case *parse.PipeNode:
		return m.pipe(n, dot)
	}
	return nil, nil // nil itself
}

// fields finds what is inside objects; what is not there is null.
func (m *machine) fields(n parse.Node, v any, names []string) (any, error) {
	if err := m.work(len(names)); err != nil {
		return nil, err
	}
	for _, name := range names {
		switch o := v.(type) {
		case map[string]any:
			v = o[name]
		case nil:
		default:
			return nil, &stuck{n, fmt.Sprintf("%s: '%s' cannot be found in a %s", n, name, rawjson.KindOf(v))}
		}
	}
	return v, nil
}

// print writes numbers as they were written, nothing for null, and arrays and
// objects as JSON.
func (m *machine) print(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return m.write(v)
	case json.Number:
		return m.write(string(v))
	case bool:
		return m.write(fmt.Sprint(v))
	}
	size := rawjson.AtLeast(v, m.output)
	if size > m.output {
		return errOutput
	}
	if err := m.work(size / bytesPerStep); err != nil {
		return err
	}
	b, err := rawjson.Marshal(v)
	if err != nil {
		return err
	}
	return m.write(string(b))
}
