package bolt

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestDump(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "ann", func(u *admission.User) {
		u.Name, u.Project, u.Rate, u.Day, u.Models = "Ann", "team", 2.5, 25*usage.Dollar, []string{"openai/*"}
	})
	createTestUser(t, s, "bob", func(u *admission.User) { u.Active, u.Tokens = false, 1000 })
	secret, hash := admission.NewKey([]byte("pepper"), "ann")
	k := admission.Key{ID: admission.KeyID(hash), Hash: hash, Name: "laptop", Hint: secret[len(secret)-4:], Scopes: []string{"inference"},
		Models: []string{"*"}, Revoked: true}
	if err := s.PutKey(t.Context(), "ann", k); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateProject(t.Context(), admission.Project{ID: "team", Name: "Us", Month: 5 * usage.Dollar, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	a := testAsk("ann", time.Now(), 1000)
	settled := admit(t, s, a).Lease
	settle(t, s, settled, 12_345)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Dump(&out, dir); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("Dump beside a running gateway = %v, want an error that says so", err)
	}
	waiting := admit(t, s, testAsk("ann", time.Now(), 1000)).Lease
	settle(t, s, waiting, 1)
	s.kill()

	out.Reset()
	if err := Dump(&out, dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ann "Ann" active, project "team", models openai/*`,
		"team \"Us\", per month $5\n  spent in " + admission.Month(time.Now()) + ": $0.000012345",
		"2.5 requests/s (burst 1), no token limit, 1000 at once, per day $25, per month no budget",
		"spent in " + admission.Day(settled.Admitted) + ": $0.000012345",
		`key ` + k.ID + ` "laptop" …` + k.Hint + `, models *, scopes inference, revoked`,
		`bob "" inactive`, "no rate limit, 1000 tokens/min",
		`{"id":"` + settled.ID + `"`,
		`{"id":"` + waiting.ID + `"`, "(in the journal still)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Dump lacks %q", want)
		}
	}
	if strings.Contains(out.String(), hash) || strings.Contains(out.String(), secret) {
		t.Error("Dump shows what could open a door")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if n := strings.Count(out.String(), "in the journal still"); n != 1 {
		t.Errorf("%d records are said to be in the journal, want 1", n)
	}
	if err := Dump(&out, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no data") {
		t.Errorf("Dump of an empty directory = %v, want an error that says so", err)
	}
}
