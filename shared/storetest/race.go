package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const racers = 64

var raceCases = []testCase{
	{"for one budget admits exactly what it holds", func(s *suite) {
		p := s.newPerson(budget(1000, usage.None))
		p.race(p.ask(noon(), 75), 13, fault.Quota)
		p.wantMoney(noon(), 0, 0, 13*75)
	}},
	{"for one rate limit at one instant admits exactly the burst", func(s *suite) {
		p := s.newPerson(rate(10, 10))
		p.race(p.touch(noon()), 10, fault.RateLimited)
		p.race(p.touch(noon().Add(300*time.Millisecond)), 3, fault.RateLimited)
		p.race(p.touch(noon().Add(time.Minute)), 10, fault.RateLimited)
	}},
	{"for the requests at once admits exactly as many", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Parallel = 7 })
		p.race(p.ask(noon(), 5), 7, fault.RateLimited)
		p.wantMoney(noon(), 0, 0, 35)
	}},
	{"for tokens admits exactly as many", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Tokens = 100 })
		p.race(p.askTokens(noon(), 30), 3, fault.RateLimited)
	}},
	{"of one id with itself admits it once", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Day, u.Rate, u.Burst, u.Parallel = 100, 1, 1, 1 })
		a := p.ask(noon(), 100)
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, _ int) error {
			_, err := p.Admission.Admit(ctx, a)
			return err
		}) {
			if err != nil {
				p.Errorf("Admit = %v, want the same grant for all", err)
			}
		}
		p.wantMoney(noon(), 0, 0, 100)
	}},
	{"to settle one lease books one of the records", func(s *suite) {
		p := s.newPerson(budget(1000, 1000))
		l := p.admit(p.ask(noon(), 100)).Lease
		won := make([]usage.Record, racers)
		for _, err := range parallel(p.Context(), racers, func(ctx context.Context, i int) (err error) {
			won[i], err = p.Admission.Settle(ctx, l, record(l, usage.Nano(i)))
			return err
		}) {
			if err != nil {
				p.Fatalf("Settle = %v", err)
			}
		}
		for _, r := range won {
			wantEqual(p.T, "Settle", r, won[0])
		}
		wantEqual(p.T, "Records", p.records(), won[:1])
		p.wantMoney(noon(), won[0].Cost, won[0].Cost, 0)
	}},
	{"to top up one lease raises it once", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 10)).Lease
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, _ int) error {
			_, err := p.Admission.TopUp(ctx, l, 90)
			return err
		}) {
			if err != nil {
				p.Errorf("TopUp = %v", err)
			}
		}
		p.wantMoney(noon(), 0, 0, 90)
	}},
	{"to change one user has one winner", func(s *suite) {
		p := s.newPerson(nil)
		seen := p.account()
		winners := 0
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, i int) error {
			u := seen.User
			u.Burst = int64(i + 1)
			_, err := p.Users.UpdateUser(ctx, seen, u)
			return err
		}) {
			if err == nil {
				winners++
			} else {
				wantKind(p.T, "UpdateUser", err, fault.Conflict)
			}
		}
		if winners != 1 {
			p.Errorf("winners = %d, want 1", winners)
		}
	}},
	{"of whole requests leaves accounts and ledger in agreement", func(s *suite) {
		p := s.newPerson(budget(5000, usage.None))
		for _, err := range parallel(p.Context(), racers, func(ctx context.Context, i int) error {
			a := p.ask(noon(), usage.Nano(50+i))
			g, err := p.Admission.Admit(ctx, a)
			if errors.Is(err, fault.Quota) {
				return nil
			}
			if err != nil {
				return err
			}
			l := g.Lease
			if raised, err := p.Admission.TopUp(ctx, l, 150); err == nil {
				l = raised
			} else if !errors.Is(err, fault.Quota) {
				return err
			}
			_, err = p.Admission.Settle(ctx, l, record(l, rand.N(l.Reserved)))
			return err
		}) {
			if err != nil {
				p.Errorf("a request failed with %v", err)
			}
		}
		var sum usage.Nano
		for _, r := range p.records() {
			sum += r.Cost
		}
		p.wantMoney(noon(), sum, sum, 0)
		p.refused(p.ask(noon(), 5000-sum+1), fault.Quota)
		p.admit(p.ask(noon(), 5000-sum))
	}},
}

// race sends copies of a under ids of their own, all at once.
func (p *person) race(a admission.Ask, want int, loss fault.Kind) {
	p.Helper()
	admitted := 0
	for _, err := range parallel(p.Context(), racers, func(ctx context.Context, _ int) error {
		a := a
		a.ID = requestid.New(a.Now)
		_, err := p.Admission.Admit(ctx, a)
		return err
	}) {
		if err == nil {
			admitted++
		} else {
			wantKind(p.T, "Admit", err, loss)
		}
	}
	if admitted != want {
		p.Errorf("admitted = %d of %d, want %d", admitted, racers, want)
	}
}

// leaseOf is the lease whose request left r.
func leaseOf(r usage.Record) admission.Lease {
	return admission.Lease{ID: r.ID, User: r.User, Reserved: r.Reserved, Admitted: r.Time}
}
