package prompt

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// Window is what a model can take, and what to do with more.
type Window struct {
	Size     int64 // tokens that the model can read and write; 0 means unknown
	Reserve  int64 // of which are for the answer; 0 where that has tokens of its own
	Counter  tokens.Counter
	Strategy Strategy

	// Question is what earlier turns are to matter for; "" means that of the
	// messages.
	Question string
	// Stay is how many messages at the end are never left out: those without
	// which the answer would be about something else.
	Stay int
	// More is what else of the request the model reads, as JSON: tools,
	// response_format and the like.
	More [][]byte

	tally *tokens.Tally
}

// Fitted are messages that fit.
type Fitted struct {
	Messages []json.RawMessage
	Kept     []int // those of the messages given that are in Messages, in order
	Dropped  int   // how many are not
	Tokens   int64 // of the whole prompt, if they were counted; else as estimated
	// Summary is what could stand in for what was dropped; nil if nothing was,
	// nobody asked, or NoSummary says why not. Messages are good without it.
	Summary   *Summary
	NoSummary error

	each []int64 // the tokens of the messages given; nil if they were not counted
}

// newestShare of the room that is left belongs to the newest turns, whatever
// they are about: a conversation must remain one.
const newestShare = 0.3

// gap tells the model that something is missing. It is the same every time, so
// that the provider's cache of the prompt survives.
const gap = "Some earlier messages of this conversation were left out to save space."

// Fit makes messages fit the window. If they do, they are returned as they are.
//
// System and developer messages, the newest user message and the newest step
// after it always stay, as do the last Stay messages, tool calls stay with their
// results, and the order is never changed. If even what has to stay is too long,
// or the strategy is Error, Fit fails with fault.Invalid and the code
// context_length_exceeded. Where tokens can only be estimated, Error refuses
// only what is surely too long, and the others leave a margin; images of which
// the size is not known have a usual one, but nothing is refused for that. What is
// returned with that failure has nothing but the tokens that it is about.
// When ctx is done, Fit soon fails with its error: to count a long prompt takes a
// while.
func (w Window) Fit(ctx context.Context, messages []json.RawMessage) (*Fitted, error) {
	w.tally = w.Counter.Tally(ctx)
	room := w.Size - w.Reserve
	if w.Size <= 0 {
		room = math.MaxInt64
	}
	e := w.tally.Measure(room, messages, w.More...)
	whole := &Fitted{Messages: messages, Kept: make([]int, len(messages)), Tokens: e.Tokens, each: e.Each}
	for i := range messages {
		whole.Kept[i] = i
	}
	aim := room
	if w.Strategy == Truncate || w.Strategy == Summarize {
		aim = w.aim(room)
	}
	switch {
	case w.tally.Err() != nil:
		return nil, w.tally.Err()
	case e.Tokens <= aim:
		return whole, nil
	case w.Strategy == Truncate || w.Strategy == Summarize:
		return w.shorten(ctx, whole, room)
	case e.Low <= room:
		return whole, nil
	}
	return w.tooLong(whole, e)
}

// aim is how many tokens of room a prompt is to have.
func (w Window) aim(room int64) int64 {
	if w.Counter.Exact() || w.Size <= 0 {
		return room
	}
	return Estimated(room, w.Counter.Family)
}

// tooLong says so with the code that routes to models with larger windows, and
// in those words of OpenAI's that clients look for.
func (w Window) tooLong(f *Fitted, e tokens.Measured) (*Fitted, error) {
	about, n := "", e.Tokens
	switch {
	case e.Low == e.High:
	case e.Counted: // there was no point in counting the rest, or nobody knows
		about, n = "at least ", e.Low
	default:
		about = "about "
	}
	of := " for the prompt"
	if w.Reserve > 0 {
		of = fmt.Sprintf(", of which %d are reserved for the answer", w.Reserve)
	}
	f.Messages, f.Tokens = nil, n
	return f, &fault.Error{Kind: fault.Invalid, Param: "messages", Code: "context_length_exceeded",
		Message: fmt.Sprintf("This model's maximum context length is %d tokens%s; the prompt has %s%d tokens.", w.Size, of, about, n)}
}

// plan is a prompt that is being shortened.
type plan struct {
	messages []json.RawMessage
	units    []unit
	each     []int64 // tokens of the messages; of those that cannot be kept, at least
	kept     []bool  // by unit
	left     int64   // tokens
}

// mostly is the share of an estimate's error that few texts reach: whoever left
// room for all of it would leave out a third of what fits.
const mostly = 1.0 / 3

// Estimated is how many tokens a prompt may have by an estimate of family f, so
// that it nearly always fits room.
func Estimated(room int64, f tokens.Family) int64 {
	return int64(float64(room) / (1 + mostly*f.Error()))
}

// shorten leaves out what matters least.
func (w Window) shorten(ctx context.Context, whole *Fitted, room int64) (*Fitted, error) {
	messages := whole.Messages
	p := plan{messages: messages, units: unitsOf(messages), each: make([]int64, len(messages))}
	for i := range p.units {
		u := &p.units[i]
		u.stays = u.stays || u.messages[len(u.messages)-1] >= len(messages)-w.Stay
	}
	p.kept = make([]bool, len(p.units))
	must, unsure, most := w.Counter.CountMessages([]byte("[]"), w.More...), int64(0), int64(0)
	for i := range p.units {
		u := &p.units[i]
		for _, m := range u.messages {
			n, all := w.tally.Message(messages[m], room)
			p.each[m] = n
			u.tokens += n
			if u.stays {
				unsure += w.Counter.Unsure(messages[m])
				if !all {
					most = math.MaxInt64
				}
			}
		}
		if u.stays {
			p.kept[i] = true
			must += u.tokens
		}
	}
	if w.tally.Err() != nil {
		return nil, w.tally.Err()
	}
	// The gap has to be told of even where nothing else than what stays fits.
	note := llm.TextMessage("system", gap)
	must += w.Counter.CountMessage(note)
	if must-unsure > room {
		e := tokens.Measured{Estimate: tokens.Estimate{Tokens: must, Low: must - unsure, High: max(must, most)}, Counted: w.Counter.Exact()}
		if !w.Counter.Exact() {
			e.High++ // nobody knows
		}
		whole.each = p.each
		return w.tooLong(whole, e)
	}
	aim := max(must, w.aim(room))
	question := w.Question
	if question == "" {
		question = Question(messages)
	}
	if err := rank(ctx, p.units, messages, question); err != nil {
		return nil, err
	}
	p.left = aim - must
	bare := slices.Clone(p.kept)
	p.choose()
	if !slices.Contains(p.kept, false) { // it is images that may be too large, and they have to stay
		whole.each, whole.Tokens = p.each, aim-p.left-w.Counter.CountMessage(note)
		return whole, nil
	}
	f := p.fitted(note)
	f.Tokens = aim - p.left
	if w.Strategy == Summarize {
		f.Summary, f.NoSummary = w.summary(plan{messages: messages, units: p.units, each: p.each, kept: bare, left: aim - must}, room, must)
	}
	return f, w.tally.Err()
}

// choose keeps the newest question, the newest units up to their share of what
// is left, and then those that matter most.
func (p *plan) choose() {
	for i := len(p.units) - 1; i >= 0; i-- {
		if p.units[i].asks && !p.take(i) {
			break
		}
	}
	most := p.left
	for i := len(p.units) - 1; i >= 0; i-- {
		if !p.kept[i] && (float64(most-p.left+p.cost(i)) > newestShare*float64(most) || !p.take(i)) {
			break
		}
	}
	order := make([]int, 0, len(p.units))
	for i := range p.units {
		if !p.kept[i] {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.units[b].score, p.units[a].score) })
	for _, i := range order {
		p.take(i)
	}
}

// cost is what keeping unit i takes, with the question that it belongs to.
func (p *plan) cost(i int) int64 {
	n := p.units[i].tokens
	if head := p.units[i].head; head >= 0 && !p.kept[head] {
		n += p.units[head].tokens
	}
	return n
}

// take keeps unit i if there is room for it.
func (p *plan) take(i int) bool {
	if p.kept[i] {
		return true
	}
	cost := p.cost(i)
	if cost > p.left {
		return false
	}
	p.left -= cost
	p.kept[i] = true
	if head := p.units[i].head; head >= 0 {
		p.kept[head] = true
	}
	return true
}

// fitted writes what is kept, and note behind the system messages at the
// beginning.
func (p *plan) fitted(note json.RawMessage) *Fitted {
	f := &Fitted{Kept: []int{}, each: p.each}
	for i, u := range p.units {
		if p.kept[i] {
			f.Kept = append(f.Kept, u.messages...)
		}
	}
	slices.Sort(f.Kept) // a system message can stand within a turn
	f.Dropped = len(p.messages) - len(f.Kept)
	for _, m := range f.Kept {
		f.Messages = append(f.Messages, p.messages[m])
	}
	front := 0
	for front < len(f.Messages) && isSystem(f.Messages[front]) {
		front++
	}
	f.Messages = slices.Insert(f.Messages, front, note)
	return f
}
