package chain

import (
	"github.com/theory/jsonpath/spec"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// shape is what is known of a value before it exists. The zero shape may be
// anything.
type shape struct {
	kind   string            // as rawjson.Kind says; "" if unknown
	elem   *shape            // of an array; nil: anything
	fields map[string]*shape // of an object, as far as they are known
	closed bool              // the object has no others
}

var (
	anything = &shape{}
	aText    = &shape{kind: "string"}
	aNumber  = &shape{kind: "number"}
	aTruth   = &shape{kind: "boolean"}
	anObject = &shape{kind: "object"}

	// passages is what retrieve steps give.
	passages = &shape{kind: "array", elem: &shape{kind: "object", closed: true, fields: map[string]*shape{
		"id": aText, "text": aText, "score": aNumber, "metadata": anObject, "passage": aNumber, "collection": aText}}}
	// files is what code steps give.
	files = &shape{kind: "object", closed: true, fields: map[string]*shape{
		"files":       {kind: "array", elem: &shape{kind: "object", closed: true, fields: map[string]*shape{"path": aText, "language": aText, "content": aText}}},
		"explanation": aText,
		"diagnostics": {kind: "array", elem: &shape{kind: "object", closed: true, fields: map[string]*shape{"path": aText, "severity": aText, "code": aText, "message": aText, "source": aText, "line": aNumber, "column": aNumber}}}}}
)

// varTypes are the types of variables, and the JSON types they stand for.
var varTypes = map[string]string{"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "array": "array", "object": "object", "any": ""}

// schemaShape reads a JSON Schema as far as it settles types. What it does not
// understand may be anything.
func schemaShape(schema []byte, depth int) *shape {
	if depth == 0 || rawjson.Kind(schema) != "object" {
		return anything
	}
	fields := rawjson.Fields(nil, schema)
	for _, name := range []string{"$ref", "anyOf", "oneOf", "allOf", "not", "if"} {
		if rawjson.Get(fields, name) != nil {
			return anything
		}
	}
	typ, _ := rawjson.String(rawjson.Get(fields, "type"))
	switch typ {
	case "integer":
		return aNumber
	case "string", "number", "boolean", "null":
		return &shape{kind: typ}
	case "array":
		return &shape{kind: typ, elem: schemaShape(rawjson.Get(fields, "items"), depth-1)}
	case "object":
		s := &shape{kind: typ, fields: map[string]*shape{}, closed: string(rawjson.Get(fields, "additionalProperties")) == "false"}
		if props := rawjson.Get(fields, "properties"); rawjson.Kind(props) == "object" {
			for _, p := range rawjson.Fields(nil, props) {
				s.fields[p.Name] = schemaShape(p.Value, depth-1)
			}
		}
		return s
	}
	return anything
}

// constShape is the shape of a JSON constant.
func constShape(value []byte) *shape { return &shape{kind: rawjson.Kind(value)} }

// called names a kind in a sentence.
func (s *shape) called() string {
	switch s.kind {
	case "string":
		return "text"
	case "array", "object":
		return "an " + s.kind
	case "null":
		return "null"
	case "":
		return "anything"
	}
	return "a " + s.kind
}

// may says whether a value of shape s can be of a kind.
func (s *shape) may(kind string) bool { return s.kind == "" || s.kind == kind }

// field is the shape of a member; wrong says why there cannot be one.
func (s *shape) field(name string) (_ *shape, wrong string) {
	switch f, ok := s.fields[name]; {
	case !s.may("object"):
		return anything, "is " + s.called() + ", which has no field '" + name + "'"
	case ok:
		return f, ""
	case s.closed:
		return anything, "has no field '" + name + "'"
	}
	return anything, ""
}

// item is the shape of an array's elements.
func (s *shape) item() *shape {
	if s.kind == "array" && s.elem != nil {
		return s.elem
	}
	return anything
}

// follow is the shape of what segments select from s; several says that they
// may select more than one value.
func (s *shape) follow(segments []*spec.Segment) (_ *shape, several bool, wrong string) {
	for _, seg := range segments {
		if seg.IsDescendant() {
			return anything, true, ""
		}
		if len(seg.Selectors()) > 1 {
			s, several = anything, true
			continue
		}
		switch sel := seg.Selectors()[0].(type) {
		case spec.Name:
			if s, wrong = s.field(string(sel)); wrong != "" {
				return anything, several, wrong
			}
		case spec.Index:
			if !s.may("array") {
				return anything, several, "is " + s.called() + ", which has no elements"
			}
			s = s.item()
		default: // all, a slice, a filter
			if !s.may("array") && !s.may("object") {
				return anything, several, "is " + s.called() + ", which has no elements"
			}
			s, several = s.item(), true
		}
	}
	return s, several, ""
}
