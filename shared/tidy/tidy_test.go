package tidy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/tidy"
)

func file(path, content string) codegen.File {
	return codegen.File{Path: path, Language: codegen.LanguageOf(path), Content: content}
}

func TestFormat(t *testing.T) {
	for _, tc := range []struct{ name, path, in, want string }{
		{"Go", "a.go", "package a\nfunc  f( ){\nx:=1\n_=x}", "package a\n\nfunc f() {\n\tx := 1\n\t_ = x\n}\n"},
		{"broken Go stays", "a.go", "package a\nfunc  f( {", "package a\nfunc  f( {"},
		{"JSON keeps order and numbers", "a.json", `{"b":1.10,"a":12345678901234567890, "c":[]}`, "{\n  \"b\": 1.10,\n  \"a\": 12345678901234567890,\n  \"c\": []\n}\n"},
		{"broken JSON stays", "a.json", "{\"a\": 1,}  ", "{\"a\": 1,}  "},
		{"JSON with comments stays", "tsconfig.json", "{ // x\n}\n", "{ // x\n}\n"},
		{"YAML keeps comments", "a.yaml", "# top\na:   1 # one\nb:\n    - x   # y\n    - z", "# top\na: 1 # one\nb:\n    - x # y\n    - z\n"},
		{"YAML with block text stays", "a.yaml", "a: |\n  x  \n  y\nb:    1\n", "a: |\n  x  \n  y\nb:    1\n"},
		{"YAML with aliases stays", "a.yaml", "a: &x   {b: 1}\nc:   *x\n", "a: &x   {b: 1}\nc:   *x\n"},
		{"a Helm template stays", "a.yaml", "a:   {{ .Values.a }}\n", "a:   {{ .Values.a }}\n"},
		{"TOML stays", "a.toml", "a=1 # one\n", "a=1 # one\n"},
		{"shell", "a.sh", "#!/bin/sh\nif  true\nthen\necho hi   # x\nfi", "#!/bin/sh\nif true; then\n  echo hi # x\nfi\n"},
		{"shell keeps here documents", "a.sh", "cat <<EOF\n  x  \nEOF\n", "cat <<EOF\n  x  \nEOF\n"},
		{"script", "a.ts", "const a = 1;  \n\n\nf(a);\t", "const a = 1;\n\n\nf(a);\n"},
		{"space in a script's text stays", "a.js", "const a = `x  \ny`;  \n", "const a = `x  \ny`;  \n"},
		{"a broken script stays", "a.js", "const = ;  \n", "const = ;  \n"},
		{"style sheet", "a.css", "a { b: c; }  \n\n", "a { b: c; }\n"},
		{"Python", "a.py", "x = 1  \n\n\n", "x = 1\n"},
		{"space in Python's text stays", "a.py", "a = 1  \nx = \"\"\"a  \nb\"\"\"  \n", "a = 1\nx = \"\"\"a  \nb\"\"\"  \n"},
		{"an apostrophe in a comment ends the certainty", "a.py", "a = 1  \n# don't\nx = 2  \n", "a = 1\n# don't\nx = 2  \n"},
		{"CRLF stays", "a.py", "x = 1  \r\ny = 2\r\n", "x = 1\r\ny = 2\r\n"},
		{"SQL", "a.sql", "select 1;  ", "SELECT 1;\n"},
		{"Markdown's breaks stay", "a.md", "a  \nb", "a  \nb\n"},
		{"unknown", "a.unknown", "x  ", "x  \n"},
		{"empty", "a.go", "", ""},
		{"XML", "a.xml", "<a>\n  </a>", "<a>\n  </a>\n"},
	} {
		got, _ := tidy.Tools{}.Tidy(file(tc.path, tc.in), true)
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if again, _ := (tidy.Tools{}).Tidy(file(tc.path, got), true); again != got {
			t.Errorf("%s: a second time gives %q", tc.name, again)
		}
		if kept, _ := (tidy.Tools{}).Tidy(file(tc.path, tc.in), false); kept != tc.in {
			t.Errorf("%s: changed to %q without being asked", tc.name, kept)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ name, path, in, want string }{
		{"Go", "a.go", "package a\n\nfunc f() {\n\treturn 1 +\n}\n", "5:1 error go expected operand"},
		{"Go without package", "a.go", "func f() {}\n", "1:1 error go expected 'package'"},
		{"good Go", "a.go", "package a\n", ""},
		{"JSON", "a.json", "{\n  \"a\": 1,\n}", "3:1 error json invalid character '}'"},
		{"unfinished JSON", "a.json", "{\"a\"", "error json unexpected end"},
		{"YAML", "a.yaml", "a: [1\nb: 2\n", "error yaml "},
		{"YAML with a tab", "a.yaml", "a:\n\tb: 1\n", "error yaml "},
		{"a Helm template", "a.yaml", "{{ if }}\na: [\n", ""},
		{"TOML", "a.toml", "a = 1\nb = \n", "2:"},
		{"good TOML", "a.toml", "[a]\nb = 1979-05-27\n", ""},
		{"shell", "a.sh", "if true; then\necho\n", "1:1 error sh "},
		{"JavaScript", "a.js", "let x = 1;\nlet y = (;\n", "2:10 error esbuild Unexpected \";\""},
		{"JSX in .js", "a.js", "export default () => <p>{1}</p>;\n", ""},
		{"TypeScript", "a.ts", "interface A { b: string }\nconst x: A = { b: ;\n", "2:19 error esbuild"},
		{"good TypeScript", "a.ts", "import type { A } from './a';\nexport enum E { X }\n@dec class B<T extends A> { private x?: T }\n", ""},
		{"TSX", "a.tsx", "const a = <div><p></div>;\n", "1:"},
		{"CSS", "a.css", "a { b: c;\n", "error esbuild Expected \"}\""},
		{"XML", "a.xml", "<a>\n<b></a>", "2:"},
		{"two roots", "a.xml", "<a/><b/>", "there is more than one root"},
		{"no root", "a.svg", "hello", "text outside of the root"},
		{"good XML", "a.svg", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<!-- c -->\n<svg><a>&amp;</a></svg>\n", ""},
		{"Python has no parser here", "a.py", "def f(:\n", ""},
	} {
		_, list := tidy.Tools{}.Tidy(file(tc.path, tc.in), true)
		var got []string
		for _, d := range list {
			got = append(got, fmt.Sprintf("%d:%d %s %s %s", d.Line, d.Column, d.Severity, d.Source, d.Message))
			if d.Path != tc.path || d.Code == "" {
				t.Errorf("%s: diagnostic %+v", tc.name, d)
			}
		}
		if text := strings.Join(got, "\n"); tc.want == "" && text != "" || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, text, tc.want)
		}
	}
}

func TestIsCode(t *testing.T) {
	for _, tc := range []struct {
		lang, text string
		want       bool
	}{
		{"go", "package main\n\nfunc main() {}\n", true},
		{"go", "I cannot do that.\n", false},
		{"javascript", "export const a = 1;\n", true},
		{"javascript", "Sorry", false},
		{"javascript", "Sorry, I cannot.\n", false},
		{"typescript", "Hello\nthere\n", true}, // two statements: bare names are code
		{"json", "{\"a\": 1}\n", true},
		{"shell", "echo hello\n", false}, // any prose is a command
		{"yaml", "a: 1\n", false},
		{"python", "x = 1\n", false},
		{"css", "a { b: c }\n", true},
		{"css", "This is prose; nothing else.\n", false},
		{"xml", "<a>1</a>\n", true},
	} {
		if got := (tidy.Tools{}).IsCode(tc.lang, tc.text); got != tc.want {
			t.Errorf("IsCode(%s, %q) = %v", tc.lang, tc.text, got)
		}
	}
}

// FuzzTidy: nothing breaks it, and what it formats it leaves alone afterwards.
func FuzzTidy(f *testing.F) {
	for _, path := range []string{"a.go", "a.json", "a.yaml", "a.toml", "a.sh", "a.js", "a.tsx", "a.css", "a.xml", "a.py", "a.sql"} {
		f.Add(path, "a: 1\n")
		f.Add(path, "package a\n\nfunc f() { x := `a  \nb`  \n}\n")
		f.Add(path, "# c\nif true; then\n  echo \"$(a)\"\nfi\n")
		f.Add(path, "{\"a\": [1, 2, {\"b\": null}]}")
	}
	f.Fuzz(func(t *testing.T, path, text string) {
		got, list := tidy.Tools{}.Tidy(file(path, text), true)
		if len(list) > 10 {
			t.Errorf("%d diagnostics", len(list))
		}
		if again, _ := (tidy.Tools{}).Tidy(file(path, got), true); again != got {
			t.Errorf("%s: %q, and a second time %q", path, got, again)
		}
	})
}

// TestWhatWasNotCheckedIsTold: silence would mean that a file is right.
func TestWhatWasNotCheckedIsTold(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    codegen.File
		told bool
	}{
		{"large", codegen.File{Language: "go", Content: "package a\n" + strings.Repeat("// x\n", 128<<10/5)}, true},
		{"deep", codegen.File{Language: "json", Content: strings.Repeat("[", 300) + strings.Repeat("]", 300)}, true},
		{"binary", codegen.File{Language: "css", Content: "a{}\x00"}, true},
		{"no UTF-8", codegen.File{Language: "css", Content: "a{}\xff"}, true},
		{"checked", codegen.File{Language: "json", Content: "[]"}, false},
		{"large, of a language that is never checked", codegen.File{Language: "python", Content: strings.Repeat("# x\n", 64<<10)}, false},
	} {
		tc.f.Path = "x"
		text, list := tidy.Tools{}.Tidy(tc.f, false)
		if text != tc.f.Content {
			t.Errorf("%s: the file is changed", tc.name)
		}
		if told := len(list) == 1 && list[0].Code == "unchecked" && list[0].Path == "x" && list[0].Severity == codegen.Info; told != tc.told || len(list) > 1 {
			t.Errorf("%s: diagnostics = %+v, want one that says so: %v", tc.name, list, tc.told)
		}
	}
}
