package chain

import (
	"fmt"
	"slices"
	"strings"
)

// link turns what steps refer to into the graph, and proves it: everything
// that is referred to exists, nothing waits for itself, and types agree as far
// as they are known. output are the uses of the chain's own output.
func (c *Chain) link(p *Problems, output []use) {
	for i, s := range c.Steps {
		s.deps = slices.Clone(c.declared(p, s))
		for _, u := range s.uses {
			s.deps = append(s.deps, c.references(p, i, u)...)
		}
	}
	for _, u := range output {
		c.references(p, -1, u)
	}
	for i, s := range c.Steps {
		c.govern(p, i, s)
	}
	for _, s := range c.Steps {
		slices.Sort(s.deps)
		s.deps = slices.Compact(s.deps)
	}
	if !c.sort(p) {
		return // without an order there are no types either
	}
	for _, i := range c.order {
		s := c.Steps[i]
		s.shape = c.typed(p, s)
	}
	for _, u := range output {
		c.check(p, u, nil)
	}
}

// declared are the steps that s says it needs.
func (c *Chain) declared(p *Problems, s *Step) (deps []int) {
	for i, id := range s.needs {
		at := fmt.Sprintf("%s.needs[%d]", s.at, i)
		switch j, ok := c.index[id]; {
		case !ok:
			p.add(at, "names no step: there is no '%s'", id)
		case id == s.ID:
			p.add(at, "is the step itself")
		default:
			deps = append(deps, j)
		}
	}
	return deps
}

// references returns the steps that u refers to, and notes what does not
// exist. of is the step that u belongs to; -1 is the chain's output.
func (c *Chain) references(p *Problems, of int, u use) (deps []int) {
	for _, r := range u.refs {
		switch first := r.at(0); {
		case first == "input":
			name := r.at(1)
			if name != "" && !slices.ContainsFunc(c.Input, func(v Variable) bool { return v.Name == name }) {
				p.add(u.at, "uses a variable that is not declared: input.%s", name)
			}
		case first == "steps" && r.at(1) != "":
			j, ok := c.index[r.at(1)]
			switch {
			case !ok:
				p.add(u.at, "uses a step that does not exist: steps.%s", r.at(1))
			case j == of:
				p.add(u.at, "uses the output of its own step")
			case r.at(2) != "output":
				p.add(u.at, "must say steps.%s.output: a step has nothing else to offer", r.at(1))
			default:
				deps = append(deps, j)
			}
		case (first == "item" || first == "index") && u.item:
		case first == "item" || first == "index":
			p.add(u.at, "uses %s, which exists only in what a map does", first)
		default:
			p.add(u.at, "must begin with input.NAME or steps.ID.output, so that it is known what it depends on; this is %s", r)
		}
	}
	return deps
}

func (r names) at(i int) string {
	if i < len(r) {
		return r[i]
	}
	return ""
}

func (r names) String() string {
	if len(r) == 0 {
		return "the whole data"
	}
	return "'" + strings.Join(r, ".") + "'"
}

// govern makes the steps that a condition decides about wait for it.
func (c *Chain) govern(p *Problems, i int, s *Step) {
	branch := func(name string, ids []string) {
		for k, id := range ids {
			at := fmt.Sprintf("%s.%s[%d]", s.at, name, k)
			j, ok := c.index[id]
			switch {
			case !ok:
				p.add(at, "names no step: there is no '%s'", id)
			case j == i:
				p.add(at, "is the condition itself")
			case c.Steps[j].governor == i:
				p.add(at, "is named twice: '%s'", id)
			case c.Steps[j].governor >= 0:
				p.add(at, "depends on another condition already, '%s': one decides", c.Steps[c.Steps[j].governor].ID)
			default:
				c.Steps[j].governor = i
				c.Steps[j].deps = append(c.Steps[j].deps, i)
			}
		}
	}
	branch("then", s.Then)
	branch("else", s.Else)
}

// sort puts the steps in an order in which each comes after what it depends
// on, by depth first search. It notes a circle and returns false if there is
// none.
func (c *Chain) sort(p *Problems) bool {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(c.Steps))
	var way []int
	var visit func(i int) bool
	visit = func(i int) bool {
		switch state[i] {
		case done:
			return true
		case open:
			var ids []string
			for _, j := range append(way[slices.Index(way, i):], i) {
				ids = append(ids, c.Steps[j].ID)
			}
			slices.Reverse(ids) // what comes first stands first
			p.add(c.Steps[i].at, "waits for itself: %s", strings.Join(ids, " → "))
			return false
		}
		state[i] = open
		way = append(way, i)
		for _, j := range c.Steps[i].deps {
			if !visit(j) {
				return false
			}
		}
		way = way[:len(way)-1]
		state[i] = done
		c.order = append(c.order, i)
		return true
	}
	for i := range c.Steps {
		if !visit(i) {
			return false
		}
	}
	return true
}

// typed checks the types of what s uses and returns the shape of its output.
func (c *Chain) typed(p *Problems, s *Step) *shape {
	var item *shape
	if s.Type == Map {
		item = anything
		if s.over != nil {
			of, several, _ := c.shapeOf(s.over, nil)
			if item = of.item(); several {
				item = of
			}
		}
	}
	for _, u := range s.uses {
		c.check(p, u, item)
	}
	for of := s; of != nil; of = of.Do {
		c.bound(of, item)
	}
	out := c.gives(s, item)
	switch {
	case s.OnError.Default != nil && !out.may(constShape(s.OnError.Default).kind):
		return anything
	case s.Type == Transform && s.def != nil && !out.may(constShape(s.def).kind):
		return anything
	}
	return out
}

// gives is the shape of what s gives when nothing goes wrong.
func (c *Chain) gives(s *Step, item *shape) *shape {
	switch s.Type {
	case Prompt:
		switch {
		case !s.JSON:
			return aText
		case s.schema != nil:
			return schemaShape(s.schema, 8)
		}
		return anObject
	case Retrieve:
		return passages
	case Code:
		return files
	case Condition:
		return aTruth
	case Map:
		if s.Do == nil {
			return &shape{kind: "array"}
		}
		elem := c.gives(s.Do, item)
		if d := s.Do.OnError.Default; d != nil && !elem.may(constShape(d).kind) || s.Do.def != nil {
			elem = anything
		}
		return &shape{kind: "array", elem: elem}
	case Transform:
		switch sel := s.sel; {
		case sel == nil:
			return anything
		case sel.path != nil:
			of, several, _ := c.shapeOf(sel.path, item)
			if several {
				return &shape{kind: "array", elem: of}
			}
			return of
		default:
			o := &shape{kind: "object", fields: map[string]*shape{}, closed: true}
			for i, q := range sel.paths {
				of, several, _ := c.shapeOf(q, item)
				if several {
					of = &shape{kind: "array", elem: of}
				}
				o.fields[sel.names[i]] = of
			}
			return o
		}
	}
	return anything
}

// check notes where a use asks for what cannot be there.
func (c *Chain) check(p *Problems, u use, item *shape) {
	if u.path == nil {
		for _, r := range u.refs {
			if _, wrong := c.walk(r, item); wrong != "" {
				p.add(u.at, "is wrong: %s", wrong)
			}
		}
		return
	}
	of, several, wrong := c.shapeOf(u.path, item)
	switch {
	case wrong != "":
		p.add(u.at, "is wrong: %s", wrong)
	case several && u.kind != "" && u.kind != "array":
		p.add(u.at, "selects a list where %s is needed", (&shape{kind: u.kind}).called())
	case !several && u.kind != "" && !of.may(u.kind):
		p.add(u.at, "selects what is %s, where %s is needed", of.called(), (&shape{kind: u.kind}).called())
	}
}

// base is the shape of what a reference begins with, and how many names that
// takes.
func (c *Chain) base(r names, item *shape) (*shape, int) {
	switch r.at(0) {
	case "input":
		for _, v := range c.Input {
			if v.Name == r.at(1) {
				return &shape{kind: varTypes[v.Type]}, 2
			}
		}
		return anObject, 1
	case "steps":
		if s := c.Step(r.at(1)); s != nil && s.shape != nil && r.at(2) == "output" {
			return s.shape, 3
		}
	case "item":
		if item != nil {
			return item, 1
		}
	case "index":
		return aNumber, 1
	}
	return anything, len(r)
}

// walk is the shape that names lead to.
func (c *Chain) walk(r names, item *shape) (of *shape, wrong string) {
	of, n := c.base(r, item)
	for i := n; i < len(r); i++ {
		if of, wrong = of.field(r[i]); wrong != "" {
			return anything, strings.Join(r[:i], ".") + " " + wrong
		}
	}
	return of, ""
}

// shapeOf is the shape of what a path selects, of each value if there may be
// several.
func (c *Chain) shapeOf(q *path, item *shape) (of *shape, several bool, wrong string) {
	segments := q.Query().Segments()
	r := leading(segments)
	if of, wrong = c.walk(r, item); wrong != "" {
		return anything, !q.singular, wrong
	}
	of, several, wrong = of.follow(segments[len(r):])
	if wrong != "" {
		wrong = strings.Join(r, ".") + " " + wrong
	}
	return of, several, wrong
}
