package sdktest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// byID indexes a ledger and checks that no request is in it twice.
func byID(t *testing.T, list []usage.Record) map[string]usage.Record {
	t.Helper()
	m := map[string]usage.Record{}
	for _, r := range list {
		if _, twice := m[r.ID]; twice {
			t.Errorf("request %s has two records", r.ID)
		}
		m[r.ID] = r
	}
	return m
}

// TestKill: whatever a killed process had admitted, the ledger has one record
// of it after the next start, and the account agrees.
func TestKill(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	key := s.user(t, "ana", object{"budgets": []any{object{"period": "month", "usd": 100}}})
	ids := map[string]bool{} // of requests in the middle of their streams
	for i, m := range models {
		s.chat(t, key, ask(m.name, "Done before the end", ""))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		name := fmt.Sprintf("kill%d", i)
		resp := s.open(t, ctx, http.DefaultClient, "POST", "/ai/chat/completions", key, ask(m.name, "In the middle of #hold-"+name+" when it dies", `,"stream":true`))
		<-s.up.hold(name).reached
		ids[resp.Header.Get("X-Request-Id")] = true
		defer resp.Body.Close()
	}
	open := s.account(t, "ana").Open
	if open.Count != len(models) {
		t.Fatalf("%d open requests, want %d", open.Count, len(models))
	}
	p.kill()

	p.start(t)
	s = p.site()
	a := s.account(t, "ana")
	if a.Open.Count != 0 || a.Open.Reserved != 0 {
		t.Errorf("after the start %d requests are open with $%s", a.Open.Count, a.Open.Reserved.USD())
	}
	if got := s.chat(t, key, ask("gpt-4o-mini", "Alive again", "")); got.status != 200 {
		t.Errorf("the key does not work any more: %d %s", got.status, got.body)
	}
	a = s.settled(t, "ana")
	records := byID(t, s.records(t))
	if want := 2*len(models) + 1; len(records) != want {
		t.Errorf("%d records, want %d", len(records), want)
	}
	var sum, unsettled usage.Nano
	for id, r := range records {
		sum += r.Cost
		if r.Unsettled != ids[id] {
			t.Errorf("record %+v: unsettled, want %v", r, ids[id])
		}
		if r.Unsettled {
			unsettled += r.Cost
		}
	}
	if sum != a.Spent.Month || unsettled != open.Reserved || a.Budgets[0].Remaining != 100*usage.Dollar-sum {
		t.Errorf("the records sum up to $%s, of which $%s by estimate; want $%s and $%s; account %+v", sum.USD(), unsettled.USD(), a.Spent.Month.USD(), open.Reserved.USD(), a)
	}
	p.start(t)
	s = p.site()
	forgive(t, s, records)
	s.checkLogs(t)
}

// forgive writes off what a kill has left unsettled, and checks that it is
// given back.
func forgive(t *testing.T, s *site, records map[string]usage.Record) {
	t.Helper()
	before := s.account(t, "ana")
	var back usage.Nano
	for id, r := range records {
		a := s.do(t, "POST", "/admin/ledger/"+id+"/write-off", s.admin, `{"user":"ana"}`)
		if !r.Unsettled {
			if a.status != 409 || a.fault(t).Code != "not_unsettled" {
				t.Errorf("write-off of what was settled = %d %s, want 409", a.status, a.body)
			}
			continue
		}
		if a.status != 200 || !strings.Contains(a.body, `"written_off_usd":`+r.Cost.USD()) {
			t.Errorf("write-off = %d %s, want $%s", a.status, a.body, r.Cost.USD())
		}
		back += r.Cost
	}
	after := s.account(t, "ana")
	if after.Spent.Month != before.Spent.Month-back || after.Budgets[0].Remaining != before.Budgets[0].Remaining+back {
		t.Errorf("account before %+v, after %+v: want $%s less spent", before, after, back.USD())
	}
	if list := s.do(t, "GET", "/admin/ledger?user=ana&unsettled=true", s.admin, "").body; !strings.Contains(list, `"data":[]`) {
		t.Errorf("what is still unsettled: %s", list)
	}
}

// TestKillUnderLoad kills at no particular moment, over and over.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	key := s.user(t, "ana", nil)
	var mu sync.Mutex
	admitted := map[string]bool{}
	for _, after := range []int64{1, 40, 150} {
		var answered atomic.Int64
		enough, stop := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		c := client(t)
		for i := range 8 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					body := ask(models[(i+n)%len(models)].name, "One of very many requests", []string{"", `,"stream":true`}[n%2])
					req, _ := http.NewRequestWithContext(t.Context(), "POST", p.root+"/ai/chat/completions", strings.NewReader(body))
					req.Header.Set("Authorization", "Bearer "+key)
					resp, err := c.Do(req)
					if err != nil {
						return // it is dead
					}
					if resp.StatusCode == 200 {
						mu.Lock()
						admitted[resp.Header.Get("X-Request-Id")] = true
						mu.Unlock()
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if answered.Add(1) == after {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.kill()
		close(stop)
		wg.Wait()
		p.start(t)
	}
	s = p.site()
	a := s.account(t, "ana")
	records := byID(t, s.records(t))
	var sum usage.Nano
	for _, r := range records {
		sum += r.Cost
	}
	for id := range admitted {
		if _, ok := records[id]; !ok {
			t.Errorf("request %s was answered, but has no record", id)
		}
	}
	if sum != a.Spent.Month || a.Open.Count != 0 || len(admitted) < 100 {
		t.Errorf("%d answers, %d records of $%s; account %+v", len(admitted), len(records), sum.USD(), a)
	}
}

// TestInterrupt: an interrupted process finishes what it has begun.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	key := s.user(t, "ana", nil)
	resp := s.held(t, key, "drain", "")
	<-s.up.hold("drain").reached
	p.interrupt(t)
	p.stdout.wait(t, "Finishing open requests", p.exited)
	select { // the provider is not hung up on; if it were, that would show at once
	case <-s.up.hold("drain").left:
		t.Error("the stream was cut")
	case <-time.After(200 * time.Millisecond):
	}
	s.up.release("drain")
	if text := rest(t, resp); !strings.HasSuffix(text, "data: [DONE]\n\n") || strings.Contains(text, `"error"`) {
		t.Errorf("the stream ended with %q", text[max(0, len(text)-300):])
	}
	p.end(t)
	for _, r := range p.records(t) {
		if r.Unsettled || r.Partial || r.Status != 200 || r.Cost <= 0 {
			t.Errorf("record = %+v, want a settled one", r)
		}
	}
}

// TestInterruptTwice: a second signal ends streams, but not silently, and not
// without settling them.
func TestInterruptTwice(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	key := s.user(t, "ana", nil)
	var streams []*http.Response
	for i, m := range models {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		name := fmt.Sprintf("cut%d", i)
		streams = append(streams, s.open(t, ctx, http.DefaultClient, "POST", "/ai/chat/completions", key, ask(m.name, "Cut off at #hold-"+name+" by a signal", `,"stream":true`)))
		<-s.up.hold(name).reached
	}
	var whole answer
	var wg sync.WaitGroup
	wg.Go(func() { whole = s.chat(t, key, ask("gpt-4o-mini", "Not a stream, but #hold-whole as well", "")) })
	<-s.up.hold("whole").reached
	p.interrupt(t)
	p.stdout.wait(t, "Finishing open requests", p.exited)
	p.interrupt(t)
	if wg.Wait(); whole.status != http.StatusServiceUnavailable || whole.header.Get("Retry-After") == "" {
		t.Errorf("what was not streamed ended with %d %s", whole.status, whole.body)
	}
	for i, resp := range streams {
		text := rest(t, resp)
		if !strings.Contains(text, `"finish_reason":"error"`) || !strings.Contains(text, "The gateway is shutting down.") || strings.Contains(text, "[DONE]") {
			t.Errorf("%s: the stream ended with %q", models[i].provider, text[max(0, len(text)-400):])
		}
	}
	p.end(t)
	records := p.records(t)
	if len(records) != len(models)+1 {
		t.Errorf("%d records, want %d", len(records), len(models)+1)
	}
	for _, r := range records {
		if !r.Stream { // what came of it is not known
			continue
		}
		if r.Unsettled || !r.Partial || r.Cost <= 0 || r.Cost >= r.Reserved {
			t.Errorf("record = %+v, want what was generated", r)
		}
	}
}

// TestRestart: users, keys, limits and what was spent outlive the process, and
// it prints no secret but those of its greeting.
func TestRestart(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	key := s.user(t, "ana", object{"name": "Ana", "budgets": []any{object{"period": "day", "usd": 1}}, "limits": object{"requests_per_second": 0.001, "burst": 3}})
	s.chat(t, key, ask("gpt-4o-mini", "Before the restart it was warm", ""))
	s.chat(t, p.dev.Key, ask("echo", "Hello, echo, before the restart", ""))
	before, dev := s.do(t, "GET", "/admin/users", s.admin, "").body, p.dev
	s.stop(t)
	s.checkLogs(t)
	first := p.stdout.String()

	p.start(t)
	s = p.site()
	if p.dev != dev {
		t.Errorf("dev.json changed from %+v to %+v", dev, p.dev)
	}
	if after := s.do(t, "GET", "/admin/users", s.admin, "").body; after != before {
		t.Errorf("users were\n%s\nand are\n%s", before, after)
	}
	for i, want := range []int{200, 200, 429} { // the rate limit remembers the request before the restart
		if a := s.chat(t, key, ask("gpt-4o-mini", "After the restart it is cold", "")); a.status != want {
			t.Errorf("request %d after the restart = %d %s, want %d", i+1, a.status, a.body, want)
		}
	}
	if a := s.chat(t, p.dev.Key, ask("echo", "Hello, echo, after the restart", "")); a.status != 200 || !strings.Contains(a.body, "offline stand-in") {
		t.Errorf("echo = %d %s", a.status, a.body)
	}
	if n := len(s.records(t)); n != 5 {
		t.Errorf("%d records, want 5", n)
	}
	s.checkLogs(t)
	for _, printed := range []string{first, p.stdout.String()} {
		if strings.Count(printed, "gw_dev_") != 2 || !strings.Contains(printed, dev.Key) || !strings.Contains(printed, dev.Admin) {
			t.Errorf("the greeting must show the dev user's key and the admin key: %s", printed)
		}
		for _, secret := range []string{key, openaiKey, anthropicKey, geminiKey, bedrockSecret, "restart it"} {
			if strings.Contains(printed, secret) {
				t.Errorf("%q was printed", secret)
			}
		}
	}
	for _, name := range []string{"dev.json", "pepper", "gateway.db"} {
		info, err := os.Stat(filepath.Join(p.dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; want a file of its owner's alone", name, info, err)
		}
	}
}

// TestLambdaKilled: a function that dies in the middle of a stream leaves its
// client without a proper end, and a lease. The sweep makes the one record.
func TestLambdaKilled(t *testing.T) {
	t.Parallel()
	s := startLambda(t)
	resp := s.held(t, s.key, "dying", "")
	<-s.up.hold("dying").reached
	open := s.account(t, "ana").Open
	if open.Count != 1 {
		t.Fatalf("%d open requests, want 1", open.Count)
	}
	s.kill("chat")
	buf, err := readAll(resp)
	if err == nil || strings.Contains(buf, "[DONE]") {
		t.Errorf("the stream ended well: %v after %q", err, buf)
	}
	for i := range 3 { // at first it may live yet; the third time there is nothing left to do
		s.sweep(t, time.Duration(i)*time.Hour)
		if n := len(s.records(t)); n != min(i, 1) {
			t.Errorf("%d records after sweep %d, want %d", n, i+1, min(i, 1))
		}
	}
	a, list := s.account(t, "ana"), s.records(t)
	if r := list[0]; !r.Unsettled || r.ID != resp.Header.Get("X-Request-Id") || r.Cost != open.Reserved || a.Spent.Month != r.Cost || a.Open.Count != 0 {
		t.Errorf("record = %+v; account = %+v; reserved were $%s", r, a, open.Reserved.USD())
	}
}
