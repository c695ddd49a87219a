package storetest

import (
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func budget(day, month usage.Nano) func(u *admission.User) {
	return func(u *admission.User) { u.Day, u.Month = day, month }
}

var budgetCases = []testCase{
	{"of a day is exact to the nano-dollar", func(s *suite) { exact(s, budget(usage.Dollar, usage.None)) }},
	{"of a month is exact to the nano-dollar", func(s *suite) { exact(s, budget(usage.None, usage.Dollar)) }},
	{"that is smaller decides", func(s *suite) {
		p := s.newPerson(budget(100, 60))
		p.admit(p.ask(noon(), 60))
		p.refused(p.ask(noon(), 1), fault.Quota)
		p = s.newPerson(budget(60, 100))
		p.admit(p.ask(noon(), 60))
		p.refused(p.ask(noon(), 1), fault.Quota)
	}},
	{"of zero admits only what is free", func(s *suite) {
		p := s.newPerson(budget(0, usage.None))
		p.refused(p.ask(noon(), 1), fault.Quota)
		p.admit(p.ask(noon(), 0))
		p.admit(p.touch(noon()))
	}},
	{"refusal says so in OpenAI's words", func(s *suite) {
		p := s.newPerson(budget(5, usage.None))
		if f := p.refused(p.ask(noon(), 6), fault.Quota); f.Code != "insufficient_quota" || f.RetryAfter != 0 {
			p.Errorf("Code, RetryAfter = %q, %v, want insufficient_quota, 0", f.Code, f.RetryAfter)
		}
		p.wantMoney(noon(), 0, 0, 0)
	}},
	{"of a day is whole again after midnight, the month's is not", func(s *suite) {
		p := s.newPerson(budget(100, 150))
		day := noon().Truncate(24 * time.Hour)
		if day.AddDate(0, 0, 1).Day() == 1 {
			day = day.AddDate(0, 0, 1) // both days in one month
		}
		before, after := day.AddDate(0, 0, 1).Add(-time.Millisecond), day.AddDate(0, 0, 1)
		p.admit(p.ask(before, 100))
		p.refused(p.ask(before, 1), fault.Quota)
		p.refused(p.ask(after, 51), fault.Quota)
		p.admit(p.ask(after, 50))
		p.wantMoney(before, 0, 0, 150)
	}},
	{"of a month is whole again in the next", func(s *suite) {
		p := s.newPerson(budget(usage.None, 100))
		p.admit(p.ask(midnight().Add(-time.Millisecond), 100))
		p.refused(p.ask(midnight().Add(-time.Millisecond), 1), fault.Quota)
		p.admit(p.ask(midnight(), 100))
		p.refused(p.ask(midnight(), 1), fault.Quota)
	}},
	{"goes by the id's moment, not by the clock's", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		before := midnight().Add(-time.Millisecond)
		p.admit(p.ask(before, 100))
		late := p.ask(before, 1)
		late.Now = midnight() // its write landed after midnight
		p.refused(late, fault.Quota)
		early := p.ask(midnight(), 1)
		early.Now = before // another instance's clock
		p.admit(early)
	}},
	{"is charged in the period of admission, however late", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		before := midnight().Add(-time.Millisecond)
		g := p.admit(p.ask(before, 100))
		p.admit(p.ask(midnight(), 100))
		p.settle(g.Lease, 60)
		p.wantMoney(before, 60, 60, 100)
		p.wantMoney(midnight(), 0, 0, 100)
		p.refused(p.ask(midnight(), 1), fault.Quota)
		late := p.ask(before, 41)
		p.refused(late, fault.Quota)
		late.ID, late.Reserve = requestid.New(before), 40
		p.admit(late)
	}},
	{"refuses models without a price", func(s *suite) {
		for _, tc := range []struct {
			name   string
			limit  func(u *admission.User)
			refuse bool
		}{
			{"no budget", budget(usage.None, usage.None), false},
			{"a day's", budget(usage.Dollar, usage.None), true},
			{"a month's", budget(usage.None, usage.Dollar), true},
		} {
			s.Run(tc.name, func(t *testing.T) {
				p := (&suite{s.Stores, t}).newPerson(tc.limit)
				a := p.ask(noon(), 0)
				a.Unpriced = true
				if !tc.refuse {
					p.admit(a)
					return
				}
				f := p.refused(a, fault.Forbidden)
				if f.Code != "unknown_price" || f.Param != "model" {
					t.Errorf("Code, Param = %q, %q, want unknown_price, model", f.Code, f.Param)
				}
			})
		}
	}},
}

// exact uses up a dollar.
func exact(s *suite, limit func(u *admission.User)) {
	p := s.newPerson(limit)
	var first admission.Lease
	for i := range 3 {
		g := p.admit(p.ask(noon().Add(time.Duration(i)*time.Hour), 333_333_333))
		if i == 0 {
			first = g.Lease
		}
	}
	p.refused(p.ask(noon(), 2), fault.Quota)
	p.admit(p.ask(noon(), 1))
	p.refused(p.ask(noon(), 1), fault.Quota)
	p.wantMoney(noon(), 0, 0, usage.Dollar)

	p.settle(first, 333_333_330)
	p.wantMoney(noon(), 333_333_330, 333_333_330, usage.Dollar-333_333_333)
	p.refused(p.ask(noon(), 4), fault.Quota)
	p.admit(p.ask(noon(), 3))
	p.refused(p.ask(noon(), 1), fault.Quota)
}
