// Package storetest is the contract of the admission stores as tests: every
// backend runs all of it, so that none of them is lenient in its own way.
//
// Time is supplied: asks carry their own Now and ids their own moment, all of
// them within the next weeks, so that nothing here waits and no store has a
// reason to consider them stale. Every subtest works on users of its own.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Stores is one backend, usually one value in six roles.
type Stores struct {
	Admission admission.Store
	Users     admission.Users
	Keys      admission.Keys
	Ledger    admission.Ledger
	Projects  admission.Projects
	WriteOffs admission.WriteOffs
}

// Run runs the whole suite. It calls open once per subtest; backends may
// return the same tables each time.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Key", keyCases},
		{"Rate", rateCases},
		{"Budget", budgetCases},
		{"Lease", leaseCases},
		{"Settle", settleCases},
		{"Users", userCases},
		{"Keys", keysCases},
		{"Ledger", ledgerCases},
		{"Race", raceCases},
		{"Projects", projectCases},
		{"Members", memberCases},
		{"Overdraft", overdraftCases},
		{"WriteOff", writeOffCases},
		{"ProjectRace", projectRaceCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.run(&suite{Stores: open(t), T: t}) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(s *suite)
}

// suite is one subtest at work on one backend.
type suite struct {
	Stores
	*testing.T
}

// noon is the moment at which most subtests happen: tomorrow, so that clocks
// and ids of other tests cannot meet it.
func noon() time.Time { return time.Now().UTC().Truncate(24 * time.Hour).Add(36 * time.Hour) }

// midnight is the first moment of the month after noon's.
func midnight() time.Time {
	n := noon()
	return time.Date(n.Year(), n.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// person is a user with one good key.
type person struct {
	*suite
	admission.User
	key admission.Key
}

// newPerson creates a user without limits, changed by limit, and a key that
// may do everything.
func (s *suite) newPerson(limit func(u *admission.User)) *person {
	s.Helper()
	u := admission.User{
		ID: "t-" + requestid.New(time.Now()), Name: "Test", Active: true, Models: []string{"*"},
		Burst: 1, Parallel: admission.DefaultParallel, Tokens: admission.NoTokenLimit,
		Day: usage.None, Month: usage.None, Created: time.Now().UTC().Truncate(time.Second),
	}
	if limit != nil {
		limit(&u)
	}
	if _, err := s.Users.CreateUser(s.Context(), u); err != nil {
		s.Fatalf("CreateUser = %v", err)
	}
	p := &person{suite: s, User: u, key: newKey(u.ID)}
	p.put(p.key)
	return p
}

func newKey(user string) admission.Key {
	key, hash := admission.NewKey([]byte("pepper"), user)
	return admission.Key{ID: admission.KeyID(hash), Hash: hash, Name: "test", Hint: key[len(key)-4:],
		Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now().UTC().Truncate(time.Second)}
}

func (p *person) put(k admission.Key) {
	p.Helper()
	if err := p.Keys.PutKey(p.Context(), p.ID, k); err != nil {
		p.Fatalf("PutKey = %v", err)
	}
}

// ask is a request for money of p's at the given moment.
func (p *person) ask(at time.Time, reserve usage.Nano) admission.Ask {
	return admission.Ask{ID: requestid.New(at), User: p.ID, KeyHash: p.key.Hash, Scope: "inference",
		Model: "openai/gpt-4o-mini", Provider: "openai", Reserve: reserve, Lease: true, Now: at}
}

// touch is a request of p's that calls no model.
func (p *person) touch(at time.Time) admission.Ask {
	return admission.Ask{ID: requestid.New(at), User: p.ID, KeyHash: p.key.Hash, Scope: "inference", Now: at}
}

// admit fails the test unless a is let in.
func (p *person) admit(a admission.Ask) admission.Grant {
	p.Helper()
	g, err := p.Admission.Admit(p.Context(), a)
	if err != nil {
		p.Fatalf("Admit = %v, want a grant", err)
	}
	return g
}

// refused fails the test unless a is refused with the kind.
func (p *person) refused(a admission.Ask, kind fault.Kind) *fault.Error {
	p.Helper()
	_, err := p.Admission.Admit(p.Context(), a)
	return wantKind(p.T, "Admit", err, kind)
}

// settle books cost for l and returns the record that won.
func (p *person) settle(l admission.Lease, cost usage.Nano) usage.Record {
	p.Helper()
	return p.settleRecord(l, record(l, cost))
}

func (p *person) settleRecord(l admission.Lease, r usage.Record) usage.Record {
	p.Helper()
	won, err := p.Admission.Settle(p.Context(), l, r)
	if err != nil {
		p.Fatalf("Settle = %v", err)
	}
	return won
}

func (p *person) account() admission.Account {
	p.Helper()
	a, err := p.Users.User(p.Context(), p.ID)
	if err != nil {
		p.Fatalf("User = %v", err)
	}
	return a
}

// wantMoney compares what p has spent on t's day and month, and holds in all.
func (p *person) wantMoney(t time.Time, day, month, reserved usage.Nano) {
	p.Helper()
	a := p.account()
	gotDay, gotMonth := a.Spent(t)
	if got, want := [3]usage.Nano{gotDay, gotMonth, a.Reserved()}, [3]usage.Nano{day, month, reserved}; got != want {
		p.Errorf("spent on the day, in the month, reserved = %d, want %d", got, want)
	}
}

// records are all of p's records.
func (p *person) records() []usage.Record {
	p.Helper()
	return p.recordsIn(time.Unix(0, 0), noon().AddDate(1, 0, 0))
}

func (p *person) recordsIn(from, to time.Time) []usage.Record {
	p.Helper()
	var all []usage.Record
	for r, err := range p.Ledger.Records(p.Context(), p.ID, from, to) {
		if err != nil {
			p.Fatalf("Records = %v", err)
		}
		all = append(all, r)
	}
	return all
}

// expired are p's leases admitted before the given time.
func (p *person) expired(before time.Time) []admission.Lease {
	p.Helper()
	var mine []admission.Lease
	for l, err := range p.Admission.Expired(p.Context(), before) {
		if err != nil {
			p.Fatalf("Expired = %v", err)
		}
		if l.User == p.ID {
			mine = append(mine, l)
		}
	}
	return mine
}

// record is a plausible record of l's request.
func record(l admission.Lease, cost usage.Nano) usage.Record {
	return usage.Record{ID: l.ID, Time: l.Admitted.UTC(), User: l.User, Key: "key", Operation: "chat", Asked: "openai/gpt-4o-mini",
		Provider: "openai", Model: "gpt-4o-mini", Status: 200, Finish: "stop", Attempts: 1, Cost: cost, Reserved: l.Reserved}
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) *fault.Error {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s = %v, want a fault of kind %q", what, err, kind)
	}
	f := fault.As(err)
	if f.Kind != kind {
		t.Fatalf("%s = %v: outermost kind is %q, want %q", what, err, f.Kind, kind)
	}
	if f.Message == "" {
		t.Errorf("%s: a fault of kind %q needs a message for the client", what, kind)
	}
	return f
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// parallel calls f(0) … f(n-1), each on its own goroutine, as nearly at one
// instant as goroutines allow, and returns their errors.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) []error {
	start, done := make(chan struct{}), make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		go func() {
			<-start
			errs[i] = f(ctx, i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}
