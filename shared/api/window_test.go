package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// chatter is a conversation that is too long for a small model: turns about
// fruit, one of which holds what the last question is about.
func chatter(turns int) string {
	var b strings.Builder
	b.WriteString(`{"role":"system","content":"You are a grocer."}`)
	for i := range turns {
		text := strings.Repeat("The weather was fine and the market was full of people. ", 20)
		if i == 3 {
			text = "Remember that the crate with the quinces is number 4711. " + text
		}
		b.WriteString(`,{"role":"user","content":` + quote(text) + `},{"role":"assistant","content":"I see."}`)
	}
	b.WriteString(`,{"role":"user","content":"Which crate has the quinces?"}`)
	return b.String()
}

type leftMessage struct {
	Part, ID, Role, Why string
	Index               int
	Tokens              int
}

// leftOut checks that an answer names what was left out of its prompt, and how
// many more there were.
func leftOut(t *testing.T, a answer, good func(int, leftMessage) bool) {
	t.Helper()
	var o struct {
		Gateway struct {
			Context struct {
				Dropped int
				Left    []leftMessage `json:"left_out"`
				More    int           `json:"left_out_more"`
				Parts   []struct{ Dropped int }
			}
		}
	}
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatal(err)
	}
	c := o.Gateway.Context
	if len(c.Left) == 0 || c.Dropped > 0 && len(c.Left)+c.More != c.Dropped {
		t.Errorf("%d are named and %d more are said to be left out, want %d", len(c.Left), c.More, c.Dropped)
	}
	for i, m := range c.Left {
		if !good(i, m) {
			t.Errorf("left out[%d] = %+v", i, m)
		}
	}
}

// TestWhatAConversationLosesIsNamed: with the ids under which it can be read.
func TestWhatAConversationLosesIsNamed(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	id := l.converse("conv_0123456789")
	for range 3 {
		body := `{"messages":[{"role":"user","content":` + quote(strings.Repeat("Many words. ", 1300)) + `},{"role":"assistant","content":"I see."}]}`
		if a := l.do("POST", "/ai/conversations/"+id+"/messages", body); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(l.do("GET", "/ai/conversations/"+id+"/messages?order=asc", "").body), &list); err != nil || len(list.Data) != 6 {
		t.Fatalf("%v, %d messages", err, len(list.Data))
	}
	n := 0
	a := l.chat(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"now"}],"gateway":{"conversation":"` + id + `"}}`)
	leftOut(t, a, func(i int, m leftMessage) bool {
		n++
		return m.Part == "memory" && m.Index == i && m.ID == list.Data[i].ID && m.Role == []string{"user", "assistant"}[i%2] && m.Why == "budget"
	})
	if h := a.header.Get("x-gateway-context"); n == 0 || !strings.Contains(h, "dropped="+strconv.Itoa(n/2)+" ") {
		t.Errorf("%d messages are named, x-gateway-context = %q", n, h)
	}
}

// gpt-4 takes 8,192 tokens.
func TestPromptsAreMadeToFit(t *testing.T) {
	summary := strings.Replace(completion, "Hi.", "They talked about the weather; quinces are in crate 4711.", 1)
	var l *library
	var asked []string
	answer := func(strategy string, up http.HandlerFunc) answer {
		fresh := newLibrary(t, up)
		a := fresh.chat(`{"model":"gpt-4","max_completion_tokens":500,"messages":[` + chatter(80) + `],"gateway":{"context":"` + strategy + `"}}`)
		l, asked = fresh, fresh.asked
		return a
	}
	a := answer("error", reply("application/json", completion))
	if msg, _, param, code := a.fail(t); a.status != 400 || param != "messages" || code != "context_length_exceeded" || !strings.Contains(msg, "8192") || len(asked) > 0 {
		t.Errorf("error: %d %s", a.status, a.body)
	}
	l.account("ana")

	a = answer("truncate", reply("application/json", completion))
	got := strings.Join(l.last(), "\n")
	if a.status != 200 || len(asked) != 1 || len(asked[0]) > 8192*6 {
		t.Errorf("truncate: %d after %d calls, the last of %d bytes", a.status, len(asked), len(asked[len(asked)-1]))
	}
	for _, must := range []string{"system: You are a grocer.", "4711", "left out", "user: Which crate"} {
		if !strings.Contains(got, must) {
			t.Errorf("truncate lost %q", must)
		}
	}
	if h := a.header.Get("x-gateway-context"); !strings.Contains(h, "strategy=truncate dropped=") || !strings.Contains(h, "/8192") {
		t.Errorf("x-gateway-context = %q", h)
	}
	leftOut(t, a, func(i int, m leftMessage) bool {
		return m.Part == "messages" && m.Index > 0 && m.Index < 161 && m.Role == []string{"assistant", "user"}[m.Index%2] && m.Tokens > 2 && m.Why == "window" && m.Index != 7 // the quinces
	})

	calls := 0
	a = answer("summarize", func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			reply("application/json", summary)(w, r)
			return
		}
		reply("application/json", completion)(w, r)
	})
	got = strings.Join(l.last(), "\n")
	if a.status != 200 || len(asked) != 2 || !strings.Contains(asked[0], "summarise") || !strings.Contains(asked[0], `"max_completion_tokens":`) || !strings.Contains(got, "quinces are in crate 4711.") || !strings.Contains(a.body, `"Hi."`) {
		t.Errorf("summarize: %d after %d calls: %.300s\n%.3000s", a.status, len(asked), a.body, got)
	}
	rec := l.records("ana")[0]
	if rec.InputTokens != 9 || len(rec.Tried) != 2 || rec.Attempts != 2 || rec.Cost != 2*(9*30_000+3*60_000) {
		t.Errorf("summarize: record of %d tokens, %d tried, $%s, want the answer's tokens and both calls' cost", rec.InputTokens, len(rec.Tried), rec.Cost.USD())
	}

	calls = 0
	a = answer("summarize", func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			http.Error(w, `{"error":{"message":"no"}}`, 400)
			return
		}
		reply("application/json", completion)(w, r)
	})
	if a.status != 200 || a.header.Get("x-gateway-skipped") != "context.summary" || !strings.Contains(strings.Join(l.last(), "\n"), "left out") {
		t.Errorf("without a summary: %d, skipped %q", a.status, a.header.Get("x-gateway-skipped"))
	}
	if a = l.chat(`{"model":"openai/nobody-knows","messages":[{"role":"user","content":"x"}],"gateway":{"context":"truncate"}}`); a.header.Get("x-gateway-skipped") != "context" {
		t.Errorf("without a known window: skipped %q", a.header.Get("x-gateway-skipped"))
	}
}

// TestTheLongestFieldIsNamed: a client must know what to shorten.
func TestTheLongestFieldIsNamed(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	long := quote(strings.Repeat("word ", 9000))
	l.template("rules", `{"system":`+long+`,"user":"Hello"}`, "production")
	const hi, short = `"messages":[{"role":"user","content":"hi"}]`, `"messages":[{"role":"user","content":"hi"}],"max_tokens":500`
	for _, tc := range []struct{ name, body, options, param string }{
		{"an answer beyond the window", hi + `,"max_tokens":9000`, ``, "max_tokens"},
		{"by its new name", hi + `,"max_completion_tokens":8190`, ``, "max_completion_tokens"},
		{"tools", short + `,"tools":[{"type":"function","function":{"name":"f","description":` + long + `}}]`, ``, "tools"},
		{"a schema", short + `,"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"description":` + long + `}}}`, ``, "response_format"},
		{"a template beside a message", short, `,"template":{"name":"rules"}`, "gateway.template"},
		{"the message", `"max_tokens":500,"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":` + long + `}]`, ``, "messages"},
		{"what cannot be left out", `"max_tokens":500,"messages":[{"role":"user","content":` + long + `},{"role":"assistant","content":` + long + `},{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","description":` + long + `}}]`, ``, "tools"},
	} {
		for _, strategy := range []string{"error", "truncate", "summarize"} {
			a := l.chat(`{"model":"gpt-4",` + tc.body + `,"gateway":{"context":"` + strategy + `"` + tc.options + `}}`)
			want := tc.param
			if tc.name == "what cannot be left out" && strategy == "error" {
				want = "messages"
			}
			if _, _, param, code := a.fail(t); a.status != 400 || param != want || code != "context_length_exceeded" {
				t.Errorf("%s, %s: %d %s, want %s to be named", tc.name, strategy, a.status, a.body, want)
			}
		}
	}
}

// TestQuotationsMakeRoom: passages and what is known of a project give way to
// what the client itself says, rather than that the request is refused.
func TestQuotationsMakeRoom(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	l.document("docs", "pump.md", strings.Repeat("The pump is primed with water. It takes two litres of it.\n\n", 300))
	for _, tc := range []struct {
		words    int
		strategy string
		status   int
		quoted   bool
	}{{100, "truncate", 200, true}, {6000, "truncate", 200, true}, {7300, "truncate", 200, false}, {7300, "summarize", 200, false}, {8000, "truncate", 400, false}} {
		a := l.chat(fmt.Sprintf(`{"model":"gpt-4","max_tokens":500,"messages":[{"role":"user","content":%s}],"gateway":{"context":%q,"rag":{"collection":"docs","top_k":50}}}`,
			quote("How is the pump primed? "+strings.Repeat("word ", tc.words)), tc.strategy))
		if quoted := strings.Contains(a.body, `"citations":[{`); a.status != tc.status || quoted != tc.quoted {
			t.Errorf("%d words, %s: %d, %s, want %d and passages: %v", tc.words, tc.strategy, a.status, a.header.Get("x-gateway-context"), tc.status, tc.quoted)
		}
	}
}

// TestImagesCountAsTheyAreBilled: twenty photos are half a million tokens of
// gpt-4o-mini, and few of gpt-4o. The account says one thing of them.
func TestImagesCountAsTheyAreBilled(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	const photo = `{"type":"image_url","image_url":{"detail":"high","url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAAAAAA="}}`
	ask := func(model, strategy string) answer {
		return l.chat(`{"model":"` + model + `","messages":[{"role":"user","content":[{"type":"text","text":"Which is best?"},` + strings.Repeat(photo+",", 19) + photo + `]}],"gateway":{"context":"` + strategy + `"}}`)
	}
	for _, strategy := range []string{"error", "truncate", "summarize"} {
		a := ask("gpt-4o-mini", strategy)
		if msg, _, param, code := a.fail(t); a.status != 400 || param != "messages" || code != "context_length_exceeded" || !strings.Contains(msg, " 5100") || !strings.Contains(msg, `"detail": "low"`) || !strings.Contains(a.header.Get("x-gateway-context"), " total=5100") {
			t.Errorf("gpt-4o-mini, %s: %d %s", strategy, a.status, a.body)
		}
		a = ask("gpt-4o", strategy)
		var own, total int64
		if _, err := fmt.Sscanf(a.header.Get("x-gateway-context"), "system=0 messages=%d total=%d/", &own, &total); a.status != 200 || err != nil || total < 20*765 || total > 20*765+30 || own < total-5 || own > total+5 {
			t.Errorf("gpt-4o, %s: %d, %s (%v), want messages and total to be about %d", strategy, a.status, a.header.Get("x-gateway-context"), err, 20*765)
		}
	}
}

func TestOptimizedPromptsAreShorterAndCached(t *testing.T) {
	rules := strings.Repeat("Every answer must name the article of the statute that it rests on.   \n\n\n\n", 100) + strings.Repeat("Never guess. ", 500)
	body := `{"model":"MODEL","messages":[{"role":"user","content":` + quote("The contract says: "+strings.Repeat("the tenant pays the rent on the first of the month. ", 5)) +
		`},{"role":"assistant","content":"Yes."},{"role":"system","content":` + quote(rules) + `},{"role":"user","content":` +
		quote("Again:\n\nThe contract says: "+strings.Repeat("the tenant pays the rent on the first of the month. ", 5)) + `}],"gateway":{"optimize":true}}`

	l := newLibrary(t, reply("application/json", completion))
	a := l.chat(strings.Replace(body, "MODEL", "gpt-4o-mini", 1))
	got := l.last()
	if a.status != 200 || len(got) != 4 || !strings.HasPrefix(got[0], "system: ") || strings.Contains(got[0], "\n\n\n") || strings.Contains(l.asked[0], "cache_control") {
		t.Errorf("openai: %d %.200s\nafter %.300q", a.status, a.body, got)
	}
	if h := a.header.Get("x-gateway-context"); !strings.Contains(h, " saved=") {
		t.Errorf("x-gateway-context = %q", h)
	}

	var sent string
	script := llm.ProviderFunc(func(_ context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		sent = string(req.Raw)
		return emit(&llm.Event{Text: "ok", Finish: "stop", Usage: &llm.Usage{Input: 1, Output: 1}})
	})
	r := newRig(t, http.NotFound, script)
	r.server.Gateway.Models.Use(gateway.Set{Instances: []gateway.Instance{{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Chat: script}}})
	if a := r.chat(strings.Replace(body, "MODEL", "anthropic/claude-sonnet-4-5", 1)); a.status != 200 || strings.Count(sent, "cache_control") != 1 || !strings.Contains(a.body, `"cache_points":1`) {
		t.Errorf("anthropic: %d %s\nafter %.400s", a.status, a.body, sent)
	}
}

// TestOwnModelsHaveTheWindowTheyAreGiven: of a server of one's own the
// catalogue knows nothing.
func TestOwnModelsHaveTheWindowTheyAreGiven(t *testing.T) {
	script := llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		return emit(&llm.Event{Text: "ok", Finish: "stop", Usage: &llm.Usage{Input: 1, Output: 1}})
	})
	r := newRig(t, http.NotFound, nil)
	r.server.Gateway.Models.Use(gateway.Set{Instances: []gateway.Instance{{Name: "own", Kind: "openai", Chats: true, Chat: script, Own: []string{"own/llama"}, Window: 500}}})
	ask := func(words int) answer {
		return r.chat(`{"model":"own/llama","messages":[{"role":"user","content":` + quote(strings.Repeat("word ", words)) + `}],"gateway":{"context":"error"}}`)
	}
	if a := ask(50); a.status != 200 || !strings.Contains(a.header.Get("x-gateway-context"), "/500 ") {
		t.Errorf("a short prompt: %d, %s", a.status, a.header.Get("x-gateway-context"))
	}
	if a := ask(5000); a.status != 400 || !strings.Contains(a.body, "context_length_exceeded") {
		t.Errorf("a long prompt: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/ai/models/own/llama", ""); !strings.Contains(a.body, `"context_window":500`) {
		t.Errorf("GET model = %s", a.body)
	}
}
