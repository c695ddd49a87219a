package api_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestUsageOfTemplates(t *testing.T) {
	r := newAuthor(t)
	now := time.Now()
	born := func(ago time.Duration) func(*admission.User) {
		return func(u *admission.User) { u.Created = now.Add(-ago) }
	}
	again := func(ago time.Duration) { // another ana
		if err := r.store.DeleteUser(t.Context(), "ana"); err != nil {
			t.Fatal(err)
		}
		r.key = r.user("ana", born(ago))
	}
	again(20 * 24 * time.Hour)
	r.do("POST", "/ai/templates", `{"name":"t","user":"a"}`)
	book := func(user string, ago time.Duration, name string, status int, cost usage.Nano) {
		t.Helper()
		at := now.Add(-ago)
		rec := usage.Record{ID: requestid.New(at), Time: at, User: user, Operation: "chat", Template: name, Status: status, InputTokens: 10, OutputTokens: 3, Cost: cost}
		if _, err := r.store.Settle(t.Context(), admission.Lease{ID: rec.ID, User: user, Admitted: at}, rec); err != nil {
			t.Fatal(err)
		}
	}
	r.user("bob", nil)
	book("ana", time.Hour, "t@1", 200, 1)
	book("ana", 2*time.Hour, "t@1", 429, 0)
	book("ana", 3*time.Hour, "t@12", 200, 7*usage.Dollar)
	book("ana", 10*24*time.Hour, "t@1", 200, 100)
	book("ana", time.Hour, "tt@1", 200, 1000)
	book("ana", time.Hour, "", 200, 1000)
	book("bob", time.Hour, "t@1", 200, 1000)
	const recent = `"data":[{"version":12,"requests":1,"errors":0,"input_tokens":10,"output_tokens":3,"cost_usd":7},{"version":1,"requests":2,"errors":1,"input_tokens":20,"output_tokens":6,"cost_usd":0.000000001}]`
	for query, want := range map[string]string{
		"": recent,
		"?from=" + url.QueryEscape(now.Add(-24*time.Hour).Format(time.RFC3339)):                                                           recent,
		"?from=" + now.UTC().Add(-12*24*time.Hour).Format(time.DateOnly) + "&to=" + now.UTC().Add(-10*24*time.Hour).Format(time.DateOnly): `"data":[{"version":1,"requests":1,"errors":0,"input_tokens":10,"output_tokens":3,"cost_usd":0.0000001}]`,
		"?from=2020-01-01&to=2020-01-02": `"data":[]`,
	} {
		if a := r.do("GET", "/ai/templates/t/usage"+query, ""); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("usage%s: %d %s, want %s", query, a.status, a.body, want)
		}
	}
	if a := r.do("GET", "/ai/templates/tt/usage", ""); a.status != 200 || !strings.Contains(a.body, `"requests":1`) {
		t.Errorf("usage of a deleted template: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/ai/templates/none/usage", ""); a.status != 404 {
		t.Errorf("usage of no template: %d %s", a.status, a.body)
	}
	for query, param := range map[string]string{"?from=yesterday": "from", "?to=5": "to", "?from=2020-01-02&to=2020-01-01": "from", "?from=2020-01-01&to=2020-03-01": "from", "?from=2020-01-01": "from"} {
		if a := r.do("GET", "/ai/templates/t/usage"+query, ""); a.status != 400 {
			t.Errorf("usage%s: %d %s", query, a.status, a.body)
		} else if _, _, got, _ := a.fail(t); got != param {
			t.Errorf("usage%s: param %q, want %q", query, got, param)
		}
	}
	if a := r.do("GET", "/ai/templates/t/usage?from=2020-01-01&to=2020-01-31", ""); a.status != 200 {
		t.Errorf("31 days: %d %s", a.status, a.body)
	}
	again(90 * time.Minute)
	for query, want := range map[string]string{"": `"data":[{"version":1,"requests":1,`, "?from=2020-01-01&to=2020-01-31": `"data":[]`} {
		if a := r.do("GET", "/ai/templates/t/usage"+query, ""); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("usage%s of another user of that name: %d %s, want %s", query, a.status, a.body, want)
		}
	}
}
