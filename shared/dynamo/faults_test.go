package dynamo_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// bench is a store behind a wire, and another that sees through it.
type bench struct {
	*testing.T
	wire   *wire
	store  *dynamo.Store
	calm   *dynamo.Store
	state  string
	ledger string
}

func newBench(t *testing.T) *bench {
	state, ledger := newTables(t)
	w := newWire(t)
	return &bench{T: t, wire: w, state: state, ledger: ledger, calm: open(dynamotest.Client(t), state, ledger),
		store: open(dynamotest.ClientOf(w.URL), state, ledger)}
}

func (b *bench) account(user string) admission.Account {
	b.Helper()
	a, err := b.calm.User(b.Context(), user)
	if err != nil {
		b.Fatalf("User = %v", err)
	}
	return a
}

// wantMoney compares what the user has spent today, and holds.
func (b *bench) wantMoney(user string, at time.Time, spent, reserved usage.Nano) {
	b.Helper()
	a := b.account(user)
	day, month := a.Spent(at)
	if day != spent || month != spent || a.Reserved() != reserved {
		b.Errorf("spent on the day, in the month, reserved = %d, %d, %d, want %d, %d, %d", day, month, a.Reserved(), spent, spent, reserved)
	}
}

func (b *bench) records(user string) []usage.Record {
	b.Helper()
	var all []usage.Record
	for r, err := range b.calm.Records(b.Context(), user, time.Unix(0, 0), time.Now().AddDate(1, 0, 0)) {
		if err != nil {
			b.Fatalf("Records = %v", err)
		}
		all = append(all, r)
	}
	return all
}

func TestEachTroubleLeavesARequestBookedOnce(t *testing.T) {
	b := newBench(t)
	for _, tr := range append(troubles, noReply) {
		t.Run(string(tr), func(t *testing.T) {
			b := &bench{T: t, wire: b.wire, store: b.store, calm: b.calm}
			if tr == noReply {
				b.store.Wait(300*time.Millisecond, time.Minute)
			}
			ask := newUser(t, b.calm, nil)
			at := time.Now()
			a := ask(at)

			b.wire.next("UpdateItem", tr, tr)
			g, err := b.store.Admit(t.Context(), a)
			if err != nil {
				t.Fatalf("Admit = %v", err)
			}
			if g.Lease.Reserved != a.Reserve || g.Writes < 2 {
				t.Errorf("Grant = %+v, want %d reserved in two writes or more", g, a.Reserve)
			}
			b.wantMoney(a.User, at, 0, a.Reserve)

			b.wire.next("UpdateItem", tr, tr)
			l, err := b.store.TopUp(t.Context(), g.Lease, 3*a.Reserve)
			if err != nil || l.Reserved != 3*a.Reserve {
				t.Fatalf("TopUp = %+v, %v, want %d reserved", l, err, 3*a.Reserve)
			}
			b.wantMoney(a.User, at, 0, 3*a.Reserve)

			b.wire.next("PutItem", tr, tr)
			won, err := b.store.Settle(t.Context(), l, realistic(l))
			if err != nil {
				t.Fatalf("Settle = %v", err)
			}
			b.wantMoney(a.User, at, won.Cost, 0)
			if got := b.records(a.User); len(got) != 1 {
				t.Errorf("%d records, want 1", len(got))
			}

			a = ask(at.Add(time.Second))
			if g, err = b.calm.Admit(t.Context(), a); err != nil {
				t.Fatalf("Admit = %v", err)
			}
			b.wire.next("UpdateItem", tr, tr)
			if _, err = b.store.Settle(t.Context(), g.Lease, realistic(g.Lease)); err != nil {
				t.Fatalf("Settle = %v", err)
			}
			b.wantMoney(a.User, at, 2*won.Cost, 0)
		})
	}
}

func TestEachTroubleLeavesOneChangeOfUsersAndKeys(t *testing.T) {
	b := newBench(t)
	for _, tr := range troubles {
		t.Run(string(tr), func(t *testing.T) {
			ctx := t.Context()
			u := admission.User{ID: "u-" + requestid.New(time.Now()), Active: true, Models: []string{"*"}, Burst: 1, Parallel: 5, Day: 5, Month: 5, Tokens: 5, Created: time.Now().UTC()}
			b.wire.next("PutItem", tr)
			a, err := b.store.CreateUser(ctx, u)
			if err != nil {
				t.Fatalf("CreateUser = %v", err)
			}
			if _, err := b.store.CreateUser(ctx, u); !errors.Is(err, fault.Conflict) {
				t.Errorf("CreateUser again = %v, want conflict", err)
			}
			_, hash := admission.NewKey(nil, u.ID)
			k := admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now().UTC()}
			for _, op := range []string{"PutItem", "UpdateItem", "GetItem"} {
				b.wire.next(op, tr)
				if err := b.store.PutKey(ctx, u.ID, k); err != nil {
					t.Fatalf("PutKey with trouble at %s = %v", op, err)
				}
			}
			b.wire.next("UpdateItem", tr)
			u.Day = 50
			if a, err = b.store.UpdateUser(ctx, a, u); err != nil || a.Day != 50 {
				t.Fatalf("UpdateUser = %+v, %v, want a day's budget of 50", a.User, err)
			}
			b.wire.next("UpdateItem", tr)
			if err := b.store.RevokeKey(ctx, u.ID, k.ID); err != nil {
				t.Fatalf("RevokeKey = %v", err)
			}
			b.wire.next("Query", tr)
			if keys, err := b.store.ListKeys(ctx, u.ID); err != nil || len(keys) != 1 || !keys[0].Revoked {
				t.Errorf("ListKeys = %+v, %v, want one revoked key", keys, err)
			}
			b.wire.next("BatchGetItem", tr)
			if users, err := b.store.ListUsers(ctx, "", 100); err != nil || len(users) != 1 {
				t.Errorf("ListUsers = %d users, %v, want 1", len(users), err)
			}
			b.wire.next("DeleteItem", tr)
			if err := b.store.DeleteUser(ctx, u.ID); err != nil {
				t.Fatalf("DeleteUser = %v", err)
			}
			if err := b.store.DeleteUser(ctx, u.ID); !errors.Is(err, fault.NotFound) {
				t.Errorf("DeleteUser again = %v, want not found", err)
			}
		})
	}
}

func repeat(t trouble, times int) []trouble {
	all := make([]trouble, times)
	for i := range all {
		all[i] = t
	}
	return all
}

func TestAdmissionThatNobodyHeardOfIsTakenBack(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, nil)
	a := ask(time.Now())
	b.wire.next("UpdateItem", repeat(lostReply, dynamo.MaxAttempts)...)
	if _, err := b.store.Admit(t.Context(), a); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("Admit = %v, want unavailable", err)
	}
	if b.wire.count() != dynamo.MaxAttempts+1 {
		t.Errorf("%d calls, want %d and a refund", b.wire.count(), dynamo.MaxAttempts)
	}
	b.wantMoney(a.User, a.Now, 0, 0)
}

func TestAdmissionThatCannotBeTakenBackIsSwept(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, nil)
	a := ask(time.Now().Add(-time.Hour))
	b.wire.set(func(string) trouble { return lostReply })
	if _, err := b.store.Admit(t.Context(), a); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("Admit = %v, want unavailable", err)
	}
	// The refund's reply is lost too, but the refund happened. A write that was
	// still under way may land after it:
	if _, err := b.calm.Admit(t.Context(), a); err != nil {
		t.Fatalf("Admit = %v", err)
	}
	swept := 0
	for l, err := range b.calm.Expired(t.Context(), time.Now().Add(-admission.Lifetime-admission.Grace)) {
		if err != nil {
			t.Fatalf("Expired = %v", err)
		}
		if _, err := b.calm.Settle(t.Context(), l, l.Unsettled()); err != nil {
			t.Fatalf("Settle = %v", err)
		}
		swept++
	}
	if got := b.records(a.User); swept != 1 || len(got) != 1 || !got[0].Unsettled {
		t.Errorf("%d leases swept into %+v, want one unsettled record", swept, got)
	}
	b.wantMoney(a.User, a.Now, a.Reserve, 0)
}

func TestLedgerThatCannotBeWrittenLeavesTheLease(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, nil)
	a := ask(time.Now())
	g, err := b.store.Admit(t.Context(), a)
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	b.wire.next("PutItem", repeat(throttled, dynamo.MaxAttempts)...)
	if _, err := b.store.Settle(t.Context(), g.Lease, realistic(g.Lease)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Settle = %v, want unavailable", err)
	}
	b.wantMoney(a.User, a.Now, 0, a.Reserve)
	if got := b.records(a.User); got != nil {
		t.Errorf("records = %+v, want none", got)
	}
}

// A crash between record and lease: the record wins over what the sweep says.
func TestRecordWinsOverTheSweep(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, nil)
	a := ask(time.Now())
	g, err := b.store.Admit(t.Context(), a)
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	r := realistic(g.Lease)
	b.wire.next("UpdateItem", repeat(broken, dynamo.MaxAttempts)...)
	if _, err := b.store.Settle(t.Context(), g.Lease, r); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("Settle = %v, want unavailable", err)
	}
	b.wantMoney(a.User, a.Now, 0, a.Reserve)
	won, err := b.calm.Settle(t.Context(), g.Lease, g.Lease.Unsettled())
	if err != nil || won.Cost != r.Cost || won.Unsettled {
		t.Errorf("Settle by the sweep = %+v, %v, want the record that is there", won, err)
	}
	b.wantMoney(a.User, a.Now, r.Cost, 0)
}

func TestDeadLeasesAreSweptWhenTheyAreInTheWay(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, func(u *admission.User) { u.Parallel = 3 })
	now := time.Now()
	long := now.Add(-admission.Lifetime - admission.Grace - time.Minute)
	var user string
	for i := range 3 {
		g, err := b.calm.Admit(t.Context(), ask(long.Add(time.Duration(i)*time.Second/5)))
		if err != nil {
			t.Fatalf("Admit = %v", err)
		}
		user = g.Lease.User
	}
	g, err := b.store.Admit(t.Context(), ask(now))
	if err != nil {
		t.Fatalf("Admit = %v, want the dead leases settled first", err)
	}
	if g.Writes != 2 || len(g.Expired) != 0 {
		t.Errorf("Writes, Expired = %d, %v, want 2, none", g.Writes, g.Expired)
	}
	if got := b.records(user); len(got) != 3 || !got[0].Unsettled || got[0].Project != "proj_tutor" {
		t.Errorf("records = %+v, want three unsettled ones", got)
	}
}

func TestStoreThatIsDownIsUnavailable(t *testing.T) {
	b := newBench(t)
	ask := newUser(t, b.calm, nil)
	for _, tr := range []trouble{throttled, conflict, overloaded, lostRequest} {
		b.wire.set(func(string) trouble { return tr })
		_, err := b.store.Admit(t.Context(), ask(time.Now()))
		if f := fault.As(err); f.Kind != fault.Unavailable || f.RetryAfter <= 0 {
			t.Errorf("%s: Admit = %v, want unavailable and when to try again", tr, err)
		}
		if got := b.wire.count(); got > dynamo.MaxAttempts+dynamo.MaxAttempts {
			t.Errorf("%s: %d calls, want a bounded number", tr, got)
		}
	}
	b.wire.Close()
	if _, err := b.store.Admit(t.Context(), ask(time.Now())); !errors.Is(err, fault.Unavailable) {
		t.Errorf("nobody listens: Admit = %v, want unavailable", err)
	}
}

func TestErrorsThatNoRetryCanCure(t *testing.T) {
	w := newWire(t)
	s := open(dynamotest.ClientOf(w.URL), "no-such-table", "no-such-table")
	a := admission.Ask{ID: requestid.New(time.Now()), User: "ada", KeyHash: "h", Scope: "inference", Now: time.Now()}
	if _, err := s.Admit(t.Context(), a); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Admit without a table = %v, want unavailable", err)
	}
	if got := w.count(); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Admit(ctx, a); !errors.Is(err, fault.Canceled) {
		t.Errorf("Admit for a client that left = %v, want canceled", err)
	}
}

// Whole requests on a wire that fails one call in four, and on one that fails
// more calls than not.
func TestStormLeavesAccountsAndLedgerInAgreement(t *testing.T) {
	t.Run("one in four", func(t *testing.T) { storm(t, 4) })
	t.Run("ten in sixteen", func(t *testing.T) { storm(t, 10) })
}

// storm fails so many calls in sixteen.
func storm(t *testing.T, failing int) {
	const (
		workers, each = 8, 8
		budget        = 50_000
	)
	b := newBench(t)
	ask := newUser(t, b.calm, func(u *admission.User) { u.Rate, u.Day, u.Month, u.Tokens = 0, budget, budget, admission.NoTokenLimit })
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	b.wire.set(func(string) trouble { // under the wire's lock
		if dice.IntN(16) >= failing {
			return fine
		}
		return troubles[dice.IntN(len(troubles))]
	})

	at := time.Now().Add(-time.Hour) // so that what is left open can be swept
	user := ask(at).User
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		admitted = map[string]bool{}
		outcomes = map[string]int{}
	)
	note := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			outcomes[what]++
			return
		}
		k := fault.As(err).Kind
		outcomes[what+" "+string(k)]++
		if k != fault.Unavailable && k != fault.Quota {
			t.Errorf("%s = %v, want unavailable or quota", what, err)
		}
	}
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				a := ask(at.Add(time.Duration(w*each+i) * time.Millisecond))
				a.Reserve = usage.Nano(1000 + i)
				g, err := b.store.Admit(t.Context(), a)
				if note("Admit", err); err != nil {
					continue
				}
				mu.Lock()
				admitted[a.ID] = true
				mu.Unlock()
				l := g.Lease
				raised, err := b.store.TopUp(t.Context(), l, 1500)
				if note("TopUp", err); err == nil {
					l = raised
				}
				r := realistic(l)
				r.Cost = l.Reserved - usage.Nano(i)
				_, err = b.store.Settle(t.Context(), l, r)
				note("Settle", err)
				if now := b.account(user); now.DayLeft[admission.Day(at)] < 0 {
					t.Errorf("%d is left of the day's budget: it was exceeded", now.DayLeft[admission.Day(at)])
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%v", outcomes)

	// What stayed open belongs to failed calls; the sweep ends it.
	for l, err := range b.calm.Expired(t.Context(), time.Now().Add(-admission.Lifetime-admission.Grace)) {
		if err != nil {
			t.Fatalf("Expired = %v", err)
		}
		if _, err := b.calm.Settle(t.Context(), l, l.Unsettled()); err != nil {
			t.Fatalf("Settle = %v", err)
		}
	}
	var sum usage.Nano
	for _, r := range b.records(user) {
		sum += r.Cost
		if !admitted[r.ID] && !r.Unsettled {
			t.Errorf("record %s of a request that was never admitted", r.ID)
		}
		delete(admitted, r.ID)
	}
	if len(admitted) > 0 {
		t.Errorf("%d admitted requests without a record", len(admitted))
	}
	if sum == 0 || sum > budget {
		t.Errorf("spent %d in all, want something up to %d", sum, budget)
	}
	b.wantMoney(user, at, sum, 0)
}
