package sdktest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/qdranttest"

	"github.com/google/go-cmp/cmp"
)

// exchange is a request whose answer must be the same from the single process
// and from the Lambda functions. Who sends it is "ana" (the default), "bob", "admin",
// "nobody", "stranger" (with a key that is not ours), "few" (gemini only),
// "poor" (no budget left) or "slow" (two requests, then none for long).
type exchange struct {
	name, who, method, path, body string
	header                        []string
	loose                         bool // the platform answers: only status, type and code are compared

	want   int         // the status, if it is not 0
	keep   string      // "name=member.member": what later exchanges mean by {name}; of lists the first element
	before func(*site) // what happens first
	// library says what may differ where documents are not in Qdrant: "scores",
	// with the order of documents in lists, or, in the process's "own" order,
	// all but the status. Everything else is not asked of the second process.
	library string
}

// talk is exchanges in their order.
type talk []exchange

func (k *talk) add(name, who, method, path, body string, header ...string) *exchange {
	*k = append(*k, exchange{name: name, who: who, method: method, path: path, body: body, header: header})
	return &(*k)[len(*k)-1]
}

// does adds an exchange that must have a status.
func (k *talk) does(want int, name, who, method, path, body string, header ...string) *exchange {
	x := k.add(name, who, method, path, body, header...)
	x.want = want
	return x
}

func exchanges() (list talk) {
	add := list.add
	const chat, embed = "/ai/chat/completions", "/ai/embeddings"
	tools := `,"tools":` + string(toJSON([]any{object{"type": "function", "function": object{"name": "get_weather", "parameters": weatherSchema}}}))
	usage := `,"stream":true,"stream_options":{"include_usage":true}`
	for _, m := range models {
		for _, stream := range []string{"", usage} {
			name := m.provider + " " + strings.TrimPrefix(stream, ",")
			add(name, "", "POST", chat, ask(m.name, "Is it the same <everywhere> & always? ✓", stream))
			add(name+" tools", "", "POST", "/ai/v1/chat/completions", ask(m.name, weatherPrompt, stream+tools))
			add(name+" thinking, dropped fields", "", "POST", chat, ask(m.name, "Think about the same", stream+`,"reasoning_effort":"low","seed":7,"logit_bias":{"1":2}`))
			add(name+" refused", "", "POST", chat, ask(m.name, "It is #fail-400 everywhere", stream))
			add(name+" limited", "", "POST", chat, ask(m.name, "It is #fail-429 everywhere", stream))
			add(name+" overloaded", "", "POST", chat, ask(m.name, "It is #fail-503 everywhere", stream))
			add(name+" our key refused", "", "POST", chat, ask(m.name, "It is #fail-401 everywhere", stream))
		}
		for _, how := range []string{"reset", "cut", "error", "garbage", "undone", "unmetered"} {
			add(m.provider+" "+how, "", "POST", chat, ask(m.name, "The same break by #"+how+" in the middle", usage))
		}
		add(m.provider+" without usage", "", "POST", chat, ask(m.name, "A stream without its usage", `,"stream":true`))
		add("model "+m.provider, "", "GET", "/ai/models/"+m.name, "")
		add("model "+m.provider+", escaped", "", "GET", "/ai/v1/models/"+strings.ReplaceAll(m.name, "/", "%2F"), "")
	}
	add("echo", "", "POST", chat, ask("echo", "Is there an echo in here?", ""))
	add("echo streamed", "", "POST", chat, ask("echo", "Is there an echo in here?", usage))
	add("echo embeddings", "", "POST", embed, `{"model":"echo","input":"x","dimensions":4}`)
	add("failing", "", "POST", chat, ask("gpt-4o-mini", "It is #fail-500 everywhere", ""))
	add("client's id", "", "POST", chat, ask("gpt-4o-mini", "Remember my own id", ""), "X-Client-Request-Id", "mine-1")
	add("tags, two choices", "", "POST", chat, ask("gpt-4o-mini", "Twice the same", `,"n":2,"gateway":{"tags":["a"]}`))

	for i, body := range []string{``, `{`, `[]`, `null`, `"x"`, `{"model":"gpt-4o-mini"}`, `{"model":7,"messages":[]}`, `{"model":"gpt-4o-mini","messages":[]}`,
		`{"model":"gpt-4o-mini","messages":[{"role":"king","content":"x"}]}`, `{"model":"gpt-4o-mini","messages":[{"role":"user","content":7}]}`,
		ask("gpt-4o-mini", canary, `,"temperature":"hot"`), ask("gpt-4o-mini", canary, `,"n":0`), ask("gpt-4o-mini", canary, `,"stream":"yes"`),
		ask("gpt-4o-mini", canary, `,"gateway":7`), ask("gpt-4o-mini", canary, `,"gateway":{"x":1}`), ask("gpt-4o-mini", canary, `,"gateway":{"rag":{}}`),
		ask("gpt-4o-mini", canary, `,"gateway":{"max_price_usd":0.0000001}`), ask("nothing", canary, ""), ask("openai/", canary, ""), ask("text-embedding-3-small", canary, ""),
		strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}",
		`{"model":"gpt-4o-mini","model":"x","messages":[{"role":"user","content":"` + canary + `"}]}`} {
		add(fmt.Sprintf("wrong body %d", i), "", "POST", chat, body)
		add(fmt.Sprintf("wrong body %d from a stranger", i), "stranger", "POST", chat, body)
	}
	for _, who := range []string{"nobody", "stranger", "few", "poor", "slow", "slow", "slow", "admin"} {
		add("chat by "+who, who, "POST", chat, ask("gpt-4o-mini", "Who may ask the same?", ""))
		add("models by "+who, who, "GET", "/ai/models", "")
	}
	add("by x-api-key", "nobody", "POST", chat, ask("gpt-4o-mini", canary, ""), "X-Api-Key", "gw_ana_wrong")

	for i, body := range []string{`{"model":"text-embedding-3-small","input":"one","dimensions":3}`, `{"model":"text-embedding-3-small","input":["one","two"],"dimensions":3,"encoding_format":"base64"}`,
		`{"model":"openai/text-embedding-3-small","input":[1,2,3],"dimensions":3}`, `{"model":"text-embedding-3-small","input":[[1,2],[3]],"dimensions":2}`,
		`{"model":"gemini/gemini-embedding-001","input":["one","two"],"dimensions":3}`, `{"model":"gemini/gemini-embedding-001","input":["one"],"dimensions":3,"encoding_format":"base64","user":"u"}`,
		`{"model":"gemini/gemini-embedding-001","input":[1,2]}`, `{"model":"text-embedding-3-small"}`, `{"model":"text-embedding-3-small","input":[]}`, `{"model":"text-embedding-3-small","input":""}`,
		`{"model":"text-embedding-3-small","input":{"a":1}}`, `{"model":"gpt-4o-mini","input":"x"}`, `{"model":"anthropic/claude-sonnet-4-5","input":"x"}`, `{"model":"text-embedding-3-small","input":"It is #fail-400 now"}`, `{`} {
		add(fmt.Sprintf("embeddings %d", i), "", "POST", embed, body)
	}

	add("models", "", "GET", "/ai/models", "")
	add("no such model", "", "GET", "/ai/models/openai/nothing", "")
	for _, path := range []string{chat, embed, "/ai/models", "/ai/models/gpt-4o-mini", "/admin/users", "/admin/users/x", "/admin/users/x/keys", "/admin/users/x/keys/y", "/admin/users/x/keys/y/rotate", "/health", "/health/ready", "/",
		"/ai/templates", "/ai/templates/tutor", "/ai/templates/tutor/versions", "/ai/templates/tutor/export", "/ai/templates/tutor/render", "/ai/templates/tutor/usage", "/ai/templates/tutor/labels/production",
		"/ai/chains", "/ai/chains/brief", "/ai/chains/brief/versions", "/ai/chains/brief/labels/production", "/ai/chains/brief/runs", "/ai/chains/brief/runs/run_x",
		"/ai/conversations", "/ai/conversations/conv_x", "/ai/conversations/conv_x/messages", "/ai/documents", "/ai/documents/guides/x.md", "/ai/search", "/ai/code/generate", "/admin/projects", "/admin/projects/x", "/admin/ledger", "/admin/ledger/x/write-off"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			add(method+" "+path+" without a key", "nobody", method, path, "")
		}
		add("OPTIONS "+path, "nobody", "OPTIONS", path, "", "Origin", "https://app.example.org", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-new")
	}
	for i := range list {
		if list[i].path == "/health/ready" && list[i].method == "GET" {
			list[i].library = "own" // a dependency more
		}
	}
	add("health with a query", "nobody", "GET", "/health?x=1&x=2", "")
	for _, path := range []string{"/nothing", "/ai", "/ai/nothing", "/ai/v2/models", "/health/nothing", "/ai/chat/completions/x"} {
		add("GET "+path, "", "GET", path, "").loose = true
	}
	add("too large", "", "POST", chat, ask("gpt-4o-mini", strings.Repeat("x", 7<<20), "")).loose = true

	add("no users yet", "stranger", "GET", "/admin/users", "")
	add("a user", "admin", "POST", "/admin/users", `{"id":"eve","name":"Ève","project":"p","limits":{"requests_per_second":2.5,"burst":4,"tokens_per_minute":1000,"max_parallel":3},"budgets":[{"period":"day","usd":1.5},{"period":"month","usd":0.000000001}],"models":["openai/*"],"status":"suspended"}`)
	add("the same user", "admin", "POST", "/admin/users", `{"id":"eve"}`)
	for i, body := range []string{``, `{`, `{"id":""}`, `{"id":"a b"}`, `{"id":"x","status":"dead"}`, `{"id":"x","limits":{"burst":0}}`, `{"id":"x","budgets":[{"period":"year","usd":1}]}`, `{"id":"x","budgets":[{"period":"day","usd":-1}]}`, `{"id":"x","models":[]}`, `{"id":"x","unknown":1}`} {
		add(fmt.Sprintf("wrong user %d", i), "admin", "POST", "/admin/users", body)
	}
	add("user", "admin", "GET", "/admin/users/eve", "")
	add("patch", "admin", "PATCH", "/admin/users/eve", `{"status":"active","budgets":[{"period":"day","usd":2}],"limits":{"tokens_per_minute":null}}`)
	add("wrong patch", "admin", "PATCH", "/admin/users/eve", `{"id":"adam"}`)
	add("key", "admin", "POST", "/admin/users/eve/keys", `{"name":"k","scopes":["inference"],"models":["*"],"expires_at":"2099-01-31T00:00:00Z"}`)
	add("expired key", "admin", "POST", "/admin/users/eve/keys", `{"expires_at":"2020-01-31T00:00:00Z"}`)
	add("wrong scope", "admin", "POST", "/admin/users/eve/keys", `{"scopes":["root"]}`)
	add("keys", "admin", "GET", "/admin/users/eve/keys", "")
	add("no such key", "admin", "DELETE", "/admin/users/eve/keys/nothing", "")
	add("rotate no such key", "admin", "POST", "/admin/users/eve/keys/nothing/rotate", "")
	add("page", "admin", "GET", "/admin/users?limit=1", "")
	add("next page", "admin", "GET", "/admin/users?limit=1&after=eve", "")
	add("wrong page", "admin", "GET", "/admin/users?limit=x", "")
	add("delete", "admin", "DELETE", "/admin/users/eve", "")
	add("deleted", "admin", "GET", "/admin/users/eve", "")
	add("deleted again", "admin", "DELETE", "/admin/users/eve", "")
	add("nobody's keys", "admin", "GET", "/admin/users/eve/keys", "")
	add("nobody's key", "admin", "POST", "/admin/users/eve/keys", `{}`)
	for _, who := range []string{"nobody", "", "admin"} {
		add("admin/nothing by "+who, who, "GET", "/admin/users/ana/nothing", "")
		add("POST admin/nothing by "+who, who, "POST", "/admin/nothing", "")
	}
	add("metrics of a user", "admin", "GET", "/admin/users/ana", "")
	return slices.Concat(list, sameTemplates(), sameConversations(), sameDocuments(), samePrompts(), sameChains(), sameCode(), samePartial(), sameProjects())
}

// TestSameAnswers is guarantee 6: the same request gives the same answer,
// status, headers and body, from the Lambda functions and from the single
// process; and from one that has its documents in Qdrant, too.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	const uncached = "GATEWAY_EMBEDDING_CACHE_MB=0" // each function's process has a cache of its own
	sites := []*site{startLocal(t, uncached), startLambda(t, uncached, "QDRANT_URL="+qdranttest.New(t).URL), startLocal(t, uncached, "QDRANT_URL="+qdranttest.New(t).URL)}
	users := make([]*caller, len(sites))
	for i, s := range sites {
		users[i] = newCaller(t, s)
	}
	for _, x := range exchanges() {
		t.Run(x.name, func(t *testing.T) {
			want := users[1].tell(t, x)
			if x.library != "" {
				got := users[2].tell(t, x)
				if diff := cmp.Diff(users[2].text(t, x, got, ""), users[1].text(t, x, want, "")); diff != "" {
					t.Errorf("-local with Qdrant +lambda:\n%s", diff)
				}
			}
			got := users[0].tell(t, x)
			if diff := cmp.Diff(users[0].text(t, x, got, x.library), users[1].text(t, x, want, x.library)); diff != "" {
				t.Errorf("-local +lambda:\n%s", diff)
			}
		})
	}
	for _, s := range sites {
		s.stop(t)
		s.checkLogs(t)
	}
}
