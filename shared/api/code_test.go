package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	written = "Here it is.\n\n```go main.go\npackage  main\nfunc main( ){ println(\"a<b & ü\") }\n```\n\n```json\n{\"a\":1,}\n```\n\nDone.\n"
	wantGo  = "package main\n\nfunc main() { println(\"a<b & ü\") }\n"
)

func TestCodeIsGenerated(t *testing.T) {
	r := newRig(t, nil, speaks(written, 5))
	a := r.code(`{"model":"script","prompt":"Say hi.","language":"go","gateway":{"tags":["t"]}}`)
	got := a.generated(t)
	if diff := cmp.Diff([]codegen.File{{Path: "main.go", Language: "go", Content: wantGo}, {Path: "data.json", Language: "json", Content: "{\"a\":1,}\n"}}, got.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got.ID != "code_"+a.header.Get("X-Request-Id") || got.Object != "code.generation" || got.Model != "script-1" || got.Created == 0 || got.FinishReason != "stop" ||
		got.Explanation != "Here it is.\n\nDone." || got.Usage.Prompt != 40 || got.Usage.Completion != 20 {
		t.Errorf("answer = %s", a.body)
	}
	var codes []string
	for _, d := range got.Diagnostics {
		codes = append(codes, d.Code+" "+d.Path+" "+d.Source)
	}
	if want := []string{"no_path data.json gateway", "syntax data.json json"}; !cmp.Equal(codes, want) {
		t.Errorf("diagnostics = %q, want %q", codes, want)
	}
	if !strings.Contains(a.body, "a<b & ü") {
		t.Errorf("the answer escapes what need not be: %s", a.body)
	}
	for name, want := range map[string]string{"X-Gateway-Provider": "script", "X-Gateway-Attempts": "1", "X-Gateway-Cost-Usd": "0", "Content-Type": "application/json"} {
		if h := a.header.Get(name); h != want {
			t.Errorf("%s = %q, want %q", name, h, want)
		}
	}
	recs := r.records("ana")
	if len(recs) != 1 || recs[0].Operation != "code" || recs[0].OutputTokens != 20 || recs[0].Asked != "script" || len(recs[0].Tags) != 1 || recs[0].Status != 200 {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")

	plain := r.code(`{"model":"script","prompt":"Say hi.","format":false}`).generated(t)
	if want := "package  main\nfunc main( ){ println(\"a<b & ü\") }\n"; plain.Files[0].Content != want {
		t.Errorf("unformatted = %q, want %q", plain.Files[0].Content, want)
	}
}

func TestCodeIsStreamed(t *testing.T) {
	r := newRig(t, nil, speaks(written, 1))
	a := r.code(`{"model":"script","prompt":"Say hi.","stream":true}`)
	if ct := a.header.Get("Content-Type"); a.status != 200 || ct != "text/event-stream" || a.header.Get("X-Gateway-Provider") != "script" {
		t.Fatalf("answer = %d %s %v", a.status, ct, a.header)
	}
	events := typedEvents(t, a.body)
	var kinds []string
	text := map[string]string{}
	for _, e := range events {
		if len(kinds) == 0 || kinds[len(kinds)-1] != e.Event {
			kinds = append(kinds, e.Event)
		}
		if s, ok := e.Data["content"].(string); ok {
			text[fmt.Sprint(e.Data["index"])] += s
		}
		if s, ok := e.Data["text"].(string); ok {
			text["explanation"] += s
		}
	}
	want := []string{"explanation.delta", "file.start", "file.delta", "file.end", "explanation.delta", "file.start", "file.delta", "file.end", "explanation.delta", "done"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if text["0"] != "package  main\nfunc main( ){ println(\"a<b & ü\") }\n" || text["1"] != "{\"a\":1,}\n" || !strings.HasPrefix(text["explanation"], "Here it is.\n") {
		t.Errorf("deltas = %q", text)
	}
	last, err := json.Marshal(events[len(events)-1].Data)
	if err != nil {
		t.Fatal(err)
	}
	done := answer{status: 200, body: string(last)}.generated(t)
	if len(done.Files) != 2 || done.Files[0].Content != wantGo || done.Usage.Completion != 20 || done.Gateway.RequestID != a.header.Get("X-Request-Id") || done.Gateway.Cost != "0" {
		t.Errorf("done = %s", last)
	}
	if recs := r.records("ana"); len(recs) != 1 || !recs[0].Stream || recs[0].Operation != "code" || recs[0].TTFT <= 0 {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")
}

// TestCodeFromOpenAI: answers that come in OpenAI's own bytes are read as well,
// whole and streamed, and the upstream gets a chat.
func TestCodeFromOpenAI(t *testing.T) {
	text := "```py app.py\nx = 1\n```\n"
	quoted := string(rawjson.AppendString(nil, text))
	whole := strings.Replace(completion, `"Hi."`, quoted, 1)
	chunk := strings.Replace(chunk1, `"Hi"`, quoted, 1)
	var sent struct {
		Model       string
		Temperature float64
		MaxTokens   int64 `json:"max_completion_tokens"`
		Stream      bool
		Gateway     any
		Messages    []struct{ Role, Content string }
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if err := json.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		if sent.Stream {
			reply("text/event-stream", "data: "+chunk+"\n\ndata: "+chunk2+"\n\ndata: "+chunkUsage+"\n\ndata: [DONE]\n\n")(w, req)
			return
		}
		reply("application/json", whole)(w, req)
	}, nil)
	body := `{"model":"gpt-4o-mini","prompt":"Fix it.","files":[{"path":"src/a.md","content":"` + "```\\n" + `x"}],"framework":"FastAPI","constraints":["no globals","typed"],"tests":true,"temperature":0.5,"max_completion_tokens":100%s}`
	a := r.code(fmt.Sprintf(body, ""))
	if got := a.generated(t); len(got.Files) != 1 || got.Files[0].Path != "app.py" || got.Files[0].Content != "x = 1\n" || got.Usage.Prompt != 9 || a.header.Get("X-Gateway-Cost-Usd") != helloCost.USD() {
		t.Errorf("answer = %s, cost %s", a.body, a.header.Get("X-Gateway-Cost-Usd"))
	}
	if sent.Model != "gpt-4o-mini" || sent.Temperature != 0.5 || sent.MaxTokens != 100 || sent.Gateway != nil || len(sent.Messages) != 3 ||
		sent.Messages[0].Role != "system" || sent.Messages[0].Content != codegen.System {
		t.Fatalf("upstream got %+v", sent)
	}
	if files := sent.Messages[1].Content; !strings.Contains(files, "````markdown src/a.md\n```\nx\n````\n") {
		t.Errorf("files are sent as %q", files)
	}
	for _, want := range []string{"Fix it.", "FastAPI", "no globals", "typed", "tests"} {
		if !strings.Contains(sent.Messages[2].Content, want) {
			t.Errorf("the task %q lacks %q", sent.Messages[2].Content, want)
		}
	}
	events := typedEvents(t, r.code(fmt.Sprintf(body, `,"stream":true`)).body)
	if last := events[len(events)-1]; last.Event != "done" || !strings.Contains(fmt.Sprint(last.Data["files"]), "x = 1") || last.Data["gateway"].(map[string]any)["cost_usd"] == nil {
		t.Errorf("last event = %v", last)
	}
}

func TestWrongRequestsForCodeNameTheField(t *testing.T) {
	r := newRig(t, nil, speaks("x", 1))
	file := func(path string) string {
		return `{"model":"script","prompt":"x","files":[{"path":"ok.go","content":""},{"path":` + path + `,"content":"x"}]}`
	}
	for _, tc := range []struct{ name, body, param, code string }{
		{"not JSON", `{"prompt":`, "", "invalid_json"},
		{"no prompt", `{"model":"script"}`, "prompt", "missing_required_parameter"},
		{"blank prompt", `{"model":"script","prompt":"  "}`, "prompt", ""},
		{"prompt is a number", `{"model":"script","prompt":1}`, "prompt", ""},
		{"no model", `{"prompt":"x"}`, "model", "missing_required_parameter"},
		{"unknown field", `{"model":"script","prompt":"x","promt":"y"}`, "promt", "unknown_parameter"},
		{"messages", `{"model":"script","prompt":"x","messages":[]}`, "messages", "unknown_parameter"},
		{"tools", `{"model":"script","prompt":"x","tools":[]}`, "tools", "unknown_parameter"},
		{"several choices", `{"model":"script","prompt":"x","n":2}`, "n", "unknown_parameter"},
		{"project is a number", `{"model":"script","prompt":"x","project":7}`, "project", ""},
		{"project is a path", `{"model":"script","prompt":"x","project":".."}`, "project", ""},
		{"two projects", `{"model":"script","prompt":"x","project":"a","gateway":{"project":"a"}}`, "project", ""},
		{"project, and a gateway that is no object", `{"model":"script","prompt":"x","project":"a","gateway":[]}`, "gateway", "invalid_type"},
		{"project, and a gateway with more", `{"model":"script","prompt":"x","project":"a","gateway":{"cash":1}}`, "gateway.cash", "unknown_parameter"},
		{"project of the chat", `{"model":"script","prompt":"x","gateway":{"project":"a/b"}}`, "gateway.project", ""},
		{"language of two lines", `{"model":"script","prompt":"x","language":"go\nand"}`, "language", ""},
		{"stream is a string", `{"model":"script","prompt":"x","stream":"yes"}`, "stream", "invalid_type"},
		{"format is a string", `{"model":"script","prompt":"x","format":"no"}`, "format", "invalid_type"},
		{"tests is a number", `{"model":"script","prompt":"x","tests":1}`, "tests", "invalid_type"},
		{"constraints is an object", `{"model":"script","prompt":"x","constraints":{}}`, "constraints", ""},
		{"a constraint is a number", `{"model":"script","prompt":"x","constraints":["a",1]}`, "constraints[1]", ""},
		{"files is an object", `{"model":"script","prompt":"x","files":{}}`, "files", ""},
		{"a file is a string", `{"model":"script","prompt":"x","files":["a"]}`, "files[0]", ""},
		{"a file without content", `{"model":"script","prompt":"x","files":[{"path":"a"}]}`, "files[0].content", "missing_required_parameter"},
		{"a file with more", `{"model":"script","prompt":"x","files":[{"path":"a","content":"","mode":1}]}`, "files[0].mode", "unknown_parameter"},
		{"a file twice", file(`"ok.go"`), "files[1].path", ""},
		{"a file twice, written otherwise", file(`"././ok.go"`), "files[1].path", ""},
		{"a file that is another on Linux alone", file(`"OK.go"`), "files[1].path", ""},
		{"an option", file(`"-rf"`), "files[1].path", "unsafe_path"},
		{"a path upwards", file(`"../x.go"`), "files[1].path", "unsafe_path"},
		{"an absolute path", file(`"/etc/passwd"`), "files[1].path", "unsafe_path"},
		{"a Windows path", file(`"C:\\x"`), "files[1].path", "unsafe_path"},
		{"a path with NUL", file(`"a\u0000b"`), "files[1].path", "unsafe_path"},
		{"no path", file(`null`), "files[1].path", "missing_required_parameter"},
		{"a field of a file twice", file(`"b","path":"c"`), "files[1]", ""},
		{"a large file", strings.Replace(file(`"b"`), `"content":"x"`, `"content":"`+strings.Repeat("x", 1<<20+1)+`"`, 1), "files[1].content", ""},
		{"temperature of the chat", `{"model":"script","prompt":"x","temperature":"hot"}`, "temperature", "invalid_type"},
		{"gateway of the chat", `{"model":"script","prompt":"x","gateway":{"cash":1}}`, "gateway.cash", "unknown_parameter"},
		{"field twice", `{"model":"script","prompt":"x","prompt":"y"}`, "", "invalid_json"},
	} {
		a := r.code(tc.body)
		_, _, param, code := a.fail(t)
		if a.status != 400 || param != tc.param || tc.code != "" && code != tc.code {
			t.Errorf("%s: %d param %q code %q, want 400 %q %q (%.200s)", tc.name, a.status, param, code, tc.param, tc.code, a.body)
		}
	}
	if a := r.code(`{"model":"nope","prompt":"x"}`); a.status != 404 {
		t.Errorf("unknown model: %d", a.status)
	}
	if a := r.code(`{"prompt":`, "Authorization", "Bearer gw_x"); a.status != 401 {
		t.Errorf("a stranger: %d", a.status)
	}
	if a := r.do("GET", "/ai/code/generate", ""); a.status != 405 {
		t.Errorf("GET: %d", a.status)
	}
	if recs := r.records("ana"); len(recs) != 0 {
		t.Errorf("refused requests left %d ledger records", len(recs))
	}
	r.account("ana")
}

// TestAPathFromHere is what people write: it is the path without the dot.
func TestAPathFromHere(t *testing.T) {
	r := newRig(t, nil, speaks(written, 5))
	if a := r.code(`{"model":"script","prompt":"x","files":[{"path":"./a.go","content":"package a"}]}`); a.status != 200 {
		t.Errorf("%d %s, want 200", a.status, a.body)
	}
}

// TestCodeModel: who answers when the request does not say.
func TestCodeModel(t *testing.T) {
	said := speaks("```go a.go\npackage a\n```\n", 100)
	script := gateway.Instance{Name: "script", Kind: "script", Chats: true, Own: []string{"script", "other"}, Free: true, Chat: said}
	public := []gateway.Public{{Name: "code", Policy: router.Policy{Strategy: router.Priority}, Places: []gateway.Place{{Provider: "script", Model: "other", Weight: 1}}}}
	for _, tc := range []struct {
		name, setting, want string
		set                 gateway.Set
	}{
		{"the public model", "script", "code", gateway.Set{Instances: []gateway.Instance{script}, Models: public}},
		{"the setting", "script", "script", gateway.Set{Instances: []gateway.Instance{script}}},
		{"the stand-in", "", "echo", gateway.Set{Instances: []gateway.Instance{{Name: "echo", Kind: "echo", Chats: true, Own: []string{"echo"}, Free: true, Chat: said},
			{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Missing: "ANTHROPIC_API_KEY"}}}},
	} {
		r := newRig(t, nil, nil)
		r.server.Gateway.Models.Use(tc.set)
		r.server.CodeModel = tc.setting
		if got := r.code(`{"prompt":"x"}`).generated(t); len(got.Files) != 1 {
			t.Errorf("%s: files = %v", tc.name, got.Files)
		}
		if recs := r.records("ana"); len(recs) != 1 || recs[0].Asked != tc.want {
			t.Errorf("%s: records = %+v, want one of %s", tc.name, recs, tc.want)
		}
	}
}

func TestUnsafePathsOfModelsAreRefused(t *testing.T) {
	r := newRig(t, nil, speaks("```go ../../root/.ssh/x.go\npackage x\n```\n", 3))
	for _, stream := range []string{"false", "true"} {
		a := r.code(`{"model":"script","prompt":"x","stream":` + stream + `}`)
		if !strings.Contains(a.body, `"path":"snippet_1.go"`) || !strings.Contains(a.body, `"unsafe_path"`) {
			t.Errorf("stream %s: %s", stream, a.body)
		}
		if strings.Contains(a.body, `"path":"..`) {
			t.Errorf("stream %s: the path came through: %s", stream, a.body)
		}
	}
}

func TestCodeOverBudget(t *testing.T) {
	asked := false
	r := newRig(t, func(http.ResponseWriter, *http.Request) { asked = true }, nil)
	key := r.user("bob", func(u *admission.User) { u.Day = usage.FromUSD(0.000001) })
	a := r.code(`{"model":"gpt-4o-mini","prompt":"x","stream":true}`, "Authorization", "Bearer "+key)
	if _, _, _, code := a.fail(t); a.status != 429 || code != "insufficient_quota" || asked {
		t.Errorf("answer = %d %s, upstream asked: %v", a.status, a.body, asked)
	}
	r.account("bob")
}

// TestCodeBreaks: before the first word a failure has a status, afterwards it is
// an event; what was generated is paid for.
func TestCodeBreaks(t *testing.T) {
	broken := &fault.Error{Kind: fault.Upstream, Provider: "script", Message: "The provider broke off."}
	for _, tc := range []struct {
		name   string
		after  string
		stream bool
		status int
	}{
		{"before the first word", "", true, 502}, {"in a stream", "```go a.go\npackage", true, 200}, {"in an answer that is not streamed", "```go a.go\npackage", false, 502},
	} {
		r := newRig(t, nil, llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
			if tc.after != "" {
				if err := emit(&llm.Event{Text: tc.after}); err != nil {
					return err
				}
			}
			return broken
		}))
		a := r.code(fmt.Sprintf(`{"model":"script","prompt":"x","stream":%v}`, tc.stream))
		if a.status != tc.status {
			t.Fatalf("%s: %d %s, want %d", tc.name, a.status, a.body, tc.status)
		}
		if tc.status == 200 {
			events := typedEvents(t, a.body)
			last := events[len(events)-1]
			e, _ := last.Data["error"].(map[string]any)
			if last.Event != "error" || len(e) != 4 || e["message"] != broken.Message || events[0].Event != "file.start" {
				t.Errorf("%s: %v", tc.name, events)
			}
		}
		if recs := r.records("ana"); len(recs) != 1 || recs[0].Error != string(fault.Upstream) || recs[0].Partial != (tc.after != "") {
			t.Errorf("%s: records = %+v", tc.name, recs)
		}
		r.account("ana")
	}
}

// TestCodeClientLeaves: the provider is cancelled, and the books are closed.
func TestCodeClientLeaves(t *testing.T) {
	gone := make(chan struct{})
	r := newRig(t, nil, llm.ProviderFunc(func(ctx context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		if err := emit(&llm.Event{Text: "```go a.go\npackage a\n"}); err != nil {
			return err
		}
		<-ctx.Done()
		close(gone)
		return ctx.Err()
	}))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/ai/code/generate", strings.NewReader(`{"model":"script","prompt":"x","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	<-gone
	recs := r.settled("ana")
	if len(recs) != 1 || recs[0].Status != 499 || recs[0].Error != string(fault.Canceled) || recs[0].OutputTokens == 0 {
		t.Errorf("records = %+v", recs)
	}
	r.account("ana")
}

// TestCodeTruncated: the limit on tokens shows in the file that it cut.
func TestCodeTruncated(t *testing.T) {
	r := newRig(t, nil, llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		if err := emit(&llm.Event{Text: "```go a.go\npackage a\n\nfunc f() {"}); err != nil {
			return err
		}
		return emit(&llm.Event{Finish: "length", Notice: "budget_exceeded"})
	}))
	got := r.code(`{"model":"script","prompt":"x"}`).generated(t)
	var codes []string
	for _, d := range got.Diagnostics {
		codes = append(codes, d.Code)
	}
	if got.FinishReason != "length" || !strings.HasPrefix(strings.Join(codes, " "), "truncated budget_exceeded syntax") {
		t.Errorf("finish %s, diagnostics %v", got.FinishReason, codes)
	}
}

// TestCodeStreamPingsWhileTheModelThinks and stops when it has ended.
func TestCodeStreamPingsWhileTheModelThinks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, key, done := bubble(t, dir, func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
			if err := emit(&llm.Event{Reasoning: "hm"}); err != nil {
				return err
			}
			time.Sleep(40 * time.Second)
			return emit(&llm.Event{Text: "Hi.", Finish: "stop"})
		})
		defer done()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, posted("/ai/code/generate", `{"model":"script","prompt":"x","stream":true}`, key))
		time.Sleep(time.Minute)
		if n := strings.Count(w.Body.String(), ": ping\n"); n != 2 || !strings.HasPrefix(w.Body.String(), ": ping\n: ping\nevent: explanation.delta\n") {
			t.Errorf("%d pings in %s", n, w.Body)
		}
	})
}

// TestCodeKeepsItsFiles: whoever is to change a file that was not shown invents
// it, and the client overwrites the true one.
func TestCodeKeepsItsFiles(t *testing.T) {
	var sent string
	r := newRig(t, nil, nil)
	r.server.Gateway.Models.Use(gateway.Set{Instances: []gateway.Instance{{Name: "small", Kind: "openai", Chats: true, Own: []string{"small/m"}, Free: true, Window: 2048,
		Chat: llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			sent = string(req.Raw)
			return speaks("```python a.py\nx = 2\n```\n", 10)(ctx, req, emit)
		})}}})
	long, short, rule := strings.Repeat("x = 1\\n", 700), strings.Repeat("x = 1\\n", 100), strings.Repeat("x = 1\\n", 100)
	for _, tc := range []struct{ name, body, param string }{
		{"files that fit", `"prompt":"Fix a.py","files":[{"path":"a.py","content":"` + short + `"}]`, ""},
		{"files that do not", `"prompt":"Fix a.py","files":[{"path":"a.py","content":"` + long + `"}]`, "files"},
		{"one of which does", `"prompt":"Fix a.py","files":[{"path":"b.py","content":"` + short + `"},{"path":"a.py","content":"` + long + `"}]`, "files"},
		{"rules that do not", `"prompt":"Fix it","constraints":[` + strings.Repeat(`"`+rule+`",`, 7) + `"` + rule + `"],"files":[{"path":"b.py","content":"` + short + `"}]`, "constraints"},
		{"a task that does not", `"prompt":"` + long + `","files":[{"path":"b.py","content":"y"}]`, "prompt"},
	} {
		for _, strategy := range []string{"truncate", "summarize", "error"} {
			sent = ""
			a := r.code(`{"model":"small/m",` + tc.body + `,"gateway":{"context":"` + strategy + `"}}`)
			if tc.param == "" {
				if got := a.generated(t); len(got.Files) != 1 || !strings.Contains(sent, "a.py") {
					t.Errorf("%s, %s: %s after %s", tc.name, strategy, a.body, sent)
				}
				continue
			}
			if _, _, param, code := a.fail(t); a.status != 400 || param != tc.param || code != "context_length_exceeded" || sent != "" {
				t.Errorf("%s, %s: %d %s, sent %.60q, want a 400 that names %s", tc.name, strategy, a.status, a.body, sent, tc.param)
			}
		}
	}
}

// TestCodeSearchesForThePrompt: the rules that we add are words like others, and
// say nothing of what the task is about.
func TestCodeSearchesForThePrompt(t *testing.T) {
	l := newLibrary(t, reply("application/json", completion))
	l.document("docs", "retry", "Calls retry.")
	l.document("docs", "style", "A language guide: tests are in usual files beside the code. Rules of a task.")
	a := l.code(`{"model":"gpt-4o-mini","prompt":"Make it retry","tests":true,"language":"go","constraints":["A rule of style"],"gateway":{"rag":{"collection":"docs"}}}`)
	var e extras
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || len(e.Gateway.Citations) != 1 || e.Gateway.Citations[0].ID != "retry" {
		t.Errorf("citations = %+v of %s, want what the prompt asks for", e.Gateway.Citations, a.body)
	}
}
