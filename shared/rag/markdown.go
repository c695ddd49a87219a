package rag

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

var (
	heading = pattern.Pattern{Expr: `^(#{1,6})[ \t]+(?:#+|(.*?)(?:[ \t]+#+)?)[ \t]*$`}
	// underline makes a heading of the paragraph before it.
	underline = pattern.Pattern{Expr: `^ {0,3}(?:=+|-+)[ \t]*$`}
	thematic  = pattern.Pattern{Expr: `^ {0,3}(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$`}
	// noParagraph begins what is none: a quotation, a table, an item, code.
	noParagraph = pattern.Pattern{Expr: `^(?: {0,3}(?:[>|]|[-+*](?:[ \t]|$)|\d{1,9}[.)](?:[ \t]|$))| {4}|\t)`}
)

// maxUnderlined is how long a paragraph is that is underlined and a heading, in
// bytes: below a longer one stands a rule, whatever its author has forgotten.
const maxUnderlined = 200

// sections cuts Markdown at headings.
type sections struct {
	text, fence   string
	list          []Passage
	path          [7]string // headings by level, as much of them as contexts show
	first, titles int       // where the section begins, and where the headings that it begins with end
	top, level    int       // the levels of its highest and its last heading
	bodiless      bool      // so far it has nothing but headings
}

// markdown cuts at headings, but not between headings with nothing below them:
// those belong to what comes next. A passage's context is the headings above
// its own. underlined says whether headings may be.
func markdown(text string, underlined bool) []Passage {
	s := sections{text: text, bodiless: true}
	paragraph, before := -1, false // where it begins, and whether the section was bodiless there
	other := false                 // these lines are of something that is no paragraph
	for pos := frontMatter(text); pos < len(text); {
		line, _, _ := strings.Cut(text[pos:], "\n")
		bare := strings.TrimLeft(line, " ")
		m := heading.Regexp().FindStringSubmatch(line)
		switch {
		case s.fence != "":
			if strings.HasPrefix(bare, s.fence) && strings.Trim(bare, s.fence[:1]+" \t") == "" {
				s.fence = ""
			}
		case strings.HasPrefix(bare, "```"), strings.HasPrefix(bare, "~~~"):
			s.bodiless, s.fence, paragraph, other = false, bare[:3], -1, false
		case m != nil:
			s.head(pos, pos+len(line), len(m[1]), m[2])
			paragraph, other = -1, false
		case strings.TrimSpace(line) == "":
			paragraph, other = -1, false
		case underlined && paragraph >= 0 && pos-paragraph <= maxUnderlined && underline.Match(line):
			s.bodiless = before
			s.head(paragraph, pos+len(line), 1+strings.Count(bare[:1], "-"), strings.Join(strings.Fields(text[paragraph:pos]), " "))
			paragraph = -1
		default:
			switch indented := bare[0] == '\t' || len(line)-len(bare) > 3; {
			case !underlined:
			case thematic.Match(line):
				paragraph, other = -1, false
			case (paragraph < 0 || !indented) && noParagraph.Match(line):
				paragraph, other = -1, true
			case paragraph < 0 && !other:
				paragraph, before = pos, s.bodiless
			}
			s.bodiless = false
		}
		pos += len(line) + 1
	}
	s.end(len(text))
	return s.list
}

// frontMatter is the length of what a page says of itself before it begins.
func frontMatter(text string) int {
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok || strings.TrimSpace(rest[:strings.IndexByte(rest+"\n", '\n')]) == "" {
		return 0
	}
	pos := 4
	for line := range strings.Lines(rest) {
		pos += len(line)
		if end := strings.TrimRight(line, " \t\n"); end == "---" || end == "..." {
			return pos
		}
	}
	return 0
}

// head begins a section with a heading, which ends at end, unless the one before
// has nothing else.
func (s *sections) head(start, end, level int, title string) {
	if !s.bodiless || s.level == 0 {
		s.end(start)
		s.first, s.top, s.bodiless = start, level, true
	}
	s.top, s.level, s.titles = min(s.top, level), level, end
	s.path[level] = clip.To(title, 2*maxContext) // it may be as long as the document, and every section below joins it
	clear(s.path[level+1:])
}

// end ends a section.
func (s *sections) end(at int) {
	above := strings.TrimSpace(strings.Join(s.path[1:max(1, s.top)], "\n"))
	for i, piece := range pieces(s.text[s.first:at]) {
		p := Passage{Text: piece, Context: clip.To(above, maxContext)}
		if i > 0 && s.level > 0 {
			p.Context = clip.To(strings.TrimSpace(strings.Join(s.path[1:s.level+1], "\n")), maxContext)
		} else if i == 0 {
			p.Lead = lead(piece)
			if n := min(s.titles-s.first, len(piece)); n <= maxLead {
				p.Lead = max(p.Lead, n)
			}
		}
		s.list = append(s.list, p)
	}
}
