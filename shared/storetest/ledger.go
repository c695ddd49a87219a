package storetest

import (
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

var ledgerCases = []testCase{
	{"of a user who did nothing is empty", func(s *suite) {
		p := s.newPerson(nil)
		if got := p.records(); got != nil {
			p.Errorf("Records = %v, want none", got)
		}
		_, err := p.Ledger.Record(p.Context(), p.ID, requestid.New(noon()))
		wantKind(p.T, "Record", err, fault.NotFound)
	}},
	{"reads in the order of admission, whatever the order of settlement", func(s *suite) {
		p := s.newPerson(nil)
		var want []usage.Record
		for i := range 5 {
			l := p.admit(p.ask(noon().Add(time.Duration(i)*time.Millisecond), 10)).Lease
			want = append(want, record(l, usage.Nano(i)))
		}
		for _, i := range []int{2, 4, 0, 1, 3} {
			r := want[i]
			p.settleRecord(leaseOf(r), r)
		}
		wantEqual(p.T, "Records", p.records(), want)
	}},
	{"reads from the first moment up to before the last", func(s *suite) {
		p := s.newPerson(nil)
		var all []usage.Record
		for i := range 4 {
			l := p.admit(p.ask(noon().Add(time.Duration(i)*time.Millisecond), 10)).Lease
			all = append(all, p.settle(l, 1))
		}
		at := func(ms int) time.Time { return noon().Add(time.Duration(ms) * time.Millisecond) }
		wantEqual(p.T, "Records", p.recordsIn(at(1), at(3)), all[1:3])
		wantEqual(p.T, "Records", p.recordsIn(at(0), at(1)), all[:1])
		wantEqual(p.T, "Records", p.recordsIn(at(3), at(9)), all[3:])
		wantEqual(p.T, "Records", p.recordsIn(at(1).Add(-time.Microsecond), at(1).Add(time.Microsecond)), all[1:2])
		wantEqual(p.T, "Records", p.recordsIn(at(2), at(2)), nil)
		wantEqual(p.T, "Records", p.recordsIn(at(3), at(1)), nil)
	}},
	{"does not mix users, not even with names that begin alike", func(s *suite) {
		p := s.newPerson(nil)
		q := s.newPerson(nil)
		// A second user whose name begins with p's.
		longer := *q
		longer.ID, longer.User.ID = p.ID+"0", p.ID+"0"
		if _, err := s.Users.CreateUser(s.Context(), longer.User); err != nil {
			s.Fatalf("CreateUser = %v", err)
		}
		longer.put(longer.key)
		mine := p.settle(p.admit(p.ask(noon(), 1)).Lease, 1)
		theirs := longer.settle(longer.admit(longer.ask(noon(), 1)).Lease, 1)
		wantEqual(p.T, "Records", p.records(), []usage.Record{mine})
		wantEqual(p.T, "Records", longer.records(), []usage.Record{theirs})
		_, err := p.Ledger.Record(p.Context(), p.ID, theirs.ID)
		wantKind(p.T, "Record", err, fault.NotFound)
	}},
	{"reads many records, and any first few of them", func(s *suite) {
		p := s.newPerson(nil)
		const n = 300
		var want []string
		for i := range n {
			l := p.admit(p.ask(noon().Add(time.Duration(i)*time.Millisecond), 1)).Lease
			p.settle(l, 1)
			want = append(want, l.ID)
		}
		var got []string
		for _, r := range p.records() {
			got = append(got, r.ID)
		}
		wantEqual(p.T, "ids", got, want)
		var first []string
		for r, err := range p.Ledger.Records(p.Context(), p.ID, noon(), noon().Add(time.Hour)) {
			if err != nil {
				p.Fatalf("Records = %v", err)
			}
			if first = append(first, r.ID); len(first) == 3 {
				break
			}
		}
		wantEqual(p.T, "first ids", first, want[:3])
	}},
}
