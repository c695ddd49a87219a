package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// group is a project of one subtest.
type group struct {
	*suite
	id string
}

// newGroup creates a project with a monthly budget.
func (s *suite) newGroup(month usage.Nano) *group {
	s.Helper()
	g := &group{s, "p-" + requestid.New(time.Now())}
	if _, err := s.Projects.CreateProject(s.Context(), g.project(month)); err != nil {
		s.Fatalf("CreateProject = %v", err)
	}
	return g
}

func (g *group) project(month usage.Nano) admission.Project {
	return admission.Project{ID: g.id, Name: "Grüppe", Month: month, Created: time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)}
}

// member creates a user in the project.
func (g *group) member(limit func(u *admission.User)) *person {
	g.Helper()
	return g.newPerson(func(u *admission.User) {
		u.Project = g.id
		if limit != nil {
			limit(u)
		}
	})
}

func (g *group) account() admission.ProjectAccount {
	g.Helper()
	p, err := g.Projects.Project(g.Context(), g.id)
	if err != nil {
		g.Fatalf("Project = %v", err)
	}
	return p
}

// set gives the project another budget.
func (g *group) set(month usage.Nano) {
	g.Helper()
	seen := g.account()
	p := seen.Project
	p.Month = month
	if _, err := g.Projects.UpdateProject(g.Context(), seen, p); err != nil {
		g.Fatalf("UpdateProject = %v", err)
	}
}

// wantMoney compares what the project has spent and reserved in t's month.
func (g *group) wantMoney(t time.Time, spent, reserved usage.Nano) {
	g.Helper()
	p := g.account()
	month := admission.Month(t)
	if p.Spent[month] != spent || p.Reserved[month] != reserved {
		g.Errorf("project spent, reserved = %d, %d, want %d, %d", p.Spent[month], p.Reserved[month], spent, reserved)
	}
	if got, want := p.Left(t), p.Month-spent-reserved; got != want {
		g.Errorf("Left = %d, want %d", got, want)
	}
}

// move puts p into another project.
func (p *person) move(project string) {
	p.Helper()
	seen := p.account()
	u := seen.User
	u.Project = project
	a, err := p.Users.UpdateUser(p.Context(), seen, u)
	if err != nil {
		p.Fatalf("UpdateUser = %v", err)
	}
	if a.Project != project {
		p.Fatalf("Project = %q, want %q", a.Project, project)
	}
}

// spend admits and settles a request of p's.
func (p *person) spend(at time.Time, cost usage.Nano) {
	p.Helper()
	p.settle(p.admit(p.ask(at, cost)).Lease, cost)
}

var projectCases = []testCase{
	{"exist as soon as a user is in them", func(s *suite) {
		g := &group{s, "p-" + requestid.New(time.Now())}
		p, q := g.member(nil), g.member(nil)
		got := g.account()
		wantEqual(s.T, "Project", got.Project, admission.NewProject(g.id))
		wantEqual(s.T, "Members", got.Members, []string{p.ID, q.ID})
		if _, err := s.Projects.CreateProject(s.Context(), g.project(100)); err != nil {
			s.Fatalf("CreateProject = %v, want it to be created now", err)
		}
		got = g.account()
		wantEqual(s.T, "Project", got.Project, g.project(100))
		wantEqual(s.T, "Members", got.Members, []string{p.ID, q.ID})
	}},
	{"are returned as they were created", func(s *suite) {
		g := &group{s, "p-" + requestid.New(time.Now()) + " ü+%"}
		created, err := s.Projects.CreateProject(s.Context(), g.project(12_345_678_901))
		if err != nil {
			s.Fatalf("CreateProject = %v", err)
		}
		got := g.account()
		wantEqual(s.T, "CreateProject", created, got)
		wantEqual(s.T, "Project", got, admission.ProjectAccount{Project: g.project(12_345_678_901), Version: got.Version})
	}},
	{"are created once", func(s *suite) {
		g := s.newGroup(100)
		_, err := s.Projects.CreateProject(s.Context(), g.project(200))
		wantKind(s.T, "CreateProject", err, fault.Conflict)
		wantEqual(s.T, "Project", g.account().Project, g.project(100))
	}},
	{"that are unknown are not found", func(s *suite) {
		ctx, id := s.Context(), "nothing-"+requestid.New(time.Now())
		_, err := s.Projects.Project(ctx, id)
		wantKind(s.T, "Project", err, fault.NotFound)
		wantKind(s.T, "DeleteProject", s.Projects.DeleteProject(ctx, id), fault.NotFound)
		_, err = s.Projects.UpdateProject(ctx, admission.ProjectAccount{Project: admission.NewProject(id)}, admission.NewProject(id))
		wantKind(s.T, "UpdateProject", err, fault.NotFound)
	}},
	{"are listed in order, page by page", func(s *suite) {
		prefix := "list-" + requestid.New(time.Now()) + "-"
		for _, i := range []int{3, 1, 5, 2, 4} {
			p := admission.NewProject(fmt.Sprint(prefix, i))
			p.Created = time.Now()
			if _, err := s.Projects.CreateProject(s.Context(), p); err != nil {
				s.Fatalf("CreateProject = %v", err)
			}
		}
		in := &group{s, prefix + "2"}
		p := in.member(nil)
		p.spend(noon(), 7)
		var got []string
		for after, pages := prefix, 0; pages < 4; pages++ {
			page, err := s.Projects.ListProjects(s.Context(), after, 2)
			if err != nil {
				s.Fatalf("ListProjects = %v", err)
			}
			for _, a := range page {
				if strings.HasPrefix(a.ID, prefix) {
					got = append(got, fmt.Sprint(a.ID[len(prefix):], len(a.Members), a.Spent[admission.Month(noon())]))
				}
				after = a.ID
			}
		}
		wantEqual(s.T, "ListProjects", got, []string{"10 0", "21 7", "30 0", "40 0", "50 0"})
	}},
	{"change only as they were seen", func(s *suite) {
		g := s.newGroup(100)
		seen := g.account()
		g.set(200)
		p := seen.Project
		p.Month = 300
		_, err := s.Projects.UpdateProject(s.Context(), seen, p)
		wantKind(s.T, "UpdateProject", err, fault.Conflict)
		g.wantMoney(noon(), 0, 0)

		seen = g.account()
		g.member(nil).spend(noon(), 10) // no change of the project
		p = seen.Project
		p.Name, p.Month = "", 150
		changed, err := s.Projects.UpdateProject(s.Context(), seen, p)
		if err != nil {
			s.Fatalf("UpdateProject = %v", err)
		}
		wantEqual(s.T, "UpdateProject", changed, g.account())
		wantEqual(s.T, "Project", changed.Project, p)
		g.wantMoney(noon(), 10, 0)
	}},
	{"with members are not deleted", func(s *suite) {
		g := s.newGroup(100)
		p := g.member(nil)
		p.spend(noon(), 60)
		wantKind(s.T, "DeleteProject", s.Projects.DeleteProject(s.Context(), g.id), fault.Conflict)
		p.move("")
		g.wantMoney(noon(), 60, 0)
		if err := s.Projects.DeleteProject(s.Context(), g.id); err != nil {
			s.Fatalf("DeleteProject = %v", err)
		}
		_, err := s.Projects.Project(s.Context(), g.id)
		wantKind(s.T, "Project", err, fault.NotFound)
		p.spend(noon(), 1000)
		p.move(g.id) // which makes it anew
		g.wantMoney(noon(), 0, 0)
		p.spend(noon(), 1000)
		g.wantMoney(noon(), 1000, 0)
	}},
}

var memberCases = []testCase{
	{"share the budget exactly", func(s *suite) {
		g := s.newGroup(usage.Dollar)
		p, q, r := g.member(nil), g.member(nil), g.member(nil)
		l := p.admit(p.ask(noon(), 333_333_333)).Lease
		q.admit(q.ask(noon(), 333_333_333))
		r.admit(r.ask(noon().Add(time.Hour), 333_333_333))
		for _, m := range []*person{p, q, r} {
			m.refused(m.ask(noon(), 2), fault.Quota)
		}
		q.admit(q.ask(noon(), 1))
		for _, m := range []*person{p, q, r} {
			m.refused(m.ask(noon(), 1), fault.Quota)
			m.admit(m.ask(noon(), 0))
			m.admit(m.touch(noon()))
		}
		g.wantMoney(noon(), 0, usage.Dollar)
		p.settle(l, 333_333_330)
		g.wantMoney(noon(), 333_333_330, usage.Dollar-333_333_333)
		r.refused(r.ask(noon(), 4), fault.Quota)
		r.admit(r.ask(noon(), 3)) // of what p had reserved
		p.refused(p.ask(noon(), 1), fault.Quota)
	}},
	{"are told that it is the project's", func(s *suite) {
		g := s.newGroup(5)
		p := g.member(budget(100, 100))
		f := p.refused(p.ask(noon(), 6), fault.Quota)
		if f.Code != "insufficient_quota" || f.RetryAfter != 0 || !admission.IsOverProject(f) || !strings.Contains(f.Message, "$0.000000005 left") {
			p.Errorf("refusal = %+v, want insufficient_quota of a project with $0.000000005 left", f)
		}
		f = p.refused(p.ask(noon(), 101), fault.Quota)
		if admission.IsOverProject(f) {
			p.Errorf("refusal = %+v, want the user's own budget named first", f)
		}
		g.wantMoney(noon(), 0, 0)
		p.wantMoney(noon(), 0, 0, 0)
	}},
	{"leave what they do not use to the others", func(s *suite) {
		g := s.newGroup(100 * usage.Dollar)
		for range 5 {
			p := g.member(nil)
			p.settle(p.admit(p.ask(noon(), usage.Dollar)).Lease, 0)
		}
		q := g.member(nil)
		q.admit(q.ask(noon(), 100*usage.Dollar))
		g.wantMoney(noon(), 0, 100*usage.Dollar)
	}},
	{"are bounded by their own budgets too", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(budget(usage.None, 30)), g.member(budget(20, usage.None))
		p.refused(p.ask(noon(), 31), fault.Quota)
		q.refused(q.ask(noon(), 21), fault.Quota)
		p.admit(p.ask(noon(), 30))
		q.admit(q.ask(noon(), 20))
		g.wantMoney(noon(), 0, 50)
	}},
	{"top up from the project", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		l := p.admit(p.ask(noon(), 40)).Lease
		q.admit(q.ask(noon(), 20))
		p.wantTopUp(l, 80, 80)
		_, err := p.Admission.TopUp(p.Context(), l, 81)
		if f := wantKind(p.T, "TopUp", err, fault.Quota); !admission.IsOverProject(f) {
			p.Errorf("TopUp = %v, want the project named", f)
		}
		g.wantMoney(noon(), 0, 100)
	}},
	{"cannot use models without a price if there is a budget", func(s *suite) {
		for _, month := range []usage.Nano{usage.None, 100} {
			g := s.newGroup(month)
			p := g.member(nil)
			a := p.ask(noon(), 0)
			if grant := p.admit(a); grant.Budgeted != (month < usage.None) || grant.Project != g.id {
				p.Errorf("Budgeted, Project = %v, %q with a budget of %d", grant.Budgeted, grant.Project, month)
			}
			a.ID, a.Unpriced = requestid.New(noon()), true
			if month == usage.None {
				p.admit(a)
			} else {
				p.refused(a, fault.Forbidden)
			}
		}
	}},
	{"settle above the reservation: a measured overdraft", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		l := p.admit(p.ask(noon(), 100)).Lease
		p.settle(l, 130)
		g.wantMoney(noon(), 130, 0)
		for _, m := range []*person{p, q} {
			m.refused(m.ask(noon(), 1), fault.Quota)
		}
	}},
	{"have the whole budget again in the next month", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		before := midnight().Add(-time.Millisecond)
		l := p.admit(p.ask(before, 100)).Lease
		q.refused(q.ask(before, 1), fault.Quota)
		q.admit(q.ask(midnight(), 70))
		p.settle(l, 60) // in the month of its admission
		g.wantMoney(before, 60, 0)
		g.wantMoney(midnight(), 0, 70)
		p.refused(p.ask(midnight(), 31), fault.Quota)
		p.admit(p.ask(midnight(), 30))
		q.admit(q.ask(before, 40))
		q.refused(q.ask(before, 1), fault.Quota)
	}},
	{"have spent what they spent when a budget is set", func(s *suite) {
		g := &group{s, "p-" + requestid.New(time.Now())}
		p, q := g.member(nil), g.member(nil)
		p.spend(noon(), 60)
		q.admit(q.ask(noon(), 15))
		g.wantMoney(noon(), 60, 15)
		g.set(100)
		g.wantMoney(noon(), 60, 15)
		q.refused(q.ask(noon(), 26), fault.Quota)
		q.admit(q.ask(noon(), 25))
		p.refused(p.ask(noon(), 1), fault.Quota)
		g.wantMoney(noon(), 60, 40)
	}},
	{"feel a change of the budget at once", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		p.spend(noon(), 60)
		q.spend(noon(), 10)
		g.set(75)
		q.refused(q.ask(noon(), 6), fault.Quota)
		q.admit(q.ask(noon(), 5))
		g.set(70) // less than is spent and reserved
		p.refused(p.ask(noon(), 1), fault.Quota)
		g.set(200)
		p.admit(p.ask(noon(), 125))
		p.refused(p.ask(noon(), 1), fault.Quota)
		g.set(usage.None)
		p.admit(p.ask(noon(), 5000))
		q.admit(q.ask(noon(), 5000))
		g.wantMoney(noon(), 70, 10_130)
		g.set(10_205)
		p.refused(p.ask(noon(), 6), fault.Quota)
		q.admit(q.ask(noon(), 5))
		g.wantMoney(noon(), 70, 10_135)
	}},
	{"take open requests along to another project, not what they spent", func(s *suite) {
		from, to := s.newGroup(100), s.newGroup(50)
		p, q, r := from.member(nil), from.member(nil), to.member(nil)
		p.spend(noon(), 30)
		l := p.admit(p.ask(noon(), 20)).Lease
		p.move(to.id)
		wantEqual(s.T, "members left", from.account().Members, []string{q.ID})
		if got := to.account().Members; len(got) != 2 {
			s.Errorf("Members = %q, want two", got)
		}
		from.wantMoney(noon(), 30, 0)
		to.wantMoney(noon(), 0, 20)
		q.refused(q.ask(noon(), 71), fault.Quota)
		q.admit(q.ask(noon(), 70))
		r.refused(r.ask(noon(), 31), fault.Quota)
		p.settle(l, 15)
		from.wantMoney(noon(), 30, 70)
		to.wantMoney(noon(), 15, 0)
		p.refused(p.ask(noon(), 36), fault.Quota)
		p.admit(p.ask(noon(), 35))
		r.refused(r.ask(noon(), 1), fault.Quota)
		p.wantMoney(noon(), 45, 45, 35) // their own account goes on
	}},
	{"come and go between projects with and without budgets", func(s *suite) {
		rich, poor := s.newGroup(usage.None), s.newGroup(10)
		p := rich.member(nil)
		p.spend(noon(), 1000)
		p.move("")
		p.spend(noon(), 1000)
		p.move(poor.id)
		p.refused(p.ask(noon(), 11), fault.Quota)
		p.spend(noon(), 10)
		p.move(rich.id)
		p.spend(noon(), 500)
		p.move(poor.id)
		p.refused(p.ask(noon(), 1), fault.Quota)
		rich.wantMoney(noon(), 1500, 0)
		poor.wantMoney(noon(), 10, 0)
	}},
	{"leave what they spent when they are deleted", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		p.spend(noon(), 60)
		if err := p.Users.DeleteUser(p.Context(), p.ID); err != nil {
			p.Fatalf("DeleteUser = %v", err)
		}
		wantEqual(s.T, "Members", g.account().Members, []string{q.ID})
		g.wantMoney(noon(), 60, 0)
		q.refused(q.ask(noon(), 41), fault.Quota)
		if _, err := p.Users.CreateUser(p.Context(), p.User); err != nil {
			p.Fatalf("CreateUser = %v", err)
		}
		p.put(p.key)
		p.admit(p.ask(noon(), 40))
		g.wantMoney(noon(), 60, 40)
	}},
	{"do not count twice when their settings change", func(s *suite) {
		g := s.newGroup(100)
		p := g.member(budget(50, 50))
		p.spend(noon(), 20)
		seen := p.account()
		u := seen.User
		u.Day, u.Month, u.Rate = usage.None, 500, 5
		if _, err := p.Users.UpdateUser(p.Context(), seen, u); err != nil {
			p.Fatalf("UpdateUser = %v", err)
		}
		g.wantMoney(noon(), 20, 0)
		p.refused(p.ask(noon(), 81), fault.Quota)
		p.admit(p.ask(noon(), 80))
	}},
	{"have dead requests settled before the project refuses", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		p.admit(p.ask(noon(), 100))
		late := noon().Add(admission.Lifetime + admission.Grace + time.Minute)
		p.refused(p.ask(late, 1), fault.Quota) // dead or not, it is charged what it reserved
		q.refused(q.ask(late, 1), fault.Quota)
		g.wantMoney(noon(), 100, 0)
		for _, r := range p.records() {
			if r.Project != g.id || !r.Unsettled {
				p.Errorf("record = %+v, want an unsettled one of the project %s", r, g.id)
			}
		}
	}},
}
