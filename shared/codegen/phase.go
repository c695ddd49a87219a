package codegen

import "strings"

// phase is what the answer is at present.
type phase int

const (
	phaseBeginning phase = iota // nothing but space so far, or what may become one of:
	phaseThinking               // <think>
	phaseObject                 // an answer in JSON
	phaseLines                  // Markdown
	phaseOutlining              // Markdown that may be the file itself
	phaseDocument               // Markdown that is
)

// thoughts are how models that think aloud begin and end that.
var thoughts = [][2]string{{"<think>", "</think>"}, {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"}, {"<reasoning>", "</reasoning>"},
	{"<scratchpad>", "</scratchpad>"}, {"<seed:think>", "</seed:think>"}, {"[THINK]", "[/THINK]"}, {"<|channel|>analysis", "<|channel|>final<|message|>"}, {"◁think▷", "◁/think▷"}}

// phaseOf says what an answer that begins with s is, and what ends thoughts.
func phaseOf(s string) (now phase, end string) {
	full := len(s) >= maxIntro
	s = strings.TrimSpace(s[:min(len(s), maxIntro)])
	for _, t := range thoughts {
		if strings.HasPrefix(s, t[0]) {
			return phaseThinking, t[1]
		}
		if strings.HasPrefix(t[0], s) && !full {
			return phaseBeginning, "" // "" too
		}
	}
	switch inner := strings.TrimLeft(strings.TrimPrefix(s, "["), space); {
	case strings.HasPrefix(inner, "{"):
		return phaseObject, ""
	case inner == "" && s != "" && !full:
		return phaseBeginning, ""
	}
	return phaseLines, ""
}

const maxIntro = 4096 // bytes that may come before it is known what an answer is
