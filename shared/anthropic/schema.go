package anthropic

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// keywords are those that structured outputs take as they are; formats, the
// formats of strings.
var (
	keywords = []string{"type", "enum", "const", "title", "default", "required", "$ref"}
	formats  = []string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)

// closeSchema writes schema as structured outputs want it: every object closed
// (additionalProperties false), no keyword that they refuse. What is lost that
// way stays readable for the model in the description. The order of properties
// is kept, since the answer follows it. ok is false if a closed schema would
// mean something else: an object of free keys, a schema that is no object.
func closeSchema(schema json.RawMessage) (closed json.RawMessage, ok bool) {
	c := closer{ok: true}
	return c.schema(nil, schema), c.ok
}

type closer struct{ ok bool }

func (c *closer) schema(dst, schema []byte) []byte {
	if rawjson.Kind(schema) != "object" { // true and false are schemas too
		c.ok = false
		return append(dst, "{}"...)
	}
	fields := rawjson.Fields(nil, schema)
	if ref := rawjson.Get(fields, "$ref"); ref != nil && rawjson.Get(fields, "$defs") == nil { // it stands alone
		c.ok = c.ok && string(ref) != `"#"` // they refuse recursion; that through definitions they find themselves
		return append(append(append(dst, `{"$ref":`...), ref...), '}')
	}
	typ := string(rawjson.Get(fields, "type"))
	isObject := strings.Contains(typ, `"object"`) || typ == "" && rawjson.Get(fields, "properties") != nil
	var lost []string
	dst = append(dst, '{')
	put := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(rawjson.AppendString(dst, name), ':')
	}
	for _, f := range fields {
		text, _ := rawjson.String(f.Value)
		switch {
		case slices.Contains(keywords, f.Name),
			f.Name == "format" && slices.Contains(formats, text),
			f.Name == "minItems" && (string(f.Value) == "0" || string(f.Value) == "1"):
			put(f.Name)
			dst = append(dst, f.Value...)
		case f.Name == "properties" || f.Name == "$defs" || f.Name == "definitions":
			put(f.Name)
			dst = c.each(dst, f.Value)
		case f.Name == "items" && rawjson.Kind(f.Value) == "object":
			put(f.Name)
			dst = c.schema(dst, f.Value)
		case f.Name == "anyOf" || f.Name == "oneOf" || f.Name == "allOf":
			put(strings.Replace(f.Name, "oneOf", "anyOf", 1))
			var n int
			dst, n = c.list(dst, f.Value)
			c.ok = c.ok && (f.Name != "allOf" || n < 2) // closed objects exclude each other
		case f.Name == "additionalProperties":
			c.ok = c.ok && (string(f.Value) == "false" || string(f.Value) == "true" && rawjson.Get(fields, "properties") != nil)
		case f.Name == "description" || f.Name == "$schema" || f.Name == "$id" || f.Name == "strict":
		default:
			lost = append(lost, f.Name+": "+string(f.Value))
		}
	}
	if isObject {
		c.ok = c.ok && (rawjson.Get(fields, "properties") != nil || string(rawjson.Get(fields, "additionalProperties")) == "false")
		put("additionalProperties")
		dst = append(dst, "false"...)
	}
	description, _ := rawjson.String(rawjson.Get(fields, "description"))
	if len(lost) > 0 {
		description = strings.TrimSpace(description + " (" + strings.Join(lost, ", ") + ")")
	}
	if description != "" {
		put("description")
		dst = rawjson.AppendString(dst, description)
	}
	return append(dst, '}')
}

// each closes the values of an object of schemas.
func (c *closer) each(dst, object []byte) []byte {
	if rawjson.Kind(object) != "object" {
		c.ok = false
		return append(dst, "{}"...)
	}
	dst = append(dst, '{')
	for i, f := range rawjson.Fields(nil, object) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(rawjson.AppendString(dst, f.Name), ':')
		dst = c.schema(dst, f.Value)
	}
	return append(dst, '}')
}

// list closes the elements of an array of schemas and counts them.
func (c *closer) list(dst, array []byte) (closed []byte, n int) {
	if rawjson.Kind(array) != "array" {
		c.ok = false
		return append(dst, "[]"...), 0
	}
	dst = append(dst, '[')
	rawjson.Elements(array, func(i int, v []byte) error {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.schema(dst, v)
		n++
		return nil
	})
	return append(dst, ']'), n
}

// withType adds the "type":"object" that Anthropic insists on to the schema of
// a tool's parameters, which may be absent altogether.
func withType(schema json.RawMessage) json.RawMessage {
	if rawjson.Kind(schema) != "object" {
		return json.RawMessage(`{"type":"object"}`)
	}
	return rawjson.Apply(nil, schema, rawjson.Fields(nil, schema), rawjson.Edit{Name: "type", Value: []byte(`"object"`)})
}
