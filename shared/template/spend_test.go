package template_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

var errSpent = errors.New("no more steps")

// purse pays for so many steps.
type purse struct{ left, paid int }

func (p *purse) spend(steps int) error {
	p.paid += steps
	if p.left -= steps; p.left < 0 {
		return errSpent
	}
	return nil
}

func snippet(t *testing.T, source string) *template.Snippet {
	t.Helper()
	s, err := template.ParseSnippet("user", source, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRenderingStopsWhenNobodyPays(t *testing.T) {
	for name, source := range map[string]string{
		"loops":       `{{range .a}}{{range $.a}}{{if gt 1 2}}{{end}}{{end}}{{end}}`,
		"comparisons": `{{range .a}}{{if eq $.b "x"}}{{end}}{{end}}`,
		"lengths":     `{{range .a}}{{if and (len $.b) true}}{{end}}{{end}}`,
	} {
		data := map[string]any{"a": make([]any, 300), "b": strings.Repeat("x", 1<<20)}
		whole := &purse{left: 1 << 30}
		if _, err := snippet(t, source).Render(data, "data", whole.spend); err != nil && !errors.Is(err, fault.Invalid) || whole.paid < 500 {
			t.Errorf("%s: Render = %v after %d steps, want some", name, err, whole.paid)
		}
		some := &purse{left: 400}
		_, err := snippet(t, source).Render(data, "data", some.spend)
		if !errors.Is(err, errSpent) || errors.Is(err, fault.Invalid) || some.paid >= whole.paid && whole.paid > 10_000 {
			t.Errorf("%s: Render = %v after %d of %d steps, want the purse's error, early", name, err, some.paid, whole.paid)
		}
	}
}

// TestLongNamesCost: each sorting reads them again.
func TestLongNamesCost(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	p := &purse{left: 1 << 30}
	_, err := snippet(t, `{{range .a}}{{range $.b}}{{break}}{{end}}{{end}}`).Render(map[string]any{"a": make([]any, 10), "b": map[string]any{long + "1": 1, long + "2": 2}}, "data", p.spend)
	if err != nil || p.paid < 10*2*4096 {
		t.Errorf("Render = %v for %d steps, want one for each 256 bytes of names", err, p.paid)
	}
}

func TestWhatIsWrittenIsPaid(t *testing.T) {
	p := &purse{left: 1 << 30}
	if _, err := snippet(t, `{{.b}}`).Render(map[string]any{"b": strings.Repeat("x", 200<<10)}, "data", p.spend); err != nil || p.paid < 800 {
		t.Errorf("Render = %v for %d steps, want one for each 256 bytes", err, p.paid)
	}
}

// TestAValueThatIsTooLargeIsNotMade: 2^40 elements would be.
func TestAValueThatIsTooLargeIsNotMade(t *testing.T) {
	var v any = "x"
	for range 40 {
		v = []any{v, v}
	}
	_, err := snippet(t, `{{.a}}`).Render(map[string]any{"a": v}, "data", nil)
	if !errors.Is(err, fault.TooLarge) {
		t.Errorf("Render = %v, want too large", err)
	}
}

// TestLongNumbersCost: each comparison of a number of a thousand digits counts
// for more than one of 5.
func TestLongNumbersCost(t *testing.T) {
	steps := func(n string) int {
		p := &purse{left: 1 << 30}
		if _, err := snippet(t, `{{range .a}}{{if gt $.b 5}}{{end}}{{end}}`).Render(map[string]any{"a": make([]any, 1000), "b": json.Number(n)}, "data", p.spend); err != nil {
			t.Fatal(err)
		}
		return p.paid
	}
	if short, long := steps("7"), steps(strings.Repeat("7", 1000)); long < short+20_000 {
		t.Errorf("%d steps for long numbers, %d for short ones", long, short)
	}
}

func TestDefaultsThatNoRenderingTakesAreRefused(t *testing.T) {
	_, err := template.Parse([]byte(`{"user":"{{.n}}","variables":[{"name":"n","type":"number","default":` + strings.Repeat("9", 101) + `}]}`))
	if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "variables[0].default" {
		t.Errorf("Parse = %v, want invalid for variables[0].default", err)
	}
}

func TestMembersGivenTwiceAreRefusedInValues(t *testing.T) {
	p, err := template.Parse([]byte(`{"user":"{{.o}}","variables":[{"name":"o","type":"object"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Render(json.RawMessage(`{"o":{"x":[{"a":1,"a":2}]}}`), "variables")
	if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "variables.o.x[0].a" {
		t.Errorf("Render = %v, want invalid for variables.o.x[0].a", err)
	}
}
