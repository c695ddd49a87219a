package echo_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// answerTo asks for an answer that fits the schema.
func answerTo(schema string) string {
	return ask("hi", `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":`+schema+`}}`)
}

// TestJSONSchema: the answer fits the schema, as an implementation of JSON
// Schema that is not ours sees it, and is no larger than need be.
func TestJSONSchema(t *testing.T) {
	for _, tc := range []struct{ name, schema, want string }{
		{"all types", `{"type":"object","properties":{"s":{"type":"string"},"i":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"a":{"type":"array","items":{"type":"string"}},"o":{"type":"object"},"z":{"type":"null"},"optional":{"type":"string"}},"required":["s","i","n","b","a","o","z"],"additionalProperties":false}`,
			`{"s":"echo","i":0,"n":0,"b":false,"a":[],"o":{},"z":null}`},
		{"nothing required", `{"type":"object","properties":{"s":{"type":"string"}}}`, `{}`},
		{"no type, but properties", `{"properties":{"s":{"type":"string"}},"required":["s"]}`, `{"s":"echo"}`},
		{"required twice, and without a schema", `{"type":"object","required":["a","b"],"allOf":[{"required":["b","a"]}]}`, `{"a":null,"b":null}`},
		{"additionalProperties", `{"type":"object","required":["a"],"additionalProperties":{"type":"integer"}}`, `{"a":0}`},
		{"enum and const", `{"type":"object","properties":{"e":{"type":"string","enum":["x","y"]},"c":{"const":{"k":[1.0]}}},"required":["e","c"]}`, `{"e":"x","c":{"k":[1.0]}}`},
		{"nullable", `{"type":"object","properties":{"a":{"type":["null","integer"]},"b":{"type":["null"]}},"required":["a","b"]}`, `{"a":0,"b":null}`},
		{"references", `{"type":"object","properties":{"city":{"$ref":"#/$defs/a~1b"}},"required":["city"],"$defs":{"a/b":{"type":"object","properties":{"n":{"type":"string"}},"required":["n"]}}}`, `{"city":{"n":"echo"}}`},
		{"recursion that ends", `{"type":"object","properties":{"next":{"anyOf":[{"type":"null"},{"$ref":"#"}]}},"required":["next"]}`, `{"next":null}`},
		{"allOf", `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}`, `{"a":"echo","b":0}`},
		{"anyOf, oneOf", `{"type":"object","properties":{"a":{"anyOf":[{"type":"integer","minimum":7},{"type":"null"}]},"b":{"oneOf":[{"type":"string","maxLength":2},{"type":"integer"}]}},"required":["a","b"]}`, `{"a":7,"b":"ec"}`},
		{"lengths", `{"type":"array","minItems":2,"items":{"type":"string","minLength":6}}`, `["echo..","echo.."]`},
		{"tuple", `{"type":"array","minItems":3,"prefixItems":[{"type":"string"},{"type":"boolean"}],"items":{"type":"integer"}}`, `["echo",false,0]`},
		{"minItems without a type", `{"minItems":1}`, `[null]`},
		{"formats", `{"type":"array","minItems":10,"prefixItems":[{"type":"string","format":"date"},{"type":"string","format":"time"},{"type":"string","format":"date-time"},{"type":"string","format":"duration"},{"type":"string","format":"email"},{"type":"string","format":"hostname"},{"type":"string","format":"ipv4"},{"type":"string","format":"ipv6"},{"type":"string","format":"uri"},{"type":"string","format":"uuid"}]}`,
			`["1970-01-01","00:00:00Z","1970-01-01T00:00:00Z","PT0S","echo@example.com","example.com","192.0.2.1","2001:db8::1","https://example.com/","00000000-0000-4000-8000-000000000000"]`},
		{"integers in bounds", `{"type":"array","minItems":8,"prefixItems":[{"type":"integer","minimum":3},{"type":"integer","maximum":-3},{"type":"integer","exclusiveMinimum":3},{"type":"integer","exclusiveMaximum":-3},{"type":"integer","minimum":2.5},{"type":"integer","minimum":7,"multipleOf":5},{"type":"integer","exclusiveMinimum":3.5},{"type":"integer","minimum":-5,"maximum":5}]}`,
			`[3,-3,4,-4,3,10,4,0]`},
		{"numbers in bounds", `{"type":"array","minItems":6,"prefixItems":[{"type":"number","minimum":0.5},{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},{"type":"number","exclusiveMinimum":0,"maximum":0.25},{"type":"number","minimum":-1,"exclusiveMaximum":-0.5},{"type":"number","exclusiveMinimum":3},{"type":"number","exclusiveMinimum":1,"multipleOf":0.5}]}`,
			`[0.5,0.5,0.25,-1,4,1.5]`},
		{"numbers without a type", `{"minimum":2}`, `2`},
		{"large numbers", `{"type":"integer","minimum":1e300}`, `1e+300`},
		{"anything", `{}`, `null`},
	} {
		got := collect(t, answerTo(tc.schema)).Choices[0].Text.String()
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		if err := valid(tc.schema, got); err != nil {
			t.Errorf("%s: %s does not fit: %v", tc.name, got, err)
		}
	}
}

func valid(schema, value string) error {
	s, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", s); err != nil {
		return err
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
	if err != nil {
		return err
	}
	return compiled.Validate(v)
}

// TestSchemasThatDemandTooMuch: a schema must not cost more than its request,
// by much.
func TestSchemasThatDemandTooMuch(t *testing.T) {
	for name, schema := range map[string]string{
		"a reference to itself":    `{"$ref":"#"}`,
		"endless depth":            `{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}`,
		"exponential breadth":      `{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}},"required":["a","b","c"]}`,
		"a billion items":          `{"type":"array","minItems":1000000000,"items":{"type":"string"}}`,
		"a billion characters":     `{"type":"string","minLength":1000000000}`,
		"many strings, each long":  `{"type":"array","minItems":9000,"items":{"type":"string","minLength":60000}}`,
		"a large root, read often": `{"type":"array","minItems":1000,"items":{"$ref":"#/$defs/a"},"$defs":{"x":"` + strings.Repeat("x", 1<<20) + `","a":{"type":"null"}}}`,
		"a circle of references":   `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}}`,
	} {
		lines, err := events(t, answerTo(schema))
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "response_format.json_schema.schema" {
			t.Errorf("%s: %v, %v, want an error of the schema", name, lines, err)
		}
		tool := `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"f","parameters":` + schema + `}}]`
		if _, err := events(t, ask("hi", tool)); fault.As(err) == nil || fault.As(err).Param != "tools" {
			t.Errorf("%s, as a tool: %v", name, err)
		}
	}
}

// FuzzSample: whatever a schema says, the answer is JSON or a refusal.
func FuzzSample(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/x"}},"required":["a",1]}`)
	f.Add(`{"type":["string"],"maxLength":-1,"enum":[],"$ref":"#/","required":{"a":1},"prefixItems":3}`)
	f.Add(`{"type":"number","minimum":1e308,"multipleOf":1e-300,"exclusiveMaximum":-1e400}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) || schema[0] != '{' {
			return
		}
		req, err := parse(answerTo(schema))
		if err != nil {
			return
		}
		text, err := textOf(t, req)
		if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%s: %s is not JSON", schema, text)
		}
	})
}
