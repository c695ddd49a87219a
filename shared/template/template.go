// Package template makes prompts from templates: texts in Go's template syntax
// without calls, and the variables that they take. Whatever a template says, it
// runs no code, and what it writes and how long it takes are bounded.
package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Limits of a template.
const (
	maxVariables   = 100
	maxParameters  = 100 // each is looked for in every request that names the template
	maxExamples    = 50
	maxName        = 64      // bytes of the name of a template or a variable
	maxDescription = 4 << 10 // bytes
	// maxDeclared bounds the JSON of variables and parameters, so that the YAML of
	// every template's file stays within its bound.
	maxDeclared = 32 << 10
)

// Template is a prompt with variables. Parse makes it; it does not change
// afterwards and is safe for concurrent use. Its JSON form is the one that Parse
// reads.
type Template struct {
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Model       string          `json:"model,omitempty"`    // for requests that name none
	System      string          `json:"system,omitempty"`   // the first message
	Examples    []Example       `json:"examples,omitempty"` // turns that show the model what is wanted
	User        string          `json:"user,omitempty"`     // the last message
	Variables   []Variable      `json:"variables,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // an object of chat fields, for requests that do not set them

	texts    []text // of System, Examples and User, in that order
	warnings []string
}

// Example is a turn of a conversation that was held before, so to speak. Both
// texts may use variables.
type Example struct {
	User      string `json:"user"`
	Assistant string `json:"assistant"`
}

// Parse reads a template's JSON form and checks all of it. Its errors are
// fault.Invalid and name the field that is wrong, such as "user",
// "examples[1].assistant" or "variables[0].default". beside are fields that the
// caller takes, and has taken out of body: who errs in a name hears of them, too.
func Parse(body []byte, beside ...string) (*Template, error) {
	fields, err := llm.ReadObject("", body)
	if err != nil {
		return nil, err
	}
	t := &Template{}
	for _, f := range fields {
		if err := t.read(f, beside); err != nil {
			return nil, err
		}
	}
	if t.System == "" && t.User == "" {
		return nil, fault.Field("user", "A template needs a text: 'user', 'system' or both.")
	}
	size := len(t.Parameters)
	for _, v := range t.Variables {
		size += len(v.Name) + len(v.Description) + len(v.Default)
	}
	if size > maxDeclared {
		param := "variables"
		if len(t.Parameters) > size/2 {
			param = "parameters"
		}
		return nil, fault.Field(param, "'variables' and 'parameters' have %d bytes together; the limit is %d.", size, maxDeclared)
	}
	return t, t.compile()
}

func (t *Template) read(f rawjson.Field, beside []string) (err error) {
	switch f.Name {
	case "name":
		t.Name, err = readString(f.Name, f.Value, maxName)
	case "description":
		t.Description, err = readString(f.Name, f.Value, maxDescription)
	case "model":
		t.Model, err = readString(f.Name, f.Value, llm.MaxModel)
	case "system":
		t.System, err = readText(f.Name, f.Value)
	case "user":
		t.User, err = readText(f.Name, f.Value)
	case "examples":
		t.Examples, err = readExamples(f.Value)
	case "variables":
		t.Variables, err = readVariables(f.Value)
	case "parameters":
		t.Parameters, err = readParameters(f.Value)
	default:
		err = fault.Unknown(f.Name, append([]string{"name", "description", "system", "examples", "user", "variables", "model", "parameters"}, beside...)...)
	}
	return err
}

// compile parses the texts and compares what they use with what is declared.
func (t *Template) compile() error {
	used := map[string]bool{}
	add := func(param, source string) error {
		if source == "" {
			return nil
		}
		x, err := parseText(param, source)
		if err != nil {
			return err
		}
		t.texts = append(t.texts, x)
		return x.check(t.Variables, used)
	}
	if err := add("system", t.System); err != nil {
		return err
	}
	for i, e := range t.Examples {
		if err := add(fmt.Sprintf("examples[%d].user", i), e.User); err != nil {
			return err
		}
		if err := add(fmt.Sprintf("examples[%d].assistant", i), e.Assistant); err != nil {
			return err
		}
	}
	if err := add("user", t.User); err != nil {
		return err
	}
	for i, v := range t.Variables {
		if !used[v.Name] {
			t.warnings = append(t.warnings, fmt.Sprintf("variables[%d]: no text uses '%s'.", i, v.Name))
		}
		if v.Required && v.Default != nil {
			t.warnings = append(t.warnings, fmt.Sprintf("variables[%d]: '%s' has a default, so that it need not be given although it is required.", i, v.Name))
		}
	}
	return nil
}

// JSON returns the canonical form: equal templates have equal bytes, and Parse
// reads them.
func (t *Template) JSON() []byte {
	b, err := rawjson.Marshal(t)
	if err != nil {
		panic(err) // strings, numbers and JSON that was parsed before
	}
	return b
}

// Warnings lists what is odd about the template but not wrong, as sentences
// that begin with the field.
func (t *Template) Warnings() []string { return slices.Clone(t.warnings) }

func readString(param string, value []byte, limit int) (string, error) {
	if rawjson.IsNull(value) {
		return "", nil
	}
	s, ok := rawjson.String(value)
	if !ok || len(s) > limit {
		return "", fault.Field(param, "'%s' must be a string of at most %d bytes.", param, limit)
	}
	return s, nil
}

// readText reads a text of a template. "" is none; one of nothing but space is
// a mistake.
func readText(param string, value []byte) (string, error) {
	if rawjson.IsNull(value) {
		return "", nil
	}
	s, ok := rawjson.String(value)
	switch {
	case !ok:
		return "", fault.WrongType(param, rawjson.Kind(value), "string")
	case s != "" && strings.TrimSpace(s) == "":
		return "", fault.Field(param, "'%s' must not be blank; leave it out.", param)
	}
	return s, nil
}

func readExamples(array []byte) (list []Example, err error) {
	if rawjson.IsNull(array) {
		return nil, nil
	}
	if rawjson.Kind(array) != "array" {
		return nil, fault.WrongType("examples", rawjson.Kind(array), "array")
	}
	err = rawjson.Elements(array, func(i int, value []byte) error {
		at := fmt.Sprintf("examples[%d]", i)
		if i >= maxExamples {
			return fault.Field("examples", "'examples' takes at most %d examples.", maxExamples)
		}
		fields, err := llm.ReadObject(at, value, "user", "assistant")
		if err != nil {
			return err
		}
		var e Example
		if e.User, err = readText(at+".user", rawjson.Get(fields, "user")); err != nil {
			return err
		}
		if e.Assistant, err = readText(at+".assistant", rawjson.Get(fields, "assistant")); err != nil {
			return err
		}
		if e.User == "" {
			return fault.Missing(at + ".user")
		}
		if e.Assistant == "" {
			return fault.Missing(at + ".assistant")
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// notDefaults are chat fields that no template may set, and why.
var notDefaults = map[string]string{
	"model":          "it is a field of the template itself",
	"messages":       "they are what the template's texts make",
	"stream":         "the client knows whether it can read a stream",
	"stream_options": "they belong to 'stream', which is the client's",
	"gateway":        "it is how a request names the template",
}

// readParameters checks the parameters as those of a chat request.
func readParameters(value []byte) (json.RawMessage, error) {
	if rawjson.IsNull(value) {
		return nil, nil
	}
	if rawjson.Kind(value) != "object" {
		return nil, fault.WrongType("parameters", rawjson.Kind(value), "object")
	}
	out, err := canonical(nil, "parameters", value)
	if err != nil {
		return nil, err
	}
	fields := rawjson.Fields(nil, out)
	switch {
	case len(fields) == 0:
		return nil, nil
	case len(fields) > maxParameters:
		return nil, fault.Field("parameters", "'parameters' has %d fields; the limit is %d.", len(fields), maxParameters)
	}
	for _, f := range fields {
		if why := notDefaults[f.Name]; why != "" {
			return nil, fault.Field("parameters."+f.Name, "'parameters' cannot hold '%s': %s.", f.Name, why)
		}
	}
	sample := rawjson.Apply(nil, out, fields, rawjson.Edit{Name: "model", Value: []byte(`"m"`)},
		rawjson.Edit{Name: "messages", Value: []byte(`[{"role":"user","content":"m"}]`)})
	if _, err := llm.ParseRequest(sample); err != nil {
		f := fault.As(err)
		return nil, &fault.Error{Kind: f.Kind, Code: f.Code, Param: "parameters." + f.Param,
			Message: strings.ReplaceAll(f.Message, "'"+f.Param, "'parameters."+f.Param)}
	}
	return out, nil
}

// canonical appends value to dst in its one spelling: no space, strings without
// needless escapes, numbers and the order of fields as they are. It refuses
// fields that an object has twice.
func canonical(dst []byte, at string, value []byte) ([]byte, error) {
	var err error
	switch rawjson.Kind(value) {
	case "object":
		dst = append(dst, '{')
		seen := map[string]bool{}
		for i, f := range rawjson.Fields(nil, value) {
			if seen[f.Name] {
				return nil, fault.Field(at+"."+f.Name, "'%s.%s' is given twice.", at, f.Name)
			}
			seen[f.Name] = true
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(rawjson.AppendString(dst, f.Name), ':')
			if dst, err = canonical(dst, at+"."+f.Name, f.Value); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case "array":
		dst = append(dst, '[')
		err = rawjson.Elements(value, func(i int, v []byte) (err error) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, err = canonical(dst, fmt.Sprintf("%s[%d]", at, i), v)
			return err
		})
		return append(dst, ']'), err
	case "string":
		s, _ := rawjson.String(value)
		return rawjson.AppendString(dst, s), nil
	}
	return append(dst, value...), nil
}
