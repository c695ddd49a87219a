package template_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

// typed declares one variable of each type, none of them required.
const typed = `"variables":[{"name":"s","required":false},{"name":"n","type":"number","required":false},{"name":"i","type":"integer","required":false},
	{"name":"b","type":"boolean","required":false},{"name":"a","type":"array","required":false},{"name":"o","type":"object","required":false}]`

func withText(t testing.TB, text string) (*template.Template, error) {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return template.Parse([]byte(`{"user":` + string(quoted) + `,` + typed + `}`))
}

// TestWrongSyntaxIsRefused: at save time, with the place.
func TestWrongSyntaxIsRefused(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		// what the parser finds
		{"{{", "line 1"},
		{"a\nb {{.s", "line 2"},
		{"{{if .s}}", "unexpected EOF"},
		{"{{end}}", "unexpected {{end}}"},
		{"{{else}}", "unexpected {{else}}"},
		{"{{}}", "missing value"},
		{"{{break}}", "outside {{range}}"},
		{"{{$x}}", "undefined variable"},
		{"{{template}}", "line 1"},
		// what would run code
		{"{{printf \"%s\" .s}}", "no function 'printf'"},
		{"\n\nabc {{html .s}}", "line 3, column 7: there is no function 'html'"},
		{"{{.s | js}}", "no function 'js'"},
		{"{{call .s}}", "no function 'call'"},
		{"{{index .a 0}}", "no function 'index'"},
		{"{{.s.Method 1}}", "not a function"},
		{"{{.s .n}}", "not a function"},
		{"{{.s | .n}}", "not a function"},
		{"{{\"x\" | .n}}", "not a function"},
		{"{{define \"x\"}}y{{end}}z", "'define'"},
		{"{{define \"user\"}}y{{end}}z", "line 1"},
		{"{{block \"x\" .}}y{{end}}", "'define'"},
		{"{{template \"x\"}}", "not supported"},
		// variables
		{"é{{.t}}", "line 1, column 4: the variable 't' is not declared"},
		{"{{if .s}}{{else if .t}}{{end}}", "'t' is not declared"},
		{"{{range .a}}{{$.t}}{{end}}", "'t' is not declared"},
		{"{{with .}}{{.t}}{{end}}", "'t' is not declared"},
		{"{{with $}}{{.t}}{{end}}", "'t' is not declared"},
		{"{{$r := .}}{{range .a}}{{$r.t}}{{end}}", "'t' is not declared"},
		{"{{(.).t}}", "'t' is not declared"},
		{"{{range .a}}{{else}}{{.t}}{{end}}", "'t' is not declared"},
		{"{{.}}", "stands for all variables"},
		{"{{$}}", "stands for all variables"},
		{"{{range .}}{{end}}", "array or an object"},
		{"{{len .}}", "all variables"},
		{"{{eq . 1}}", "all variables"},
		{"{{not .}}", "all variables"},
		{"{{with or .s .}}{{end}}", "all variables"},
		{"{{$r := .s}}{{$r = .}}", "assigned"},
		{"{{$r := .}}{{$r = .s}}", "assigned"},
		// types
		{"{{.s.x}}", "'x' cannot be found in a string"},
		{"{{.n.x}}", "in a number"},
		{"{{.b.x}}", "in a boolean"},
		{"{{.a.x}}", "in a array"},
		{"{{with .s}}{{.x}}{{end}}", "in a string"},
		{"{{$v := .n}}{{$v.x}}", "in a number"},
		{"{{range .s}}{{end}}", "array or an object"},
		{"{{range .i}}{{end}}", "array or an object"},
		{"{{range 3}}{{end}}", "array or an object"},
		{"{{eq .n \"3\"}}", "'eq' compares a number with a string"},
		{"{{eq .s .b}}", "'eq' compares a string with a boolean"},
		{"{{eq .a .a}}", "cannot compare an array"},
		{"{{eq .o nil}}", "cannot compare an object"},
		{"{{lt .s 1}}", "'lt' compares a string with a number"},
		{"{{gt .b true}}", "cannot order a boolean"},
		{"{{len .n}}", "cannot measure a number"},
		{"{{eq (len .s) \"1\"}}", "compares a number with a string"},
		{"{{eq (not .s) 1}}", "compares a boolean with a number"},
		// values
		{"{{eq .n 0x10}}", "as JSON does"},
		{"{{eq .n 'a'}}", "as JSON does"},
		{"{{eq .n 1_000}}", "as JSON does"},
		{"{{eq .n 1i}}", "as JSON does"},
		{"{{eq .n 0." + strings.Repeat("1", 100) + "}}", "digits"},
		{"{{eq .n}}", "used with 1 values"},
		{"{{not}}", "used with 0 values"},
		{"{{and}}", "used with 0 values"},
		{"{{lt .n 1 2}}", "used with 3 values"},
		{"{{eq .s len}}", "parentheses"},
		{"{{.o." + strings.Repeat("x", 300) + "}}", "256 bytes"},
		{strings.Repeat("{{$x := 1}}", 102), "100 variables"},
		{strings.Repeat("{{.s}}", 2001), "2000 actions"},
	} {
		_, err := withText(t, tc.text)
		f := fault.As(err)
		if f == nil {
			t.Errorf("%.80q is accepted; want %q", tc.text, tc.want)
		} else if f.Kind != fault.Invalid || f.Param != "user" || f.Code != "invalid_template" && f.Code != "" || !strings.Contains(f.Message, tc.want) {
			t.Errorf("%.80q: %v, param %q; want %q, param \"user\"", tc.text, err, f.Param, tc.want)
		}
	}
}

func TestErrorsNameTheText(t *testing.T) {
	for _, param := range []string{"system", "examples[1].user", "examples[0].assistant", "user"} {
		texts := map[string]string{"system": "s", "examples[0].user": "u", "examples[0].assistant": "a", "examples[1].user": "u", "examples[1].assistant": "a", "user": "x"}
		texts[param] = "{{.nothing}}"
		body, err := json.Marshal(map[string]any{"system": texts["system"], "user": texts["user"], "examples": []any{
			map[string]any{"user": texts["examples[0].user"], "assistant": texts["examples[0].assistant"]},
			map[string]any{"user": texts["examples[1].user"], "assistant": texts["examples[1].assistant"]}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = template.Parse(body)
		if f := fault.As(err); f == nil || f.Param != param || !strings.Contains(f.Message, "'nothing'") || !strings.Contains(f.Message, "'"+param+"'") {
			t.Errorf("Parse = %v, want an error about %s", err, param)
		}
	}
}

// FuzzText: no text makes Parse or Render panic, or take more than is allowed.
func FuzzText(f *testing.F) {
	f.Add("{{range $k, $v := .o}}{{$k}}={{$v}}{{else}}none{{end}}")
	f.Add("{{with $x := .a}}{{range .}}{{if eq . 1 2}}{{break}}{{else if (lt . 3)}}{{continue}}{{end}}{{.x}}{{end}}{{end}}")
	f.Add("{{- /* c */ -}} {{$y := `r`}}{{$y = .s}}{{and .s (or .n $y | not)}}{{len .a | ge 2}}{{.o.x.y}}{{(.o).x}}")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := withText(t, text)
		if err != nil {
			if k := fault.As(err).Kind; k != fault.Invalid {
				t.Fatalf("Parse = %v", err)
			}
			return
		}
		for _, vars := range []string{`{}`, `{"s":"x","n":1e6,"i":3,"b":true,"a":[1,"x",null,{"x":[]},[1]],"o":{"x":{"y":2},"z":""}}`} {
			r, err := p.Render(json.RawMessage(vars), "variables")
			if err != nil {
				if f := fault.As(err); f.Kind != fault.Invalid && f.Kind != fault.TooLarge || f.Param == "" {
					t.Fatalf("Render = %v, param %q", err, f.Param)
				}
				continue
			}
			if len(r.User) > template.MaxOutput || !json.Valid(r.Messages()) {
				t.Fatalf("Render = %d bytes, %s", len(r.User), r.Messages())
			}
		}
	})
}
