package gateway

import (
	"encoding/binary"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// twins finds the inputs that are there more than once: they are sent once.
func (e *embedding) twins() {
	seen := make(map[string]int, len(e.got))
	for i := range e.got {
		key := e.key(i)
		first, again := seen[key]
		if !again {
			seen[key] = i
		} else if e.got[i].err == nil {
			e.got[i].twin, e.got[i].first = true, first
			e.distinct--
		}
	}
}

// key is the same for the same input.
func (e *embedding) key(i int) string {
	if e.req.Tokens == nil {
		return e.req.Inputs[i]
	}
	var ids []byte
	for _, id := range e.req.Tokens[i] {
		ids = binary.AppendVarint(ids, id)
	}
	return string(ids)
}

// double gives inputs that were not sent what became of their twins.
func (e *embedding) double() {
	for i := range e.got {
		v := &e.got[i]
		if !v.twin {
			continue
		}
		first := &e.got[v.first]
		v.at, v.model, v.cached, v.values = first.at, first.model, first.cached, slices.Clone(first.values)
		if first.err != nil {
			f := *fault.As(first.err)
			f.Param = inputAt(i)
			f.Message = numbered.Regexp().ReplaceAllLiteralString(f.Message, f.Param)
			v.err = &f
		}
	}
}
