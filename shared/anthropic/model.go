package anthropic

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// traits are what a model can take. Anthropic refuses with status 400 what a
// model is too new or too old for, so that one translation cannot fit all.
type traits struct {
	schemas  bool // output_config.format; before Claude 4.5 a forced tool has to do
	adaptive bool // thinking is adaptive and has an effort; before Claude 4.6 it has a budget
	sampling bool // temperature, top_p, top_k; not since Claude 4.7
	thinks   bool // it thinks unless told not to
	always   bool // it cannot be told not to
	forcible bool // tool_choice may force a tool; not where thinking is always on, nor since Claude 5.5
}

// traitsOf reads them from the model's name. Models of others that speak the
// protocol get what Claude took before 4.5, which is what they copied.
func traitsOf(model string) traits {
	name, ok := strings.CutPrefix(model[strings.LastIndexByte(model, '/')+1:], "claude-")
	if !ok {
		return traits{sampling: true, forcible: true}
	}
	v := 0 // 405 for 4.5
	for word := range strings.SplitSeq(name, "-") {
		n, err := strconv.Atoi(word)
		switch {
		case err != nil || len(word) > 2: // a family, or a date
		case v == 0:
			v = 100 * n
		default:
			v += n
		}
	}
	family, _, _ := strings.Cut(name, "-")
	if v == 0 { // an alias like claude-opus-latest: the newest there is
		v = 505
	}
	always := family == "fable" || family == "mythos" || v >= 505 && family != "haiku"
	return traits{
		schemas: v >= 405, adaptive: v >= 406, sampling: v < 407, thinks: v >= 500, always: always,
		forcible: v < 505 && !always,
	}
}

// budgets are how many tokens an effort may spend on thinking where the model
// wants a number. The largest, with an answer, still fits the 32,000 tokens
// that Claude Opus 4 can write. 1,024 is the least that the API takes.
var budgets = map[string]int64{"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 24576}

const minBudget = 1024

type thinking struct {
	Type         string `json:"type"`
	BudgetTokens int64  `json:"budget_tokens,omitempty"`
	Display      string `json:"display,omitempty"`
}

// think fills in what the request says about thinking, and max_tokens, which
// bounds thinking and answer together, as OpenAI's max_completion_tokens does:
// a client's bound is kept, and a budget made to fit it; only a bound of our
// own is raised. It reports whether the model will think, and whether
// reasoning_effort could be followed.
func (p *Provider) think(w *request, req *llm.Request, chat *llm.Chat, tr traits) (thinks, followed bool) {
	w.MaxTokens = req.MaxTokens
	if w.MaxTokens == 0 && p.MaxTokens != nil {
		w.MaxTokens = p.MaxTokens(req.Model)
	}
	if w.MaxTokens == 0 {
		w.MaxTokens = defaultMaxTokens
	}
	room := func(budget int64) {
		if req.MaxTokens == 0 {
			w.MaxTokens = max(w.MaxTokens, budget+defaultMaxTokens)
		}
	}
	if chat.Thinking != nil { // the client knows what it does
		var t thinking
		json.Unmarshal(chat.Thinking, &t) // what is wrong with it, Anthropic will say
		w.Thinking = chat.Thinking
		room(t.BudgetTokens)
		if tr.adaptive {
			w.effort(chat.ReasoningEffort, true)
		}
		return t.Type != "disabled", tr.adaptive
	}
	effort := chat.ReasoningEffort
	budget, known := budgets[effort]
	forced := w.ToolChoice.forces()
	switch {
	case tr.adaptive && tr.always:
		if effort != "" && effort != "none" {
			w.setThinking(thinking{Type: "adaptive", Display: "summarized"})
		}
		room(budgets["medium"])
		w.effort(effort, true)
		return true, true
	case tr.adaptive && (effort == "none" || forced): // a forced tool excludes thinking
		if effort != "" || tr.thinks {
			w.setThinking(thinking{Type: "disabled"})
		}
		if effort != "none" {
			w.effort(effort, false)
		}
		return false, true
	case tr.adaptive:
		if effort != "" {
			w.setThinking(thinking{Type: "adaptive", Display: "summarized"})
			w.effort(effort, !tr.sampling)
		}
		if tr.thinks || effort != "" {
			room(max(budget, budgets["medium"]))
		}
		return tr.thinks || effort != "", true
	case effort == "" || effort == "none":
		return false, true
	case !known || forced:
		return false, false
	}
	if req.MaxTokens > 0 {
		budget = min(budget, req.MaxTokens-req.MaxTokens/4) // a quarter is left for the answer
	}
	if budget < minBudget {
		return false, false
	}
	room(budget)
	w.setThinking(thinking{Type: "enabled", BudgetTokens: budget})
	return true, true
}

func (w *request) setThinking(t thinking) {
	w.Thinking, _ = json.Marshal(t)
}

// effort translates OpenAI's words. An unknown one goes upstream as it is.
// top says whether the model knows an effort above high under these
// circumstances.
func (w *request) effort(effort string, top bool) {
	switch {
	case effort == "":
		return
	case effort == "none" || effort == "minimal":
		effort = "low"
	case effort == "xhigh" && !top, effort == "max" && !top:
		effort = "high"
	}
	w.config().Effort = effort
}

// sample fills in the sampling parameters that the model takes, and returns
// the names of those fields that are taken care of.
func (w *request) sample(chat *llm.Chat, tr traits, thinks bool) []string {
	var done []string
	if t := chat.Temperature; t != nil && *t == 1 {
		done = append(done, "temperature") // 1 is what happens anyway
	} else if t != nil && tr.sampling && !thinks {
		w.Temperature = new(min(max(*t, 0), 1)) // OpenAI's goes up to 2
		done = append(done, "temperature")
	}
	if k := chat.TopK; k != nil && tr.sampling && !thinks {
		w.TopK = k
		done = append(done, "top_k")
	}
	if p := chat.TopP; p != nil && *p == 1 {
		done = append(done, "top_p")
	} else if p != nil && tr.sampling && w.Temperature == nil && (!thinks || *p >= 0.95) { // not both, since Claude 4.1
		w.TopP = p
		done = append(done, "top_p")
	}
	return done
}

// stops returns the stop sequences that Anthropic takes: it refuses those of
// nothing but white space.
func stops(stop []string) []string {
	var kept []string
	for _, s := range stop {
		if strings.TrimSpace(s) != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

// userID is what the client calls its own user, under the old or the new name.
func userID(req *llm.Request, chat *llm.Chat) string {
	if chat.User != "" {
		return chat.User
	}
	id, _ := rawjson.String(rawjson.Get(req.Fields, "safety_identifier"))
	return id
}
