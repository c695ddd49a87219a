package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type ctx = context.Context

// bound is what a request for 10 output tokens with this body reserves.
func bound(body string) usage.Nano { return usage.Nano(len(body)/2*150 + 10*600) }

// TestRacersNeverOverspend: 64 clients, a budget for exactly seven requests.
func TestRacersNeverOverspend(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		<-release
		reply("application/json", completion)(w, req)
	}, nil)
	body := `{"model":"gpt-4o-mini","max_tokens":10,"messages":[{"role":"user","content":"Hello!"}]}`
	key := r.user("bob", func(u *admission.User) { u.Day = 7*bound(body) + 1 })
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			switch a := r.chat(body, "Authorization", "Bearer "+key); a.status {
			case 200:
				ok.Add(1)
			case 429:
				if refused.Add(1) == 57 {
					close(release)
				}
			default:
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 7 || refused.Load() != 57 {
		t.Errorf("%d admitted and %d refused, want 7 and 57", ok.Load(), refused.Load())
	}
	day, _ := r.accountOf("bob")
	if day != 7*helloCost {
		t.Errorf("spent %s, want %s", day.USD(), (7 * helloCost).USD())
	}
	if n := len(r.records("bob")); n != 7 {
		t.Errorf("%d records, want 7", n)
	}
}

func (r *rig) accountOf(user string) (day, month usage.Nano) {
	a := r.account(user)
	return a.Spent(time.Now())
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	key := r.user("bob", func(u *admission.User) { u.Rate, u.Burst = 0.01, 3 })
	for i := range 3 {
		a := r.chat(hello, "Authorization", "Bearer "+key)
		if left := a.header.Get("X-Ratelimit-Remaining-Requests"); a.status != 200 || left != fmt.Sprint(2-i) {
			t.Errorf("request %d: %d, %s left", i, a.status, left)
		}
	}
	a := r.chat(hello, "Authorization", "Bearer "+key)
	if _, typ, _, code := a.fail(t); a.status != 429 || typ != "rate_limit_error" || code != "rate_limit_exceeded" || a.header.Get("Retry-After") != "100" {
		t.Errorf("request 4: %d %s %s, Retry-After %q", a.status, typ, code, a.header.Get("Retry-After"))
	}
}

// words is an upstream that streams n words without ever saying what it bills,
// stopping early when it is cancelled.
func words(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range n {
			if _, err := fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%039d \"},\"finish_reason\":null}]}\n\n", i); err != nil {
				return
			}
			if i%50 == 0 && http.NewResponseController(w).Flush() != nil {
				return
			}
		}
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}
}

// TestStreamIsToppedUp: an answer longer than the default reservation goes on
// while the budget has room, and the estimate is booked in full.
func TestStreamIsToppedUp(t *testing.T) {
	r := newRig(t, words(2000), nil) // 80,000 bytes are 20,000 tokens
	key := r.user("bob", func(u *admission.User) { u.Day = usage.Dollar })
	a := r.chat(helloSSE, "Authorization", "Bearer "+key)
	if n := len(chunks(a.body)); a.status != 200 || n != 2002 {
		t.Fatalf("%d, %d chunks", a.status, n)
	}
	recs := r.records("bob")
	if len(recs) != 1 || recs[0].OutputTokens != 20000 || !recs[0].Estimated || recs[0].Partial || recs[0].Reserved < recs[0].Cost {
		t.Errorf("records = %+v", recs)
	}
	if day, _ := r.accountOf("bob"); day != recs[0].Cost {
		t.Errorf("spent %s, want %s", day.USD(), recs[0].Cost.USD())
	}
}

// TestStreamIsCutWhenTheBudgetEnds: the client is told, the upstream is left,
// and what was spent stays within the budget and is nearly all of it.
func TestStreamIsCutWhenTheBudgetEnds(t *testing.T) {
	r := newRig(t, words(100_000), nil)
	budget := usage.Nano(5000 * 600) // for 5,000 tokens; 4,096 are reserved
	key := r.user("bob", func(u *admission.User) { u.Day = budget })
	a := r.chat(helloSSE, "Authorization", "Bearer "+key)
	list := chunks(a.body)
	last := list[len(list)-2]
	if a.status != 200 || list[len(list)-1] != "[DONE]" || !strings.Contains(last, `"finish_reason":"length"`) || !strings.Contains(last, `"gateway":{"notice":"budget_exceeded"}`) {
		t.Fatalf("%d, the stream ends in %q", a.status, list[len(list)-2:])
	}
	recs := r.records("bob")
	if len(recs) != 1 || recs[0].Finish != "length" || !recs[0].Partial || !recs[0].Estimated || recs[0].Cost < budget*9/10 || recs[0].Cost > budget {
		t.Errorf("records = %+v", recs)
	}
	r.account("bob")
}

// TestUnpricedModels: without a price nothing can be reserved, so users with a
// budget may not call such a model.
func TestUnpricedModels(t *testing.T) {
	r := newRig(t, reply("application/json", completion), nil)
	body := `{"model":"openai/llama-of-mine","messages":[{"role":"user","content":"x"}]}`
	if a := r.chat(body); a.status != 200 {
		t.Errorf("without a budget: %d %s", a.status, a.body)
	}
	if recs := r.records("ana"); len(recs) != 1 || !recs[0].Unpriced || recs[0].Cost != 0 {
		t.Errorf("records = %+v", recs)
	}
	key := r.user("bob", func(u *admission.User) { u.Month = usage.Dollar })
	a := r.chat(body, "Authorization", "Bearer "+key)
	if _, _, _, code := a.fail(t); a.status != 403 || code != "unknown_price" {
		t.Errorf("with a budget: %d %s", a.status, code)
	}
	r.server.Gateway.UnknownPrice = "allow"
	if a := r.chat(body, "Authorization", "Bearer "+key); a.status != 200 {
		t.Errorf("allowed: %d %s", a.status, a.body)
	}
	r.server.Gateway.UnknownPrice = "reject"
	if a := r.chat(body); a.status != 403 {
		t.Errorf("rejected: %d", a.status)
	}
}

// TestEveryAdmittedRequestIsBookedOnce: whatever becomes of 200 parallel
// requests, the ledger has one record for each and no lease stays open.
func TestEveryAdmittedRequestIsBookedOnce(t *testing.T) {
	var n atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		switch n.Add(1) % 5 {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			status(500, "x")(w, req)
		case 2:
			reply("text/event-stream", "data: "+chunk1+"\n\n")(w, req)
		default:
			reply("text/event-stream", sse)(w, req)
		}
	}, nil)
	var wg sync.WaitGroup
	ids := make([]string, 200)
	for i := range ids {
		wg.Go(func() { ids[i] = r.chat(helloSSE).header.Get("X-Request-Id") })
	}
	wg.Wait()
	count := map[string]int{}
	var sum usage.Nano
	for _, rec := range r.records("ana") {
		count[rec.ID]++
		sum += rec.Cost
	}
	for _, id := range ids {
		if count[id] != 1 {
			t.Errorf("request %s has %d records", id, count[id])
		}
	}
	if day, _ := r.accountOf("ana"); day != sum {
		t.Errorf("account says %s, ledger says %s", day.USD(), sum.USD())
	}
}
