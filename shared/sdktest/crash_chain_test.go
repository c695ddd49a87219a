package sdktest_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// steps is a chain whose second step waits for NAME's release.
func steps(name string) string {
	return `{"name":"` + name + `","steps":[{"id":"one","type":"prompt","model":"gpt-4o-mini","user":"The first half","parameters":{"max_completion_tokens":50}},
	{"id":"two","type":"prompt","model":"gpt-4o-mini","user":"Wait at #hold-` + name + ` after {{.steps.one.output}}","parameters":{"max_completion_tokens":50}}]}`
}

// summarised is a chat whose summary waits for NAME's release.
func summarised(name, more string) string {
	turns := []any{}
	for i := range 12 {
		turns = append(turns, object{"role": "user", "content": fmt.Sprintf("#hold-%s %s", name, strings.Repeat(fmt.Sprintf("Town %d has walls. ", i), 150))}, object{"role": "assistant", "content": "Noted."})
	}
	turns = append(turns, object{"role": "user", "content": "Which town has walls?"})
	return fmt.Sprintf(`{"model":"gpt-4","max_tokens":200,"messages":%s,"gateway":{"context":"summarize"}%s}`, toJSON(turns), more)
}

// begin sends a request whose answer nobody will get.
func (s *site) begin(t *testing.T, wg *sync.WaitGroup, path, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", s.root+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	wg.Go(func() {
		if resp, err := http.DefaultClient.Do(req); err == nil {
			readAll(resp)
		}
	})
}

// interrupted begins chains and summarised chats, and returns what is reserved
// for them when each is in its middle.
func interrupted(t *testing.T, s *site, wg *sync.WaitGroup) (reserved usage.Nano) {
	t.Helper()
	for name, more := range map[string]string{"plain": "", "streamed": `,"stream":true`} {
		if a := s.do(t, "POST", "/ai/chains", s.key, steps(s.name+name)); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.begin(t, wg, "/ai/chains/"+s.name+name+"/runs", `{"input":{}`+more+`}`)
		s.begin(t, wg, "/ai/chat/completions", summarised("sum"+s.name+name, more))
		<-s.up.hold(s.name + name).reached
		<-s.up.hold("sum" + s.name + name).reached
	}
	open := s.account(t, "ana").Open
	if open.Count != 4 || open.Reserved <= 0 {
		t.Fatalf("open = %+v, want 4 requests", open)
	}
	return open.Reserved
}

// unsettled checks that there is one record of each, which books what was
// reserved.
func unsettled(t *testing.T, s *site, reserved usage.Nano) {
	t.Helper()
	var sum usage.Nano
	list := byID(t, s.records(t))
	for _, r := range list {
		if r.Unsettled {
			sum += r.Cost
		} else {
			delete(list, r.ID)
		}
	}
	if len(list) != 4 || sum != reserved {
		t.Errorf("%d records of $%s, want 4 of $%s", len(list), sum.USD(), reserved.USD())
	}
}

// TestKillAssembly: a chain and a summarised chat that die in the middle leave
// one record each.
func TestKillAssembly(t *testing.T) {
	t.Parallel()
	p, s := startProcess(t)
	s.key = s.user(t, "ana", object{"budgets": []any{object{"period": "month", "usd": 100}}})
	var wg sync.WaitGroup
	reserved := interrupted(t, s, &wg)
	p.kill()
	wg.Wait()
	key := s.key
	p.start(t)
	s = p.site()
	s.key = key
	if a := s.settled(t, "ana"); a.Spent.Month != reserved || a.Open.Reserved != 0 {
		t.Errorf("account = %+v, want $%s spent", a, reserved.USD())
	}
	for _, name := range []string{"localplain", "localstreamed"} { // what was done before is not lost
		s.up.release(name)
		list := s.do(t, "GET", "/ai/chains/"+name, s.key, "")
		if a := s.do(t, "POST", "/ai/chains/"+name+"/runs", s.key, `{}`); list.status != 200 || a.status != 200 {
			t.Errorf("%s: %d, and its run %d %s", name, list.status, a.status, a.body)
		}
	}
	unsettled(t, s, reserved)
	s.checkLogs(t)
}

// TestLambdaKilledAssembly is the same for functions that die.
func TestLambdaKilledAssembly(t *testing.T) {
	t.Parallel()
	s := startLambda(t)
	var wg sync.WaitGroup
	reserved := interrupted(t, s, &wg)
	s.kill("chat")
	s.kill("chains")
	wg.Wait()
	for i := range 3 {
		s.sweep(t, time.Duration(i)*time.Hour)
	}
	if a := s.account(t, "ana"); a.Spent.Month != reserved || a.Open.Count != 0 {
		t.Errorf("account = %+v, want $%s spent", a, reserved.USD())
	}
	unsettled(t, s, reserved)
}

// runID finds the run that an answer tells of, whatever its form.
var runID = regexp.MustCompile(`"run_[A-Za-z0-9]{16}"`)

// chainsOnABudget: many chains at once stay within a budget; and when there is
// more of it, those that stopped go on, and nothing is paid for twice.
func chainsOnABudget(t *testing.T, s *site) {
	const runs = 16
	// The answers are far shorter than max_completion_tokens, even by estimate: so
	// none is ended by the budget.
	chain := `{"name":"three","steps":[{"id":"one","type":"prompt","model":"gpt-4o-mini","user":"One of three","parameters":{"max_completion_tokens":80}},
		{"id":"two","type":"prompt","model":"gpt-4o-mini","user":"Two: {{.steps.one.output}}","parameters":{"max_completion_tokens":80}},
		{"id":"three","type":"prompt","model":"gpt-4o-mini","user":"Three: {{.steps.two.output}}","parameters":{"max_completion_tokens":80}}]}`
	run := func(key, body string) answer {
		return s.do(t, "POST", "/ai/chains/three/runs", key, body)
	}
	start := func(user string, budget any) (key string) {
		key = s.user(t, user, object{"budgets": []any{object{"period": "month", "usd": budget}}})
		if a := s.do(t, "POST", "/ai/chains", key, chain); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return key
	}
	if a := run(start("chain-probe", 1), `{}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	each := s.settled(t, "chain-probe").Spent.Month
	budget := 5*each + each/2
	key := start("chain-racer", budget)
	var wg sync.WaitGroup
	answers := [runs]answer{}
	for i := range runs {
		wg.Go(func() { answers[i] = run(key, []string{`{}`, `{"stream":true}`}[i%2]) })
	}
	wg.Wait()
	if a := s.settled(t, "chain-racer"); a.Spent.Month > budget || a.Spent.Month <= 0 || a.Budgets[0].Remaining != budget-a.Spent.Month || a.Open.Reserved != 0 {
		t.Errorf("account = %+v, the budget is $%s", a, budget.USD())
	}
	if a := s.do(t, "PATCH", "/admin/users/chain-racer", s.admin, `{"budgets":[{"period":"month","usd":1}]}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	stopped := 0
	for _, a := range answers {
		if strings.Contains(a.body, `"status":"ok","output":"You said: Three`) {
			continue
		}
		stopped++
		streamed := a.header.Get("Content-Type") == "text/event-stream"
		if !strings.Contains(a.body, `quota"`) && !strings.Contains(a.body, "budget") || a.status != 429 && !(streamed && a.status == 200) {
			t.Errorf("run = %d %s", a.status, a.body)
		}
		body := `{}`
		if id := runID.FindString(a.body); id != "" {
			body = `{"run_id":` + id + `}`
		}
		if again := run(key, body); again.status != 200 {
			t.Errorf("going on with %s = %d %s after %s", body, again.status, again.body, a.body)
		}
	}
	if a := s.settled(t, "chain-racer"); stopped < runs-5 || a.Spent.Month != runs*each {
		t.Errorf("after %d runs, of which %d were stopped, $%s are spent; one costs $%s", runs, stopped, a.Spent.Month.USD(), each.USD())
	}
}
