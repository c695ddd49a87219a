package storetest

import (
	"fmt"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

var settleCases = []testCase{
	{"books the cost and frees the rest", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		l := p.admit(p.ask(noon(), 100)).Lease
		won := p.settle(l, 30)
		wantEqual(p.T, "Settle", won, record(l, 30))
		p.wantMoney(noon(), 30, 30, 0)
		p.refused(p.ask(noon(), 71), fault.Quota)
		p.admit(p.ask(noon(), 70))
	}},
	{"keeps the whole record", func(s *suite) {
		p := s.newPerson(nil)
		l := p.admit(p.ask(noon(), 100)).Lease
		r := full(l)
		wantEqual(p.T, "Settle", p.settleRecord(l, r), r)
		got, err := p.Ledger.Record(p.Context(), p.ID, l.ID)
		if err != nil {
			p.Fatalf("Record = %v", err)
		}
		wantEqual(p.T, "Record", got, r)
		wantEqual(p.T, "Records", p.records(), []usage.Record{r})
	}},
	{"keeps a record of as many calls as a run of a chain may make", func(s *suite) {
		p := s.newPerson(budget(1e9, 1e9))
		l := p.admit(p.ask(noon(), 1e9)).Lease
		r := full(l)
		r.Cost, r.Tried = 0, nil
		for i := range 64_000 { // 64 maps of 1,000 items, each with models of its own
			a := usage.Attempt{Provider: "openai", Model: fmt.Sprintf("%0256d", i%64), Status: 200 + i%3, InputTokens: 3, OutputTokens: 2, Cost: usage.Nano(1 + i%1000)}
			r.Cost += a.Cost
			r.Try(a)
		}
		wantEqual(p.T, "Settle", p.settleRecord(l, r), r)
		got, err := p.Ledger.Record(p.Context(), p.ID, l.ID)
		if err != nil {
			p.Fatalf("Record = %v", err)
		}
		wantEqual(p.T, "Record", got, r)
		p.wantMoney(noon(), r.Cost, r.Cost, 0)
	}},
	{"twice books the first record and returns it", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		l := p.admit(p.ask(noon(), 40)).Lease
		first := p.settle(l, 10)
		for range 2 {
			wantEqual(p.T, "Settle", p.settle(l, 40), first)
			p.wantMoney(noon(), 10, 10, 0)
		}
		wantEqual(p.T, "Records", p.records(), []usage.Record{first})
	}},
	{"with cost 0 refunds", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 100)).Lease
		p.settle(l, 0)
		p.wantMoney(noon(), 0, 0, 0)
		p.admit(p.ask(noon(), 100))
		if got := len(p.records()); got != 1 {
			p.Errorf("records = %d, want 1: refunds are recorded too", got)
		}
	}},
	{"above the reservation is a measured overdraft", func(s *suite) {
		p := s.newPerson(budget(100, 1000))
		l := p.admit(p.ask(noon(), 100)).Lease
		p.settle(l, 130)
		p.wantMoney(noon(), 130, 130, 0)
		p.refused(p.ask(noon(), 1), fault.Quota)
		p.refused(p.ask(noon(), 0), fault.Quota)
		p.admit(p.ask(noon().Add(24*time.Hour), 100))
	}},
	{"with an outdated lease frees all that it holds", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 40)).Lease
		p.wantTopUp(l, 90, 90)
		p.settle(l, 20) // l still says 40
		p.wantMoney(noon(), 20, 20, 0)
		p.refused(p.ask(noon(), 81), fault.Quota)
		p.admit(p.ask(noon(), 80))
	}},
	{"of a lease that is not open keeps the record and changes no account", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		held := p.admit(p.ask(noon(), 40)).Lease
		l := admission.Lease{ID: requestid.New(noon()), User: p.ID, Reserved: 10, Admitted: noon()}
		r := p.settle(l, 10)
		wantEqual(p.T, "Settle", p.settle(l, 5), r)
		p.wantMoney(noon(), 0, 0, 40)
		wantEqual(p.T, "Records", p.records(), []usage.Record{r})
		p.settle(held, 0)
	}},
	{"for a user who does not exist keeps the record", func(s *suite) {
		p := s.newPerson(nil)
		p.ID = "nobody-" + requestid.New(time.Now())
		l := admission.Lease{ID: requestid.New(noon()), User: p.ID, Reserved: 10, Admitted: noon()}
		r := p.settle(l, 10)
		wantEqual(p.T, "Settle", p.settle(l, 5), r)
		wantEqual(p.T, "Records", p.records(), []usage.Record{r})
		_, err := p.Users.User(p.Context(), p.ID)
		wantKind(p.T, "User", err, fault.NotFound)
	}},
	{"before its admission landed: the record wins", func(s *suite) {
		p := s.newPerson(budget(100, 100))
		a := p.ask(noon(), 60)
		refund := p.settle(admission.Lease{ID: a.ID, User: p.ID, Reserved: 60, Admitted: noon()}, 7)
		l := p.admit(a).Lease
		p.wantMoney(noon(), 0, 0, 60)
		wantEqual(p.T, "Settle", p.settleRecord(l, l.Unsettled()), refund)
		p.wantMoney(noon(), 7, 7, 0)
		wantEqual(p.T, "Records", p.records(), []usage.Record{refund})
	}},
	{"of the requests of one user are apart from another's", func(s *suite) {
		p, q := s.newPerson(budget(100, 100)), s.newPerson(budget(100, 100))
		l := p.admit(p.ask(noon(), 60)).Lease
		l.User = q.ID // a lease of the same id, in the wrong account
		q.settle(l, 50)
		q.wantMoney(noon(), 0, 0, 0)
		p.wantMoney(noon(), 0, 0, 60)
		if got := p.records(); got != nil {
			p.Errorf("records = %v, want none", got)
		}
	}},
}

// full is a record with nothing left out.
func full(l admission.Lease) usage.Record {
	r := record(l, 12_345_678_901)
	r.Project, r.Tags, r.ClientID, r.Stream = "proj", []string{"a", "ü\"\n"}, "client\u2028id", true
	r.Status, r.Error, r.Finish, r.Attempts, r.Rotations = 499, "canceled", "length", 3, 1
	r.InputTokens, r.CachedTokens, r.CacheWriteTokens, r.OutputTokens, r.ReasoningTokens = 1, 2, 3, 4, 5
	r.Estimated, r.Unpriced, r.Unsettled, r.Partial, r.FailOpen = true, true, true, true, true
	r.TTFT, r.Duration, r.Overhead = 123456789, 2*time.Second, 42
	r.Skipped = []string{"memory", "cache"}
	return r
}
