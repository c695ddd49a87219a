package sqltext

import (
	"strings"
	"unicode/utf8"
)

// maxWidth is the number of columns that lines should not exceed.
const maxWidth = 100

// A doc is text that can be laid out in more than one way: a group stands in one
// line if it has room there, and otherwise breaks at each of its lines.
type doc struct {
	kind docKind
	text string
	kids []doc
	by   int32 // columns of a nest
	most int32 // columns that a group may have in one line
	// width is that of the doc in one line, hard that it cannot stand in one.
	width int32
	hard  bool
	ends  bool // nothing may come after it in its line
}

type docKind uint8

const (
	docText  docKind = iota
	docSpace         // a space, unless the line ends
	docLine          // a space, or a line break
	docSoft          // nothing, or a line break
	docHard          // a line break
	docBlank         // a line break and an empty line
	docFresh         // a line break, unless the line is empty
	docEnd           // the text before must end its line
	docCat
	docNest
	docGroup
)

var (
	blank = doc{kind: docBlank, hard: true}
	hard  = doc{kind: docHard, hard: true}
	fresh = doc{kind: docFresh, hard: true}
	ended = doc{kind: docEnd, ends: true}
	line  = doc{kind: docLine, width: 1}
	soft  = doc{kind: docSoft}
	blanc = doc{kind: docSpace, width: 1}
)

func text(s string) doc {
	first, _, _ := strings.Cut(s, "\n")
	return doc{kind: docText, text: s, width: int32(utf8.RuneCountInString(first))}
}

func cat(kids ...doc) doc {
	d := doc{kind: docCat, kids: kids}
	for i := range kids {
		if kids[i].empty() {
			continue
		}
		d.width = min(d.width+kids[i].width, 1<<20)
		d.hard = d.hard || kids[i].hard || d.ends
		d.ends = kids[i].ends
	}
	return d
}

// empty says that nothing can come of the doc.
func (d doc) empty() bool {
	return d.width == 0 && !d.hard && !d.ends && (d.kind == docText && d.text == "" || d.kind >= docCat)
}

func nest(by int32, kids ...doc) doc {
	d := cat(kids...)
	d.kind, d.by = docNest, by
	return d
}

func group(kids ...doc) doc { return groupOf(maxWidth, kids...) }

// groupOf is a group that breaks when it is wider than most columns.
func groupOf(most int32, kids ...doc) doc {
	d := cat(kids...)
	d.kind, d.most = docGroup, most
	return d
}

type docItem struct {
	*doc
	indent int
	flat   bool
}

type docPrinter struct {
	b      strings.Builder
	column int
	bare   bool // nothing is in the line yet
	space  bool // one is to come before more text
	must   bool // the line has to end
	indent int  // of the line
	stack  []docItem
	look   []docItem // of fits
}

// print returns d in lines without space at their ends.
func (d doc) print() string {
	p := &docPrinter{bare: true, stack: []docItem{{&d, 0, false}}}
	for len(p.stack) > 0 {
		it := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		p.step(it)
	}
	return p.b.String()
}

func (p *docPrinter) step(it docItem) {
	switch it.kind {
	case docText:
		if p.must && it.text != "" {
			p.newline(it.indent)
		}
		p.write(it.text)
	case docSpace:
		p.space = true
	case docLine, docSoft:
		if !it.flat {
			p.newline(it.indent)
		} else if it.kind == docLine {
			p.space = true
		}
	case docHard:
		p.newline(it.indent)
	case docBlank:
		p.b.WriteByte('\n')
		p.newline(it.indent)
	case docFresh:
		if !p.bare {
			p.newline(it.indent)
		}
		p.indent = it.indent
	case docEnd:
		p.must = true
	case docGroup:
		flat := it.flat || !it.hard && it.width <= it.most && p.fits(it)
		for i := len(it.kids) - 1; i >= 0; i-- {
			p.stack = append(p.stack, docItem{&it.kids[i], it.indent, flat})
		}
	case docCat, docNest:
		for i := len(it.kids) - 1; i >= 0; i-- {
			p.stack = append(p.stack, docItem{&it.kids[i], it.indent + int(it.by), it.flat})
		}
	}
}

func (p *docPrinter) newline(indent int) {
	p.b.WriteByte('\n')
	p.indent, p.column, p.bare, p.space, p.must = indent, 0, true, false, false
}

func (p *docPrinter) write(s string) {
	if s == "" {
		return
	}
	switch {
	case p.bare:
		p.b.WriteString(strings.Repeat(" ", p.indent))
		p.column = p.indent
	case p.space:
		p.b.WriteByte(' ')
		p.column++
	}
	p.bare, p.space = false, false
	p.b.WriteString(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		p.column = utf8.RuneCountInString(s[i+1:])
	} else {
		p.column += utf8.RuneCountInString(s)
	}
}

// fits says whether the group, and what follows it up to the next possible line
// break, has room in the line.
func (p *docPrinter) fits(g docItem) bool {
	left := maxWidth - p.column
	if p.bare {
		left -= p.indent
	}
	g.flat = true
	p.look = append(p.look[:0], g)
	for next := len(p.stack) - 1; left >= 0; {
		if len(p.look) == 0 {
			if next < 0 {
				return true
			}
			p.look = append(p.look, p.stack[next])
			next--
		}
		it := p.look[len(p.look)-1]
		p.look = p.look[:len(p.look)-1]
		switch it.kind {
		case docText:
			first, _, broken := strings.Cut(it.text, "\n")
			if left -= utf8.RuneCountInString(first); broken {
				return left >= 0
			}
		case docSpace:
			left--
		case docLine, docSoft:
			if !it.flat {
				return true
			}
			left -= int(it.width)
		case docHard, docBlank, docFresh, docEnd:
			return true
		default:
			flat := it.flat && (it.kind != docGroup || !it.hard)
			for i := len(it.kids) - 1; i >= 0; i-- {
				p.look = append(p.look, docItem{&it.kids[i], 0, flat})
			}
		}
	}
	return false
}
