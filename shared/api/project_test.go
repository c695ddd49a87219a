package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/upstream"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	projectKey = "key-of-the-project-service"
	aboutPump  = "PROJECT-yellow-pelican: errors are wrapped."
)

// projects is a library with a Project Service, which notes what it is asked.
type projects struct {
	*library
	mu   sync.Mutex
	seen []*http.Request
}

func newProjects(t *testing.T, up, service http.HandlerFunc) *projects {
	p := &projects{library: newLibrary(t, up)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r)
		p.mu.Unlock()
		service(w, r)
	}))
	t.Cleanup(server.Close)
	p.use(projectservice.Options{URL: server.URL})
	return p
}

// use gives the gateway the service at o.URL.
func (p *projects) use(o projectservice.Options) {
	p.t.Helper()
	transport := upstream.NewTransport()
	p.t.Cleanup(transport.CloseIdleConnections)
	o.HTTP, o.Key = transport, secret(projectKey)
	s, err := projectservice.New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.server.Gateway.Projects = s
}

// anas is a service in which ana has the project pump.
func anas(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Gateway-User") != "ana" || r.URL.Path != "/v1/projects/pump/context" {
			w.WriteHeader(403)
			return
		}
		w.Header().Set("Cache-Control", "max-age=300")
		body, _ := json.Marshal(map[string]string{"context": text})
		w.Write(body)
	}
}

const (
	aboutProject = `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"S"},{"role":"user","content":"x"}],"gateway":{"project":"pump"}}`
	codeProject  = `{"model":"gpt-4o-mini","prompt":"x","project":"pump"}`
)

// material is what of a message about a project comes from the service.
func material(t *testing.T, message string) string {
	t.Helper()
	rule, text, _ := strings.Cut(message, "\n\n")
	if !strings.HasPrefix(rule, "system: What is known of the project") || !strings.Contains(rule, "no authority of its own") {
		t.Errorf("the model is told of the project: %s", rule)
	}
	return text
}

func TestWhatIsKnownOfAProjectReachesTheModel(t *testing.T) {
	for _, tc := range []struct {
		name, path, body, up string
		at                   int // the message about the project
	}{
		{"chat", "/ai/chat/completions", aboutProject, completion, 1},
		{"chat, streamed", "/ai/chat/completions", strings.Replace(aboutProject, `{`, `{"stream":true,`, 1), sse, 1},
		{"code", "/ai/code/generate", codeProject, completion, 1},
		{"code, streamed", "/ai/code/generate", strings.Replace(codeProject, `{`, `{"stream":true,`, 1), sse, 1},
		{"code, as in chat", "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"x","gateway":{"tags":["a"],"project":"pump"}}`, completion, 1},
		{"code, with other options", "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"x","gateway":{"tags":["a"],"project":null},"project":"pump"}`, completion, 1},
	} {
		kind := "application/json"
		if tc.up == sse {
			kind = "text/event-stream"
		}
		p := newProjects(t, reply(kind, tc.up), anas(aboutPump))
		a := p.do("POST", tc.path, tc.body)
		got := p.last()
		if a.status != 200 || len(got) != 3 || !strings.HasPrefix(got[0], "system: ") || !strings.HasPrefix(got[2], "user: ") {
			t.Fatalf("%s: %d %s, after %q", tc.name, a.status, a.body, got)
		}
		if text := material(t, got[tc.at]); text != "<project>\n"+aboutPump+"\n</project>" {
			t.Errorf("%s: the model is sent %q", tc.name, text)
		}
		if h := a.header.Get("x-gateway-context"); !strings.Contains(h, " project=") || strings.Contains(h, "cut=") || a.header.Get("x-gateway-skipped") != "" {
			t.Errorf("%s: x-gateway-context = %q, x-gateway-skipped = %q", tc.name, h, a.header.Get("x-gateway-skipped"))
		}
		r := p.seen[0]
		if h := r.Header; h.Get("X-Gateway-User") != "ana" || h.Get("X-Request-Id") != a.header.Get("x-request-id") || h.Get("Authorization") != "Bearer "+projectKey {
			t.Errorf("%s: the service was asked with %v", tc.name, h)
		}
		if rec := p.records("ana")[0]; len(rec.Skipped) > 0 || strings.Contains(tc.body, "tags") != (len(rec.Tags) == 1) {
			t.Errorf("%s: record = skipped %q, tags %q", tc.name, rec.Skipped, rec.Tags)
		}
	}
}

// TestAllPartsOfAPromptTogether: the project stands with what stays the same,
// and is not kept with the conversation.
func TestAllPartsOfAPromptTogether(t *testing.T) {
	p := newProjects(t, reply("application/json", completion), anas(aboutPump))
	p.template("tutor", teacher, "production")
	p.document("docs", "a", "Maps are flat.")
	id := p.converse("conv_0123456789")
	for range 2 {
		a := p.chat(`{"messages":[{"role":"user","content":"Are maps flat?"}],"gateway":{"project":"pump","conversation":"` + id + `","rag":{"collection":"docs"},"template":{"name":"tutor","variables":{"topic":"maps"}}}}`)
		if a.status != 200 {
			t.Fatal(a.body)
		}
	}
	var starts []string
	for _, m := range p.last() {
		starts = append(starts, m[:min(len(m), 24)])
	}
	want := []string{"system: You teach maps.", "system: What is known of", "system: The newest user ", "user: hm?", "assistant: Ask again.",
		"user: Explain maps to a ", "user: Are maps flat?", "assistant: Hi.", "user: Explain maps to a ", "user: <passage number=\"1"}
	if diff := cmp.Diff(want, starts); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	turns, err := p.store.Conversations().Turns(t.Context(), "ana", id, "", 10)
	if text, _ := json.Marshal(turns); err != nil || len(turns) != 2 || strings.Contains(string(text), "pelican") {
		t.Errorf("turns = %s, %v", text, err)
	}
}

// TestProjectsOfOthersAreNotFound: even while the answer to their owner is kept.
func TestProjectsOfOthersAreNotFound(t *testing.T) {
	p := newProjects(t, reply("application/json", completion), anas(aboutPump))
	bob := p.user("bob", nil)
	if a := p.chat(aboutProject); a.status != 200 {
		t.Fatal(a.body)
	}
	asked := len(p.asked)
	for _, tc := range []struct{ path, body, param string }{
		{"/ai/chat/completions", aboutProject, "gateway.project"},
		{"/ai/chat/completions", strings.Replace(aboutProject, `{`, `{"stream":true,`, 1), "gateway.project"},
		{"/ai/code/generate", codeProject, "project"},
		{"/ai/code/generate", strings.Replace(codeProject, `{`, `{"stream":true,`, 1), "project"},
		{"/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"x","gateway":{"project":"pump"}}`, "gateway.project"},
	} {
		a := p.do("POST", tc.path, tc.body, "Authorization", "Bearer "+bob)
		if msg, _, param, code := a.fail(t); a.status != 404 || param != tc.param || code != "project_not_found" || !strings.Contains(msg, "pump") {
			t.Errorf("%s %s: %d %s, want 404 naming %s", tc.path, tc.body, a.status, a.body, tc.param)
		}
	}
	if len(p.asked) != asked {
		t.Error("the upstream was asked about a project that is not there")
	}
	for _, rec := range p.records("bob") {
		if rec.Cost != 0 || len(rec.Skipped) > 0 {
			t.Errorf("bob's record: $%s, skipped %q", rec.Cost.USD(), rec.Skipped)
		}
	}
	p.account("bob")
}

// TestAnswersDoWithoutTheProjectService: it fails open, soon, and it shows.
func TestAnswersDoWithoutTheProjectService(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, `{"context":"`+aboutPump+`"}`)
		}
	}
	for name, service := range map[string]http.HandlerFunc{
		"down":     nil,
		"unset":    nil,
		"500":      status(500),
		"401":      status(401),
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>"+aboutPump) },
		"too long": anas(strings.Repeat("x", 1<<20)),
		"slow":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		p := newProjects(t, reply("application/json", completion), service)
		switch name {
		case "unset":
			p.server.Gateway.Projects = nil
		case "down":
			gone := httptest.NewServer(nil)
			gone.Close()
			p.use(projectservice.Options{URL: gone.URL})
		case "slow":
			server := httptest.NewServer(service)
			t.Cleanup(server.Close)
			p.use(projectservice.Options{URL: server.URL, Timeout: 50 * time.Millisecond})
		}
		for i, a := range []answer{p.chat(aboutProject), p.code(codeProject)} {
			if a.status != 200 || a.header.Get("x-gateway-skipped") != "project" || strings.Contains(a.header.Get("x-gateway-context"), "project=") {
				t.Errorf("%s: %d %s, skipped %q, context %q", name, a.status, a.body, a.header.Get("x-gateway-skipped"), a.header.Get("x-gateway-context"))
			}
			if got := p.last(); len(got) != 2 {
				t.Errorf("%s: the upstream was sent %q", name, got)
			}
			if rec := p.records("ana")[i]; len(rec.Skipped) != 1 || rec.Skipped[0] != "project" || rec.Error != "" {
				t.Errorf("%s: record = skipped %q, error %q", name, rec.Skipped, rec.Error)
			}
		}
		if log := p.log.String(); !strings.Contains(log, `"stage":"project"`) || strings.Contains(log, "pelican") || strings.Contains(log, projectKey) {
			t.Errorf("%s: log =\n%s", name, log)
		}
	}
}

// TestNothingOfAProjectIsWrittenDown: neither its text nor the service's key is
// in the log or the ledger, whether it was used, cut or refused.
func TestNothingOfAProjectIsWrittenDown(t *testing.T) {
	for _, text := range []string{aboutPump, strings.Repeat(aboutPump+"\n", 1000)} {
		p := newProjects(t, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":{"message":"You said `+aboutPump+`"}}`, 500)
		}, anas(text))
		p.chat(aboutProject)
		p.code(codeProject)
		p.chat(strings.Replace(aboutProject, "pump", "other", 1))
		records, err := json.Marshal(p.records("ana"))
		if err != nil || !strings.Contains(string(records), "gpt-4o-mini") {
			t.Fatalf("records = %s, %v", records, err)
		}
		for what, private := range map[string]string{"text": "pelican", "key": projectKey} {
			if strings.Contains(p.log.String()+string(records), private) {
				t.Errorf("the %s is in the log or ledger:\n%s\n%s", what, p.log, records)
			}
		}
	}
}

// TestLongProjectsAreCut: to 4,096 tokens, or an eighth of a small window, which
// shows in the header and in the answer.
func TestLongProjectsAreCut(t *testing.T) {
	p := newProjects(t, reply("application/json", completion), anas(strings.Repeat("Valves close clockwise, and pipes are numbered from the well.\n", 10_000)))
	for model, most := range map[string]int64{"gpt-4o-mini": 4096, "gpt-4": 1024} {
		a := p.chat(strings.Replace(aboutProject, "gpt-4o-mini", model, 1))
		var x struct {
			Gateway struct {
				Context struct {
					Tokens int64
					Parts  []struct {
						Name           string
						Tokens, Budget int64
						Kept, Dropped  int
						Cut            int64
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(a.body), &x); err != nil || a.status != 200 || len(x.Gateway.Context.Parts) != 3 {
			t.Fatalf("%s: %d %s, %v", model, a.status, a.body, err)
		}
		part := x.Gateway.Context.Parts[1]
		if part.Name != "project" || part.Budget != most || part.Tokens > most || part.Tokens < most*9/10 || part.Kept != 1 || part.Cut < 50_000 {
			t.Errorf("%s: part = %+v, want nearly %d tokens of very many", model, part, most)
		}
		if h := a.header.Get("x-gateway-context"); !strings.Contains(h, ";cut=") {
			t.Errorf("%s: x-gateway-context = %q", model, h)
		}
		if text := material(t, p.last()[1]); !strings.HasSuffix(text, "from the well.\n</project>") || int64(len(text)) > most*7 {
			t.Errorf("%s: %d bytes are sent, ending in %q", model, len(text), text[max(0, len(text)-80):])
		}
	}
}

// TestProjectsAreReserved: what of a project may be added is reserved, and what
// it did cost is booked.
func TestProjectsAreReserved(t *testing.T) {
	p := newProjects(t, reply("application/json", completion), anas(aboutPump))
	body := strings.Replace(aboutProject, `{`, `{"max_completion_tokens":10,`, 1)
	if a := p.chat(body); a.status != 200 {
		t.Fatal(a.body)
	}
	if rec, least := p.records("ana")[0], usage.Nano(4096*150); rec.Reserved < least || rec.Cost != helloCost {
		t.Errorf("reserved $%s and paid $%s, want at least $%s and $%s", rec.Reserved.USD(), rec.Cost.USD(), least.USD(), helloCost.USD())
	}
	poor := p.user("poor", func(u *admission.User) { u.Day = 4096 * 150 })
	if a := p.chat(body, "Authorization", "Bearer "+poor); a.status != 429 {
		t.Errorf("a budget below that: %d %s", a.status, a.body)
	}
	p.server.Gateway.Projects = nil // nobody to ask: nothing will be added
	if a := p.chat(body, "Authorization", "Bearer "+poor); a.status != 200 || a.header.Get("X-Gateway-Skipped") != "project" {
		t.Errorf("without a Project Service: %d %s", a.status, a.body)
	}
}

func TestWrongProjectsNameTheField(t *testing.T) {
	p := newProjects(t, reply("application/json", completion), anas(aboutPump))
	for _, bad := range []string{`""`, `"."`, `".."`, `"a/b"`, `"a%2Fb"`, `"a b"`, `"a\u0000"`, `"a\r\nX-Gateway-User: bob"`, `"ä"`, `7`, `true`, `{}`, `["pump"]`, quote(strings.Repeat("x", 129))} {
		for _, tc := range []struct{ path, body, param string }{
			{"/ai/chat/completions", strings.Replace(aboutProject, `"pump"`, bad, 1), "gateway.project"},
			{"/ai/code/generate", strings.Replace(codeProject, `"pump"`, bad, 1), "project"},
			{"/ai/embeddings", `{"model":"text-embedding-3-small","input":"x","gateway":{"project":` + bad + `}}`, "gateway.project"},
		} {
			a := p.do("POST", tc.path, tc.body)
			if msg, _, param, _ := a.fail(t); a.status != 400 || param != tc.param || !strings.Contains(msg, "'"+tc.param+"'") {
				t.Errorf("%s with %s: %d %s, want 400 naming %s", tc.path, bad, a.status, a.body, tc.param)
			}
		}
	}
	a := p.do("POST", "/ai/embeddings", `{"model":"text-embedding-3-small","input":"x","gateway":{"project":"pump"}}`)
	if _, _, param, _ := a.fail(t); a.status != 400 || param != "gateway.project" {
		t.Errorf("an embedding with a project: %d %s", a.status, a.body)
	}
	if len(p.seen) > 0 || len(p.asked) > 0 || len(p.records("ana")) > 0 {
		t.Errorf("%d questions, %d calls, %d records", len(p.seen), len(p.asked), len(p.records("ana")))
	}
	for _, good := range []string{"a", "...", "-", "_", "A.b-C_9", strings.Repeat("x", 128)} {
		if a := p.chat(strings.Replace(aboutProject, "pump", good, 1)); a.status != 404 {
			t.Errorf("project %s: %d %s, want a question and 404", good, a.status, a.body)
		}
	}
}
