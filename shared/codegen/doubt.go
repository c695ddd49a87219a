package codegen

import (
	"slices"
	"strings"
)

// doubt is a bare fence in a string of several lines, and what follows. It is a
// part of the string if that ends further down; else the string was none, and
// the fence ends the block.
type doubt struct {
	lines []string // with the fence
	size  int      // of them in bytes
	depth int      // of fences in the string
	lexer lexer
}

const (
	maxDoubt  = 64 << 10 // bytes of one
	maxDoubts = 100      // of an answer: each may be read again
)

// doubts says whether a bare fence may be a part of the open block's file, and
// keeps it.
func (p *Parser) doubts(line string) bool {
	b := p.block
	if p.doubted >= maxDoubts || !b.lexer.inside(p.textOf(b), p.languageOf(b)) {
		return false
	}
	p.doubted++
	b.doubt = &doubt{lines: []string{line}, depth: 1, lexer: b.lexer}
	return true
}

// doubtful reads a line behind a doubtful fence.
func (p *Parser) doubtful(line string) {
	b := p.block
	d := b.doubt
	d.lines = append(d.lines, line)
	d.size += len(line)
	f, fenced := readFence(line, b.length)
	switch {
	case fenced && f.char == b.char && f.indent < b.indent+tab:
		switch {
		case f.info == "":
			d.depth = 1 - d.depth
		case d.depth > 0: // two blocks begin: the fence was an end
			p.settle(false)
			return
		default:
			d.depth = 1
		}
	case d.ends(line):
		p.settle(true)
		return
	}
	if d.size > maxDoubt {
		p.settle(false)
	}
}

// ends says that the string ends in the line. Marks that prose has too must
// stand where it does not have them.
func (d *doubt) ends(line string) bool {
	if !d.weak() {
		return d.lexer.end(line) >= 0
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), d.lexer.until)
	return ok && d.depth == 0 && strings.IndexByte(" \t\r\n;,.:)]}+>|&", (rest + "\n")[0]) >= 0
}

// weak says that prose has the mark that ends the string.
func (d *doubt) weak() bool {
	return !d.lexer.word && slices.Contains([]string{"`", `"`, `'`, "*/"}, d.lexer.until)
}

// settle ends the doubt. If the fence was the end of the block, the lines behind
// it are read again.
func (p *Parser) settle(part bool) {
	b := p.block
	list := b.doubt.lines
	b.doubt = nil
	if part {
		for _, line := range list {
			p.plain(line)
		}
		return
	}
	p.close()
	p.again = append(list[1:], p.again...)
}

// reread reads what settle left.
func (p *Parser) reread() {
	for len(p.again) > 0 && p.err == nil {
		line := p.again[0]
		p.again = p.again[1:]
		p.take(line)
	}
}
