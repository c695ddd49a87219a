package storetest

import (
	"context"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// abandon admits a request of p's that never comes to its end.
func (p *person) abandon(at time.Time, reserve usage.Nano) usage.Record {
	p.Helper()
	l := p.admit(p.ask(at, reserve)).Lease
	return p.settleRecord(l, l.Unsettled())
}

func (p *person) writeOff(id string) usage.Record {
	p.Helper()
	r, err := p.WriteOffs.WriteOff(p.Context(), p.ID, id)
	if err != nil {
		p.Fatalf("WriteOff = %v", err)
	}
	return r
}

var writeOffCases = []testCase{
	{"takes back what an unsettled request cost", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		p.spend(noon(), 7)
		r := p.abandon(noon(), 90)
		p.refused(p.ask(noon(), 4), fault.Quota)
		got := p.writeOff(r.ID)
		want, err := admission.WriteOff(r)
		if err != nil {
			p.Fatalf("admission.WriteOff = %v", err)
		}
		wantEqual(p.T, "WriteOff", got, want)
		if got.Cost != -90 || got.WritesOff != r.ID || got.ID == r.ID || !got.Time.Equal(r.Time) {
			p.Errorf("WriteOff = %+v, want -90 for %s at its time", got, r.ID)
		}
		p.wantMoney(noon(), 7, 7, 0)
		p.admit(p.ask(noon(), 93))
		p.refused(p.ask(noon(), 1), fault.Quota)

		kept, err := p.Ledger.Record(p.Context(), p.ID, r.ID)
		if err != nil {
			p.Fatalf("Record = %v", err)
		}
		wantEqual(p.T, "the record itself", kept, r)
		var sum usage.Nano
		for _, r := range p.records() {
			sum += r.Cost
		}
		if sum != 7 {
			p.Errorf("sum of the ledger = %d, want 7", sum)
		}
	}},
	{"twice changes nothing more", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		r := p.abandon(noon(), 40)
		first := p.writeOff(r.ID)
		wantEqual(p.T, "WriteOff", p.writeOff(r.ID), first)
		p.wantMoney(noon(), 0, 0, 0)
		if got := len(p.records()); got != 2 {
			p.Errorf("records = %d, want 2", got)
		}
	}},
	{"is only for what was never settled", func(s *suite) {
		p, q := s.newPerson(budget(100, 100)), s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 40)).Lease
		ctx := p.Context()
		_, err := p.WriteOffs.WriteOff(ctx, p.ID, l.ID)
		wantKind(p.T, "WriteOff of an open request", err, fault.NotFound)
		p.settle(l, 40)
		_, err = p.WriteOffs.WriteOff(ctx, p.ID, l.ID)
		wantKind(p.T, "WriteOff of a settled request", err, fault.Conflict)
		gone := p.abandon(noon(), 10)
		_, err = p.WriteOffs.WriteOff(ctx, q.ID, gone.ID)
		wantKind(p.T, "WriteOff of somebody else's", err, fault.NotFound)
		for _, id := range []string{"", "x", requestid.New(noon())} {
			_, err = p.WriteOffs.WriteOff(ctx, p.ID, id)
			wantKind(p.T, "WriteOff of an unknown request", err, fault.NotFound)
		}
		back := p.writeOff(gone.ID)
		_, err = p.WriteOffs.WriteOff(ctx, p.ID, back.ID)
		wantKind(p.T, "WriteOff of a write-off", err, fault.Conflict)
		p.wantMoney(noon(), 40, 40, 0)
		q.wantMoney(noon(), 0, 0, 0)
	}},
	{"goes to the periods that were charged", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		before := midnight().Add(-time.Millisecond)
		r := p.abandon(before, 60)
		p.spend(midnight(), 70)
		p.writeOff(r.ID)
		p.wantMoney(before, 0, 0, 0)
		p.wantMoney(midnight(), 70, 70, 0)
		p.admit(p.ask(before, 100))
		p.refused(p.ask(midnight(), 31), fault.Quota)
	}},
	{"goes to the project that paid", func(s *suite) {
		g := s.newGroup(100)
		p, q := g.member(nil), g.member(nil)
		r := p.abandon(noon(), 90)
		g.wantMoney(noon(), 90, 0)
		p.writeOff(r.ID)
		g.wantMoney(noon(), 0, 0)
		q.admit(q.ask(noon(), 100))
	}},
	{"goes to the project that paid, which the user has left", func(s *suite) {
		from, to := s.newGroup(100), s.newGroup(50)
		p, q := from.member(budget(usage.None, 200)), from.member(nil)
		r := p.abandon(noon(), 90)
		p.move(to.id)
		p.spend(noon(), 20)
		p.writeOff(r.ID)
		from.wantMoney(noon(), 0, 0)
		to.wantMoney(noon(), 20, 0)
		p.wantMoney(noon(), 20, 20, 0)
		q.admit(q.ask(noon(), 100))
		p.refused(p.ask(noon(), 31), fault.Quota)
	}},
	{"goes to nobody who came later", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		r := p.abandon(noon(), 90)
		if err := p.Users.DeleteUser(p.Context(), p.ID); err != nil {
			p.Fatalf("DeleteUser = %v", err)
		}
		first := p.writeOff(r.ID)
		wantEqual(p.T, "WriteOff", p.writeOff(r.ID), first)
		other := p.abandonDeleted(80)
		p.Created = noon().Add(time.Hour)
		if _, err := p.Users.CreateUser(p.Context(), p.User); err != nil {
			p.Fatalf("CreateUser = %v", err)
		}
		p.put(p.key)
		p.spend(noon(), 30)
		p.writeOff(other.ID)
		p.wantMoney(noon(), 30, 30, 0)
		p.refused(p.ask(noon(), 71), fault.Quota)
	}},
	{"gets in nobody's way", func(s *suite) {
		from := s.newGroup(100_000)
		p, q := from.member(nil), from.member(nil)
		var lost []usage.Record
		for range 8 {
			lost = append(lost, p.abandon(noon(), 40))
		}
		p.move("")
		for _, err := range parallel(p.Context(), 2*len(lost), func(ctx context.Context, i int) error {
			if i%2 == 0 {
				return q.request(ctx)
			}
			_, err := p.WriteOffs.WriteOff(ctx, p.ID, lost[i/2].ID)
			return err
		}) {
			if err != nil {
				p.Errorf("a request or write-off failed with %v", err)
			}
		}
		from.wantAgreement(q)
		p.wantMoney(noon(), 0, 0, 0)
	}},
	{"of one request many times at once happens once", func(s *suite) {
		g := s.newGroup(1000)
		p := g.member(budget(1000, 1000))
		p.spend(noon(), 3)
		r := p.abandon(noon(), 40)
		for _, err := range parallel(p.Context(), 16, func(ctx context.Context, _ int) error {
			_, err := p.WriteOffs.WriteOff(ctx, p.ID, r.ID)
			return err
		}) {
			if err != nil {
				p.Errorf("WriteOff = %v", err)
			}
		}
		p.wantMoney(noon(), 3, 3, 0)
		g.wantMoney(noon(), 3, 0)
		if got := len(p.records()); got != 3 {
			p.Errorf("records = %d, want 3", got)
		}
	}},
}

// abandonDeleted leaves an unsettled record although there is no user.
func (p *person) abandonDeleted(cost usage.Nano) usage.Record {
	l := admission.Lease{ID: requestid.New(noon()), User: p.ID, Reserved: cost, Admitted: noon()}
	return p.settleRecord(l, l.Unsettled())
}
