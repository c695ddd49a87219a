package template_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

func parse(t testing.TB, body string) *template.Template {
	t.Helper()
	p, err := template.Parse([]byte(body))
	if err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	return p
}

const tutorFile = `---
name: tutor
description: "Explains a topic: one at a time."
model: openai/gpt-4o-mini
variables:
  - name: topic
    type: string
    description: What to explain.
    max_length: 80
  - name: level
    type: string
    default: beginner
  - name: words
    type: array
    required: false
parameters:
  temperature: 0.20
  response_format:
    type: json_schema
    json_schema:
      name: answer
      schema:
        type: object
        properties: {}
        enum: [1, 1e6, "x: <y>", null, true]
---

# system

You teach {{.level}}s.

# user

What is a map?

# assistant

A table that is
asked by key.

# user

\# user
Explain {{.topic}}{{range .words}}, with {{.}}{{end}}.
`

func TestFilesAreReadAndWritten(t *testing.T) {
	p, err := template.Import([]byte(tutorFile))
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `{"name":"tutor","description":"Explains a topic: one at a time.","system":"You teach {{.level}}s.","model":"openai/gpt-4o-mini",
		"examples":[{"user":"What is a map?","assistant":"A table that is\nasked by key."}],"user":"# user\nExplain {{.topic}}{{range .words}}, with {{.}}{{end}}.",
		"variables":[{"name":"topic","type":"string","required":true,"description":"What to explain.","max_length":80},
			{"name":"level","default":"beginner"},{"name":"words","type":"array","required":false}],
		"parameters":{"temperature":0.20,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object","properties":{},"enum":[1,1e6,"x: <y>",null,true]}}}}}`)
	if diff := cmp.Diff(string(want.JSON()), string(p.JSON())); diff != "" {
		t.Errorf("Import (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tutorFile, string(p.File())); diff != "" {
		t.Errorf("File (-want +got):\n%s", diff)
	}
}

func TestFilesAsPeopleWriteThem(t *testing.T) {
	want := parse(t, `{"name":"t","user":"Say {{.x}}.\n\nTwice.","variables":[{"name":"x","type":"number","default":1.50}],"parameters":{"max_tokens":100,"stop":["a","b"]}}`)
	for name, file := range map[string]string{
		"loose":             "---\n# a comment\nname:   t  # another\nvariables: [{name: x, type: number, default: 1.50}]\nparameters:\n  max_tokens: 100\n  stop:\n  - a\n  - 'b'\n--- \n# user \t\n\n\nSay {{.x}}.\n\nTwice.\n\n\n",
		"tight":             "---\nname: \"t\"\nvariables:\n- {\"name\": \"x\", \"type\": \"number\", \"default\": 1.50}\nparameters: {\"max_tokens\": 100, \"stop\": [\"a\", \"b\"]}\n---\n# user\nSay {{.x}}.\n\nTwice.",
		"Windows":           strings.ReplaceAll("\ufeff---\nname: t\nvariables:\n  - name: x\n    type: number\n    default: 1.50\nparameters:\n  max_tokens: 100\n  stop: [a, b]\n---\n# user\nSay {{.x}}.\n\nTwice.\n", "\n", "\r\n"),
		"YAML alone":        "name: t\nuser: |-\n  Say {{.x}}.\n\n  Twice.\nvariables:\n  - name: x\n    type: number\n    default: 1.50\nparameters:\n  max_tokens: 100\n  stop: [a, b]\n",
		"YAML alone, begun": "---\nname: t\nuser: \"Say {{.x}}.\\n\\nTwice.\"\nvariables:\n  - name: x\n    type: number\n    default: 1.50\nparameters:\n  max_tokens: 100\n  stop: [a, b]\n",
	} {
		got, err := template.Import([]byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(string(want.JSON()), string(got.JSON())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, file, param, want string }{
		{"text before a section", "---\nname: t\n---\nHello.\n# user\nx", "", "Line 4"},
		{"empty section", "---\nname: t\n---\n# system\n\n# user\nx", "system", "line 4"},
		{"assistant first", "---\nname: t\n---\n# assistant\nx", "assistant", "line 4"},
		{"system late", "---\nname: t\n---\n# user\nx\n# system\ny", "user", "out of order"},
		{"two users", "---\nname: t\n---\n# user\nx\n# user\ny", "user", "out of order"},
		{"two systems", "---\nname: t\n---\n# system\nx\n# system\ny\n", "system", "out of order"},
		{"text twice", "---\nuser: a\n---\n# user\nx", "user", "given twice"},
		{"name twice", "---\nname: a\nname: b\n---\n# user\nx", "", "line"},
		{"YAML that is none", "---\nname: [\n---\n# user\nx", "", "YAML"},
		{"a list", "---\n- a\n---\n# user\nx", "", "must begin with the template's fields"},
		{"two documents", "a: 1\n---\nb: 2\n", "", "one object"},
		{"anchors", "---\nname: &a t\nmodel: *a\n---\n# user\nx", "", "line 1"},
		{"tags", "---\nname: !!str t\n---\n# user\nx", "", "line 1"},
		{"merge", "---\nparameters:\n  <<: {a: 1}\n---\n# user\nx", "", "line 2"},
		{"a name that is a number", "---\nparameters:\n  1: a\n---\n# user\nx", "", "line 2"},
		{"infinity", "---\nparameters:\n  temperature: .inf\n---\n# user\nx", "", "line 2"},
		{"unknown field", "---\nnme: t\n---\n# user\nx", "nme", "Unknown"},
		{"wrong syntax", "---\nname: t\n---\n# user\n{{if}}", "user", "line 1"},
		{"no text", "---\nname: t\n---\n", "user", "needs a text"},
		{"nothing", "", "user", "needs a text"},
		{"sections alone", "# user\n\nExplain.", "", "must begin with the template's fields"},
		{"not UTF-8", "---\nname: \xff\n---\n# user\nx", "", "UTF-8"},
		{"deep", "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "", "deeply"},
		{"deep in one line", strings.Repeat("- ", 40_000), "", "deeply"},
		{"brackets", "a: " + strings.Repeat("[", 90_000), "", "deeply"},
		{"long", "user: |\n" + strings.Repeat("  x\n", 30_000), "", "98304"},
	} {
		_, err := template.Import([]byte(tc.file))
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != tc.param || !strings.Contains(f.Message, tc.want) {
			t.Errorf("%s: Import = %v, param %q; want %q, param %q", tc.name, err, fault.As(err).Param, tc.want, tc.param)
		}
	}
}

// TestFilesKeepEveryText: texts that look like parts of the format.
func TestFilesKeepEveryText(t *testing.T) {
	for _, text := range []string{"# user", "# system \t", "\\# user", "\\\\# assistant", "\nx", "x\n", "\n\nx\n\n", " \nx\n\t", "x\n\\\ny", "x\n\n\\", "\\", "\\\n\\",
		"---", "---\nname: x\n---", "# users", "## user", "x\r\ny\r\n", "\r\n# user\r\n", "x\n# user\ny", "{{\"{{\"}}", "\u2028x\u0085", "\u00a0\nx", "x\n\u00a0\n\u00a0", "\ufeff# user"} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := template.Parse([]byte(`{"system":` + string(quoted) + `,"user":` + string(quoted) + `,"examples":[{"user":` + string(quoted) + `,"assistant":` + string(quoted) + `}]}`))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := template.Import(p.File())
		if err != nil {
			t.Errorf("%q: %v in\n%s", text, err, p.File())
			continue
		}
		if diff := cmp.Diff(string(p.JSON()), string(again.JSON())); diff != "" {
			t.Errorf("%q (-parsed +imported):\n%s\n%s", text, diff, p.File())
		}
	}
}

// TestTheLargestDeclarationsFitIntoFiles: what JSON says shortest and YAML
// longest.
func TestTheLargestDeclarationsFitIntoFiles(t *testing.T) {
	for name, parameters := range map[string]string{
		"invisible characters": `{"a":"` + strings.Repeat("\u00a0", 16_000) + `"}`,
		"many fields":          strings.Repeat(`{"a":`, 40) + object(2900) + strings.Repeat("}", 40),
		"nested":               `{"a":` + strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60) + `}`,
	} {
		p := parse(t, `{"user":"x","parameters":`+parameters+`}`)
		again, err := template.Import(p.File())
		if err != nil || string(again.JSON()) != string(p.JSON()) {
			t.Errorf("%s: Import(File) = %v", name, err)
		}
	}
	_, err := template.Parse([]byte(`{"user":"x","parameters":{"a":"` + strings.Repeat("x", 33_000) + `"}}`))
	if f := fault.As(err); f == nil || f.Param != "parameters" || !strings.Contains(f.Message, "32768") {
		t.Errorf("Parse of larger parameters = %v", err)
	}
}

// FuzzFile: what Parse takes, File and Import keep, byte for byte.
func FuzzFile(f *testing.F) {
	f.Add("tutor", "You teach.", "# user\n", "\\# user", "Explain {{.topic}}.", `"a: b # c"`, `{"a":[1,{"b":[]}],"":null}`)
	f.Add("n", "", "a", "b", "\n x \n", `"\u2028\u0000\ud83d\ude00 \\ \" '\t"`, `{"temperature":1e2,"x":-0.0,"y":123456789012345678901234567890,"z":1E5,"a b: c":{"- d":"true"},"null":"~","1":"1"}`)
	f.Add("n", "---", "#", "\r\n", "\u0085", `"{{x}} [a, b] {c} & *d !e %f @g |h >i"`, `{"logit_bias":{"50256":-100},"":{"":{"":""}},"e":{},"l":[[],[[]],{}]}`)
	f.Add("n", "s", "a", "b", "c", `"yes"`, `{"a":"- x","b":"? x","c":": x","d":"x:","e":"x #y","f":" x ","g":"0x1f","h":"1_000","i":".5","j":"2026-01-01","k":"=","l":"<<"}`)
	f.Fuzz(func(t *testing.T, name, system, first, second, user, def, parameters string) {
		q := func(s string) string {
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		body := `{"name":` + q(name) + `,"system":` + q(system) + `,"examples":[{"user":` + q(first) + `,"assistant":` + q(second) + `}],"user":` + q(user) +
			`,"variables":[{"name":"topic","description":` + q(name) + `,"default":` + def + `},{"name":"o","type":"object","required":false,"default":` + parameters + `}],"parameters":` + parameters + `}`
		p, err := template.Parse([]byte(body))
		if err != nil {
			return
		}
		again, err := template.Parse(p.JSON())
		if err != nil || string(again.JSON()) != string(p.JSON()) {
			t.Fatalf("Parse(JSON) = %v\n%s", err, p.JSON())
		}
		again, err = template.Import(p.File())
		if err != nil {
			t.Fatalf("Import: %v\n%s\n%s", err, p.File(), p.JSON())
		}
		if diff := cmp.Diff(string(p.JSON()), string(again.JSON())); diff != "" {
			t.Fatalf("(-parsed +imported):\n%s\n%s", diff, p.File())
		}
	})
}

// FuzzImport: no file makes Import panic, and what it takes survives.
func FuzzImport(f *testing.F) {
	f.Add(tutorFile)
	f.Add("---\na: &x [*x]\n---\n")
	f.Add("user: |\n  x\nvariables: [{name: x}]")
	f.Fuzz(func(t *testing.T, file string) {
		p, err := template.Import([]byte(file))
		if err != nil {
			if fault.As(err).Kind != fault.Invalid {
				t.Fatalf("Import = %v", err)
			}
			return
		}
		again, err := template.Import(p.File())
		if err != nil || string(again.JSON()) != string(p.JSON()) {
			t.Fatalf("Import(File) = %v\n%s", err, p.File())
		}
	})
}
