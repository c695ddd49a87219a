package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
)

var errSpent = errors.New("nothing left")

// purse pays for so many steps.
type purse struct{ left, paid, asked int }

func (p *purse) spend(steps int) error {
	p.asked++
	if p.left -= steps; p.left < 0 {
		return errSpent
	}
	p.paid += steps
	return nil
}

// TestInstructionsAreNotUndercounted holds the count to what the library makes,
// and to a bound where the library would make millions.
func TestInstructionsAreNotUndercounted(t *testing.T) {
	for _, src := range []string{"", "abc", "(?i)straße", "a|b|cd|[x-z]+", "(a{0,30}){0,30}", "((a{0,10}){0,10})*b$", `^\s*(\d{1,3}\.){3}\d{1,3}$`, "(a|b){3,}c?", "x{5}", "(?s).*é+", `\bword\b`, "(((a*)+)?)*"} {
		re, err := syntax.Parse(src, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if got, real := instructions(re), len(prog.Inst); got+4 < real || got > 3*real {
			t.Errorf("instructions(%s) = %d, the program has %d", src, got, real)
		}
	}
	for _, src := range []string{"((a{0,30}){0,30})*b$", "(a{1,31}){1,32}b", "((x{10}){10}){10}"} {
		if _, err := compile(src, false); !errors.Is(err, errProgram) {
			t.Errorf("compile(%s) = %v, want %v", src, err, errProgram)
		}
	}
}

// TestPatternsThatTakeLongToCompileAreRefused, and no others that people write.
func TestPatternsThatTakeLongToCompileAreRefused(t *testing.T) {
	for src, want := range map[string]string{
		"(?i)[c-\U0001e900]":                      "ignores case",
		`(?i)[\x{63}-\x{1e900}]`:                  "ignores case",
		`(?i)[a-\x{FFFFFFFFF}]`:                   "ignores case",
		`a(?s-i:[c-я])`:                           "ignores case", // the flag is not understood, only seen
		"(?i)" + strings.Repeat("[À-ʯ]", 2):       "ignores case",
		strings.Repeat(`\pL`, 17):                 "more than 16 classes",
		strings.Repeat(`\PL\p{Lu}`, 9):            "more than 16 classes",
		`(?i)[a-z0-9.-]+@[a-z0-9.-]+\.[a-z]{2,9}`: "",
		"(?i)^[а-яё][à-öø-ÿ]-[α-ω]$":              "",
		"(?P<i>[一-龥]+)":                           "",
		`[\x{4e00}-\x{9fa5}]`:                     "",
		strings.Repeat(`\pL`, 16):                 "",
		"(?i)straße":                              "",
	} {
		_, err := compile(src, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("compile(%s) = %v, want %q", src, err, want)
		}
	}
}

// TestDotsOfLines also holds that patterns are compiled as they are written: to
// write one anew, the library looks at all letters for each of its classes,
// which takes milliseconds.
func TestDotsOfLines(t *testing.T) {
	for src, want := range map[string]string{
		"a.b":            `a[^\n\r]b`,
		`\..\\.`:         `\.[^\n\r]\\[^\n\r]`,
		`[.].`:           `[.][^\n\r]`,
		`[].].[^].].`:    `[].][^\n\r][^].][^\n\r]`,
		`[[:alpha:].].`:  `[[:alpha:].][^\n\r]`,
		`[[:].`:          `[[:][^\n\r]`,
		`[[].[:.]`:       `[[][^\n\r][:.]`,
		`[\].]\pL.`:      `[\].]\pL[^\n\r]`,
		`\Q[.\E.[.]\Q..`: `\Q[.\E[^\n\r][.]\Q..`,
		`(?i:é.)\[.`:     `(?i:é[^\n\r])\[[^\n\r]`,
	} {
		re, err := compile(src, true)
		if got := undot(src); got != want || err != nil || re.String() != want {
			t.Errorf("undot(%s) = %s, %v, want %s", src, got, err, want)
		}
		if re, err := compile(src, false); err != nil || re.String() != src {
			t.Errorf("compile(%s) = %v, %v", src, re, err)
		}
	}
}

func TestPatternsStop(t *testing.T) {
	re, err := compile("((a{0,20}){0,20})*b$", false)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("a", 20_000) + "b"
	steps := re.steps(len(text))
	if found, err := re.matches(text, (&purse{left: steps - 1}).spend); found || !errors.Is(err, errSpent) {
		t.Errorf("with a step too few matches = %t, %v, want %v", found, err, errSpent)
	}
	p := &purse{left: steps}
	if found, err := re.matches(text, p.spend); !found || err != nil || p.paid != steps || p.asked < 10 {
		t.Errorf("matches = %t, %v for %d steps, asked %d times, want true for %d, asked again and again", found, err, p.paid, p.asked, steps)
	}
	asked := 0
	found, err := re.matches(text, func(int) error {
		if asked++; asked == 5 {
			return errStopped
		}
		return nil
	})
	if found || err != errStopped || asked != 5 {
		t.Errorf("stopped at the fifth question of %d, matches = %t, %v, want %v", asked, found, err, errStopped)
	}
}

// TestPatternsComeWithTheChain: data may not say what is compiled, nor how much.
func TestPatternsComeWithTheChain(t *testing.T) {
	for src, want := range map[string]string{
		"$.input.l[?search(@.a,@.r)]":                    "from the data",
		"$.input.l[?match(@.a,$.input.r)]":               "from the data",
		"$.input.l[?match(@.a,3)]":                       "must be a text",
		"$.input.l[?match(@.a,'((a{0,30}){0,30})*b')]":   "instructions",
		"$.input.l[?search(@.a,'(a')]":                   "no regular expression",
		"$.input.l[?search(@.a,'((a{1,9}){1,9}){1,9}')]": "instructions",
	} {
		if _, err := parsePath(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parsePath(%s) = %v, want an error about %q", src, err, want)
		}
	}
}

func TestPatternsAreThoseOfTheStandard(t *testing.T) {
	data := map[string]any{"l": []any{"ab", "b", "xby", "b\n", "x\u2028y", nil}}
	for src, want := range map[string]string{
		`$.l[?match(@, 'a|b')]`:      "[b]", // as a whole
		`$.l[?search(@, 'a|b')]`:     "[ab b xby b\n]",
		`$.l[?match(@, 'b.')]`:       "[]", // a dot is no end of a line
		`$.l[?match(@, 'x.y')]`:      "[xby x\u2028y]",
		`$.l[?match(@, '[^b].?.?')]`: "[ab xby x\u2028y]",
	} {
		p, err := parsePath(src)
		if err != nil {
			t.Errorf("parsePath(%s) = %v", src, err)
			continue
		}
		if v, _, err := p.selects(data, free); err != nil || fmt.Sprint(v) != want {
			t.Errorf("%s selects %q, %v, want %q", src, v, err, want)
		}
	}
}

// tooMuch has more values than a selection may visit.
func tooMuch() map[string]any {
	list := make([]any, 200_000)
	for i := range list {
		list[i] = map[string]any{"a": "b"}
	}
	return map[string]any{"list": list, "text": strings.Repeat("x", 4<<20)}
}

// TestLongNamesCost: what is selected is sorted by all names above it.
func TestLongNamesCost(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	few := map[string]any{"a": true, "b": true, "c": true}
	data := map[string]any{"o": map[string]any{long + "1": few, long + "2": few}}
	for src, times := range map[string]int{"$.o.*": 2 * 2, "$.o.*.*": 2 * 5, "$.o..*": 2 * 5, "$.o.*.a": 2 * 2} {
		p, err := parsePath(src)
		if err != nil {
			t.Fatal(err)
		}
		paid := &purse{left: maxOnce}
		if _, _, err := p.selects(data, paid.spend); err != nil || paid.paid < times*len(long)/stepBytes {
			t.Errorf("%s = %v for %d steps, want %d times one for each %d bytes of a name", src, err, paid.paid, times, stepBytes)
		}
	}
}

func TestSelectionsAreBounded(t *testing.T) {
	data := tooMuch()
	for src, ok := range map[string]bool{
		"$.list[7].a":                           true,
		"$.list[-1]":                            true,
		"$.list[:1000].a":                       true,
		"$.text":                                true,
		"$.list[*].a":                           false,
		"$..a":                                  false,
		"$.list[?@.a == 'b']":                   false,
		"$.list[:5000][?$.text == $.text]":      false, // 4 MB for each
		"$.list[:100][?length($.text) > 9]":     false,
		"$['text','list'][:3]":                  true,
		"$[?search(@, '(x{1,5}){1,5}y')]":       false,
		"$.list[:10][?search(@.a, 'c|d') ].a":   true,
		"$.list[:100][?search($.text, 'c')]":    false,
		"$.list[::-1]":                          false,
		"$.list[100000:100100][?@.a != 'b'].a ": true,
	} {
		p, err := parsePath(strings.TrimSpace(src))
		if err != nil {
			t.Errorf("parsePath(%s) = %v", src, err)
			continue
		}
		whole := &purse{left: maxOnce}
		_, _, err = p.selects(data, whole.spend)
		if f := fault.As(err); ok && err != nil || !ok && (f == nil || f.Code != "chain_work_exceeded" || whole.paid != maxOnce/countSteps) {
			t.Errorf("%s = %v for %d steps, want ok = %t", src, err, whole.paid, ok)
		}
		if _, _, err := p.selects(data, (&purse{}).spend); ok && !errors.Is(err, errSpent) {
			t.Errorf("%s without a step = %v, want %v", src, err, errSpent)
		}
	}
}

// TestFiltersCountWhatTheyRead: the texts that patterns look at and the values
// that are compared, wherever they are and whoever calls for them, and not what
// is beside them.
func TestFiltersCountWhatTheyRead(t *testing.T) {
	const n, long = 1000, 2400
	list := make([]any, n)
	for i := range list {
		list[i] = map[string]any{"id": "x", "title": "how to mend a water pump", "body": strings.Repeat("a", long), "n": json.Number("7"), "parts": []any{"a", strings.Repeat("b", long)}}
	}
	data := map[string]any{"l": list, "text": strings.Repeat("a", long), "one": "1"}
	for filter, work := range map[string]int{ // for each value, of patterns and of texts that are compared
		`search(@.title,'pump')`:                            0,
		`search(@.body,'pump')`:                             long / stepBytes,
		`search(@.title,'p.mp')`:                            24 * 5 / stepStates,
		`match(@.title,'(?i).*PUMP') && @.n > 3`:            24 * 7 / stepStates,
		`@.id == 'x' && search(@['title'],'[a-c]+')`:        24 * 3 / stepStates,
		`search(@.body,'[bc]')`:                             long * 2 / stepStates,
		`!search(@.parts[-1],'[ac]')`:                       long * 2 / stepStates,
		`search($.text,'[bc]')`:                             long * 2 / stepStates,
		`search(value(@.body),'[bc]')`:                      long * 2 / stepStates,
		`search('` + strings.Repeat("a", 600) + `','[bc]')`: 600 * 2 / stepStates,
		`search(@.title,'[a-c]+') || search(@.body,'[bc]')`: long * 2 / stepStates,
		`@.body == $.text`:                                  2 * (long / stepBytes),
		`@.parts == 3`:                                      long / stepBytes,
	} {
		p, err := parsePath("$.l[?" + filter + "].id")
		if err != nil {
			t.Errorf("parsePath(%s) = %v", filter, err)
			continue
		}
		if got := p.cost(data) / n; got < work || got > work+35 {
			t.Errorf("%s takes %d steps for each value, want %d and a few for finding it", filter, got, work)
		}
	}
}

// TestWhereNothingIsLeftNothingIsCounted: what is refused would be walked through
// otherwise, again for each item of a map, and so is what takes too long by
// itself.
func TestWhereNothingIsLeftNothingIsCounted(t *testing.T) {
	p, err := parsePath("$.list[*].a")
	if err != nil {
		t.Fatal(err)
	}
	r, data := &runner{}, tooMuch()
	spend, counts := r.spend(t.Context()), 0
	for range 1000 {
		before := r.effort.Load()
		if _, _, err := p.selects(data, spend); fault.As(err) == nil || fault.As(err).Code != "chain_work_exceeded" {
			t.Fatalf("selects = %v, want chain_work_exceeded", err)
		}
		if r.effort.Load() > before {
			counts++
		}
	}
	if want := maxEffort/maxOnce*countSteps + 1; counts != want {
		t.Errorf("it was counted %d times, want %d in a run", counts, want)
	}
}

// TestWorkIsOfTheRun: what all steps take together is bounded, and nothing is
// done for those who left.
func TestWorkIsOfTheRun(t *testing.T) {
	r := &runner{}
	ctx, leave := context.WithCancelCause(t.Context())
	for range maxEffort / maxOnce {
		if err := r.spend(ctx)(maxOnce); err != nil {
			t.Fatal(err)
		}
	}
	if f := fault.As(r.spend(ctx)(1)); f == nil || f.Kind != fault.Unprocessable || f.Code != "chain_work_exceeded" {
		t.Errorf("a step too many = %v, want chain_work_exceeded", f)
	}
	leave(errStopped)
	if err := (&runner{}).spend(ctx)(1); err != errStopped {
		t.Errorf("a step after the end = %v, want %v", err, errStopped)
	}
}

// TestOutputsThatAreTooLargeAreNotMade: a value may be selected many times.
func TestOutputsThatAreTooLargeAreNotMade(t *testing.T) {
	var v any = "x"
	for range 50 {
		v = []any{v, v}
	}
	if _, err := encode(v); !errors.Is(err, fault.TooLarge) {
		t.Errorf("encode = %v, want too large", err)
	}
}
