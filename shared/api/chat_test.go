package api_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestChatRelaysTheAnswerAndBooksIt(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	a := r.chat(hello, "X-Request-Id", "mine-1")
	if a.status != 200 || a.body != completion {
		t.Fatalf("answer = %d %s", a.status, a.body)
	}
	id := a.header.Get("X-Request-Id")
	for name, want := range map[string]string{"X-Client-Request-Id": "mine-1", "X-Gateway-Provider": "openai", "X-Gateway-Model": "gpt-4o-mini",
		"X-Gateway-Attempts": "1", "X-Gateway-Cache": "bypass", "X-Gateway-Cost-Usd": helloCost.USD(), "Content-Type": "application/json"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	recs := r.records("ana")
	if len(recs) != 1 {
		t.Fatalf("ledger has %d records, want 1", len(recs))
	}
	got := recs[0]
	if got.ID != id || got.Cost != helloCost || got.InputTokens != 9 || got.OutputTokens != 3 || got.Status != 200 || got.Finish != "stop" ||
		got.ClientID != "mine-1" || got.Reserved < got.Cost || got.Error != "" || got.Estimated {
		t.Errorf("record = %+v", got)
	}
	account := r.account("ana")
	if _, month := account.Spent(time.Now()); month != helloCost {
		t.Errorf("spent = %s, want %s", month.USD(), helloCost.USD())
	}
}

func TestStreamIsRelayedByteForByte(t *testing.T) {
	r := newRig(t, reply("text/event-stream", sse), nil)
	a := r.chat(helloSSE)
	if want := "data: " + chunk1 + "\n\ndata: " + chunk2 + "\n\ndata: [DONE]\n\n"; a.body != want {
		t.Errorf("stream = %s\nwant %s", a.body, want)
	}
	if ct := a.header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type = %q", ct)
	}
	if recs := r.records("ana"); len(recs) != 1 || recs[0].Cost != helloCost || !recs[0].Stream || recs[0].TTFT <= 0 {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")
}

func TestUsageChunkTellsTheCost(t *testing.T) {
	r := newRig(t, reply("text/event-stream", sse), nil)
	a := r.chat(strings.Replace(helloSSE, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1))
	list := chunks(a.body)
	if len(list) != 4 || list[3] != "[DONE]" {
		t.Fatalf("chunks = %q", list)
	}
	var last struct {
		Usage   map[string]int `json:"usage"`
		Gateway struct {
			RequestID string      `json:"request_id"`
			Provider  string      `json:"provider"`
			Cost      json.Number `json:"cost_usd"`
		} `json:"gateway"`
	}
	if err := json.Unmarshal([]byte(list[2]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Usage["total_tokens"] != 12 || last.Gateway.Cost.String() != helloCost.USD() || last.Gateway.RequestID != a.header.Get("X-Request-Id") || last.Gateway.Provider != "openai" {
		t.Errorf("last chunk = %s", list[2])
	}
}

func TestTheUpstreamGetsTheBodyUntouched(t *testing.T) {
	got := make(chan string, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		got <- req.Header.Get("Authorization") + " " + string(b)
		io.WriteString(w, completion)
	}, nil)
	r.chat(`{"model":"openai/gpt-4o-mini", "gateway":{"tags":["a"]}, "x_new":{"big":12345678901234567890.10, "e":1e-7}, "messages":[{"role":"user","content":"\u0048i"}]}`)
	want := `Bearer sk-upstream-secret-123456 {"model":"gpt-4o-mini", "x_new":{"big":12345678901234567890.10, "e":1e-7}, "messages":[{"role":"user","content":"\u0048i"}]}`
	if s := <-got; s != want {
		t.Errorf("upstream got %s\nwant %s", s, want)
	}
	if recs := r.records("ana"); len(recs) != 1 || len(recs[0].Tags) != 1 || recs[0].Tags[0] != "a" {
		t.Errorf("records = %+v", recs)
	}
}

func TestWrongRequestsNameTheField(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	for _, tc := range []struct {
		name, body  string
		status      int
		param, code string
	}{
		{"not JSON", `{"model":`, 400, "", "invalid_json"},
		{"not an object", `[]`, 400, "", "invalid_json"},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, 400, "model", "missing_required_parameter"},
		{"model is a number", `{"model":1,"messages":[]}`, 400, "model", "invalid_type"},
		{"no messages", `{"model":"gpt-4o-mini"}`, 400, "messages", "missing_required_parameter"},
		{"empty messages", `{"model":"gpt-4o-mini","messages":[]}`, 400, "messages", ""},
		{"bad role", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"},{"role":"robot","content":"x"}]}`, 400, "messages[1].role", "invalid_value"},
		{"no content", `{"model":"gpt-4o-mini","messages":[{"role":"user"}]}`, 400, "messages[0].content", "missing_required_parameter"},
		{"content is a number", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":7}]}`, 400, "messages[0].content", "invalid_type"},
		{"part without text", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":[{"type":"text"}]}]}`, 400, "messages[0].content[0].text", "invalid_type"},
		{"stream is a string", `{"model":"gpt-4o-mini","stream":"yes","messages":[{"role":"user","content":"x"}]}`, 400, "stream", "invalid_type"},
		{"n is too large", `{"model":"gpt-4o-mini","n":1000,"messages":[{"role":"user","content":"x"}]}`, 400, "n", ""},
		{"negative bound", `{"model":"gpt-4o-mini","max_tokens":-1,"messages":[{"role":"user","content":"x"}]}`, 400, "max_tokens", ""},
		{"tool without name", `{"model":"gpt-4o-mini","tools":[{"type":"function","function":{}}],"messages":[{"role":"user","content":"x"}]}`, 400, "tools[0].function.name", "missing_required_parameter"},
		{"unknown gateway key", `{"model":"gpt-4o-mini","gateway":{"cash":1},"messages":[{"role":"user","content":"x"}]}`, 400, "gateway.cash", "unknown_parameter"},
		{"not built yet", `{"model":"gpt-4o-mini","gateway":{"continue":true},"messages":[{"role":"user","content":"x"}]}`, 400, "gateway.continue", "not_implemented"},
		{"gateway is no object", `{"model":"gpt-4o-mini","gateway":[],"messages":[{"role":"user","content":"x"}]}`, 400, "gateway", "invalid_type"},
		{"price cap", `{"model":"gpt-4o-mini","gateway":{"max_price_usd":0.000001},"messages":[{"role":"user","content":"x"}]}`, 400, "gateway.max_price_usd", "price_above_maximum"},
		{"unknown model", `{"model":"nope","messages":[{"role":"user","content":"x"}]}`, 404, "model", "model_not_found"},
		{"provider without credentials", `{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"x"}]}`, 404, "model", "model_not_found"},
		{"embedding model", `{"model":"text-embedding-3-small","messages":[{"role":"user","content":"x"}]}`, 400, "model", "model_not_supported"},
		{"too deep", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400, "", "invalid_json"},
		{"model twice", `{"model":"gpt-4o-mini","model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`, 400, "", "invalid_json"},
	} {
		a := r.chat(tc.body)
		_, _, param, code := a.fail(t)
		if a.status != tc.status || param != tc.param || tc.code != "" && code != tc.code {
			t.Errorf("%s: %d param %q code %q, want %d %q %q (%s)", tc.name, a.status, param, code, tc.status, tc.param, tc.code, a.body)
		}
	}
	if recs := r.records("ana"); len(recs) != 0 {
		t.Errorf("refused requests left %d ledger records", len(recs))
	}
	r.account("ana")
}

// TestKeyBeforeEverything: what a stranger sends is never looked at.
func TestKeyBeforeEverything(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	revoked := r.user("bob", nil)
	keys, err := r.store.ListKeys(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if a := r.chat(hello, "Authorization", "Bearer "+revoked); a.status != 200 {
		t.Fatalf("before revocation: %d %s", a.status, a.body)
	}
	if err := r.store.RevokeKey(t.Context(), "bob", keys[0].ID); err != nil {
		t.Fatal(err)
	}
	invented, _ := admission.NewKey([]byte("another pepper"), "ana")
	nobody, _ := admission.NewKey([]byte(pepper), "nobody")
	for name, key := range map[string]string{"none": "", "nonsense": "hello", "invented": invented, "no such user": nobody, "revoked": revoked} {
		for what, body := range map[string]string{"good": hello, "broken": `{"model":`, "unknown model": `{"model":"nope","messages":[{"role":"user","content":"x"}]}`, "too large": strings.Repeat(" ", 7<<20)} {
			a := r.chat(body, "Authorization", "Bearer "+key)
			if _, _, _, code := a.fail(t); a.status != 401 || code != "invalid_api_key" {
				t.Errorf("key %s, body %s: %d %s", name, what, a.status, code)
			}
		}
	}
	if a := r.chat(hello, "Authorization", "", "X-Api-Key", r.key); a.status != 200 {
		t.Errorf("x-api-key: %d %s", a.status, a.body)
	}
}

func TestCompressedBodies(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	io.WriteString(w, hello)
	w.Close()
	a := r.chat(packed.String(), "Content-Encoding", "gzip")
	if message, _, _, code := a.fail(t); a.status != 400 || code != "unsupported_content_encoding" || !strings.Contains(message, "compressed") {
		t.Errorf("%d %s %s", a.status, code, message)
	}
	if a := r.chat(hello, "Content-Encoding", "utf-8"); a.status != 200 {
		t.Errorf("not compressed, whatever the header says: %d %s", a.status, a.body)
	}
}

func TestTooLarge(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	a := r.chat(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("x", 6<<20) + `"}]}`)
	if _, _, _, code := a.fail(t); a.status != 413 || code != "request_too_large" {
		t.Errorf("%d %s", a.status, code)
	}
	if a := r.chat(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("x", 6<<20-200) + `"}]}`); a.status != 200 {
		t.Errorf("just below the limit: %d %.200s", a.status, a.body)
	}
}

// TestUpstreamFailures: one table for what the client sees and what is booked.
func TestUpstreamFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		up     http.HandlerFunc
		status int
		code   string
	}{
		{"their 400 is the caller's", status(400, `{"error":{"message":"Bad tools.","param":"tools","code":"bad"}}`), 400, "bad"},
		{"their 404", status(404, `{"error":{"message":"No model.","code":"model_not_found"}}`), 404, "model_not_found"},
		{"our credentials", status(401, `{"error":{"message":"Incorrect API key sk-upstream-secret-123456"}}`), 502, "upstream_credentials"},
		{"their 429", status(429, `{}`), 429, "rate_limit_exceeded"},
		{"their 500", status(500, `<html>`), 502, "upstream_error"},
		{"their 503", status(503, ``), 503, "upstream_overloaded"},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "upstream_unreachable"},
		{"HTML", reply("text/html", "<html>"), 502, ""},
		{"error with status 200", reply("application/json", `{"error":{"message":"overloaded","code":503}}`), 0, ""},
	} {
		for _, body := range []string{hello, helloSSE} {
			r := newRig(t, tc.up, nil)
			a := r.chat(body)
			message, _, _, code := a.fail(t)
			if a.status < 400 || tc.status != 0 && a.status != tc.status || tc.code != "" && code != tc.code {
				t.Errorf("%s: %d %s %q, want %d %s", tc.name, a.status, code, message, tc.status, tc.code)
			}
			if strings.Contains(a.body+r.log.String(), "sk-upstream") {
				t.Errorf("%s: our key shows in %s %s", tc.name, a.body, r.log.String())
			}
			recs := r.records("ana")
			if len(recs) != 1 || recs[0].Cost != 0 || recs[0].Status != a.status || recs[0].Error == "" {
				t.Errorf("%s: records = %+v, want one that costs nothing", tc.name, recs)
			}
			account := r.account("ana")
			if day, _ := account.Spent(time.Now()); day != 0 {
				t.Errorf("%s: spent %s", tc.name, day.USD())
			}
		}
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// TestStreamBreaks: after the first byte an error is told inside the stream,
// and what was generated is paid for.
func TestStreamBreaks(t *testing.T) {
	for name, up := range map[string]http.HandlerFunc{
		"reset": func(w http.ResponseWriter, r *http.Request) {
			reply("text/event-stream", "data: "+chunk1+"\n\n")(w, r)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"early end": reply("text/event-stream", "data: "+chunk1+"\n\n"),
		"error":     reply("text/event-stream", "data: "+chunk1+"\n\ndata: {\"error\":{\"message\":\"boom\",\"code\":\"server_error\"}}\n\n"),
	} {
		r := newRig(t, up, nil)
		a := r.chat(helloSSE)
		list := chunks(a.body)
		if a.status != 200 || len(list) != 2 || list[0] != chunk1 {
			t.Fatalf("%s: %d %q", name, a.status, list)
		}
		var last struct {
			ID, Object string
			Choices    []struct {
				FinishReason string `json:"finish_reason"`
			}
			Error map[string]any
		}
		if err := json.Unmarshal([]byte(list[1]), &last); err != nil {
			t.Fatal(err)
		}
		if last.ID != "chatcmpl-1" || len(last.Error) != 4 || len(last.Choices) != 1 || last.Choices[0].FinishReason != "error" {
			t.Errorf("%s: last chunk = %s", name, list[1])
		}
		recs := r.records("ana")
		if len(recs) != 1 || recs[0].Status != 200 || recs[0].Error == "" || !recs[0].Estimated || !recs[0].Partial || recs[0].Cost <= 0 {
			t.Errorf("%s: records = %+v", name, recs)
		}
		r.account("ana")
	}
}

// TestClientLeaves: the upstream is cancelled and the books are closed with
// what was generated.
func TestClientLeaves(t *testing.T) {
	gone := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		reply("text/event-stream", "data: "+chunk1+"\n\n")(w, req)
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
		close(gone)
	}, nil)
	ctx, leave := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "POST", r.url+"/ai/chat/completions", strings.NewReader(helloSSE))
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 10))
	leave()
	resp.Body.Close()
	<-gone
	recs := r.settled("ana")
	if len(recs) != 1 || recs[0].Status != 499 || recs[0].Error != string(fault.Canceled) || recs[0].Cost <= 0 || !recs[0].Estimated {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")
}

// TestParsedEvents: what other protocols say is rendered as OpenAI would.
func TestParsedEvents(t *testing.T) {
	events := []llm.Event{
		{ID: "msg_1", Model: "claude-x", Reasoning: "hm"},
		{Thinking: &llm.Thinking{Text: "hm", Signature: "sig"}},
		{Text: "Let me \"look\".\n"},
		{Tools: []llm.ToolDelta{{Index: 0, ID: "call_1", Name: "find"}}},
		{Tools: []llm.ToolDelta{{Index: 0, Arguments: `{"q":`}}},
		{Tools: []llm.ToolDelta{{Index: 0, Arguments: `"x"}`}, {Index: 1, ID: "call_2", Name: "now", Arguments: "{}"}}},
		{Finish: "tool_calls"},
		{Usage: &llm.Usage{Input: 20, CachedInput: 5, Output: 7, Reasoning: 2}, UsageOnly: true},
	}
	p := llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		for _, e := range events {
			if err := emit(&e); err != nil {
				return err
			}
		}
		return nil
	})
	schemas := openSchemas(t)
	r := newRig(t, nil, p)

	a := r.chat(`{"model":"script","messages":[{"role":"user","content":"x"}]}`)
	schemas.check(t, "CreateChatCompletionResponse", a.body)
	want := fmt.Sprintf(`{"id":"msg_1","object":"chat.completion","created":%s,"model":"claude-x","choices":[{"index":0,"message":{"role":"assistant","content":"Let me \"look\".\n","reasoning_content":"hm",`+
		`"thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"sig"}],"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{\"q\":\"x\"}"}},`+
		`{"id":"call_2","type":"function","function":{"name":"now","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27,`+
		`"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":2}}}`, created(t, a.body))
	if a.body != want {
		t.Errorf("answer = %s\nwant     %s", a.body, want)
	}

	a = r.chat(`{"model":"script","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`)
	list := chunks(a.body)
	if len(list) != len(events)+1 || list[len(list)-1] != "[DONE]" {
		t.Fatalf("%d chunks: %q", len(list), list)
	}
	for i, c := range list[:len(list)-1] {
		schemas.check(t, "CreateChatCompletionStreamResponse", c)
		if role := strings.Contains(c, `"role":"assistant"`); role != (i == 0) {
			t.Errorf("chunk %d: role = %v: %s", i, role, c)
		}
	}
	for i, want := range map[int]string{
		0: `"delta":{"role":"assistant","content":"","reasoning_content":"hm"}`,
		2: `"delta":{"content":"Let me \"look\".\n"}`,
		3: `"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"find","arguments":""}}]}`,
		4: `"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\":"}}]}`,
		6: `"delta":{},"logprobs":null,"finish_reason":"tool_calls"`,
		7: `"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":7`,
	} {
		if !strings.Contains(list[i], want) {
			t.Errorf("chunk %d = %s\nwant it to have %s", i, list[i], want)
		}
	}
}

func created(t *testing.T, body string) string {
	var o struct{ Created json.Number }
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatal(err)
	}
	return o.Created.String()
}

func TestRawAnswersPassOpenAIsSchemas(t *testing.T) {
	schemas := openSchemas(t)
	r := newRig(t, reply("application/json", completion), nil)
	schemas.check(t, "CreateChatCompletionResponse", r.chat(hello).body)
	schemas.check(t, "ErrorResponse", r.chat(`{}`).body)
	schemas.check(t, "ListModelsResponse", r.do("GET", "/ai/models", "").body)
	r = newRig(t, reply("text/event-stream", sse), nil)
	for _, c := range chunks(r.chat(strings.Replace(helloSSE, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)).body) {
		if c != "[DONE]" {
			schemas.check(t, "CreateChatCompletionStreamResponse", c)
		}
	}
}
