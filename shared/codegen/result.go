package codegen

import (
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// Finish ends the answer. truncated says that it was cut off, by a limit on
// its length. It fails only as emit does.
func (p *Parser) Finish(truncated bool) (Result, error) {
	if rest := string(p.carry); rest != "" {
		p.carry = nil
		p.feed(rest)
	}
	switch intro := string(p.intro); {
	case p.phase == phaseObject:
		p.phase, p.intro = phaseLines, nil
		if a, ok := readJSON(intro); ok {
			p.addAll(a)
			p.cutLines(strings.TrimLeft(a.rest, space))
		} else {
			p.cutLines(intro)
		}
	case p.phase == phaseOutlining:
		p.outlined(true)
	case p.phase == phaseThinking:
		p.diagnose(Diagnostic{Severity: Error, Code: Truncated, Message: "The answer ends inside the model's thoughts."})
	case p.phase == phaseBeginning:
		p.phase, p.intro = phaseLines, nil
		p.cutLines(intro) // "<th", say
	}
	if line := string(p.line); line != "" {
		p.line = nil
		if b := p.block; b == nil || b.bare || b.fresh || b.closing != "" || !p.cutFence(line) {
			p.take(line)
		}
	}
	for p.reread(); p.block != nil && p.block.doubt != nil; p.reread() {
		p.settle(truncated && !p.block.doubt.weak())
	}
	if h := p.head; h.strong && len(p.files) > 0 { // an empty file is the last
		p.headed(h)
	}
	p.release()
	p.last(truncated)
	if len(p.files) == 0 {
		p.rescue(truncated)
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
	switch {
	case b.fresh && b.path == "": // nothing came after the fence
		p.block = nil
		p.explain(b.line)
		return
	case b.fresh:
		p.start()
	case b.bare && b.element == nil && !truncated: // its end is that of the answer
		p.close()
		return
	}
	if b.target == toMemory {
		p.unpack()
	}
	if b.closing == "" {
		why := "The answer ends inside this file."
		if truncated {
			why = truncatedByLimit
		}
		p.unclosed(Truncated, why)
	}
	p.close()
}

var blankLines = pattern.Pattern{Expr: `\n[ \t\r]*\n(?:[ \t\r]*\n)+`}

func (p *Parser) result() Result {
	r := Result{Files: []File{}, Explanation: strings.TrimSpace(blankLines.Regexp().ReplaceAllString(p.note.String(), "\n\n"))}
	at := map[string]int{}
	for _, f := range p.files {
		f.Content = f.text.String()
		if i, twice := at[f.Path]; twice {
			if f.joined {
				p.limit("parts of "+f.Path, Diagnostic{Path: f.Path, Severity: Info, Code: DuplicatePath, Message: "The answer has this file in parts, which were joined."})
			} else if r.Files[i].Content != f.Content {
				p.diagnose(Diagnostic{Path: f.Path, Severity: Warning, Code: DuplicatePath, Message: "The answer has this file more than once; the last one counts."})
			}
			r.Files[i] = f.File
			continue
		}
		at[f.Path] = len(r.Files)
		r.Files = append(r.Files, f.File)
	}
	for _, d := range conflicts(r.Files) {
		p.diagnose(d)
	}
	r.Diagnostics = slices.Clone(p.diags)
	return r
}
