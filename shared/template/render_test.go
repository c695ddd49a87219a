package template_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	gotemplate "text/template"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/template"
)

const values = `{"s":"<s>","n":1e6,"i":007,"b":true,"a":["x","y"],"o":{"b":1.50,"a":{"k":[true,null,"é&"]}}}`

func TestTextsAreFilledIn(t *testing.T) {
	vars := strings.Replace(values, "007", "7", 1)
	for text, want := range map[string]string{
		"no action":                     "no action",
		"{{.s}}":                        "<s>", // nothing is escaped: a prompt is no web page
		"{{.n}} {{.i}}":                 "1e6 7",
		"{{.b}}":                        "true",
		"{{.a}}":                        `["x","y"]`,
		"{{.o}}":                        `{"a":{"k":[true,null,"é&"]},"b":1.50}`,
		"{{.o.b}}":                      "1.50",
		"{{.o.no.no}}":                  "",
		"{{$.s}}{{$x := .o.a}}{{$x.k}}": `<s>[true,null,"é&"]`,
		"{{(.o).b}}":                    "1.50",
		"{{if .s}}1{{else}}2{{end}}":    "1",
		"{{if .o.no}}1{{else if eq .i 7}}2{{else}}3{{end}}":                         "2",
		"{{range .a}}{{.}},{{end}}":                                                 "x,y,",
		"{{range $i, $x := .a}}{{$i}}{{$x}}{{.}} {{end}}":                           "0xx 1yy ",
		"{{range $x := .a}}{{$x}}{{end}}":                                           "xy",
		"{{range $k, $v := .o}}{{$k}}:{{$v}};{{end}}":                               `a:{"k":[true,null,"é&"]};b:1.50;`,
		"{{range .o.no}}x{{else}}none{{end}}":                                       "none",
		"{{range .a}}{{if eq . \"x\"}}{{continue}}{{end}}{{.}}{{end}}":              "y",
		"{{range .a}}{{.}}{{break}}{{end}}":                                         "x",
		"{{range .a}}{{range $.a}}{{.}}{{break}}{{end}}{{end}}":                     "xx",
		"{{with .o}}{{.b}}{{$.s}}{{end}}":                                           "1.50<s>",
		"{{with .o.no}}x{{else with .o.b}}{{.}}{{end}}":                             "1.50",
		"{{with $y := .s}}{{$y}}{{end}}":                                            "<s>",
		"{{$x := 1}}{{range .a}}{{$x = .}}{{end}}{{$x}}":                            "y",
		"{{$x := 1}}{{if .s}}{{$x := 2}}{{$x}}{{end}}{{$x}}":                        "21",
		"{{$x := 1}}{{range .a}}{{$x}}{{$x := 2}}{{end}}{{$x}}":                     "111",
		"a {{- /* a comment */ -}} b{{/* another */}}":                              "ab",
		"a \n {{- .s -}} \n b":                                                      "a<s>b",
		"{{\"{{\"}}{{`}}`}}":                                                        "{{}}",
		"{{true}}{{1.50}}{{nil | not}}":                                             "true1.50true",
		"{{eq .s \"<s>\"}}{{ne .i 7}}{{eq .n 1000000}}":                             "truefalsetrue",
		"{{eq .i 1 7}}{{eq .i 1 2}}":                                                "truefalse",
		"{{eq .o.no nil}}{{eq .s nil}}{{ne nil nil}}":                               "truefalsefalse",
		"{{lt .i 8}}{{le .i 7}}{{gt .i 7}}{{ge .i 7.5}}":                            "truetruefalsefalse",
		"{{lt \"a\" .s}}{{lt .s \"a\"}}":                                            "falsetrue",
		"{{eq 9007199254740993 9007199254740992}}":                                  "false",
		"{{and .s .o.no}}|{{and .s .i}}|{{or .o.no .s}}|{{or .o.no nil 0}}":         "|7|<s>|0",
		"{{or .s (lt .o.no 1)}}":                                                    "<s>", // the second is not asked
		"{{not .s}}{{not .o.no}}":                                                   "falsetrue",
		"{{len .a}}{{len .s}}{{len .o}}{{len .o.no}}{{len \"é\"}}":                  "23201",
		"{{.a | len | eq 2}}":                                                       "true",
		"{{if 0}}1{{end}}{{if 0.0}}2{{end}}{{if \"\"}}3{{end}}{{if false}}4{{end}}": "",
	} {
		p, err := withText(t, text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if r, err := p.Render(json.RawMessage(vars), "variables"); err != nil || r.User != want {
			t.Errorf("Render(%q) = %q, %v, want %q", text, r.User, err, want)
		}
	}
}

func TestVariablesAreChecked(t *testing.T) {
	p := parse(t, `{"user":"{{.topic}} {{.n}} {{.i}} {{.flag}} {{.list}} {{.obj}}","variables":[{"name":"topic","max_length":3},{"name":"n","type":"number","default":2.50},
		{"name":"i","type":"integer","required":false},{"name":"flag","type":"boolean","required":false},{"name":"list","type":"array","required":false,"max_length":2},{"name":"obj","type":"object","required":true}]}`)
	for _, tc := range []struct{ vars, param, code, want string }{
		{``, "v.topic", "missing_required_parameter", "'topic', 'obj'"},
		{`null`, "v.topic", "missing_required_parameter", "'topic', 'obj'"},
		{`{"topic":"x"}`, "v.obj", "missing_required_parameter", "'obj'"},
		{`{"topic":null,"obj":{}}`, "v.topic", "missing_required_parameter", "'topic'"},
		{`{"topic":"x","obj":{},"other":1}`, "v.other", "unknown_parameter", "topic, n, i"},
		{`{"topic":5,"obj":{}}`, "v.topic", "invalid_type", "expected a string, got the number 5"},
		{`{"topic":"x","obj":[]}`, "v.obj", "invalid_type", "expected an object, got array"},
		{`{"topic":"x","obj":{},"n":"1"}`, "v.n", "invalid_type", "expected a number, got string"},
		{`{"topic":"x","obj":{},"i":1.5}`, "v.i", "invalid_type", "expected an integer, got the number 1.5"},
		{`{"topic":"x","obj":{},"i":1e3}`, "v.i", "invalid_type", "integer"},
		{`{"topic":"x","obj":{},"flag":"true"}`, "v.flag", "invalid_type", "boolean"},
		{`{"topic":"x","obj":{},"list":{}}`, "v.list", "invalid_type", "array"},
		{`{"topic":"éééé","obj":{}}`, "v.topic", "", "4 characters; the limit is 3"},
		{`{"topic":"x","obj":{},"list":[1,2,3]}`, "v.list", "", "3 elements; the limit is 2"},
		{`{"topic":"x","topic":"y","obj":{}}`, "v", "", "given twice"},
		{`{"topic":"x","obj":{"a":` + strings.Repeat("1", 101) + `}}`, "v.obj", "", "100 digits"},
		{`[]`, "v", "invalid_type", "object"},
		{`"x"`, "v", "invalid_type", "object"},
	} {
		_, err := p.Render(json.RawMessage(tc.vars), "v")
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != tc.param || f.Code != tc.code || !strings.Contains(f.Message, tc.want) {
			t.Errorf("Render(%.60s) = %v, want %q about %q (%q)", tc.vars, err, tc.want, tc.param, tc.code)
		}
	}
	for vars, want := range map[string]string{
		` {"topic":"ééé","obj":{"a":1}} `:                                                       `ééé 2.50    {"a":1}`,
		`{"topic":"","obj":{},"n":-0.10,"i":-12345678901234567890,"flag":false,"list":[1,[2]]}`: ` -0.10 -12345678901234567890 false [1,[2]] {}`,
		`{"topic":"x","obj":{},"n":null}`:                                                       `x 2.50    {}`,
	} {
		if r, err := p.Render(json.RawMessage(vars), "v"); err != nil || r.User != want {
			t.Errorf("Render(%s) = %q, %v, want %q", vars, r.User, err, want)
		}
	}
}

// TestValuesThatDoNotFit: what only a value can get wrong is told with the
// place.
func TestValuesThatDoNotFit(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb{{lt .o.x 1}}":                     "line 2, column 4: 'lt' compares a string with a number",
		"{{range .a}}{{.x}}{{end}}":             "'x' cannot be found in a string",
		"{{range .o.x}}{{end}}":                 "range needs an array or an object, not a string",
		"{{lt .o.none 1}}":                      "cannot order a null and a number",
		"{{len .o.n}}":                          "cannot measure a number",
		"{{eq .a1 .o}}{{range .a}}{{end}}":      "",
		"{{range .a}}{{eq . 1}}{{end}}":         "compares a string with a number",
		"{{range .a}}{{eq $.o.x $.o.l}}{{end}}": "compares a string with a array",
	} {
		p, err := withText(t, text)
		if want == "" {
			if err == nil {
				t.Errorf("%q is accepted", text)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Render(json.RawMessage(`{"a":["x"],"o":{"x":"s","n":1,"l":[]}}`), "variables")
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "variables" || !strings.Contains(f.Message, want) || !strings.Contains(f.Message, "'user'") {
			t.Errorf("Render(%q) = %v, want %q", text, err, want)
		}
	}
}

// TestRenderingIsBounded: neither loops in loops nor large values can keep a
// machine busy.
func TestRenderingIsBounded(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("0,", 1000), ",") + "]"
	loops := strings.Repeat("{{range $.a}}", 20) + "%s" + strings.Repeat("{{end}}", 20)
	big := strings.Repeat("x", 1<<20)
	for _, tc := range []struct {
		name, text, vars string
		kind             fault.Kind
	}{
		{"loops that write", fmt.Sprintf(loops, strings.Repeat("x", 100)), `{"a":` + list + `}`, fault.TooLarge},
		{"loops that do not", fmt.Sprintf(loops, ""), `{"a":` + list + `}`, fault.Invalid},
		{"loops that compare", "{{range .a}}{{if eq $.s $.o.s}}{{end}}{{end}}", `{"a":` + list + `,"s":"` + big + `","o":{"s":"` + big + `"}}`, fault.Invalid},
		{"loops that measure", "{{range .a}}{{if len $.s}}{{end}}{{end}}", `{"a":` + list + `,"s":"` + big + `"}`, fault.Invalid},
		{"loops that sort", "{{range .a}}{{range $.o}}{{break}}{{end}}{{end}}", `{"a":` + list + `,"o":` + object(5000) + `}`, fault.Invalid},
		{"one large value", "{{.s}}", `{"s":"` + big + `"}`, fault.TooLarge},
		{"a large object", "{{.o}}", `{"o":{"a":"` + big + `"}}`, fault.TooLarge},
		{"many small ones", "{{range .a}}{{$.s}}{{end}}", `{"a":` + list + `,"s":"` + big[:1000] + `"}`, fault.TooLarge},
		{"long chains", "{{range .a}}{{if $.o" + strings.Repeat(".x", 1000) + "}}{{end}}{{end}}", `{"a":` + list + `,"o":{}}`, fault.Invalid},
	} {
		p, err := withText(t, tc.text)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		began := time.Now()
		_, err = p.Render(json.RawMessage(tc.vars), "variables")
		if f := fault.As(err); f == nil || f.Kind != tc.kind || f.Param != "variables" {
			t.Errorf("%s: Render = %v, want %s about variables", tc.name, err, tc.kind)
		}
		if d := time.Since(began); d > 10*time.Second { // it takes milliseconds; without bounds, for ever
			t.Errorf("%s: took %v", tc.name, d)
		}
	}
	whole := parse(t, `{"system":"{{.s}}","user":"{{.s}}","variables":[{"name":"s"}]}`)
	half := strings.Repeat("x", template.MaxOutput/2)
	if _, err := whole.Render(json.RawMessage(`{"s":"`+half+`"}`), "variables"); err != nil {
		t.Errorf("Render of exactly MaxOutput bytes = %v", err)
	}
	if _, err := whole.Render(json.RawMessage(`{"s":"`+half+`x"}`), "variables"); fault.As(err) == nil || fault.As(err).Kind != fault.TooLarge {
		t.Errorf("Render of more than MaxOutput bytes in all = %v", err)
	}
}

func object(fields int) string {
	var b strings.Builder
	for i := range fields {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// TestRendersAsGoDoes compares random templates with text/template, where the
// two mean the same.
func TestRendersAsGoDoes(t *testing.T) {
	data := map[string]any{"s": "str", "i": 7, "b": true, "a": []any{"x", "", "z"}, "o": map[string]any{"k": "v", "l": []any{"1", "2"}, "e": ""}, "n": 3}
	vars, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for seed := range uint64(3000) {
		g := generator{rand.New(rand.NewPCG(seed, 4)), 0}
		text := g.list(3, true)
		p, err := withText(t, text)
		if err != nil {
			continue
		}
		theirs, err := gotemplate.New("").Parse(text)
		if err != nil {
			t.Fatalf("%q: text/template cannot parse it: %v", text, err)
		}
		var want strings.Builder
		if err := theirs.Execute(&want, data); err != nil || strings.ContainsAny(want.String(), "<[") {
			continue // null and arrays are printed in another way
		}
		compared++
		if r, err := p.Render(vars, "variables"); err != nil || r.User != want.String() {
			t.Fatalf("Render(%q) = %q, %v, want %q", text, r.User, err, want.String())
		}
	}
	if compared < 1000 {
		t.Errorf("only %d templates could be compared", compared)
	}
}

// generator writes random templates.
type generator struct {
	*rand.Rand
	locals int
}

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *generator) value(root bool) string {
	if root {
		return g.pick(".s", ".i", ".b", ".o.k", ".o.e", "$.s", ".n", `"lit"`, "`raw`", "12", "(.o).k", "(len .a)", "(len .o)", "(not .b)")
	}
	return g.pick(".", "$.s", "$.i", "$.o.k", `"lit"`, "(len $.a)", "(len .)")
}

func (g *generator) condition(root bool) string {
	switch g.IntN(6) {
	case 0:
		return g.pick("eq", "ne", "lt", "le", "gt", "ge") + " " + g.value(root) + " " + g.value(root)
	case 1:
		return g.pick("and", "or") + " " + g.value(root) + " " + g.value(root) + " " + g.value(root)
	case 2:
		return "not " + g.value(root)
	case 3:
		return g.value(root) + " | " + g.pick("not", `eq "str"`, "len", "and $.b")
	}
	return g.value(root)
}

func (g *generator) list(depth int, root bool) string {
	var b strings.Builder
	for range 1 + g.IntN(3) {
		trim, mirt := g.pick("{{", "{{", "{{- "), g.pick("}}", "}}", " -}}")
		action := func(s string) { b.WriteString(trim + s + mirt) }
		switch kind := g.IntN(9); {
		case kind == 0 || depth == 0:
			b.WriteString(g.pick(" text ", "\n", "a\n b"))
		case kind < 3:
			action(g.value(root))
		case kind == 3:
			action("if " + g.condition(root))
			b.WriteString(g.list(depth-1, root))
			if g.IntN(2) == 0 {
				action("else if " + g.condition(root))
				b.WriteString(g.list(depth-1, root))
			}
			if g.IntN(2) == 0 {
				action("else")
				b.WriteString(g.list(depth-1, root))
			}
			action("end")
		case kind == 4:
			action("range " + g.pick("$.a", "$.o.l", "$i, $e := $.a", "$k, $v := $.o", "$e := $.o.l", "$.o.none"))
			b.WriteString(g.list(depth-1, false))
			if g.IntN(3) == 0 {
				action("if eq . `x`")
				action(g.pick("break", "continue"))
				action("end")
			}
			b.WriteString(g.list(depth-1, false))
			if g.IntN(2) == 0 {
				action("else")
				b.WriteString(g.list(depth-1, root))
			}
			action("end")
		case kind == 5:
			action("with " + g.value(root))
			b.WriteString(g.list(depth-1, false))
			action("else")
			b.WriteString(g.list(depth-1, root))
			action("end")
		case kind == 6:
			g.locals++
			action(fmt.Sprintf("$v%d := %s", g.locals, g.condition(root)))
			action(fmt.Sprintf("if $v%d", g.locals))
			action(fmt.Sprintf("$v%d = %s", g.locals, g.value(root)))
			action("end")
			action(fmt.Sprintf("$v%d", g.locals))
		default:
			action(g.condition(root))
		}
	}
	return b.String()
}

func TestMessages(t *testing.T) {
	p := parse(t, `{"system":"You are \"{{.s}}\".","examples":[{"user":"2+2?","assistant":"4"},{"user":"{{if .b}}x{{end}}","assistant":"{{if .b}}y{{end}}"}],"user":"{{.s}}\n",`+typed+`}`)
	r, err := p.Render(json.RawMessage(`{"s":"é\u0000"}`), "variables")
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"role":"system","content":"You are \"é\u0000\"."},{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"},{"role":"user","content":"é\u0000\n"}]`
	if got := string(r.Messages()); got != want {
		t.Errorf("Messages = %s, want %s", got, want)
	}
	if r, err := parse(t, `{"system":"{{if .s}}x{{end}}",`+typed+`}`).Render(nil, ""); err != nil || string(r.Messages()) != "[]" {
		t.Errorf("Messages of an empty text = %s, %v, want []", r.Messages(), err)
	}
}

func TestApply(t *testing.T) {
	const s, u = `{"role":"system","content":"S"}`, `{"role":"user","content":"U"}`
	p := `{"system":"S","user":"U","model":"m","parameters":{"temperature":0.20,"max_completion_tokens":50,"stop":["x"]}}`
	for _, tc := range []struct{ name, template, body, want string }{
		{"nothing set", p, `{}`, `{"model":"m","temperature":0.20,"max_completion_tokens":50,"stop":["x"],"messages":[` + s + `,` + u + `]}`},
		{"the client's fields hold", p, `{"stop":null, "temperature": 1, "model":"mine","gateway":{"x":1}}`,
			`{"stop":null, "temperature": 1, "model":"mine","gateway":{"x":1},"max_completion_tokens":50,"messages":[` + s + `,` + u + `]}`},
		{"the old name of a field is the same field", p, `{"max_tokens":9}`, `{"max_tokens":9,"model":"m","temperature":0.20,"stop":["x"],"messages":[` + s + `,` + u + `]}`},
		{"messages follow", p, `{"model":"x","temperature":1,"max_tokens":1,"stop":"y","messages": [ {"role":"user","content":"mine"} ] }`,
			`{"model":"x","temperature":1,"max_tokens":1,"stop":"y","messages": [` + s + `,` + u + `,{"role":"user","content":"mine"}] }`},
		{"no messages", `{"user":"U"}`, `{"model":null,"messages":null}`, `{"model":null,"messages":[` + u + `]}`},
		{"empty messages", `{"user":"U","model":"m"}`, `{"model":null,"messages":[ ]}`, `{"model":"m","messages":[` + u + `]}`},
		{"an empty model", `{"user":"U","model":"m"}`, `{"model":"","messages":[]}`, `{"model":"m","messages":[` + u + `]}`},
		{"an empty model stays", `{"user":"U"}`, `{"model":""}`, `{"model":"","messages":[` + u + `]}`},
		{"wrong messages stay", `{"user":"U"}`, `{"messages":"x"}`, `{"messages":"x"}`},
		{"nothing from the template", `{"user":"{{if false}}x{{end}}"}`, `{"model":"m","messages":[{"role":"user","content":"a"}]}`, `{"model":"m","messages":[{"role":"user","content":"a"}]}`},
	} {
		r, err := parse(t, tc.template).Render(nil, "variables")
		if err != nil {
			t.Fatal(err)
		}
		fields, err := rawjson.Object(nil, []byte(tc.body), llm.MaxDepth)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, string(r.Apply([]byte(tc.body), fields))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestTemplatesAreShared: one template serves many requests at once.
func TestTemplatesAreShared(t *testing.T) {
	p := parse(t, `{"user":"{{range .a}}{{$x := .}}{{$x}}{{end}}",`+typed+`}`)
	done := make(chan string)
	for i := range 8 {
		go func() {
			want := fmt.Sprint(i, i)
			for range 100 {
				if r, err := p.Render(json.RawMessage(fmt.Sprintf(`{"a":[%d," %d"]}`, i, i)), "v"); err != nil || r.User != want {
					done <- fmt.Sprintf("Render = %q, %v, want %q", r.User, err, want)
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if failure := <-done; failure != "" {
			t.Error(failure)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := parse(b, benchmark).JSON()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	p := parse(b, benchmark)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Render(json.RawMessage(`{"topic":"maps","words":["a","b","c"]}`), "variables"); err != nil {
			b.Fatal(err)
		}
	}
}

const benchmark = `{"system":"You teach {{.level}}s. Be brief.","examples":[{"user":"What is a map?","assistant":"A table."}],
	"user":"Explain {{.topic}}.{{if .words}} Use these words:{{range $i, $w := .words}}{{if $i}},{{end}} {{$w}}{{end}}.{{end}}",
	"variables":[{"name":"topic"},{"name":"level","default":"beginner"},{"name":"words","type":"array","required":false}],"parameters":{"temperature":0.2}}`
