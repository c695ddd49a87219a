package sdktest_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/qdranttest"
)

// anas marks everything that is ana's.
const anas = "ana-owns-this"

// belongings is what a user has, and how others may try to get at it.
type belongings struct {
	conversation, message, run string
}

// settle gives the user with the key some of everything.
func (s *site) settle(t *testing.T, key string) (b belongings) {
	t.Helper()
	post := func(path, body string, want int) (id string) {
		t.Helper()
		a := s.do(t, "POST", path, key, body)
		var got struct{ ID string }
		if a.decode(t, &got); a.status != want {
			t.Fatalf("%s %s = %d %s, want %d", path, body, a.status, a.body, want)
		}
		return got.ID
	}
	post("/ai/templates", `{"name":"hers","user":"`+anas+` {{.x}}","variables":[{"name":"x","default":"y"}],"model":"gpt-4o-mini","labels":["live"]}`, 201)
	post("/ai/chains", `{"name":"hers","steps":[{"id":"a","type":"prompt","user":"`+anas+`","model":"gpt-4o-mini"}],"labels":["live"]}`, 201)
	b.run = post("/ai/chains/hers/runs", `{}`, 200)
	b.conversation = post("/ai/conversations", `{"title":"`+anas+`","messages":[{"role":"user","content":"`+anas+`"}]}`, 201)
	post("/ai/documents", `{"collection":"hers","id":"hers/doc","text":"`+anas+` and pumps","metadata":{"whose":"`+anas+`"}}`, 201)
	post("/ai/documents", `{"collection":"hers","id":"unread","text":"`+anas+` and lamps"}`, 201)
	post("/ai/chat/completions", `{"gateway":{"template":{"name":"hers"},"conversation":"`+b.conversation+`","rag":{"collection":"hers"}},"messages":[{"role":"user","content":"What about pumps?"}]}`, 200)
	var list struct{ Data []struct{ ID string } }
	if s.do(t, "GET", "/ai/conversations/"+b.conversation+"/messages", key, "").decode(t, &list); len(list.Data) != 4 {
		t.Fatalf("%d messages, want 4", len(list.Data))
	}
	b.message = list.Data[0].ID
	if a := s.do(t, "GET", "/ai/templates/hers/usage", key, ""); !strings.Contains(a.body, `"requests":1`) {
		t.Errorf("usage = %d %s", a.status, a.body)
	}
	return b
}

// attempt is a request for what is another's. It must be answered with the
// status, and with none of what is the other's.
type attempt struct {
	status             int
	method, path, body string
}

func (b belongings) attempts() []attempt {
	chat, said := "/ai/chat/completions", `"model":"gpt-4o-mini","messages":[{"role":"user","content":"whose pumps?"}]`
	return []attempt{
		{200, "GET", "/ai/templates", ""},
		{404, "GET", "/ai/templates/hers", ""},
		{404, "GET", "/ai/templates/hers?version=1", ""},
		{404, "GET", "/ai/templates/hers?version=live", ""},
		{404, "GET", "/ai/templates/hers/versions", ""},
		{404, "GET", "/ai/templates/hers/export?version=1", ""},
		{404, "GET", "/ai/templates/hers/usage", ""},
		{404, "POST", "/ai/templates/hers/render", `{}`},
		{404, "POST", "/ai/templates/hers/labels/live", `{"version":1}`},
		{404, "DELETE", "/ai/templates/hers/labels/live", ""},
		{404, "DELETE", "/ai/templates/hers", ""},
		{404, "POST", chat, `{"gateway":{"template":{"name":"hers"}}}`},
		{404, "POST", chat, `{"gateway":{"template":{"name":"hers","version":1}},` + said + `}`},
		{404, "POST", "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"x","gateway":{"template":{"name":"hers","version":"live"}}}`},
		{400, "POST", "/ai/chains", `{"name":"x","steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","template":{"name":"hers"}}]}`},
		{200, "GET", "/ai/chains", ""},
		{404, "GET", "/ai/chains/hers", ""},
		{404, "GET", "/ai/chains/hers?version=1", ""},
		{404, "GET", "/ai/chains/hers/versions", ""},
		{404, "POST", "/ai/chains/hers/labels/live", `{"version":1}`},
		{404, "DELETE", "/ai/chains/hers/labels/live", ""},
		{404, "DELETE", "/ai/chains/hers", ""},
		{404, "POST", "/ai/chains/hers/runs", `{}`},
		{404, "POST", "/ai/chains/hers/runs", `{"version":1,"stream":true}`},
		{404, "POST", "/ai/chains/hers/runs", `{"run_id":"` + b.run + `"}`},
		{404, "GET", "/ai/chains/hers/runs/" + b.run, ""},
		{200, "GET", "/ai/conversations", ""},
		{200, "GET", "/ai/conversations?after=conv_000000000000000000000000", ""},
		{404, "GET", "/ai/conversations/" + b.conversation, ""},
		{404, "GET", "/ai/conversations/" + b.conversation + "/messages", ""},
		{404, "GET", "/ai/conversations/" + b.conversation + "/messages?after=" + b.message, ""},
		{404, "POST", "/ai/conversations/" + b.conversation + "/messages", `{"messages":[{"role":"user","content":"x"}]}`},
		{404, "DELETE", "/ai/conversations/" + b.conversation, ""},
		{404, "POST", chat, `{"gateway":{"conversation":"` + b.conversation + `"},` + said + `}`},
		{404, "POST", chat, `{"stream":true,"gateway":{"conversation":"` + b.conversation + `"},` + said + `}`},
		{200, "GET", "/ai/documents", ""},
		{200, "GET", "/ai/documents?collection=hers", ""},
		{404, "GET", "/ai/documents/hers/doc", ""},
		{404, "GET", "/ai/documents/hers/doc?collection=hers", ""},
		{404, "GET", "/ai/documents/hers%2Fdoc?collection=hers", ""},
		{404, "DELETE", "/ai/documents/hers/doc", ""},
		{404, "DELETE", "/ai/documents/hers/doc?collection=hers", ""},
		{404, "POST", "/ai/search", `{"collection":"hers","query":"pumps"}`},
		{404, "POST", chat, `{"gateway":{"rag":{"collection":"hers"}},` + said + `}`},
		{404, "POST", "/ai/code/generate", `{"model":"gpt-4o-mini","prompt":"pumps","gateway":{"rag":{"collection":"hers"}}}`},
		{401, "GET", "/admin/users/ana", ""},
		{401, "DELETE", "/admin/users/ana", ""},
		{401, "GET", "/admin/users/ana/keys", ""},
	}
}

// fails makes all attempts with a key.
func (s *site) fails(t *testing.T, who, key string, b belongings) {
	t.Helper()
	for _, x := range b.attempts() {
		a := s.do(t, x.method, x.path, key, x.body)
		if a.status != x.status && !(x.status == 401 && a.status == 403) {
			t.Errorf("%s: %s %s %s = %d %s, want %d", who, x.method, x.path, x.body, a.status, a.body, x.status)
		}
		if strings.Contains(a.body, anas) || a.status == 200 && (strings.Contains(a.body, `"hers"`) || !strings.Contains(a.body, `"data":[]`)) {
			t.Errorf("%s: %s %s %s shows what is ana's: %s", who, x.method, x.path, x.body, a.body)
		}
	}
}

// TestTenants is guarantee 3: nobody gets at what is another's, not even who
// has the name of one who is gone.
func TestTenants(t *testing.T) {
	t.Parallel()
	t.Run("local", func(t *testing.T) {
		p, s := startProcess(t)
		s.key = s.user(t, "ana", nil)
		tenants(t, s)
		s.stop(t)
		err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), anas+" and lamps") {
				t.Errorf("%s still has a deleted document", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("lambda", func(t *testing.T) {
		qdrant := qdranttest.New(t)
		s := startLambda(t, "QDRANT_URL="+qdrant.URL)
		tenants(t, s)
		if qdrant.Holds(anas) {
			t.Error("Qdrant still has a deleted document")
		}
		s.stop(t)
	})
}

func tenants(t *testing.T, s *site) {
	b := s.settle(t, s.key)
	names := []string{"bob", "an", "ana@hers", "Ana"}
	for _, name := range names {
		s.fails(t, name, s.user(t, name, nil), b)
	}
	// What bob makes under ana's names is bob's.
	bob := s.keys[len(s.keys)-len(names)]
	for path, body := range map[string]string{
		"/ai/templates": `{"name":"hers","user":"Bob's","model":"gpt-4o-mini"}`, "/ai/chains": `{"name":"hers","steps":[{"id":"a","type":"transform","select":"$.input"}]}`,
		"/ai/documents": `{"collection":"hers","id":"hers/doc","text":"Bob has pumps."}`,
	} {
		if a := s.do(t, "POST", path, bob, body); a.status != 201 || strings.Contains(a.body, anas) {
			t.Errorf("bob: POST %s = %d %s", path, a.status, a.body)
		}
	}
	if a := s.do(t, "POST", "/ai/chains/hers/runs", bob, `{"run_id":"`+b.run+`"}`); a.status != 404 {
		t.Errorf("bob resumes ana's run: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/ai/templates/hers", "/ai/chains/hers", "/ai/documents/hers/doc"} {
		if a := s.do(t, "DELETE", path, bob, ""); a.status != 200 {
			t.Errorf("bob: DELETE %s = %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/ai/templates/hers?version=live", "/ai/chains/hers?version=live", "/ai/documents/hers/doc", "/ai/conversations/" + b.conversation + "/messages", "/ai/chains/hers/runs/" + b.run} {
		if a := s.do(t, "GET", path, s.key, ""); a.status != 200 || !strings.Contains(a.body, anas) {
			t.Errorf("after all that, ana: GET %s = %d %s", path, a.status, a.body)
		}
	}

	if a := s.do(t, "DELETE", "/admin/users/ana", s.admin, ""); a.status != 200 {
		t.Fatalf("deleting ana: %d %s", a.status, a.body)
	}
	old := s.key
	key := s.user(t, "ana", nil)
	s.fails(t, "another ana", key, b)
	if a := s.do(t, "GET", "/ai/templates", old, ""); a.status != 401 {
		t.Errorf("the old key: %d %s, want 401", a.status, a.body)
	}
	if a := s.account(t, "ana"); a.Spent.Month != 0 || a.Open.Count != 0 {
		t.Errorf("another ana's account = %+v", a)
	}
	again := s.settle(t, key) // with usage of its own alone
	if again.conversation == b.conversation || again.run == b.run {
		t.Errorf("another ana has %+v again", b)
	}
	now := time.Now().UTC()
	for _, path := range []string{"/ai/templates/hers/usage", fmt.Sprintf("/ai/templates/hers/usage?from=%s", now.AddDate(0, 0, -2).Format(time.DateOnly))} {
		if a := s.do(t, "GET", path, key, ""); strings.Count(a.body, `"requests":`) != 1 || !strings.Contains(a.body, `"requests":1,`) {
			t.Errorf("another ana's usage = %s", a.body)
		}
	}
	if a := s.do(t, "DELETE", "/admin/users/ana", s.admin, ""); a.status != 200 {
		t.Fatalf("deleting ana: %d %s", a.status, a.body)
	}
}
