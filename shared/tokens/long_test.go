package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// unbroken are texts in which no piece ends.
func unbroken(size int) map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	of := func(alphabet string) string {
		letters := []rune(alphabet)
		var b strings.Builder
		for b.Len() < size {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	again := func(s string) string { return strings.Repeat(s, size/len(s)) }
	return map[string]string{
		"letters": of("abcdefghijklmnopqrstuvwxyz"), "DNA": of("ACGT"), "two letters": of("ab"), "marks": of("-=_*#~.;:<>()[]{}!?"), "Chinese": of("的一是不了人我在有他这中大来上"), "Cyrillic": of("абвгдежзиклмнопрст"), "accents": of("éàüñç"), "emoji": of("😀🎉👍🏽"),
		"a": again("a"), "spaces": again(" "), "dashes": again("-"), "tabs": again("\t "), "ab": again("ab"), "words": again("thequickbrownfoxjumpsoverthelazydog"), "long period": again(of("xyz ")[:longOverlap+77]), "blank lines": again(" \n"),
	}
}

// TestLongPiecesAreSplitAsShortOnes: in parts, as if they were merged at once,
// and without that being necessary.
func TestLongPiecesAreSplitAsShortOnes(t *testing.T) {
	for name, text := range unbroken(5 * longPart / 2) {
		for _, r := range references {
			e := r.ours()
			var m merger
			for _, n := range []int{len(text), longPart + 1} {
				want := m.tokens(e, text[:n])
				got, ok := m.long(e, text[:n], endless)
				if !ok || !slices.Equal(got, want) {
					t.Errorf("%s: %s splits %d bytes into %d tokens, want %d, the same as at once", name, r.name, n, len(got), len(want))
				}
			}
			first := m.tokens(e, text[:longPart])
			from, at := len(first), longPart
			for longPart-at < longOverlap {
				from--
				at -= e.size(first[from])
			}
			if _, ok := m.joinParts(e, first, from, m.tokens(e, text[at:2*longPart])); !ok {
				t.Errorf("%s: %s cannot join two parts", name, r.name)
			}
		}
	}
}

// TestPartsThatCannotBeJoined: where no token ends in both, or none that could
// stand beside the other.
func TestPartsThatCannotBeJoined(t *testing.T) {
	var m merger
	e := o200k()
	id := func(text string) uint32 { return e.rank(text) }
	if row, ok := m.joinParts(e, []uint32{id(" hell")}, 1, []uint32{id("o"), id(" you")}); ok {
		t.Errorf("joinParts = %v, want none: hello is one token", row)
	}
	if row, ok := m.joinParts(e, []uint32{id(" a"), id("ab")}, 1, []uint32{id("a"), id("bc")}); ok {
		t.Errorf("joinParts = %v, want none: nothing ends in both", row)
	}
	if row, ok := m.joinParts(e, []uint32{id(" hell"), id("ough")}, 1, []uint32{id("o"), id("ugh"), id(" there")}); ok {
		t.Errorf("joinParts = %v, want none: the one end in both is in hello", row)
	}
	if row, ok := m.joinParts(e, []uint32{id(" a"), id(" b"), id(" c")}, 1, []uint32{id(" b"), id(" c"), id(" d")}); !ok || !slices.Equal(row, []uint32{id(" a"), id(" b"), id(" c"), id(" d")}) {
		t.Errorf("joinParts = %v, %v, want a to d", row, ok)
	}
}

// TestCountingEndsWithItsContext: in a text of words, and in one without an end
// of a piece.
func TestCountingEndsWithItsContext(t *testing.T) {
	for name, text := range map[string]string{"words": strings.Repeat("some words ", 1<<16), "one word": strings.Repeat("a", 10*patience)} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("left"))
		tally := Counter{Family: O200k}.Tally(ctx)
		if n := tally.Count(text); n > 2*patience || !errors.Is(tally.Err(), context.Canceled) {
			t.Errorf("%s: counted %d tokens, error %v, want an end with the context", name, n, tally.Err())
		}
		if e := tally.Measure(1<<20, []json.RawMessage{message(text)}); tally.Err() == nil {
			t.Errorf("%s: measured %+v without an error", name, e)
		}
	}
}

func message(text string) json.RawMessage {
	return json.RawMessage(`{"role":"user","content":` + quoted(text) + `}`)
}

// TestCountingEndsBeyondTheLimit: by how much is told only where little is left.
func TestCountingEndsBeyondTheLimit(t *testing.T) {
	c := Counter{Family: O200k}
	texts := unbroken(4 * patience)
	texts["prose"] = strings.Repeat("the quick brown fox ", patience/4)
	for _, name := range []string{"letters", "two letters", "emoji", "spaces", "prose"} {
		list := []json.RawMessage{message("few words"), message(texts[name])}
		all, whole := c.Tally(t.Context()).Message(list[1], math.MaxInt64)
		n := c.CountMessage(list[0]) + all + 3
		limit := n / 10
		m := c.Tally(t.Context()).Measure(limit, list)
		if !whole || m.Low <= limit || m.Low > n || m.High < n || m.Tokens < m.Low || m.Tokens > m.High || m.Each != nil || m.Low > 6*n/10 && m.Counted || !m.Counted && name != "spaces" {
			t.Errorf("%s: %d tokens measured against %d: %+v, want more than that, and not all", name, n, limit, m)
		}
		if few, whole := c.Tally(t.Context()).Message(list[1], limit); whole || few <= limit || few > n {
			t.Errorf("%s: of %d tokens Message counts %d, whole: %v, want more than %d", name, n, few, whole, limit)
		}
	}
	list := []json.RawMessage{message(strings.Repeat("word ", 5000)), message("two words")}
	m := c.Tally(t.Context()).Measure(3000, list)
	if want := c.CountMessage(list[0]); m.Low != m.High || len(m.Each) != 2 || m.Each[0] != want || m.Each[1] != c.CountMessage(list[1]) || m.Tokens != m.Each[0]+m.Each[1]+3 {
		t.Errorf("little more than the limit measures %+v, want each counted, the first %d", m, want)
	}
}
