package codegen

import (
	"bytes"
	"strings"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// outline follows the answer to a request for Markdown until it is known
// whether the answer is the file, as models often have it, or holds the file
// in a block.
type outline struct {
	asked bool // Markdown was asked for; else the request's only file is Markdown

	read   int    // bytes of the answer
	ahead  int    // bytes behind these that have no line break
	from   int    // where the document begins: before it is an introduction
	titled bool   // it begins with a title
	marked bool   // it has what plain prose does not have
	heads  int    // headings
	lines  int    // that are not blank
	prev   string // the last of them
	path   string // that prev names
	prose  bool   // all of them are prose
	blank  bool   // a blank line is before the next
	fence  *fence // an open one
	lang   string // of the fence
	fresh  bool   // its first line is awaited
}

// shape is what an outline finds.
type shape int

const (
	unsure   shape = iota
	inBlocks       // the file is in a block, or there is none
	isWhole        // the answer is the file
)

// newOutline returns nil if the answer will not be Markdown.
func newOutline(h Hints) *outline {
	asked := h.Language == "markdown"
	if asked || h.Language == "" && len(h.Paths) == 1 && LanguageOf(h.Paths[0]) == "markdown" {
		return &outline{asked: asked, prose: true}
	}
	return nil
}

var (
	titleLine   = pattern.Pattern{Expr: `^(?:# +[^\s#]|<h1[ >]|<(?:div|p|center)(?: align=[^<>]*)?>|\[?!\[)`}
	headingLine = pattern.Pattern{Expr: `^ {0,3}#{1,6} `}
	markedLine  = pattern.Pattern{Expr: `^(?:[-*+] |[0-9]{1,3}[.)] |> |\|)`}
	// introduces finds a sentence that is about the document and not of it.
	introduces = pattern.Pattern{Expr: `(?i)^(?:sure|certainly|of course|absolutely|okay|ok|great|here|below|this is|the following|i['’]ve|i have|i['’]ll)\b`}
)

// take reads the next line.
func (o *outline) take(line string) shape {
	at := o.read
	o.read += len(line)
	if o.fence != nil {
		return o.inFence(line)
	}
	if isBlank(line) {
		o.blank = true
		return unsure
	}
	line = strings.TrimRight(line, space)
	if o.lines > 0 && o.prose && o.blank && underline.Match(line) {
		return unsure // a rule between the introduction and the document
	}
	o.lines++
	prev, path, blank := o.prev, o.path, o.blank
	o.prev, o.path, o.blank = line, "", false
	if line == "</think>" { // of a model whose template had the beginning
		*o = outline{asked: o.asked, prose: true, read: o.read, from: o.read}
		return unsure
	}
	if isPatch(line) && maybePatch(line) {
		return inBlocks
	}
	if f, ok := readOpener(line); ok {
		return o.opens(f, prev, path)
	}
	file, tagged := tagPath(line)
	if t, ok := readTag(line); ok && t.path != "" && t.forFiles() {
		file, tagged = t.path, true
	}
	h, named := readHeader(line)
	switch {
	case tagged && o.claims(file), named && h.strong && o.claims(h.path):
		return inBlocks
	case named:
		o.path = h.path
	}
	if titleLine.Match(line) || o.lines == 1 && line == "---" {
		if LanguageOf(path) == "markdown" && strings.Contains(path, ".") {
			return inBlocks // a file behind a header; "the README" is none
		}
		if intro := o.introduced(prev); !o.titled && (intro || o.lines == 1 || o.asked) {
			o.titled = true
			if intro {
				o.from = at
			}
		}
	}
	if headingLine.Match(line) || underline.Match(line) && o.lines == 2 && !blank {
		o.heads++
		o.marked = true
	}
	if o.lines == 1 && markedLine.Match(line) || o.titled {
		o.marked = true
	}
	o.prose = o.prose && !o.marked
	if o.titled && o.read > maxIntro {
		return isWhole
	}
	return unsure
}

// introduced says that what was before the title, to the line prev, is no part
// of the document.
func (o *outline) introduced(prev string) bool {
	prev = strings.TrimRight(prev, "*_ ")
	return o.prose && o.lines > 1 && o.lines < 6 && (strings.HasSuffix(prev, ":") || strings.HasSuffix(prev, "：") || introduces.Match(prev))
}

// claims says that a block with this path is a file, and no part of the
// document.
func (o *outline) claims(path string) bool {
	return LanguageOf(path) == "markdown" || path != "" && !(o.asked && o.titled)
}

// opens reads a fence behind the line prev, which may name a path.
func (o *outline) opens(f fence, prev, path string) shape {
	lang, file := readInfo(f.info)
	if file == "" {
		file = path
	}
	switch {
	case o.claims(file),
		lang == "markdown" && (!o.titled || o.lines == 2 && titleLine.Match(prev)),
		lang == "diff" && !o.titled,
		!o.asked && lang != "" && !isAside(lang) && o.heads < 2: // a title and code: this is the answer
		return inBlocks
	}
	o.marked, o.fence, o.lang, o.fresh = true, &f, lang, true
	return unsure
}

// inFence reads a line inside of a block.
func (o *outline) inFence(line string) shape {
	f, ok := readFence(line, o.fence.length)
	if ok && f.info == "" && f.char == o.fence.char {
		o.fence, o.prose = nil, false
		return unsure
	}
	if o.fresh && !o.titled && o.lang == "" && o.prose && titleLine.Match(line) {
		return inBlocks // the document is in a block without a language
	}
	if file, ok := commentPath(line, o.lang); o.fresh && ok && o.claims(file) {
		return inBlocks
	}
	o.fresh = false
	return unsure
}

// end says what the answer is when nothing follows.
func (o *outline) end() shape {
	if o.titled || o.asked && o.marked {
		return isWhole
	}
	return inBlocks
}

// outlined reads what has come of an answer that may be a document. last says
// that there is no more.
func (p *Parser) outlined(last bool) {
	o, found := p.outline, unsure
	for found == unsure {
		rest := p.intro[o.read:]
		n := bytes.IndexByte(rest[o.ahead:], '\n') + 1
		if n == 0 && !last {
			o.ahead = len(rest)
			break
		}
		if n > 0 {
			n += o.ahead
		}
		o.ahead = 0
		if n == 0 && len(rest) == 0 {
			found = o.end()
			break
		}
		if n == 0 {
			n = len(rest)
		}
		found = o.take(string(rest[:n]))
	}
	if found == unsure && len(p.intro) > MaxFile {
		found = inBlocks
	}
	if found == unsure {
		return
	}
	text := string(p.intro)
	p.intro, p.outline = nil, nil
	if found == inBlocks {
		p.phase = phaseLines
		p.cutLines(text)
		return
	}
	p.phase = phaseDocument
	p.explain(strings.Replace(text[:o.from], "</think>", "", 1))
	p.block = &block{bare: true, lang: "markdown"}
	p.start()
	p.write(strings.TrimLeft(text[o.from:], space))
}
