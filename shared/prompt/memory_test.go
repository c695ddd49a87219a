package prompt_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/prompt"
)

// callOf is an assistant message that calls tools, resultOf what one of them
// said.
func callOf(ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, `{"id":"`+id+`","type":"function","function":{"name":"f","arguments":"{}"}}`)
	}
	return `{"role":"assistant","content":null,"tool_calls":[` + strings.Join(list, ",") + `]}`
}

func resultOf(id string) string {
	return `{"role":"tool","tool_call_id":"` + id + `","content":"42"}`
}

// oldCall and oldResult are the same in the form that OpenAI had before, in
// which nothing has an id.
func oldCall(name string) string {
	return `{"role":"assistant","content":null,"function_call":{"name":"` + name + `","arguments":"{}"}}`
}

func oldResult(name string) string {
	return `{"role":"function","name":"` + name + `","content":"42"}`
}

// TestMemoryWithoutPairsKeepsTheRest: what no provider would take is left out,
// and nothing else is.
func TestMemoryWithoutPairsKeepsTheRest(t *testing.T) {
	plain := func(n string) []json.RawMessage { return raw(user("q"+n), assistant("a"+n)) }
	asks := func(ids ...string) []json.RawMessage { return raw(user("calc"), callOf(ids...)) }
	says := func(id string) []json.RawMessage { return raw(resultOf(id), assistant("it is "+id)) }
	type memory = [][]json.RawMessage
	question := raw(user("q"))
	for _, tc := range []struct {
		name   string
		memory memory
		own    []json.RawMessage
		want   []int // of memory
	}{
		{"a result that nobody asked for", memory{plain("1"), raw(resultOf("zz"))}, question, []int{0}},
		{"and its answer", memory{plain("1"), says("zz"), plain("2")}, question, []int{0, 2}},
		{"a result of another call", memory{plain("1"), asks("a"), says("b"), plain("2")}, question, []int{0, 3}},
		{"a result before its call", memory{plain("1"), says("a"), asks("a"), plain("2")}, question, []int{0, 3}},
		{"a stray result within a pair", memory{plain("1"), asks("a"), says("zz"), says("a")}, question, []int{0, 1, 3}},
		{"a result within a turn", memory{plain("1"), raw(user("x"), resultOf("zz"), assistant("y")), plain("2")}, question, []int{0, 2}},
		{"a call within a turn that nobody answered", memory{plain("1"), raw(user("x"), callOf("a"), assistant("y")), plain("2")}, question, []int{0, 2}},
		{"a call that nobody answered", memory{plain("1"), asks("a"), plain("2")}, question, []int{0, 2}},
		{"one result of two", memory{plain("1"), asks("a", "b"), says("a"), plain("2")}, question, []int{0, 3}},
		{"one result of two within a turn", memory{plain("1"), raw(user("x"), callOf("a", "b"), resultOf("a"), assistant("y"))}, question, []int{0}},
		{"results in two turns", memory{plain("1"), asks("a", "b"), raw(resultOf("b")), says("a")}, question, []int{0, 1, 2, 3}},
		{"a whole dialogue in a turn", memory{raw(user("x"), callOf("a", "b"), resultOf("b"), resultOf("a"), assistant("y"))}, question, []int{0}},
		{"calls after calls", memory{asks("a"), raw(resultOf("a"), callOf("b")), says("b"), plain("1")}, question, []int{0, 1, 2, 3}},
		{"calls after calls, the last without a result", memory{plain("1"), asks("a"), raw(resultOf("a"), callOf("b")), plain("2")}, question, []int{0, 3}},
		{"ids that come again", memory{asks("a"), says("a"), asks("a"), says("a")}, question, []int{0, 1, 2, 3}},
		{"the newest of two answers", memory{plain("1"), asks("a"), says("a"), raw(resultOf("a"), assistant("again"))}, question, []int{0, 1, 3}},

		{"another turn between a call and its result", memory{plain("1"), asks("a"), plain("2"), says("a")}, question, []int{0, 2, 1, 3}},
		{"two calls and two results", memory{asks("a"), asks("b"), says("a"), says("b")}, question, []int{0, 2, 1, 3}},
		{"a pair within a pair", memory{asks("a"), asks("b"), says("b"), says("a")}, question, []int{1, 2, 0, 3}},

		{"the request's result", memory{plain("1"), asks("a")}, raw(resultOf("a")), []int{0, 1}},
		{"the request's results", memory{plain("1"), asks("a", "b")}, raw(resultOf("a"), resultOf("b"), user("q")), []int{0, 1}},
		{"the second of the results", memory{asks("a", "b"), raw(resultOf("a"))}, raw(resultOf("b")), []int{0, 1}},
		{"the request's result after another turn", memory{plain("1"), asks("a"), plain("2")}, raw(resultOf("a")), []int{0, 2, 1}},
		{"the request's result for the second time", memory{plain("1"), asks("a"), says("a")}, raw(resultOf("a")), []int{0, 1}},
		{"the request's result of no call", memory{plain("1"), asks("a")}, raw(resultOf("zz")), []int{0}},

		{"the old form", memory{plain("1"), raw(user("calc"), oldCall("f")), raw(oldResult("f"), assistant("42")), plain("2")}, question, []int{0, 1, 2, 3}},
		{"the old form within a turn", memory{raw(user("calc"), oldCall("f"), oldResult("f"), oldCall("g"), oldResult("g"), assistant("42"))}, question, []int{0}},
		{"the old form, a result that nobody asked for", memory{plain("1"), raw(oldResult("f"), assistant("42")), plain("2")}, question, []int{0, 2}},
		{"the old form, a result of another function", memory{plain("1"), raw(user("calc"), oldCall("f")), raw(oldResult("g"), assistant("42"))}, question, []int{0}},
		{"the old form, a call that nobody answered", memory{plain("1"), raw(user("calc"), oldCall("f")), plain("2")}, question, []int{0, 2}},
		{"the old form, the request's result", memory{plain("1"), raw(user("calc"), oldCall("f"))}, raw(oldResult("f")), []int{0, 1}},
		{"a result in the old form of a call in the new one", memory{plain("1"), asks("f"), raw(oldResult("f"), assistant("42"))}, question, []int{0}},
		{"a call in both forms", memory{raw(user("calc"), callOf("a")[:len(callOf("a"))-1]+`,"function_call":{"name":"f","arguments":"{}"}}`, resultOf("a"), assistant("42"))}, question, []int{0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _, a := prompt.Build(prompt.Parts{Memory: tc.memory, Own: tc.own}, prompt.Budget{Memory: 10_000}, letters)
			var want []json.RawMessage
			for _, i := range tc.want {
				want = append(want, tc.memory[i]...)
			}
			if diff := cmp.Diff(text(append(want, tc.own...)), text(got)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if m := a.Parts[1]; m.Kept != len(tc.want) || m.Dropped != len(tc.memory)-len(tc.want) {
				t.Errorf("account = %+v, want %d kept and %d dropped", m, len(tc.want), len(tc.memory)-len(tc.want))
			}
		})
	}
}

// TestExchangesAreKeptWhole: an exchange for which there is no room ends the
// memory, with all of its turns.
func TestExchangesAreKeptWhole(t *testing.T) {
	memory := [][]json.RawMessage{raw(user("old")), raw(user("calc"), callOf("a")), raw(user("x")), raw(resultOf("a"), assistant("42")), raw(user("new"))}
	_, _, all := prompt.Build(prompt.Parts{Memory: memory, Own: raw(user("q"))}, prompt.Budget{Memory: 10_000}, letters)
	most := all.Parts[1].Tokens
	for _, tc := range []struct {
		budget int64
		want   []int
	}{
		{most, []int{0, 2, 1, 3, 4}}, {most - 1, []int{2, 1, 3, 4}}, {most - 7, []int{2, 1, 3, 4}}, {most - 8, []int{1, 3, 4}}, {most - 13, []int{4}}, {6, nil},
	} {
		got, _, a := prompt.Build(prompt.Parts{Memory: memory, Own: raw(user("q"))}, prompt.Budget{Memory: tc.budget}, letters)
		var want []json.RawMessage
		for _, i := range tc.want {
			want = append(want, memory[i]...)
		}
		if diff := cmp.Diff(text(append(want, raw(user("q"))...)), text(got)); diff != "" || a.Parts[1].Dropped != len(memory)-len(tc.want) {
			t.Errorf("budget %d of %d: %+v, messages (-want +got):\n%s", tc.budget, most, a.Parts[1], diff)
		}
	}
}

// TestImportsAreRememberedInTurns: who appends a dialogue at once does not lose
// all of it when there is no room for all. Calls stay with their results.
func TestImportsAreRememberedInTurns(t *testing.T) {
	imported := raw(user("q0"), assistant("a0"), user("calc"), callOf("x"), resultOf("x"), assistant("42"), user("one"), user("more"), assistant("a2"), user("torn"), callOf("y"), user("q3"), assistant("a3"))
	memory := [][]json.RawMessage{raw(user("old"), assistant("a")), imported, raw(user("new"), assistant("b"))}
	ids := func(turn, message int) string { return fmt.Sprint(turn, ".", message) }
	build := func(budget int64) (string, prompt.Part, []string) {
		got, _, a := prompt.Build(prompt.Parts{Memory: memory, MemoryID: ids, Own: raw(user("q"))}, prompt.Budget{Memory: budget}, letters)
		var left []string
		for _, l := range a.Left {
			left = append(left, fmt.Sprintf("%d %s %s", l.Index, l.ID, l.Why))
		}
		return text(got[:len(got)-1]), a.Parts[1], left
	}
	whole := slices.Concat(memory[0], imported[:9], imported[11:], memory[2])
	got, part, left := build(10_000)
	if diff := cmp.Diff(text(whole), got); diff != "" || part.Kept != 6 || part.Dropped != 1 || !slices.Equal(left, []string{"11 1.9 unpaired", "12 1.10 unpaired"}) {
		t.Errorf("with room for all: %+v, left %q, messages (-want +got):\n%s", part, left, diff)
	}
	got, part, left = build(part.Tokens - 13)
	if diff := cmp.Diff(text(whole[4:]), got); diff != "" || part.Kept != 4 || part.Dropped != 3 || len(left) != 6 || left[2] != "2 1.0 budget" || left[3] != "3 1.1 budget" {
		t.Errorf("with less: %+v, left %q, messages (-want +got):\n%s", part, left, diff)
	}
}

// FuzzBuildKeepsToolResultsWithTheirCalls: of turns that answer each other or
// do not, what is sent is in pairs, and if there is room no question with its
// answer is lost.
func FuzzBuildKeepsToolResultsWithTheirCalls(f *testing.F) {
	f.Add([]byte("ucrauarcr"), int64(60), false)
	f.Add([]byte("ccrr"), int64(1000), true)
	f.Add([]byte{1, 5, 0, 2, 6}, int64(100_000), false)
	f.Add([]byte{1, 5, 0, 3, 6, 4}, int64(100_000), true)
	f.Fuzz(func(t *testing.T, shape []byte, budget int64, answers bool) {
		var turns [][]json.RawMessage
		plain := 0
		called := false // by the id that own answers
		for _, c := range shape {
			id := []string{"1", "2"}[c/4%2]
			switch c % 4 {
			case 0:
				turns = append(turns, raw(user("q"), assistant("a")))
				plain++
			case 1:
				turns = append(turns, raw(user("q"), callOf(id)))
				called = called || id == "1"
			case 2:
				turns = append(turns, raw(resultOf(id), assistant("a")))
			default:
				turns = append(turns, raw(resultOf(id), callOf(id)))
			}
		}
		own := raw(user("q"))
		if answers {
			own = raw(resultOf("1"))
		}
		got, _, a := prompt.Build(prompt.Parts{Memory: turns, Own: own}, prompt.Budget{Memory: budget}, letters)
		memory := got[:len(got)-len(own)]
		before := ""
		for i, m := range got {
			if i == len(memory) && answers && (!called || i == 0) {
				break // the request answers what nobody asked, or what there was no room for
			}
			for _, id := range []string{"1", "2"} {
				if (before == callOf(id)) != (string(m) == resultOf(id)) {
					t.Fatalf("message %d is torn from the one before in\n%s", i, text(got))
				}
			}
			before = string(m)
		}
		if budget >= 1000*int64(len(shape)) {
			n := strings.Count(text(memory), user("q")+"\n"+assistant("a")+"\n")
			if n != plain {
				t.Fatalf("%d of %d plain turns are left in\n%s", n, plain, text(got))
			}
		}
		if len(turns) > 0 {
			if m := a.Parts[slices.IndexFunc(a.Parts, func(p prompt.Part) bool { return p.Name == "memory" })]; m.Kept+m.Dropped != len(turns) {
				t.Fatalf("account = %+v, want %d turns", m, len(turns))
			}
		}
	})
}
