package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type object map[string]any

func (r *rig) admin(method, path, body string) (int, object) {
	r.t.Helper()
	a := r.do(method, path, body, "Authorization", "Bearer "+adminKey)
	var o object
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		r.t.Fatalf("%s %s: %d %q: %v", method, path, a.status, a.body, err)
	}
	return a.status, o
}

func (o object) at(path string) any {
	var v any = map[string]any(o)
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func TestUserAndKeyFromBirthToEnd(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	status, u := r.admin("POST", "/admin/users", `{"id":"eve@example.com","name":"Eve","project":"search","limits":{"tokens_per_minute":100000},"budgets":[{"period":"month","usd":25.000000001}],"models":["openai/*"]}`)
	if status != 201 || u.at("limits.requests_per_second") != 10.0 || u.at("limits.burst") != 10.0 || u.at("limits.max_parallel") != 256.0 || u.at("status") != "active" {
		t.Fatalf("create user: %d %v", status, u)
	}
	if status, _ := r.admin("POST", "/admin/users", `{"id":"eve@example.com"}`); status != 409 {
		t.Errorf("the same user again: %d, want 409", status)
	}
	status, k := r.admin("POST", "/admin/users/eve@example.com/keys", `{"name":"laptop"}`)
	key, _ := k["key"].(string)
	if status != 201 || !strings.HasPrefix(key, "gw_eve@example.com_") {
		t.Fatalf("create key: %d %v", status, k)
	}
	if a := r.chat(hello, "Authorization", "Bearer "+key); a.status != 200 || a.header.Get("X-Ratelimit-Limit-Requests") != "10" || a.header.Get("X-Ratelimit-Limit-Tokens") != "100000" {
		t.Errorf("chat: %d %v %s", a.status, a.header, a.body)
	}
	body := r.do("GET", "/admin/users/eve@example.com", "", "Authorization", "Bearer "+adminKey).body
	for _, want := range []string{`"spent":{"day_usd":` + helloCost.USD(), `{"period":"month","usd":25.000000001,"spent_usd":0.00000315,"remaining_usd":24.999996851}`, `"open_leases":{"count":0,"reserved_usd":0}`} {
		if !strings.Contains(body, want) {
			t.Errorf("user = %s\nwant it to have %s", body, want)
		}
	}
	if list := r.do("GET", "/admin/users/eve@example.com/keys", "", "Authorization", "Bearer "+adminKey).body; strings.Contains(list, key) || !strings.Contains(list, `"hint":"`+key[len(key)-4:]) {
		t.Errorf("keys = %s", list)
	}
	status, next := r.admin("POST", "/admin/users/eve@example.com/keys/"+k["id"].(string)+"/rotate", "")
	if status != 201 || next["key"] == key || next["name"] != "laptop" {
		t.Errorf("rotate: %d %v", status, next)
	}
	if a := r.chat(hello, "Authorization", "Bearer "+key); a.status != 401 {
		t.Errorf("the rotated key still answers %d", a.status)
	}
	key, _ = next["key"].(string)
	if status, _ := r.admin("PATCH", "/admin/users/eve@example.com", `{"status":"suspended"}`); status != 200 {
		t.Errorf("suspend: %d", status)
	}
	if a := r.chat(hello, "Authorization", "Bearer "+key); a.status != 401 || !strings.Contains(a.body, "suspended") {
		t.Errorf("a suspended user gets %d %s", a.status, a.body)
	}
	r.admin("PATCH", "/admin/users/eve@example.com", `{"status":"active"}`)
	if a := r.chat(hello, "Authorization", "Bearer "+key); a.status != 200 {
		t.Errorf("an active user gets %d", a.status)
	}
	if status, _ := r.admin("DELETE", "/admin/users/eve@example.com/keys/"+next["id"].(string), ""); status != 200 {
		t.Errorf("revoke: %d", status)
	}
	if a := r.chat(hello, "Authorization", "Bearer "+key); a.status != 401 {
		t.Errorf("a revoked key gets %d", a.status)
	}
	if status, _ := r.admin("DELETE", "/admin/users/eve@example.com", ""); status != 200 {
		t.Errorf("delete: %d", status)
	}
	if status, _ := r.admin("GET", "/admin/users/eve@example.com", ""); status != 404 {
		t.Errorf("a deleted user: %d, want 404", status)
	}
	if recs := r.records("eve@example.com"); len(recs) != 2 {
		t.Errorf("the ledger outlives the user: %d records, want 2", len(recs))
	}
}

func TestBudgetPatchKeepsWhatWasSpent(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	r.chat(hello)
	if status, o := r.admin("PATCH", "/admin/users/ana", `{"budgets":[{"period":"day","usd":0.00001}]}`); status != 200 {
		t.Fatalf("patch: %d %v", status, o)
	}
	body := r.do("GET", "/admin/users/ana", "", "Authorization", "Bearer "+adminKey).body
	if want := `{"period":"day","usd":0.00001,"spent_usd":0.00000315,"remaining_usd":0.00000685}`; !strings.Contains(body, want) {
		t.Errorf("user = %s\nwant it to have %s", body, want)
	}
	a := r.chat(hello)
	if _, typ, _, code := a.fail(t); a.status != 429 || typ != "insufficient_quota" || code != "insufficient_quota" || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("over budget: %d %s %s", a.status, typ, code)
	}
	if a := r.chat(`{"model":"gpt-4o-mini","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`); a.status != 429 {
		t.Logf("a smaller request fits: %d", a.status)
	}
}

func TestAdminRefuses(t *testing.T) {
	r := newRig(t, nil, nil)
	for name, key := range map[string]string{"none": "", "wrong": "x", "a user's": r.key} {
		a := r.do("GET", "/admin/users", "", "Authorization", "Bearer "+key)
		if want := map[bool]int{true: 403, false: 401}[key == r.key]; a.status != want {
			t.Errorf("key %s: %d, want %d", name, a.status, want)
		}
	}
	for _, tc := range []struct{ method, path, body, param string }{
		{"POST", "/admin/users", `{"id":""}`, "id"},
		{"POST", "/admin/users", `{"id":"a b"}`, "id"},
		{"POST", "/admin/users", `{"id":"a","budget":1}`, "budget"},
		{"POST", "/admin/users", `{"id":"a","limits":{"rps":1}}`, "limits.rps"},
		{"POST", "/admin/users", `{"id":"a","limits":7}`, "limits"},
		{"POST", "/admin/users", `{"id":"a","limits":{"requests_per_second":-1}}`, "limits.requests_per_second"},
		{"POST", "/admin/users", `{"id":"a","limits":{"max_parallel":1001}}`, "limits.max_parallel"},
		{"POST", "/admin/users", `{"id":"a","budgets":[{"period":"week","usd":1}]}`, "budgets[0].period"},
		{"POST", "/admin/users", `{"id":"a","budgets":[{"period":"day","usd":-1}]}`, "budgets[0].usd"},
		{"POST", "/admin/users", `{"id":"a","budgets":[{"period":"day","usd":1e99}]}`, "budgets[0].usd"},
		{"POST", "/admin/users", `{"id":"a","budgets":[{"period":"day","usd":1},{"period":"day","usd":2}]}`, "budgets[1].period"},
		{"POST", "/admin/users", `{"id":"a","models":[]}`, "models"},
		{"POST", "/admin/users", `{"id":"a","models":["x","x"]}`, "models"},
		{"POST", "/admin/users", `{"id":"a","models":["*","gpt-*"]}`, "models[1]"},
		{"POST", "/admin/users", `{"id":"a","models":["a/b/*"]}`, "models[0]"},
		{"POST", "/admin/users", `{"id":"a","models":["/*"]}`, "models[0]"},
		{"POST", "/admin/users", `{"id":"a","models":["*x"]}`, "models[0]"},
		{"POST", "/admin/users/ana/keys", `{"models":["openai/gpt-*"]}`, "models[0]"},
		{"POST", "/admin/users", `{"id":"a","status":"asleep"}`, "status"},
		{"PATCH", "/admin/users/ana", `{"id":"bob"}`, "id"},
		{"POST", "/admin/users/ana/keys", `{"scopes":["root"]}`, "scopes"},
		{"POST", "/admin/users/ana/keys", `{"expires_at":"2001-01-01T00:00:00Z"}`, "expires_at"},
		{"POST", "/admin/users/ana/keys", `{"expires":"2001"}`, "expires"},
		{"GET", "/admin/users?limit=0", ``, "limit"},
	} {
		a := r.do(tc.method, tc.path, tc.body, "Authorization", "Bearer "+adminKey)
		if _, _, param, _ := a.fail(t); a.status != 400 || param != tc.param {
			t.Errorf("%s %s %s: %d param %q, want 400 %q", tc.method, tc.path, tc.body, a.status, param, tc.param)
		}
	}
	for _, path := range []string{"/admin/users/nobody", "/admin/users/nobody/keys", "/admin/nothing"} {
		if a := r.do("GET", path, "", "Authorization", "Bearer "+adminKey); a.status != 404 {
			t.Errorf("GET %s: %d, want 404", path, a.status)
		}
	}
	if status, _ := r.admin("POST", "/admin/users/nobody/keys", `{}`); status != 404 {
		t.Errorf("a key for nobody: %d, want 404", status)
	}
}

func TestAdminScopeOpensAdmin(t *testing.T) {
	r := newRig(t, nil, nil)
	_, k := r.admin("POST", "/admin/users/ana/keys", `{"scopes":["admin"]}`)
	key, _ := k["key"].(string)
	if a := r.do("GET", "/admin/users/ana", "", "Authorization", "Bearer "+key); a.status != 200 {
		t.Errorf("admin with an admin key: %d %s", a.status, a.body)
	}
	a := r.chat(hello, "Authorization", "Bearer "+key)
	if _, _, _, code := a.fail(t); a.status != 403 || code != "missing_scope" {
		t.Errorf("chat with an admin key: %d %s", a.status, code)
	}
}

func TestListingPages(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, id := range []string{"d", "b", "c"} {
		r.user(id, nil)
	}
	status, page := r.admin("GET", "/admin/users?limit=2&after=ana", "")
	data, _ := page["data"].([]any)
	if status != 200 || len(data) != 2 || page["has_more"] != true || page["next"] != "c" || object(data[0].(map[string]any))["id"] != "b" {
		t.Errorf("page = %v", page)
	}
	if _, page := r.admin("GET", "/admin/users?limit=2&after=c", ""); page["has_more"] != false {
		t.Errorf("last page = %v", page)
	}
}

func TestExpiredKeysAreNotRotated(t *testing.T) {
	r := newRig(t, nil, nil)
	_, hash := admission.NewKey([]byte(pepper), "ana")
	old := admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now(), Expires: time.Now().Add(-time.Second)}
	if err := r.store.PutKey(t.Context(), "ana", old); err != nil {
		t.Fatal(err)
	}
	if status, o := r.admin("POST", "/admin/users/ana/keys/"+old.ID+"/rotate", ""); status != 404 || o["key"] != nil {
		t.Errorf("rotate an expired key: %d %v, want 404", status, o)
	}
}

// TestProjectsDoNotChangeUnderOpenRequests: the project that a request was
// admitted in pays for it.
func TestProjectsDoNotChangeUnderOpenRequests(t *testing.T) {
	r := newRig(t, nil, nil)
	r.admin("PATCH", "/admin/users/ana", `{"project":"from"}`)
	_, hash, err := admission.ParseKey([]byte(pepper), r.key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	g, err := r.store.Admit(t.Context(), admission.Ask{ID: requestid.New(now), User: "ana", KeyHash: hash, Scope: "inference", Model: "m", Reserve: 5, Lease: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	a := r.do("PATCH", "/admin/users/ana", `{"project":"to"}`, "Authorization", "Bearer "+adminKey)
	if _, _, param, code := a.fail(t); a.status != 409 || param != "project" || code != "open_requests" {
		t.Errorf("change the project under an open request: %d %s", a.status, a.body)
	}
	if status, _ := r.admin("PATCH", "/admin/users/ana", `{"project":"from","name":"Ana"}`); status != 200 {
		t.Errorf("change something else: %d", status)
	}
	if _, err := r.store.Settle(t.Context(), g.Lease, usage.Record{ID: g.Lease.ID, Time: now, User: "ana", Cost: 1}); err != nil {
		t.Fatal(err)
	}
	if status, u := r.admin("PATCH", "/admin/users/ana", `{"project":null}`); status != 200 || u["project"] != nil {
		t.Errorf("leave the project: %d %v", status, u)
	}
}

// TestRefusalsTellTheLimits: who is too fast learns what would be slow enough.
func TestRefusalsTellTheLimits(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	r.admin("PATCH", "/admin/users/ana", `{"limits":{"requests_per_second":0.01,"burst":1,"tokens_per_minute":1000}}`)
	big := r.chat(hello)
	if message, _, _, _ := big.fail(t); big.status != 429 || !strings.Contains(message, "may use 1000") || !strings.Contains(message, "max_completion_tokens") {
		t.Errorf("a request above the limit: %d %s, want to be told what to do", big.status, big.body)
	}
	if big.header.Get("X-Should-Retry") != "false" || big.header.Get("Retry-After") != "" {
		t.Errorf("a request above the limit: %v, want no invitation to send it again", big.header)
	}
	small := strings.Replace(hello, "{", `{"max_tokens":10,`, 1)
	if a := r.chat(small); a.status != 200 {
		t.Fatalf("the first: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/ai/chat/completions", "/ai/models"} {
		a := r.do(map[string]string{"/ai/models": "GET"}[path]+map[string]string{"/ai/chat/completions": "POST"}[path], path, small)
		if a.status != 429 || a.header.Get("X-Ratelimit-Limit-Requests") != "1" || a.header.Get("X-Ratelimit-Remaining-Requests") != "0" || a.header.Get("X-Ratelimit-Reset-Requests") == "" || a.header.Get("Retry-After") == "" || a.header.Get("X-Should-Retry") != "" {
			t.Errorf("%s too fast: %d %v", path, a.status, a.header)
		}
	}
}

// TestUncountedAnswersHaveTheirPrice: what is estimated here is told, too.
func TestUncountedAnswersHaveTheirPrice(t *testing.T) {
	for name, counted := range map[string]string{"none": `null`, "nonsense": `{"prompt_tokens":-1000000,"completion_tokens":99999999999999999999}`, "too much": `{"prompt_tokens":1e300,"completion_tokens":1}`} {
		r := newRig(t, reply("application/json", `{"id":"c","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"`+strings.Repeat("word ", 100)+`"},"finish_reason":"stop"}],"usage":`+counted+`}`), nil)
		a := r.chat(hello)
		rec := r.records("ana")[0]
		if a.status != 200 || rec.Cost <= 0 || !rec.Estimated || a.header.Get("X-Gateway-Cost-Usd") != rec.Cost.USD() {
			t.Errorf("usage %s: x-gateway-cost-usd = %q, record %+v, want the estimate in both", name, a.header.Get("X-Gateway-Cost-Usd"), rec)
		}
	}
	r := newRig(t, reply("application/json", `{"id":"c","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":150000.0,"completion_tokens":1.0e3}}`), nil)
	r.chat(hello)
	if rec := r.records("ana")[0]; rec.InputTokens != 150_000 || rec.OutputTokens != 1000 || rec.Estimated {
		t.Errorf("usage in floating point: %+v", rec)
	}
}
