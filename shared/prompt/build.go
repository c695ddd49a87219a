package prompt

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// builder is a prompt that is being put together, part by part.
type builder struct {
	Parts
	budget   Budget
	count    measure
	left     int64 // tokens of Budget.Total that no part has
	messages []json.RawMessage
	account  Account
}

// Build returns the messages in their order. used is the number of passages
// that found room, the best ones.
//
// All system messages come first, that of the project included: many models
// that are served by others than their makers refuse them anywhere else.
func Build(p Parts, b Budget, text Count) (messages []json.RawMessage, used int, a Account) {
	w := builder{Parts: p, budget: b, count: measure{text, p.Media}, left: math.MaxInt64}
	examples, cut := show(p.Examples, b.Examples, w.count)
	system, shown, own := w.count.messages(p.System), w.count.messages(examples), w.count.messages(p.Own)
	if b.Total > 0 {
		w.left = max(0, b.Total-system-shown-own)
	}
	q := w.quote() // before the project, which gets what they leave
	w.instruct(system, q)
	if len(p.Examples) > 0 {
		w.exemplify(examples, shown, cut)
	}
	w.account.Prefix = len(w.messages)
	if len(p.Memory) > 0 {
		w.remember()
	}
	if len(p.Passages) > 0 {
		w.accountFor(q)
	}
	w.ask(own, q)
	return w.messages, q.used, w.account
}

// quotes are the passages that found room, and what goes with them.
type quotes struct {
	rule       json.RawMessage // what the model is told of them
	ruleTokens int64
	block      string // the passages
	tokens     int64  // of block
	used       int    // passages; 0: there are no rule and no block either
	room       int64  // tokens that they leave to the project
}

func (w *builder) quote() quotes {
	none := quotes{room: w.left}
	if w.budget.Quoted > 0 {
		none.room = min(w.left, w.budget.Quoted)
	}
	if len(w.Passages) == 0 {
		return none
	}
	q := none
	tag := passageTag(w.Passages)
	q.rule = llm.TextMessage("system", guard(tag, w.Cite))
	q.ruleTokens = w.count.message(q.rule)
	q.block, q.used, q.tokens = passages(tag, w.Passages, min(w.budget.Passages, q.room-q.ruleTokens), w.count.text)
	if q.used == 0 {
		return none
	}
	w.left -= q.tokens + q.ruleTokens
	q.room -= q.tokens + q.ruleTokens
	return q
}

// instruct writes the system messages. The rule of the passages comes behind
// the project, which is the same for every question.
func (w *builder) instruct(system int64, q quotes) {
	w.messages = slices.Clone(w.System)
	rules := min(q.used, 1)
	w.account.add("system", system+q.ruleTokens, 0, len(w.messages)+rules, 0)
	if text := strings.TrimSpace(w.Project); text != "" {
		about, part := project(text, min(w.budget.Project, q.room), w.count)
		if part.Kept > 0 {
			w.messages = append(w.messages, about)
			w.left -= part.Tokens
		}
		part.Budget = w.budget.Project
		w.account.Parts, w.account.Tokens = append(w.account.Parts, part), w.account.Tokens+part.Tokens
	}
	if q.used > 0 {
		w.messages = append(w.messages, q.rule)
	}
	w.account.origins = make([]Left, len(w.messages), len(w.messages)+len(w.Examples)+len(w.Own))
}

// exemplify writes the examples that fit; cut do not.
func (w *builder) exemplify(fit []json.RawMessage, tokens int64, cut int) {
	w.account.add("examples", tokens, w.budget.Examples, len(fit), cut)
	w.messages = append(w.messages, fit...)
	from := originsOf("examples", w.Examples)
	w.account.origins = append(w.account.origins, from[:len(fit)]...)
	w.account.leave(from[len(fit):], func(i int) int64 { return w.count.message(w.Examples[len(fit)+i]) })
}

// accountFor tells of the passages. They are written with the question.
func (w *builder) accountFor(q quotes) {
	w.account.add("passages", q.tokens, w.budget.Passages, q.used, len(w.Passages)-q.used)
	rest := make([]Left, len(w.Passages)-q.used)
	for i := range rest {
		rest[i] = Left{Part: "passages", Index: q.used + i, ID: w.Passages[q.used+i].Source, Why: OverBudget}
	}
	w.account.leave(rest, func(i int) int64 { return w.count.text(w.Passages[q.used+i].Text) })
}

// ask writes the request's own messages, with the passages in the newest
// question.
func (w *builder) ask(tokens int64, q quotes) {
	w.account.add("messages", tokens, 0, len(w.Own), 0)
	from := originsOf("messages", w.Own)
	for i := range w.OwnAt {
		if from[i].Index = w.OwnAt[i]; w.OwnAt[i] < 0 {
			from[i] = Left{Part: "template", Role: from[i].Role}
		}
	}
	list := w.Own
	if q.used > 0 {
		if list = insert(list, q.block); len(list) > len(from) { // nobody asks anything
			from = slices.Insert(from, 0, Left{Part: "passages", Role: "user"})
		}
	}
	w.account.origins = append(w.account.origins, from...)
	w.messages = append(w.messages, list...)
}

// show keeps the first examples, whole turns, that fit.
func show(examples []json.RawMessage, budget int64, count measure) (kept []json.RawMessage, dropped int) {
	if budget <= 0 {
		return examples, 0
	}
	end := 0
	for i := 1; i <= len(examples); i++ {
		if i < len(examples) && role(examples[i]) != "user" {
			continue
		}
		if budget -= count.messages(examples[end:i]); budget < 0 {
			break
		}
		end = i
	}
	return examples[:end:end], len(examples) - end
}

// originsOf says where messages of a part come from.
func originsOf(part string, list []json.RawMessage) []Left {
	from := make([]Left, len(list))
	for i, m := range list {
		from[i] = Left{Part: part, Index: i, Role: role(m), Why: OverBudget}
	}
	return from
}
