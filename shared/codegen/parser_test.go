package codegen_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

var update = flag.Bool("update", false, "rewrite what testdata expects")

// sample is an answer and what is to be made of it. A file of testdata begins
// with what goes wrong in it, and settings; "answer" is what the model wrote.
type sample struct {
	file      string
	archive   *txtar.Archive
	hints     codegen.Hints
	truncated bool
	answer    string
}

func samples(t testing.TB) (list []sample) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %v, %v", files, err)
	}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{file: f, archive: a, answer: string(a.Files[0].Data)}
		s.hints.Code = func(_, text string) bool { return strings.HasPrefix(text, "package ") }
		for line := range strings.Lines(string(a.Comment)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "language":
				s.hints.Language = value
			case "paths":
				s.hints.Paths = strings.Fields(value)
			case "truncated":
				s.truncated = true
			case "cut the last line break":
				s.answer = strings.TrimSuffix(s.answer, "\n")
			case "crlf":
				s.answer = strings.ReplaceAll(s.answer, "\n", "\r\n")
			}
		}
		list = append(list, s)
	}
	return list
}

// read feeds an answer in pieces of n bytes, 0 for all at once, in pieces of
// different sizes up to -n, and returns the events with neighbouring deltas joined.
func read(t testing.TB, hints codegen.Hints, answer string, truncated bool, n int) (codegen.Result, []codegen.Event) {
	t.Helper()
	var events []codegen.Event
	valid := utf8.ValidString(answer)
	p := codegen.NewParser(hints, func(e codegen.Event) error {
		if valid && !utf8.ValidString(e.Text) {
			t.Errorf("in pieces of %d bytes there is half a character: %q", n, e.Text)
		}
		if last := len(events) - 1; last >= 0 && e.Text != "" && events[last].Kind == e.Kind && events[last].Index == e.Index {
			events[last].Text += e.Text
			return nil
		}
		events = append(events, e)
		return nil
	})
	for rest, i := answer, 0; rest != ""; i++ {
		k := len(rest)
		if n > 0 {
			k = min(n, k)
		} else if n < 0 {
			k = min(1+i*i%-n, k)
		}
		if err := p.Write(rest[:k]); err != nil {
			t.Fatal(err)
		}
		rest = rest[k:]
	}
	res, err := p.Finish(truncated)
	if err != nil {
		t.Fatal(err)
	}
	return res, events
}

// show renders a result as testdata has it.
func show(r codegen.Result) []txtar.File {
	var list []txtar.File
	for _, f := range r.Files {
		list = append(list, txtar.File{Name: "file " + f.Language + " " + f.Path, Data: []byte(f.Content)})
	}
	list = append(list, txtar.File{Name: "explanation", Data: []byte(r.Explanation)})
	var notes strings.Builder
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&notes, "%s %s %s: %s\n", d.Severity, d.Code, d.Path, d.Message)
	}
	return append(list, txtar.File{Name: "diagnostics", Data: []byte(notes.String())})
}

func TestAnswers(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(s.file), ".txtar"), func(t *testing.T) {
			res, want := read(t, s.hints, s.answer, s.truncated, 0)
			got := *s.archive
			got.Files = append(got.Files[:1:1], show(res)...)
			text := strings.ReplaceAll(string(txtar.Format(&got)), "\r", "")
			if *update {
				if err := os.WriteFile(s.file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(txtar.Format(s.archive)), text); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.file, diff)
			}
			for _, n := range []int{1, 2, 3, 7, 64, -5, -90} {
				again, events := read(t, s.hints, s.answer, s.truncated, n)
				if diff := cmp.Diff(want, events) + cmp.Diff(res, again); diff != "" {
					t.Errorf("in pieces of %d bytes (-whole +pieces):\n%s", n, diff)
				}
			}
			check(t, s.answer, res, want)
		})
	}
}

// check tests what holds for every answer.
func check(t testing.TB, answer string, r codegen.Result, events []codegen.Event) {
	t.Helper()
	open, starts := -1, 0
	content := map[string]string{}
	paths := map[int]string{}
	for i, e := range events {
		switch e.Kind {
		case codegen.FileStart:
			if open >= 0 || e.Index != starts {
				t.Errorf("event %d starts file %d while %d is open and %d were started", i, e.Index, open, starts)
			}
			open, starts = e.Index, starts+1
			paths[e.Index], content[e.Path] = e.Path, ""
			if err := codegen.CheckPath(e.Path); err != nil {
				t.Errorf("path %q: %v", e.Path, err)
			}
		case codegen.FileDelta:
			if e.Index != open {
				t.Errorf("event %d is for file %d, but %d is open", i, e.Index, open)
			}
			content[paths[e.Index]] += e.Text
		case codegen.FileEnd:
			if e.Index != open || e.Path != paths[e.Index] {
				t.Errorf("event %d ends file %d %s, but %d is open", i, e.Index, e.Path, open)
			}
			open = -1
		}
	}
	if open >= 0 {
		t.Errorf("file %d has no end", open)
	}
	if len(r.Files) != len(content) {
		t.Errorf("%d files in the result, %d in the events", len(r.Files), len(content))
	}
	for _, f := range r.Files {
		if content[f.Path] != f.Content {
			t.Errorf("%s = %q, but its deltas say %q", f.Path, f.Content, content[f.Path])
		}
	}
}

// TestLongLines: lines that are too long to be kept are read alike however they
// come, and in a time that grows with their length only.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("0123456789 ", 4_000)
	for _, answer := range []string{
		"<file path=\"a.json\">" + long + "</file></files>\nDone.",
		"<file path=\"a.json\">\n" + long + "</file>\nDone.",
		"<file path=\"a.json\">\n{</file>" + long + "\n</file>\nDone.",
		"<file path=\"a.json\">\n<![CDATA[" + long + "]]></file>\nDone.",
		"  <file path=\"a.json\">\n" + strings.Repeat(" ", 10_000) + long + "\n  x\n</file>\nDone.",
		"=== a.py ===\n" + long + "\n\nIt is done.\n",
		"=== a.py ===\nx\n" + long + "\n=== b.py ===\n" + long,
		"```json\n{\"a\":\"" + long + "\"}\n```\nDone.",
		"```json a.json\n" + long + "\n```\nDone.", "**a.py** " + long + "\n", "**a.py**\n" + long + "\n", "<" + long, "`" + long, "[" + strings.Repeat(" ", 10_000) + "{}]",
	} {
		res, want := read(t, codegen.Hints{}, answer, false, 0)
		for _, n := range []int{5, 1000, -300, -5000} {
			again, events := read(t, codegen.Hints{}, answer, false, n)
			if !cmp.Equal(want, events) || !cmp.Equal(res, again) {
				t.Errorf("%.40q in pieces of %d bytes: %d files, want %d as in one", answer, n, len(again.Files), len(res.Files))
			}
		}
		check(t, answer, res, want)
		if strings.Contains(answer, "a.json") && (len(res.Files) != 1 || len(res.Files[0].Content) < len(long) || res.Explanation != "Done.") {
			t.Errorf("%.40q: %d files, and %.40q", answer, len(res.Files), res.Explanation)
		}
	}
}

// TestDocumentStreams: a long document is passed on before its end, and what
// comes then is its own.
func TestDocumentStreams(t *testing.T) {
	var got strings.Builder
	p := codegen.NewParser(codegen.Hints{Language: "markdown"}, func(e codegen.Event) error {
		got.WriteString(e.Text)
		return nil
	})
	text := "# Title\n\n" + strings.Repeat("A line of text.\n", 300)
	if err := p.Write(text); err != nil {
		t.Fatal(err)
	}
	if got.String() != text {
		t.Errorf("%d bytes were passed on, want %d", got.Len(), len(text))
	}
	rest := "```markdown b.md\n# B\n```\n"
	if err := p.Write(rest); err != nil {
		t.Fatal(err)
	}
	res, err := p.Finish(false)
	if err != nil || len(res.Files) != 1 || res.Files[0].Content != text+rest {
		t.Errorf("%d files, %v, want the text as one", len(res.Files), err)
	}
}

// TestDoubtsEnd: a string that goes on without end does not keep an answer from
// being passed on, nor do many of them.
func TestDoubtsEnd(t *testing.T) {
	answer := "```python a.py\nP = \"\"\"\n```\n" + strings.Repeat("A line of text.\n", 5_000) + "\"\"\"\n"
	res, want := read(t, codegen.Hints{}, answer, false, 0)
	check(t, answer, res, want)
	if len(res.Files) != 1 || res.Files[0].Content != "P = \"\"\"\n" || len(res.Explanation) < 70_000 {
		t.Errorf("%d files and %d bytes of text, want the file to end at the fence", len(res.Files), len(res.Explanation))
	}
	many := ""
	for i := range 51 {
		many += fmt.Sprintf("```python %d.py\n%s```\n", i, strings.Repeat("P = \"\"\"\n```\nx\n```\n\"\"\"\n", 2))
	}
	res, _ = read(t, codegen.Hints{}, many, false, 0)
	if whole, cut := res.Files[49].Content, res.Files[50].Content; !strings.HasSuffix(whole, "x\n```\n\"\"\"\n") || cut != "P = \"\"\"\n" {
		t.Errorf("files 49 and 50 = %q, %q, want the first to be whole", whole, cut)
	}
}

// FuzzParser: no text and no cutting of it breaks the parser, and the cutting
// changes nothing.
func FuzzParser(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.answer, s.hints.Language, uint8(3), s.truncated)
	}
	f.Fuzz(func(t *testing.T, answer, language string, n uint8, truncated bool) {
		hints := codegen.Hints{Language: language, Paths: []string{"main.go", "a/b.py"}, Code: func(_, text string) bool { return strings.Contains(text, ";") }}
		res, want := read(t, hints, answer, truncated, 0)
		size := 1 + int(n/2)
		if n%2 == 1 {
			size = -size
		}
		again, events := read(t, hints, answer, truncated, size)
		if diff := cmp.Diff(want, events) + cmp.Diff(res, again); diff != "" {
			t.Errorf("%q in pieces of %d (-whole +pieces):\n%s", answer, size, diff)
		}
		check(t, answer, res, want)
		total := 0
		for _, f := range res.Files {
			total += len(f.Content)
		}
		if !strings.Contains(answer, "\"") && total > len(answer) && !strings.Contains(answer, "```") {
			t.Errorf("%d bytes of files from %d bytes of text", total, len(answer))
		}
	})
}
