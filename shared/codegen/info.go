package codegen

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// fence is a line that begins or ends a block of code.
type fence struct {
	indent int  // columns before it
	char   byte // ` or ~
	length int
	info   string // what follows, trimmed
}

const tab = 4 // columns

// openers may follow a list's marker: "- ```go".
var listMarker = pattern.Pattern{Expr: `^[ \t]*(?:[-*+]|[0-9]{1,3}[.)])[ \t]+`}

// readFence reads a fence of at least least characters.
func readFence(line string, least int) (f fence, ok bool) {
	rest := strings.TrimLeft(line, " \t")
	f.indent = columns(line[:len(line)-len(rest)])
	if rest == "" || rest[0] != '`' && rest[0] != '~' {
		return f, false
	}
	f.char = rest[0]
	for f.length < len(rest) && rest[f.length] == f.char {
		f.length++
	}
	f.info = strings.TrimSpace(rest[f.length:])
	return f, f.length >= least && strings.IndexByte(f.info, f.char) < 0 && !notInfo(f.info)
}

// notInfo says that what stands behind backticks is code, such as the end of a
// string: no fence goes on like this.
func notInfo(info string) bool { return info != "" && strings.IndexByte(";,)+\"'<]}\\", info[0]) >= 0 }

// readOpener is readFence for a line that may also be a list's item.
func readOpener(line string) (fence, bool) {
	f, ok := readFence(line, 3)
	if m := listMarker.Regexp().FindString(line); !ok && m != "" {
		f, ok = readFence(line[len(m):], 3)
		f.indent += columns(m)
	}
	return f, ok
}

func columns(space string) int {
	return len(space) + (tab-1)*strings.Count(space, "\t")
}

// outdent strips up to n columns of space.
func outdent(line string, n int) string {
	for n > 0 && line != "" {
		switch line[0] {
		case ' ':
			n--
		case '\t':
			n -= tab
		default:
			return line
		}
		line = line[1:]
	}
	return line
}

// pathKeys are the attributes that name a block's file. The value of the last
// two may be anything, and counts if it looks like a path.
var pathKeys = []string{"file", "filename", "path", "filepath", "file_path", "file-path", "src", "title", "name"}

// readInfo finds language and path in what stands behind an opening fence:
// go, go main.go, go:cmd/main.go, ts title="a.ts", {.python file=x.py}, x.sql.
func readInfo(info string) (lang, file string) {
	info = strings.TrimSpace(ascii(info))
	if inner, ok := strings.CutPrefix(info, "{"); ok {
		info = strings.TrimSuffix(inner, "}")
	}
	for i, w := range infoWords(info) {
		key, value, attribute := strings.Cut(w, "=")
		key = strings.ToLower(strings.TrimLeft(key, "{"))
		value = strings.Trim(strings.TrimRight(value, "},"), `"'`)
		bare := strings.Trim(w, "{}()[],\"'`")
		left, right, colon := strings.Cut(bare, ":")
		switch {
		case attribute && slices.Contains(pathKeys, key):
			if file == "" && value != "" && (key != "title" && key != "name" || looksPath(value)) {
				file = value
			}
		case attribute, bare == "":
		case lang == "" && strings.HasPrefix(bare, ".") && byAlias(strings.ToLower(bare[1:])) != nil && i == 0:
			lang = bare[1:] // a class
		case i == 0 && byAlias(strings.ToLower(bare)) != nil:
			if lang = bare; mainFile(Language(bare)) == bare { // Dockerfile
				file = bare
			}
		case file == "" && colon && looksPath(afterLines(right)): // go:main.go, 10:20:main.go
			file = afterLines(right)
			if lang == "" && !digits(left) {
				lang = left
			}
		case file == "" && (i == 0 && pathLike(bare) || i > 0 && looksPath(bare)):
			file = bare
		case i == 0 && colon && byAlias(strings.ToLower(left)) != nil:
			lang = left
		case i == 0:
			lang = bare
		}
	}
	return Language(lang), file
}

// infoWords splits at spaces that are not inside quotes.
func infoWords(info string) (words []string) {
	var quote rune
	return strings.FieldsFunc(info, func(r rune) bool {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		default:
			return unicode.IsSpace(r)
		}
		return false
	})
}

// afterLines strips a line number: 20:main.go.
func afterLines(s string) string {
	if left, right, ok := strings.Cut(s, ":"); ok && digits(left) {
		return right
	}
	return s
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// looksPath is pathLike where a path is expected, but for /regular expressions/.
func looksPath(s string) bool {
	return pathLike(s) || strings.ContainsAny(s, `/\`) && !strings.HasSuffix(s, "/") && !strings.Contains(s, "://") && !strings.HasPrefix(s, "//")
}

// comments are how languages begin and end a comment.
var comments = [][2]string{{"{/*", "*/}"}, {"/*", "*/"}, {"<!--", "-->"}, {"<%--", "--%>"}, {"{#", "#}"}, {"(*", "*)"}, {"{-", "-}"},
	{"//", ""}, {"--", ""}, {";", ""}, {"%", ""}, {"#", ""}}

var fileLabel = pattern.Pattern{Expr: `(?i)^@?(?:file ?name|file ?path|path|` + strings.Join(fileNouns, "|") + `) *[:=] *`}

// remark is what may stand behind a path: app.py - the entry point.
var remark = pattern.Pattern{Expr: ` (?:[-–—] |\()`}

// commentPath finds the path in a block's first line, if it is a comment that
// says nothing else: // file: main.go.
func commentPath(line, lang string) (string, bool) {
	line = strings.TrimSpace(ascii(line))
	if strings.HasPrefix(line, "#!") || lang == "markdown" && !strings.HasPrefix(line, "<!--") || len(line) > maxPathLine {
		return "", false
	}
	for _, c := range comments {
		rest, ok := strings.CutPrefix(line, c[0])
		if !ok {
			continue
		}
		rest = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), c[1]))
		rest = strings.TrimLeft(rest, "/*#-=; ")
		label := fileLabel.Regexp().FindString(rest)
		rest = rest[len(label):]
		if i := remark.Regexp().FindStringIndex(rest); i != nil {
			rest = rest[:i[0]]
		}
		rest = strings.Trim(strings.TrimRight(rest, " -=*#"), "`\"'")
		switch {
		case strings.ContainsFunc(rest, unicode.IsSpace):
			return "", false
		case pathLike(rest), label != "" && looksPath(rest):
			return rest, compatible(rest, lang)
		}
		return "", false
	}
	return "", false
}

// families are languages that name each other's files.
var families = [][]string{{"javascript", "typescript", "jsx", "tsx"}, {"json", "jsonc", "jsonl"}, {"c", "cpp", "objective-c"}, {"html", "vue", "svelte", "astro", "template", "jinja", "xml"},
	{"shell", "zsh", "dotenv", "dockerfile", "makefile", "gitignore", "ini", "properties"}, {"css", "scss", "less"}, {"groovy", "java", "kotlin"}}

// compatible says whether a block in lang may be the file.
func compatible(file, lang string) bool {
	of := LanguageOf(file)
	if of == "" || lang == "" || lang == of || of == "text" || byAlias(lang) == nil || lang == "text" && !strict(of) {
		return true
	}
	return slices.ContainsFunc(families, func(f []string) bool { return slices.Contains(f, of) && slices.Contains(f, lang) })
}

// strict says that files of the language are hardly ever shown as another one.
func strict(lang string) bool {
	return lang != "" && !slices.Contains([]string{"dotenv", "ini", "gitignore", "dockerfile", "makefile", "text", "properties", "nginx", "template", "jinja", "toml", "csv"}, lang)
}

// isTree says that a line draws a folder, or is typed at a prompt.
func isTree(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasSuffix(line, "/") || strings.ContainsAny(line, "├└│") || strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "> ") || line == "." || path.Clean(line) == "."
}

// isProse says that a line is a sentence rather than code.
func isProse(line string) bool {
	line = strings.TrimSpace(line)
	if line == "" || !unicode.IsUpper([]rune(line[:min(4, len(line))])[0]) {
		return false
	}
	return strings.Count(line, " ") >= 3 && strings.ContainsRune(".:!?", rune(line[len(line)-1]))
}
