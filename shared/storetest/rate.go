package storetest

import (
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

func rate(perSecond float64, burst int64) func(u *admission.User) {
	return func(u *admission.User) { u.Rate, u.Burst = perSecond, burst }
}

var rateCases = []testCase{
	{"admits exactly the burst at one instant", func(s *suite) {
		p := s.newPerson(rate(10, 5))
		for i := range 5 {
			g := p.admit(p.ask(noon(), 0))
			want := admission.Remaining{Requests: 5, RequestsLeft: int64(4 - i), RequestsReset: time.Duration(i+1) * 100 * time.Millisecond}
			wantEqual(p.T, "Limits", g.Limits, want)
		}
		g, _ := p.Admission.Admit(p.Context(), p.ask(noon(), 0))
		wantEqual(p.T, "a refusal's grant", g, admission.Grant{Limits: admission.Remaining{Requests: 5, RequestsReset: 500 * time.Millisecond}})
		f := p.refused(p.ask(noon(), 0), fault.RateLimited)
		if f.RetryAfter != 100*time.Millisecond || f.Code != "rate_limit_exceeded" {
			p.Errorf("RetryAfter, Code = %v, %q, want 100ms, rate_limit_exceeded", f.RetryAfter, f.Code)
		}
	}},
	{"lets in after RetryAfter, and not a microsecond earlier", func(s *suite) {
		p := s.newPerson(rate(10, 2))
		p.admit(p.touch(noon()))
		p.admit(p.touch(noon().Add(30 * time.Millisecond)))
		at := noon().Add(40 * time.Millisecond)
		f := p.refused(p.touch(at), fault.RateLimited)
		if f.RetryAfter != 60*time.Millisecond {
			p.Fatalf("RetryAfter = %v, want 60ms", f.RetryAfter)
		}
		early := p.refused(p.touch(at.Add(f.RetryAfter-time.Microsecond)), fault.RateLimited)
		if early.RetryAfter != time.Microsecond {
			p.Errorf("RetryAfter = %v, want 1µs", early.RetryAfter)
		}
		p.admit(p.touch(at.Add(f.RetryAfter)))
		p.refused(p.touch(at.Add(f.RetryAfter)), fault.RateLimited)
	}},
	{"refills at the rate while busy", func(s *suite) {
		p := s.newPerson(rate(10, 4))
		p.wantAdmitted(noon(), 6, 4)
		p.wantAdmitted(noon().Add(250*time.Millisecond), 4, 2)
		p.wantAdmitted(noon().Add(300*time.Millisecond), 4, 1)
	}},
	{"grants no more than the burst after a rest", func(s *suite) {
		p := s.newPerson(rate(10, 4))
		p.wantAdmitted(noon(), 6, 4)
		p.wantAdmitted(noon().Add(400*time.Millisecond), 6, 4) // rested to the microsecond
		p.wantAdmitted(noon().Add(time.Hour), 6, 4)
	}},
	{"admits rate × window + burst of a steady flood", func(s *suite) {
		p := s.newPerson(rate(20, 5))
		admitted := 0
		for at := noon(); !at.After(noon().Add(time.Second)); at = at.Add(9 * time.Millisecond) {
			if _, err := p.Admission.Admit(p.Context(), p.touch(at)); err == nil {
				admitted++
			}
		}
		// The last ask comes at 999 ms: the 20th slot is not free yet.
		if admitted != 19+5 {
			p.Errorf("admitted = %d in 999 ms at 20/s, burst 5; want 24", admitted)
		}
	}},
	{"of burst 1 spaces requests", func(s *suite) {
		p := s.newPerson(rate(2, 1))
		p.wantAdmitted(noon(), 3, 1)
		p.wantAdmitted(noon().Add(500*time.Millisecond-time.Microsecond), 2, 0)
		p.wantAdmitted(noon().Add(500*time.Millisecond), 2, 1)
		p.wantAdmitted(noon().Add(time.Minute), 2, 1)
	}},
	{"that divides unevenly is never exceeded", func(s *suite) {
		p := s.newPerson(rate(3, 1))
		p.admit(p.touch(noon()))
		p.refused(p.touch(noon().Add(333333*time.Microsecond)), fault.RateLimited)
		p.admit(p.touch(noon().Add(333334 * time.Microsecond)))
	}},
	{"0 means no limit", func(s *suite) {
		p := s.newPerson(rate(0, 1))
		p.wantAdmitted(noon(), 30, 30)
		p.wantAdmitted(noon().Add(-3*time.Second), 3, 3) // nor for a clock that is behind
		if got := p.admit(p.touch(noon())).Limits; got != (admission.Remaining{}) {
			p.Errorf("Limits = %+v, want none", got)
		}
	}},
	{"counts requests that call no model, which hold nothing", func(s *suite) {
		p := s.newPerson(rate(1, 2))
		g := p.admit(p.touch(noon()))
		wantEqual(p.T, "Lease", g.Lease, admission.Lease{})
		p.admit(p.ask(noon(), 5))
		p.refused(p.touch(noon()), fault.RateLimited)
		p.refused(p.ask(noon(), 5), fault.RateLimited)
		p.wantMoney(noon(), 0, 0, 5)
		if a := p.account(); len(a.Leases) != 1 {
			p.Errorf("open leases = %d, want 1", len(a.Leases))
		}
	}},
	{"changes for users in the middle of a burst", func(s *suite) {
		p := s.newPerson(rate(10, 2))
		p.wantAdmitted(noon(), 3, 2)
		p.set(rate(10, 5))
		p.wantAdmitted(noon(), 5, 3)
		p.set(rate(10, 1))
		p.wantAdmitted(noon().Add(499*time.Millisecond), 1, 0)
		p.wantAdmitted(noon().Add(500*time.Millisecond), 2, 1)
		p.set(rate(0, 1))
		p.wantAdmitted(noon().Add(500*time.Millisecond), 9, 9)
	}},
	{"of tokens is per minute of the request's id", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Tokens = 100 })
		at := noon().Add(20 * time.Second)
		g := p.admit(p.askTokens(at, 60))
		wantEqual(p.T, "Limits", g.Limits, admission.Remaining{Tokens: 100, TokensLeft: 40, TokensReset: 40 * time.Second})
		f := p.refused(p.askTokens(at, 41), fault.RateLimited)
		if f.RetryAfter != 40*time.Second || f.Code != "rate_limit_exceeded" {
			p.Errorf("RetryAfter, Code = %v, %q, want 40s, rate_limit_exceeded", f.RetryAfter, f.Code)
		}
		p.admit(p.askTokens(at, 40))
		p.refused(p.askTokens(at, 1), fault.RateLimited)
		p.admit(p.askTokens(noon().Add(time.Minute), 100))
		late := p.askTokens(at, 1) // of the first minute, but asked in the second
		late.Now = noon().Add(time.Minute)
		p.refused(late, fault.RateLimited)
	}},
	{"of tokens gets back what was not used, and pays for what was", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Tokens = 100 })
		g := p.admit(p.askTokens(noon(), 60))
		r := record(g.Lease, 0)
		r.InputTokens, r.OutputTokens, r.CachedTokens, r.ReasoningTokens = 7, 3, 5, 2 // details are part of the sums
		p.settleRecord(g.Lease, r)
		p.refused(p.askTokens(noon(), 91), fault.RateLimited)
		g = p.admit(p.askTokens(noon(), 30))
		r = record(g.Lease, 0)
		r.InputTokens, r.OutputTokens = 50, 35
		p.settleRecord(g.Lease, r)
		p.refused(p.askTokens(noon(), 6), fault.RateLimited)
		p.admit(p.askTokens(noon(), 5))
	}},
	{"of tokens changes for users in the middle of a minute", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Tokens = 100 })
		p.admit(p.askTokens(noon(), 60))
		p.set(func(u *admission.User) { u.Tokens = 80 })
		p.refused(p.askTokens(noon(), 21), fault.RateLimited)
		p.admit(p.askTokens(noon(), 20))
	}},
}

func (p *person) askTokens(at time.Time, tokens int64) admission.Ask {
	a := p.ask(at, 0)
	a.Tokens = tokens
	return a
}

// wantAdmitted asks n times at one moment and counts.
func (p *person) wantAdmitted(at time.Time, n, want int) {
	p.Helper()
	got := 0
	for range n {
		a := p.touch(at)
		a.ID = requestid.New(at)
		_, err := p.Admission.Admit(p.Context(), a)
		if err == nil {
			got++
		} else {
			wantKind(p.T, "Admit", err, fault.RateLimited)
		}
	}
	if got != want {
		p.Errorf("admitted = %d of %d at noon + %v, want %d", got, n, at.Sub(noon()), want)
	}
}

// set changes p's settings, whatever they are now.
func (p *person) set(change func(u *admission.User)) admission.Account {
	p.Helper()
	seen := p.account()
	u := seen.User
	change(&u)
	a, err := p.Users.UpdateUser(p.Context(), seen, u)
	if err != nil {
		p.Fatalf("UpdateUser = %v", err)
	}
	p.User = u
	return a
}
