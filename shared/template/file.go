package template

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// The file format: YAML between two lines "---", then sections.
//
//	---
//	name: tutor
//	model: openai/gpt-4o-mini
//	variables:
//	  - name: topic
//	    type: string
//	---
//
//	# system
//
//	You teach.
//
//	# user
//
//	Explain {{.topic}}.
//
// A section begins with a line that is exactly "# system", "# user" or
// "# assistant". It is the system text, or a turn: a user and an assistant make
// an example, and the last user is the user text. Empty lines around a section's
// text are not part of it. A line of a text that looks like the beginning of a
// section, or an empty first or last line, has a backslash in front, and so has
// such a line that itself begins with backslashes.

const fence = "---"

var sectionLine = pattern.Pattern{Expr: `^# (system|user|assistant)[ \t]*$`}

// File returns the template in the file format. Import makes an equal template
// of it.
func (t *Template) File() []byte {
	dst := []byte(fence + "\n")
	for _, f := range rawjson.Fields(nil, t.JSON()) {
		switch f.Name {
		case "system", "user", "examples":
		case "variables":
			dst = append(dst, "variables:\n"...)
			for i := range t.Variables {
				dst = t.Variables[i].appendYAML(dst)
			}
		default:
			dst = appendYAMLField(dst, f.Name, f.Value, 0)
		}
	}
	dst = append(dst, fence+"\n"...)
	section := func(role, text string) {
		if text != "" {
			dst = fmt.Appendf(dst, "\n# %s\n\n%s\n", role, escape(text))
		}
	}
	section("system", t.System)
	for _, e := range t.Examples {
		section("user", e.User)
		section("assistant", e.Assistant)
	}
	section("user", t.User)
	return dst
}

// appendYAML writes a variable as an element of a list, without what goes
// without saying.
func (v *Variable) appendYAML(dst []byte) []byte {
	lead := "  - "
	text, err := rawjson.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and JSON that was parsed before
	}
	for _, f := range rawjson.Fields(nil, text) {
		if f.Name == "required" && v.Required == (v.Default == nil) {
			continue
		}
		dst = append(dst, lead...)
		dst = appendYAMLField(dst, f.Name, f.Value, len(lead))
		lead = "    "
	}
	return dst
}

// special says whether a line must have, or may lose, a backslash: what follows
// its backslashes looks like the beginning of a section, or is blank.
func special(line string) (section, blank bool) {
	rest := strings.TrimLeft(line, `\`)
	return sectionLine.Match(rest), strings.TrimSpace(rest) == ""
}

func escape(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		edge := i == 0 || i == len(lines)-1
		if section, blank := special(line); section || blank && (edge || strings.HasPrefix(line, `\`)) {
			lines[i] = `\` + line
		}
	}
	return strings.Join(lines, "\n")
}

// unescape is the inverse of escape, for a section's lines.
func unescape(lines []string) string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	text := make([]string, len(lines))
	for i, line := range lines {
		text[i] = line
		if section, blank := special(line); section || blank {
			text[i] = strings.TrimPrefix(line, `\`)
		}
	}
	return strings.Join(text, "\n")
}

// Import reads a template from the file format, or from YAML alone, whose
// fields then are those of the JSON form. Errors are as in Parse; where the file
// itself is wrong they name the line.
func Import(file []byte) (*Template, error) {
	if !utf8.Valid(file) {
		return nil, wrong("", "The file is not UTF-8.")
	}
	text := strings.TrimPrefix(string(file), "\ufeff")
	if first, _, _ := strings.Cut(text, "\n"); strings.HasSuffix(first, "\r") { // an editor's line ends, not the texts' own
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	head, body, line := split(text)
	object, err := yamlToJSON(head)
	if err != nil {
		return nil, err
	}
	if rawjson.Kind(object) != "object" {
		return nil, wrong("", "The file must begin with the template's fields in YAML, between two lines '%s'; YAML alone will do as well.", fence)
	}
	edits, err := sections(body, line)
	if err != nil {
		return nil, err
	}
	fields, err := rawjson.Object(nil, object, maxNesting)
	if err != nil {
		return nil, wrong("", "The YAML of the file is wrong: %v.", err)
	}
	for _, e := range edits {
		if rawjson.Get(fields, e.Name) != nil {
			return nil, fault.Field(e.Name, "'%s' is given twice: in the file's YAML and as a section.", e.Name)
		}
	}
	return Parse(rawjson.Apply(nil, object, fields, edits...))
}

// split cuts a file in its YAML and the lines behind it, the first of which is
// numbered line.
func split(text string) (head string, body []string, line int) {
	rest, ok := strings.CutPrefix(text, fence+"\n")
	if !ok {
		return text, nil, 0
	}
	lines := strings.Split(rest, "\n")
	for i, l := range lines {
		if strings.TrimRight(l, " \t") == fence {
			return strings.Join(lines[:i], "\n"), lines[i+1:], i + 3
		}
	}
	return rest, nil, 0
}

// sections reads what stands behind the YAML, as changes to the object of it.
func sections(lines []string, first int) ([]rawjson.Edit, error) {
	type section struct {
		role  string
		line  int
		lines []string
	}
	var list []section
	for i, l := range lines {
		if m := sectionLine.Regexp().FindStringSubmatch(l); m != nil {
			list = append(list, section{role: m[1], line: first + i})
		} else if len(list) > 0 {
			last := &list[len(list)-1]
			last.lines = append(last.lines, l)
		} else if strings.TrimSpace(l) != "" {
			return nil, wrong("", "Line %d of the file is in no section; begin one with a line '# system' or '# user'.", first+i)
		}
	}
	var t Template
	for i, s := range list {
		text := unescape(s.lines)
		if text == "" {
			return nil, wrong(s.role, "The section '# %s' in line %d of the file is empty.", s.role, s.line)
		}
		switch next := i+1 < len(list) && list[i+1].role == "assistant"; {
		case s.role == "system" && i == 0:
			t.System = text
		case s.role == "user" && next:
			t.Examples = append(t.Examples, Example{User: text})
		case s.role == "user" && i == len(list)-1:
			t.User = text
		case s.role == "assistant" && i > 0 && list[i-1].role == "user":
			t.Examples[len(t.Examples)-1].Assistant = text
		default:
			return nil, wrong(s.role, "The section '# %s' in line %d of the file is out of order: '# system' comes first, then each '# user' with its '# assistant', then the last '# user'.", s.role, s.line)
		}
	}
	var edits []rawjson.Edit
	for _, f := range rawjson.Fields(nil, t.JSON()) {
		edits = append(edits, rawjson.Edit{Name: f.Name, Value: bytes.Clone(f.Value)})
	}
	return edits, nil
}
