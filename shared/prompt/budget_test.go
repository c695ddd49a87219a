package prompt_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/prompt"
)

func TestBudgetsBoundEveryPart(t *testing.T) {
	long := strings.Repeat("First paragraph about the project.\n\n", 3)
	p := prompt.Parts{
		System:   raw(`{"role":"system","content":"S"}`),
		Project:  long,
		Examples: raw(user("e1"), assistant("e2"), user("e3"), assistant("e4")),
		Memory:   [][]json.RawMessage{raw(user("m1"), assistant("m2")), raw(user("m3"), assistant("m4"))},
		Passages: []prompt.Passage{{Source: "a", Text: "Alpha."}, {Source: "b", Text: "Beta."}},
		Own:      raw(user("q")),
	}
	part := func(a prompt.Account, name string) prompt.Part {
		for _, p := range a.Parts {
			if p.Name == name {
				return p
			}
		}
		return prompt.Part{}
	}
	_, _, all := prompt.Build(p, prompt.Budget{Project: 1000, Memory: 1000, Passages: 1000}, letters)
	for _, tc := range []struct {
		name   string
		budget prompt.Budget
		want   map[string][2]int // kept and dropped
	}{
		{"all", prompt.Budget{Project: 1000, Memory: 1000, Passages: 1000, Examples: 1000}, map[string][2]int{"project": {1, 0}, "examples": {4, 0}, "memory": {2, 0}, "passages": {2, 0}}},
		{"nothing optional", prompt.Budget{}, map[string][2]int{"project": {0, 1}, "examples": {4, 0}, "memory": {0, 2}, "passages": {0, 2}}},
		{"one example", prompt.Budget{Examples: 13}, map[string][2]int{"examples": {2, 2}}},
		{"a piece of the project", prompt.Budget{Project: 660}, map[string][2]int{"project": {1, 0}}},
		{"a total, a token short", prompt.Budget{Project: 1000, Memory: 1000, Passages: 1000, Total: all.Tokens - 1}, map[string][2]int{"project": {1, 0}, "memory": {1, 1}, "passages": {2, 0}}},
		{"a total that is used up", prompt.Budget{Project: 1000, Memory: 1000, Passages: 1000, Total: 20}, map[string][2]int{"project": {0, 1}, "examples": {4, 0}, "memory": {0, 2}, "passages": {0, 2}}},
	} {
		messages, used, a := prompt.Build(p, tc.budget, letters)
		for name, want := range tc.want {
			got := part(a, name)
			if got.Kept != want[0] || got.Dropped != want[1] {
				t.Errorf("%s: %s = %+v, want %d kept and %d dropped", tc.name, name, got, want[0], want[1])
			}
			if got.Budget > 0 && got.Tokens > got.Budget {
				t.Errorf("%s: %s = %+v is over its budget", tc.name, name, got)
			}
		}
		if used != part(a, "passages").Kept {
			t.Errorf("%s: used = %d, want those in the account %+v", tc.name, used, part(a, "passages"))
		}
		if need := part(a, "system").Tokens + part(a, "examples").Tokens + part(a, "messages").Tokens; tc.budget.Total > need && a.Tokens > tc.budget.Total {
			t.Errorf("%s: %d tokens are over the total", tc.name, a.Tokens)
		}
		if got := string(messages[a.Prefix]); strings.Contains(got, `"e`) || !strings.Contains(got, `"m`) && !strings.Contains(got, "q") {
			t.Errorf("%s: message %d is %s, want the first behind the prefix", tc.name, a.Prefix, got)
		}
		for i, m := range messages {
			if role(m) == "system" && i > 0 && role(messages[i-1]) != "system" {
				t.Errorf("%s: a system message follows others:\n%s", tc.name, text(messages))
			}
		}
	}
}

// project is what a prompt says of a project.
func project(t *testing.T, messages []json.RawMessage) (rule, block string) {
	t.Helper()
	for _, m := range messages {
		var said struct{ Role, Content string }
		if err := json.Unmarshal(m, &said); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(said.Content, "What is known of the project") {
			rule, block, _ = strings.Cut(said.Content, "\n\n")
			return rule, block
		}
	}
	t.Fatalf("nothing is said of the project in\n%s", text(messages))
	return "", ""
}

// TestALongProjectIsCut: its beginning stays, up to the end of a paragraph, a
// line or a word, and the account says how much is missing.
func TestALongProjectIsCut(t *testing.T) {
	words := strings.Repeat("many words ", 40_000)
	for _, tc := range []struct {
		name, text string
		room       int64
		want       string
	}{
		{"fits", " One.\n\nTwo.\n", 10, "One.\n\nTwo."},
		{"a paragraph", "The first one.\n\nThe second one.", 25, "The first one."},
		{"a line", "* the first\n* the second", 20, "* the first"},
		{"a word", "one two three four", 12, "one two"},
		{"no end in sight", strings.Repeat("é", 30), 5, "éé"},
		{"far too long", words, 30, "many words many words many"},
	} {
		_, _, empty := prompt.Build(prompt.Parts{Project: "x"}, prompt.Budget{Project: 1 << 30}, letters)
		frame := empty.Parts[1].Tokens - 1
		_, _, all := prompt.Build(prompt.Parts{Project: tc.text}, prompt.Budget{Project: 1 << 30}, letters)
		messages, _, a := prompt.Build(prompt.Parts{Project: tc.text}, prompt.Budget{Project: frame + tc.room}, letters)
		if _, got := project(t, messages); got != "<project>\n"+tc.want+"\n</project>" {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		part := a.Parts[1]
		if part.Cut != all.Parts[1].Tokens-part.Tokens || part.Tokens > frame+tc.room || part.Kept != 1 || all.Parts[1].Cut != 0 {
			t.Errorf("%s: account = %+v, and without a bound %+v", tc.name, part, all.Parts[1])
		}
		if got := strings.Contains(a.Header(), ";cut="); got != (part.Cut > 0) {
			t.Errorf("%s: header = %q", tc.name, a.Header())
		}
	}
	messages, _, a := prompt.Build(prompt.Parts{Project: words, Own: raw(user("q"))}, prompt.Budget{Project: 100}, letters)
	if len(messages) != 1 || a.Parts[1].Dropped != 1 || a.Parts[1].Tokens != 0 {
		t.Errorf("without room: %+v, %s", a.Parts[1], text(messages))
	}
}

func TestHeaderSaysWhatWasDone(t *testing.T) {
	_, _, a := prompt.Build(prompt.Parts{Own: raw(user("q"))}, prompt.Budget{}, letters)
	a.Strategy, a.Window, a.Dropped, a.Summarized, a.Saved = prompt.Summarize, 8192, 12, true, 34
	if got, want := a.Header(), "system=0 messages=5 total=5/8192 strategy=summarize dropped=12 summarized saved=34"; got != want {
		t.Errorf("Header = %q, want %q", got, want)
	}
	if got, want := string(a.JSON()), `{"parts":[{"name":"system","tokens":0,"kept":0},{"name":"messages","tokens":5,"kept":1}],"tokens":5,"saved":34,"window":8192,"strategy":"summarize","dropped":12,"summarized":true}`; got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}
