package codegen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
)

// block is an open fence and what it leads to.
type block struct {
	fence
	lang, path string // from the fence or the line before
	named      bool   // the path was behind the fence
	part       bool   // the file has begun before
	line       string // the opening line
	before     string // lines before it that name its path
	hint       string // a path in the sentence before it
	fresh      bool   // its first line is awaited
	markdown   bool
	depth      int    // of fences inside
	closing    string // a line that ends the block, or opens one inside: the next line tells
	target     target
	file       int
	text       strings.Builder // of an aside, and of what may be an answer in JSON

	element *element        // the file is the content of one
	head    header          // the file stands behind one, until the next of its kind
	patch   bool            // it changes files: it has none
	bare    bool            // there is no fence
	quoted  bool            // every line begins with >
	wrapped bool            // the fence is the content of an element
	blanks  strings.Builder // blank lines, which are the file's if more follows
	quotes  quotes
	lexer   lexer
	doubt   *doubt // a fence of which it is not known whether it ends the block
}

type target int

const (
	toFile target = iota
	toNote
	toMemory // until its end
	toNowhere
)

// open begins a block at an opening fence.
func (p *Parser) open(f fence, line string) {
	b := &block{fence: f, line: line, before: p.held}
	b.lang, b.path = readInfo(f.info)
	b.named = b.path != ""
	switch {
	case b.named && cleanPath(b.path) != cleanPath(p.path): // the line before named something else
		p.release()
	case b.named:
	case p.path != "" && (compatible(p.path, b.lang) || !isAside(b.lang)):
		b.path = p.path
	default:
		p.release()
		topic := p.topic
		if p.used[cleanPath(topic)] || b.lang == "" || LanguageOf(topic) != b.lang {
			topic = ""
		}
		if h := cmp.Or(p.hintIn(p.prev), topic); h != "" && compatible(h, b.lang) && (b.lang != "" || !p.used[cleanPath(h)]) {
			b.hint = h
		}
	}
	b.part = continues(f.info) || b.path == p.path && continues(p.held)
	p.held, p.path, p.head, p.prev, p.blank, p.tags, p.topic = "", "", header{}, "", false, false, ""
	b.fresh = true
	p.block = b
}

// inside reads a whole line of a block.
func (p *Parser) inside(line string) {
	b := p.block
	switch {
	case b.element != nil:
		p.insideElement(line)
	case b.bare && b.patch:
		p.insidePatch(line)
	case b.bare:
		p.insideHeaded(line)
	case b.quoted:
		p.insideQuoted(line)
	default:
		p.insideFence(line)
	}
}

// insideFence reads a whole line of a fenced block.
func (p *Parser) insideFence(line string) {
	b := p.block
	switch {
	case b.doubt != nil:
		p.doubtful(line)
		return
	case b.closing != "" && p.closes(line):
		p.close()
		p.take(line)
		return
	}
	f, ok := readFence(line, b.length)
	ok = ok && f.char == b.char && f.indent < b.indent+tab
	began := !b.fresh
	if b.fresh {
		if ok && f.info == "" { // an empty block
			if b.path == "" {
				p.block = nil
				return
			}
			p.start()
			p.close()
			return
		}
		if p.first(line) {
			return
		}
		ok = ok && f.info != ""
		b = p.block
	}
	switch {
	case !ok:
		if began && b.head.style != "" && b.depth == 0 && p.splits(line) {
			return
		}
	case f.info == "" && b.depth > 0:
		b.depth--
	case f.info == "" && b.markdown:
		b.closing = line
		return
	case f.info == "":
		if b.quoted || !p.doubts(line) {
			p.close()
		}
		return
	default:
		if p.fenceInside(f, line) {
			return
		}
	}
	p.plain(line)
}

// fenceInside judges a fence with an info string inside a block. It usually
// opens a block in the block, which is a part of the file; else it is dealt
// with here.
func (p *Parser) fenceInside(f fence, line string) (done bool) {
	b := p.block
	lang, file := readInfo(f.info)
	known := byAlias(lang) != nil
	switch {
	case b.markdown || b.depth > 0:
	case b.named && file != "" && f.indent <= b.indent: // the file's own end was forgotten
		p.unclosed(Unclosed, "The answer does not end this file before the next begins.")
		p.close()
		p.open(f, line)
		return true
	case !known && file == "" && strings.ContainsAny(f.info, " \t"): // text in the line of the end
		p.close()
		p.plain(f.info + "\n")
		return true
	}
	b.depth++
	return false
}

// closes decides about a bare fence in Markdown: does it end the file, or open
// a block inside? Before such a block there is an empty line or a colon, and
// after it, at once, what is no sentence.
func (p *Parser) closes(next string) bool {
	b := p.block
	opens := !isBlank(next) && (p.blank || strings.HasSuffix(strings.TrimRight(p.prev, " *_\r\n"), ":")) && !isProse(next)
	if opens {
		_, named := pathLine(next)
		_, fenced := readFence(next, 3)
		opens = !named && !fenced
	}
	if !opens {
		return true
	}
	line := b.closing
	b.closing = ""
	b.depth++
	p.plain(line)
	return false
}

// first decides, by its first line, what a block is. The line may be no part
// of the file; then it is done.
func (p *Parser) first(line string) (done bool) {
	b := p.block
	b.fresh = false
	if (isPatch(outdent(line, b.indent)) || b.lang == "diff") && !p.wantsPatch(b) && !(b.lang == "yaml" && strings.HasPrefix(line, "---")) {
		p.keepPatch()
		return false
	}
	if b.path != "" {
		p.start()
		return false
	}
	file, comment := commentPath(line, b.lang)
	if h, ok := readHeader(line); ok && (h.strong || h.label && comment) && compatible(h.path, b.lang) {
		b.head, b.path = h, h.path
		p.start()
		return !comment || !h.isComment(line)
	}
	if comment {
		b.path = file
		b.part = p.used[cleanPath(file)] && continues(strings.TrimSuffix(strings.TrimSpace(line), "*/"))
		p.start()
		return b.part
	}
	if own := strings.TrimSpace(line); isStrictCode(b.lang) && !isAside(b.lang) && !strings.ContainsAny(own, " \t") && pathLike(own) && LanguageOf(own) == b.lang && CheckPath(own) == nil {
		b.path = own
		p.start()
		return true
	}
	asked := p.hints.Language
	switch trimmed := strings.TrimSpace(line); {
	case b.hint != "":
		b.path = b.hint
		p.start()
	case (b.lang == "" || b.lang == "json") && strings.HasPrefix(trimmed, "{") && asked != "json" && len(p.files) == 0:
		b.target = toMemory
	case b.quoted, isAside(b.lang) && b.lang != asked, b.lang == "" && (asked == "" || len(p.files) > 0 || isTree(line)):
		b.target = toNote
		p.explain(b.line)
		b.markdown = false
	default:
		p.start()
	}
	return false
}

// start begins the file of the open block.
func (p *Parser) start() {
	b := p.block
	if b.lang == "" && b.path == "" {
		b.lang = p.hints.Language
	}
	name, lang := p.name(b)
	b.markdown = lang == "markdown"
	if p.crowded() {
		b.target = toNowhere
		return
	}
	b.target, b.file = toFile, len(p.files)
	p.begin(name, lang)
	if b.part {
		p.join(name)
	}
}

// crowded says, and tells once, that there may be no more files.
func (p *Parser) crowded() bool {
	if len(p.files) < MaxFiles {
		return false
	}
	p.limit("files", Diagnostic{Severity: Error, Code: TooMany, Message: fmt.Sprintf("The answer has more than %d files; the others were left out.", MaxFiles)})
	return true
}

// begin tells of a new file.
func (p *Parser) begin(name, lang string) {
	p.used[name] = true
	p.tell(Event{Kind: FileStart, Index: len(p.files), Path: name, Language: lang})
	p.files = append(p.files, file{File: File{Path: name, Language: lang}})
}

// name chooses path and language of a block's file.
func (p *Parser) name(b *block) (name, lang string) {
	given := cleanPath(b.path)
	if given == "" {
		name = p.nameless(b.lang)
		p.diagnose(Diagnostic{Path: name, Severity: Info, Code: NoPath, Message: "The answer names no path for this file."})
		return name, b.lang
	}
	if lang = LanguageOf(given); lang == "" {
		lang = b.lang
	}
	if err := CheckPath(given); err != nil {
		name = p.generated(lang)
		p.diagnose(Diagnostic{Path: name, Severity: Warning, Code: UnsafePath, Message: fmt.Sprintf("The path %q was refused: %v.", clip.To(given, 100), err)})
		return name, lang
	}
	if lang == "javascript" && b.lang == "jsx" || lang == "text" && b.lang != "" {
		lang = b.lang
	}
	return given, lang
}

// nameless chooses a path for a file of which only the language is known: the
// request's only file in it, or the usual one.
func (p *Parser) nameless(lang string) string {
	var own []string
	for _, f := range p.hints.Paths {
		if lang != "" && LanguageOf(f) == lang && !p.used[f] {
			own = append(own, f)
		}
	}
	if len(own) == 1 {
		return own[0]
	}
	if main := mainFile(lang); main != "" && !p.used[main] && !slices.Contains(p.hints.Paths, main) {
		return main
	}
	return p.generated(lang)
}

// generated is a path that neither the answer nor the request has.
func (p *Parser) generated(lang string) string {
	for n := len(p.files) + 1; ; n++ {
		if name := fmt.Sprintf("snippet_%d%s", n, extension(lang)); !p.used[name] && !slices.Contains(p.hints.Paths, name) {
			return name
		}
	}
}

// write adds to the open block.
func (p *Parser) write(text string) {
	b := p.block
	switch b.target {
	case toFile:
		p.fill(b.file, text)
	case toNote:
		if b.quoted {
			p.explain("> ")
		}
		p.explain(text)
		if b.text.Len()+len(text) <= MaxFile {
			b.text.WriteString(text)
		}
	case toMemory:
		b.text.WriteString(text)
		if b.text.Len() > MaxFile { // no answer in JSON is so long
			p.unpack()
		}
	case toNowhere:
	}
}

// fill adds to a file.
func (p *Parser) fill(i int, text string) {
	f := &p.files[i]
	if f.cut {
		return
	}
	if room := min(MaxFile-f.text.Len(), MaxTotal-p.total); len(text) > room {
		f.cut = true
		text = clip.To(text, room)
		p.diagnose(Diagnostic{Path: f.Path, Severity: Error, Code: TooLarge,
			Message: fmt.Sprintf("The file was cut: files may have %d bytes, and %d together.", MaxFile, MaxTotal)})
	}
	f.text.WriteString(text)
	p.total += len(text)
	p.tell(Event{Kind: FileDelta, Index: i, Text: text})
}

// unpack makes a file, or files, of a block that was kept in memory.
func (p *Parser) unpack() {
	b := p.block
	text := b.text.String()
	b.text.Reset()
	if a, ok := readJSON(text); ok && isBlank(a.rest) {
		b.target = toNowhere
		p.addAll(a)
		return
	}
	if b.lang == "" && json.Valid([]byte(text)) {
		b.lang = "json"
	}
	p.start()
	p.write(text)
}

// close ends the open block.
func (p *Parser) close() {
	b := p.block
	if b.target == toMemory {
		p.unpack()
	}
	switch b.target {
	case toFile:
		p.tell(Event{Kind: FileEnd, Index: b.file, Path: p.files[b.file].Path})
	case toNote:
		if b.quoted {
			p.explain("> ")
		}
		if !b.bare {
			p.explain(strings.Repeat(string(b.char), b.length) + "\n")
		}
		if b.patch {
			p.tellPatch(b)
		} else if text := b.text.String(); !slices.Contains([]string{"text", "console", "mermaid", "http"}, b.lang) && !isTree(text) && strings.TrimSpace(text) != "" && (b.lang == p.hints.Language && b.lang != "" || !isCommands(text)) {
			p.aside = append(p.aside, aside{b.lang, text})
		}
	}
	p.block, p.prev, p.blank, p.tags = nil, "", false, b.wrapped
}

// unclosed tells that the open block's file has no end.
func (p *Parser) unclosed(code, message string) {
	if b := p.block; b.target == toFile {
		p.diagnose(Diagnostic{Path: p.files[b.file].Path, Severity: Error, Code: code, Message: message})
	}
}

// add makes a whole file.
func (p *Parser) add(f File) {
	b := &block{lang: Language(f.Language), path: f.Path}
	if p.crowded() {
		return
	}
	i := len(p.files)
	p.begin(p.name(b))
	p.fill(i, f.Content)
	p.tell(Event{Kind: FileEnd, Index: i, Path: p.files[i].Path})
}
