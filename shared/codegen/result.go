package codegen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Finish ends the answer. truncated says that it was cut off, by a limit on
// its length. It fails only as emit does.
func (p *Parser) Finish(truncated bool) (Result, error) {
	if rest := string(p.carry); rest != "" {
		p.carry = nil
		p.feed(rest)
	}
	switch intro := string(p.intro); {
	case p.phase == object:
		p.phase, p.intro = lines, nil
		if list, note, ok := readObject(intro); ok {
			p.addAll(list, note)
		} else {
			p.markdown(intro)
		}
	case p.phase == beginning:
		p.phase, p.intro = lines, nil
		p.markdown(intro) // "<th", say
	}
	if line := string(p.line); line != "" {
		p.line = nil
		if b := p.block; b == nil || b.fresh || b.closing != "" || !p.cutFence(line) {
			p.take(line)
		}
	}
	p.release()
	p.last(truncated)
	if len(p.files) == 0 {
		p.rescue()
	}
	p.flush()
	return p.result(), p.err
}

// cutFence says whether the answer's last line is the beginning of the open
// block's end.
func (p *Parser) cutFence(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && len(line) < p.block.length && strings.Trim(line, string(p.block.char)) == ""
}

// last closes a block that the answer left open.
func (p *Parser) last(truncated bool) {
	b := p.block
	if b == nil {
		return
	}
	if b.fresh { // nothing came after the fence
		p.block = nil
		p.explain(b.line)
		return
	}
	if b.target == toMemory {
		p.unpack()
	}
	if b.closing == "" {
		why := "The answer ends inside this file."
		if truncated {
			why = "The answer reached its limit of tokens inside this file."
		}
		p.unclosed(Truncated, why)
	}
	p.close()
}

// rescue looks for files in an answer that has none: a text that is code as a
// whole, or blocks that were taken for commands.
func (p *Parser) rescue() {
	text := p.note.String()
	if lang := p.hints.Language; lang != "" && p.hints.Code != nil && len(p.aside) == 0 && strings.TrimSpace(text) != "" && p.hints.Code(lang, text) {
		p.note.Reset()
		p.add(File{Language: lang, Content: text})
		return
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

var blankLines = pattern.Pattern{Expr: `\n[ \t\r]*\n(?:[ \t\r]*\n)+`}

func (p *Parser) result() Result {
	r := Result{Files: []File{}, Explanation: strings.TrimSpace(blankLines.Regexp().ReplaceAllString(p.note.String(), "\n\n"))}
	at := map[string]int{}
	for _, f := range p.files {
		f.Content = f.text.String()
		if i, twice := at[f.Path]; twice {
			if r.Files[i].Content != f.Content {
				p.diagnose(Diagnostic{Path: f.Path, Severity: Warning, Code: DuplicatePath, Message: "The answer has this file more than once; the last one counts."})
			}
			r.Files[i] = f.File
			continue
		}
		at[f.Path] = len(r.Files)
		r.Files = append(r.Files, f.File)
	}
	for _, f := range r.Files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if _, file := at[dir]; file {
				p.diagnose(Diagnostic{Path: f.Path, Severity: Error, Code: PathConflict, Message: fmt.Sprintf("%q is a file of the answer, and cannot be a folder too.", dir)})
			}
		}
	}
	r.Diagnostics = slices.Clone(p.diags)
	return r
}

// addAll takes up an answer in JSON.
func (p *Parser) addAll(list []File, note string) {
	if note != "" {
		p.explain(note + "\n")
	}
	for _, f := range list {
		p.add(f)
	}
}

// readObject reads an answer that is a JSON object with files: a list of
// objects, or an object of texts by path.
func readObject(text string) (list []File, note string, ok bool) {
	fields, err := rawjson.Object(nil, []byte(text), 64)
	if err != nil {
		return nil, "", false
	}
	for _, name := range []string{"explanation", "notes", "message", "summary"} {
		if s, ok := rawjson.String(rawjson.Get(fields, name)); ok && note == "" {
			note = s
		}
	}
	switch files := rawjson.Get(fields, "files"); rawjson.Kind(files) {
	case "array":
		err = rawjson.Elements(files, func(_ int, v []byte) error {
			var f struct {
				Path, File, Filename, Name, Language string
				Content, Contents, Code, Text        *string
			}
			if err := json.Unmarshal(v, &f); err != nil {
				return err
			}
			for _, content := range []*string{f.Content, f.Contents, f.Code, f.Text} {
				if content != nil {
					list = append(list, File{Path: cmp.Or(f.Path, f.File, f.Filename, f.Name), Language: f.Language, Content: *content})
					return nil
				}
			}
			return fmt.Errorf("a file without content")
		})
	case "object":
		for _, f := range rawjson.Fields(nil, files) {
			content, isText := rawjson.String(f.Value)
			if !isText {
				return nil, "", false
			}
			list = append(list, File{Path: f.Name, Content: content})
		}
	}
	return list, note, err == nil && len(list) > 0
}
