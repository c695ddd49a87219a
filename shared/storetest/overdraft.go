package storetest

import (
	"context"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// A project that has spent and reserved more than its budget lets nobody spend
// more, whoever holds the money that comes back.
var overdraftCases = []testCase{
	{"is what others cannot spend any more", func(s *suite) {
		g := s.newGroup(200)
		p, q := g.member(nil), g.member(nil)
		q.spend(noon(), 1)
		p.settle(p.admit(p.ask(noon(), 100)).Lease, 130)
		g.wantMoney(noon(), 131, 0)
		q.refused(q.ask(noon(), 70), fault.Quota)
		q.admit(q.ask(noon(), 69))
		p.refused(p.ask(noon(), 1), fault.Quota)
	}},
	{"takes what others were about to spend", func(s *suite) {
		g := s.newGroup(200)
		p, q := g.member(nil), g.member(nil)
		q.settle(q.admit(q.ask(noon(), 100)).Lease, 0)
		p.settle(p.admit(p.ask(noon(), 100)).Lease, 150)
		q.refused(q.ask(noon(), 51), fault.Quota)
		q.admit(q.ask(noon(), 50))
		g.wantMoney(noon(), 150, 50)
	}},
	{"keeps what open requests return until there is room again", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		p.spend(noon(), 40)
		l, m := p.admit(p.ask(noon(), 30)).Lease, p.admit(p.ask(noon(), 30)).Lease
		g.set(30)
		p.settle(l, 5)
		for _, who := range []*person{p, q} {
			who.refused(who.ask(noon(), 1), fault.Quota)
		}
		if _, err := p.Admission.TopUp(p.Context(), m, 31); err == nil {
			p.Errorf("TopUp = nil, want the project's budget to refuse")
		}
		g.wantMoney(noon(), 45, 30)
		g.set(80)
		q.refused(q.ask(noon(), 6), fault.Quota)
		p.wantTopUp(m, 35, 35)
		q.refused(q.ask(noon(), 1), fault.Quota)
		p.settle(m, 10)
		p.refused(p.ask(noon(), 26), fault.Quota)
		q.admit(q.ask(noon(), 12))
		p.admit(p.ask(noon(), 13))
		g.wantMoney(noon(), 55, 25)
	}},
	{"ends when enough is returned", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		l, m := p.admit(p.ask(noon(), 40)).Lease, p.admit(p.ask(noon(), 40)).Lease
		g.set(50)
		p.settle(l, 5)
		p.refused(p.ask(noon(), 6), fault.Quota)
		p.admit(p.ask(noon(), 2))
		q.admit(q.ask(noon(), 3))
		q.refused(q.ask(noon(), 1), fault.Quota)
		p.settle(m, 0)
		q.admit(q.ask(noon(), 40))
		g.wantMoney(noon(), 5, 45)
	}},
	{"comes with the open requests of a new member", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), s.newPerson(nil)
		p.settle(p.admit(p.ask(noon(), 60)).Lease, 0)
		l := q.admit(q.ask(noon(), 120)).Lease
		q.move(g.id)
		g.wantMoney(noon(), 0, 120)
		p.refused(p.ask(noon(), 1), fault.Quota)
		q.settle(l, 70)
		q.refused(q.ask(noon(), 31), fault.Quota)
		p.admit(p.ask(noon(), 30))
		g.wantMoney(noon(), 70, 30)
	}},
	{"stays when its member leaves", func(s *suite) {
		g := s.newGroup(200)
		p, q := g.member(nil), g.member(nil)
		q.settle(q.admit(q.ask(noon(), 100)).Lease, 0)
		l := p.admit(p.ask(noon(), 100)).Lease
		g.set(150)
		p.settle(l, 140)
		p.move("")
		g.wantMoney(noon(), 140, 0)
		q.refused(q.ask(noon(), 11), fault.Quota)
		q.admit(q.ask(noon(), 10))
		p.admit(p.ask(noon(), 1000))
	}},
	{"of last month is none of the next", func(s *suite) {
		g := s.newGroup(100)
		p := g.member(nil)
		before := midnight().Add(-1)
		l, m := p.admit(p.ask(before, 50)).Lease, p.admit(p.ask(before, 50)).Lease
		p.settle(l, 60)
		p.admit(p.ask(midnight(), 100))
		p.refused(p.ask(midnight(), 1), fault.Quota)
		p.settle(m, 20)
		g.wantMoney(before, 80, 0)
		g.wantMoney(midnight(), 0, 100)
	}},
	{"never grows by requests that were admitted after it", func(s *suite) {
		g := s.newGroup(2000)
		members := []*person{g.member(nil), g.member(nil), g.member(nil)}
		var open []func(ctx context.Context) error
		for i := range 12 {
			p := members[i%len(members)]
			l := p.admit(p.ask(noon(), 150)).Lease
			open = append(open, func(ctx context.Context) error {
				_, err := p.Admission.Settle(ctx, l, record(l, 100))
				return err
			})
		}
		g.set(1000)
		var admitted usage.Nano
		for i, err := range parallel(s.Context(), 24, func(ctx context.Context, i int) error {
			if i < len(open) {
				return open[i](ctx)
			}
			p := members[i%len(members)]
			_, err := p.Admission.Admit(ctx, p.ask(noon(), 25))
			return err
		}) {
			switch {
			case i < len(open) && err != nil:
				s.Errorf("Settle = %v", err)
			case i >= len(open) && err == nil:
				admitted += 25
			case i >= len(open):
				wantKind(s.T, "Admit", err, fault.Quota)
			}
		}
		if admitted > 0 {
			s.Errorf("admitted %d more than the budget of 1000, of which 1200 are spent", admitted)
		}
		g.wantMoney(noon(), 1200, 0)
	}},
}
