package sdktest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/option"
)

// testLimits is what ends a request before its own end.
func testLimits(t *testing.T, s *site) {
	t.Run("budget in the middle of a stream", func(t *testing.T) { budgetMidStream(t, s) })
	t.Run("one budget for a project", func(t *testing.T) { projectBudget(t, s) })
	t.Run("the request's own limits", func(t *testing.T) { ownLimits(t, s) })
	t.Run("the SDK waits and tries again", func(t *testing.T) { retryAfter429(t, s) })
}

// budgetMidStream: an answer that outgrows what is reserved, and then the
// budget, is ended and says so.
func budgetMidStream(t *testing.T, s *site) {
	for _, m := range models {
		id := "flood-" + m.provider
		key := s.user(t, id, nil)
		resp := s.heldBy(t, key, m.name, strings.ReplaceAll(id, "-", ""))
		each := s.account(t, id).Open.Reserved
		s.up.release(strings.ReplaceAll(id, "-", ""))
		rest(t, resp)
		spent := s.settled(t, id).Spent.Month
		budget := spent + each + each/4
		if a := s.do(t, "PATCH", "/admin/users/"+id, s.admin, string(toJSON(object{"budgets": []any{object{"period": "month", "usd": budget}}}))); a.status != 200 {
			t.Fatalf("%s: %d %s", id, a.status, a.body)
		}
		a := s.chat(t, key, ask(m.name, "It goes on and on: #flood-30000", `,"stream":true,"max_tokens":4096`))
		chunks := strings.Split(strings.TrimSpace(a.body), "\n\n")
		last := chunks[max(0, len(chunks)-2)]
		if a.status != 200 || chunks[len(chunks)-1] != "data: [DONE]" || !strings.Contains(last, `"finish_reason":"length"`) || !strings.Contains(last, `"notice":"budget_exceeded"`) {
			t.Errorf("%s: status %d, end %.600q", m.provider, a.status, strings.Join(chunks[max(0, len(chunks)-2):], "\n"))
		}
		after := s.settled(t, id)
		if b := after.Budgets[0]; b.Remaining < -each/10 || b.Remaining > each/2 {
			t.Errorf("%s: of $%s for a stream that reserved $%s, $%s are left", m.provider, (budget - spent).USD(), each.USD(), b.Remaining.USD())
		}
	}
}

func ownLimits(t *testing.T, s *site) {
	a := s.chat(t, s.key, ask("gpt-4o-mini", "Too slow because of #hold-"+s.name+"slow here", `,"gateway":{"timeout_ms":150}`))
	if e := a.fault(t); a.status != http.StatusGatewayTimeout || e.Type != "server_error" {
		t.Errorf("a timeout = %d %s, want 504", a.status, a.body)
	}
	a = s.chat(t, s.key, ask("gpt-4o-mini", "Too slow in the middle, #hold-"+s.name+"half here", `,"stream":true,"gateway":{"timeout_ms":150}`))
	if a.status != 200 || !strings.Contains(a.body, `"content":" slow"`) || !strings.Contains(a.body, `"finish_reason":"error"`) || !strings.Contains(a.body, `"code":"timeout"`) || strings.Contains(a.body, "[DONE]") {
		t.Errorf("a timeout in a stream = %d %s", a.status, a.body)
	}
	a = s.chat(t, s.key, ask("gpt-4o-mini", canary, `,"gateway":{"max_price_usd":0.000001}`))
	if e := a.fault(t); a.status != 400 || e.Param != "gateway.max_price_usd" {
		t.Errorf("a price above its limit = %d %s, want 400", a.status, a.body)
	}
	a = s.chat(t, s.key, ask("gpt-4o-mini", "Only a few words of the answer", `,"max_tokens":5,"gateway":{"max_price_usd":0.01}`))
	if a.status != 200 {
		t.Errorf("a price below its limit = %d %s", a.status, a.body)
	}
}

// retryAfter429: with its usual settings the SDK gets through a rate limit.
func retryAfter429(t *testing.T, s *site) {
	c := newOpenAI(t, s, s.user(t, "patient", object{"limits": object{"requests_per_second": 10, "burst": 1}}), option.WithMaxRetries(2))
	for range 3 { // the second comes too soon
		if _, err := c.Chat.Completions.New(t.Context(), says("gpt-4o-mini", "At the second try, if need be")); err != nil {
			t.Error(err)
		}
	}
}

// heldBy starts a stream of a model that stops in its middle.
func (s *site) heldBy(t testing.TB, key, model, name string) *http.Response {
	t.Helper()
	return s.stream(t, key, ask(model, "Stop at #hold-"+name+" please", `,"stream":true`))
}
