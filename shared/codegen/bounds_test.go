//go:build unix

package codegen_test

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/growthtest"
)

// endless are answers of which the middle is repeated.
var endless = []struct{ begin, unit string }{
	{"", "<think></think>"},
	{"<file path=\"a.py\">\nx\n</file>", "</file>"},
	{"<file path=\"a.py\">\nx\n</file>", " </file></files>"},
	{"", "<file path=\"a.py\">x</file>"},
	{"<file path=\"a.py\">\n", "<file>"},
	{"<file path=\"a.py\">\n", "</file>x"},
}

// parse reads the text in pieces of some bytes.
func parse(t testing.TB, text string, piece int) codegen.Result {
	t.Helper()
	p := codegen.NewParser(codegen.Hints{}, func(codegen.Event) error { return nil })
	for text != "" {
		n := min(piece, len(text))
		if err := p.Write(text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	r, err := p.Finish(false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStackDoesNotGrowWithTheAnswer: one that overflows ends the process.
func TestStackDoesNotGrowWithTheAnswer(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20))
	for _, e := range endless {
		parse(t, e.begin+strings.Repeat(e.unit, (128<<10)/len(e.unit))+"\n", 128<<10)
	}
}

// TestTimeGrowsWithTheAnswer, and not with its square.
func TestTimeGrowsWithTheAnswer(t *testing.T) {
	for _, e := range endless {
		for _, piece := range []int{64, 1 << 20} {
			growthtest.Linear(t, fmt.Sprintf("%.30q in pieces of %d", e.unit, piece), 4<<10, func(size int) func() {
				text := e.begin + strings.Repeat(e.unit, size/len(e.unit)) + "\n"
				return func() { parse(t, text, piece) }
			})
		}
	}
}

// TestTagsBehindAFile: ends of what is around a file are skipped, and what follows
// them in the line is read.
func TestTagsBehindAFile(t *testing.T) {
	begin := "<files><file path=\"a.py\">\nx = 1\n</file>"
	for _, tc := range []struct {
		line, explanation string
		files             int
	}{
		{"</files>", "", 1},
		{" </files> </answer>\t</output>", "", 1},
		{"</files></answer><file path=\"b.py\">y = 2</file>", "", 2},
	} {
		for _, gap := range []string{"", "\n"} {
			r := parse(t, begin+gap+tc.line+"\n", 1<<20)
			if len(r.Files) != tc.files || r.Explanation != tc.explanation {
				t.Errorf("behind a file, %q%q: %d files and %q, want %d and %q", gap, tc.line, len(r.Files), r.Explanation, tc.files, tc.explanation)
			}
		}
	}
	if r := parse(t, begin+"\n</files></answer> Done.\n", 1<<20); r.Explanation != "Done." {
		t.Errorf("Explanation = %q, want what follows the tags", r.Explanation)
	}
}
