package prompt_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/prompt"
)

// TestQuestionsInPartsGoLast: some clients send what they show in a row of user
// messages. The newest row is the question, of which the newest parts stay; of
// others, what fits.
func TestQuestionsInPartsGoLast(t *testing.T) {
	part := func(i int) string { return user(fmt.Sprintf("part %d %s", i, strings.Repeat("of the report ", 20))) }
	messages := append(raw(`{"role":"system","content":"S"}`), raw(user("The first report "+strings.Repeat("is about quinces and crates ", 20)), assistant("ok"))...)
	for i := range 10 {
		messages = append(messages, json.RawMessage(part(i)))
	}
	messages[12] = json.RawMessage(user("Which crates have quinces?")) // as an earlier turn says
	keeps := func(messages []json.RawMessage, size int64, want ...int) {
		t.Helper()
		f, err := prompt.Window{Size: size, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
		if err != nil || !slices.Equal(f.Kept, want) {
			t.Errorf("in %d tokens: Fit keeps %v, %v, want %v in\n%s", size, f.Kept, err, want, text(f.Messages))
		}
	}
	gap := int64(25)
	few := count(gpt, messages[6:]) + gap
	keeps(messages, few, 0, 6, 7, 8, 9, 10, 11, 12)
	keeps(messages, count(gpt, messages[3:])+gap, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	answered := append(slices.Clone(messages), raw(assistant("Thanks."), user("And the report?"))...)
	f, err := prompt.Window{Size: few, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), answered)
	if err != nil || len(f.Kept) < 7 || !slices.Contains(f.Kept, 13) {
		t.Errorf("of an answered row Fit keeps %v, %v, want its answer and as many parts as fit", f.Kept, err)
	}
}

// TestStepsKeepTheirQuestion: what tools answered makes no sense without the
// message that they were called for. Calls in the old form are calls, too.
func TestStepsKeepTheirQuestion(t *testing.T) {
	for _, pair := range [][]json.RawMessage{raw(call, result), raw(`{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}`, `{"role":"function","name":"f","content":"42"}`)} {
		messages := slices.Concat(raw(user("Please look into it. "+strings.Repeat("Now. ", 130)), `{"role":"system","content":"S"}`), pair, raw(assistant("The harvester is broken: its gearbox leaks oil.")), plan()[1:], raw(user("What about the harvester and its gearbox?")))
		f, err := prompt.Window{Size: count(gpt, messages) / 4, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(f.Kept, 4) || !slices.Contains(f.Kept, 0) || slices.Contains(f.Kept, 2) != slices.Contains(f.Kept, 3) {
			t.Errorf("kept %v, want message 4, its question 0, and of 2 and 3 both or none", f.Kept)
		}
		for size := int64(60); size < 300; size += 7 {
			f, err := prompt.Window{Size: size, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), messages[:5:5])
			if err == nil && slices.Contains(f.Kept, 2) != slices.Contains(f.Kept, 3) {
				t.Fatalf("in %d tokens %v are kept: a call is torn from its result", size, f.Kept)
			}
		}
	}
}

// TestSystemMessagesCallNothing: whatever they say, what follows is no part of
// them.
func TestSystemMessagesCallNothing(t *testing.T) {
	for _, messages := range [][]json.RawMessage{
		raw(`{"role":"system","content":"S","tool_calls":[{"id":"a"}]}`, resultOf("a"), user("And now?")),
		raw(user("Hello"), `{"role":"developer","content":"S","function_call":{"name":"f"}}`, oldResult("f"), user("And now?")),
	} {
		long := append(messages[:len(messages)-1:len(messages)-1], append(plan(), messages[len(messages)-1])...)
		f, err := prompt.Window{Size: count(gpt, long) / 2, Counter: gpt, Strategy: prompt.Truncate}.Fit(t.Context(), long)
		if err != nil || !slices.Contains(f.Kept, len(long)-1) {
			t.Errorf("Fit = %+v, %v, want the newest question kept", f, err)
		}
	}
}
