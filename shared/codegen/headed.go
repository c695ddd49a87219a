package codegen

import "strings"

// follow reads the line after one that may begin a file without a fence. It
// says whether the line is dealt with.
func (p *Parser) follow(line string) bool {
	h := p.head
	next, another := readHeader(line)
	switch {
	case strings.HasPrefix(p.held, "--- ") && strings.HasPrefix(line, "+++ ") && p.hints.Language != "diff":
		p.takePatch(p.held + line)
		return true
	case another && h.strong && next.style == h.style: // an empty file
		p.headed(h)
		p.close()
		p.held, p.path, p.head = line, next.path, next
		return true
	case another || !h.begins(line):
		if underline.Match(line) && strings.Count(p.held, "\n") == 1 {
			p.held += line
			p.head = header{path: h.path}
			return true
		}
		p.head = header{}
		return false
	}
	p.headed(h)
	p.take(line)
	return true
}

// headed begins the file of a header.
func (p *Parser) headed(h header) {
	p.block = &block{bare: true, path: h.path, head: h, part: continues(p.held)}
	p.held, p.path, p.head, p.prev, p.blank = "", "", header{}, "", false
	p.start()
}

// insideHeaded reads a line of a file that has neither fence nor element. The
// next header of its kind ends it, and so does what cannot be code.
func (p *Parser) insideHeaded(line string) {
	b := p.block
	if p.splits(line) {
		return
	}
	if len(line) <= maxPathLine && !isBlank(line) && !b.quotes.in(p.textOf(b)) {
		lang := p.languageOf(b)
		f, fenced := readFence(line, 3)
		switch {
		case b.head.ends(line):
			p.close()
			return
		case p.blank && decorated(line, lang):
			p.close()
			p.take(line)
			return
		case fenced && f.indent == 0 && lang != "markdown" && lang != "rst" && lang != "text",
			p.blank && isStrictCode(lang) && isSentence(line) && line[0] != ' ' && line[0] != '\t':
			p.close()
			p.take(line)
			return
		}
	}
	p.plain(line)
}

// decorated says that a line is a header, and cannot be one of the language.
func decorated(line, lang string) bool {
	h, ok := readHeader(line)
	return ok && lang != "markdown" && (inMarkdown.Match(h.style) || h.style == "\x00:" && isStrictCode(lang) && lang != "makefile")
}

// splits says whether a line is the header of the next file, and begins that.
func (p *Parser) splits(line string) bool {
	b := p.block
	h, ok := readHeader(line)
	if !ok || h.style != b.head.style || !h.strong && !p.blank && !b.head.label || b.quotes.in(p.textOf(b)) {
		return false
	}
	if b.bare {
		p.close()
		p.held, p.path, p.head = line, h.path, h
		return true
	}
	p.tell(Event{Kind: FileEnd, Index: b.file, Path: p.files[b.file].Path})
	fence := b.fence
	p.block = &block{fence: fence, line: b.line, lang: b.lang, path: h.path, head: h, wrapped: b.wrapped}
	p.prev, p.blank = "", false
	p.start()
	if _, comment := commentPath(line, b.lang); comment && h.isComment(line) {
		p.plain(line)
	}
	return true
}

// textOf is what the open block's file has so far.
func (p *Parser) textOf(b *block) string {
	if b.target != toFile {
		return b.text.String()
	}
	return p.files[b.file].text.String()
}

// languageOf is the language of the open block's file.
func (p *Parser) languageOf(b *block) string {
	if b.target != toFile {
		return b.lang
	}
	return p.files[b.file].Language
}
