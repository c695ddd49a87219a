package codegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

var (
	patchBegin = pattern.Pattern{Expr: `^(?:diff --git |@@ -[0-9]|@@$|@@ |\*\*\* Begin Patch|\*\*\* (?:Update|Add|Delete) File: |<<<<<<< ?(?:SEARCH|ORIGINAL|HEAD)|Index: \S+$|--- (?:a/|/dev/null))`}
	patchLine  = pattern.Pattern{Expr: `^(?:[ +\\@-]|diff |index |new file |deleted file |old mode |new mode |rename |similarity |\*\*\* |\r?\n?$)`}
	patched    = pattern.Pattern{Expr: `(?m)^(?:\+\+\+ (?:b/)?|\*\*\* (?:Update|Add|Delete) File: )([^\s]+)`}
)

// isPatch says that a file which begins with the line is a patch.
func isPatch(line string) bool {
	return len(line) <= maxPathLine && patchBegin.Match(strings.TrimRight(line, space))
}

// patchMarks begin patches outside of blocks. (One that begins with "--- a" is
// known by its second line.)
var patchMarks = []string{"diff --git ", "*** ", "<<<<<<< ", "Index: "}

// maybePatch says whether a line that begins so may be the first of a patch.
// more are further marks.
func maybePatch(line string, more ...string) bool {
	return len(line) <= maxPathLine && slices.ContainsFunc(append(more, patchMarks...), func(mark string) bool {
		return strings.HasPrefix(line, mark) || strings.HasPrefix(mark, line)
	})
}

// wantsPatch says whether a block may be a patch: one was asked for, or its
// path is that of one.
func (p *Parser) wantsPatch(b *block) bool {
	return p.hints.Language == "diff" || LanguageOf(b.path) == "diff"
}

// keepPatch makes the open block, which holds a patch, part of the explanation.
func (p *Parser) keepPatch() {
	b := p.block
	b.target, b.patch, b.markdown = toNote, true, false
	if b.path != "" && !b.named {
		p.explain(b.before)
	}
	p.explain(b.line)
}

// takePatch begins a patch outside of blocks, with its first lines. It goes on
// as long as lines can be a patch's.
func (p *Parser) takePatch(lines string) {
	p.held, p.path, p.head = "", "", header{}
	p.block = &block{bare: true, patch: true, target: toNote}
	p.block.text.WriteString(lines)
	p.explain(lines)
}

// insidePatch reads a line of a patch without a fence.
func (p *Parser) insidePatch(line string) {
	if !patchLine.Match(line) {
		p.close()
		p.take(line)
		return
	}
	p.plain(line)
}

// tellPatch says which files a patch would change.
func (p *Parser) tellPatch(b *block) {
	seen := map[string]bool{}
	tell := func(file string) {
		if file = cleanPath(file); seen[file] || len(seen) >= MaxFiles || file == "/dev/null" {
			return
		}
		seen[file] = true
		d := Diagnostic{Severity: Error, Code: Patch, Message: "The answer has a patch instead of a file; it is in the explanation."}
		if CheckPath(file) == nil {
			d.Path, d.Message = file, fmt.Sprintf("The answer has a patch for %q instead of the file; it is in the explanation.", file)
		}
		p.diagnose(d)
	}
	for _, m := range patched.Regexp().FindAllStringSubmatch(b.text.String(), MaxFiles) {
		tell(m[1])
	}
	if len(seen) == 0 {
		tell(b.path)
	}
}
