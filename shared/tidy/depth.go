package tidy

import (
	"strings"
	"unicode"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// Parsers recurse, and a stack that overflows takes the whole process with it;
// no recover helps. What is larger, or could be nested deeper, than code that
// people read is therefore not looked at. A level costs a parser of scripts 3 KB
// of stack, so that these bounds stand for some 30 MB.
const (
	maxSize     = 128 << 10
	maxBrackets = 256     // levels of () [] {}
	maxRun      = 8 << 10 // bytes at one level without the end of a statement or item
	maxTags     = 500     // without a value in their line: the time for YAML grows with their square
	maxLines    = 5000    // of YAML: the time for entries and documents grows with their square, too
	maxAngles   = 1000    // levels of elements and type arguments
	maxKeywords = 4000    // words after which a construct can stand without brackets
	maxCommas   = 1000    // at one level of a script: the time for expressions grows with their square,
	maxArrows   = 64      // and with these it grows faster
)

var scripts = map[string]bool{"javascript": true, "jsx": true, "typescript": true, "tsx": true}

// isNesting says that a word is a keyword of some language that nests without
// brackets.
func isNesting(word string) bool {
	switch word {
	case "if", "else", "elif", "while", "until", "for", "do", "then", "case", "with", "typeof", "void", "delete", "new", "await", "yield", "keyof", "readonly",
		"infer", "unique", "extends", "class", "chan", "go", "defer", "time", "coproc", "function", "select":
		return true
	}
	return false
}

// keywords counts them in text.
func keywords(text string) (n int) {
	start := 0 // of the word
	for i := range len(text) {
		if c := text[i]; c|0x20 >= 'a' && c|0x20 <= 'z' {
			continue
		}
		if isNesting(text[start:i]) {
			n++
		}
		start = i + 1
	}
	return n
}

// tooDeep says that a parser might recurse too far, judged without knowing the
// grammar: brackets nest, and within a pair of them everything may nest that
// stands between two ends of statements.
func tooDeep(f codegen.File) bool {
	text := f.Content
	if len(text) > maxSize || keywords(text) > maxKeywords {
		return true
	}
	script := scripts[f.Language]
	var run, commas, arrows [maxBrackets + 1]int // bytes, commas and arrows since the last end, per level
	level, angles := 0, 0
	prev := byte('\n') // the last byte that is not space
	for i := range len(text) {
		c := text[i]
		if run[level]++; run[level] > maxRun {
			return true
		}
		switch c {
		case '(', '[', '{':
			if level++; level > maxBrackets {
				return true
			}
			run[level], commas[level], arrows[level] = 0, 0, 0
		case ')', ']', '}':
			level = max(0, level-1)
		case ';':
			run[level], commas[level], arrows[level] = 0, 0, 0
		case ',':
			run[level], arrows[level] = 0, 0
			if commas[level]++; script && commas[level] > maxCommas {
				return true
			}
		case '<':
			switch next := at(text, i+1); {
			case next == '/':
				angles = max(0, angles-1)
			case next == '>' || next == '_' || unicode.IsLetter(rune(next)):
				angles++
			}
			if script && angles > maxAngles {
				return true
			}
		case '>':
			switch prev {
			case '/':
				angles = max(0, angles-1)
			case '=':
				if arrows[level]++; script && arrows[level] > maxArrows {
					return true
				}
			}
		case '\n':
			if ends(prev, strings.TrimLeft(text[i:min(len(text), i+200)], space), script) {
				run[level], arrows[level] = 0, 0
				if prev != ',' {
					commas[level] = 0
				}
			}
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			prev = c
		}
	}
	return false
}

const space = " \t\r\n"

func at(text string, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return 0
}

// ends says whether a line break between prev and next ends what came before.
// In scripts that depends on what follows.
func ends(prev byte, next string, script bool) bool {
	if strings.IndexByte(`+-*/%&|^!~=<>?:.\`, prev) >= 0 {
		return prev == '>' && strings.HasPrefix(next, "<") // elements are counted
	}
	if !script || next == "" {
		return true
	}
	c := next[0]
	return c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || strings.IndexByte("_$\"'`@#<)]}{", c) >= 0
}
