//go:build unix

package codegen_test

import (
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/codegen"
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

// cpu is the time that the process has had of all cores, which other processes
// do not change.
func cpu(t *testing.T) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// TestTimeGrowsWithTheAnswer: one of 16 times the size takes some 16 times as
// long, and not the square of that. The bound is far from the one, and half of the other.
func TestTimeGrowsWithTheAnswer(t *testing.T) {
	const small, times, most = 4 << 10, 16, 128
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would work for the large ones only
	for _, e := range endless {
		for _, piece := range []int{64, 1 << 20} {
			took := func(size int) time.Duration {
				text := e.begin + strings.Repeat(e.unit, size/len(e.unit)) + "\n"
				runtime.GC()
				start := cpu(t)
				parse(t, text, piece)
				return cpu(t) - start
			}
			var little, large time.Duration
			for try := range 10 { // the shortest counts: pages come from the system, caches are cold
				if d := took(small); try == 0 || d < little {
					little = d
				}
				if d := took(small * times); try == 0 || d < large {
					large = d
				}
				if large < most*little && try > 0 {
					break
				}
			}
			if large >= most*little {
				t.Errorf("%.30q in pieces of %d: %d KB take %v, and %d KB %v", e.unit, piece, small>>10, little, small*times>>10, large)
			}
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
