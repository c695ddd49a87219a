package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// adminText is the answer to an administrator's GET, as it is written.
func (r *rig) adminText(path string) string {
	r.t.Helper()
	return r.do("GET", path, "", "Authorization", "Bearer "+adminKey).body
}

func TestProjectFromBirthToEnd(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	if status, u := r.admin("POST", "/admin/users", `{"id":"bob","project":"Tutor 2"}`); status != 201 || u["project"] != "Tutor 2" {
		t.Fatalf("create user: %d %v", status, u)
	}
	wantParts(t, "a project that nobody created", r.adminText("/admin/projects/Tutor%202"),
		`"object":"project","id":"Tutor 2","name":"","created_at":null,"budgets":[],"spent":{"month_usd":0},"reserved_usd":0,"member_count":1,"members":["bob"]}`)
	// One request more than a cent: 64 of hello fit, by what they reserve.
	status, p := r.admin("POST", "/admin/projects", `{"id":"Tutor 2","name":"The tutor","budgets":[{"period":"month","usd":1e-05}]}`)
	if status != 201 || p["name"] != "The tutor" || p["created_at"] == nil || p["member_count"] != 1.0 {
		t.Fatalf("create project: %d %v", status, p)
	}
	if status, _ := r.admin("POST", "/admin/projects", `{"id":"Tutor 2"}`); status != 409 {
		t.Errorf("the same project again: %d, want 409", status)
	}
	if status, _ := r.admin("PATCH", "/admin/users/ana", `{"project":"Tutor 2"}`); status != 200 {
		t.Fatalf("join: %d", status)
	}
	a := r.chat(hello)
	if message, typ, _, code := a.fail(t); a.status != 429 || typ != "insufficient_quota" || code != "insufficient_quota" || !strings.Contains(message, "project's monthly budget has $0.00001 left") {
		t.Errorf("over the project's budget: %d %s %s", a.status, code, message)
	}
	if status, p := r.admin("PATCH", "/admin/projects/Tutor%202", `{"budgets":[{"period":"month","usd":1}]}`); status != 200 || p["name"] != "The tutor" {
		t.Fatalf("raise the budget: %d %v", status, p)
	}
	if a := r.chat(hello); a.status != 200 {
		t.Errorf("within the budget: %d %s", a.status, a.body)
	}
	left := (usage.Dollar - helloCost).USD()
	wantParts(t, "the project", r.adminText("/admin/projects/Tutor%202"),
		`"budgets":[{"period":"month","usd":1,"spent_usd":`+helloCost.USD()+`,"remaining_usd":`+left+`}]`,
		`"spent":{"month_usd":`+helloCost.USD()+`},"reserved_usd":0,"member_count":2,"members":["ana","bob"]}`)
	if rec := r.records("ana"); len(rec) != 1 || rec[0].Project != "Tutor 2" {
		t.Errorf("records = %+v, want one of the project", rec)
	}
	list := r.adminText("/admin/projects")
	wantParts(t, "projects", list, `{"object":"list","data":[{"object":"project","id":"Tutor 2"`, `"has_more":false`)
	if strings.Contains(list, `"members":`) {
		t.Errorf("projects = %s, want no members in a list", list)
	}
	if status, _ := r.admin("DELETE", "/admin/projects/Tutor%202", ""); status != 409 {
		t.Errorf("delete with members: %d, want 409", status)
	}
	r.admin("PATCH", "/admin/users/ana", `{"project":null}`)
	if status, _ := r.admin("DELETE", "/admin/users/bob", ""); status != 200 {
		t.Errorf("delete user: %d", status)
	}
	if status, d := r.admin("DELETE", "/admin/projects/Tutor%202", ""); status != 200 || d["deleted"] != true {
		t.Errorf("delete: %d %v", status, d)
	}
	if status, _ := r.admin("GET", "/admin/projects/Tutor%202", ""); status != 404 {
		t.Errorf("a deleted project: %d, want 404", status)
	}
}

func TestProjectsRefuse(t *testing.T) {
	r := newRig(t, nil, nil)
	r.admin("POST", "/admin/projects", `{"id":"p","name":"P","budgets":[{"period":"month","usd":5}]}`)
	for _, tc := range []struct{ method, path, body, param string }{
		{"POST", "/admin/projects", `{}`, "id"},
		{"POST", "/admin/projects", `{"id":7}`, "id"},
		{"POST", "/admin/projects", `{"id":""}`, "id"},
		{"POST", "/admin/projects", `{"id":"a/b"}`, "id"},
		{"POST", "/admin/projects", `{"id":".."}`, "id"},
		{"POST", "/admin/projects", `{"id":" a"}`, "id"},
		{"POST", "/admin/projects", `{"id":"a\u0000b"}`, "id"},
		{"POST", "/admin/projects", `{"id":"` + strings.Repeat("x", 65) + `"}`, "id"},
		{"POST", "/admin/projects", `{"id":"a","budget":1}`, "budget"},
		{"POST", "/admin/projects", `{"id":"a","name":7}`, "name"},
		{"POST", "/admin/projects", `{"id":"a","budgets":[{"period":"day","usd":1}]}`, "budgets"},
		{"POST", "/admin/projects", `{"id":"a","budgets":[{"period":"month","usd":-1}]}`, "budgets[0].usd"},
		{"PATCH", "/admin/projects/p", `{"id":"q"}`, "id"},
		{"PATCH", "/admin/projects/p", `{"status":"active"}`, "status"},
		{"GET", "/admin/projects?limit=x", ``, "limit"},
		{"POST", "/admin/users", `{"id":"a","project":"x/y"}`, "project"},
		{"PATCH", "/admin/users/ana", `{"project":" "}`, "project"},
	} {
		a := r.do(tc.method, tc.path, tc.body, "Authorization", "Bearer "+adminKey)
		if _, _, param, _ := a.fail(t); a.status != 400 || param != tc.param {
			t.Errorf("%s %s %s: %d param %q, want 400 %q", tc.method, tc.path, tc.body, a.status, param, tc.param)
		}
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		if status, _ := r.admin(method, "/admin/projects/nothing", `{}`); status != 404 {
			t.Errorf("%s of an unknown project: %d, want 404", method, status)
		}
	}
	if a := r.do("GET", "/admin/projects", ""); a.status != 403 {
		t.Errorf("projects with a user's key: %d, want 403", a.status)
	}
	wantParts(t, "the project", r.adminText("/admin/projects/p"), `"name":"P"`, `"usd":5,"spent_usd":0,"remaining_usd":5}`)
	for i := range 3 {
		r.admin("POST", "/admin/projects", fmt.Sprintf(`{"id":"p%d"}`, i))
	}
	status, page := r.admin("GET", "/admin/projects?limit=2&after=p", "")
	if data, _ := page["data"].([]any); status != 200 || len(data) != 2 || page["next"] != "p1" || page["has_more"] != true {
		t.Errorf("page = %d %v", status, page)
	}
}

// abandon leaves a request of user's that never came to its end.
func (r *rig) abandon(user, key string, reserve usage.Nano) usage.Record {
	r.t.Helper()
	_, hash, err := admission.ParseKey([]byte(pepper), key)
	if err != nil {
		r.t.Fatal(err)
	}
	now := time.Now()
	g, err := r.store.Admit(r.t.Context(), admission.Ask{ID: requestid.New(now), User: user, KeyHash: hash, Scope: "inference", Model: "m", Reserve: reserve, Lease: true, Now: now})
	if err != nil {
		r.t.Fatal(err)
	}
	rec, err := r.store.Settle(r.t.Context(), g.Lease, g.Lease.Unsettled())
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

func TestWriteOff(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	r.admin("PATCH", "/admin/users/ana", `{"budgets":[{"period":"day","usd":1}],"project":"p"}`)
	lost := r.abandon("ana", r.key, usage.Dollar)
	if a := r.chat(hello); a.status != 429 {
		t.Errorf("chat over the budget: %d", a.status)
	}
	wantParts(t, "the ledger", r.adminText("/admin/ledger?user=ana&unsettled=true"),
		`{"object":"list","data":[{"object":"ledger.record","id":"`+lost.ID+`"`, `"user":"ana"`, `"project":"p"`, `"cost_usd":1,`, `"unsettled":true`)

	path := "/admin/ledger/" + lost.ID + "/write-off"
	for _, body := range []string{``, `{"user":"ana"}`, `{"user":null}`} { // the second changes nothing
		a := r.do("POST", path, body, "Authorization", "Bearer "+adminKey)
		if a.status != 200 {
			t.Fatalf("write-off: %d %s", a.status, a.body)
		}
		wantParts(t, "the write-off", a.body, `{"object":"ledger.write_off","id":"`+lost.ID+`","user":"ana","written_off_usd":1,"record":{`,
			`"operation":"write_off"`, `"writes_off":"`+lost.ID+`"`, `"cost_usd":-1,`)
	}
	wantParts(t, "the user", r.adminText("/admin/users/ana"), `"spent_usd":0,"remaining_usd":1}`, `"spent":{"day_usd":0,"month_usd":0}`)
	wantParts(t, "the project", r.adminText("/admin/projects/p"), `"spent":{"month_usd":0}`)
	wantParts(t, "the ledger", r.adminText("/admin/ledger?user=ana&unsettled=true"), `"data":[]`)
	if a := r.chat(hello); a.status != 200 {
		t.Errorf("chat after the write-off: %d %s", a.status, a.body)
	}
	if n := len(r.records("ana")); n != 3 {
		t.Errorf("records = %d, want the lost one, its write-off and the chat's", n)
	}

	settled := r.records("ana")[2]
	for _, tc := range []struct {
		path, body string
		status     int
		param      string
	}{
		{"/admin/ledger/" + settled.ID + "/write-off", ``, 409, ""},
		{"/admin/ledger/" + requestid.New(time.Now()) + "/write-off", ``, 404, ""},
		{"/admin/ledger/x/write-off", ``, 404, ""},
		{path, `{"user":"bob"}`, 404, ""},
		{path, `{"user":""}`, 400, "user"},
		{path, `{"user":7}`, 400, "user"},
		{path, `{"users":"ana"}`, 400, "users"},
	} {
		a := r.do("POST", tc.path, tc.body, "Authorization", "Bearer "+adminKey)
		if _, _, param, _ := a.fail(t); a.status != tc.status || param != tc.param {
			t.Errorf("POST %s %s: %d param %q, want %d %q", tc.path, tc.body, a.status, param, tc.status, tc.param)
		}
	}
	if a := r.do("POST", path, ``); a.status != 403 {
		t.Errorf("write-off with a user's key: %d, want 403", a.status)
	}
}

func TestLedgerIsListed(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	for range 3 {
		if a := r.chat(hello); a.status != 200 {
			t.Fatalf("chat: %d", a.status)
		}
	}
	all := r.records("ana")
	status, page := r.admin("GET", "/admin/ledger?user=ana&limit=2", "")
	data, _ := page["data"].([]any)
	if status != 200 || len(data) != 2 || page["has_more"] != true || page["next"] != all[1].ID {
		t.Fatalf("first page = %d %v", status, page)
	}
	_, page = r.admin("GET", "/admin/ledger?user=ana&limit=2&after="+all[1].ID, "")
	if data, _ := page["data"].([]any); len(data) != 1 || page["has_more"] != false || data[0].(map[string]any)["id"] != all[2].ID {
		t.Errorf("second page = %v, want %s", page, all[2].ID)
	}
	if text := r.adminText("/admin/ledger?user=ana"); strings.Contains(text, "_ns") || !strings.Contains(text, `"duration_ms":`) {
		t.Errorf("records = %s, want times in milliseconds", text)
	}
	if _, page := r.admin("GET", "/admin/ledger?user=ana&to=2026-01-31&from=2026-01-01", ""); page["has_more"] != false {
		t.Errorf("another month = %v, want nothing", page)
	}
	for query, param := range map[string]string{"": "user", "user=": "user", "user=a/b": "user", "user=ana&from=x": "from", "user=ana&to=x": "to",
		"user=ana&unsettled=x": "unsettled", "user=ana&limit=0": "limit", "user=ana&after=x": "after"} {
		a := r.do("GET", "/admin/ledger?"+query, "", "Authorization", "Bearer "+adminKey)
		if _, _, got, _ := a.fail(t); a.status != 400 || got != param {
			t.Errorf("GET ?%s: %d param %q, want 400 %q", query, a.status, got, param)
		}
	}
}
