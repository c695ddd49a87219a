package sdktest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// racers is how many clients want the same thing at once.
const racers = 64

func testGuarantees(t *testing.T, s *site) {
	t.Run("keys die at once", func(t *testing.T) { keysDie(t, s) })
	t.Run("accounts", func(t *testing.T) { accounts(t, s) })
	t.Run("one budget", func(t *testing.T) { oneBudget(t, s) })
	t.Run("chains on a budget", func(t *testing.T) { chainsOnABudget(t, s) })
	t.Run("one rate limit", func(t *testing.T) { oneRateLimit(t, s) })
	t.Run("so many at once", func(t *testing.T) { soManyAtOnce(t, s) })
	t.Run("exact cost", func(t *testing.T) { exactCost(t, s) })
}

func (s *site) chat(t testing.TB, key, body string) answer {
	t.Helper()
	return s.do(t, "POST", "/ai/chat/completions", key, body)
}

func keysDie(t *testing.T, s *site) {
	s.user(t, "revoked", nil)
	id, key := s.newKey(t, "revoked")
	other, second := s.newKey(t, "revoked")
	body := ask("gpt-4o-mini", "Is this key still good?", "")
	works := func(key string, want int) {
		t.Helper()
		if a := s.chat(t, key, body); a.status != want {
			t.Errorf("status = %d %s, want %d", a.status, a.body, want)
		}
	}
	works(key, 200)
	if a := s.do(t, "DELETE", "/admin/users/revoked/keys/"+id, s.admin, ""); a.status != 200 {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	works(key, 401)
	if a := s.do(t, "GET", "/ai/models", key, ""); a.status != 401 {
		t.Errorf("models with a revoked key = %d, want 401", a.status)
	}
	if a := s.chat(t, key, `{"broken`); a.status != 401 {
		t.Errorf("a broken body with a revoked key = %d, want 401", a.status)
	}
	works(second, 200)
	var rotated struct{ Key string }
	if s.do(t, "POST", "/admin/users/revoked/keys/"+other+"/rotate", s.admin, "").decode(t, &rotated); rotated.Key == "" {
		t.Fatal("rotation gives no key")
	}
	works(second, 401)
	works(rotated.Key, 200)
	s.do(t, "PATCH", "/admin/users/revoked", s.admin, `{"status":"suspended"}`)
	if a := s.chat(t, rotated.Key, body); a.status/100 != 4 {
		t.Errorf("a suspended user's request = %d %s", a.status, a.body)
	}
	s.do(t, "PATCH", "/admin/users/revoked", s.admin, `{"status":"active"}`)
	works(rotated.Key, 200)
	list := s.do(t, "GET", "/admin/users/revoked/keys", s.admin, "").body
	for _, secret := range []string{key, second, rotated.Key} {
		if strings.Contains(list, secret) {
			t.Errorf("the list of keys shows one: %s", list)
		}
	}
}

// accounts: administrators alone see accounts, and what they change holds at once.
func accounts(t *testing.T, s *site) {
	for _, key := range []string{"", s.key, "gwadmin_wrong"} {
		if a := s.do(t, "GET", "/admin/users", key, ""); a.status != 401 && a.status != 403 {
			t.Errorf("accounts with key %.12q: %d %s", key, a.status, a.body)
		}
	}
	key := s.user(t, "limited", nil)
	if a := s.chat(t, key, ask("openai/gpt-4o-mini", "Before the change", "")); a.status != 200 {
		t.Errorf("status = %d %s", a.status, a.body)
	}
	if a := s.do(t, "PATCH", "/admin/users/limited", s.admin, `{"models":["anthropic/*"]}`); a.status != 200 {
		t.Fatalf("patch: %d %s", a.status, a.body)
	}
	if a := s.chat(t, key, ask("openai/gpt-4o-mini", canary, "")); a.status != 403 || a.fault(t).Code != "model_not_allowed" {
		t.Errorf("after the change: %d %s, want 403", a.status, a.body)
	}
	if a := s.do(t, "POST", "/admin/users", s.admin, `{"id":"limited"}`); a.status != 409 {
		t.Errorf("the same user again: %d %s, want 409", a.status, a.body)
	}
	if a := s.do(t, "POST", "/admin/users", s.admin, `{"id":"x","limitz":{}}`); a.status != 400 || a.fault(t).Param != "limitz" {
		t.Errorf("a misspelt limit: %d %s, want 400", a.status, a.body)
	}
}

// held starts a stream that stops in its middle.
func (s *site) held(t testing.TB, key, name, more string) *http.Response {
	t.Helper()
	return s.stream(t, key, ask("gpt-4o-mini", "Stop at #hold-"+name+" please", `,"stream":true`+more))
}

// stream returns when the answer begins.
func (s *site) stream(t testing.TB, key, body string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return s.open(t, ctx, http.DefaultClient, "POST", "/ai/chat/completions", key, body)
}

func readAll(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func rest(t testing.TB, resp *http.Response) string {
	t.Helper()
	text, err := readAll(resp)
	if err != nil {
		t.Errorf("the stream broke: %v after %.300q", err, text)
	}
	return text
}

// oneBudget: of many requests at once, exactly those are admitted that the
// budget has room for.
func oneBudget(t *testing.T, s *site) {
	const bound = `,"max_tokens":100`
	s.user(t, "probe", nil)
	_, key := s.newKey(t, "probe")
	resp := s.held(t, key, "prob00", bound)
	each := s.account(t, "probe").Open.Reserved
	s.up.release("prob00")
	rest(t, resp)
	if each <= 0 {
		t.Fatalf("a request reserves $%s", each.USD())
	}

	const room = 3 // of lambdaProcesses, so that one is left for the others
	budget := room*each + each/2
	key = s.user(t, "racer", object{"budgets": []any{object{"period": "month", "usd": budget}}})
	var wg sync.WaitGroup
	answers := make([]*http.Response, racers)
	for i := range racers {
		wg.Go(func() { answers[i] = s.held(t, key, fmt.Sprintf("race%02d", i), bound) })
	}
	wg.Wait()
	a := s.account(t, "racer")
	if a.Open.Count != room || a.Open.Reserved != room*each || a.Spent.Month != 0 || a.Budgets[0].Remaining != budget-room*each {
		t.Errorf("account = %+v, want %d open requests of $%s each", a, room, each.USD())
	}
	admitted := 0
	for i, resp := range answers {
		s.up.release(fmt.Sprintf("race%02d", i))
		text := rest(t, resp)
		switch resp.StatusCode {
		case 200:
			admitted++
			if !strings.HasSuffix(text, "data: [DONE]\n\n") {
				t.Errorf("a stream ended with %.200q", text[max(0, len(text)-200):])
			}
		case 429:
			e := answer{429, resp.Header, text}.fault(t)
			if e.Code != "insufficient_quota" || e.Type != "insufficient_quota" || resp.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("refusal = %s, x-should-retry %q", text, resp.Header.Get("X-Should-Retry"))
			}
		default:
			t.Errorf("status %d: %s", resp.StatusCode, text)
		}
	}
	if admitted != room {
		t.Errorf("%d of %d were admitted, want %d", admitted, racers, room)
	}
	a = s.settled(t, "racer")
	if b := a.Budgets[0]; b.Spent != a.Spent.Month || b.Remaining != budget-b.Spent || b.Spent <= 0 || b.Spent >= budget {
		t.Errorf("account = %+v with a budget of $%s", a, budget.USD())
	}
}

func oneRateLimit(t *testing.T, s *site) {
	const burst = 7
	key := s.user(t, "hasty", object{"limits": object{"requests_per_second": 0.001, "burst": burst}})
	var wg sync.WaitGroup
	answers := make([]answer, racers)
	for i := range racers {
		wg.Go(func() { answers[i] = s.chat(t, key, ask("gpt-4o-mini", "Everybody wants this one", "")) })
	}
	wg.Wait()
	admitted := 0
	for _, a := range answers {
		if a.status == 200 {
			admitted++
			if a.header.Get("X-Ratelimit-Limit-Requests") != strconv.Itoa(burst) {
				t.Errorf("x-ratelimit-limit-requests = %q, want %d", a.header.Get("X-Ratelimit-Limit-Requests"), burst)
			}
			continue
		}
		after, err := strconv.Atoi(a.header.Get("Retry-After"))
		if e := a.fault(t); a.status != 429 || e.Code != "rate_limit_exceeded" || err != nil || after < 1 || after > 1000 {
			t.Errorf("refusal = %d %s, retry-after %q", a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if admitted != burst {
		t.Errorf("%d of %d were admitted, want %d", admitted, racers, burst)
	}
}

func soManyAtOnce(t *testing.T, s *site) {
	key := s.user(t, "twice", object{"limits": object{"requests_per_second": nil, "max_parallel": 2}})
	first, second := s.held(t, key, "twiceA", ""), s.held(t, key, "twiceB", "")
	if a := s.chat(t, key, ask("gpt-4o-mini", canary, "")); a.status != 429 || a.fault(t).Code != "rate_limit_exceeded" {
		t.Errorf("a third request = %d %s, want 429", a.status, a.body)
	}
	s.up.release("twiceA")
	rest(t, first)
	if a := s.chat(t, key, ask("gpt-4o-mini", "Now there is room again", "")); a.status != 200 {
		t.Errorf("after one has ended: %d %s", a.status, a.body)
	}
	s.up.release("twiceB")
	rest(t, second)
}

// exactCost: to the nano-dollar, and the same in the header, in the usage chunk
// and in the account. The price list says 0.15, 0.075 and 0.60 dollars for a
// million tokens of gpt-4o-mini.
func exactCost(t *testing.T, s *site) {
	key := s.user(t, "thrifty", nil)
	const prompt = "What do I owe for this, please?" // 12+31/4 tokens, of which 4 cached; the answer has 9
	const want = usage.Nano(15*150 + 4*75 + 9*600)
	a := s.chat(t, key, ask("gpt-4o-mini", prompt, ""))
	if got := a.header.Get("X-Gateway-Cost-Usd"); got != want.USD() {
		t.Errorf("x-gateway-cost-usd = %s, want %s", got, want.USD())
	}
	a = s.chat(t, key, ask("gpt-4o-mini", prompt, `,"stream":true,"stream_options":{"include_usage":true}`))
	if !strings.Contains(a.body, `"cost_usd":`+want.USD()) {
		t.Errorf("stream = %s, want cost_usd %s", a.body, want.USD())
	}
	if got := s.settled(t, "thrifty").Spent.Month; got != 2*want {
		t.Errorf("spent = $%s, want $%s", got.USD(), (2 * want).USD())
	}
	a = s.chat(t, key, ask("gpt-4o-mini", prompt+" #unmetered", `,"stream":true,"stream_options":{"include_usage":true}`))
	if !strings.Contains(a.body, `"estimated":true`) {
		t.Errorf("stream without the provider's usage = %s, want an estimate", a.body)
	}
}
