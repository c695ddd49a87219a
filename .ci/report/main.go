// Command report reads "go test -json", prints a line per package and the
// output of what failed, and ends with what was not run and why. In CI nothing
// may be left out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	ImportPath                    string // of build output
}

func main() {
	var passed, failed int
	output := map[string]*strings.Builder{} // by package and test
	reasons := map[string]int{}
	broken := map[string]bool{} // packages with a failed test
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			fmt.Print(e.Output)
		case "output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %s %.1fs\n", short(e.Package), e.Elapsed)
			} else {
				passed++
			}
			delete(output, key)
		case "skip":
			if e.Test != "" {
				reasons[reason(output[key])]++
			}
			delete(output, key)
		case "fail":
			if e.Test != "" || !broken[e.Package] { // a package may fail outside any test
				failed++
			}
			broken[e.Package] = true
			fmt.Printf("FAIL  %s %s\n", short(e.Package), e.Test)
			if b := output[key]; b != nil {
				fmt.Print(b.String())
			}
		}
	}
	skipped := 0
	var lines []string
	for r, n := range reasons {
		skipped += n
		lines = append(lines, fmt.Sprintf("%s (%d)", r, n))
	}
	slices.Sort(lines)
	if skipped > 0 {
		fmt.Printf("Not run here: %s\n", strings.Join(lines, "; "))
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 || skipped > 0 && os.Getenv("CI") == "true" {
		os.Exit(1)
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
