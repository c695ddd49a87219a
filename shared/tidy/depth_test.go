package tidy

import (
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// hostile are constructs that nest without end, per language: what comes before
// them, what is repeated, what comes after.
var hostile = map[string][][3]string{
	"javascript": {{"x=", "!", "1"}, {"x=", "- ", "1"}, {"", "if(a)", "b"}, {"", "x=>", "1"}, {"", "a?b:", "c"}, {"", "a?[,]:", "c"}, {"", "a=", "c"}, {"", "a:", ";"},
		{"x=", "typeof ", "1"}, {"x=", "new ", "a"}, {"", "a+", "1"}, {"", "a**", "1"}, {"", "a,", "1"}, {"", "a.", "b"}, {"", "`${", ""}, {"if(a)b;", "else if(a)b;", ""},
		{"", "(", ""}, {"", "[", "]"}, {"", "{", ""}, {"", "function(){", ""}, {"x=", "(x=>", ""}, {"x=", "function(){return ", ""}, {"x=", "class{a=", ""}, {"", "a(", ""}, {"", "async()=>{", ""}},
	"jsx":        {{"x=", "<a>", ""}, {"x=", "<a>,", ""}, {"x=", "<a b={", ""}},
	"typescript": {{"type x=", "keyof ", "a"}, {"let x:", "a|", "a"}, {"type x=", "a extends b?c:", "d"}, {"type x=", "A<", ""}, {"type x=", "A<B,", ""}, {"x=", "<a>", "1"}, {"type x=", "{a:", ""}, {"x=", "a<b>(", ""}},
	"css":        {{"", "a ", "{}"}, {"a{b:", "-", "}"}, {"", "a>", "b{}"}, {"", "a{", ""}, {"", "@media x{", ""}, {"", ":not(", ""}, {"a{b:", "calc(", ""}},
	"go": {{"package a\nvar x=", "!", "a"}, {"package a\nvar x=", "-", "a"}, {"package a\nvar x ", "*", "a"}, {"package a\nvar x ", "[]", "a"}, {"package a\nvar x ", "chan ", "a"},
		{"package a\nvar x=", "1+", "a"}, {"package a\nvar x=", "<-", "a"}, {"package a\nfunc f(){", "if a {} else ", "{}}"}, {"package a\nfunc f(){", "a:", "}"}, {"package a\nvar x=", "(", ""},
		{"package a\nvar x=", "func(){x:=", ""}, {"package a\nvar x=", "T{a:", ""}, {"package a\nvar x=", "f(func(){", ""}, {"package a\nvar x ", "struct{a ", ""}},
	"shell": {{"", "! ", "a"}, {"", "a|", "b"}, {"", "a&&", "b"}, {"", "if a;then ", ""}, {"", "time ", "a"}, {"", "while a;do ", ""}, {"((", "!", "a))"}, {"((", "a?b:", "a))"},
		{"", "\"`", ""}, {"", "<<A ", ""}, {"", "$(", ""}, {"", "{ ", ""}, {"", "((", ""}, {"", "a=(", ""}},
	"toml": {{"a=", "[", ""}, {"", "a.", "a=1"}, {"[", "a.", "a]"}, {"", "[[a]]\n", ""}, {"a=", "{a=", ""}},
	"yaml": {{"", "- ", "a"}, {"", "? ", "a"}, {"", "a: ", "a"}, {"", "-\n", "a"}, {"", "a: b\n", ""}, {"", "!a ", "b"}, {"", "- !a\n", ""}, {"", "- !a # b\n", ""}, {"", "a: !a\n", ""}, {"", "&a ", "b"}, {"", "a\n", "b"}, {"", "- a\n", ""}, {"", "# a\n", ""},
		{"", "---\n", ""}, {"", "'a' ", ""}, {"a:\n", " - b: c\n", ""}, {"a: |\n", "  b\n", ""}, {"", "[", ""}, {"", "{a: ", ""}, {"a: &a b\nb:\n", "- [*a, *a]\n", ""}},
	"json": {{"", "[", ""}, {"", `{"a":`, ""}, {"", " ", "1"}},
	"sql": {{"select ", "(", ""}, {"", "(", ""}, {"select ", "case ", ""}, {"select ", "case when a then ", ""}, {"", "select ", ""}, {"select ", "(select ", ""}, {"", "[", ""}, {"select ", "a+", "b"},
		{"select ", "a and ", "b"}, {"select ", "not ", "b"}, {"select ", "'a' ", ""}, {"", "if a then ", ""}, {"", "begin ", ""}, {"select ", "''''", ""}, {"select ", "a,", "b"}, {"select a", ".a", ""},
		{"", "create trigger ", ""}, {"", "with a as (", ""}, {"select a from b ", "join c on d=e ", ""}, {"", "-- a\n", ""}, {"select a ", "-- a\n", ""}, {"", ";", ""}, {"", "/* a */", ""},
		{"", "create table a(", ""}, {"select ", "f(a,", ""}, {"", "select a union ", ""}, {"", "$$ $$ ", ""}, {"", "insert into a values ", ""}, {"select ", "a -- b\n,", ""}},
	"xml": {{"", "<a>", ""}, {"", "<a/>", ""}, {"", "<a ", ">"}},
}

// TestHostileFiles: nothing that a model can be made to write overflows a stack
// of 64 MB. An overflow cannot be recovered from, so another process does it.
func TestHostileFiles(t *testing.T) {
	if os.Getenv("TIDY_HOSTILE") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileFiles$")
		cmd.Env = append(os.Environ(), "TIDY_HOSTILE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %.4000s", err, out)
		}
		return
	}
	debug.SetMaxStack(64 << 20)
	for lang, list := range hostile {
		for _, h := range list {
			for _, end := range []string{"", "\n"} {
				for _, most := range []int{maxSize, maxRun, maxBrackets * 2} {
					if most == maxSize && end != "" {
						continue // one is enough of what takes longest
					}
					unit := h[1] + end
					n := min((maxSize-100)/len(unit), (most-100)/len(unit))
					if strings.ContainsAny(unit, "([{") && most < maxRun {
						n = maxBrackets - 2
					}
					t.Logf("%s %q", lang, unit) // shown if this is the one
					f := codegen.File{Path: "x", Language: lang, Content: h[0] + strings.Repeat(unit, n) + h[2]}
					Tools{}.Tidy(f, true)
				}
			}
		}
	}
}

// TestOrdinaryFilesAreNotTooDeep: the bounds are far above what people write.
func TestOrdinaryFilesAreNotTooDeep(t *testing.T) {
	for _, tc := range []struct{ name, lang, unit string }{
		{"statements without semicolons", "javascript", "foo(bar)\nconst x = { a: 1, b: [2, 3] }\nif (x) {\n  y()\n}\n"},
		{"elements", "tsx", "export const A = (p: Props<string>) => (\n  <div className=\"a\">\n    <p>{p.text}</p>\n    <br />\n  </div>\n);\n"},
		{"comments", "go", "// Package x does this and that\n// and a lot more.\nfunc f(a, b int) error {\n\treturn nil\n}\n"},
		{"script", "shell", "# step\nif [ -n \"$A\" ]; then\n  echo \"$A\" | sort\nfi\n"},
		{"rows", "json", "{\"a\": [1, 2, 3]},\n"},
		{"list", "yaml", "- name: x\n  run: y\n"},
		{"statements", "sql", "CREATE TABLE a (\n  id int\n);\n\nINSERT INTO a (id)\nVALUES\n  (1),\n  (2);\n\nSELECT id\nFROM a\nWHERE id = 1;\n"},
	} {
		f := codegen.File{Language: tc.lang, Content: strings.Repeat(tc.unit, 50_000/len(tc.unit))}
		if tooDeep(f) {
			t.Errorf("%s: 50 KB of ordinary %s count as too deep", tc.name, tc.lang)
		}
	}
}

// TestTagsWithoutValuesAreBounded: the parser takes what follows a tag for its
// value: 200 of them were printed as 40 times as much, which then grew as much again.
func TestTagsWithoutValuesAreBounded(t *testing.T) {
	if text, _, ok := printYAML(strings.Repeat("- !a\n", 200)); ok {
		t.Errorf("1000 bytes are printed as %d", len(text))
	}
	for _, unit := range []string{"- !a\n", "a: !a # b\n", "!a \r\n"} {
		if nested(strings.Repeat(unit, maxTags)) || !nested(strings.Repeat(unit, maxTags+1)) {
			t.Errorf("%q: %d count as nested, want only more", unit, maxTags)
		}
	}
	f := codegen.File{Path: "a.yaml", Language: "yaml", Content: strings.Repeat("- !Ref   b\n", 1000)}
	if got, list := (Tools{}).Tidy(f, true); got == f.Content || len(list) > 0 {
		t.Errorf("1000 tags with values: not formatted, %v", list)
	}
}

// TestYAMLThatIsNotReadIsSaidToBe: silence would mean that it is right.
func TestYAMLThatIsNotReadIsSaidToBe(t *testing.T) {
	for _, text := range []string{strings.Repeat("a:   b\n---\n", maxLines), strings.Repeat("- ", 200) + "[\n", strings.Repeat("- !a\n", maxTags+1)} {
		got, list := Tools{}.Tidy(codegen.File{Path: "a.yaml", Language: "yaml", Content: text}, true)
		if got != text || len(list) != 1 || list[0].Code != "unchecked" || list[0].Path != "a.yaml" {
			t.Errorf("%.20q: %v, want it left alone, and told", text, list)
		}
	}
	if !nested(strings.Repeat("a\n", maxLines+1)) || nested(strings.Repeat("a\n", maxLines)) {
		t.Errorf("%d lines are the most", maxLines)
	}
}
