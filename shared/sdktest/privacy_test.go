package sdktest_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/qdranttest"
)

// collector takes traces.
func collector(t *testing.T) (url string, traces *output) {
	traces = newOutput()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		if _, err := io.Copy(traces, body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, traces
}

// private is the beginning of whatever must not be in any sink. A number is
// told in the messages of some errors.
const (
	private       = "zebra-"
	privateNumber = "7310097231"
)

// confide sends private texts by every way there is, in requests that succeed
// and in such that fail.
func confide(t *testing.T, s *site) {
	post := func(want int, path, body string) string {
		t.Helper()
		a := s.do(t, "POST", path, s.key, body)
		if want != 0 && a.status != want {
			t.Errorf("%s %s = %d %s, want %d", path, body, a.status, a.body, want)
		}
		var got struct{ ID string }
		if a.header.Get("Content-Type") == "application/json" {
			a.decode(t, &got)
		}
		return got.ID
	}
	const chat = "/ai/chat/completions"
	said := func(text, more string) string {
		return ask("gpt-4o-mini", private+text, more)
	}
	post(201, "/ai/templates", `{"name":"t","system":"zebra-system","user":"zebra-user {{.v}} {{.n}}","examples":[{"user":"zebra-shot","assistant":"zebra-reply"}],"description":"zebra-description",
		"variables":[{"name":"v","default":"zebra-default","description":"zebra-about"},{"name":"n","type":"number","default":1}],"model":"gpt-4o-mini"}`)
	post(400, "/ai/templates", `{"name":"t","user":"{{.zebra-broken zebra-text"}`)
	post(400, "/ai/templates", `{"name":"t","user":"{{.zebra_undeclared}} zebra-text"}`)
	post(200, "/ai/templates/t/render", `{"variables":{"v":"zebra-variable"}}`)
	post(400, "/ai/templates/t/render", `{"variables":{"v":`+privateNumber+`}}`)
	post(400, "/ai/templates/t/render", `{"variables":{"n":"zebra-number"}}`)
	post(201, "/ai/documents", `{"collection":"d","id":"x","text":"zebra-document about pumps","metadata":{"m":"zebra-metadata"}}`)
	post(400, "/ai/documents", `{"collection":"d","id":"x","text":"zebra-document","type":"zebra-type"}`)
	post(200, "/ai/search", `{"collection":"d","query":"zebra-query pumps","filter":{"m":"zebra-filter"}}`)
	post(404, "/ai/search", `{"collection":"e","query":"zebra-query"}`)
	conv := post(201, "/ai/conversations", `{"title":"zebra-title","metadata":{"a":"zebra-meta"},"messages":[{"role":"user","content":"zebra-turn"}]}`)
	post(201, "/ai/conversations/"+conv+"/messages", `{"messages":[{"role":"assistant","content":"zebra-answer"}]}`)
	post(400, "/ai/conversations/"+conv+"/messages", `{"messages":[{"role":"zebra-role","content":"zebra-turn"}]}`)
	post(201, "/ai/chains", `{"name":"c","description":"zebra-chain","input":[{"name":"i","default":"zebra-initial"}],"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","system":"zebra-step","user":"{{.input.i}}"},
		{"id":"f","type":"retrieve","collection":"d","query":"{{.input.i}} pumps"},{"id":"b","type":"transform","select":"$.steps.f.output[0].metadata.zebra_missing","on_error":"skip"},
		{"id":"e","type":"code","model":"gpt-4o-mini","user":"zebra-code {{.steps.a.output}}"}]}`)
	for _, stream := range []string{"", `,"stream":true`} {
		post(200, chat, said("prompt about pumps", stream+`,"gateway":{"template":{"name":"t","variables":{"v":"zebra-variable"}},"conversation":"`+conv+`","rag":{"collection":"d"},"context":"summarize","optimize":true}`))
		for _, how := range []string{"#tell-400", "#tell-401", "#tell-422", "#tell-500", "#tell-503", "#garbage", "#reset", "#error", "#cut"} {
			post(0, chat, said("prompt "+how+" about pumps", stream+`,"gateway":{"template":{"name":"t"},"conversation":"`+conv+`"}`))
			post(0, "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"zebra-task `+how+`","files":[{"path":"a.go","content":"zebra-file"}],"constraints":["zebra-rule"]`+stream+`}`)
			post(0, "/ai/chains/c/runs", `{"input":{"i":"zebra-input `+how+`"}`+stream+`}`)
		}
		post(200, "/ai/chains/c/runs", `{"input":{"i":"zebra-input"}`+stream+`}`)
		post(400, "/ai/chains/c/runs", `{"input":{"zebra-unknown is a question":"zebra-input"}`+stream+`}`)
		post(400, chat, said("prompt", stream+`,"gateway":{"template":{"name":"t","variables":{"v":`+privateNumber+`}}}`))
		post(200, "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"zebra-task\n`+"```go zebra/x.go\\npackage zebra(\\n```"+`"`+stream+`}`)
		post(400, "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"zebra-task","files":[{"path":"../zebra-path","content":"zebra-file"}]`+stream+`}`)
	}
	post(400, "/ai/chains", `{"name":"c","steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"{{.input.zebra_input}} zebra-step"},{"id":"b","type":"transform","select":"zebra-path"}]}`)
	post(200, "/ai/embeddings", `{"model":"text-embedding-3-small","dimensions":2,"input":["zebra-input","zebra-too #long"],"gateway":{"partial":true}}`)
}

// TestPrivacy is guarantee 4: none of it is in the log, in the ledger, in
// metrics, or in traces.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *site{"local": startLocal, "lambda": startLambda} {
		t.Run(name, func(t *testing.T) {
			url, traces := collector(t)
			env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url}
			if name == "lambda" {
				env = append(env, "QDRANT_URL="+qdranttest.New(t).URL)
			}
			s := start(t, env...)
			confide(t, s)
			s.settled(t, "ana")
			sinks := map[string]string{}
			if name == "local" {
				sinks["metrics"] = s.do(t, "GET", "/metrics", "", "").body
			}
			sinks["ledger"] = string(toJSON(s.records(t)))
			s.stop(t)
			sinks["log"], sinks["traces"] = s.logs(), traces.String()
			for sink, text := range sinks {
				if len(text) < 1000 {
					t.Errorf("%s: %q; want more", sink, text)
				}
				for _, secret := range []string{private, "zebra_", privateNumber, openaiKey, s.key, s.admin} {
					if i := strings.Index(text, secret); i >= 0 {
						t.Errorf("%s: %q is in the %s: %s", name, secret, sink, fmt.Sprintf("%.800q", text[max(0, i-400):]))
					}
				}
			}
			for _, operation := range []string{"chat", "code", "chain", "embeddings"} {
				if !strings.Contains(sinks["ledger"], `"operation":"`+operation+`"`) {
					t.Errorf("%s: the ledger has no record of operation %s", name, operation)
				}
			}
			s.checkLogs(t)
		})
	}
}
