package prompt_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// lines shows what was left out, a line each.
func lines(a prompt.Account) (list []string) {
	for _, l := range a.Left {
		list = append(list, fmt.Sprintf("%s[%d] %s %s %d %s", l.Part, l.Index, l.ID, l.Role, l.Tokens, l.Why))
	}
	return list
}

// TestTheAccountNamesWhatIsLeftOut: by its part, its place, its role and its
// tokens, and says why.
func TestTheAccountNamesWhatIsLeftOut(t *testing.T) {
	p := prompt.Parts{
		System:   raw(`{"role":"system","content":"S"}`),
		Examples: raw(user("e1"), assistant("e2"), user("e3"), assistant("e4")),
		Memory:   [][]json.RawMessage{raw(user("old"), assistant("gone")), raw(user("calc"), call), raw(user("new"), assistant("kept"))},
		MemoryID: func(turn, message int) string { return fmt.Sprintf("msg_%d_%d", turn, message) },
		Older:    3,
		Passages: []prompt.Passage{{Source: "a.md", Text: "Alpha."}, {Source: "b.md", Text: strings.Repeat("long ", 100)}},
		Own:      raw(user("q")),
	}
	callTokens := int64(len(`[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]`) + 4)
	_, used, a := prompt.Build(p, prompt.Budget{Examples: 13, Memory: 20, Passages: 100}, letters)
	want := []string{
		"examples[2]  user 6 budget", "examples[3]  assistant 6 budget",
		"memory[0] msg_0_0 user 7 budget", "memory[1] msg_0_1 assistant 8 budget",
		"memory[2] msg_1_0 user 8 unpaired", fmt.Sprintf("memory[3] msg_1_1 assistant %d unpaired", callTokens),
		"passages[1] b.md  500 budget",
	}
	if diff := cmp.Diff(want, lines(a)); diff != "" || a.LeftMore != 3 || used != 1 {
		t.Errorf("%d more, %d passages, left out (-want +got):\n%s", a.LeftMore, used, diff)
	}
	if _, _, all := prompt.Build(p, prompt.Budget{Memory: 1000, Passages: 1000}, letters); len(all.Left) != 2 || all.Left[0].Why != prompt.Unpaired {
		t.Errorf("with room for everything, what is left out is %q, want the call without a result", lines(all))
	}
	// The request brings the result: the call has no room, and nothing else is wrong with it.
	p.Own = raw(result, user("q"))
	if _, _, all := prompt.Build(p, prompt.Budget{Memory: 1}, letters); len(all.Left) == 0 || strings.Contains(strings.Join(lines(all), "\n"), "unpaired") {
		t.Errorf("left out is %q, want all of memory for its budget", lines(all))
	}
	text := string(a.JSON())
	if !strings.Contains(text, `"left_out":[{"part":"examples","index":2,"role":"user","tokens":6,"why":"budget"},`) || !strings.Contains(text, `"left_out_more":3`) {
		t.Errorf("JSON = %s", text)
	}
	if _, _, none := prompt.Build(prompt.Parts{Own: p.Own}, prompt.Budget{}, letters); strings.Contains(string(none.JSON()), "left_out") {
		t.Errorf("JSON = %s, want nothing about what is left out", none.JSON())
	}
}

// TestTheAccountNamesWhatDoesNotFitTheWindow: also where messages were moved
// before, and by their places in the request.
func TestTheAccountNamesWhatDoesNotFitTheWindow(t *testing.T) {
	long := strings.Repeat("word ", 200)
	p := prompt.Parts{
		Memory:   [][]json.RawMessage{raw(user("m0 "+long), assistant("m1")), raw(user("m2"), assistant("m3"))},
		MemoryID: func(turn, message int) string { return fmt.Sprintf("id%d%d", turn, message) },
		Passages: []prompt.Passage{{Source: "a.md", Text: "Alpha."}},
		Own:      raw(user("o0 "+long), assistant("o1"), `{"role":"developer","content":"late"}`, user("o3")),
		OwnAt:    []int{-1, 4, 5, 6},
	}
	counter := tokens.For("openai", "gpt-4o")
	count := func(s string) int64 { return counter.Estimate(s).Tokens }
	for _, tidied := range []bool{false, true} {
		messages, _, a := prompt.Build(p, prompt.Budget{Memory: 10_000, Passages: 1000}, count)
		if tidied {
			messages = a.Tidy(messages, counter)
		}
		f, err := prompt.Window{Size: 320, Counter: counter, Strategy: prompt.Truncate, Question: "zzz"}.Fit(t.Context(), messages)
		if err != nil {
			t.Fatal(err)
		}
		a.Fitted(messages, f)
		if a.Dropped != len(a.Left) || a.Tokens != f.Tokens {
			t.Errorf("tidied %v: %d were dropped, %d are named", tidied, a.Dropped, len(a.Left))
		}
		var got []string
		for _, l := range a.Left {
			got = append(got, fmt.Sprintf("%s[%d] %s %s %v %s", l.Part, l.Index, l.ID, l.Role, l.Tokens > 150, l.Why))
		}
		want := []string{"memory[0] id00 user true window", "memory[1] id01 assistant false window", "template[0]  user true window", "messages[4]  assistant false window"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tidied %v: left out (-want +got):\n%s", tidied, diff)
		}
	}
}

// TestTheAccountIsBounded: of much that is left out, the newest is named and
// the rest counted.
func TestTheAccountIsBounded(t *testing.T) {
	p := prompt.Parts{Own: raw(user("q"))}
	for i := range 2 * prompt.MaxLeft {
		p.Memory = append(p.Memory, raw(user(fmt.Sprint("q", i)), assistant("a")))
	}
	_, _, a := prompt.Build(p, prompt.Budget{Memory: 8}, letters)
	if len(a.Left) != prompt.MaxLeft || a.LeftMore != 3*prompt.MaxLeft || a.Left[prompt.MaxLeft-1].Index != 4*prompt.MaxLeft-1 {
		t.Errorf("%d are named, the last is %+v, and there are %d more", len(a.Left), a.Left[len(a.Left)-1], a.LeftMore)
	}
	p.Passages = make([]prompt.Passage, 10)
	_, _, a = prompt.Build(p, prompt.Budget{Memory: 8}, letters)
	if len(a.Left) != prompt.MaxLeft || a.LeftMore != 3*prompt.MaxLeft+10 || a.Left[prompt.MaxLeft-1].Part != "passages" || a.Left[0].Part != "memory" {
		t.Errorf("with passages %d are named, and there are %d more: %q", len(a.Left), a.LeftMore, lines(a))
	}
}

// TestNobodyAsks: passages without a question stand in a message of their own,
// which moves the others.
func TestNobodyAsks(t *testing.T) {
	counter := tokens.For("openai", "gpt-4o")
	p := prompt.Parts{Passages: []prompt.Passage{{Source: "a", Text: "Alpha."}}, Own: raw(assistant("0"+strings.Repeat(" word", 300)), assistant("1"))}
	messages, _, a := prompt.Build(p, prompt.Budget{Passages: 1000}, letters)
	messages = a.Tidy(messages, counter)
	f, err := prompt.Window{Size: 250, Counter: counter, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
	if err != nil {
		t.Fatal(err)
	}
	a.Fitted(messages, f)
	if got := lines(a); len(got) != 1 || !strings.HasPrefix(got[0], "messages[0]  assistant ") {
		t.Errorf("left out %q, want the long answer; %d were dropped", got, f.Dropped)
	}
	if _, err := llm.ParseRequest(append(append([]byte(`{"model":"m","messages":`), prompt.Join(f.Messages)...), '}')); err != nil {
		t.Error(err)
	}
}

// TestTheAccountHasTheCountThatDecided: where the window counted what Build had
// estimated, in answers as in refusals.
func TestTheAccountHasTheCountThatDecided(t *testing.T) {
	counter := tokens.For("openai", "gpt-4")
	blank := "Fix:\n" + strings.Repeat("line\n"+strings.Repeat("\n", 40), 250)
	for name, text := range map[string]string{"looks longer": blank, "looks shorter": strings.Repeat("ACGTTGCAACCGTA", 100)} {
		p := prompt.Parts{System: raw(`{"role":"system","content":"S"}`), Project: "Alpha.", Memory: [][]json.RawMessage{raw(user("q"), assistant("a"))},
			Passages: []prompt.Passage{{Source: "a.md", Text: "Beta."}}, Own: raw(user(text))}
		messages, _, a := prompt.Build(p, prompt.Budget{Project: 100, Memory: 100, Passages: 100}, func(s string) int64 { return counter.Estimate(s).Tokens })
		n := counter.CountMessages(prompt.Join(messages))
		for _, size := range []int64{n, n - 1} {
			f, err := prompt.Window{Size: size, Counter: counter, Strategy: prompt.Error}.Fit(t.Context(), messages)
			if (err == nil) != (size == n) || f == nil {
				t.Fatalf("%s: %d tokens in %d: %v, %v", name, n, size, f, err)
			}
			a.Fitted(messages, f)
			var sum int64
			for _, part := range a.Parts {
				sum += part.Tokens
			}
			if a.Tokens != n || sum < n*9/10 || sum > n*11/10 {
				t.Errorf("%s: of %d tokens in %d the account says %s", name, n, size, a.Header())
			}
		}
	}
}
