package prompt_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const paragraph = "The museum is open from ten to five on all days but Monday; children under twelve need no ticket, and the steam locomotives run on Sundays."

func TestTidy(t *testing.T) {
	code := "```go\nfunc f()  {\n\n\n\treturn   \n}\n```"
	for _, tc := range []struct {
		name     string
		in, want []json.RawMessage
	}{
		{"nothing to do", raw(`{ "role":"user", "content" : "a b" , "x":1.0}`), raw(`{ "role":"user", "content" : "a b" , "x":1.0}`)},
		{"blank lines and ends of lines", raw(user("\n\na  \t\r\n\n\n\n b\n\n")), raw(user("a\n\n b"))},
		{"between words", raw(user("One.  Two   three.")), raw(user("One. Two three."))},
		{"code stays", raw(user("See:\n\n\n" + code + "\n\n\ndone")), raw(user("See:\n\n" + code + "\n\ndone"))},
		{"an open fence stays to the end", raw(user("~~~~\na  b\n~~~\n\n\n\nc  \n")), raw(user("~~~~\na  b\n~~~\n\n\n\nc  \n"))},
		{"space that means something", raw(user("  a  b\nx | y  z\n`a  b`\nname   age   town")), raw(user("  a  b\nx | y  z\n`a  b`\nname   age   town"))},
		{"system first", raw(user("a"), `{"role":"developer","content":"d"}`, assistant("b"), `{"role":"system","content":"s"}`), raw(`{"role":"developer","content":"d"}`, `{"role":"system","content":"s"}`, user("a"), assistant("b"))},
		{"results of tools stay", raw(user("a"), call, `{"role":"tool","tool_call_id":"1","content":"x  \n\n\n y"}`), raw(user("a"), call, `{"role":"tool","tool_call_id":"1","content":"x  \n\n\n y"}`)},
		{"parts", raw(`{"role":"user","content":[{"type":"text","text":"a  b "},{"type":"image_url","image_url":{"url":"u  u"}}],"name":"n"}`), raw(`{"role":"user","content":[{"type":"text","text":"a b"},{"type":"image_url","image_url":{"url":"u  u"}}],"name":"n"}`)},
		{"no content", raw(`{"role":"assistant","content":null}`, `{"role":"assistant","content":[1]}`), raw(`{"role":"assistant","content":null}`, `{"role":"assistant","content":[1]}`)},
		{"a paragraph again", raw(user(paragraph+"\n\nWhere?"), assistant(paragraph), user("Again:\n\n"+paragraph+"\n\nWhen?"), user("q")),
			raw(user(paragraph+"\n\nWhere?"), assistant(paragraph), user("Again:\n\n[as before]\n\nWhen?"), user("q"))},
		{"code again", raw(user(code+"\n\n```\n"+paragraph+"\n```"), user("```\n"+paragraph+"\n```\nwhy?"), user("q")),
			raw(user(code+"\n\n```\n"+paragraph+"\n```"), user("[as before]\nwhy?"), user("q"))},
		{"not in the newest message", raw(user(paragraph), assistant("ok"), user("Translate:\n\n"+paragraph)), raw(user(paragraph), assistant("ok"), user("Translate:\n\n"+paragraph))},
		{"short ones may be said again", raw(user("Yes, please."), assistant("ok"), user("Yes, please."), user("q")), raw(user("Yes, please."), assistant("ok"), user("Yes, please."), user("q"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := text(tc.in)
			got, saved := prompt.Tidy(tc.in, gpt)
			if diff := cmp.Diff(text(tc.want), text(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again, _ := prompt.Tidy(got, gpt); text(again) != text(got) {
				t.Errorf("tidied twice:\n%s", text(again))
			}
			if text(tc.in) != before || saved < 0 {
				t.Errorf("the messages given were changed, or %d tokens are saved", saved)
			}
		})
	}
	_, saved := prompt.Tidy(raw(user(paragraph), assistant("ok"), user(paragraph+"\n\nWhen?"), user("q")), gpt)
	if want := gpt.Count(paragraph); saved < want*2/3 || saved > want*4/3 {
		t.Errorf("saved = %d, want about %d", saved, want)
	}
}

func FuzzTidyKeepsTheWords(f *testing.F) {
	f.Add("a  b\n\n\n```\nx\n```\n c", true)
	f.Add("~~~\n```\n~~~ \n\n\n\n  |", false)
	f.Fuzz(func(t *testing.T, s string, newest bool) {
		messages := raw(user(s))
		if !newest {
			messages = append(messages, raw(user("q"))...)
		}
		got, _ := prompt.Tidy(messages, gpt)
		var before, after struct{ Content string }
		json.Unmarshal(messages[0], &before)
		if err := json.Unmarshal(got[0], &after); err != nil {
			t.Fatal(err)
		}
		want, have := strings.Fields(before.Content), strings.Fields(after.Content)
		if !slices.Equal(want, have) && !strings.Contains(after.Content, "[as before]") {
			t.Fatalf("%q became %q", before.Content, after.Content)
		}
	})
}

func TestDistinct(t *testing.T) {
	passages := []prompt.Passage{{Text: "alpha  beta"}, {Text: "gamma"}, {Text: "alpha\nbeta"}, {Text: "delta"}, {Text: "gam"}}
	got := prompt.Distinct(passages, raw(user("This says: delta and more.")))
	if diff := cmp.Diff([]int{0, 1}, got); diff != "" {
		t.Errorf("Distinct (-want +got):\n%s", diff)
	}
}

func TestCachePointsStandAtTheEndsOfLongPrefixes(t *testing.T) {
	long := strings.Repeat("A rule that is worth a few tokens. ", 200) // 1,600 tokens
	system := `{"role":"system","content":` + string(rawjson.AppendString(nil, long)) + `,"x":1}`
	tools := []byte(`[{"type":"function","function":{"name":"f","description":"` + long + `"}}]`)
	point := `,"cache_control":{"type":"ephemeral"}}`
	for _, tc := range []struct {
		name     string
		messages []json.RawMessage
		more     []byte
		ends     []int
		want     []int // messages with points
	}{
		{"a long system message", raw(system, user("q")), nil, []int{1}, []int{0}},
		{"a short one", raw(`{"role":"system","content":"S"}`, user("q")), nil, []int{1}, nil},
		{"a short one behind long tools", raw(`{"role":"system","content":"S"}`, user("q")), tools, []int{1}, []int{0}},
		{"the last with text", raw(system, call, `{"role":"tool","tool_call_id":"1","content":"42"}`, user("q")), nil, []int{3}, []int{0}},
		{"two prefixes", raw(system, user(long), assistant(long), user("q")), nil, []int{1, 3}, []int{0, 2}},
		{"the second adds little", raw(system, user("a"), assistant("b"), user("q")), nil, []int{1, 3}, []int{0}},
		{"parts", raw(`{"role":"user","content":[{"type":"text","text":"`+long+`"},{"type":"text","text":" "},{"type":"image_url","image_url":{"url":"u"}}]}`, user("q")), nil, []int{1}, []int{0}},
		{"the client has its own", raw(system, `{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}`), nil, []int{1}, nil},
		{"nothing is stable", raw(user("q")), nil, []int{0}, nil},
	} {
		before := text(tc.messages)
		got, n := prompt.CachePoints(tc.messages, claude, tc.more, tc.ends...)
		var points []int
		for i, m := range got {
			if text(got[i:i+1]) == text(tc.messages[i:i+1]) {
				continue
			}
			points = append(points, i)
			if strings.Count(string(m), point) != 1 {
				t.Errorf("%s: message %d = %.100s…, want one point", tc.name, i, m)
			}
			if bare := strings.Replace(string(m), strings.TrimSuffix(point, "}"), "", 1); said(t, json.RawMessage(bare)) != said(t, tc.messages[i]) {
				t.Errorf("%s: message %d says something else", tc.name, i)
			}
		}
		if diff := cmp.Diff(tc.want, points); diff != "" || n != len(tc.want) || text(tc.messages) != before {
			t.Errorf("%s: %d points (-want +got):\n%s", tc.name, n, diff)
		}
		req, err := llm.ParseRequest(append(append([]byte(`{"model":"m","messages":`), prompt.Join(got)...), '}'))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		chat, err := req.Chat()
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, i := range tc.want { // where the providers look
			if !slices.ContainsFunc(chat.Messages[i].Content, func(p llm.Part) bool {
				return string(p.CacheControl) == `{"type":"ephemeral"}` && strings.TrimSpace(p.Text) != ""
			}) {
				t.Errorf("%s: message %d has no part with the point", tc.name, i)
			}
		}
	}
}

func said(t *testing.T, m json.RawMessage) string {
	t.Helper()
	var w struct {
		Role    string
		Content json.RawMessage
		X       int
	}
	if err := json.Unmarshal(m, &w); err != nil {
		t.Fatal(err)
	}
	var s string
	if json.Unmarshal(w.Content, &s) != nil {
		var parts []struct{ Text string }
		if err := json.Unmarshal(w.Content, &parts); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			s += p.Text
		}
	}
	return w.Role + s
}
