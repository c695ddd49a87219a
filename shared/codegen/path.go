package codegen

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/devmentor/ai-gateway/shared/pattern"
)

// maxPath is the longest path of a file, in bytes.
const maxPath = 255

// CheckPath says what is wrong with a path that somebody may join to a folder
// and write to: anything that could leave the folder, on any system, or mean
// another file than it says. The error is for people and begins in lower case.
func CheckPath(p string) error {
	switch {
	case p == "":
		return errors.New("it is empty")
	case len(p) > maxPath:
		return fmt.Errorf("it is longer than %d bytes", maxPath)
	case !utf8.ValidString(p):
		return errors.New("it is not UTF-8")
	case strings.ContainsFunc(p, invisible):
		return errors.New("it has control or invisible characters")
	case strings.HasPrefix(p, "/"):
		return errors.New("it is absolute")
	case strings.HasPrefix(p, "-"):
		return errors.New("it begins with a dash, as options of commands do")
	case strings.HasPrefix(p, "~"):
		return errors.New("it begins in a home directory")
	case strings.ContainsAny(p, `\:`):
		return errors.New("it has a backslash or a colon")
	case strings.ContainsAny(p, `*?"<>|`):
		return errors.New("it has a character that not all systems allow in names")
	case strings.ContainsAny(p, "／＼∕⁄⧵"):
		return errors.New("it has a character that looks like a slash")
	case strings.Contains(p, "${"), strings.Contains(p, "$("), escaped.Match(p):
		return errors.New("it is to be expanded or decoded by somebody")
	}
	for s := range strings.SplitSeq(p, "/") {
		if err := checkSegment(s); err != nil {
			return err
		}
	}
	return nil
}

// escaped finds what a careless reader would turn into a dot or a slash.
var escaped = pattern.Pattern{Expr: `(?i)%(2e|2f|5c|00|25)`}

func checkSegment(s string) error {
	device, _, _ := strings.Cut(strings.ToLower(s), ".")
	switch {
	case s == "":
		return errors.New("it has an empty part")
	case strings.Trim(s, ".․‥…．。") == "":
		return fmt.Errorf("it has the part %q", s)
	case strings.HasSuffix(s, "."), strings.HasSuffix(s, " "), strings.HasPrefix(s, " "):
		return errors.New("it has a part that begins with a space or ends with a dot or a space")
	case slices.Contains(devices, strings.TrimRight(device, " ")):
		return fmt.Errorf("%q is the name of a device on Windows", s)
	case strings.EqualFold(s, ".git"), strings.EqualFold(s, "git~1"): // its short name on Windows, which Git refuses, too
		return errors.New("it is in .git, where files are run")
	}
	return nil
}

var devices = []string{"con", "prn", "aux", "nul", "conin$", "conout$", "clock$",
	"com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "com¹", "com²", "com³",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "lpt¹", "lpt²", "lpt³"}

func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// knownFiles are names without an extension that are files all the same.
var knownFiles = []string{"dockerfile", "containerfile", "makefile", "gnumakefile", "jenkinsfile", "gemfile", "rakefile", "procfile", "vagrantfile", "pipfile",
	"license", "readme", "notice", "codeowners", "changelog"}

// version finds dotted numbers: v1.2, 3.11.
var version = pattern.Pattern{Expr: `^[vV]?[0-9]+(\.[0-9]+)*$`}

// pathLike says whether a word can only be meant as a file: by its extension,
// its slashes, or because everybody knows the name. Whether it is safe is for
// CheckPath to say.
func pathLike(s string) bool {
	if s == "" || len(s) > 4*maxPath || strings.Contains(s, "://") || strings.ContainsAny(s, "`：") || version.Match(s) {
		return false
	}
	s = strings.ReplaceAll(s, `\`, "/")
	if strings.HasSuffix(s, "/") {
		return false
	}
	base := path.Base(s)
	if slices.Contains(knownFiles, strings.ToLower(base)) || byFile(strings.ToLower(base)) != nil {
		return true
	}
	ext := path.Ext(base)
	if len(ext) < 2 {
		return false
	}
	if byExt(strings.ToLower(ext)) != nil {
		return true
	}
	if base == ext { // .gitignore and the like; .5 is none
		return unicode.IsLetter(rune(ext[1]))
	}
	return strings.Contains(s, "/") && plausibleExt(ext[1:])
}

func plausibleExt(ext string) bool {
	return len(ext) <= 12 && !strings.ContainsFunc(ext, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-'
	})
}

// CleanPath takes from a path what does not change its meaning: "./" before it.
func CleanPath(p string) string {
	for strings.HasPrefix(p, "./") {
		p = strings.TrimLeft(p[2:], "/")
	}
	return p
}

// cleanPath takes from a path what people and models put around it, too.
func cleanPath(p string) string { return CleanPath(strings.TrimSpace(p)) }

// SamePath is equal for paths that are one file on some system: on macOS and
// Windows capitals do not count, and on macOS neither does how a letter with
// an accent is written.
func SamePath(p string) string {
	return norm.NFC.String(strings.Map(folded, norm.NFD.String(p)))
}

// folded is the first of the letters that differ in case only.
func folded(r rune) rune {
	first := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		first = min(first, c)
	}
	return first
}

// conflicts says which files cannot be beside others, wherever they are
// written: two that are one on some systems, and one that is a folder of
// another.
func conflicts(files []File) (list []Diagnostic) {
	at := map[string]string{}
	for _, f := range files {
		same := SamePath(f.Path)
		if other, taken := at[same]; taken {
			list = append(list, Diagnostic{Path: f.Path, Severity: Error, Code: PathConflict, Message: fmt.Sprintf("%q is the same file on macOS or Windows.", other)})
			continue
		}
		at[same] = f.Path
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if file, taken := at[SamePath(dir)]; taken {
				list = append(list, Diagnostic{Path: f.Path, Severity: Error, Code: PathConflict, Message: fmt.Sprintf("%q is a file of the answer, and cannot be a folder too.", file)})
			}
		}
	}
	return list
}
