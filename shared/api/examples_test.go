package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/echo"
	"github.com/devmentor/ai-gateway/shared/shelf"
)

// speaker answers like a model that was asked for what the examples ask for.
func speaker(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	text := "Fill the pump with water first [1]."
	switch {
	case strings.Contains(string(body), `"response_format"`):
		text = `{"questions": ["What is a map?", "Who draws it?"]}`
	case strings.Contains(string(body), "senior software engineer"):
		text = "Here it is.\n\n```go fetch.go\npackage fetch\nfunc Get() {}\n```\n"
	}
	quoted := mustJSON(text)
	if strings.Contains(string(body), `"stream":true`) || strings.Contains(string(body), `"stream": true`) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":%s},"finish_reason":"stop"}]}`+"\n\n", quoted)
		io.WriteString(w, `data: {"id":"1","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`+"\n\ndata: [DONE]\n\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, quoted)
}

// example is a curl command of the documentation.
type example struct {
	method, path, body string
	header             []string
}

// examples finds the curl commands in a block for a shell. Of the shell's
// language it knows quotes, variables and continued lines.
func examples(t *testing.T, block string, vars func(string) string) (list []example) {
	t.Helper()
	for _, command := range strings.Split(block, "curl ")[1:] {
		var words []string
		var word strings.Builder
		var quote rune
		ended := false
		for i, c := range command {
			switch {
			case ended:
			case quote == 0 && (c == '\'' || c == '"'):
				quote = c
			case c == quote:
				quote = 0
			case quote == 0 && (c == '|' || c == ')' || c == '#' || c == '\n' && !strings.HasSuffix(command[:i], `\`)):
				ended = true
			case quote == 0 && (c == ' ' || c == '\n'):
				if word.Len() > 0 {
					words = append(words, word.String())
				}
				word.Reset()
			case quote == 0 && c == '\\':
			case quote == '\'' && c == '$':
				word.WriteString("\x00") // is none of the shell's
			default:
				word.WriteRune(c)
			}
		}
		if word.Len() > 0 {
			words = append(words, word.String())
		}
		var e example
		for i := 0; i < len(words); i++ {
			w := strings.ReplaceAll(os.Expand(words[i], vars), "\x00", "$")
			value := ""
			if i+1 < len(words) {
				value = strings.ReplaceAll(os.Expand(words[i+1], vars), "\x00", "$")
			}
			switch {
			case w == "-N" || w == "-s" || w == "-sS":
				continue
			case w == "-X":
				e.method = value
			case w == "-H":
				name, text, _ := strings.Cut(value, ": ")
				e.header = append(e.header, name, text)
			case w == "-d":
				e.body = value
			case strings.HasPrefix(w, "http://localhost:3001/"):
				e.path = strings.TrimPrefix(w, "http://localhost:3001")
				continue
			default:
				t.Fatalf("curl %.80s: the test does not know %q", command, w)
			}
			i++
		}
		if e.method == "" {
			if e.method = "GET"; e.body != "" {
				e.method = "POST"
			}
		}
		list = append(list, e)
	}
	return list
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestDocumentedChainRunsOffline: "echo will do", also for a chain whose steps
// read what a model answers.
func TestDocumentedChainRunsOffline(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil, &echo.Provider{})
	docs := shelf.New(t.TempDir())
	t.Cleanup(func() { docs.Close() })
	r.server.Library, r.server.Passages, r.server.Gateway.Passages = docs, docs, docs
	r.server.Recipes, r.server.Runs = r.store.Recipes(), r.store.Runs()
	r.keep("docs", "maps.md", "Maps are drawn.")
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		for _, e := range examples(t, block[1], func(string) string { return r.key }) {
			if e.path != "/ai/chains" {
				continue
			}
			if a := r.do("POST", e.path, strings.ReplaceAll(e.body, "gpt-4o-mini", "script/script")); a.status != 201 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a := r.do("POST", "/ai/chains/brief/runs", `{"input":{"topic":"maps"}}`); a.status != 200 || !strings.Contains(a.body, "Maps are drawn") || strings.Contains(a.body, `"answers":[]`) {
				t.Errorf("%d %s", a.status, a.body)
			}
			return
		}
	}
	t.Error("there is no chain")
}

// TestDocumentedExamples: every request in docs/api.md is answered as it says.
func TestDocumentedExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	l := newLibrary(t, speaker)
	l.server.Runs = l.store.Runs()
	key := l.user("zoe", nil)
	l.do("DELETE", "/admin/users/ana", "", "Authorization", "Bearer "+adminKey) // the examples make her
	zoe := []string{"Authorization", "Bearer " + key}
	must := func(path, body string) answer {
		t.Helper()
		a := l.do("POST", path, body, zoe...)
		if a.status >= 300 {
			t.Fatalf("POST %s = %d %s", path, a.status, a.body)
		}
		return a
	}
	// What the examples speak of, and do not make.
	must("/ai/templates", `{"name":"support","user":"Answer questions about the {{.product}}.","variables":[{"name":"product"}],"model":"gpt-4o-mini","labels":["production"]}`)
	must("/ai/documents", `{"collection":"docs","id":"pump.md","text":"How the pump is primed: fill it with water. Maps are drawn.","metadata":{"lang":"en"}}`)
	conversation := must("/ai/conversations", `{}`).object(t)["id"].(string)
	refused := map[string]int{"/admin/ledger/VbkthekPvG3Nkq2S/write-off": 404} // of a request that was not made
	id := ""
	vars := func(name string) string {
		v, ok := map[string]string{"GATEWAY_KEY": key, "GATEWAY_ADMIN_KEY": adminKey, "ID": id}[name]
		if !ok {
			t.Errorf("the examples use $%s", name)
		}
		return v
	}
	answers := map[string]answer{}
	n := 0
	for _, block := range shellBlock.FindAllStringSubmatch(doc, -1) {
		commands := len(examples(t, block[1], func(string) string { return "" }))
		for i := range commands {
			e := examples(t, block[1], vars)[i] // an answer may have given the id
			e.body = strings.NewReplacer("conv_…", conversation, "proj_…", "proj_1").Replace(e.body)
			a := l.do(e.method, e.path, e.body, e.header...)
			if want := refused[e.path]; want == 0 && a.status >= 300 || want > 0 && a.status != want {
				t.Errorf("%s %s %s = %d %s", e.method, e.path, e.body, a.status, a.body)
			}
			if skipped := a.header.Get("X-Gateway-Skipped"); skipped != "" && skipped != "project" {
				t.Errorf("%s %s skips %s", e.method, e.path, skipped)
			}
			if strings.Contains(e.body, `"stream": true`) && (strings.Contains(a.body, `"error":{`) || !strings.Contains(a.body, "data: [DONE]") && !strings.Contains(a.body, "event: done")) {
				t.Errorf("%s %s streams %s", e.method, e.path, a.body)
			}
			if e.path == "/ai/conversations" {
				id, _ = a.object(t)["id"].(string)
			}
			answers[e.method+" "+e.path] = a
			n++
		}
	}
	if n < 15 {
		t.Errorf("%d examples were found", n)
	}
	if h := answers["POST /ai/chat/completions"].header.Get("X-Gateway-Provider"); h != "openai" {
		t.Errorf("the template's chat was answered by %q", h)
	}

	// Requests and answers that the text has beside the commands.
	_, run, found := strings.Cut(doc, "`POST /ai/chains/brief/runs` with `")
	run, _, _ = strings.Cut(run, "`")
	if !found || !json.Valid([]byte(run)) {
		t.Fatalf("the run in the text is %q", run)
	}
	answers["run"] = must("/ai/chains/brief/runs", run)
	answers["code"] = must("/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"x","language":"go"}`)
	answers["together"] = must("/ai/chat/completions", `{"model":"gpt-4","max_completion_tokens":500,"messages":[`+chatter(80)+`],"gateway":{"context":"truncate"}}`)
	answers["cited"] = must("/ai/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"How is the pump primed?"}],"gateway":{"rag":{"collection":"docs"}}}`)
	_, file, _ := strings.Cut(doc, "```text\n---\nname: tutor")
	file, _, _ = strings.Cut("---\nname: tutor"+file, "```")
	if a := l.do("POST", "/ai/templates?labels=staging", file, append(zoe, "Content-Type", "text/markdown")...); a.status != 201 || len(a.object(t)["examples"].([]any)) != 1 {
		t.Errorf("the file in the text = %d %s", a.status, a.body)
	}
	for _, tc := range []struct{ of, from, to string }{
		{"run", `{"id": "run_…"`, "```"}, {"code", `{"id": "code_…"`, ` "diagnostics"`}, {"POST /ai/search", "`{\"object\": \"list\", \"data\": [{\"id\", \"score\"", "`,"},
		{"POST /ai/conversations", `{"id": "conv_…"`, "`,"}, {"cited", `{"citations": [{`, "}`"}, {"together", `[{"part": "memory"`, "`."},
	} {
		_, shape, found := strings.Cut(doc, tc.from)
		shape, _, ended := strings.Cut(tc.from+shape, tc.to)
		if !found || !ended || len(shape) > 1000 {
			t.Errorf("the text has no longer %s", tc.from)
			continue
		}
		for _, m := range regexp.MustCompile(`"([a-z_]+)"(:|,|\}| ,|$)`).FindAllStringSubmatch(shape, -1) {
			value := m[2] != ":" && regexp.MustCompile(`: (\[[^{\]]*)?"`+m[1]+`"`).MatchString(shape)
			if !value && m[1] != "id" && !strings.Contains(answers[tc.of].body, `"`+m[1]+`":`) {
				t.Errorf("the answer to %s has no %q, which the text shows: %.1500s", tc.of, m[1], answers[tc.of].body)
			}
		}
	}
	if o := answers["run"].object(t); o["status"] != "ok" || len(o["output"].(map[string]any)["answers"].([]any)) != 2 {
		t.Errorf("the run = %s", answers["run"].body)
	}
}
