package codegen

import (
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/clip"
)

// Hints are what the request knows of the answer.
type Hints struct {
	Language string   // that was asked for; "" for any
	Paths    []string // of the request's own files

	// Code says whether a text is a whole file in the language, beyond doubt. It
	// is asked about answers that have no blocks. Nil: nobody knows.
	Code func(language, text string) bool
}

// Parser reads an answer while it comes. How it is cut into pieces changes
// nothing but the pieces of deltas.
//
// Files are what stands in fenced blocks, in elements such as <file path="a.go">,
// and behind headers such as === a.go ===; everything else is explanation, and
// so are blocks that only show commands or output. A block's path stands behind
// the fence, in the line before it, or in a comment in its first line. The text
// of a file is never changed, but for the indentation of the block.
type Parser struct {
	hints Hints
	emit  func(Event) error
	err   error // of emit

	delta  Event // of which deltas has the text so far
	deltas strings.Builder

	phase   phase
	outline *outline // of an answer that may be a document; nil if it is none
	end     string   // of the thoughts
	intro   []byte   // text before the phase is known, or the whole of a JSON answer
	carry   []byte   // the beginning of a character
	line    []byte   // the beginning of a line whose meaning is not known yet
	passed  int      // bytes of the present line that have been passed on

	held  string // outside: lines that name a path, and blank ones
	path  string // in held; "" if they only may lead to one
	head  header // held is a line that may begin a file without a fence
	topic string // the path in the heading above, which no block has had yet
	tags  bool   // an element with a file has just ended: its parents' ends may follow
	prev  string // the last line that was not blank, as far as it matters
	blank bool   // the last line was blank

	block   *block   // nil: outside
	again   []string // lines that are to be read again
	doubted int      // fences that were in doubt

	files []file
	total int
	note  strings.Builder // the explanation
	aside []aside
	diags []Diagnostic
	used  map[string]bool
	full  map[string]bool // limits that have been told
}

// file is one that has been started.
type file struct {
	File
	text   strings.Builder
	cut    bool
	joined bool // it begins with what an earlier one has
}

// aside is a block that is explanation, but the answer's only code if there is
// no file.
type aside struct{ lang, text string }

// NewParser returns a Parser that tells emit every step, on the calling
// goroutine.
func NewParser(hints Hints, emit func(Event) error) *Parser {
	hints.Language = Language(hints.Language)
	return &Parser{hints: hints, emit: emit, outline: newOutline(hints), used: map[string]bool{}, full: map[string]bool{}}
}

// Write takes the next piece of the answer. It fails only as emit does.
func (p *Parser) Write(text string) error {
	if len(p.carry) > 0 {
		text = string(p.carry) + text
		p.carry = p.carry[:0]
	}
	n := len(text) - unfinished(text)
	p.carry = append(p.carry, text[n:]...)
	p.feed(text[:n])
	p.flush()
	return p.err
}

// unfinished is the length of an incomplete character at the end.
func unfinished(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if c := s[len(s)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

func (p *Parser) feed(text string) {
	switch p.phase {
	case phaseLines:
		p.cutLines(text)
		return
	case phaseDocument:
		p.write(text)
		return
	}
	p.intro = append(p.intro, text...)
	p.findPhase()
	switch p.phase {
	case phaseLines, phaseOutlining:
		if p.outline != nil {
			p.phase = phaseOutlining
			p.outlined(false)
			return
		}
		text, p.intro = string(p.intro), nil
		p.cutLines(text)
	case phaseObject:
		if len(p.intro) > MaxTotal+MaxTotal/2 { // escapes included
			text, p.intro, p.phase = string(p.intro), nil, phaseLines
			p.cutLines(text)
		}
	}
}

// findPhase finds out what the answer is, behind thoughts.
func (p *Parser) findPhase() {
	if p.phase != phaseBeginning && p.phase != phaseThinking {
		return
	}
	text := string(p.intro)
	for {
		if p.phase == phaseBeginning {
			p.phase, p.end = phaseOf(text)
		}
		if p.phase != phaseThinking {
			break
		}
		_, rest, over := strings.Cut(text, p.end)
		if !over {
			text = text[max(0, len(text)-len(p.end)):]
			break
		}
		p.phase, text = phaseBeginning, rest
	}
	p.intro = []byte(text)
}

// cutLines reads text line by line.
func (p *Parser) cutLines(text string) {
	for text != "" && p.err == nil {
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			p.partial(text)
			return
		}
		line := text[:i+1]
		text = text[i+1:]
		if p.passed > 0 && !p.inElement() {
			p.pass(line)
			p.endLine()
			continue
		}
		if len(p.line) > 0 {
			line = string(p.line) + line
			p.line = p.line[:0]
		}
		p.take(line)
		p.reread()
	}
}

// partial takes text that ends within a line, and passes it on as soon as it
// is certain that the line has no other meaning.
func (p *Parser) partial(text string) {
	if p.passed > 0 && !p.inElement() {
		p.pass(text)
		return
	}
	p.line = append(p.line, text...)
	if p.inElement() {
		p.passLong()
		return
	}
	if len(p.line)-len(text) > maxPathLine {
		return // its beginning says that it is to be kept
	}
	if p.isPlain(string(p.line[:min(len(p.line), maxPathLine+1)])) {
		line := string(p.line)
		p.line = p.line[:0]
		p.release()
		p.prev, p.tags = "", false
		if b := p.block; b != nil && b.fresh {
			b.fresh = false
			p.start()
		}
		p.pass(line)
	}
}

// inElement says that the present line is one of an element.
func (p *Parser) inElement() bool { return p.block != nil && p.block.element != nil }

// isPlain says that a line which begins so cannot be anything but text,
// whatever follows.
func (p *Parser) isPlain(line string) bool {
	rest := strings.TrimLeft(line, space)
	if rest == "" {
		return false
	}
	long := len(line) > maxPathLine
	if b := p.block; b != nil {
		if b.doubt != nil || b.quoted {
			return false
		}
		if b.fresh { // of a file with a path the first line may be a patch's
			return b.path != "" && b.lang != "diff" && rest[0] != b.char && !maybePatch(rest, "@@", "--- ")
		}
		return b.closing == "" && (long || !b.bare && b.head.style == "") && (b.bare || rest[0] != b.char)
	}
	if rest[0] == '`' || rest[0] == '~' || p.head.path != "" {
		return false
	}
	if inner, ok := unquote(line); ok && (isBlank(inner) || strings.IndexByte("`~-*+0123456789 \t", inner[0]) >= 0) {
		return false
	}
	if t, ok := readTag(line); strings.IndexByte("<[/", rest[0]) >= 0 && (!long || ok && t.wraps()) {
		return false
	}
	if maybePatch(rest) {
		return false
	}
	if m := listMarker.Regexp().FindString(line); m != "" {
		rest = strings.TrimLeft(line[len(m):], " \t")
		if rest == "" || rest[0] == '`' || rest[0] == '~' || rest[0] == '<' && !long {
			return false
		}
	}
	_, v := readPathLine(line)
	_, remarked := remarkedPath(line)
	return v == no && !remarked
}

// space is what blank lines are made of.
const space = " \t\r\n\v\f"

func isBlank(line string) bool { return strings.TrimLeft(line, space) == "" }

// pass hands on a piece of a plain line. The first piece of a line has all of
// its indentation.
func (p *Parser) pass(piece string) {
	if len(p.prev) <= maxPathLine {
		p.prev += piece
	}
	first := p.passed == 0
	p.passed += len(piece)
	if first && p.block == nil && piece[0] == '#' {
		p.topic = ""
	}
	if b := p.block; b != nil && b.blanks.Len() > 0 {
		held := b.blanks.String()
		b.blanks.Reset()
		p.write(held)
	}
	if p.block == nil {
		p.explain(piece)
		return
	}
	if first {
		piece = outdent(piece, p.block.indent)
	}
	p.write(piece)
}

// endLine notes that a plain line is over.
func (p *Parser) endLine() {
	p.passed = 0
	p.blank = false
	if len(p.prev) > maxPathLine {
		p.prev = "…" // too long to mean anything
	}
}

// plain hands on a whole line that is only text.
func (p *Parser) plain(line string) {
	if isBlank(line) {
		p.blank = true
		switch b := p.block; {
		case b == nil:
			p.explain(line)
		case b.head.style != "":
			b.blanks.WriteString(outdent(line, b.indent))
		default:
			p.write(outdent(line, b.indent))
		}
		return
	}
	p.prev = ""
	p.pass(line)
	p.endLine()
}

// take reads a whole line of which nothing has been passed on.
func (p *Parser) take(line string) {
	if p.block != nil {
		p.inside(line)
		return
	}
	if isBlank(line) {
		if p.held != "" && strings.Count(p.held, "\n") < maxHeld {
			p.held += line
			return
		}
		p.release()
		p.plain(line)
		return
	}
	if p.head.path != "" && p.follow(line) {
		return
	}
	if f, ok := readOpener(line); ok {
		p.open(f, line)
		return
	}
	if p.takeQuoted(line) || p.takeTag(line) {
		return
	}
	p.tags = false
	if strings.TrimRight(line, space) == "</think>" { // of a model whose template had the beginning
		return
	}
	before := p.held
	p.release()
	if h, ok := readHeader(line); ok {
		p.held, p.path, p.head = line, h.path, h
		return
	}
	if file, ok := p.remarked(line, before); ok {
		p.held, p.path = line, file
		return
	}
	if maybePatch(line) && isPatch(line) && p.hints.Language != "diff" {
		p.takePatch(line)
		return
	}
	p.plain(line)
}

// release gives what was held to the explanation: no block followed.
func (p *Parser) release() {
	if p.block == nil && p.held != "" {
		held := p.held
		if h, ok := readHeader(strings.TrimRight(held, space)); p.path != "" && (ok && inMarkdown.Match(h.style) || !ok && inMarkdown.Match(held) && !listMarker.Match(held)) {
			p.topic = p.path
		}
		p.held, p.path, p.head = "", "", header{}
		p.explain(held)
	}
}

// explain adds to the explanation.
func (p *Parser) explain(text string) {
	if p.full["explanation"] {
		return
	}
	if room := MaxFile - p.note.Len(); len(text) > room {
		text = clip.To(text, room)
		p.limit("explanation", Diagnostic{Severity: Warning, Code: TooLarge, Message: "The explanation was cut: it is longer than 1 MiB."})
	}
	p.note.WriteString(text)
	p.tell(Event{Kind: Explanation, Text: text})
}

// tell gathers deltas of one kind, and passes all else on.
func (p *Parser) tell(e Event) {
	if e.Kind == FileStart || e.Kind == FileEnd {
		p.flush()
		if p.err == nil {
			p.err = p.emit(e)
		}
		return
	}
	if e.Kind != p.delta.Kind || e.Index != p.delta.Index {
		p.flush()
	}
	p.delta.Kind, p.delta.Index = e.Kind, e.Index
	p.deltas.WriteString(e.Text)
}

// flush passes on the deltas that were gathered.
func (p *Parser) flush() {
	if p.err == nil && p.deltas.Len() > 0 {
		p.delta.Text = p.deltas.String()
		p.err = p.emit(p.delta)
	}
	p.deltas.Reset()
}

// diagnose adds a diagnostic of ours.
func (p *Parser) diagnose(d Diagnostic) {
	d.Source = source
	p.diags = append(p.diags, d)
}

// limit tells once that a limit was reached.
func (p *Parser) limit(what string, d Diagnostic) {
	if !p.full[what] {
		p.full[what] = true
		p.diagnose(d)
	}
}
