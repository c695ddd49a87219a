package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// ends says how each step of a run ended.
func ends(run map[string]any) string {
	var list []string
	steps, _ := run["steps"].([]any)
	for _, s := range steps {
		s := s.(map[string]any)
		list = append(list, s["id"].(string)+":"+s["status"].(string))
	}
	return strings.Join(list, " ")
}

func TestARunIsOneRequestWithOneBill(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	r.saves(chainOf("c", step("a", "about {{.input.topic}}"), step("b", "B"), step("c", "{{.steps.a.output}}+{{.steps.b.output}}")))
	a := r.do("POST", "/ai/chains/c/runs", `{"input":{"topic":"go"},"version":1,"gateway":{"tags":["team-a"]}}`)
	a.want(t, 200, `{"object":"chain.run","chain":"c","version":1,"status":"ok","output":"about go+B","error":null,"resumable":true,
		"usage":{"prompt_tokens":27,"completion_tokens":9,"total_tokens":36},"cost_usd":`+(3*helloCost).USD()+`}`)
	run := a.object(t)
	if ends(run) != "a:ok b:ok c:ok" || a.header.Get("X-Gateway-Cost-Usd") != (3*helloCost).USD() || run["id"] != "run_"+a.header.Get("X-Request-Id") {
		t.Errorf("run = %s, headers %v", a.body, a.header)
	}
	records := r.records("ana")
	if len(records) != 1 {
		t.Fatalf("%d records, want one", len(records))
	}
	rec := records[0]
	if rec.Operation != "chain" || rec.Asked != "chain:c@1" || rec.Cost != 3*helloCost || len(rec.Tried) != 3 || rec.InputTokens != 27 || rec.Status != 200 || !slices.Equal(rec.Tags, []string{"team-a"}) {
		t.Errorf("record = %+v, want the three calls as one", rec)
	}
	r.account("ana")
	got := r.do("GET", "/ai/chains/c/runs/"+run["id"].(string), "")
	stored := got.object(t)
	for _, o := range []map[string]any{run, stored} {
		delete(o, "updated_at")
		delete(o, "created_at")
	}
	if diff := cmp.Diff(run, stored); got.status != 200 || diff != "" {
		t.Errorf("the run as it is kept (-answered +kept):\n%s", diff)
	}
	r.do("GET", "/ai/chains/other/runs/"+run["id"].(string), "").want(t, 404, `{}`)
	r.do("GET", "/ai/chains/c/runs/"+run["id"].(string), "", "Authorization", "Bearer "+r.user("ben", nil)).want(t, 404, `{}`)
}

func TestBadRunsAreRefused(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	r.saves(`{"name":"c","input":[{"name":"n","type":"integer","required":true},{"name":"s","required":true}],"steps":[` + step("a", "x") + `]}`)
	r.saves(`{"name":"other","steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"x"},{"id":"b","type":"prompt","model":"nobody/nothing","user":"{{.steps.a.output}}"}]}`)
	good := `{"n":1,"s":"x"}`
	for body, want := range map[string]string{
		`{`:                                   "400 invalid_json ",
		`{"input":{}}`:                        "400 invalid_input input.n",
		`{"input":[]}`:                        "400 invalid_type input",
		`{"inputs":{}}`:                       "400 unknown_parameter inputs",
		`{"input":` + good + `,"stream":1}`:   "400 invalid_type stream",
		`{"input":` + good + `,"version":0}`:  "400 invalid_request version",
		`{"input":` + good + `,"version":9}`:  "404 not_found version",
		`{"input":` + good + `,"run_id":"7"}`: "400 invalid_request run_id",
		`{"input":` + good + `,"run_id":"run_00000000"}`: "404 not_found run_id",
		`{"input":` + good + `,"gateway":[]}`:            "400 invalid_type gateway",
		`{"input":` + good + `,"gateway":{"rag":{}}}`:    "400 unknown_parameter gateway.rag",
		`{"input":` + good + `,"gateway":{"tags":1}}`:    "400 invalid_type gateway.tags",
	} {
		a := r.do("POST", "/ai/chains/c/runs", body)
		_, _, param, code := a.fail(t)
		if got := strings.Join([]string{http.StatusText(a.status), code, param}, " "); got != http.StatusText(atoi(want[:3]))+want[3:] {
			t.Errorf("run with %s = %s, want %s", body, got, want)
		}
	}
	r.saves(`{"name":"still","input":[],"steps":[{"id":"a","type":"transform","select":"$.input"}]}`)
	a := r.do("POST", "/ai/chains/still/runs", `{"gateway":{"strategy":"dice"}}`)
	if _, _, param, _ := a.fail(t); a.status != 400 || param != "gateway.strategy" {
		t.Errorf("a strategy that there is not, for a chain without calls = %d %s, want 400", a.status, a.body)
	}
	if p := r.do("POST", "/ai/chains/c/runs", `{}`).object(t)["problems"].([]any); len(p) != 2 {
		t.Errorf("problems = %v, want both variables", p)
	}
	a = r.do("POST", "/ai/chains/other/runs", "")
	if _, _, param, _ := a.fail(t); a.status != 404 || param != "steps[1].model" {
		t.Errorf("a model that is not there = %d %s, want 404 before anything is run", a.status, a.body)
	}
	r.do("POST", "/ai/chains/none/runs", "").want(t, 404, `{}`)
	r.do("POST", "/ai/chains/none/runs", "{", "Authorization", "Bearer gw_nobody_x").want(t, 401, `{}`)
	if calls := up.calls(); len(calls) != 0 || len(r.records("ana")) != 0 {
		t.Errorf("%q was asked, and %d records were written, want nothing", calls, len(r.records("ana")))
	}
	only := r.user("ben", func(u *admission.User) { u.Models = []string{"openai/gpt-4o"} })
	r.saves(chainOf("mine", `{"id":"a","type":"prompt","model":"gpt-4o","user":"x"}`, step("b", "{{.steps.a.output}}")), "Authorization", "Bearer "+only)
	a = r.do("POST", "/ai/chains/mine/runs", "", "Authorization", "Bearer "+only)
	if _, _, param, _ := a.fail(t); a.status != 403 || param != "steps[1].model" || len(up.calls()) != 0 {
		t.Errorf("a model that the key may not use = %d %s, want 403 before anything is run", a.status, a.body)
	}
	r.saves(chainOf("first", step("a", "x")), "Authorization", "Bearer "+only)
	a = r.do("POST", "/ai/chains/first/runs", "", "Authorization", "Bearer "+only)
	if _, _, param, code := a.fail(t); a.status != 403 || param != "steps[0].model" || code != "model_not_allowed" {
		t.Errorf("a first model that the key may not use = %d %s, want 403 for the step", a.status, a.body)
	}
}

func atoi(s string) (n int) {
	_ = json.Unmarshal([]byte(s), &n)
	return n
}

func TestAFailedRunShowsWhatItHasDoneAndCanBeResumed(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	r.saves(chainOf("c", step("a", "one"), step("b", "fail 400", `"needs":["a"]`), step("c", "{{.steps.a.output}}/{{.steps.b.output}}")))
	a := r.do("POST", "/ai/chains/c/runs", `{"version":1}`)
	message, _, param, _ := a.fail(t)
	if a.status != 400 || param != "steps[1]" || !strings.HasPrefix(message, "Step 'b': ") {
		t.Errorf("answer = %d %s, want the upstream's refusal, and whose it is", a.status, a.body)
	}
	run := a.object(t)["run"].(map[string]any)
	if ends(run) != "a:ok b:failed c:canceled" || run["status"] != "failed" || run["steps"].([]any)[0].(map[string]any)["output"] != "one" {
		t.Errorf("run = %v, want the first step's output", run)
	}
	if got := up.calls(); !slices.Equal(got, []string{"fail 400", "one"}) {
		t.Errorf("calls = %q", got)
	}
	id := run["id"].(string)

	other := []string{"Authorization", "Bearer " + r.user("ben", nil)}
	r.saves(chainOf("c", step("a", "one")), other...)
	r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`"}`, other...).want(t, 404, `{}`)
	r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`","input":{"topic":"sets"}}`).want(t, 409, `{}`)
	r.saves(chainOf("c", step("a", "changed")))
	r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`","version":2}`).want(t, 409, `{}`)
	if got := up.calls(); len(got) != 0 {
		t.Errorf("calls = %q, want none", got)
	}

	up.mu.Lock()
	up.healthy = true
	up.mu.Unlock()
	a = r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`"}`)
	a.want(t, 200, `{"id":"`+id+`","version":1,"status":"ok","output":"one/fail 400","cost_usd":`+(3*helloCost).USD()+`}`)
	if got := up.calls(); !slices.Equal(got, []string{"fail 400", "one/fail 400"}) {
		t.Errorf("calls = %q, want the rest only", got)
	}
	if a.header.Get("X-Gateway-Cost-Usd") != (2 * helloCost).USD() {
		t.Errorf("cost of the resumption = %s, want that of two calls", a.header.Get("X-Gateway-Cost-Usd"))
	}
	var sum usage.Nano
	records := r.records("ana")
	for _, rec := range records {
		sum += rec.Cost
	}
	if sum != 3*helloCost {
		t.Errorf("the ledger has $%s, want what three calls cost", sum.USD())
	}
	r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`"}`).want(t, 200, `{"output":"one/fail 400"}`)
	if got := up.calls(); len(got) != 0 {
		t.Errorf("resuming what is done asked %q", got)
	}
	r.account("ana")
}

func TestABudgetThatEndsInTheMiddle(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	// A call is bounded at about 38,000 nano-dollars and costs 3,150.
	key := r.user("ben", func(u *admission.User) { u.Day = 42_000 })
	mine := []string{"Authorization", "Bearer " + key}
	r.saves(chainOf("c", step("a", "one"), step("b", "two", `"needs":["a"]`), step("c", "three", `"needs":["b"]`), step("d", "four", `"needs":["c"]`)), mine...)
	r.saves(`{"name":"own","budget_usd":0.000042,"steps":[` + strings.Join([]string{step("a", "one"), step("b", "two", `"needs":["a"]`), step("c", "three", `"needs":["b"]`), step("d", "four", `"needs":["c"]`)}, ",") + `]}`)
	for name, a := range map[string]answer{"of the user": r.do("POST", "/ai/chains/c/runs", "", mine...), "of the chain": r.do("POST", "/ai/chains/own/runs", "")} {
		_, typ, _, _ := a.fail(t)
		if a.status != 429 || typ != "insufficient_quota" || a.header.Get("X-Should-Retry") != "false" {
			t.Errorf("budget %s: answer = %d %s, want insufficient_quota", name, a.status, a.body)
			continue
		}
		run := a.object(t)["run"].(map[string]any)
		got := ends(run)
		if !strings.HasPrefix(got, "a:ok ") || !strings.Contains(got, ":failed") || run["steps"].([]any)[0].(map[string]any)["output"] != "one" {
			t.Errorf("budget %s: run = %s, want the first steps done", name, got)
		}
	}
	for _, user := range []string{"ana", "ben"} {
		for _, rec := range r.records(user) {
			if rec.Status != 429 || rec.Cost == 0 || rec.Cost > 42_000 {
				t.Errorf("record = %+v, want what was spent, within the budget", rec)
			}
		}
		r.account(user)
	}
}

// said splits a stream of typed events into their types and data.
func said(t *testing.T, body string) (types []string, data []map[string]any) {
	t.Helper()
	for _, e := range typedEvents(t, body) {
		if e.Data["type"] != e.Event {
			t.Fatalf("event %s says that it is %v", e.Event, e.Data["type"])
		}
		types, data = append(types, e.Event), append(data, e.Data)
	}
	return types, data
}

func TestAStreamOfEvents(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	r.saves(chainOf("c", step("a", "one"), step("b", "{{.steps.a.output}} two"), step("c", "fail 500", `"needs":["b"]`)))
	a := r.do("POST", "/ai/chains/c/runs", `{"stream":true}`)
	if a.status != 200 || a.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("answer = %d %v %s", a.status, a.header, a.body)
	}
	types, data := said(t, a.body)
	want := []string{"run.start", "step.start", "step.delta", "step.end", "step.start", "step.delta", "step.end", "step.start", "step.end", "run.end"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	if data[0]["run_id"] != "run_"+a.header.Get("X-Request-Id") || data[2]["text"] != "one" || data[2]["step"] != "a" || data[6]["result"].(map[string]any)["output"] != "one two" {
		t.Errorf("events = %v", data)
	}
	last := data[len(data)-1]
	run := last["run"].(map[string]any)
	if last["error"].(map[string]any)["code"] != "upstream_error" || ends(run) != "a:ok b:ok c:failed" || run["cost_usd"] == 0.0 {
		t.Errorf("last event = %v, want the error and the whole run", last)
	}
	rec := r.records("ana")
	if len(rec) != 1 || !rec[0].Stream || rec[0].Status != 200 || rec[0].Error != "upstream" || rec[0].Cost != 2*helloCost {
		t.Errorf("records = %+v", rec)
	}
	up.calls()
	types, data = said(t, r.do("POST", "/ai/chains/c/runs", `{"stream":true,"run_id":"`+run["id"].(string)+`"}`).body)
	if types[1] != "step.end" || data[1]["result"].(map[string]any)["resumed"] != true {
		t.Errorf("events = %q, %v, want what is done to be told first", types, data[1])
	}
	if got := up.calls(); slices.Contains(got, "one") {
		t.Errorf("calls = %q, want the rest only", got)
	}
	r.do("POST", "/ai/chains/c/runs", `{"stream":true,"run_id":"`+run["id"].(string)+`","input":{"topic":"x"}}`).want(t, 409, `{}`)
}

func TestAClientThatLeavesEndsTheRun(t *testing.T) {
	for _, stream := range []string{"true", "false"} {
		up := &parrot{hang: make(chan struct{})}
		r := newChainRig(t, up, nil)
		r.saves(chainOf("c", step("a", "one"), step("b", "hang", `"needs":["a"]`), step("c", "three", `"needs":["b"]`)))
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/ai/chains/c/runs", strings.NewReader(`{"stream":`+stream+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.key)
		go func() {
			<-up.hang
			cancel()
		}()
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = bufio.NewReader(resp.Body).ReadString(0)
			resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the client got %v", err)
		}
		rec := r.settled("ana")
		if len(rec) != 1 || rec[0].Status != 499 || rec[0].Cost != helloCost || rec[0].Error != "canceled" {
			t.Fatalf("records = %+v, want one of what was spent, and 499", rec)
		}
		r.account("ana")
		a := r.do("GET", "/ai/chains/c/runs/run_"+rec[0].ID, "")
		if run := a.object(t); a.status != 200 || ends(run) != "a:ok b:canceled c:canceled" || run["status"] != "canceled" {
			t.Errorf("run = %d %s, want what was done, for a resumption", a.status, a.body)
		}
	}
}

func TestARunThatGoesOnCanBeFoundAndNotResumed(t *testing.T) {
	up := &parrot{hang: make(chan struct{})}
	r := newChainRig(t, up, nil)
	r.saves(chainOf("c", step("a", "hang")))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/ai/chains/c/runs", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-up.hang
	id := "run_" + resp.Header.Get("X-Request-Id")
	going := r.do("GET", "/ai/chains/c/runs/"+id, "")
	going.want(t, 200, `{"id":"`+id+`","status":"running","output":null,"resumable":true}`)
	if got := ends(going.object(t)); !strings.Contains(got, ":pending") || strings.Contains(got, "canceled") {
		t.Errorf("steps of a run that goes on = %s, want what has not ended pending", got)
	}
	a := r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`"}`)
	if _, _, _, code := a.fail(t); a.status != 409 || code != "run_in_progress" || atoi(a.header.Get("Retry-After")) > 30 {
		t.Errorf("resumption = %d %s %v, want it refused for half a minute at most", a.status, a.body, a.header)
	}
}

// passages finds the same for everybody, and notes who asked.
type passages struct{ tenants []string }

func (p *passages) Search(_ context.Context, tenant string, q rag.Query) ([]rag.Hit, error) {
	p.tenants = append(p.tenants, tenant+"/"+q.Collection+"/"+q.Text)
	return []rag.Hit{{Key: rag.Key{Collection: q.Collection, ID: "d"}, Text: "found"}}, nil
}

func (p *passages) Documents(context.Context, string, rag.Key, string, int) ([]rag.Document, string, error) {
	return []rag.Document{{}}, "", nil
}

func TestRunsSearchTheirUsersDocuments(t *testing.T) {
	up, docs := &parrot{}, &passages{}
	r := newChainRig(t, up, nil)
	r.server.Gateway.Passages = docs
	find := `{"id":"f","type":"retrieve","collection":"docs","query":"about {{.input.topic}}"}`
	r.saves(chainOf("only", find))
	r.saves(chainOf("both", find, step("a", "{{range .steps.f.output}}{{.text}}{{end}}")))
	r.do("POST", "/ai/chains/both/runs", "").want(t, 200, `{"output":"found"}`)
	a := r.do("POST", "/ai/chains/only/runs", "")
	a.want(t, 200, `{"status":"ok","cost_usd":0}`)
	if diff := cmp.Diff([]string{"ana/docs/about maps", "ana/docs/about maps"}, docs.tenants); diff != "" {
		t.Errorf("searches (-want +got):\n%s", diff)
	}
	if n := len(r.records("ana")); n != 1 {
		t.Errorf("%d records, want one: searching alone calls no model", n)
	}
	r.server.Gateway.Passages = nil
	a = r.do("POST", "/ai/chains/only/runs", "")
	if _, _, _, code := a.fail(t); a.status != 400 || code != "not_implemented" {
		t.Errorf("without documents = %d %s", a.status, a.body)
	}
}

func TestRunsUseStoredTemplates(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	if a := r.do("POST", "/ai/templates", `{"name":"tutor","model":"gpt-4o-mini","user":"Teach {{.topic}}.","variables":[{"name":"topic"}],"labels":["production"]}`); a.status != 201 {
		t.Fatalf("POST /ai/templates = %d %s", a.status, a.body)
	}
	r.do("POST", "/ai/templates", `{"name":"judge","model":"gpt-4o-mini","user":"Judge {{.text}}","variables":[{"name":"text"}]}`).want(t, 201, `{}`)
	r.saves(chainOf("c", `{"id":"b","type":"prompt","template":{"name":"tutor","version":1,"variables":{"topic":"ants"}}},
		{"id":"c","type":"prompt","template":{"name":"judge","variables":{"text":"{{.steps.b.output}}"}}},
		{"id":"a","type":"prompt","needs":["c"],"template":{"name":"tutor","version":"production","variables":{"topic":"{{.input.topic}}"}}}`))
	r.do("POST", "/ai/chains/c/runs", "").want(t, 200, `{"output":"Teach maps."}`)
	if records := r.records("ana"); len(records) != 1 || records[0].Template != "tutor@1 judge@1" {
		t.Errorf("records = %+v, want one that names both templates, each once", records)
	}
	r.server.Ledger = r.store
	r.do("GET", "/ai/templates/judge/usage", "").want(t, 200, `{"data":[{"version":1,"requests":1,"errors":0,"input_tokens":0,"output_tokens":0,"cost_usd":0}]}`)
	r.do("POST", "/ai/templates", `{"name":"tutor","model":"nobody/none","user":"Teach {{.topic}}!","variables":[{"name":"topic"}],"labels":["production"]}`)
	a := r.do("POST", "/ai/chains/c/runs", "")
	if _, _, param, _ := a.fail(t); a.status != 404 || param != "steps[2].model" {
		t.Errorf("a label that moved to a model that is not there = %d %s", a.status, a.body)
	}
	r.do("DELETE", "/ai/templates/tutor", "")
	a = r.do("POST", "/ai/chains/c/runs", "")
	if _, _, param, _ := a.fail(t); a.status != 404 || param != "steps[0].template" {
		t.Errorf("without the template = %d %s", a.status, a.body)
	}
}

func TestARunWithoutAStoreSaysThatItCannotBeResumed(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	r.server.Runs = nil
	r.saves(chainOf("c", step("a", "one")))
	a := r.do("POST", "/ai/chains/c/runs", "")
	a.want(t, 200, `{"resumable":false,"output":"one"}`)
	r.do("GET", "/ai/chains/c/runs/"+a.object(t)["id"].(string), "").want(t, 404, `{}`)
}

func TestADeletedUsersRunsAreGone(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	mine := []string{"Authorization", "Bearer " + r.user("ben", nil)}
	r.saves(chainOf("c", step("a", "one")), mine...)
	id := r.do("POST", "/ai/chains/c/runs", "", mine...).object(t)["id"].(string)
	if a := r.do("DELETE", "/admin/users/ben", "", "Authorization", "Bearer "+adminKey); a.status != 200 {
		t.Fatalf("DELETE = %d %s", a.status, a.body)
	}
	mine[1] = "Bearer " + r.user("ben", nil)
	r.do("GET", "/ai/chains/c/runs/"+id, "", mine...).want(t, 404, `{}`)
	r.do("GET", "/ai/chains/c", "", mine...).want(t, 404, `{}`)
}

func TestAFailingStoreOfRunsIsToldToTheLogOnly(t *testing.T) {
	r := newChainRig(t, &parrot{}, nil)
	r.saves(chainOf("c", step("a", "x")))
	r.server.Runs = brokenRuns{r.server.Runs}
	for method, path := range map[string]string{"GET": "/ai/chains/c/runs/run_Vbkthek4p54LbSaV", "POST": "/ai/chains/c/runs"} {
		a := r.do(method, path, map[string]string{"POST": `{"run_id":"run_Vbkthek4p54LbSaV"}`}[method])
		if message, _, _, _ := a.fail(t); a.status != 503 || strings.Contains(message, "machine 7") {
			t.Errorf("%s: %d %s, want 503 in our own words", method, a.status, message)
		}
		if log := r.log.String(); !strings.Contains(log, `"chains failed"`) || !strings.Contains(log, `"request_id":"`+a.header.Get("X-Request-Id")+`","err":"disk of machine 7 is gone"`) {
			t.Errorf("%s: log = %s, want the cause with the request's id", method, log)
		}
	}
}

// TestALabelThatMovesDoesNotBreakRunsHalfWay: what a chain gives a template is
// proved again before anything is paid for.
func TestALabelThatMovesDoesNotBreakRunsHalfWay(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	save := func(kind, text string) {
		t.Helper()
		r.do("POST", "/ai/templates", `{"name":"t","user":"`+text+`","variables":[{"name":"l","type":"`+kind+`","required":true}],"model":"gpt-4o-mini","labels":["production"]}`).want(t, 201, `{}`)
	}
	save("string", "Say {{.l}}")
	r.saves(`{"name":"c","steps":[` + step("a", "x") + `,{"id":"b","type":"prompt","template":{"name":"t","version":"production","variables":{"l":"{{.steps.a.output}}"}}}]}`)
	r.do("POST", "/ai/chains/c/runs", `{}`).want(t, 200, `{"status":"ok","output":"Say x"}`)
	save("array", "Say {{range .l}}{{.}}{{end}}")
	before := len(r.records("ana"))
	a := r.do("POST", "/ai/chains/c/runs", `{}`)
	if _, _, param, code := a.fail(t); a.status != 400 || param != "steps[1].template.variables.l" || code != "invalid_type" {
		t.Errorf("run = %d %s, want a 400 for the variable", a.status, a.body)
	}
	if n := len(r.records("ana")); n != before {
		t.Errorf("%d records, want %d: nothing was admitted", n, before)
	}
}
