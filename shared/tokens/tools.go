package tokens

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// OpenAI does not show models the JSON of tools. What it makes of it is not
// published, but its cookbook ("How to count tokens with tiktoken", section 7)
// says what it costs, for functions whose parameters have types, descriptions
// and lists of values. Beyond that, such as where objects hold objects, the JSON
// is counted, which is rather more than what models get to read.
const (
	perTools      = 12 // once, if there are any
	perParameters = 3  // of a function that has some
	perParameter  = 3
	perEnum       = -3
	perEnumValue  = 3
)

// tools counts a list of tools, or of functions in the old form.
func (c Counter) tools(list []byte, s *sum, text func([]byte)) {
	none := true
	rawjson.Elements(list, func(_ int, tool []byte) error {
		if none {
			none = false
			s.fixed += perTools
		}
		function := tool
		if rawjson.Kind(tool) == "object" {
			fields := rawjson.Fields(nil, tool)
			if kind, _ := rawjson.String(rawjson.Get(fields, "type")); kind == "function" {
				function = rawjson.Get(fields, "function")
			}
		}
		if rawjson.Kind(function) != "object" {
			text(tool)
			return nil
		}
		fields := rawjson.Fields(nil, function)
		name, ok := rawjson.String(rawjson.Get(fields, "name"))
		if !ok {
			text(tool)
			return nil
		}
		s.fixed += table[c.Family].perTool
		line(text, name, sentence(rawjson.Get(fields, "description")))
		parameters(rawjson.Get(fields, "parameters"), s, text)
		return nil
	})
}

func parameters(schema []byte, s *sum, text func([]byte)) {
	if rawjson.Kind(schema) != "object" {
		return
	}
	for _, f := range rawjson.Fields(nil, schema) {
		switch {
		case f.Name == "properties" && rawjson.Kind(f.Value) == "object":
			for i, p := range rawjson.Fields(nil, f.Value) {
				if i == 0 {
					s.fixed += perParameters
				}
				parameter(p, s, text)
			}
		case f.Name != "type" && f.Name != "required":
			rest(f, text)
		}
	}
}

func parameter(p rawjson.Field, s *sum, text func([]byte)) {
	s.fixed += perParameter
	if rawjson.Kind(p.Value) != "object" {
		rest(p, text)
		return
	}
	kind, about := "", ""
	for _, f := range rawjson.Fields(nil, p.Value) {
		switch {
		case f.Name == "type" && rawjson.Kind(f.Value) == "string":
			kind, _ = rawjson.String(f.Value)
		case f.Name == "description" && rawjson.Kind(f.Value) == "string":
			about = sentence(f.Value)
		case f.Name == "enum" && rawjson.Kind(f.Value) == "array":
			s.fixed += perEnum
			rawjson.Elements(f.Value, func(_ int, value []byte) error {
				s.fixed += perEnumValue
				text(value)
				return nil
			})
		default:
			rest(f, text)
		}
	}
	line(text, p.Name, kind, about)
}

// rest counts what the cookbook does not know, as JSON.
func rest(f rawjson.Field, text func([]byte)) {
	line(text, f.Name, string(f.Value))
}

// sentence is a description without the full stop at its end.
func sentence(value []byte) string {
	s, _ := rawjson.String(value)
	return strings.TrimSuffix(s, ".")
}

func line(text func([]byte), words ...string) {
	text(rawjson.AppendString(nil, strings.Join(words, ":")))
}
