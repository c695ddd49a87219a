package openai

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// TestManyElementsAreNotAllRead: an answer of 64 MB has room for twenty million
// choices, or for one with that index, and receivers make a list for them.
func TestManyElementsAreNotAllRead(t *testing.T) {
	for _, of := range []string{"{},", "null,"} {
		list := "[" + strings.Repeat(of, 5000) + "{}]"
		a := &answer{fields: []rawjson.Field{{Name: "choices", Value: []byte(list)}}}
		got := a.choices()
		ch := choice{content: []byte(`{"tool_calls":` + list + `}`)}
		calls := ch.event(llm.NeedText).Tools
		if want := 1024 * strings.Count(of, "{"); len(got) != want || len(calls) != want {
			t.Errorf("of 5000 %s %d choices and %d calls are read, want %d", of, len(got), len(calls), want)
		}
	}
}
