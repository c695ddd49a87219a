package rag

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
)

// Sizes of passages, in bytes. Two thousand are about 500 tokens: small enough
// to be about one thing, large enough to be understood alone.
const (
	maxPassage  = 2000
	overlap     = 200 // of a passage with the one before it in the same section
	codeAtLeast = 800 // shorter definitions share a passage with their neighbours
	maxLead     = 200 // of a title
	maxContext  = 300 // of headings, or of a signature
)

// SplitVersion names the way in which Split cuts documents of a kind, and changes
// with it. Libraries keep it with a document: one that is stored again with the
// same content is cut again if it was cut in another way.
func SplitVersion(kind Kind) string {
	switch kind {
	case HTML: // titles, alternative texts, nothing hidden; C# as a heading
		return "3"
	case Markdown: // headings that are underlined; C# as one
		return "3"
	}
	return ""
}

// IndexVersion names the way in which passages get their terms and metadata its
// labels, and changes with it. Libraries that keep terms or labels, instead of
// making them whenever they start, keep it like SplitVersion.
const IndexVersion = "4" // whole numbers, accents, single characters, words of every text, abbreviations in code only, C++ and C# and .NET

// Split cuts a document into passages along its structure: sections of
// Markdown and HTML, definitions of code, paragraphs and sentences of
// everything. No passage is longer than 2,000 bytes, and a section that is cut
// overlaps itself, so that nothing is lost between two passages. The result
// depends on nothing but the arguments.
func Split(kind Kind, language, text string) []Passage {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	var list []Passage
	switch kind {
	case HTML:
		return markdown(htmlText(text), false)
	case Markdown:
		return markdown(text, true)
	case Code:
		for _, group := range definitionGroups(text) {
			context := ""
			for i, piece := range pieces(group) {
				if i == 1 {
					context = signature(group)
				}
				list = append(list, Passage{Text: piece, Context: strings.TrimSpace(language + "\n" + context), Code: true})
			}
		}
	default:
		for i, piece := range pieces(text) {
			p := Passage{Text: piece}
			if i == 0 {
				p.Lead = lead(piece)
			}
			list = append(list, p)
		}
	}
	return list
}

// lead is the length of text's first sentence or line, if that is as short as
// a title.
func lead(text string) int {
	for i := 0; i < len(text) && i < maxLead; i++ {
		if text[i] == '\n' || endsSentence(text, i) {
			return i
		}
	}
	return 0
}

// endsSentence says whether a sentence ends with text[i].
func endsSentence(text string, i int) bool {
	c := text[i]
	return (c == '.' || c == '!' || c == '?') && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n')
}

// pieces cuts text where it hurts least.
func pieces(text string) []string {
	var list []string
	for start := 0; start < len(text); {
		end := len(text)
		if end-start > maxPassage {
			end = cut(text, start+maxPassage/2, start+maxPassage)
		}
		if strings.TrimSpace(text[start:end]) != "" {
			list = append(list, strings.TrimRight(text[start+indent(text[start:end]):end], " \t\n"))
		}
		if end == len(text) {
			break
		}
		start = max(start+1, cut(text, end-overlap, end-overlap/2))
	}
	return list
}

// indent is the length of the blank lines at the start of text: the first line
// with something in it keeps its indentation.
func indent(text string) int {
	blank := len(text) - len(strings.TrimLeft(text, " \t\n"))
	return strings.LastIndexByte(text[:blank], '\n') + 1
}

// cut returns the best place to cut text in [low, high]: the last blank line,
// else the last line that begins with less than its share of white space, else
// the end of a sentence, a line, a word, a character.
func cut(text string, low, high int) int {
	window := text[low:high]
	if i := strings.LastIndex(window, "\n\n"); i >= 0 {
		return low + i + 2
	}
	for i := len(window) - 1; i > 0; i-- {
		if window[i] == ' ' && endsSentence(window, i-1) {
			return low + i + 1
		}
		if window[i] == '\n' {
			return low + i + 1
		}
	}
	if i := strings.LastIndexAny(window, " \t"); i >= 0 {
		return low + i + 1
	}
	return max(low+1, low+len(clip.To(text[low:], high-low)))
}
