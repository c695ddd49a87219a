package llm_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestReadObject(t *testing.T) {
	for _, tc := range []struct {
		param, value string
		known        []string
		code, at     string
	}{
		{"", `{"a":1,"b":2}`, nil, "", ""},
		{"x", `{"a":1}`, []string{"a", "b"}, "", ""},
		{"", `[]`, nil, "invalid_json", ""},
		{"", `{"a":1,"a":2}`, nil, "invalid_json", ""},
		{"x", `[]`, nil, "invalid_type", "x"},
		{"x", `{"a":1,"a":2}`, []string{"a"}, "", "x"},
		{"", `{"c":1}`, []string{"a"}, "unknown_parameter", "c"},
		{"x", `{"c":1}`, []string{"a"}, "unknown_parameter", "x.c"},
	} {
		fields, err := llm.ReadObject(tc.param, []byte(tc.value), tc.known...)
		wrong := tc.code != "" || tc.at != ""
		if (err != nil) != wrong || !wrong && len(fields) == 0 {
			t.Errorf("ReadObject(%q, %s) = %v, %v", tc.param, tc.value, fields, err)
		}
		if f := fault.As(err); wrong && (f.Kind != fault.Invalid || f.Code != tc.code || f.Param != tc.at) {
			t.Errorf("ReadObject(%q, %s) = %s, code %q, param %q; want %q, %q", tc.param, tc.value, f.Message, f.Code, f.Param, tc.code, tc.at)
		}
	}
}

func TestReadBool(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "false": false} {
		if got, err := llm.ReadBool("x", []byte(text)); got != want || err != nil {
			t.Errorf("ReadBool(%s) = %v, %v", text, got, err)
		}
	}
	if _, err := llm.ReadBool("x.y", []byte(`"true"`)); fault.As(err).Code != "invalid_type" || fault.As(err).Param != "x.y" {
		t.Errorf("ReadBool of a string: %v, want invalid_type of x.y", err)
	}
}
