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

var userCases = []testCase{
	{"are returned as they were created", func(s *suite) {
		u := admission.User{ID: "t-" + requestid.New(time.Now()), Name: "Ünal \"x\"", Project: "proj", Active: true,
			Models: []string{"openai/*", "fast"}, Rate: 2.5, Burst: 7, Parallel: 9, Tokens: 1234, Day: 5, Month: 6,
			Created: time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)}
		created, err := s.Users.CreateUser(s.Context(), u)
		if err != nil {
			s.Fatalf("CreateUser = %v", err)
		}
		got, err := s.Users.User(s.Context(), u.ID)
		if err != nil {
			s.Fatalf("User = %v", err)
		}
		wantEqual(s.T, "CreateUser", created.User, u)
		wantEqual(s.T, "User", got.User, u)
		if got.Version != created.Version {
			s.Errorf("Version = %d, want %d as created", got.Version, created.Version)
		}
	}},
	{"are created once", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		p.admit(p.ask(noon(), 40))
		_, err := p.Users.CreateUser(p.Context(), admission.User{ID: p.ID, Active: true, Burst: 1, Parallel: 1})
		wantKind(p.T, "CreateUser", err, fault.Conflict)
		wantEqual(p.T, "User", p.account().User, p.User)
		p.wantMoney(noon(), 0, 0, 40)
	}},
	{"that are unknown are not found", func(s *suite) {
		ctx, id := s.Context(), "nobody-"+requestid.New(time.Now())
		_, err := s.Users.User(ctx, id)
		wantKind(s.T, "User", err, fault.NotFound)
		wantKind(s.T, "DeleteUser", s.Users.DeleteUser(ctx, id), fault.NotFound)
		_, err = s.Users.UpdateUser(ctx, admission.Account{User: admission.User{ID: id}}, admission.User{ID: id})
		wantKind(s.T, "UpdateUser", err, fault.NotFound)
	}},
	{"are listed in order, page by page", func(s *suite) {
		prefix := "list-" + requestid.New(time.Now()) + "-"
		for _, i := range []int{3, 1, 5, 2, 4} {
			u := admission.User{ID: fmt.Sprint(prefix, i), Burst: 1, Parallel: 1, Name: fmt.Sprint(i)}
			if _, err := s.Users.CreateUser(s.Context(), u); err != nil {
				s.Fatalf("CreateUser = %v", err)
			}
		}
		var got []string
		for after, pages := prefix, 0; pages < 4; pages++ {
			page, err := s.Users.ListUsers(s.Context(), after, 2)
			if err != nil {
				s.Fatalf("ListUsers = %v", err)
			}
			for _, a := range page {
				if strings.HasPrefix(a.ID, prefix) {
					got = append(got, a.Name)
				}
				after = a.ID
			}
		}
		wantEqual(s.T, "ListUsers", got, []string{"1", "2", "3", "4", "5"})
	}},
	{"are listed with what they spent and hold", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		p.settle(p.admit(p.ask(noon(), 40)).Lease, 30)
		p.admit(p.ask(noon(), 20))
		// The id before p's, so that p comes first.
		page, err := p.Users.ListUsers(p.Context(), p.ID[:len(p.ID)-1], 1000)
		if err != nil {
			p.Fatalf("ListUsers = %v", err)
		}
		for _, a := range page {
			if a.ID == p.ID {
				day, month := a.Spent(noon())
				wantEqual(p.T, "spent, reserved", [3]usage.Nano{day, month, a.Reserved()}, [3]usage.Nano{30, 30, 20})
				return
			}
		}
		p.Errorf("ListUsers = %d users without %s", len(page), p.ID)
	}},
	{"change all their settings", func(s *suite) {
		p := s.newPerson(nil)
		a := p.set(func(u *admission.User) {
			*u = admission.User{ID: u.ID, Name: "New", Project: "other", Active: true, Models: []string{"x"}, Rate: 3, Burst: 4,
				Parallel: 5, Tokens: 6, Day: 7, Month: 8, Created: u.Created}
		})
		wantEqual(p.T, "UpdateUser", a.User, p.User)
		wantEqual(p.T, "User", p.account().User, p.User)
	}},
	{"changed meanwhile are not changed blindly", func(s *suite) {
		p := s.newPerson(nil)
		seen := p.account()
		p.set(func(u *admission.User) { u.Name = "first" })
		u := seen.User
		u.Name = "second"
		_, err := p.Users.UpdateUser(p.Context(), seen, u)
		wantKind(p.T, "UpdateUser", err, fault.Conflict)
		if got := p.account().Name; got != "first" {
			p.Errorf("Name = %q, want first", got)
		}
	}},
	{"change although requests come and go meanwhile", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		seen := p.account()
		l := p.admit(p.ask(noon(), 40)).Lease
		p.admit(p.ask(noon(), 10))
		p.settle(l, 30)
		u := seen.User
		u.Day, u.Month = 60, 60
		if _, err := p.Users.UpdateUser(p.Context(), seen, u); err != nil {
			p.Fatalf("UpdateUser = %v: spending is no change of settings", err)
		}
		p.wantMoney(noon(), 30, 30, 10)
		p.refused(p.ask(noon(), 21), fault.Quota)
		p.admit(p.ask(noon(), 20))
	}},
	{"keep what is spent and reserved when limits change", func(s *suite) { changeLimits(s) }},
	{"with limits below what is spent wait for the next period", func(s *suite) {
		p := s.newPerson(budget(100, usage.None))
		p.settle(p.admit(p.ask(noon(), 80)).Lease, 80)
		p.set(budget(50, usage.None))
		p.wantMoney(noon(), 80, 80, 0)
		p.refused(p.ask(noon(), 1), fault.Quota)
		p.admit(p.ask(noon().Add(24*time.Hour), 50))
	}},
	{"with open requests are not deleted", func(s *suite) {
		p := s.newPerson(nil)
		l := p.admit(p.ask(noon(), 1)).Lease
		wantKind(p.T, "DeleteUser", p.Users.DeleteUser(p.Context(), p.ID), fault.Conflict)
		p.settle(l, 1)
		p.admit(p.touch(noon()))
		p.delete()
	}},
	{"that are deleted leave their ledger, and nothing to who comes after", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Day, u.Rate, u.Burst = 100, 1, 1 })
		r := p.settle(p.admit(p.ask(noon(), 100)).Lease, 100)
		p.delete()
		_, err := p.Users.User(p.Context(), p.ID)
		wantKind(p.T, "User", err, fault.NotFound)
		_, err = p.Keys.ListKeys(p.Context(), p.ID)
		wantKind(p.T, "ListKeys", err, fault.NotFound)
		wantKind(p.T, "DeleteUser", p.Users.DeleteUser(p.Context(), p.ID), fault.NotFound)
		p.refused(p.touch(noon().Add(time.Hour)), fault.Unauthorized)
		wantEqual(p.T, "Records", p.records(), []usage.Record{r})

		if _, err := p.Users.CreateUser(p.Context(), p.User); err != nil {
			p.Fatalf("CreateUser = %v", err)
		}
		p.wantKeys()
		p.refused(p.touch(noon().Add(time.Hour)), fault.Unauthorized)
		p.put(p.key)
		p.admit(p.ask(noon(), 100))
		wantEqual(p.T, "Records", p.records(), []usage.Record{r})
	}},
}

func (p *person) delete() {
	p.Helper()
	if err := p.Users.DeleteUser(p.Context(), p.ID); err != nil {
		p.Fatalf("DeleteUser = %v", err)
	}
}

// changeLimits changes budgets of users who have spent 20 and hold 30.
func changeLimits(s *suite) {
	for _, tc := range []struct {
		name             string
		from, to         func(u *admission.User)
		wantLeft         usage.Nano
		wantUnlimitedNow bool
	}{
		{"a larger day", budget(100, usage.None), budget(150, usage.None), 100, false},
		{"a smaller day", budget(100, usage.None), budget(60, usage.None), 10, false},
		{"a smaller month", budget(usage.None, 100), budget(usage.None, 60), 10, false},
		{"a first day", budget(usage.None, usage.None), budget(100, usage.None), 50, false},
		{"a first month", budget(usage.None, usage.None), budget(usage.None, 100), 50, false},
		{"no limit any more", budget(100, 100), budget(usage.None, usage.None), 0, true},
		{"from day to month", budget(100, usage.None), budget(usage.None, 90), 40, false},
	} {
		p := s.newPerson(tc.from)
		p.settle(p.admit(p.ask(noon(), 25)).Lease, 20)
		p.admit(p.ask(noon(), 30))
		p.set(tc.to)
		p.wantMoney(noon(), 20, 20, 30)
		if tc.wantUnlimitedNow {
			p.admit(p.ask(noon(), 1000*usage.Dollar))
			p.set(tc.from)
			p.refused(p.ask(noon(), 1), fault.Quota)
			continue
		}
		if p.refused(p.ask(noon(), tc.wantLeft+1), fault.Quota); p.Failed() {
			p.Fatalf("%s: more than %d was left", tc.name, tc.wantLeft)
		}
		p.admit(p.ask(noon(), tc.wantLeft))
	}
}
