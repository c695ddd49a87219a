package codegen_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"main.go", "a/b/c.go", ".env", ".github/workflows/ci.yml", "routes/$id.tsx", "app/[slug]/page.tsx", "app/(group)/page.tsx", "src/größe.py", "my file.txt", "a..b/c...d.go",
		"Dockerfile", "console.go", "auxiliary.go", "@types/x.d.ts", "a+b=c,d;e.txt", "100%.txt", ".gitignore", "a/.gitkeep", "git~x", "routes/-components/a.tsx", "a-rf", "clock.go", strings.Repeat("x", 255)} {
		if err := codegen.CheckPath(p); err != nil {
			t.Errorf("CheckPath(%q) = %v", p, err)
		}
	}
	for _, p := range []string{"", "/etc/passwd", "//server/share", "../x", "a/../../x", "a/..", "..", ".", "./x", "a/./b", "a//b", "a/", `a\b`, `..\x`, `C:\x`, "C:/x", "c:x", "file:x", "~/x", "~root/x", "a\x00b", "a\nb",
		"a\u202eb", "a\u200bb", "a\u0085b", "a\u2028b", "\xff", "CON", "con.txt", "a/NUL", "Aux.c", "com1.log", "lpt9", "COM¹", "nul .txt", "a.", "a /b", " a", "a/ b", "a ", ".git/hooks/pre-commit", ".GIT/config", "sub/.git/x", "git~1/config", "a/GIT~1/hooks/x", "a/CLOCK$", "clock$.txt", "-rf", "-rf/x", "--help",
		"a/…/b", "．．/x", "․․/x", "..／x", "a∕b", "${HOME}/x", "$(id)", "%2e%2e%2fx", "a%00b", "%252e", "a*", "a?", "a|b", "a<b", `a"b`, "a -> b", strings.Repeat("x", 256)} {
		if codegen.CheckPath(p) == nil {
			t.Errorf("CheckPath(%q) lets it through", p)
		}
	}
}

// TestSamePath: on some systems these are one file.
func TestSamePath(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"A.py", "a.py", true}, {"SRC/Main.GO", "src/main.go", true}, {"\u00e9.py", "e\u0301.py", true}, {"\u00c9.py", "e\u0301.py", true},
		{"\u03a3.txt", "\u03c2.txt", true}, {"\u212a.go", "k.go", true}, {"a\u0323\u0301", "\u00e1\u0323", true},
		{"a.py", "b.py", false}, {"e.py", "\u00e9.py", false}, {"a/b", "a_b", false}, {"\ufb01.go", "fi.go", false},
	} {
		if got := codegen.SamePath(c.a) == codegen.SamePath(c.b); got != c.same {
			t.Errorf("SamePath of %q and %q are equal = %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

// TestFilesThatCannotBeBesideOthers are told of, and kept: which of them counts
// is not for us to say.
func TestFilesThatCannotBeBesideOthers(t *testing.T) {
	for name, tc := range map[string]struct{ paths, conflicts []string }{
		"none":              {[]string{"a.py", "b/a.py", "b/c.py"}, nil},
		"capitals":          {[]string{"A.py", "a.py"}, []string{"a.py"}},
		"accents":           {[]string{"\u00e9.py", "e\u0301.py"}, []string{"e\u0301.py"}},
		"a file and folder": {[]string{"a", "b", "A/b.py"}, []string{"A/b.py"}},
	} {
		p := codegen.NewParser(codegen.Hints{}, func(codegen.Event) error { return nil })
		for _, path := range tc.paths {
			if err := p.Write("```python path=" + path + "\nx = 1\n```\n\n"); err != nil {
				t.Fatal(err)
			}
		}
		r, err := p.Finish(false)
		if err != nil {
			t.Fatal(err)
		}
		var paths, conflicts []string
		for _, f := range r.Files {
			paths = append(paths, f.Path)
		}
		for _, d := range r.Diagnostics {
			if d.Code == codegen.PathConflict && d.Severity == codegen.Error {
				conflicts = append(conflicts, d.Path)
			}
		}
		if !slices.Equal(paths, tc.paths) || !slices.Equal(conflicts, tc.conflicts) {
			t.Errorf("%s: files %q, conflicts %q; want %q and %q", name, paths, conflicts, tc.paths, tc.conflicts)
		}
	}
}

// FuzzCheckPath: what passes stays in the folder that it is joined to.
func FuzzCheckPath(f *testing.F) {
	for _, p := range []string{"a/b.go", "../x", "/x", "a/./b", "~", "a\\..\\b", "C:x"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if codegen.CheckPath(p) != nil {
			return
		}
		if joined := filepath.Join("/root", p); joined != "/root/"+p || !filepath.IsLocal(p) {
			t.Errorf("CheckPath(%q) lets it through, and it is %q in /root", p, joined)
		}
	})
}

func TestLanguages(t *testing.T) {
	for file, want := range map[string]string{"a.go": "go", "a/B.PY": "python", "Dockerfile": "dockerfile", "Dockerfile.dev": "dockerfile", "a/Makefile": "makefile", "x.d.ts": "typescript", "tsconfig.json": "jsonc",
		"tsconfig.app.json": "jsonc", "package.json": "json", ".env": "dotenv", "go.mod": "gomod", "go": "", "a.unknown": "", "README": "markdown", "LICENSE": "text", "a.R": "r", "m.mm": "objective-c"} {
		if got := codegen.LanguageOf(file); got != want {
			t.Errorf("LanguageOf(%q) = %q, want %q", file, got, want)
		}
	}
	for name, want := range map[string]string{"Golang": "go", " C++ ": "cpp", "c#": "csharp", "BASH": "shell", "Brainfuck": "brainfuck", "": ""} {
		if got := codegen.Language(name); got != want {
			t.Errorf("Language(%q) = %q, want %q", name, got, want)
		}
	}
}
