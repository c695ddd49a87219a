package prompt

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// unit is messages that are kept or left out together: a question and its
// answer, or, in a turn with tools, a call with its results.
type unit struct {
	messages []int // in order
	stays    bool  // whatever happens
	asks     bool  // a part of the newest question: it goes last
	head     int   // the unit with the question of this one's turn, without which it makes no sense; -1 for none
	tokens   int64
	score    float64 // how much it matters
}

// unitsOf cuts messages up. System messages, the newest user message, and the
// newest step after it stay. Of several user messages in a row each is a unit,
// the last one with the answer: many clients send what they have to show in
// parts, which are too many to be kept or left out together.
func unitsOf(messages []json.RawMessage) []unit {
	list := steps(messages)
	newest := -1 // the newest user message
	for i, s := range list {
		if s.role == "user" {
			newest = i
		}
	}
	var units []unit
	caller := map[string]int{}                   // the unit that has made a call, by the call's id
	open, head, tools, last := -1, -1, false, -1 // the unit that is being built, that with the turn's question, whether the turn has calls, the unit of the last message
	start := func(i int) {
		units = append(units, unit{messages: []int{i}, stays: i == newest, head: -1})
		open = len(units) - 1
		last = open
	}
	join := func(i, u int) {
		units[u].messages = append(units[u].messages, i)
		last = u
	}
	for i, s := range list {
		calling := len(s.calls) > 0
		by, known := caller[s.id]
		switch {
		case s.system():
			units = append(units, unit{messages: []int{i}, stays: true, head: -1}) // it interrupts nothing
			continue
		case s.role == "user":
			start(i)
			head, tools = open, false
		case s.result && known:
			join(i, by)
		case open < 0:
			start(i)
		case s.result && len(list[units[open].messages[0]].calls) > 0:
			join(i, open)
		case calling || tools || newest >= 0 && i > newest:
			start(i)
			units[open].head = head
			tools = true
		default:
			join(i, open)
		}
		for _, id := range s.calls {
			caller[id] = last
		}
	}
	if last >= 0 {
		units[last].stays = true
	}
	for i := len(units) - 1; i >= 0; i-- {
		first := units[i].messages[0]
		if first > newest || list[first].system() {
			continue
		}
		if list[first].role != "user" || first < newest && len(units[i].messages) > 1 { // it has an answer
			break
		}
		units[i].asks = true
	}
	return units
}

// textOf is what a message says, for searching.
func textOf(m json.RawMessage) string {
	fields := rawjson.Fields(nil, m)
	content := rawjson.Get(fields, "content")
	if rawjson.Kind(content) != "array" {
		text, _ := rawjson.String(content)
		return text
	}
	var b strings.Builder
	rawjson.Elements(content, func(_ int, part []byte) error {
		if rawjson.Kind(part) == "object" {
			text, _ := rawjson.String(rawjson.Get(rawjson.Fields(nil, part), "text"))
			b.WriteString(text)
			b.WriteByte('\n')
		}
		return nil
	})
	return b.String()
}

// Question is what the newest user message that has a text says, or as much of
// that as is searched for.
func Question(messages []json.RawMessage) string {
	for _, m := range slices.Backward(messages) {
		if role(m) != "user" {
			continue
		}
		if text := textOf(m); strings.TrimSpace(text) != "" {
			return clip.To(text, maxQuestion)
		}
	}
	return ""
}

// callsOf are the calls of a message, in JSON.
func callsOf(m json.RawMessage) string {
	fields := rawjson.Fields(nil, m)
	return string(rawjson.Get(fields, "tool_calls")) + string(rawjson.Get(fields, "function_call"))
}

const (
	// maxQuestion bounds what is searched for, in bytes.
	maxQuestion = 8 << 10
	// fewTerms are too few to tell what a question is about ("and why?"): then
	// the turn before it says so, too.
	fewTerms = 3

	// The turns beside one that matters often say what it is about. These
	// figures, and newestShare, were chosen with make eval.
	besideWeight  = 0.5
	recencyWeight = 0.1
)

// rank scores the units that may be left out: by how well they fit the
// question, or one beside them does, and a little by how new they are. It fails
// with ctx.
func rank(ctx context.Context, units []unit, messages []json.RawMessage, question string) error {
	var index rag.Inverted
	var analyzer rag.Analyzer
	var may []int // units, by slot
	for i, u := range units {
		if u.stays {
			continue
		}
		var b strings.Builder
		for _, m := range u.messages {
			b.WriteString(textOf(messages[m]))
			b.WriteByte('\n')
			b.WriteString(callsOf(messages[m]))
			b.WriteByte('\n')
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		index.Add(analyzer.Terms(rag.Passage{Text: b.String()}))
		may = append(may, i)
	}
	terms := rag.QueryTerms(question)
	if rag.Said(terms) < fewTerms && len(may) > 0 {
		questions := []string{question}
		for _, m := range units[may[len(may)-1]].messages {
			questions = append(questions, clip.To(textOf(messages[m]), maxQuestion))
		}
		terms = rag.QueryTerms(questions...)
	}
	fits := make([]float64, len(may))
	var best float64
	for _, hit := range index.Search(terms, len(may), nil) {
		fits[hit.Slot] = float64(hit.Score)
		best = max(best, float64(hit.Score))
	}
	for slot, i := range may {
		beside := 0.0
		if slot > 0 {
			beside = fits[slot-1]
		}
		if slot+1 < len(fits) {
			beside = max(beside, fits[slot+1])
		}
		if best > 0 {
			units[i].score = (fits[slot] + besideWeight*beside) / best
		}
		units[i].score += recencyWeight * float64(slot) / float64(len(may))
	}
	return nil
}
