// Package tidy formats generated files with the formatters of their languages,
// and says where their syntax is wrong. Formatting never changes what a file
// means: where that is not certain, the file stays as it is.
package tidy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	maxErrors = 10  // diagnostics per file
	maxText   = 300 // bytes of a message
)

// Tools implements codegen.Tools.
type Tools struct {
	Log *slog.Logger // hears of formatters and parsers that panicked; nil: nobody does
}

var _ codegen.Tools = Tools{}

// language is what can be done for one. Both may be nil.
type language struct {
	// check finds errors.
	check func(f codegen.File) []codegen.Diagnostic
	// format returns the text in its usual form. ok is false if that cannot be
	// done, or could change what it means.
	format func(f codegen.File) (text string, ok bool)
	// certain says that nothing but code passes check: no prose does.
	certain bool
}

var known = map[string]language{
	"go":         {check: checkGo, format: formatGo, certain: true},
	"json":       {check: checkJSON, format: formatJSON, certain: true},
	"yaml":       {check: checkYAML, format: formatYAML},
	"toml":       {check: checkTOML, certain: true},
	"shell":      {check: checkShell, format: formatShell},
	"javascript": {check: checkScript, format: formatScript, certain: true},
	"jsx":        {check: checkScript, format: formatScript, certain: true},
	"typescript": {check: checkScript, format: formatScript, certain: true},
	"tsx":        {check: checkScript, format: formatScript, certain: true},
	"css":        {check: checkScript, format: formatScript, certain: true},
	"xml":        {check: checkXML, certain: true},
	"sql":        {check: checkSQL, format: formatSQL},
}

// Tidy returns the content of f, formatted if format is true and it can be, and
// what is wrong in it. Places are those in the returned text.
func (t Tools) Tidy(f codegen.File, format bool) (content string, list []codegen.Diagnostic) {
	lang, ok := known[f.Language]
	if tooDeep(f) || !utf8.ValidString(f.Content) || strings.IndexByte(f.Content, 0) >= 0 {
		if lang.check != nil {
			list = unchecked(f, "It is larger than 128 KB, nested deeper than people write, or not text.")
		}
		return f.Content, list
	}
	if format && f.Content != "" {
		if text, done := t.run(lang, f); done {
			f.Content = text
		} else if !ok || lang.format == nil {
			f.Content = trim(f)
		}
	}
	if lang.check != nil {
		list = t.look(lang, f)
	}
	return f.Content, list
}

// unchecked tells that nothing is known of a file whose language has a parser:
// silence would mean that it is right.
func unchecked(f codegen.File, why string) []codegen.Diagnostic {
	return []codegen.Diagnostic{{Path: f.Path, Severity: codegen.Info, Code: "unchecked", Message: "The syntax of this file was not checked. " + why, Source: "gateway"}}
}

// IsCode says whether text can only be code in the language.
func (t Tools) IsCode(name, text string) bool {
	lang, trimmed := known[name], strings.TrimSpace(text)
	f := codegen.File{Path: "x", Language: name, Content: text}
	if !lang.certain || tooDeep(f) || !strings.ContainsAny(trimmed, "\n;{(=<") {
		return false
	}
	return !slices.ContainsFunc(t.look(lang, f), func(d codegen.Diagnostic) bool { return d.Severity == codegen.Error })
}

// run formats, unless the formatter panics.
func (t Tools) run(l language, f codegen.File) (text string, done bool) {
	if l.format == nil || !t.guard(f, func() { text, done = l.format(f) }) {
		return "", false
	}
	return text, done
}

// look checks, unless the parser panics. Diagnostics are cut to a number and
// length that can be read.
func (t Tools) look(l language, f codegen.File) (list []codegen.Diagnostic) {
	if !t.guard(f, func() { list = l.check(f) }) {
		list = unchecked(f, "Its parser failed.")
	}
	if len(list) > maxErrors {
		list = list[:maxErrors]
	}
	for i := range list {
		list[i].Path, list[i].Message = f.Path, clip.Marked(strings.ToValidUTF8(strings.TrimSpace(list[i].Message), "\ufffd"), maxText)
	}
	return list
}

// guard runs what others wrote on f, and says whether it did not panic: the
// author is told what could not be done, the log why.
func (t Tools) guard(f codegen.File, fn func()) bool {
	err := fault.Guard(func() error { fn(); return nil })
	if err != nil && t.Log != nil {
		t.Log.Error("a tool for files panicked", "language", f.Language, "err", err)
	}
	return err == nil
}

// wrong is an error in a file's syntax.
func wrong(source string, line, column int, message string) codegen.Diagnostic {
	return codegen.Diagnostic{Line: line, Column: column, Severity: codegen.Error, Code: "syntax", Message: message, Source: source}
}

// place is line and column of a byte in text, both from 1.
func place(text string, offset int) (line, column int) {
	before := text[:max(0, min(offset, len(text)))]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}

// trimmed are the languages in which space at the end of a line means nothing,
// with what could begin a text in which it does.
var trimmed = map[string]string{
	"python": "", "java": "", "kotlin": "", "scala": "", "c": `R"`, "cpp": `R"`, "csharp": "", "rust": "", "swift": "", "dart": "",
	"ruby": "<<", "php": "<<<", "lua": "[[", "terraform": "<<", "protobuf": "", "graphql": "", "scss": "", "less": "",
}

// trim ends a file of another language with one line break, and takes away
// space at the ends of lines where that is certain to mean nothing: as long as
// the quotation marks of every line are paired, no text reaches beyond it.
func trim(f codegen.File) string {
	text := f.Content
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	until, ok := trimmed[f.Language]
	if !ok || until != "" && strings.Contains(text, until) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for rest := text; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if !paired(line) {
			b.WriteString(rest)
			return b.String()
		}
		end := "\n"
		if strings.HasSuffix(line, "\r") {
			end = "\r\n"
		}
		b.WriteString(strings.TrimRight(line, " \t\r"))
		b.WriteString(end)
		rest = after
	}
	if end := strings.TrimRight(b.String(), "\r\n"); end != "" {
		last := "\n"
		if strings.HasSuffix(text, "\r\n") {
			last = "\r\n"
		}
		return end + last
	}
	return text
}

// paired says that every kind of quotation mark stands in the line an even
// number of times, and that the line does not go on in the next.
func paired(line string) bool {
	var n [3]int
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			if i++; i >= len(strings.TrimRight(line, " \t\r")) {
				return false
			}
		case '"':
			n[0]++
		case '\'':
			n[1]++
		case '`':
			n[2]++
		}
	}
	return n[0]%2 == 0 && n[1]%2 == 0 && n[2]%2 == 0 && !strings.Contains(line, `"""`) && !strings.Contains(line, "'''")
}

// describe is for parsers that know no place.
func describe(source string, err error) []codegen.Diagnostic {
	return []codegen.Diagnostic{wrong(source, 0, 0, fmt.Sprint(err))}
}
