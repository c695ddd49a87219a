package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Type is what a variable holds.
type Type string

// The types, as JSON has them; an integer is a number without fraction and
// exponent.
const (
	String  Type = "string"
	Number  Type = "number"
	Integer Type = "integer"
	Boolean Type = "boolean"
	Array   Type = "array"
	Object  Type = "object"
)

// Types lists every Type.
var Types = []Type{String, Number, Integer, Boolean, Array, Object}

// Variable is what a template wants to be told.
type Variable struct {
	Name        string `json:"name"`
	Type        Type   `json:"type"`
	Description string `json:"description,omitempty"`
	// Required is whether leaving it out is an error. Unless said, it is so for
	// variables without a default: a prompt with a hole is seldom meant.
	Required bool            `json:"required"`
	Default  json.RawMessage `json:"default,omitempty"`
	// MaxLength bounds the characters of a string or the elements of an array; 0
	// is no bound.
	MaxLength int64 `json:"max_length,omitempty"`
}

var variablePattern = pattern.Pattern{Expr: `^[A-Za-z_][A-Za-z0-9_]*$`}

func readVariables(array []byte) (list []Variable, err error) {
	if rawjson.IsNull(array) {
		return nil, nil
	}
	if rawjson.Kind(array) != "array" {
		return nil, fault.WrongType("variables", rawjson.Kind(array), "array")
	}
	err = rawjson.Elements(array, func(i int, value []byte) error {
		at := fmt.Sprintf("variables[%d]", i)
		if i >= maxVariables {
			return fault.Field("variables", "'variables' takes at most %d variables.", maxVariables)
		}
		v, err := readVariable(at, value)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(o Variable) bool { return o.Name == v.Name }) {
			return fault.Field(at+".name", "The variable '%s' is declared twice.", v.Name)
		}
		list = append(list, v)
		return nil
	})
	return list, err
}

func readVariable(at string, value []byte) (v Variable, err error) {
	fields, err := llm.ReadObject(at, value, "name", "type", "required", "default", "description", "max_length")
	if err != nil {
		return v, err
	}
	v.Name, _ = rawjson.String(rawjson.Get(fields, "name"))
	if len(v.Name) > maxName || !variablePattern.Match(v.Name) {
		return v, fault.Field(at+".name", "'%s.name' must be 1 to %d letters, digits or '_', and not begin with a digit.", at, maxName)
	}
	v.Type = String
	if typ := rawjson.Get(fields, "type"); !rawjson.IsNull(typ) {
		s, _ := rawjson.String(typ)
		if v.Type = Type(s); !slices.Contains(Types, v.Type) {
			return v, fault.Field(at+".type", "'%s.type' must be %s.", at, fault.Choice(Types))
		}
	}
	if v.Description, err = readString(at+".description", rawjson.Get(fields, "description"), maxDescription); err != nil {
		return v, err
	}
	if most := rawjson.Get(fields, "max_length"); !rawjson.IsNull(most) {
		n, ok := rawjson.Int(most)
		if !ok || n < 1 || v.Type != String && v.Type != Array {
			return v, fault.Field(at+".max_length", "'%s.max_length' must be a positive integer, of a string or an array.", at)
		}
		v.MaxLength = n
	}
	if def := rawjson.Get(fields, "default"); !rawjson.IsNull(def) {
		if err := v.Accepts(at+".default", def); err != nil {
			return v, err
		}
		if rawjson.LongNumber(def, maxDigits) {
			return v, fault.Field(at+".default", "'%s.default' is wrong: %v.", at, errDigits)
		}
		if v.Default, err = canonical(nil, at+".default", def); err != nil {
			return v, err
		}
	}
	v.Required = v.Default == nil
	if req := rawjson.Get(fields, "required"); !rawjson.IsNull(req) {
		v.Required, err = llm.ReadBool(at+".required", req)
	}
	return v, err
}

// Accepts checks a value that is not null. param names it in errors.
func (v *Variable) Accepts(param string, value []byte) error {
	kind := rawjson.Kind(value)
	ok := string(v.Type) == kind || v.Type == Integer && kind == "number" && !bytes.ContainsAny(value, ".eE")
	if !ok {
		return fault.WrongType(param, describe(value), string(v.Type))
	}
	if v.MaxLength == 0 {
		return nil
	}
	var n int64
	unit := "characters"
	if v.Type == String {
		s, _ := rawjson.String(value)
		n = int64(utf8.RuneCountInString(s))
	} else {
		unit = "elements"
		rawjson.Elements(value, func(int, []byte) error { n++; return nil })
	}
	if n > v.MaxLength {
		return fault.Field(param, "'%s' has %d %s; the limit is %d.", param, n, unit, v.MaxLength)
	}
	return nil
}

func describe(value []byte) string {
	if kind := rawjson.Kind(value); kind != "number" || len(value) > 40 {
		return kind
	}
	return "the number " + string(value)
}

// values checks what a caller gives and adds the defaults. Every declared
// variable is in the result; nil is one that is not required and has no
// default. prefix names the object in errors.
func (t *Template) values(given json.RawMessage, prefix string) (map[string]any, error) {
	var fields []rawjson.Field
	if given = bytes.TrimSpace(given); !rawjson.IsNull(given) {
		var err error
		if fields, err = llm.ReadObject(prefix, given); err != nil {
			return nil, err
		}
	}
	for _, f := range fields {
		if !slices.ContainsFunc(t.Variables, func(v Variable) bool { return v.Name == f.Name }) {
			return nil, fault.Unknown(prefix+"."+f.Name, t.names()...)
		}
	}
	values := make(map[string]any, len(t.Variables))
	var missing []string
	for i := range t.Variables {
		v := &t.Variables[i]
		raw := rawjson.Get(fields, v.Name)
		switch {
		case !rawjson.IsNull(raw):
			if err := v.Accepts(prefix+"."+v.Name, raw); err != nil {
				return nil, err
			}
			if v.Type == Array || v.Type == Object {
				if _, err := canonical(nil, prefix+"."+v.Name, raw); err != nil { // a member that is given twice
					return nil, err
				}
			}
		case v.Default != nil:
			raw = v.Default
		case v.Required:
			missing = append(missing, v.Name)
			continue
		default:
			raw = []byte("null")
		}
		value, err := decode(raw)
		if err != nil {
			return nil, fault.Field(prefix+"."+v.Name, "'%s.%s' is wrong: %v.", prefix, v.Name, err)
		}
		values[v.Name] = value
	}
	if missing != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Param: prefix + "." + missing[0], Code: "missing_required_parameter",
			Message: fmt.Sprintf("The template needs a value for '%s', in '%s'.", strings.Join(missing, "', '"), prefix)}
	}
	return values, nil
}

func (t *Template) names() (names []string) {
	for _, v := range t.Variables {
		names = append(names, v.Name)
	}
	return names
}

// decode leaves numbers as they were written, and refuses those that would
// take long to read again and again.
func decode(raw []byte) (value any, err error) {
	if rawjson.LongNumber(raw, maxDigits) {
		return nil, errDigits
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return value, nil
}

var errDigits = fmt.Errorf("a number has more than %d digits", maxDigits)
