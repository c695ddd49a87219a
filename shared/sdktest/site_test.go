package sdktest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// site is a running gateway as its users see it. Each is one deployment: the
// single process, or the Lambda functions behind their API.
type site struct {
	name  string
	root  string // http://HOST; the API is at /ai and /ai/v1
	admin string // the admin key
	key   string // of the user "ana", who has no limits
	up    *fake

	logs    func() string                     // what the programs printed, but for the greeting
	records func(t testing.TB) []usage.Record // the ledger; the programs may be stopped for it
	stop    func(t testing.TB)                // in an orderly way; may be called twice
	kill    func(function string)             // of the Lambda functions
	store   *dynamo.Store                     // of the Lambda functions

	mu    sync.Mutex
	users []string
	keys  []string
	// uncalled counts the requests that an adapter refused by itself: they were
	// admitted, but no provider saw them.
	uncalled int
}

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

// output collects what a process prints, and lets one wait for it.
type output struct {
	mu     sync.Mutex
	b      bytes.Buffer
	change chan struct{} // closed and replaced at each Write
}

func newOutput() *output { return &output{change: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.change)
	o.change = make(chan struct{})
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait returns what was printed once it has text in it; exited may end it.
func (o *output) wait(t testing.TB, text string, exited <-chan struct{}) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		printed, change := o.b.String(), o.change
		o.mu.Unlock()
		if strings.Contains(printed, text) {
			return printed
		}
		select {
		case <-change:
		case <-exited:
			t.Fatalf("the program ended; it printed %q, not %q", printed, text)
		case <-timeout:
			t.Fatalf("the program printed %q, not %q", printed, text)
		}
	}
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("status %d, body %.300q: %v", a.status, a.body, err)
	}
}

// fault returns the error that the answer tells.
func (a answer) fault(t testing.TB) (e struct{ Message, Type, Param, Code string }) {
	t.Helper()
	var body struct {
		Error *struct{ Message, Type, Param, Code string }
	}
	if a.decode(t, &body); body.Error == nil {
		t.Fatalf("status %d, body %.300q: want an error", a.status, a.body)
	}
	return *body.Error
}

// client gives each caller connections of its own, as clients on other
// machines have.
func client(t testing.TB) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.MaxIdleConnsPerHost = nil, 256
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// open sends a request and returns its answer unread. header is name, value, ….
func (s *site) open(t testing.TB, ctx context.Context, c *http.Client, method, path, key, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, s.root+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

func (s *site) do(t testing.TB, method, path, key, body string, header ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp := s.open(t, ctx, http.DefaultClient, method, path, key, body, header...)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v after %.300q", method, path, err, text)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// ask is a chat request's body; more are further members.
func ask(model, prompt, more string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%s}]%s}`, model, toJSON(prompt), more)
}

// user makes a user with a key, and without limits unless fields say so.
func (s *site) user(t testing.TB, id string, fields object) (key string) {
	t.Helper()
	body := object{"id": id, "limits": object{"requests_per_second": nil}}
	for name, v := range fields {
		body[name] = v
	}
	if a := s.do(t, "POST", "/admin/users", s.admin, string(toJSON(body))); a.status != http.StatusCreated {
		t.Fatalf("making user %s: %d %s", id, a.status, a.body)
	}
	s.mu.Lock()
	s.users = append(s.users, id)
	s.mu.Unlock()
	_, key = s.newKey(t, id)
	return key
}

func (s *site) newKey(t testing.TB, user string) (id, key string) {
	t.Helper()
	a := s.do(t, "POST", "/admin/users/"+user+"/keys", s.admin, `{"name":"test"}`)
	var k struct{ ID, Key string }
	if a.decode(t, &k); a.status != http.StatusCreated || k.Key == "" {
		t.Fatalf("making a key for %s: %d %s", user, a.status, a.body)
	}
	s.mu.Lock()
	s.keys = append(s.keys, k.Key)
	s.mu.Unlock()
	return k.ID, k.Key
}

// account is a user as the administrator sees it.
type account struct {
	Spent struct {
		Month usage.Nano `json:"month_usd"`
	}
	Open struct {
		Count    int        `json:"count"`
		Reserved usage.Nano `json:"reserved_usd"`
	} `json:"open_leases"`
	Budgets []struct {
		USD       usage.Nano `json:"usd"`
		Spent     usage.Nano `json:"spent_usd"`
		Remaining usage.Nano `json:"remaining_usd"`
	}
}

func (s *site) account(t testing.TB, user string) (a account) {
	t.Helper()
	got := s.do(t, "GET", "/admin/users/"+user, s.admin, "")
	if got.decode(t, &a); got.status != http.StatusOK {
		t.Fatalf("user %s: %d %s", user, got.status, got.body)
	}
	return a
}

// settled waits until none of the user's requests is open: a client that left
// does not see its own settlement.
func (s *site) settled(t testing.TB, user string) account {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		a := s.account(t, user)
		if a.Open.Count == 0 {
			return a
		}
		if time.Now().After(end) {
			t.Fatalf("user %s still has %d open requests", user, a.Open.Count)
		}
	}
}

// audit stops the site and compares its books with what the upstream saw, and
// its output with what must not be in it.
func (s *site) audit(t testing.TB) {
	t.Helper()
	spent := map[string]usage.Nano{}
	for _, u := range s.users {
		a := s.settled(t, u)
		if spent[u] = a.Spent.Month; a.Open.Reserved != 0 {
			t.Errorf("user %s: no request is open, but $%s reserved", u, a.Open.Reserved.USD())
		}
	}
	records := s.records(t)
	calls, sums, ids := 0, map[string]usage.Nano{}, map[string]bool{}
	for _, r := range records {
		if ids[r.ID] {
			t.Errorf("request %s has two records", r.ID)
		}
		ids[r.ID] = true
		sums[r.User] += r.Cost
		if r.Unsettled {
			t.Errorf("request %s was settled by a sweep: %+v", r.ID, r)
		}
		if r.Provider != "echo" {
			calls += r.Attempts
		}
	}
	for _, u := range s.users {
		if sums[u] != spent[u] {
			t.Errorf("user %s: spent $%s, but its records sum up to $%s", u, spent[u].USD(), sums[u].USD())
		}
	}
	if seen := len(s.up.find("")); seen+s.uncalled != calls || seen == 0 {
		t.Errorf("the ledger knows of %d calls to providers, which got %d", calls, seen)
	}
	s.stop(t)
	s.checkLogs(t)
}

// checkLogs looks for secrets, prompts and panics in what was printed.
func (s *site) checkLogs(t testing.TB) {
	t.Helper()
	logs := s.logs()
	for _, secret := range append([]string{openaiKey, anthropicKey, geminiKey, bedrockSecret, s.admin, s.key, pepper}, s.keys...) {
		if secret != "" && strings.Contains(logs, secret) {
			t.Errorf("the secret %q is in the logs", secret)
		}
	}
	for _, r := range s.up.find("") {
		if p := r.Prompt[:min(len(r.Prompt), 60)]; len(p) > 12 && strings.Contains(logs, p) {
			t.Errorf("the prompt %q is in the logs", p)
		}
	}
	for _, bad := range []string{"DATA RACE", "panic", "goroutine ", "superfluous", canary, s.up.URL} {
		if i := strings.Index(logs, bad); i >= 0 {
			t.Errorf("the logs hold %q: %.1500s", bad, logs[max(0, i-200):])
		}
	}
	for line := range strings.Lines(logs) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %.300q", line)
		}
	}
	if !strings.Contains(logs, `"message":"request"`) {
		t.Error("the logs hold no request: are they the right ones?")
	}
}

const (
	// canary is in what never reaches a provider, but must not reach a log either.
	canary = "a-canary-in-the-mine"
	pepper = "the-pepper-of-these-tests-0123456789"
)
