package prompt_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		{"a piece of the project", prompt.Budget{Project: 120}, map[string][2]int{"project": {1, 0}}},
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
	messages, _, _ := prompt.Build(p, prompt.Budget{Project: 120}, letters)
	if diff := cmp.Diff(`{"role":"system","content":"What is known of the project that this conversation belongs to:\n\nFirst paragraph about the project."}`, string(messages[1])); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
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
