package storetest

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

var projectRaceCases = []testCase{
	{"for one budget never admits more than it holds, and in the end all of it", func(s *suite) {
		g := s.newGroup(1000)
		members := make([]*person, 4)
		for i := range members {
			members[i] = g.member(nil)
		}
		admitted := 0
		for _, err := range parallel(s.Context(), racers, func(ctx context.Context, i int) error {
			p := members[i%len(members)]
			_, err := p.Admission.Admit(ctx, p.ask(noon(), 75))
			return err
		}) {
			if err == nil {
				admitted++
			} else {
				wantKind(s.T, "Admit", err, fault.Quota)
			}
		}
		if admitted == 0 || admitted > 13 {
			s.Fatalf("admitted = %d, want 1 to 13", admitted)
		}
		for ; admitted < 13; admitted++ { // who was refused while others held grants
			p := members[admitted%len(members)]
			p.admit(p.ask(noon(), 75))
		}
		for _, p := range members {
			p.refused(p.ask(noon(), 26), fault.Quota)
		}
		members[0].admit(members[0].ask(noon(), 25))
		g.wantMoney(noon(), 0, 1000)
	}},
	{"between members, and between members and the budget, leaves exact accounts", func(s *suite) {
		g := &group{s, "p-" + requestid.New(noon())}
		members := make([]*person, 3)
		for i := range members {
			members[i] = g.member(nil)
		}
		for _, err := range parallel(s.Context(), 24, func(ctx context.Context, i int) error {
			if i%8 == 7 {
				return g.change(ctx, []usage.Nano{20_000, usage.None, 50_000}[i/8])
			}
			return members[i%len(members)].request(ctx)
		}) {
			if err != nil {
				s.Errorf("a request or change failed with %v", err)
			}
		}
		g.wantAgreement(members...)
		g.set(100_000)
		g.wantAgreement(members...)
	}},
	{"between requests and moves leaves exact accounts", func(s *suite) {
		from, to := s.newGroup(100_000), s.newGroup(100_000)
		p, q := from.member(nil), to.member(nil)
		for _, err := range parallel(s.Context(), 16, func(ctx context.Context, i int) error {
			if i%8 == 7 {
				return p.relocate(ctx, to.id)
			}
			for range 2 {
				if err := errors.Join(p.request(ctx), q.request(ctx)); err != nil {
					return err
				}
			}
			return nil
		}) {
			if err != nil {
				s.Errorf("a request or move failed with %v", err)
			}
		}
		var sum usage.Nano
		for _, r := range append(p.records(), q.records()...) {
			sum += r.Cost
		}
		month := admission.Month(noon())
		a, b := from.account(), to.account()
		if got := a.Spent[month] + b.Spent[month]; got != sum || a.Reserved[month]+b.Reserved[month] != 0 {
			s.Errorf("both projects spent %d and hold %d, want %d, 0", got, a.Reserved[month]+b.Reserved[month], sum)
		}
		q.refused(q.ask(noon(), b.Left(noon())+1), fault.Quota)
		q.admit(q.ask(noon(), b.Left(noon())))
	}},
}

// request is a whole one of p's, which may be refused for lack of money.
func (p *person) request(ctx context.Context) error {
	g, err := p.Admission.Admit(ctx, p.ask(noon(), 1+rand.N[usage.Nano](900)))
	if errors.Is(err, fault.Quota) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = p.Admission.Settle(ctx, g.Lease, record(g.Lease, rand.N(g.Lease.Reserved)))
	return err
}

// change sets the budget, however often others do so first.
func (g *group) change(ctx context.Context, month usage.Nano) error {
	for {
		seen, err := g.Projects.Project(ctx, g.id)
		if err != nil {
			return err
		}
		p := seen.Project
		p.Month = month
		if _, err = g.Projects.UpdateProject(ctx, seen, p); !errors.Is(err, fault.Conflict) {
			return err
		}
	}
}

// relocate moves p, however often others change it first.
func (p *person) relocate(ctx context.Context, project string) error {
	for {
		seen, err := p.Users.User(ctx, p.ID)
		if err != nil {
			return err
		}
		u := seen.User
		u.Project = project
		if _, err = p.Users.UpdateUser(ctx, seen, u); !errors.Is(err, fault.Conflict) {
			return err
		}
	}
}

// wantAgreement compares the project with the records of its members.
func (g *group) wantAgreement(members ...*person) {
	g.Helper()
	var sum usage.Nano
	for _, p := range members {
		for _, r := range p.records() {
			sum += r.Cost
		}
	}
	g.wantMoney(noon(), sum, 0)
}
