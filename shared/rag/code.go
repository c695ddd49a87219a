package rag

import (
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// definition matches the line that gives something a name, in most languages.
var definition = pattern.Pattern{Expr: `(?m)^[ \t]*(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|static|final|abstract|async|override|inline|unsafe|const)[ \t]+)*` +
	`(?:def|func|fn|function|class|struct|interface|trait|enum|type|module|impl|namespace|record|object|fun|sub|proc|macro_rules!)[ \t]+(?:\([^)\n]*\)[ \t]*)?([A-Za-z_$][\w$]*)`}

// maxNames bounds the names of one passage that weigh more.
const maxNames = 16

// definitions returns the names that code defines.
func definitions(code string) []string {
	var names []string
	for _, m := range definition.Regexp().FindAllStringSubmatch(code, maxNames) {
		names = append(names, m[1])
	}
	return names
}

// signature is the line of the first definition in code, or its first line.
func signature(code string) string {
	at, code := 0, clip.To(code, maxPassage)
	if m := definition.Regexp().FindStringIndex(code); m != nil {
		at = m[0]
	}
	line, _, _ := strings.Cut(strings.TrimLeft(code[at:], " \t\n"), "\n")
	return clip.To(line, maxContext)
}

// definitionGroups cuts code at what begins in the first column after a blank
// line: definitions with the comments above them. Short ones stay together.
func definitionGroups(code string) []string {
	var groups []string
	start, blank := 0, false
	for pos := 0; pos < len(code); {
		line, _, _ := strings.Cut(code[pos:], "\n")
		if blank && line != "" && !strings.ContainsAny(line[:1], " \t})]") && pos-start >= codeAtLeast {
			groups = append(groups, code[start:pos])
			start = pos
		}
		blank = strings.TrimSpace(line) == ""
		pos += len(line) + 1
	}
	return append(groups, code[start:])
}

// languages are told by lines that others do not have.
var languages = []struct {
	name string
	line pattern.Pattern
}{
	{"python", pattern.Pattern{Expr: `(?m)^[ \t]*(?:(?:async )?def \w+\(.*|class \w+(?:\(.*\))?:[ \t]*$|from [\w.]+ import |elif .*:$)`}},
	{"go", pattern.Pattern{Expr: `(?m)^(?:package \w+$|func (?:\([^)]*\) )?\w+(?:\[[^\]]*\])?\(|type \w+ (?:struct|interface) \{)`}},
	{"rust", pattern.Pattern{Expr: `(?m)^[ \t]*(?:pub(?:\(\w+\))? )?(?:fn \w+.*(?:\{|->)|impl(?:<.*>)? \w+.*\{|use [\w:]+::.*;$)`}},
	{"java", pattern.Pattern{Expr: `(?m)^[ \t]*(?:public|private|protected)[ \t]+[\w<>\[\] ]+.*\{[ \t]*$|^import [\w.]+\*?;$`}},
	{"c", pattern.Pattern{Expr: `(?m)^#(?:include [<"]|define \w+)`}},
	{"javascript", pattern.Pattern{Expr: `(?m)^[ \t]*(?:(?:export )?(?:default )?(?:async )?function\*? ?\w*\(.*\{|(?:const|let|var) [\w{}, ]+ = .*;?$|(?:import|export) .* from ['"])`}},
}

// guessBy is how much of a text is looked at to guess what it is, in bytes.
const guessBy = 16 << 10

// GuessLanguage names the language of code, or is "".
func GuessLanguage(code string) string {
	code = clip.To(code, guessBy)
	for i := range languages {
		if l := &languages[i]; l.line.Match(code) {
			return l.name
		}
	}
	return ""
}
