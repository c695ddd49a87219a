package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// TestTurnsThatCannotBeKeptAreRefused: a chat that its conversation has no room
// for, whatever the answer, is refused before anybody is asked and paid.
func TestTurnsThatCannotBeKeptAreRefused(t *testing.T) {
	say := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"x"},`, n), ",")
	}
	bytes := func(n int) string {
		frame := len(`{"role":"user","content":""}`)
		return `{"role":"user","content":"` + strings.Repeat("x", n-frame) + `"}`
	}
	for _, tc := range []struct {
		name, messages, gateway string
		param, message          string // of the error; "": the answer comes
		skipped                 bool
	}{
		{"as many messages as can be kept", say(conversation.MaxMessages - 1), "", "", "", false},
		{"one more", say(conversation.MaxMessages), "", "messages", "at most 63 messages, which are kept with the answer; this one has 64", false},
		{"system messages are not kept", `{"role":"system","content":"S"},` + say(conversation.MaxMessages-1), "", "", "", false},
		{"the template's message is kept", say(conversation.MaxMessages - 1), `,"template":{"name":"greeting"}`, "messages", "this one has 64", false},
		{"one byte too many", bytes(conversation.MaxAppend + 1), "", "messages", "at most 262144 bytes, which are kept with the answer; this one's have 262145", false},
		{"too large with the answer alone", bytes(conversation.MaxAppend), "", "", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLibrary(t, reply("application/json", completion))
			l.template("greeting", `{"user":"Hello."}`, "production")
			id := l.converse("conv_0123456789")
			a := l.chat(`{"model":"gpt-4o-mini","messages":[` + tc.messages + `],"gateway":{"conversation":"` + id + `"` + tc.gateway + `}}`)
			turns, err := l.store.Conversations().Turns(t.Context(), "ana", id, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			if tc.param == "" {
				if skipped := l.records("ana")[0].Skipped; a.status != 200 || slices.Contains(skipped, "conversation.append") != tc.skipped || len(turns) == 0 != tc.skipped {
					t.Errorf("answer = %d %s, %d turns are kept, %v skipped", a.status, a.body, len(turns), skipped)
				}
				return
			}
			if msg, _, param, _ := a.fail(t); a.status != 400 || param != tc.param || !strings.Contains(msg, tc.message) {
				t.Errorf("answer = %d %s, want a 400 for %q saying %q", a.status, a.body, tc.param, tc.message)
			}
			if day, _ := l.accountOf("ana"); day != 0 || len(l.asked) > 0 || len(turns) > 0 {
				t.Errorf("$%s paid for %d calls, %d turns kept, want none", day.USD(), len(l.asked), len(turns))
			}
		})
	}
}

// TestTooLongTemplatesAreNamed: whoever sends no messages has none to shorten,
// nor does one word.
// gpt-4 takes 8,192 tokens.
func TestTooLongTemplatesAreNamed(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	l.template("long", `{"user":`+quote(strings.Repeat("word ", 12_000))+`}`, "production")
	for _, strategy := range []string{"error", "truncate"} {
		for _, messages := range []string{``, `"messages":[],`, `"messages":[{"role":"user","content":"x"}],`} {
			const want = "gateway.template"
			a := l.chat(`{"model":"gpt-4",` + messages + `"gateway":{"context":"` + strategy + `","template":{"name":"long"}}}`)
			if strategy == "truncate" && strings.Contains(messages, "user") {
				if a.status != 200 { // the client's message stays, the template's goes
					t.Errorf("truncate, with a message: %d %s", a.status, a.body)
				}
				continue
			}
			if _, _, param, code := a.fail(t); a.status != 400 || param != want || code != "context_length_exceeded" {
				t.Errorf("%s, with %q: %d %s, want %q", strategy, messages, a.status, a.body, want)
			}
		}
	}
}

// TestStrayResultsHideNothing: an unpaired message of a tool is left out of what
// is sent, and older turns are not.
func TestStrayResultsHideNothing(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	id := l.converse("conv_0123456789")
	for i, messages := range []string{
		`[{"role":"user","content":"Q1"},{"role":"assistant","content":"A1"}]`,
		`[{"role":"tool","tool_call_id":"zz","content":"42"}]`,
	} {
		turn := conversation.Turn{Request: requestid.New(time.UnixMilli(int64(1_790_000_000_000 + i))), Created: time.Now()}
		if err := json.Unmarshal([]byte(messages), &turn.Messages); err != nil {
			t.Fatal(err)
		}
		if err := l.store.Conversations().Append(t.Context(), "ana", id, turn); err != nil {
			t.Fatal(err)
		}
	}
	a := l.chat(fmt.Sprintf(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Q2"}],"gateway":{"conversation":%q}}`, id))
	if diff := cmp.Diff([]string{"user: Q1", "assistant: A1", "user: Q2"}, l.last()); diff != "" || !strings.Contains(a.header.Get("x-gateway-context"), ";dropped=1 ") {
		t.Errorf("%d, x-gateway-context = %q, messages (-want +got):\n%s", a.status, a.header.Get("x-gateway-context"), diff)
	}
}

// TestOnlyCompleteAnswersAreKept: what the model was not let say leaves no
// trace, whoever ended it, and is not kept as if it were all.
func TestOnlyCompleteAnswersAreKept(t *testing.T) {
	const limit = 4_000_000 // nano-dollars: some 6,600 tokens, memory included
	begin := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: "+chunk1+"\n\n")
		http.NewResponseController(w).Flush()
	}
	hang := func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "event-stream") {
			begin(w)
		}
		<-r.Context().Done()
	}
	for _, tc := range []struct {
		name  string
		up    http.HandlerFunc
		more  string // of the request
		leave bool
		kept  bool
		end   string // of what the client got
	}{
		{"whole", reply("application/json", completion), "", false, true, `"tokens":6}}}`},
		{"whole stream", reply("text/event-stream", sse), `,"stream":true`, false, true, "[DONE]"},
		{"as long as the client wanted it", reply("application/json", strings.Replace(completion, `"stop"`, `"length"`, 1)), `,"max_tokens":1`, false, true, `"tokens":6}}}`},
		{"cut off by the budget", words(100_000), `,"stream":true`, false, false, "[DONE]"},
		{"broken off", reply("text/event-stream", "data: "+chunk1+"\n\n"), `,"stream":true`, false, false, `"finish_reason":"error"}]}`},
		{"too slow", hang, `,"gateway":{"timeout_ms":300,`, false, false, `"code":"timeout"}}`},
		{"stream too slow", hang, `,"stream":true,"gateway":{"timeout_ms":300,`, false, false, `"finish_reason":"error"}]}`},
		{"left", hang, "", true, false, ""},
		{"stream left", hang, `,"stream":true`, true, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var asked atomic.Bool
			l := &library{rig: newRig(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				asked.Store(true)
				if tc.leave {
					leave()
				}
				tc.up(w, r)
			}, nil)}
			store := l.store.Conversations()
			l.server.Conversations, l.server.Gateway.Conversations = store, store
			key := l.user("bo", func(u *admission.User) { u.Day = limit })
			if _, err := store.Create(t.Context(), "bo", conversation.Conversation{ID: "conv_0123456789", TTL: time.Hour, Created: time.Now()}); err != nil {
				t.Fatal(err)
			}
			more := tc.more
			if !strings.Contains(more, `"gateway"`) {
				more += `,"gateway":{`
			}
			req := httptest.NewRequestWithContext(ctx, "POST", "/ai/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello!"}]`+more+`"conversation":"conv_0123456789"}}`))
			req.Header.Set("Authorization", "Bearer "+key)
			w := httptest.NewRecorder()
			l.server.Handler().ServeHTTP(w, req) // to its end, even if the client has left
			if body := strings.TrimSpace(w.Body.String()); !asked.Load() || !strings.HasSuffix(body, tc.end) {
				t.Errorf("answer = %d …%s, want it to end in %s", w.Code, body[max(0, len(body)-200):], tc.end)
			}
			turns, err := store.Turns(t.Context(), "bo", "conv_0123456789", "", 10)
			if err != nil || (len(turns) > 0) != tc.kept {
				t.Errorf("%d turns are kept, %v, want some: %t", len(turns), err, tc.kept)
			}
			if rec := l.records("bo")[0]; rec.Skipped != nil || rec.Cost > limit {
				t.Errorf("record = %+v, want nothing skipped", rec)
			}
			l.account("bo")
		})
	}
}
