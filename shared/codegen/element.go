package codegen

import (
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// element is one of XML, or of something like it, whose content is a file.
type element struct {
	name  string
	end   string // the tag that ends it
	depth int    // of elements of the same name in it
}

// Lines of an element are read whole, to find its end, unless they are longer
// than maxLine; then the end counts if it is in their last maxEnd bytes.
const (
	maxLine = 4096
	maxEnd  = 512
)

// tag is a line's first one.
type tag struct {
	name       string // in lower case
	path, lang string // of its attributes
	closed     bool   // <x/>
	end        bool   // </x>
	rest       string // of the line
	literal    string // the name as it stands there
	indent     int
}

var (
	firstTag = pattern.Pattern{Expr: `^([ \t]*)<(/?)([A-Za-z][\w.:-]*)((?:[ \t=][^<>]*?)?)(/?)>`}
	inBraces = pattern.Pattern{Expr: `^[ \t]*\[([A-Z][A-Z0-9+#]*)\][ \t\r]*\n?$`}
	endTags  = pattern.Pattern{Expr: `^(?:\s*</[A-Za-z][^<>]*>)*\s*`}
	onlyTags = pattern.Pattern{Expr: `^(?:\s*</?[A-Za-z][^<>]*>)*\s*$`}
	pathTag  = pattern.Pattern{Expr: `(?i)^[ \t]*(?:<details[^<>]*>[ \t]*)?<(?:source|path|file_?-?path|file_?-?name|filename|file|name|title|summary|parameter(?: name=|=)"?(?:path|file_path|filename)"?)>` +
		`([^<>]+|<(?:code|b|strong)>[^<>]+</(?:code|b|strong)>)</[^<>]+>[ \t\r]*\n?$`}
	contentAttribute = pattern.Pattern{Expr: `(?i)^(?: name=|=)"?(?:contents?|file_text|code)"?$`}
	innerTags        = pattern.Pattern{Expr: `</?[a-z]+>`}
)

// readTag reads the tag at the beginning of a line.
func readTag(line string) (t tag, ok bool) {
	if i := strings.IndexByte(line, '<'); i < 0 || strings.TrimLeft(line[:i], " \t") != "" {
		return t, false
	}
	m := firstTag.Regexp().FindStringSubmatch(line[:min(len(line), maxPathLine)])
	if m == nil {
		return t, false
	}
	t = tag{name: strings.ToLower(m[3]), literal: m[3], closed: m[5] != "", end: m[2] != "", rest: line[len(m[0]):], indent: columns(m[1])}
	if t.name == "parameter" && contentAttribute.Match(m[4]) {
		t.name = "content"
		return t, true
	}
	for _, w := range infoWords(m[4]) {
		key, value, _ := strings.Cut(w, "=")
		key, value = strings.ToLower(key), strings.TrimSpace(strings.Trim(value, `"'`))
		switch {
		case value == "":
		case t.path == "" && slices.Contains(pathKeys, key) && key != "src" && (key != "title" && key != "name" || looksPath(value)),
			t.path == "" && (key == "file_name" || key == "identifier" || key == "id") && pathLike(value):
			t.path = value
		case key == "language" || key == "lang":
			t.lang = Language(value)
		case key == "class" && strings.HasPrefix(value, "language-"):
			t.lang = Language(strings.TrimPrefix(value, "language-"))
		}
	}
	return t, true
}

// fileTags are elements whose content is a file if they have a path, and which
// say nothing without one; as do wrappers.
var (
	fileTags = []string{"file", "code", "document", "doc", "artifact", "antartifact", "boltaction", "codeblock", "code_block", "code-block", "create", "write",
		"write_to_file", "file_content", "file_contents", "module", "snippet", "update", "component"}
	wrappers    = []string{"documents", "files", "answer", "artifacts", "boltartifact", "codeproject", "project", "changes", "invoke", "function_calls", "response", "solution", "output", "details", "content", "contents", "source_code"}
	contentTags = []string{"content", "contents", "document_content", "document_contents", "file_content", "file_contents", "code", "source_code", "sourcecode"}
)

func (t tag) forFiles() bool {
	return slices.Contains(fileTags, t.name) || strings.HasSuffix(t.name, "file") || strings.HasSuffix(t.name, "-write") || strings.HasSuffix(t.name, "_write")
}

func (t tag) wraps() bool {
	return !t.closed && (t.forFiles() || slices.Contains(wrappers, t.name) || slices.Contains(contentTags, t.name))
}

// tagPath finds the path in an element that holds nothing else:
// <source>a.py</source>.
func tagPath(line string) (string, bool) {
	if len(line) > maxPathLine {
		return "", false
	}
	m := pathTag.Regexp().FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	p := strings.Trim(strings.TrimSpace(innerTags.Regexp().ReplaceAllString(m[1], "")), "`")
	return p, pathLike(p)
}

// takeTag reads a line outside of blocks that begins with a tag. It says
// whether the line means something.
func (p *Parser) takeTag(line string) bool {
	if file, ok := tagPath(line); ok {
		p.hold(line)
		p.path, p.head = file, header{}
		return true
	}
	if m := listMarker.Regexp().FindString(line); m != "" && strings.HasPrefix(line[len(m):], "<") {
		line = strings.Repeat(" ", columns(m)) + line[len(m):]
	}
	if m := inBraces.Regexp().FindStringSubmatch(line); m != nil {
		lang := strings.ToLower(m[1])
		if lang != "code" && byAlias(lang) == nil {
			return false
		}
		p.enter(element{name: "[" + m[1], end: "[/" + m[1] + "]"}, tag{lang: strings.TrimPrefix(Language(lang), "code")}, line)
		return true
	}
	t, ok := readTag(line)
	alone := isBlank(t.rest)
	switch {
	case !ok || t.closed:
		return false
	case t.end:
		if !p.tags || !t.wraps() {
			return false
		}
		rest := t.rest
		for t, ok := readTag(rest); ok && t.end && t.wraps(); t, ok = readTag(rest) {
			rest = t.rest
		}
		if !isBlank(rest) {
			p.take(rest)
		}
		return true
	case t.path != "" && t.forFiles(),
		p.path != "" && slices.Contains(contentTags, t.name),
		t.name == "code" && alone:
		p.enter(element{name: "<" + t.literal, end: "</" + t.literal + ">"}, t, line)
		return true
	case t.wraps() && alone:
		p.hold(line)
		return true
	case t.wraps():
		if inner, ok := readTag(t.rest); ok && (inner.wraps() && isBlank(inner.rest) || inner.path != "" && inner.forFiles()) {
			p.hold(line[:len(line)-len(t.rest)])
			return p.takeTag(t.rest)
		}
	}
	return false
}

// hold adds to the lines that are forgotten if a file follows them.
func (p *Parser) hold(line string) {
	if strings.Count(p.held, "\n") >= maxHeld {
		p.release()
	}
	p.held += line
}

const maxHeld = 8 // lines

// enter begins a block that is an element's content.
func (p *Parser) enter(e element, t tag, line string) {
	if t.path != "" && t.path != p.path && p.path != "" {
		p.release()
	}
	b := &block{element: &e, bare: true, fresh: true, path: t.path, lang: t.lang, line: p.held + line, named: true}
	b.indent = t.indent
	if b.path == "" {
		b.path = p.path
	}
	p.held, p.path, p.head, p.prev, p.blank = "", "", header{}, "", false
	p.block = b
	if !isBlank(t.rest) {
		p.insideElement(t.rest)
	}
}

// insideElement reads a line of an element.
func (p *Parser) insideElement(line string) {
	b := p.block
	if b.fresh {
		if isBlank(line) && len(line) <= maxLine && strings.Count(b.blanks.String(), "\n") < maxHeld {
			b.blanks.WriteString(line)
			return
		}
		if p.fencedElement(line) {
			return
		}
		if line = p.begun(line); line == "" {
			return
		}
	}
	long := p.passed > 0 || len(line) > maxLine
	before, after, ends := b.element.ending(line, long)
	switch {
	case ends && b.element.depth > 0:
		b.element.depth--
	case ends:
		if long || !isBlank(before) {
			p.pass(before)
		}
		p.endLine()
		p.close()
		p.tags = true
		if !isBlank(after) {
			p.take(after)
		}
		return
	case !long && b.element.opens(line):
		if t, ok := readTag(line); ok && t.path != "" && !t.closed && isBlank(t.rest) && t.indent <= b.indent && isStrictCode(p.languageOf(b)) && !b.quotes.in(p.textOf(b)) {
			p.unclosed(Unclosed, "The answer does not end this file before the next begins.")
			p.close()
			p.take(line)
			return
		}
		b.element.depth++
	}
	if isBlank(line) && p.passed == 0 {
		p.plain(line)
		return
	}
	p.pass(line)
	p.endLine()
}

// fencedElement reads an element's first line that is a fence: the file is in
// that.
func (p *Parser) fencedElement(line string) bool {
	b := p.block
	f, ok := readFence(line, 3)
	if !ok || len(line) > maxLine {
		return false
	}
	lang, _ := readInfo(f.info)
	if LanguageOf(b.path) == "markdown" && lang != "markdown" {
		return false
	}
	if b.lang != "" && lang == "" {
		f.info = b.lang
	}
	p.block, p.path, p.held = nil, b.path, b.line
	p.open(f, line)
	p.block.wrapped = true
	if p.block.path == "" {
		p.block.path = b.path
	}
	return true
}

// begun starts the file of an element with its first line, of which it returns
// what is the file's.
func (p *Parser) begun(line string) string {
	b := p.block
	b.fresh = false
	if inner, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "<![CDATA["); ok {
		b.element.name, b.element.end = "<![CDATA[", "]]>"
		b.blanks.Reset()
		if line = inner; isBlank(line) {
			line = ""
		}
	}
	if b.indent > 0 {
		start := line[:min(len(line), maxPathLine)]
		b.indent = columns(start[:len(start)-len(strings.TrimLeft(start, " \t"))])
	}
	p.start()
	if b.blanks.Len() > 0 {
		p.write(b.blanks.String())
		b.blanks.Reset()
	}
	return line
}

// ending finds the tag that ends the element, behind which there may be only
// tags. In lines that are not long, elements of the same name may be whole.
func (e *element) ending(line string, long bool) (before, after string, ok bool) {
	from := max(0, len(line)-maxEnd)
	for i := from; ; {
		k := strings.Index(line[i:], e.end)
		if k < 0 {
			return "", "", false
		}
		i += k
		before, after = line[:i], line[i+len(e.end):]
		if (onlyTags.Match(after) || beginsFile(after)) && (long || e.count(before) <= strings.Count(before, e.end)) {
			return before, after, true
		}
		i += len(e.end)
	}
}

// beginsFile says that the next file begins right behind a tag, and perhaps
// others that end what was around it.
func beginsFile(after string) bool {
	t, ok := readTag(after[len(endTags.Regexp().FindString(after)):])
	return ok && !t.end && !t.closed && t.path != "" && t.forFiles()
}

// opens says that a line begins an element of the same name, and does not end it.
func (e *element) opens(line string) bool {
	return strings.HasPrefix(strings.TrimLeft(line, " \t"), e.name) && e.count(line) > strings.Count(line, e.end)
}

// count is the number of tags in s that open an element of this name.
func (e *element) count(s string) (n int) {
	for {
		i := strings.Index(s, e.name)
		if i < 0 {
			return n
		}
		s = s[i+len(e.name):]
		tag, _, _ := strings.Cut(s, ">")
		if s != "" && strings.IndexByte(" \t]>", s[0]) >= 0 && !strings.HasSuffix(tag, "/") {
			n++
		}
	}
}

// passLong passes on the beginning of an element's line that is too long to be
// kept.
func (p *Parser) passLong() {
	if len(p.line) <= maxLine {
		return
	}
	line := string(p.line)
	if b := p.block; b.fresh {
		if line = p.begun(line); line == "" {
			p.line = p.line[:0]
			return
		}
	}
	begin := clip.To(line, len(line)-maxEnd)
	p.pass(begin)
	p.line = append(p.line[:0], line[len(begin):]...)
}
