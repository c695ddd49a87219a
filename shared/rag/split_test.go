package rag

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// prose is n different sentences, in paragraphs of five.
func prose(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Sentence %d says something about subject%d.", i, i)
		if i%5 == 4 {
			b.WriteString("\n\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// unbroken is n different groups of characters without any space.
func unbroken(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "日%d本", i)
	}
	return b.String()
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "        'value %d',\n", i)
	}
	return b.String()
}

func TestPassagesCoverTheirDocument(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		text string
	}{
		{"text", Text, prose(400)},
		{"one long line", Text, strings.ReplaceAll(prose(400), "\n\n", " ")},
		{"without spaces", Text, unbroken(4000)},
		{"markdown", Markdown, "# A\n\n" + prose(100) + "\n\n## B\n\n" + prose(100)},
		{"code", Code, "def f():\n    x = [\n" + lines(500) + "    ]\n\ndef g():\n    pass\n"},
		{"short", Text, "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := Split(c.kind, "", c.text)
			pos := 0 // up to here the passages have all of the text
			for i, p := range list {
				if len(p.Text) > maxPassage || p.Text == "" || !utf8.ValidString(p.Text) || len(p.Context) > maxContext+1 {
					t.Errorf("passage %d has %d bytes, context of %d", i, len(p.Text), len(p.Context))
				}
				at := strings.Index(c.text[max(0, pos-2*overlap):], p.Text)
				if at < 0 {
					t.Fatalf("passage %d is not in the text after what came before: %.80q", i, p.Text)
				}
				at += max(0, pos-2*overlap)
				if at > pos && strings.TrimSpace(c.text[pos:at]) != "" {
					t.Errorf("between passages %d and %d is lost: %q", i-1, i, c.text[pos:at])
				}
				pos = at + len(p.Text)
			}
			if rest := strings.TrimSpace(c.text[pos:]); rest != "" {
				t.Errorf("no passage has the end: %.80q", rest)
			}
		})
	}
}

func TestLongTextIsCutBetweenSentencesAndOverlaps(t *testing.T) {
	list := Split(Text, "", prose(200))
	if len(list) < 4 {
		t.Fatalf("%d passages", len(list))
	}
	for i, p := range list {
		if !strings.HasPrefix(p.Text, "Sentence ") || !strings.HasSuffix(p.Text, ".") {
			t.Errorf("passage %d is cut inside a sentence: %.30q … %q", i, p.Text, p.Text[len(p.Text)-30:])
		}
		if i > 0 {
			first, _, _ := strings.Cut(p.Text, ".")
			if !strings.Contains(list[i-1].Text, first) {
				t.Errorf("passage %d does not begin in the one before: %q", i, first)
			}
		}
	}
}

func TestMarkdownIsCutAtHeadings(t *testing.T) {
	text := "Preface.\n\n# Guide\n\nIntro.\n\n## Install ##\n\n```sh\n# not a heading\nmake\n```\n\n### Linux\n\nUse apt.\n\n## Run\n\nGo."
	want := []Passage{
		{Text: "Preface.", Lead: 7},
		{Text: "# Guide\n\nIntro.", Lead: 7},
		{Text: "## Install ##\n\n```sh\n# not a heading\nmake\n```", Context: "Guide", Lead: 13},
		{Text: "### Linux\n\nUse apt.", Context: "Guide\nInstall", Lead: 9},
		{Text: "## Run\n\nGo.", Context: "Guide", Lead: 6},
	}
	if diff := cmp.Diff(want, Split(Markdown, "", text)); diff != "" {
		t.Errorf("passages (-want +got):\n%s", diff)
	}
	signs := Split(Markdown, "", "# C#\n\nx\n\n## F# ##\n\ny\n\n### A # b\t#\n\nz\n\n#### ## \n\nw\n\n##### #12\n\nv\n\n###### v")
	if got := signs[len(signs)-1].Context; got != "C#\nF#\nA # b\n\n#12" {
		t.Errorf("context below headings with signs = %q", got)
	}
	long := Split(Markdown, "", "# Money\n\n## Budgets\n\n"+prose(100))
	if got := long[len(long)-1].Context; got != "Money\nBudgets" {
		t.Errorf("context of a section's second passage = %q, want its own heading too", got)
	}
}

func TestMarkdownIsCutAtUnderlinedHeadings(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // the passages' contexts and texts
	}{
		{"both levels", "Guide\n=====\n\nIntro.\n\nInstall\n---\nUse\nmake.\n\n### Linux\nUse apt.\n\nRun\n-\nGo.",
			[]string{"|Guide\n=====\n\nIntro.", "Guide|Install\n---\nUse\nmake.", "Guide\nInstall|### Linux\nUse apt.", "Guide|Run\n-\nGo."}},
		{"two lines are one heading", "# A\n\nx\n\nOne\n  two \n  ===  \ny\n\n## C\nz", []string{"|# A\n\nx", "|One\n  two \n  ===  \ny", "One two|## C\nz"}},
		{"headings without text between them", "A\n=\nB\n-\nx\n\n## C\ny", []string{"|A\n=\nB\n-\nx", "A|## C\ny"}},
		{"a rule after an empty line", "# A\n\nx\n\n---\n\ny\n\n***\n- - -\nz", []string{"|# A\n\nx\n\n---\n\ny\n\n***\n- - -\nz"}},
		{"a heading after a rule", "x\n\n---\nA\n===\ny\n\n## B\nz", []string{"|x\n\n---", "|A\n===\ny", "A|## B\nz"}},
		{"front matter", "---\ntitle: T\n# none\n\na: b\n---\nx\n\nA\n===\ny", []string{"|---\ntitle: T\n# none\n\na: b\n---\nx", "|A\n===\ny"}},
		{"a rule at the top", "---\n\nA\n---\nx\n", []string{"|---", "|A\n---\nx"}},
		{"front matter without an end", "---\nA\n===\nx", []string{"|---", "|A\n===\nx"}},
		{"nothing but a rule", "---\n", []string{"|---"}},
		{"tables", "# A\n\na | b\n---|---\n1 | 2\n\n| a |\n---\n| - |\n-", []string{"|# A\n\na | b\n---|---\n1 | 2\n\n| a |\n---\n| - |\n-"}},
		{"items and quotations", "# A\n\n- a\nb\n---\n\n> a\n---\n\n1. a\n---\n\nx\n* a\n---", []string{"|# A\n\n- a\nb\n---\n\n> a\n---\n\n1. a\n---\n\nx\n* a\n---"}},
		{"code", "# A\n\n    a\n---\n\n\ta\n---\n\n```\na\n---\n```\n---\n", []string{"|# A\n\n    a\n---\n\n\ta\n---\n\n```\na\n---\n```\n---"}},
		{"an indented line in a heading", "a\n    b\n---\nx\n\n### C\ny", []string{"|a\n    b\n---\nx", "a b|### C\ny"}},
		{"a paragraph that is no title", "# A\n\nx\n\n" + strings.Repeat("word ", 50) + "\n---\ny", []string{"|# A\n\nx\n\n" + strings.Repeat("word ", 50) + "\n---\ny"}},
		{"a heading is no paragraph", "# A\n---\nx", []string{"|# A\n---\nx"}},
		{"an underline without a paragraph", "===\n\nx", []string{"|===\n\nx"}},
		{"other signs below", "a\n==-\nb\n- -\nc\n =x", []string{"|a\n==-\nb\n- -\nc\n =x"}},
	} {
		var got []string
		for _, p := range Split(Markdown, "", c.text) {
			got = append(got, p.Context+"|"+p.Text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if list := Split(Markdown, "", "Guide\n=====\n\nIntro."); list[0].Lead != len("Guide\n=====") {
		t.Errorf("lead of an underlined heading = %d, want all of it", list[0].Lead)
	}
	if list := Split(HTML, "", "<h1>A</h1><p>None<br>-<p>x<br>==="); len(list) != 1 {
		t.Errorf("a page has underlined headings: %+v", list)
	}
}

// TestSectionsShareALongHeading: a heading may be half of a document, and stand
// above thousands of sections.
func TestSectionsShareALongHeading(t *testing.T) {
	text := "# a\n\nb\n\n## " + strings.Repeat("c ", 128<<10) + "\n\nd\n" + strings.Repeat("### e\nf\n", 4<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	list := Split(Markdown, "", text)
	runtime.ReadMemStats(&after)
	if got := list[len(list)-1].Context; len(got) != maxContext || !strings.HasPrefix(got, "a\nc c ") {
		t.Errorf("context = %q, want the beginning of the headings", got)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 { // the heading once per section is four times that
		t.Errorf("a document of %d bytes took %d", len(text), n)
	}
}

// TestHeadingsAreNoPassages: a heading alone would be found before the text
// that it announces, and answers nothing.
func TestHeadingsAreNoPassages(t *testing.T) {
	want := []Passage{
		{Text: "# Install guide\n\n## Linux\n\nRun make.", Lead: 25},
		{Text: "## Windows\n\n### 11\n\nRun nmake.", Context: "Install guide", Lead: 18},
		{Text: "#### Older\n\n# FAQ\n\nNone.", Lead: 17},
		{Text: "## Unanswered\n\n## Unasked", Context: "FAQ", Lead: 25},
	}
	got := Split(Markdown, "", "\n\n# Install guide\n\n## Linux\n\nRun make.\n\n## Windows\n\n### 11\n\nRun nmake.\n\n#### Older\n\n# FAQ\n\nNone.\n\n## Unanswered\n\n## Unasked\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("passages (-want +got):\n%s", diff)
	}
	if n := len(Split(Markdown, "", strings.Repeat("# a\n", 1000))); n > 5 {
		t.Errorf("4,000 bytes of headings are %d passages, want 5 at most", n)
	}
}

func TestCodeIsCutBetweenDefinitions(t *testing.T) {
	body := strings.Repeat("    total += price * count\n", 30)
	code := "import os\n\n# adds up\ndef add(a):\n" + body + "\n\ndef sub(a):\n" + body + "\n\nclass Till:\n    def open(self):\n" + strings.Repeat(body, 4)
	list := Split(Code, "python", code)
	if len(list) < 4 || !strings.Contains(list[0].Text, "# adds up\ndef add") || strings.Contains(list[0].Text, "def sub") || !strings.HasPrefix(list[1].Text, "def sub") ||
		!strings.HasPrefix(list[2].Text, "class Till") {
		t.Fatalf("passages = %+v", list)
	}
	if last := list[len(list)-1]; last.Context != "python\nclass Till:" || !last.Code {
		t.Errorf("context of a definition's second passage = %q, want language and signature", last.Context)
	}
}

func TestHTMLIsReadAsPeopleDo(t *testing.T) {
	page := `<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body><script>if (a<b) "</p>"</script>
<h1 class="a>b">Fish &amp; chips</h1><p>Two   <b>hot</b>, <i>cr</i>isp.<br>Line<!-- no --> two.</p><ul><li>one<li>two</ul><h2>More</h2>
<pre>  x &lt; y
  z</pre><table><tr><td>a</td><td>b</td></tr></table>1 < 2 <unclosed`
	got := htmlText(page)
	want := "# T\n\n# Fish & chips\n\nTwo hot, crisp.\nLine two.\n\none\ntwo\n\n## More\n\n```\n  x < y\n  z\n```\n\na b\n\n1 < 2"
	if got != want {
		t.Errorf("htmlText = %q\nwant       %q", got, want)
	}
	list := Split(HTML, "", page)
	if len(list) != 2 || list[1].Context != "Fish & chips" {
		t.Errorf("passages = %+v", list)
	}
}

func TestHTMLText(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"the title is a heading", "<title>All about\n fish &amp; chips</title><p>Text.<h2>More</h2>x", "# All about fish & chips\n\nText.\n\n## More\n\nx"},
		{"a title alone", "<html><head><title>T</title></head></html>", "# T"},
		{"the first heading repeats the title", "<title>Fish</title><h1>Fish</h1><p>Text.", "# Fish\n\nText."},
		{"the first heading begins like the title", "<title>Fish</title><h1>Fishes</h1>", "# Fish\n\n# Fishes"},
		{"two titles, one of a drawing", "<svg><title>Icon</title></svg><title>One</title><title>Two</title>x", "# One\n\nx"},
		{"a head without an end", "<head><meta charset=utf-8><title>T</title><style>p</style><body>x", "# T\n\nx"},
		{"images", `<p>See<img src="a.png" alt="the  map &lt;1&gt;">, <IMG ALT='here'><img alt=""><img alt><img src=x>.`, "See the map <1> , here ."},
		{"the hidden attribute", "a<div hidden>b<div>c</div>d</div>e<p hidden=''>f<p>g<span HIDDEN>h</span>", "ae\n\ng"},
		{"what a search on the page finds", `<div hidden="until-found">a</div>`, "a"},
		{"what is not read aloud", `<a aria-hidden="true">#</a>a<i aria-hidden=false>b</i>`, "ab"},
		{"what is not displayed", `<p style="color:red; display : none">a</p><p style="display:block">b</p>`, "b"},
		{"void elements hide nothing else", `<input type=text hidden>a<img hidden alt=b><br hidden>c`, "ac"},
		{"ends that may be left out", "<ul><li hidden>a<li>b<li hidden>c</ul>d<table><tr hidden><td>e<td>f<tr><td>g<tbody hidden><tr><td>h</table>i<dl><dt hidden>j<dd>k</dl>",
			"b\n\nd\n\ng\n\ni\n\nk"},
		{"ends that come too late", "<div><span hidden>a</div>b", "b"},
		{"ends of nothing", "<div hidden>a</p></b>c</div>d</div>e", "d\n\ne"},
		{"a page that a script shows", "<html hidden><body style=display:none>a", "a"},
		{"elements that nobody reads", "a<template><template>b</template>c</template><noscript>d</noscript><object>e</object><iframe><p></iframe><svg><path/><text>f</text></svg>g", "ag"},
		{"scripts with tags in them", "a<script hidden>'<div hidden>' </scripts> < </script >b<style>c</style >d", "abd"},
		{"titles, images and breaks in what is hidden", "<div hidden><title>a</title><img alt=b><pre>c</pre><br><h1>d</h1></div>e", "e"},
		{"attributes as people write them", `<p title=it's data-x = "a>b" hidden>a</p><p title="hidden" class=hidden>b</p><p nothidden>c</p><p x=hidden/ hidden/>d</p>`, "b\n\nc"},
		{"preformatted text has no headings", "<h1>A</h1><pre>\n# a comment\n  <b>x</b>\n\n</pre><p>b", "# A\n\n```\n# a comment\n  x\n```\n\nb"},
		{"preformatted fences", "<pre>```\n# a\n```</pre>", "~~~\n```\n# a\n```\n~~~"},
		{"preformatted blocks", "<pre>a<br>b<h1>c</h1></pre><pre> </pre>d", "```\na\nb\nc\n```\n\nd"},
		{"preformatted to the end", "<pre>a", "```\na\n```"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := htmlText(c.page); got != c.want {
				t.Errorf("htmlText(%q)\n = %q\nwant %q", c.page, got, c.want)
			}
		})
	}
}

func TestGuessKind(t *testing.T) {
	for text, want := range map[string]Kind{
		"<!doctype html><p>x":                           HTML,
		"  <HTML lang=en>":                              HTML,
		"# Title\n\nText.":                              Markdown,
		"Text.\n```\ncode\n```":                         Markdown,
		"Title\n=====\n\nText.":                         Markdown,
		"a\n\n=====\nb == c\n=":                         Text,
		"Plain text about functions and classes.":       Text,
		"package main\n\nfunc main() {}":                Code,
		"// A comment.\n\nfunc main() {\n}":             Code,
		"@cached\ndef f(x):\n    return x":              Code,
		"def f(x, y=3, **kw):\n    # one\n    return x": Code,
		"# Adds.\ndef add(a, b):\n    return a + b":     Code,
		"#include <stdio.h>\n":                          Code,
		"const a = require('a');\n":                     Code,
		"public class A {\n}":                           Code,
		"":                                              Text,
	} {
		if got := GuessKind(text); got != want {
			t.Errorf("GuessKind(%q) = %s, want %s", text, got, want)
		}
	}
}

// TestNoTextIsSlow would run for minutes if any step were quadratic.
func TestNoTextIsSlow(t *testing.T) {
	var a Analyzer
	for _, s := range []string{"<", "</", "<script></", "<p", "<p>", "<a href='", "<!--", "&", "\n", " ", "# a\n", "```\n", "a", "_", "A", "aB", "def f(", "def f():\n", "日", ". ", "\xff", "#", "\n\n",
		"public static final ", "class a\n", "from a", "\t"} {
		text := strings.Repeat(s, 256<<10/len(s))
		for _, kind := range Kinds {
			for _, p := range Split(kind, "", text) {
				a.Terms(p)
			}
		}
		GuessLanguage(text)
		GuessKind(text)
	}
	for _, s := range []string{"<p hidden>", "<div><li><td>", "<b></i>", "<pre>", "<pre></pre>a", "<title>", "<title>a</title>", "<img alt=a>", "<p a='b' c=d "} {
		htmlText(strings.Repeat(s, 256<<10/len(s)))
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "<", "</", "<!--", "<p", "&#0;", "```\n# x", "# ", "\r\n\r\n", "\r", "\v\u00a0", "\xff\xfe", "<pre>&lt;", "######## x", strings.Repeat(" \n", 3000),
		strings.Repeat("é", 3000), prose(60)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a Analyzer
		for _, kind := range Kinds {
			for i, p := range Split(kind, "", text) {
				if len(p.Text) > maxPassage || p.Lead > len(p.Text) || strings.TrimSpace(p.Text) == "" || utf8.ValidString(text) && !utf8.ValidString(p.Text+p.Context) {
					t.Errorf("%s: passage %d = %q, lead %d", kind, i, p.Text, p.Lead)
				}
				a.Terms(p)
			}
		}
		GuessKind(text)
	})
}

func TestKindByName(t *testing.T) {
	for name, want := range map[string]string{
		"src/Foo.java": "code java", "a/b/x.kt": "code kotlin", "main.GO": "code go", "x.test.ts": "code typescript", "q.sql": "code sql", "run.sh": "code shell",
		"README.md": "markdown ", "p.html": "html ", "page.HTM": "html ", "notes.txt": " false", "v1.2": " false", "java": " false", "": " false", "dir.go/": " false", "x.": " false",
	} {
		kind, language, ok := KindByName(name)
		got := string(kind) + " " + language
		if !ok {
			got += "false"
		}
		if got != want {
			t.Errorf("KindByName(%q) = %q, want %q", name, got, want)
		}
	}
}
