// Command report runs "go test" with the given flags and packages, prints a
// line per package and the output of what failed, and ends with what was not
// run and why. In CI nothing may be left out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// crash is what the race detector says when it has failed itself, which
// happens once in a few thousand runs and says nothing about the code.
const crash = "ThreadSanitizer: CHECK failed"

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	ImportPath                    string // of build output
}

// report is what has been seen of the tests.
type report struct {
	passed, failed int
	reasons        map[string]int              // of skipped tests
	output         map[string]*strings.Builder // by package and test
	broken         map[string]bool             // packages with a failed test
	again          []string                    // packages in which the race detector crashed
}

func main() {
	r := &report{reasons: map[string]int{}, output: map[string]*strings.Builder{}, broken: map[string]bool{}}
	var flags, packages []string
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-") {
			flags = append(flags, arg)
		} else {
			packages = append(packages, arg)
		}
	}
	r.test(flags, packages...)
	if again := r.again; len(again) > 0 {
		r.again = nil
		r.test(flags, again...)
		r.failed += len(r.again) // twice is no accident
	}
	skipped := 0
	var lines []string
	for reason, n := range r.reasons {
		skipped += n
		lines = append(lines, fmt.Sprintf("%s (%d)", reason, n))
	}
	slices.Sort(lines)
	if skipped > 0 {
		fmt.Printf("Not run here: %s\n", strings.Join(lines, "; "))
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, skipped)
	if r.failed > 0 || r.passed == 0 || skipped > 0 && os.Getenv("CI") == "true" {
		os.Exit(1)
	}
}

// test runs the tests of packages and reads what they say.
func (r *report) test(flags []string, packages ...string) {
	before := r.failed
	cmd := exec.Command("go", slices.Concat([]string{"test", "-json"}, flags, packages)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		r.read(out)
		err = cmd.Wait()
	}
	if err != nil && r.failed == before && len(r.again) == 0 { // else it has been said why
		fmt.Println("go test:", err)
		r.failed++
	}
}

func (r *report) read(from io.Reader) {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		r.take(e)
	}
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		if r.output[key] == nil {
			r.output[key] = &strings.Builder{}
		}
		r.output[key].WriteString(e.Output)
		if strings.Contains(e.Output, crash) {
			r.again = append(r.again, e.Package)
		}
	case "pass":
		if e.Test == "" {
			fmt.Printf("ok    %s %.1fs\n", short(e.Package), e.Elapsed)
		} else {
			r.passed++
		}
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.reasons[reason(r.output[key])]++
		}
		delete(r.output, key)
	case "fail":
		r.fail(e, r.output[key])
		delete(r.output, key)
	}
}

func (r *report) fail(e event, output *strings.Builder) {
	if slices.Contains(r.again, e.Package) {
		if e.Test == "" {
			fmt.Printf("again %s: the race detector has crashed\n", short(e.Package))
		}
		return
	}
	if e.Test != "" || !r.broken[e.Package] { // a package may fail outside any test
		r.failed++
	}
	r.broken[e.Package] = true
	fmt.Printf("FAIL  %s %s\n", short(e.Package), e.Test)
	if output != nil {
		fmt.Print(output.String())
	}
}

func short(pkg string) string {
	return strings.TrimPrefix(strings.TrimPrefix(pkg, "github.com/devmentor/ai-gateway"), "/")
}

// reason is what a test said when it skipped: the line before "--- SKIP".
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok = strings.Cut(text, ": "); ok {
				return strings.TrimSpace(text)
			}
		}
	}
	return "no reason given"
}
