package chain

import (
	"context"
	"encoding/json"

	"github.com/theory/jsonpath/spec"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

// What a run does between its calls (texts, selections, conditions) costs
// nobody anything, and so it is bounded. It is counted in steps, of up to a
// hundred nanoseconds each: an action of a text, 256 bytes that are read, 16
// states that a pattern is in. Whoever takes them asks before that, often
// enough that deadlines and clients who leave are heard of within a tenth of a
// second.
const (
	maxEffort = 10 << 20 // steps of a run
	maxOnce   = 1 << 20  // steps of a selection, which cannot be interrupted

	stepBytes  = 256 // bytes to a step
	stepStates = 16  // bytes times instructions of a pattern to a step
	nodeSteps  = 8   // for a value that is visited, its place noted and sorted
	countSteps = 8   // that are counted in one
)

// free spends without a bound; for what is known to be short.
func free(int) error { return nil }

// spend returns what asks for steps of the run: it fails when there are none
// left, and when ctx has ended.
func (r *runner) spend(ctx context.Context) template.Spend {
	return func(steps int) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.effort.Add(int64(steps)) > maxEffort {
			return &fault.Error{Kind: fault.Unprocessable, Code: "chain_work_exceeded",
				Message: "The run's texts, selections and conditions take more work than a run may: give them less data, or simpler patterns."}
		}
		return nil
	}
}

// cost counts the steps that p takes over data, and stops counting above
// maxOnce.
func (p *path) cost(data map[string]any) int {
	segments := p.Query().Segments()
	if p.singular {
		return len(segments)
	}
	c := counter{left: maxOnce}
	if p.terms > 0 {
		c.terms, c.reads = p.terms, p.reads
		before := c.left
		for _, r := range p.reads {
			if r.root { // again for each value
				c.read(data, r)
			}
		}
		c.each = p.fixed + before - c.left
	}
	c.segments(any(data), segments)
	return maxOnce - c.left
}

// lookup finds what names and indexes lead to; nil if there is nothing.
func lookup(v any, place []any) any {
	for _, at := range place {
		switch at := at.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[at]
		case int:
			l, _ := v.([]any)
			if at < 0 {
				at += len(l)
			}
			if at < 0 || at >= len(l) {
				return nil
			}
			v = l[at]
		}
	}
	return v
}

// counter counts the steps of a selection without making it. It never counts
// less than the library visits.
type counter struct {
	left  int
	place int       // steps that the names above the value take, by which it is sorted
	terms int       // in filters
	reads []reading // by filters
	each  int       // steps for what filters read beside the value
}

func (c *counter) segments(v any, list []*spec.Segment) {
	if c.left--; c.left < 0 || len(list) == 0 {
		return
	}
	s, rest := list[0], list[1:]
	if s.IsDescendant() {
		c.tree(v, nodeSteps*len(s.Selectors())*len(list))
		return
	}
	for _, sel := range s.Selectors() {
		switch sel := sel.(type) {
		case spec.Name:
			if o, ok := v.(map[string]any); ok {
				c.segments(o[string(sel)], rest)
			}
		case spec.Index:
			if l, ok := v.([]any); ok {
				if i := int(sel); i < 0 && -i <= len(l) {
					c.segments(l[len(l)+i], rest)
				} else if i >= 0 && i < len(l) {
					c.segments(l[i], rest)
				}
			}
		default: // all, a slice, a filter
			if slice, ok := sel.(spec.SliceSelector); ok && slice.Step() > 0 {
				if l, ok := v.([]any); ok {
					from, to := slice.Bounds(len(l))
					v = l[min(from, to):to]
				}
			}
			c.children(v, func(e any) {
				c.left -= nodeSteps + c.place
				c.test(e)
				c.segments(e, rest)
			})
		}
	}
}

// children calls do for each member or element of v while there are steps left.
// Reading a name costs what reading a text does.
func (c *counter) children(v any, do func(any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if do(e); c.left < 0 {
				return
			}
		}
	case map[string]any:
		above := c.place
		for name, e := range v {
			c.place = above + len(name)/stepBytes
			c.left -= len(name) / stepBytes
			if do(e); c.left < 0 {
				return
			}
		}
		c.place = above
	}
}

// tree counts steps for all values in v, and what their places take to write.
func (c *counter) tree(v any, steps int) {
	c.place++
	c.children(v, func(e any) {
		c.left -= steps + c.place
		c.test(e)
		c.tree(e, steps)
	})
	c.place--
}

// test counts what filters read of v.
func (c *counter) test(v any) {
	if c.terms == 0 {
		return
	}
	c.left -= c.terms + c.each
	for _, r := range c.reads {
		if !r.root {
			c.read(v, r)
		}
	}
}

// read counts what r reads of v.
func (c *counter) read(v any, r reading) {
	c.left -= len(r.place)
	v = lookup(v, r.place)
	if s, ok := v.(string); ok {
		c.left -= patternSteps(len(s), r.program)
	}
	if !r.matches { // patterns look at texts only
		c.weigh(v)
	}
}

// weigh counts what comparing v takes.
func (c *counter) weigh(v any) {
	if c.left--; c.left < 0 {
		return
	}
	switch v := v.(type) {
	case string:
		c.left -= len(v) / stepBytes
	case json.Number:
		c.left--
	default:
		c.children(v, c.weigh)
	}
}
