package anthropic

import (
	"encoding/json"
	"testing"
)

func TestTraits(t *testing.T) {
	before45 := traits{sampling: true, forcible: true}
	at45 := traits{schemas: true, sampling: true, forcible: true}
	at46 := traits{schemas: true, adaptive: true, sampling: true, forcible: true}
	at47 := traits{schemas: true, adaptive: true, forcible: true}
	at5 := traits{schemas: true, adaptive: true, thinks: true, forcible: true}
	optional := traits{schemas: true, adaptive: true, thinks: true}
	always := traits{schemas: true, adaptive: true, thinks: true, always: true}
	for model, want := range map[string]traits{
		"claude-3-haiku-20240307":    before45,
		"claude-3-7-sonnet-latest":   before45,
		"claude-opus-4-20250514":     before45,
		"claude-4-sonnet-20250514":   before45,
		"claude-opus-4-1-20250805":   before45,
		"claude-sonnet-4-5":          at45,
		"claude-haiku-4-5-20251001":  at45,
		"anthropic/claude-opus-4-6":  at46,
		"claude-sonnet-4-6":          at46,
		"claude-opus-4-7-20260416":   at47,
		"claude-opus-4-8":            at47,
		"claude-opus-5":              at5,
		"claude-sonnet-5":            at5,
		"claude-haiku-5-5":           optional,
		"claude-opus-5-5":            always,
		"claude-sonnet-6":            always,
		"claude-opus-latest":         always,
		"claude-fable-5":             always,
		"claude-fable-5-1":           always,
		"claude-mythos-preview":      always,
		"deepseek-chat":              before45,
		"some/claude-like/kimi-k2-6": before45,
		"":                           before45,
	} {
		if got := traitsOf(model); got != want {
			t.Errorf("traitsOf(%q) = %+v, want %+v", model, got, want)
		}
	}
}

func TestCloseSchema(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"closes objects at every level", `{"type":"object","properties":{"a":{"type":"array","items":{"properties":{}}}}}`,
			`{"type":"object","properties":{"a":{"type":"array","items":{"properties":{},"additionalProperties":false}}},"additionalProperties":false}`},
		{"keeps the order and the nullable", `{"properties":{"z":{"type":["object","null"],"properties":{}},"a":{"enum":[1,"x"]}},"type":"object"}`,
			`{"properties":{"z":{"type":["object","null"],"properties":{},"additionalProperties":false},"a":{"enum":[1,"x"]}},"type":"object","additionalProperties":false}`},
		{"tells what it cannot say", `{"type":"string","minLength":2,"description":"A \"name\""}`, `{"type":"string","description":"A \"name\" (minLength: 2)"}`},
		{"an odd format is told", `{"type":"string","format":"phone"}`, `{"type":"string","description":"(format: \"phone\")"}`},
		{"a reference stands alone", `{"$ref":"#/$defs/a","description":"d"}`, `{"$ref":"#/$defs/a"}`},
		{"a reference with definitions", `{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`, `{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`},
		{"one of is any of", `{"oneOf":[{"type":"null"},{"const":1}]}`, `{"anyOf":[{"type":"null"},{"const":1}]}`},
		{"allOf of one", `{"allOf":[{"$ref":"#/$defs/a"}]}`, `{"allOf":[{"$ref":"#/$defs/a"}]}`},
		{"an open object that may be closed", `{"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":true}`,
			`{"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":false}`},
		{"an object of nothing", `{"type":"object","additionalProperties":false}`, `{"type":"object","additionalProperties":false}`},
		{"a map", `{"type":"object","additionalProperties":{"type":"string"}}`, ""},
		{"a map within", `{"type":"object","properties":{"a":{"type":"object"}},"additionalProperties":false}`, ""},
		{"a map stays one, whatever follows", `{"anyOf":[{"type":"object"},{"type":"object","additionalProperties":false}]}`, ""},
		{"any value", `{"type":"object","properties":{"a":true}}`, ""},
		{"all of two", `{"allOf":[{"properties":{}},{"properties":{}}]}`, ""},
		{"recursion", `{"type":"object","properties":{"next":{"$ref":"#"}}}`, ""},
		{"nonsense", `{"properties":3,"anyOf":{}}`, ""},
	} {
		got, ok := closeSchema(json.RawMessage(tc.in))
		if !json.Valid(got) {
			t.Errorf("%s: %s is not JSON", tc.name, got)
		}
		if ok != (tc.want != "") || ok && string(got) != tc.want {
			t.Errorf("%s: closeSchema(%s) = %s, %t; want %s", tc.name, tc.in, got, ok, tc.want)
		}
	}
}
