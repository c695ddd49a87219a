package chain

import (
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/theory/jsonpath/registry"
	"github.com/theory/jsonpath/spec"

	"github.com/devmentor/ai-gateway/shared/template"
)

const (
	// maxProgram bounds the instructions of a pattern, which are what each
	// character of a text may be compared with: (a{0,30}){0,30} are 1,800.
	maxProgram = 1000
	// maxClasses bounds how often a pattern names a class of Unicode, and maxFolded
	// how many letters beyond ASCII lie in its ranges if it ignores case. Such a
	// class has hundreds of ranges, and each letter of a range is looked up: a
	// kilobyte of (?i)[c-\x{1e900}] takes half a second to compile, and a chain may
	// have hundreds of patterns.
	maxClasses = 16
	maxFolded  = 500
)

// regex is a pattern (RE2) of bounded size.
type regex struct {
	*regexp.Regexp

	program int // instructions; 0: it is a plain text, for which reading is all there is to do
}

var errProgram = fmt.Errorf("is a pattern of more than %d instructions: repetitions count as often as they may occur", maxProgram)

// compile compiles src if it is of bounded size. In lines, as RFC 9485 says, a
// dot is no end of a line.
func compile(src string, lines bool) (*regex, error) {
	if len(src) > maxPath {
		return nil, fmt.Errorf("is a pattern of more than %d bytes", maxPath)
	}
	if err := costly(src); err != nil {
		return nil, err
	}
	re, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("is no regular expression (RE2): %w", err)
	}
	n := instructions(re)
	if n > maxProgram {
		return nil, errProgram
	}
	if lines {
		src = undot(src)
	}
	p, err := regexp.Compile(src) // not re.String(), which folds each letter of each class
	if err != nil {
		return nil, fmt.Errorf("is no regular expression (RE2): %w", err)
	}
	if _, plain := p.LiteralPrefix(); plain {
		n = 0
	}
	return &regex{p, n}, nil
}

// costly refuses what would take long to compile. It reads no syntax, and so sees
// ranges and flags also where there are none.
func costly(src string) error {
	if strings.Count(src, `\p`)+strings.Count(src, `\P`) > maxClasses {
		return fmt.Errorf(`is a pattern with more than %d classes such as \pL`, maxClasses)
	}
	if !ignoresCase(src) {
		return nil
	}
	folded := 0
	for before, behind, ok := strings.Cut(src, "-"); ok; before, behind, ok = strings.Cut(behind, "-") {
		lo, _ := utf8.DecodeLastRuneInString(before)
		hi, _ := utf8.DecodeRuneInString(behind)
		if code, ok := strings.CutPrefix(behind, `\x{`); ok {
			code, _, _ = strings.Cut(code, "}")
			n, err := strconv.ParseUint(code, 16, 32)
			if hi = rune(n); err != nil || n > utf8.MaxRune {
				hi = utf8.MaxRune
			}
		}
		if lo < utf8.RuneSelf { // or the end of an escape
			lo = 0
		}
		if hi >= utf8.RuneSelf {
			folded += max(0, int(hi-lo))
		}
	}
	if folded > maxFolded {
		return fmt.Errorf("ignores case, and has ranges of more than %d characters: leave (?i) out and write letters in both cases", maxFolded)
	}
	return nil
}

// ignoresCase says whether src may have the flag i somewhere.
func ignoresCase(src string) bool {
	for _, flags := range strings.Split(src, "(?")[1:] {
		if end := strings.IndexAny(flags, ":)<"); end >= 0 && strings.Contains(flags[:end], "i") {
			return true
		}
	}
	return false
}

// instructions is how long the program for re is at most. It counts what is not
// made yet: the library would make millions, and only then tell.
func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCapture:
		return n + 2
	case syntax.OpAlternate:
		return n + len(re.Sub)
	case syntax.OpRepeat:
		return min((n+1)*max(1, re.Min, re.Max)+1, 1<<30)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		return n + 2
	case syntax.OpConcat:
		return n
	}
	return 1
}

// patternSteps is what looking for a program of that size in a text takes, beside
// reading it.
func patternSteps(text, program int) int {
	if program == 0 {
		return 0
	}
	return text * (program + 1) / stepStates
}

// steps is what looking for p in a text takes.
func (p *regex) steps(text int) int { return text/stepBytes + patternSteps(text, p.program) }

// matches looks for p in s. All steps are asked for before the first is taken.
func (p *regex) matches(s string, spend template.Spend) (bool, error) {
	const short = 50_000 // steps, some milliseconds
	steps := p.steps(len(s))
	if err := spend(steps); err != nil || steps <= short {
		return err == nil && p.MatchString(s), err
	}
	r := &stoppable{text: s, ask: max(1, short*len(s)/steps), spend: spend}
	found := p.MatchReader(r)
	return found && r.err == nil, r.err
}

// stoppable is a text that ends when spend says so.
type stoppable struct {
	text  string
	ask   int // characters between questions
	read  int // since the last one
	spend template.Spend
	err   error
}

func (r *stoppable) ReadRune() (rune, int, error) {
	if r.read++; r.read > r.ask && r.err == nil {
		r.read, r.err = 0, r.spend(0)
	}
	if r.err != nil || r.text == "" {
		return 0, 0, io.EOF
	}
	c, n := utf8.DecodeRuneInString(r.text)
	r.text = r.text[n:]
	return c, n, nil
}

// patterns are those of one path, by the functions that look for them.
type patterns struct {
	match, search map[string]*regex
}

func (ps *patterns) program() (n int) {
	for _, list := range []map[string]*regex{ps.match, ps.search} {
		for _, p := range list {
			n += p.program
		}
	}
	return n
}

// called is the pattern, a quoted text, that a function is given; nil if there
// is no such call.
func (ps *patterns) called(function, pattern string) *regex {
	src, err := strconv.Unquote(pattern)
	switch {
	case err != nil:
	case function == "match":
		return ps.match[src]
	case function == "search":
		return ps.search[src]
	}
	return nil
}

// functions are those of RFC 9535, but that match and search want their pattern
// as a text of the path's own. A pattern from the data would be compiled for
// each value, and whoever wrote the data would say how long that takes.
func (ps *patterns) functions() *registry.Registry {
	r := registry.New()
	ps.match, ps.search = map[string]*regex{}, map[string]*regex{}
	replace(r.Get("match"), ps.match, `\A(?:`, `)\z`)
	replace(r.Get("search"), ps.search, "", "")
	return r
}

// replace puts our function in the place of theirs; compiled gets its patterns.
func replace(theirs *spec.FuncExtension, compiled map[string]*regex, before, behind string) {
	old := *theirs
	name := old.Name()
	check := func(args []spec.FuncExprArg) error {
		if err := old.Validate(args); err != nil {
			return err
		}
		own, ok := args[1].(*spec.LiteralArg)
		if !ok {
			return fmt.Errorf("%s must be given its pattern as a text of its own, not from the data", name)
		}
		src, ok := own.Value().(string)
		if !ok {
			return fmt.Errorf("the pattern of %s must be a text", name)
		}
		p, err := compile(before+src+behind, true)
		if err != nil {
			return fmt.Errorf("the second argument of %s %w", name, err)
		}
		compiled[src] = p
		return nil
	}
	evaluate := func(args []spec.PathValue) spec.PathValue {
		text, pattern := spec.ValueFrom(args[0]), spec.ValueFrom(args[1])
		if text == nil || pattern == nil { // the query selects nothing
			return spec.LogicalFalse
		}
		s, ok := text.Value().(string)
		src, _ := pattern.Value().(string)
		return spec.Logical(ok && compiled[src].MatchString(s))
	}
	*theirs = *spec.Extension(name, spec.FuncLogical, check, evaluate)
}

// undot puts a class without ends of lines in the place of each dot of src,
// which is a valid pattern.
func undot(src string) string {
	var b strings.Builder
	for src != "" {
		n := 1
		switch {
		case src[0] == '.':
			b.WriteString(`[^\n\r]`)
			src = src[1:]
			continue
		case strings.HasPrefix(src, `\Q`):
			n = len(src)
			if end := strings.Index(src, `\E`); end >= 0 {
				n = end + 2
			}
		case src[0] == '\\':
			n = 2
		case src[0] == '[':
			n = class(src)
		}
		b.WriteString(src[:n])
		src = src[n:]
	}
	return b.String()
}

// class is how long the class is that src begins with.
func class(src string) int {
	i := len("[")
	if src[i] == '^' {
		i++
	}
	for first := i; src[i] != ']' || i == first; i++ {
		if src[i] == '\\' {
			i++
		} else if end := strings.Index(src[i:], ":]"); end > 1 && strings.HasPrefix(src[i:], "[:") {
			i += end + 1
		}
	}
	return i + 1
}
