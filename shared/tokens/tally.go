package tokens

import (
	"context"
	"encoding/json"
	"math"
)

// Tally counts texts and messages one after the other, until its context is
// done: from then on its figures mean nothing.
type Tally struct {
	counter Counter
	ctx     context.Context
	err     error
	due     int // bytes until somebody asks whether to go on

	// Of what is being counted now:
	n, most int64 // tokens so far, and those beyond which nobody needs to know how many they are
	rest    int64 // bytes that are left
	over    bool  // there are more than most, and more than is worth counting
}

// patience is how many bytes are counted without asking whether to go on: some
// milliseconds. So few are always counted to their end.
const patience = 64 << 10

// Tally returns a new one that counts as c does.
func (c Counter) Tally(ctx context.Context) *Tally {
	return &Tally{counter: c, ctx: ctx, due: patience, most: math.MaxInt64}
}

// unending is a Tally that nothing ends.
func (c Counter) unending() *Tally { return c.Tally(context.Background()) }

// Err is why the counting was ended: the context's error, or nil.
func (t *Tally) Err() error { return t.err }

// begin begins with something of some bytes.
func (t *Tally) begin(most int64, bytes int) {
	t.n, t.most, t.rest, t.over = 0, most, int64(bytes), false
}

// more says whether to count so many bytes more. Of what is before them, so many
// tokens were found that n does not hold.
func (t *Tally) more(bytes, found int) bool {
	if t.over || t.err != nil {
		return false
	}
	if t.due -= bytes; t.due <= 0 {
		t.due = patience
		if t.err = t.ctx.Err(); t.err != nil {
			return false
		}
		if t.n+int64(found) > t.most && t.rest > patience {
			t.n, t.over = t.n+int64(found), true
			return false
		}
	}
	t.rest -= int64(bytes)
	return true
}

// Count counts as Counter.Count does.
func (t *Tally) Count(text string) int64 {
	if !t.counter.Exact() {
		return t.counter.Estimate(text).Tokens
	}
	t.begin(math.MaxInt64, len(text))
	t.add(text)
	return t.n
}

// add counts a text, exactly.
func (t *Tally) add(text string) {
	table[t.counter.Family].exact().encode(text, t.more, func(uint32) { t.n++ })
}

// text returns what counts values as exactly as can be: in t, or in s.
func (t *Tally) text(s *sum) func(value []byte) {
	if !t.counter.Exact() {
		return s.add
	}
	return func(value []byte) {
		if !t.over && t.err == nil {
			t.add(textOf(value))
		}
	}
}

// Message counts one message as Counter.CountMessage does. Of one that has more
// than most tokens, it may return no more than that there are more, and is not
// whole.
func (t *Tally) Message(message []byte, most int64) (n int64, whole bool) {
	t.begin(most, len(message))
	var s sum
	t.counter.walk(message, &s, t.text(&s))
	s.counted = t.n
	return s.estimate(t.counter.Family).Tokens, !t.over
}

// Measured is an estimate of a prompt, and how it was made.
type Measured struct {
	Estimate
	// Counted says that the texts were counted, as far as it mattered: what matters
	// of the rest is nothing but how large images and files are.
	Counted bool
	// Each is how many tokens every message has; nil if they were not all counted.
	Each []int64
}

// Measure estimates a chat prompt as exactly as it takes to compare it with
// limit; more are other parts of the request that the model gets to read, such as
// tools, as JSON. Where the counter is Exact, Low and High are certain, and if the
// prompt's length does not prove on which side of limit it is, its texts are
// counted: up to limit, if much is left then, or else to the end. Then the bounds
// are apart only by what is not known of images and files.
func (t *Tally) Measure(limit int64, messages []json.RawMessage, more ...[]byte) Measured {
	c := t.counter
	s := sum{fixed: table[c.Family].perAnswer}
	for _, m := range messages {
		c.walk(m, &s, s.add)
	}
	c.beside(more, &s, s.add)
	e := s.estimate(c.Family)
	if !c.Exact() {
		return Measured{Estimate: e}
	}
	low, high := s.proven()
	if high <= limit || low > limit {
		return Measured{Estimate: within(e.Tokens, low, high), Counted: s.fixed+s.media.Low > limit}
	}
	t.begin(limit-s.fixed-s.media.Low, int(s.bytes))
	s = sum{fixed: table[c.Family].perAnswer}
	text := t.text(&s)
	each := make([]int64, len(messages))
	for i, m := range messages {
		before := t.n + s.fixed + s.media.Tokens
		c.walk(m, &s, text)
		each[i] = t.n + s.fixed + s.media.Tokens - before
	}
	c.beside(more, &s, text)
	s.counted, s.bytes = t.n, t.rest
	if t.over {
		low, high := s.proven()
		return Measured{Estimate: within(e.Tokens, low, high), Counted: true}
	}
	return Measured{Estimate: s.estimate(c.Family), Counted: true, Each: each}
}

// within is an estimate with bounds that are known otherwise.
func within(tokens, low, high int64) Estimate {
	return Estimate{Tokens: min(max(tokens, low), high), Low: low, High: high}
}
