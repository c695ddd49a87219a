package codegen

import (
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// lexicon is what begins and ends the texts of a language that go on over
// lines, and what hides such a beginning.
type lexicon struct {
	langs    []string
	comment  string      // to the end of the line
	pairs    [][2]string // strings and comments of several lines
	quotes   string      // of strings in one line
	document bool        // <<EOF
}

var (
	cComment = [2]string{"/*", "*/"}
	lexicons = []lexicon{
		{langs: []string{"python"}, comment: "#", pairs: [][2]string{{`"""`, `"""`}, {`'''`, `'''`}}, quotes: `"'`},
		{langs: []string{"javascript", "typescript", "jsx", "tsx"}, comment: "//", pairs: [][2]string{{"`", "`"}, cComment}, quotes: `"'`},
		{langs: []string{"go"}, comment: "//", pairs: [][2]string{{"`", "`"}, cComment}, quotes: `"'`},
		{langs: []string{"java", "kotlin", "scala", "swift", "csharp", "groovy", "dart"}, comment: "//", pairs: [][2]string{{`"""`, `"""`}, {`'''`, `'''`}, cComment}, quotes: `"'`},
		{langs: []string{"rust"}, comment: "//", pairs: [][2]string{{`r##"`, `"##`}, {`r#"`, `"#`}, cComment, {`"`, `"`}}},
		{langs: []string{"c", "cpp", "objective-c"}, comment: "//", pairs: [][2]string{{`R"(`, `)"`}, cComment}, quotes: `"'`},
		{langs: []string{"css", "scss", "less"}, pairs: [][2]string{cComment}, quotes: `"'`},
		{langs: []string{"php"}, comment: "//", pairs: [][2]string{cComment}, quotes: `"'`, document: true},
		{langs: []string{"shell", "zsh", "ruby"}, comment: "#", pairs: [][2]string{{`"`, `"`}, {`'`, `'`}}, document: true},
		{langs: []string{"perl", "dockerfile", "terraform"}, comment: "#", quotes: `"'`, document: true},
		{langs: []string{"powershell"}, comment: "#", pairs: [][2]string{{`@"`, `"@`}, {`@'`, `'@`}, {"<#", "#>"}}, quotes: `"'`},
		{langs: []string{"toml", "elixir", "julia", "graphql"}, comment: "#", pairs: [][2]string{{`"""`, `"""`}, {`'''`, `'''`}}, quotes: `"'`},
		{langs: []string{"lua"}, comment: "-- ", pairs: [][2]string{{"--[[", "]]"}, {"[[", "]]"}}, quotes: `"'`},
		{langs: []string{"sql"}, comment: "--", pairs: [][2]string{{"$$", "$$"}, cComment, {`'`, `'`}}},
		{langs: []string{"html", "vue", "svelte", "xml"}, pairs: [][2]string{{"<!--", "-->"}, {"<pre", "</pre>"}, {"<textarea", "</textarea>"}, {"<![CDATA[", "]]>"}}},
	}
)

// documentWord finds the word that ends a here-document.
var documentWord = pattern.Pattern{Expr: `^<<<?[-~]?[ ]?["']?([A-Za-z_]\w*)["']?`}

// lexer follows a file to what it is inside of.
type lexer struct {
	read  int    // bytes of the file
	until string // ends what the file is inside of; "" outside
	word  bool   // until is the word of a here-document
	next  string // the word of one that begins in the next line
}

// inside reads on to the end of text, whole lines, and says whether something
// of several lines is open there.
func (x *lexer) inside(text, lang string) bool {
	i := slices.IndexFunc(lexicons, func(l lexicon) bool { return slices.Contains(l.langs, lang) })
	if i < 0 {
		return false
	}
	for line := range strings.Lines(text[x.read:]) {
		x.line(line, &lexicons[i])
	}
	x.read = len(text)
	return x.until != ""
}

// line reads a line.
func (x *lexer) line(line string, l *lexicon) {
	for i := 0; i < len(line); {
		rest := line[i:]
		switch {
		case x.until != "":
			n := x.end(rest)
			if n < 0 {
				return
			}
			x.until, x.word = "", false
			i += n
		case rest[0] == '\\':
			i += 2
		case l.comment != "" && strings.HasPrefix(rest, l.comment) && (l.comment != "#" || i == 0 || strings.IndexByte(" \t;(", line[i-1]) >= 0):
			i = len(line)
		default:
			i += x.begin(rest, l)
		}
	}
	if x.next != "" {
		x.until, x.word, x.next = x.next, true, ""
	}
}

// begin reads what may begin a string, and returns how much of s it is.
func (x *lexer) begin(s string, l *lexicon) int {
	if l.document && s[0] == '<' {
		if m := documentWord.Regexp().FindStringSubmatch(s[:min(len(s), maxLabel)]); m != nil {
			x.next = m[1]
			return len(m[0])
		}
	}
	for _, pair := range l.pairs {
		if strings.HasPrefix(s, pair[0]) {
			x.until = pair[1]
			return len(pair[0])
		}
	}
	if strings.IndexByte(l.quotes, s[0]) >= 0 {
		if n := endOf(s[1:], s[:1]); n >= 0 {
			return 1 + n
		}
	}
	return 1
}

// end is where in a line what is open ends; -1 if it goes on.
func (x *lexer) end(line string) int {
	if !x.word {
		return endOf(line, x.until)
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), x.until)
	if !ok || rest != "" && strings.IndexByte(" \t\r\n;,)", rest[0]) < 0 {
		return -1
	}
	return len(line) - len(rest)
}

// endOf is the place behind the first mark in s that no backslash precedes.
func endOf(s, mark string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], mark):
			return i + len(mark)
		}
	}
	return -1
}
