package codegen

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// rescue looks for files in an answer that has none: JSON behind a sentence,
// code without a fence, or blocks that were taken for commands.
func (p *Parser) rescue(truncated bool) {
	text := p.note.String()
	if len(p.aside) == 0 && !isBlank(text) {
		patched := slices.ContainsFunc(p.diags, func(d Diagnostic) bool { return d.Code == Patch })
		if p.rescueJSON(text) || !patched && p.rescueCode(text, truncated) {
			return
		}
	}
	for _, a := range p.aside {
		lang := a.lang
		if lang == "" {
			lang = p.hints.Language
		}
		p.add(File{Language: lang, Content: a.text})
	}
	if len(p.files) == 0 {
		p.diagnose(Diagnostic{Severity: Warning, Code: NoFiles, Message: "The answer holds no file."})
	}
}

var jsonLine = pattern.Pattern{Expr: `(?m)^[ \t]*(?:\{|\[[ \t\r]*\{|\[[ \t\r]*$)`}

// rescueJSON takes up files from JSON that begins in a later line.
func (p *Parser) rescueJSON(text string) bool {
	i := jsonLine.Regexp().FindStringIndex(text)
	if i == nil {
		return false
	}
	a, ok := readJSON(text[i[0]:])
	if ok {
		p.note.Reset()
		p.note.WriteString(text[:i[0]] + a.rest)
		p.addAll(a)
	}
	return ok
}

// rescueCode takes up a file that is not marked as one: the answer as a whole,
// or what stands in it between sentences.
func (p *Parser) rescueCode(text string, truncated bool) bool {
	lang := p.hints.Language
	if lang != "" && p.hints.Code != nil && p.hints.Code(lang, text) {
		p.note.Reset()
		p.add(File{Language: lang, Content: text})
		return true
	}
	begin, end := -1, len(text)
	var q quotes
	at, blank := 0, true
	for line := range strings.Lines(text) {
		here := at
		at += len(line)
		if isBlank(line) {
			blank = true
			continue
		}
		switch {
		case begin < 0 && blank:
			found := p.hints.Language
			if found == "" {
				found = languageOfCode(line, text[here:])
			}
			if isCodeLanguage(found) && looksCode(line, found) {
				begin, lang, q.read = here, found, here
			}
		case begin >= 0 && isStrictCode(lang) && !q.in(text[:here]) && isSentence(line):
			if !blank {
				return false // the lines are no code, or not only
			}
			end = here
		}
		if end < len(text) {
			break
		}
		blank = false
	}
	if begin < 0 || strings.Count(strings.TrimSpace(text[begin:end]), "\n") == 0 && strings.TrimSpace(text) != strings.TrimSpace(text[begin:end]) {
		return false // one line in an explanation is an example
	}
	p.note.Reset()
	p.note.WriteString(text[:begin] + "\n" + text[end:])
	content := text[begin:end]
	if short := strings.TrimRight(content, space); short != content {
		content = short + "\n"
	}
	p.add(File{Language: lang, Content: content})
	if truncated && end == len(text) {
		p.diagnose(Diagnostic{Path: p.files[0].Path, Severity: Error, Code: Truncated, Message: truncatedByLimit})
	}
	return true
}

const truncatedByLimit = "The answer reached its limit of tokens inside this file."

// isCodeLanguage says that looksCode can tell lines of the language from prose.
func isCodeLanguage(lang string) bool {
	return isStrictCode(lang) || lang == "html" || lang == "xml" || lang == "vue" || lang == "svelte"
}

var beginnings = []struct {
	line pattern.Pattern
	lang string
}{
	{pattern.Pattern{Expr: `(?i)^<(?:!doctype html|html[ >])`}, "html"}, {pattern.Pattern{Expr: `^<\?php`}, "php"}, {pattern.Pattern{Expr: `^<\?xml `}, "xml"},
	{pattern.Pattern{Expr: `^#!.*python`}, "python"}, {pattern.Pattern{Expr: `^#!.*node`}, "javascript"}, {pattern.Pattern{Expr: `^#!.*(?:sh|bash)$`}, "shell"},
	{pattern.Pattern{Expr: `^(?:import [a-z_.]+(?: as \w+)?|from [\w.]+ import .*|(?:async )?def \w+\(.*|class \w+(?:\(.*\))?:)$`}, "python"},
	{pattern.Pattern{Expr: `^package [a-z_]\w*$`}, "go"},
}

// languageOfCode is the language of code that begins with a line, if that says
// it; else "".
func languageOfCode(line, text string) string {
	line = strings.TrimSpace(line)
	for i := range beginnings {
		if beginnings[i].line.Match(line) {
			return beginnings[i].lang
		}
	}
	if strings.HasPrefix(line, "#include ") {
		if strings.Contains(text, "std::") || strings.Contains(text, "<iostream>") {
			return "cpp"
		}
		return "c"
	}
	return ""
}

// jsonAnswer is an answer in JSON.
type jsonAnswer struct {
	files []File
	note  string // explanation in it
	rest  string // what follows it
}

// addAll takes up an answer in JSON.
func (p *Parser) addAll(a jsonAnswer) {
	if a.note != "" {
		p.explain(a.note + "\n")
	}
	for _, f := range a.files {
		p.add(f)
	}
}

// readJSON reads an answer that begins with JSON: an object with files, which
// are a list of objects, or an object of texts by path; or one of these by
// itself, or a single file.
func readJSON(text string) (a jsonAnswer, ok bool) {
	dec := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if dec.Decode(&value) != nil {
		return a, false
	}
	a.rest = text[dec.InputOffset():]
	if rawjson.Kind(value) == "array" {
		a.files = fileList(value)
		return a, len(a.files) > 0
	}
	fields, err := rawjson.Object(nil, value, 64)
	if err != nil {
		return a, false
	}
	for _, name := range []string{"explanation", "notes", "message", "summary"} {
		if s, ok := rawjson.String(rawjson.Get(fields, name)); ok && a.note == "" {
			a.note = s
		}
	}
	switch files := rawjson.Get(fields, "files"); rawjson.Kind(files) {
	case "array":
		a.files = fileList(files)
	case "object":
		a.files, _ = filesByPath(rawjson.Fields(nil, files))
	default:
		if f, err := oneFile(value); err == nil && pathLike(f.Path) {
			a.files = []File{f}
		} else if list, certain := filesByPath(fields); certain {
			a.files, a.note = list, ""
		}
	}
	return a, len(a.files) > 0
}

// fileList reads a list of files; nil if it is none.
func fileList(value []byte) (list []File) {
	err := rawjson.Elements(value, func(_ int, v []byte) error {
		f, err := oneFile(v)
		list = append(list, f)
		return err
	})
	if err != nil {
		return nil
	}
	return list
}

func oneFile(value []byte) (File, error) {
	var f struct {
		Path, File, Filename, Name, Language string
		FilePath                             string `json:"file_path"`
		Content, Contents, Code, Text        *string
	}
	if err := json.Unmarshal(value, &f); err != nil {
		return File{}, err
	}
	for _, content := range []*string{f.Content, f.Contents, f.Code, f.Text} {
		if content != nil {
			return File{Path: cmp.Or(f.Path, f.FilePath, f.File, f.Filename, f.Name), Language: f.Language, Content: *content}, nil
		}
	}
	return File{}, errors.New("a file without content")
}

// filesByPath reads texts by path. It is certain that they are files if every
// name is that of one, and a text has several lines.
func filesByPath(fields []rawjson.Field) (list []File, certain bool) {
	all, several := true, false
	for _, f := range fields {
		content, isText := rawjson.String(f.Value)
		if !isText {
			return nil, false
		}
		all = all && pathLike(f.Name)
		several = several || strings.Contains(content, "\n")
		list = append(list, File{Path: f.Name, Content: content})
	}
	return list, all && several
}
