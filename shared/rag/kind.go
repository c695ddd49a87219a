package rag

import (
	"html"
	"path"
	"strings"
	"sync"

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
	looksMarkdown = pattern.Pattern{Expr: "(?m)^(?:#{1,6} \\S|```|~~~)"}
)

// GuessKind says what a text is that nobody described. Code is a text of which
// the first line with something in it is one that a programming language has;
// comments before it do not count.
func GuessKind(text string) Kind {
	text = clip(text, guessBy)
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

// hidden are elements whose content nobody reads.
var hidden = set("script style noscript template svg head iframe object")

// blocks are elements that begin a line.
var blocks = set(`address article aside blockquote br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li
	main nav ol p pre section summary table tbody tfoot thead tr ul`)

// htmlText returns what a page says, as Markdown: headings keep their level.
// It reads whatever it is given, as browsers do.
func htmlText(page string) string {
	var b strings.Builder
	space := false // owed before the next word
	inLine := func() bool { return b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") }
	write := func(text string) {
		if text == "" {
			return
		}
		if strings.ContainsAny(text[:1], " \t\n\f") && inLine() {
			space = true
		}
		for _, word := range strings.Fields(html.UnescapeString(text)) {
			if space {
				b.WriteByte(' ')
			}
			b.WriteString(word)
			space = true
		}
		space = strings.ContainsAny(text[len(text)-1:], " \t\n\f") && inLine()
	}
	pre := false
	for page != "" {
		open := strings.IndexByte(page, '<')
		if open < 0 {
			open = len(page)
		}
		if pre {
			b.WriteString(html.UnescapeString(page[:open]))
		} else {
			write(page[:open])
		}
		page = page[open:]
		if page == "" {
			break
		}
		if rest, ok := strings.CutPrefix(page, "<!--"); ok {
			_, page, _ = strings.Cut(rest, "-->")
			continue
		}
		name, closing, after := tag(page)
		if name == "" { // a lone '<'
			write("<")
			page = page[1:]
			continue
		}
		page = after
		if hidden[name] && !closing {
			page = skip(page, name)
			continue
		}
		if blocks[name] {
			space = false
			b.WriteString("\n\n"[:newlines(name)])
			if len(name) == 2 && name[0] == 'h' && '1' <= name[1] && name[1] <= '6' && !closing {
				b.WriteString("######"[:name[1]-'0'] + " ")
			}
			if name == "pre" {
				pre = !closing
			}
		} else if name == "td" || name == "th" {
			space = inLine()
		}
	}
	return strings.TrimSpace(b.String())
}

// newlines is how many of them an element begins with.
func newlines(name string) int {
	switch name {
	case "br", "li", "tr", "dt", "dd":
		return 1
	}
	return 2
}

// tag reads the tag that page begins with; name is "" if it is none.
func tag(page string) (name string, closing bool, after string) {
	i := 1
	if closing = i < len(page) && page[i] == '/'; closing {
		i++
	}
	start := i
	for i < len(page) && (isWord(rune(page[i])) || page[i] == '-') && page[i] < 0x80 {
		i++
	}
	name = strings.ToLower(page[start:i])
	if name == "" && !(i < len(page) && (page[i] == '!' || page[i] == '?')) {
		return "", false, page
	}
	if name == "" {
		name = "!"
	}
	for quote := byte(0); i < len(page); i++ {
		switch c := page[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return name, closing, page[i+1:]
		}
	}
	return name, closing, ""
}

// skip returns what follows the end of the element called name.
func skip(page, name string) string {
	for {
		i := strings.Index(page, "</")
		if i < 0 {
			return ""
		}
		page = page[i+2:]
		if len(page) >= len(name) && strings.EqualFold(page[:len(name)], name) {
			_, after, _ := strings.Cut(page, ">")
			return after
		}
	}
}
