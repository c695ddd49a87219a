package api_test

import (
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/api"
)

// TestTimesLookAlike: what stores keep to the nanosecond and what they keep to
// the millisecond.
func TestTimesLookAlike(t *testing.T) {
	r := newTalker(t)
	r.server.Recipes = r.store.Recipes()
	id := r.talk(`{"messages":[{"role":"user","content":"x"}]}`).ID
	r.do("POST", "/ai/templates", `{"name":"t","user":"x"}`)
	r.do("POST", "/ai/chains", `{"name":"c","input":[{"name":"a"}],"steps":[{"id":"a","type":"transform","select":"$.input.a"}]}`)
	alike := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	stamps := regexp.MustCompile(`"(\w+_at)":"([^"]*)"`)
	for path, want := range map[string]int{"/ai/conversations": 3, "/ai/conversations/" + id: 3, "/ai/conversations/" + id + "/messages": 1, "/ai/templates": 2, "/ai/templates/t": 1,
		"/ai/templates/t/versions": 1, "/ai/chains": 2, "/ai/chains/c": 1, "/admin/users": 1, "/admin/users/ana/keys": 1} {
		header := []string{}
		if strings.HasPrefix(path, "/admin") {
			header = []string{"Authorization", "Bearer " + adminKey}
		}
		a := r.do("GET", path, "", header...)
		found := stamps.FindAllStringSubmatch(a.body, -1)
		if a.status != 200 || len(found) != want {
			t.Errorf("GET %s: %d with %d times, want 200 with %d: %s", path, a.status, len(found), want, a.body)
		}
		for _, m := range found {
			if !alike.MatchString(m[2]) {
				t.Errorf("GET %s: %s = %s, want milliseconds", path, m[1], m[2])
			}
		}
	}
}

// unread counts what was not read of a body.
type unread struct{ n int64 }

func (u *unread) Read(p []byte) (int, error) {
	if u.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), u.n)
	clear(p[:n])
	u.n -= n
	return int(n), nil
}

// TestClientsCanFinishABodyThatIsTooLarge: those that have to, before they look
// for an answer.
func TestClientsCanFinishABodyThatIsTooLarge(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, tc := range []struct {
		name, key, expect string
		length            int64 // as announced
		status            int
		left              bool
	}{
		{"announced", r.key, "", api.MaxBody + 1<<20, 413, false},
		{"not announced", r.key, "", -1, 413, false},
		{"announced by a client that waits", r.key, "100-continue", api.MaxBody + 1<<20, 413, true},
		{"without a key", "", "", api.MaxBody + 1<<20, 401, true},
	} {
		body := &unread{api.MaxBody + 1<<20}
		req := httptest.NewRequest("POST", "/ai/chat/completions", body)
		req.ContentLength = tc.length
		req.Header.Set("Authorization", "Bearer "+tc.key)
		req.Header.Set("Expect", tc.expect)
		w := httptest.NewRecorder()
		r.server.Handler().ServeHTTP(w, req)
		if w.Code != tc.status || body.n > 0 != tc.left {
			t.Errorf("%s: %d, %d bytes unread; want %d, some unread: %t", tc.name, w.Code, body.n, tc.status, tc.left)
		}
	}
}

// TestWhatIsMissingIsCalledMissing: in the words of the chat.
func TestWhatIsMissingIsCalledMissing(t *testing.T) {
	r := newReader(t)
	for _, tc := range []struct{ path, body, param string }{
		{"/ai/documents", `{"text":"x"}`, "collection"},
		{"/ai/documents", `{"collection":"docs","text":null}`, "text"},
		{"/ai/search", `{"query":"x"}`, "collection"},
		{"/ai/search", `{"collection":"docs"}`, "query"},
		{"/ai/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"gateway":{"rag":{"top_k":3}}}`, "gateway.rag.collection"},
		{"/admin/users", `{"name":"Bob"}`, "id"},
	} {
		key := r.key
		if strings.HasPrefix(tc.path, "/admin") {
			key = adminKey
		}
		a := r.do("POST", tc.path, tc.body, "Authorization", "Bearer "+key)
		if message, _, param, code := a.fail(t); a.status != 400 || message != "Missing required parameter: '"+tc.param+"'." || param != tc.param || code != "missing_required_parameter" {
			t.Errorf("POST %s %s: %d %s", tc.path, tc.body, a.status, a.body)
		}
	}
}

// TestAnswersAreNotEscapedForHTML: what was appended comes back as it is, and no
// page of code is six times as long as it may be.
func TestAnswersAreNotEscapedForHTML(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	r.server.Conversations = r.store.Conversations()
	const code = `if a < b && b > c { }`
	id := r.do("POST", "/ai/conversations", `{"messages":[{"role":"user","content":"`+code+`"}]}`).object(t)["id"].(string)
	r.saves(chainOf("c", step("a", code)))
	for path, body := range map[string]string{"/ai/conversations/" + id + "/messages": "", "/ai/chains/c/runs": `{}`, "/ai/chains/c/runs?": `{"stream":true}`} {
		method := "POST"
		if body == "" {
			method = "GET"
		}
		if a := r.do(method, path, body); a.status != 200 || !strings.Contains(a.body, code) || strings.Contains(a.body, `\u003c`) {
			t.Errorf("%s %s = %d %s", method, path, a.status, a.body)
		}
	}
}
