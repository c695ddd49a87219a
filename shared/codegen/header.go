package codegen

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// header is a line that names the file which follows it without a fence:
// === main.go ===, # --- a.py ---, **a.py**, // file: a.js.
type header struct {
	path   string
	style  string // the line without path, numbers and remarks: headers of one answer are of one style
	strong bool   // it is drawn as a border between files
	label  bool   // it says "file"
}

// borders are what strong headers have on both sides of the path.
var borders = pattern.Pattern{Expr: `^(?:(?:#|//|--|;|%|/\*+|<!--|\(\*) *)?(?:={2,}|-{2,}|~{2,}|\+{2,}|@{2,}|%{2,}|>{2,}|#{5,}|\*{4,})>? *(?:[a-z ]+[:=]? *)?["'` + "`" + `*]*` + "\x00" +
	`["'` + "`" + `*]* *<?(?:={2,}|-{2,}|~{2,}|\+{2,}|@{2,}|%{2,}|<{2,}|#{5,}|\*{4,}) *(?:\*/|-->|\*\))?$|^={2,}>? *(?:[a-z]+[:=]? *)?` + "\x00" + `$`}

var fileWord = pattern.Pattern{Expr: `\b(?:file ?name|file ?path|file|path)\b`}

// readHeader reads a line that only names a file.
func readHeader(line string) (h header, ok bool) {
	if len(line) > maxPathLine {
		return h, false
	}
	line = ascii(line)
	if h.path, ok = pathLine(line); !ok && strings.IndexByte("/<", (strings.TrimLeft(line, " \t") + " ")[0]) >= 0 {
		h.path, ok = commentPath(line, "")
	}
	if !ok {
		return h, false
	}
	left, right, _ := strings.Cut(strings.TrimSpace(line), h.path)
	if i := strings.Index(right, " ("); i >= 0 {
		right = right[:i] + right[max(i, strings.LastIndex(right, ")")+1):] // a remark
	}
	left, right = styled(left), styled(right)
	h.style = left + "\x00" + right
	h.strong = borders.Match(strings.TrimSpace(left) + "\x00" + strings.TrimSpace(right))
	h.label = fileWord.Match(left)
	return h, true
}

var (
	anyNumber = pattern.Pattern{Expr: `[0-9]+`}
	borderRun = pattern.Pattern{Expr: `={3,}|-{3,}|~{3,}|\+{3,}|@{3,}|%{3,}|>{3,}|<{3,}|\*{5,}|#{6,}`}
	anySpace  = pattern.Pattern{Expr: `[ \t]+`}
)

// styled takes from a piece of a header what differs between files.
func styled(s string) string {
	s = anyNumber.Regexp().ReplaceAllString(strings.ToLower(s), "0")
	s = borderRun.Regexp().ReplaceAllStringFunc(s, func(run string) string { return strings.Repeat(run[:1], 6) })
	return anySpace.Regexp().ReplaceAllString(s, " ")
}

// ends says whether the line is a border after the last file: === END ===.
func (h header) ends(line string) bool {
	left, right, _ := strings.Cut(h.style, "\x00")
	s, begins := strings.CutPrefix(styled(strings.TrimSpace(line)), strings.TrimSpace(left))
	s, closes := strings.CutSuffix(s, strings.TrimSpace(right))
	s = strings.TrimSpace(s)
	return h.strong && begins && closes && (s == "end" || s == "eof" || strings.HasPrefix(s, "end of ") || strings.HasPrefix(s, "end: ") || s == "end "+strings.ToLower(h.path))
}

// begins says whether a file that h names may begin with the line, although
// there is no fence.
func (h header) begins(line string) bool {
	if _, fenced := readOpener(line); fenced {
		return false
	}
	lang := LanguageOf(h.path)
	switch {
	case !isStrictCode(lang) && lang != "yaml":
		return h.strong || lang == "markdown" && strings.HasPrefix(line, "# ") || looksCode(line, lang)
	case isSentence(line):
		return false
	}
	return h.strong || looksCode(line, lang)
}

// isStrictCode says that a sentence is no line of the language.
func isStrictCode(lang string) bool {
	switch lang {
	case "", "text", "markdown", "rst", "csv", "yaml", "toml", "ini", "properties", "dotenv", "gitignore", "http", "mermaid", "diff", "html", "xml", "vue", "svelte", "astro", "template", "jinja":
		return false
	}
	return true
}

var (
	sentenceLine = pattern.Pattern{Expr: `^[A-Z][a-z'’]*,?(?: [^\s]+)+[.:!?]$`}
	wordsLine    = pattern.Pattern{Expr: `^[A-Za-z'’, -]+[.:!?]$`}
)

// isSentence says that a line is English and cannot be code.
func isSentence(line string) bool {
	line = strings.TrimSpace(line)
	return sentenceLine.Match(line) && !strings.ContainsAny(line, "=;{}<>|") && (strings.Count(line, " ") >= 3 || wordsLine.Match(line))
}

var (
	// codeKeyword begins lines of code.
	codeKeyword = pattern.Pattern{Expr: `^(?:import|from|package|using|use|namespace|module|require|require_once|include|export|const|let|var|val|def|class|func|fn|fun|function|public|private|protected|internal|` +
		`static|struct|enum|interface|type|impl|pub|async|abstract|final|void|int|extern|typedef|template|object|trait|mod|defmodule|return|if|for|while|try|with|syntax|message|service|resource|provider|variable|terraform|` +
		`CREATE|SELECT|INSERT|ALTER|DROP|WITH|BEGIN|UPDATE|DELETE|SET|FROM|ARG|RUN|library|set|echo|print|open|data|record|sealed|unsafe|global|local|self)\b`}
	// englishWord is a word that sentences have and short lines of code have not.
	englishWord = pattern.Pattern{Expr: `\b(?:the|a|an|this|that|these|it|and|you|your|we|to|of|is|are|will|should|can)\b`}
	codeMark    = pattern.Pattern{Expr: `[=(){}\[\];"'<>]|::|\.\*`}
	// codeStart is a beginning that prose does not have.
	codeStart   = pattern.Pattern{Expr: `^(?://|/\*|#!|#include|#define|#pragma|#import|#if|#\[|"""|'''|<\?|<!|\{|@[A-Za-z]|@?[\w.$]+(?:, *[\w.$]+)* *(?:=|:=|\+=|<-) *\S|[\w.$]+\(.*\)?;?$|['"]use )`}
	codeEnd     = pattern.Pattern{Expr: `(?:[;{}]|\);?|=>|\()$`}
	markupStart = pattern.Pattern{Expr: `^<[A-Za-z!?/]`}
	pairLine    = pattern.Pattern{Expr: `^(?:---|- |\[[^\]()]+\]$|[a-z_][\w.-]*:(?: |$)|[A-Za-z_][\w.-]* *= *)`}
	targetLine  = pattern.Pattern{Expr: `^(?:\.PHONY|[\w.%/-]+:( [\w./-]+)*$|[A-Z_]+ *[:?]?= )`}
)

// looksCode says whether a line can only be the beginning of a file in the
// language.
func looksCode(line, lang string) bool {
	line = strings.TrimSpace(line)
	switch lang {
	case "html", "xml", "vue", "svelte", "astro", "jsx", "tsx", "php", "template", "jinja":
		if markupStart.Match(line) {
			return true
		}
	case "yaml", "toml", "ini", "properties", "dotenv":
		return pairLine.Match(line) && !isSentence(line)
	case "makefile":
		return targetLine.Match(line)
	case "json", "jsonc":
		return strings.HasPrefix(line, "{") || strings.HasPrefix(line, "[")
	case "sql", "lua", "haskell":
		if strings.HasPrefix(line, "--") {
			return true
		}
	case "text", "markdown", "rst", "csv", "gitignore", "http", "mermaid", "diff":
		return false
	}
	if isSentence(line) {
		return false
	}
	if codeStart.Match(line) || lang != "" && codeEnd.Match(line) && codeMark.Match(line) {
		return true
	}
	n := strings.Count(line, " ")
	return codeKeyword.Match(line) && (codeMark.Match(line) || n <= 1 || (n <= 3 || strings.HasSuffix(line, ":")) && !englishWord.Match(line))
}

// hereDocument is how shells and others begin a text that ends with a word.
var hereDocument = pattern.Pattern{Expr: `^<<[-~]?["']?([A-Z_]{2,})`}

// quotes follows whether a text is inside of a string of several lines, or a
// comment, where nothing means what it says.
type quotes struct {
	read int    // bytes of the text
	open string // what began it
}

// in reads on to the end of text.
func (q *quotes) in(text string) bool {
	for q.read < len(text) {
		rest := text[q.read:]
		if q.open != "" {
			i := strings.Index(rest, q.open)
			if i < 0 {
				q.read = max(q.read, len(text)-len(q.open)+1)
				break
			}
			q.read += i + len(q.open)
			q.open = ""
			continue
		}
		i := strings.IndexAny(rest, "\"'`/<")
		if i < 0 {
			q.read = len(text)
			break
		}
		q.read += i + 1
		switch rest = rest[i:]; {
		case strings.HasPrefix(rest, `"""`), strings.HasPrefix(rest, `'''`):
			q.open = rest[:3]
			q.read += 2
		case rest[0] == '`':
			q.open = "`"
		case strings.HasPrefix(rest, "/*"):
			q.open = "*/"
			q.read++
		case rest[0] == '<':
			if m := hereDocument.Regexp().FindStringSubmatch(rest[:min(len(rest), 80)]); m != nil {
				q.open = "\n" + m[1] + "\n"
			}
		}
	}
	return q.open != ""
}

// inMarkdown finds headers that are headings, or bold, or in backticks.
var inMarkdown = pattern.Pattern{Expr: "^(?:[0-9]+[.)] )?(?:#{2,6} |\\*\\*|`)"}

var underline = pattern.Pattern{Expr: `^(?:={3,}|-{3,})[ \t\r]*\n?$`}

// isComment says whether the header is a comment of the file that it names, and
// may stay in it.
func (h header) isComment(line string) bool {
	line = strings.TrimSpace(line)
	switch LanguageOf(h.path) {
	case "sql", "lua", "haskell":
		return strings.HasPrefix(line, "--")
	case "html", "xml", "vue", "svelte", "markdown":
		return strings.HasPrefix(line, "<!--")
	}
	return !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "=") && !strings.HasPrefix(line, "%")
}
