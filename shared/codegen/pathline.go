package codegen

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// fileNouns are what files are called, for labels of a path that have no colon.
var fileNouns = []string{"file", "datei", "dateiname", "fichier", "archivo", "fichero", "arquivo", "ficheiro", "bestand", "plik", "soubor", "fil", "tiedosto", "dosya", "berkas", "tệp", "файл",
	"αρχείο", "ملف", "קובץ", "फ़ाइल", "ไฟล์", "文件名", "文件路径", "文件", "檔案", "檔名", "ファイル名", "ファイル", "파일명", "파일"}

// labels are words that may stand before the path in a line that names one.
var labels = append([]string{"files", "filename", "path", "filepath", "new", "create", "created", "update", "updated", "modified", "modify", "edit", "add",
	"step", "in", "full", "complete", "final", "code", "for", "content", "contents", "of", "the", "here", "is"}, fileNouns...)

var (
	// label is what stands before a colon, in any language: Имя файла: a.py.
	label = pattern.Pattern{Expr: `^\pL[\pL\pM\pN'’-]*(?: [\pL\pM\pN'’-]+){0,3}[*_]* ?:[*_]*`}
	// labelBegin is a line that may become one.
	labelBegin = pattern.Pattern{Expr: `^\pL[\pL\pM\pN'’-]*(?: [\pL\pM\pN'’-]*){0,3}[*_]* ?$`}
	// noLabel finds labels of what is said about a file, not of its name.
	noLabel = pattern.Pattern{Expr: `(?i)\b(?:usage|examples?|run|output|note|see|deleted?|removed?|error|warning|todo)[*_]* ?:`}
)

const maxLabel = 100 // bytes

// verdict on a line that is still coming.
type verdict int

const (
	no verdict = iota
	maybe
)

const maxPathLine = 400

// fullWidth are the marks of East Asian texts that have a meaning here.
var fullWidth = strings.NewReplacer("：", ": ", "（", " (", "）", ") ", "、", ". ", "．", ". ", "。", ". ", "，", ", ", "「", "`", "」", "`", "『", "`", "』", "`", "【", "[", "】", "]", "“", `"`, "”", `"`, "\u3000", " ")

// ascii writes the marks of a line as English has them.
func ascii(line string) string {
	if strings.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return line
	}
	return fullWidth.Replace(line)
}

// readPathLine says whether a line only names a file: **main.go**, ### 2. `a.ts`,
// File: x.py (new). A verdict of no on the beginning of a line holds for the line.
func readPathLine(line string) (string, verdict) {
	if len(line) > maxPathLine {
		return "", no
	}
	rest := strings.TrimLeftFunc(ascii(line), decoration)
	if n := len(rest) - len(strings.TrimLeft(rest, "0123456789")); n > 0 && n < len(rest) && strings.IndexByte(".):", rest[n]) >= 0 && len(rest) > n+1 && rest[n+1] == ' ' {
		rest = strings.TrimLeftFunc(rest[n+1:], decoration)
	}
	rest = strings.TrimRightFunc(rest, unicode.IsSpace)
	for range 5 {
		if n := labelOf(rest); n > 0 {
			rest = strings.TrimLeftFunc(rest[n:], decoration)
			continue
		}
		word, after, whole := firstWord(rest)
		if !whole {
			return word, maybe // the word may go on
		}
		if l := strings.ToLower(strings.Trim(word, "*_:.)#")); slices.Contains(labels, l) || digits(l) {
			rest = strings.TrimLeftFunc(after, decoration)
			continue
		}
		if !pathLike(word) || strings.ContainsAny(word, `"<>`) {
			if len(rest) <= maxLabel && labelBegin.Match(rest) {
				return "", maybe
			}
			return "", no
		}
		if isDecoration(after) {
			return word, maybe
		}
		return "", no
	}
	return "", no
}

// labelOf is the length of the label that s begins with.
func labelOf(s string) int {
	m := label.Regexp().FindString(s)
	name, _, _ := strings.Cut(m, ":")
	if rest := s[len(m):]; len(m) > maxLabel || rest != "" && strings.IndexByte(`/\:=`, rest[0]) >= 0 || pathLike(strings.Trim(name, "*_ ")) || noLabel.Match(m) {
		return 0
	}
	return len(m)
}

// isDecoration says that what stands behind a path does not matter, or may come
// not to matter: marks, a noun, a remark in brackets.
func isDecoration(after string) bool {
	const marks = "*_:`#\"'.]) \t=-–—~+@%<>/"
	after = strings.TrimLeft(after, marks)
	for _, noun := range fileNouns {
		if rest, ok := strings.CutPrefix(after, noun); ok {
			after = strings.TrimLeft(rest, marks)
			break
		}
		if strings.HasPrefix(noun, after) {
			return true
		}
	}
	return after == "" || after[0] == '('
}

// pathLine is readPathLine for a whole line.
func pathLine(line string) (string, bool) {
	line = strings.TrimSpace(strings.TrimRight(ascii(line), "*_:=~- \t\r\n"))
	if i := strings.LastIndex(line, " ("); i > 0 && strings.HasSuffix(line, ")") {
		line = line[:i] // a remark
	}
	p, v := readPathLine(line + " .") // the dot shows that the last word is whole
	return p, v != no && pathLike(p) && !strings.Contains(line, " (")
}

// remarkMark is what stands between a path and words about the file.
var remarkMark = pattern.Pattern{Expr: `[ \t](?:-{1,2}|[–—])[ \t]|:[*_]*[ \t]`}

// remarkedPath is the path in a line that says something about the file, too:
// ### `a.py` - helpers. It holds for the line as soon as it holds for its
// beginning. A path without any mark and a colon begin other lines, such as
// errors.
func remarkedPath(line string) (string, bool) {
	if len(line) > maxPathLine {
		return "", false
	}
	line = ascii(line)
	for _, at := range remarkMark.Regexp().FindAllStringIndex(line, 4) {
		if p, ok := pathLine(line[:at[0]]); ok && (line[at[0]] != ':' || strings.TrimSpace(line[:at[0]]) != p) {
			return p, true
		}
	}
	return "", false
}

// remarked is remarkedPath for a line before a block. A list of files names
// none, nor does a line about a file that was there before.
func (p *Parser) remarked(line, before string) (string, bool) {
	file, ok := remarkedPath(line)
	if !ok || p.used[cleanPath(file)] && !continues(line) {
		return "", false
	}
	if listMarker.Match(line) && !strings.HasSuffix(strings.TrimRight(ascii(line), "*_ \t\r\n"), ":") {
		return file, !listMarker.Match(before) && !listMarker.Match(p.prev)
	}
	return file, true
}

// decoration is what may stand before a word in Markdown.
func decoration(r rune) bool {
	return r != '.' && r != '/' && r != '_' && r != '`' && r != '~' && r != '\\' && r != '@' && r != '[' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// firstWord cuts the first word off, which may be in backticks and then may
// contain spaces. whole says that more follows, so that the word is complete.
func firstWord(s string) (word, after string, whole bool) {
	if inner, ok := strings.CutPrefix(s, "`"); ok {
		word, after, ok = strings.Cut(inner, "`")
		return strings.Trim(word, "*_ "), after, ok && strings.TrimSpace(after) != ""
	}
	i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '`' })
	if i < 0 {
		return bareWord(s), "", false
	}
	return bareWord(s[:i]), strings.TrimSpace(s[i:]), true
}

func bareWord(s string) string {
	if i := strings.Index(s, "]("); i > 0 && s[0] == '[' {
		s = s[1:i] // a link
	}
	return strings.TrimRight(strings.Trim(s, "*`\"':,<>"), ".:")
}

// hintIn finds the one path in a sentence that leads to the block: "Put this
// into `cmd/main.go`:". So does a heading, if the file is a new one.
func (p *Parser) hintIn(line string) string {
	line = strings.TrimRight(ascii(line), " \t\r\n*_")
	title := headingLine.Match(line)
	if !title && !strings.HasSuffix(line, ":") {
		return ""
	}
	found := ""
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 && pathLike(part) {
			if found != "" && found != part {
				return ""
			}
			found = part
		}
	}
	if title && p.used[cleanPath(found)] {
		return ""
	}
	return found
}
