package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// silent is an upstream that never says what it bills: it answers text, whole
// or in pieces of ten bytes. If broken, its streams end in the middle.
type silent struct {
	text   string
	broken bool
}

func (s silent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(body), `"stream":true`) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}]}`, mustJSON(s.text))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for rest := s.text; rest != ""; rest = rest[min(10, len(rest)):] {
		fmt.Fprintf(w, `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n", mustJSON(rest[:min(10, len(rest))]))
	}
	if s.broken {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// TestAnAnswerCostsTheSameOnAllPaths: who reads the text of an answer that the
// provider put no price on pays what others do, who have it relayed.
func TestAnAnswerCostsTheSameOnAllPaths(t *testing.T) {
	const chars, tokens = 1000, 250 // small enough that an answer is there when its books are closed
	for _, broken := range []bool{false, true} {
		l := &library{rig: newRig(t, silent{strings.Repeat("q", chars), broken}.ServeHTTP, nil)}
		l.server.Recipes, l.server.Runs = l.store.Recipes(), l.store.Runs()
		l.server.Conversations, l.server.Gateway.Conversations = l.store.Conversations(), l.store.Conversations()
		l.saves(chainOf("c", `{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"Hello!"}`))
		n := 0
		chat := func(more string) (string, string) {
			if strings.Contains(more, "conversation") {
				n++
				more = fmt.Sprintf(more, l.converse(fmt.Sprintf("conv_012345678%d", n)))
			}
			return "chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello!"}]` + more + `}`
		}
		for _, tc := range []struct {
			name   string
			stream bool
			ask    func() (path, body string)
		}{
			{"chat", false, func() (string, string) { return chat("") }},
			{"streamed chat", true, func() (string, string) { return chat(`,"stream":true`) }},
			{"streamed chat with usage", true, func() (string, string) { return chat(`,"stream":true,"stream_options":{"include_usage":true}`) }},
			{"conversation", false, func() (string, string) { return chat(`,"gateway":{"conversation":"%s"}`) }},
			{"streamed conversation", true, func() (string, string) { return chat(`,"stream":true,"gateway":{"conversation":"%s"}`) }},
			{"chain", false, func() (string, string) { return "chains/c/runs", `{}` }},
			{"streamed chain", true, func() (string, string) { return "chains/c/runs", `{"stream":true}` }},
			{"code", false, func() (string, string) { return "code/generate", `{"model":"gpt-4o-mini","prompt":"Hello!"}` }},
			{"streamed code", true, func() (string, string) {
				return "code/generate", `{"model":"gpt-4o-mini","prompt":"Hello!","stream":true}`
			}},
		} {
			if broken && !tc.stream {
				continue
			}
			before := len(l.records("ana"))
			path, body := tc.ask()
			a := l.do("POST", "/ai/"+path, body)
			records := l.records("ana")[before:]
			if len(records) != 1 {
				t.Errorf("%s: %d records, want one; answer %d %.300s", tc.name, len(records), a.status, a.body)
				continue
			}
			if r := records[0]; r.OutputTokens != tokens || !r.Estimated || r.Partial != broken || r.Cost != mini(r.InputTokens, tokens) {
				t.Errorf("%s, broken: %t: record of %d tokens, estimated %t, partial %t, $%s, want %d and $%s", tc.name, broken,
					r.OutputTokens, r.Estimated, r.Partial, r.Cost.USD(), tokens, mini(r.InputTokens, tokens).USD())
			}
		}
	}
}

// mini is what tokens of gpt-4o-mini cost.
func mini(input, output int64) usage.Nano { return usage.Nano(input*150 + output*600) }

// TestABudgetCutsAllPathsAtOneLength: the marks of a stream count what is read
// as they count what is relayed.
func TestABudgetCutsAllPathsAtOneLength(t *testing.T) {
	const tokens = 5000 // that the budget pays for
	lib := &library{rig: newRig(t, words(100_000), nil)}
	lib.server.Recipes, lib.server.Runs = lib.store.Recipes(), lib.store.Runs()
	for i, tc := range []struct{ path, body string }{
		{"chat/completions", helloSSE},
		{"code/generate", `{"model":"gpt-4o-mini","prompt":"Hello!","stream":true}`},
		{"chains/c/runs", `{"stream":true}`},
	} {
		user := fmt.Sprintf("u%d", i)
		key := lib.user(user, func(u *admission.User) { u.Day = mini(0, tokens) })
		lib.do("POST", "/ai/chains", chainOf("c", `{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"Hello!"}`), "Authorization", "Bearer "+key)
		a := lib.do("POST", "/ai/"+tc.path, tc.body, "Authorization", "Bearer "+key)
		said := 0 // words of ten tokens
		for strings.Contains(a.body, fmt.Sprintf("%039d", said)) {
			said++
		}
		if said < tokens*3/5/10 || said > tokens/10 {
			t.Errorf("%s = %d …%s\nwant it to end with nearly %d tokens, not %d", tc.path, a.status, a.body[max(0, len(a.body)-300):], tokens, said*10)
		}
		if records := lib.records(user); len(records) != 1 || records[0].OutputTokens < int64(10*said) || records[0].Cost > mini(0, tokens) {
			t.Errorf("%s: records = %+v, want one of %d tokens", tc.path, records, said*10)
		}
	}
}
