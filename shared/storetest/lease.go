package storetest

import (
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// dead is how long after its admission a lease counts as abandoned, at last.
const dead = admission.Lifetime + admission.Grace + time.Second

var leaseCases = []testCase{
	{"asked for twice with one id is admitted once", func(s *suite) {
		p := s.newPerson(func(u *admission.User) {
			u.Day, u.Rate, u.Burst, u.Parallel, u.Tokens = 100, 1, 1, 1, 50
		})
		a := p.ask(noon(), 100)
		a.Tokens = 50
		first := p.admit(a)
		for range 2 {
			again := p.admit(a)
			first.Writes, again.Writes = 0, 0
			wantEqual(p.T, "the same Grant", again, first)
		}
		p.wantMoney(noon(), 0, 0, 100)
		p.settle(first.Lease, 30)
		p.wantMoney(noon(), 30, 30, 0)
	}},
	{"asked for again by a key revoked meanwhile stays admitted", func(s *suite) {
		p := s.newPerson(nil)
		a := p.ask(noon(), 1)
		p.admit(a)
		if err := p.Keys.RevokeKey(p.Context(), p.ID, p.key.ID); err != nil {
			p.Fatal(err)
		}
		p.admit(a) // the retry of a write whose answer was lost
		p.refused(p.ask(noon(), 1), fault.Unauthorized)
	}},
	{"counts towards the requests at once until it settles", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Parallel = 2 })
		one := p.admit(p.ask(noon(), 0)).Lease
		p.admit(p.ask(noon(), 0))
		f := p.refused(p.ask(noon(), 0), fault.RateLimited)
		if f.RetryAfter <= 0 || f.Code != "rate_limit_exceeded" {
			p.Errorf("RetryAfter, Code = %v, %q, want some time, rate_limit_exceeded", f.RetryAfter, f.Code)
		}
		p.admit(p.touch(noon())) // calls no model
		p.settle(one, 0)
		p.admit(p.ask(noon(), 0))
		p.refused(p.ask(noon(), 0), fault.RateLimited)
	}},
	{"is topped up to an amount, once", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		l := p.admit(p.ask(noon(), 40)).Lease
		for range 2 {
			p.wantTopUp(l, 70, 70)
			p.wantMoney(noon(), 0, 0, 70)
		}
		p.wantTopUp(l, 100, 100) // l still says 40
		p.wantMoney(noon(), 0, 0, 100)
		p.refused(p.ask(noon(), 1), fault.Quota)
	}},
	{"is never topped down", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		l := p.admit(p.ask(noon(), 40)).Lease
		p.wantTopUp(l, 10, 40)
		p.wantMoney(noon(), 0, 0, 40)
	}},
	{"is not topped up without room in the budget", func(s *suite) {
		for _, limit := range []func(u *admission.User){budget(100, usage.None), budget(usage.None, 100)} {
			p := s.newPerson(limit)
			l := p.admit(p.ask(noon(), 40)).Lease
			p.admit(p.ask(noon(), 50))
			_, err := p.Admission.TopUp(p.Context(), l, 51)
			if f := wantKind(p.T, "TopUp", err, fault.Quota); f.Code != "insufficient_quota" {
				p.Errorf("Code = %q, want insufficient_quota", f.Code)
			}
			p.wantMoney(noon(), 0, 0, 90)
			p.wantTopUp(l, 50, 50)
		}
	}},
	{"is topped up in the period of its admission", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		before := midnight().Add(-time.Millisecond)
		l := p.admit(p.ask(before, 40)).Lease
		p.admit(p.ask(midnight(), 100))
		p.wantTopUp(l, 100, 100)
		_, err := p.Admission.TopUp(p.Context(), l, 101)
		wantKind(p.T, "TopUp", err, fault.Quota)
	}},
	{"that is gone is not found by a top-up", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 40)).Lease
		p.settle(l, 10)
		never := admission.Lease{ID: requestid.New(noon()), User: p.ID, Admitted: noon()}
		stranger := admission.Lease{ID: requestid.New(noon()), User: "nobody-" + never.ID, Admitted: noon()}
		for _, l := range []admission.Lease{l, never, stranger} {
			_, err := p.Admission.TopUp(p.Context(), l, 50)
			wantKind(p.T, "TopUp", err, fault.NotFound)
		}
		p.wantMoney(noon(), 10, 10, 0)
	}},
	{"older than any request shows as expired in the next grant", func(s *suite) {
		p := s.newPerson(nil)
		old := p.admit(p.ask(noon(), 40)).Lease
		young := p.admit(p.ask(noon().Add(2*time.Second), 40)).Lease
		g := p.admit(p.ask(noon().Add(dead), 1))
		old.Tokens = 0 // accounts do not remember them
		wantEqual(p.T, "Expired", g.Expired, []admission.Lease{old})
		p.settle(g.Expired[0], 40)
		g = p.admit(p.ask(noon().Add(dead), 1))
		wantEqual(p.T, "Expired", g.Expired, nil)
		p.settle(young, 0)
	}},
	{"is listed by Expired, oldest or not", func(s *suite) {
		p := s.newPerson(nil)
		one := p.admit(p.ask(noon(), 40)).Lease
		two := p.admit(p.ask(noon().Add(time.Second), 50)).Lease
		three := p.admit(p.ask(noon().Add(2*time.Second), 60)).Lease
		p.wantTopUp(two, 55, 55)
		two.Reserved = 55
		p.settle(one, 1)
		wantEqual(p.T, "Expired", p.expired(noon().Add(time.Second)), nil)
		wantEqual(p.T, "Expired", p.expired(noon().Add(1001*time.Millisecond)), []admission.Lease{two})
		if got := p.expired(noon().Add(time.Hour)); len(got) != 2 {
			p.Errorf("Expired = %v, want %v and %v", got, two, three)
		}
		for range p.Admission.Expired(p.Context(), noon().Add(time.Hour)) {
			break // whoever stops early is left alone
		}
	}},
	{"of a dead request makes room when it is in the way", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Parallel = 1 })
		old := p.admit(p.ask(noon(), 40)).Lease
		p.refused(p.ask(noon().Add(admission.Lifetime), 1), fault.RateLimited) // may live still
		g := p.admit(p.ask(noon().Add(dead), 1))
		wantEqual(p.T, "Expired", g.Expired, nil)
		r, err := p.Ledger.Record(p.Context(), p.ID, old.ID)
		if err != nil {
			p.Fatalf("Record = %v", err)
		}
		if !r.Unsettled || r.Cost != 40 || r.Reserved != 40 || !r.Time.Equal(noon()) || r.User != p.ID {
			p.Errorf("Record = %+v, want one of noon that is unsettled and costs the 40 reserved", r)
		}
		p.wantMoney(noon(), 40, 40, 1)
	}},
	{"of a dead request gives its money back when it is in the way", func(s *suite) {
		p := s.newPerson(budget(usage.None, 100))
		a := p.ask(noon(), 100)
		// The request failed and was recorded; its lease landed later than that.
		p.settle(admission.Lease{ID: a.ID, User: p.ID, Admitted: noon()}, 0)
		p.admit(a)
		p.refused(p.ask(noon().Add(time.Second), 1), fault.Quota)
		p.admit(p.ask(noon().Add(dead), 100))
		p.wantMoney(noon(), 0, 0, 100)
	}},
}

func (p *person) wantTopUp(l admission.Lease, to, want usage.Nano) {
	p.Helper()
	got, err := p.Admission.TopUp(p.Context(), l, to)
	if err != nil {
		p.Fatalf("TopUp(%d) = %v", to, err)
	}
	l.Reserved = want
	wantEqual(p.T, "TopUp", got, l)
}
