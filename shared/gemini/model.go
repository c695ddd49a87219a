package gemini

import (
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// generation is the version of a Gemini model, in tenths: 25 for 2.5. It is 0
// for other models (Gemma), and very high for aliases without a number, which
// name the latest.
func generation(model string) int {
	name, ok := strings.CutPrefix(model[strings.LastIndexByte(model, '/')+1:], "gemini-")
	if !ok {
		return 0
	}
	number, _, _ := strings.Cut(name, "-")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0 && v <= 99) { // so that NaN is none
		return 1 << 10
	}
	return int(v*10 + 0.5)
}

type thinkingConfig struct {
	IncludeThoughts bool   `json:"includeThoughts,omitempty"`
	ThinkingLevel   string `json:"thinkingLevel,omitempty"`
	ThinkingBudget  *int64 `json:"thinkingBudget,omitempty"`
}

// budgets are Google's own translation of efforts for Gemini 2.5.
var budgets = map[string]int64{"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}

// think translates the effort: a level since Gemini 3, a number of tokens for
// 2.5, nothing before. ok is false if the model cannot follow it.
func think(model string, chat *llm.Chat) (t *thinkingConfig, ok bool) {
	effort, version := chat.ReasoningEffort, generation(model)
	pro := strings.Contains(model, "-pro")
	switch {
	case effort == "":
		return nil, true
	case version >= 30:
		level := effort
		switch {
		case (effort == "none" || effort == "minimal") && pro: // Pro models cannot think that little
			level = "low"
		case effort == "none":
			level = "minimal"
		case effort == "xhigh" || effort == "max", effort == "medium" && strings.Contains(model, "gemini-3-pro"):
			level = "high"
		}
		return &thinkingConfig{IncludeThoughts: effort != "none", ThinkingLevel: level}, true
	case version >= 25:
		budget, known := budgets[effort]
		if !known {
			return nil, false
		}
		if pro {
			budget = max(budget, 128) // the least that 2.5 Pro can think
		}
		return &thinkingConfig{IncludeThoughts: effort != "none", ThinkingBudget: &budget}, true
	}
	return nil, effort == "none"
}
