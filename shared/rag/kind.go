package rag

import (
	"path"
	"strings"
	"sync"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// Kind is how a document is written.
type Kind string

const (
	Text     Kind = "text"
	Markdown Kind = "markdown"
	HTML     Kind = "html"
	Code     Kind = "code"
)

// Kinds lists every Kind.
var Kinds = []Kind{Text, Markdown, HTML, Code}

var (
	looksHTML     = pattern.Pattern{Expr: `(?i)^\s*(?:<!doctype html|<html[\s>]|<head[\s>]|<body[\s>])`}
	looksMarkdown = pattern.Pattern{Expr: "(?m)^(?:#{1,6} \\S|```|~~~|\\S.*\n={3,}[ \\t]*$)"}
)

// GuessKind says what a text is that nobody described. Code is a text of which
// the first line with something in it is one that a programming language has;
// comments before it do not count.
func GuessKind(text string) Kind {
	text = clip.To(text, guessBy)
	switch {
	case looksHTML.Match(text):
		return HTML
	case codeFirst(text):
		return Code
	case looksMarkdown.Match(text):
		return Markdown
	}
	return Text
}

// named is what file names say by their endings: a language of code, or another
// kind.
var named = sync.OnceValue(func() map[string]string {
	m := map[string]string{"md": "", "markdown": "", "html": "", "htm": "", "xhtml": ""}
	for language, endings := range map[string]string{
		"c": "c h", "clojure": "clj cljs", "cpp": "cc cpp cxx hh hpp hxx", "csharp": "cs", "css": "css scss less", "dart": "dart", "elixir": "ex exs",
		"erlang": "erl hrl", "go": "go", "haskell": "hs", "java": "java", "javascript": "js mjs cjs jsx", "julia": "jl", "kotlin": "kt kts", "lua": "lua",
		"objective-c": "m mm", "ocaml": "ml mli", "perl": "pl pm", "php": "php", "python": "py pyi", "r": "r", "ruby": "rb", "rust": "rs", "scala": "scala",
		"shell": "sh bash zsh", "sql": "sql", "swift": "swift", "typescript": "ts mts cts tsx", "zig": "zig",
	} {
		for ending := range strings.FieldsSeq(endings) {
			m[ending] = language
		}
	}
	return m
})

// KindByName says what a file of that name is, and in what language if it is
// code. ok is false if the name does not tell.
func KindByName(name string) (k Kind, language string, ok bool) {
	ending := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	language, ok = named()[ending]
	switch {
	case !ok:
		return "", "", false
	case language != "":
		return Code, language, true
	case ending[0] == 'm':
		return Markdown, "", true
	}
	return HTML, "", true
}

func codeFirst(text string) bool {
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		if GuessLanguage(strings.TrimRight(line, "\r\n")) != "" {
			return true
		}
		if bare != "" && !strings.HasPrefix(bare, "//") && !strings.HasPrefix(bare, "#") && !strings.HasPrefix(bare, "/*") && !strings.HasPrefix(bare, "*") &&
			!strings.HasPrefix(bare, "@") {
			return false
		}
	}
	return false
}
