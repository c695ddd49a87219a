package sdktest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// project is one as the administrator sees it.
type project struct {
	account
	Reserved usage.Nano `json:"reserved_usd"`
	Members  []string
}

func (s *site) project(t testing.TB, id string) (p project) {
	t.Helper()
	got := s.do(t, "GET", "/admin/projects/"+id, s.admin, "")
	if got.decode(t, &p); got.status != http.StatusOK {
		t.Fatalf("project %s: %d %s", id, got.status, got.body)
	}
	return p
}

// projectBudget: members of a project share its budget, whichever process
// serves them.
func projectBudget(t *testing.T, s *site) {
	const bound = `,"max_tokens":100`
	id := "shared-" + s.name
	if a := s.do(t, "POST", "/admin/projects", s.admin, `{"id":"`+id+`","name":"Shared"}`); a.status != http.StatusCreated {
		t.Fatalf("project: %d %s", a.status, a.body)
	}
	var keys [3]string
	for i := range keys {
		keys[i] = s.user(t, fmt.Sprint("member", i), object{"project": id})
	}
	resp := s.held(t, keys[0], "memb00", bound)
	each := s.project(t, id).Reserved
	s.up.release("memb00")
	rest(t, resp)
	s.settled(t, "member0")
	spent := s.project(t, id).Spent.Month
	if each <= 0 || spent <= 0 || spent >= each {
		t.Fatalf("a request reserves $%s and costs $%s", each.USD(), spent.USD())
	}

	const room = 2
	budget := spent + room*each + each/2
	if a := s.do(t, "PATCH", "/admin/projects/"+id, s.admin, `{"budgets":[{"period":"month","usd":`+budget.USD()+`}]}`); a.status != 200 {
		t.Fatalf("budget: %d %s", a.status, a.body)
	}
	// What is open at once fits; the others are refused.
	streams := make([]*http.Response, room)
	for i := range streams {
		streams[i] = s.held(t, keys[i], fmt.Sprintf("memb%02d", 10+i), bound)
	}
	for i, key := range keys {
		a := s.chat(t, key, ask("gpt-4o-mini", "Is there any room for me?", bound))
		if e := a.fault(t); a.status != 429 || e.Code != "insufficient_quota" || !strings.Contains(e.Message, "project") || a.header.Get("X-Should-Retry") != "false" {
			t.Errorf("member %d beyond the budget: %d %s", i, a.status, a.body)
		}
	}
	if p := s.project(t, id); p.Reserved != room*each || p.Budgets[0].Remaining != budget-spent-room*each || len(p.Members) != len(keys) {
		t.Errorf("project = %+v, want $%s reserved by open requests", p, (room * each).USD())
	}
	for i, resp := range streams {
		s.up.release(fmt.Sprintf("memb%02d", 10+i))
		rest(t, resp)
		s.settled(t, fmt.Sprint("member", i))
	}
	// Afterwards there is room again, for a while, and never too much.
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			if a := s.chat(t, keys[i%len(keys)], ask("gpt-4o-mini", "One of many for the project", bound)); a.status != 200 && a.status != 429 {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	var sum usage.Nano
	for i := range keys {
		sum += s.settled(t, fmt.Sprint("member", i)).Spent.Month
	}
	p := s.project(t, id)
	if p.Spent.Month != sum || p.Reserved != 0 || p.Budgets[0].Remaining != budget-sum || sum > budget || sum <= spent {
		t.Errorf("project = %+v, want $%s spent of $%s", p, sum.USD(), budget.USD())
	}
	if a := s.do(t, "PATCH", "/admin/projects/"+id, s.admin, `{"budgets":[{"period":"month","usd":`+sum.USD()+`}]}`); a.status != 200 {
		t.Fatalf("budget: %d %s", a.status, a.body)
	}
	for i, key := range keys {
		if a := s.chat(t, key, ask("gpt-4o-mini", "The budget is used up", bound)); a.status != 429 {
			t.Errorf("member %d of a project without money: %d %s", i, a.status, a.body)
		}
	}
	if a := s.do(t, "PATCH", "/admin/users/member2", s.admin, `{"project":null}`); a.status != 200 {
		t.Fatalf("leaving: %d %s", a.status, a.body)
	}
	if a := s.chat(t, keys[2], ask("gpt-4o-mini", "On my own from now on", bound)); a.status != 200 {
		t.Errorf("who has left the project: %d %s", a.status, a.body)
	}
	if p := s.project(t, id); p.Spent.Month != sum || len(p.Members) != 2 {
		t.Errorf("project = %+v, want the $%s that were spent and two members", p, sum.USD())
	}
}

// sameProjects are exchanges about projects and the ledger.
func sameProjects() (k talk) {
	const projects = "/admin/projects"
	k.does(201, "a project", "admin", "POST", projects, `{"id":"team a","name":"Téam","budgets":[{"period":"month","usd":12.000000001}]}`)
	k.does(409, "the same project", "admin", "POST", projects, `{"id":"team a"}`)
	for i, body := range []string{``, `{`, `{"id":""}`, `{"id":"a/b"}`, `{"id":7}`, `{"id":"x","budgets":[{"period":"day","usd":1}]}`, `{"id":"x","budgets":[{"period":"month","usd":-1}]}`, `{"id":"x","unknown":1}`} {
		k.does(400, fmt.Sprintf("wrong project %d", i), "admin", "POST", projects, body)
	}
	k.does(201, "a member", "admin", "POST", "/admin/users", `{"id":"mem","project":"team a"}`)
	k.does(201, "a member of a new project", "admin", "POST", "/admin/users", `{"id":"nem","project":"team b"}`)
	k.does(200, "project", "admin", "GET", projects+"/team%20a", "")
	k.does(200, "project that nobody created", "admin", "GET", projects+"/team%20b", "")
	k.does(200, "projects", "admin", "GET", projects, "")
	k.does(200, "page of projects", "admin", "GET", projects+"?limit=1&after=team%20a", "")
	k.does(400, "wrong page of projects", "admin", "GET", projects+"?limit=x", "")
	k.does(200, "patch project", "admin", "PATCH", projects+"/team%20a", `{"budgets":[]}`)
	k.does(200, "patch project again", "admin", "PATCH", projects+"/team%20b", `{"name":"B","budgets":[{"period":"month","usd":3}]}`)
	k.does(400, "wrong patch of a project", "admin", "PATCH", projects+"/team%20a", `{"id":"b"}`)
	k.does(404, "patch no project", "admin", "PATCH", projects+"/nothing", `{}`)
	k.does(409, "delete a project with members", "admin", "DELETE", projects+"/team%20a", "")
	k.does(200, "move", "admin", "PATCH", "/admin/users/mem", `{"project":"team b"}`)
	k.does(200, "project after the move", "admin", "GET", projects+"/team%20b", "")
	k.does(200, "delete a project", "admin", "DELETE", projects+"/team%20a", "")
	k.does(404, "deleted project", "admin", "GET", projects+"/team%20a", "")
	k.does(200, "delete a member", "admin", "DELETE", "/admin/users/mem", "")
	k.does(200, "delete the other member", "admin", "DELETE", "/admin/users/nem", "")
	k.does(200, "project without members", "admin", "GET", projects+"/team%20b", "")
	k.does(200, "delete the other project", "admin", "DELETE", projects+"/team%20b", "")
	for _, who := range []string{"nobody", ""} {
		k.add("projects by "+who, who, "GET", projects, "")
		k.add("ledger by "+who, who, "GET", "/admin/ledger?user=ana", "")
		k.add("write-off by "+who, who, "POST", "/admin/ledger/Vbkthek4p54LbSaV/write-off", `{}`)
	}
	k.does(200, "ledger of somebody new", "admin", "GET", "/admin/ledger?user=nobody-yet&unsettled=true", "")
	for i, query := range []string{"", "?user=", "?user=ana&from=x", "?user=ana&unsettled=x", "?user=ana&limit=0", "?user=ana&after=x"} {
		k.does(400, fmt.Sprintf("wrong ledger %d", i), "admin", "GET", "/admin/ledger"+query, "")
	}
	k.does(404, "write off nothing", "admin", "POST", "/admin/ledger/Vbkthek4p54LbSaV/write-off", ``)
	k.does(404, "write off nothing of ana", "admin", "POST", "/admin/ledger/Vbkthek4p54LbSaV/write-off", `{"user":"ana"}`)
	k.does(404, "write off no id", "admin", "POST", "/admin/ledger/x/write-off", ``)
	k.does(400, "write off, wrong body", "admin", "POST", "/admin/ledger/Vbkthek4p54LbSaV/write-off", `{"user":7}`)
	return k
}
