package echo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/echo"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
)

func request(t testing.TB, body string) *llm.Request {
	t.Helper()
	req, err := llm.ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	req.ID = "req_1"
	return req
}

// ask is a body with one user message and more fields.
func ask(content, more string) string {
	text, _ := json.Marshal(content)
	return `{"model":"echo","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":` + string(text) + `}]` + more + `}`
}

func events(t testing.TB, body string) ([]string, error) {
	t.Helper()
	var lines []string
	err := (&echo.Provider{}).Complete(t.Context(), request(t, body), func(e *llm.Event) error {
		lines = append(lines, llmtest.Format(e))
		return nil
	})
	return lines, err
}

func collect(t testing.TB, body string) *llm.Answer {
	t.Helper()
	a, err := llm.Collect(t.Context(), &echo.Provider{}, request(t, body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStreamsWordByWord(t *testing.T) {
	want := []string{
		`id="chatcmpl-req_1" model="echo" text="This"`, `text=" is"`, `text=" the"`, `text=" gateway's"`, `text=" offline"`, `text=" stand-in,"`,
		`text=" not"`, `text=" a"`, `text=" language"`, `text=" model."`, `text=" You"`, `text=" said:"`, `text=" Good"`, `text="\n\n morning"`,
		`finish="stop"`, `usage(input=10 output=14) usage-only`,
	}
	for range 2 { // and always the same
		got, err := events(t, ask("Good\n\n morning", `,"stream":true`))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("error %v, events (-want +got):\n%s", err, diff)
		}
	}
}

func TestText(t *testing.T) {
	const said = echo.Notice + " You said: "
	long := strings.Repeat("é", 30) // without spaces: three tokens
	for _, tc := range []struct {
		name, body, text, finish string
		output                   int64
	}{
		{"plain", ask("one two", ""), said + "one two", "stop", 14},
		{"nothing said", ask(" ", ""), echo.Notice + " You said nothing.", "stop", 13},
		{"last user message", `{"model":"echo","messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"text","text":"c"}]},{"role":"assistant","content":"d"}]}`, said + "bc", "stop", 13},
		{"no user message", `{"model":"echo","messages":[{"role":"system","content":"s"}]}`, said + "s", "stop", 13},
		{"max_tokens", ask("one two", `,"max_tokens":2`), "This is", "length", 2},
		{"max_tokens that just fit", ask("one two", `,"max_completion_tokens":14`), said + "one two", "stop", 14},
		{"every 12 characters of a long word count", ask(long, `,"max_tokens":13`), said + long[:2*12], "length", 13},
		{"stop", ask("one two", `,"stop":" stand"`), "This is the gateway's offline", "stop", 5},
		{"first of several stops", ask("one two", `,"stop":["", "two", " not"]`), "This is the gateway's offline stand-in,", "stop", 6},
		{"stop that was never reached", ask("one two", `,"stop":"one","max_tokens":3`), "This is the", "length", 3},
		{"stop at the first word", ask("one two", `,"stop":"This"`), "", "stop", 0},
		{"tools that need not be called", ask("hi", `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"`), said + "hi", "stop", 13},
		{"text format", ask("hi", `,"response_format":{"type":"text"}`), said + "hi", "stop", 13},
	} {
		a := collect(t, tc.body)
		c := a.Choices[0]
		if c.Text.String() != tc.text || c.Finish != tc.finish || a.Usage.Output != tc.output {
			t.Errorf("%s: %q, %s, %d tokens; want %q, %s, %d", tc.name, c.Text.String(), c.Finish, a.Usage.Output, tc.text, tc.finish, tc.output)
		}
	}
}

func TestInputIsCounted(t *testing.T) {
	for _, tc := range []struct {
		name, messages, more string
		want                 int64
	}{
		{"words and messages", `{"role":"system","content":"Be brief."},{"role":"user","content":"one"}`, "", 3 + 2 + 3 + 1},
		{"an image", `{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}`, "", 3 + 1 + 85},
		{"calls and their results", `{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{} {}"}}]},{"role":"tool","tool_call_id":"a","content":"ok"}`, "", 3 + 1 + 2 + 3 + 1},
		{"tools", `{"role":"user","content":"a"}`, `,"tools":[{"type":"function","function":{"name":"f","description":"does it","parameters":{"a": 1}}}]`, 3 + 1 + 1 + 2 + 2},
		{"a schema", `{"role":"user","content":"a"}`, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"const": 1}}}`, 3 + 1 + 2},
	} {
		if a := collect(t, `{"model":"echo","messages":[`+tc.messages+`]`+tc.more+`}`); a.Usage.Input != tc.want {
			t.Errorf("%s: input of %d tokens, want %d", tc.name, a.Usage.Input, tc.want)
		}
	}
}

func TestChoices(t *testing.T) {
	a := collect(t, ask("hi", `,"n":3,"max_tokens":2`))
	if len(a.Choices) != 3 || a.Usage.Output != 6 {
		t.Fatalf("%d choices, %d tokens, want 3 and 6", len(a.Choices), a.Usage.Output)
	}
	for i, c := range a.Choices {
		if c.Text.String() != "This is" || c.Finish != "length" {
			t.Errorf("choice %d: %q, %s", i, c.Text.String(), c.Finish)
		}
	}
}

const tools = `,"tools":[{"type":"function","function":{"name":"clock"}},
	{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"days":{"type":"integer","minimum":1},"city":{"type":"string"},"unit":{"enum":["C","F"]}},"required":["city","days"]}}}]`

func TestTools(t *testing.T) {
	for _, tc := range []struct{ name, choice, tool, args, finish string }{
		{"required", `"required"`, "clock", "{}", "tool_calls"},
		{"a function", `{"type":"function","function":{"name":"weather"}}`, "weather", `{"city":"echo","days":1}`, "tool_calls"},
	} {
		for _, n := range []string{"1", "2"} {
			a := collect(t, ask("hi", tools+`,"stop":"c","n":`+n+`,"tool_choice":`+tc.choice))
			ids := map[string]bool{}
			for _, c := range a.Choices {
				if len(c.ToolCalls) != 1 || c.ToolCalls[0].Name != tc.tool || c.ToolCalls[0].Arguments != tc.args || c.Finish != tc.finish || c.Text.String() != "" {
					t.Errorf("%s: %+v", tc.name, c)
					continue
				}
				ids[c.ToolCalls[0].ID] = true
			}
			if fmt.Sprint(len(ids)) != n {
				t.Errorf("%s, n = %s: the calls have %d ids", tc.name, n, len(ids))
			}
		}
	}
	for name, more := range map[string]string{
		"unknown function": tools + `,"tool_choice":{"type":"function","function":{"name":"x"}}`,
		"no tools":         `,"tool_choice":"required"`,
	} {
		if lines, err := events(t, ask("hi", more)); fault.As(err).Param != "tool_choice" || lines != nil {
			t.Errorf("%s: %v, %v, want an error of tool_choice", name, lines, err)
		}
	}
}

func TestJSONObject(t *testing.T) {
	text := collect(t, ask("say \"hi\"\n", `,"response_format":{"type":"json_object"}`)).Choices[0].Text.String()
	var got map[string]string
	if err := json.Unmarshal([]byte(text), &got); err != nil || got["notice"] != echo.Notice || got["echo"] != "say \"hi\"\n" {
		t.Errorf("%s: %v", text, err)
	}
}

func TestDropsWhatWouldChangeTheAnswer(t *testing.T) {
	body := ask("hi", `,"temperature":0.5,"logprobs":true,"vendor":1,"gateway":{}`)
	req := request(t, body)
	if _, err := llm.Collect(t.Context(), &echo.Provider{}, req); err != nil || !cmp.Equal(req.Dropped, []string{"logprobs", "vendor"}) {
		t.Errorf("Dropped = %v, %v", req.Dropped, err)
	}
	req = request(t, body)
	req.Strict = true
	if _, err := llm.Collect(t.Context(), &echo.Provider{}, req); fault.As(err).Param != "logprobs" {
		t.Errorf("strict: %v", err)
	}
}

func TestEmitFails(t *testing.T) {
	gone := errors.New("gone")
	for last := 1; last <= 16; last++ { // of tool call, words, finish, usage
		for _, more := range []string{"", tools + `,"tool_choice":"required"`} {
			n := 0
			err := (&echo.Provider{}).Complete(t.Context(), request(t, ask("Good morning", more)), func(*llm.Event) error {
				if n++; n == last {
					return gone
				}
				return nil
			})
			if n == last && err != gone || n > last {
				t.Errorf("emit fails at event %d: %d events, error %v", last, n, err)
			}
		}
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &echo.Provider{Delay: time.Second}
		req := request(t, ask("hi", ""))
		start := time.Now()
		if _, err := llm.Collect(t.Context(), p, req); err != nil || time.Since(start) != 13*time.Second {
			t.Errorf("13 words took %v, %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		start = time.Now()
		a, err := llm.Collect(ctx, p, req)
		if f := fault.As(err); f.Kind != fault.Timeout || f.Provider != "echo" || time.Since(start) != 2500*time.Millisecond || a.Choices[0].Text.String() != "This is" {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := llm.Collect(ctx, &echo.Provider{}, request(t, ask("hi", ""))); !errors.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
