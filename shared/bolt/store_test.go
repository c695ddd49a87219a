package bolt

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/storetest"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		s := openTest(t, t.TempDir())
		return storetest.Stores{Admission: s, Users: s, Keys: s, Ledger: s, Projects: s, WriteOffs: s}
	})
}

// TestContractWithTheLedger is the same with everything moved to the ledger at
// once, where TestContract finds it in the journal still.
func TestContractWithTheLedger(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		s := openTest(t, t.TempDir())
		return storetest.Stores{Admission: saved{s}, Users: s, Keys: s, Ledger: s, Projects: s, WriteOffs: saved{s}}
	})
}

type saved struct{ *Store }

func (s saved) Settle(ctx context.Context, l admission.Lease, r usage.Record) (usage.Record, error) {
	won, err := s.Store.Settle(ctx, l, r)
	return won, errors.Join(err, s.Flush(ctx))
}

func (s saved) WriteOff(ctx context.Context, user, id string) (usage.Record, error) {
	back, err := s.Store.WriteOff(ctx, user, id)
	if err != nil {
		return back, err
	}
	return back, s.Flush(ctx)
}

// TestReopenedAccountsAreTheSame compares what users see of a store with what
// they see of it after a restart, a clean one and another.
func TestReopenedAccountsAreTheSame(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := t.TempDir()
		s := openQuiet(t, dir, createFile)
		now := time.Now()
		for _, id := range []string{"early", "spender", "reborn", "changed"} {
			createTestUser(t, s, id, func(u *admission.User) { u.Day, u.Month = 1000, 2000 })
			settle(t, s, admit(t, s, testAsk(id, now, 50)).Lease, 30)
			settle(t, s, admit(t, s, testAsk(id, now.AddDate(0, 0, -1), 50)).Lease, 5)
		}

		// Records that were there before their leases, in the journal and in the ledger.
		for i := range 3 {
			ask := testAsk("early", now, 100)
			l := admission.Lease{ID: ask.ID, User: "early", Reserved: 100, Admitted: ask.Period()}
			settle(t, s, l, 7)
			if i == 1 {
				flush(t, s)
			}
			if i > 0 {
				admit(t, s, ask)
				settle(t, s, l, 100)
			}
		}

		settle(t, s, admit(t, s, testAsk("reborn", now, 900)).Lease, 900)
		if err := s.DeleteUser(t.Context(), "reborn"); err != nil {
			t.Fatal(err)
		}
		createTestUser(t, s, "reborn", func(u *admission.User) { u.Day, u.Month = 10, 10 })

		seen, err := s.User(t.Context(), "changed")
		if err != nil {
			t.Fatal(err)
		}
		u := seen.User
		u.Day, u.Month, u.Rate, u.Burst, u.Models = 500, usage.None, 0.5, 3, []string{"a", "b"}
		if _, err := s.UpdateUser(t.Context(), seen, u); err != nil {
			t.Fatal(err)
		}
		second := admission.Key{ID: "second", Hash: "2222222222222222222222", Models: []string{"b"}, Scopes: []string{"admin"}, Expires: now.Add(time.Hour)}
		if err := errors.Join(s.PutKey(t.Context(), "changed", second), s.RevokeKey(t.Context(), "changed", "changed")); err != nil {
			t.Fatal(err)
		}

		before := visible(t, s, now)
		if clean {
			flush(t, s)
		}
		s.kill()
		s = openTest(t, dir)
		if diff := cmp.Diff(before, visible(t, s, now)); diff != "" {
			t.Errorf("clean %v: accounts (-before +after):\n%s", clean, diff)
		}
		for user, want := range map[string]usage.Nano{"early": 35 + 2*7, "spender": 35, "reborn": 0, "changed": 35} {
			a, err := s.User(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			today, _ := a.Spent(now)
			yesterday, _ := a.Spent(now.AddDate(0, 0, -1))
			if today+yesterday != want {
				t.Errorf("clean %v: %s spent %d today and %d yesterday, want %d in all", clean, user, today, yesterday, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func flush(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// visible is all that users can see of their accounts, but for rates.
func visible(t *testing.T, s *Store, now time.Time) map[string]any {
	t.Helper()
	all, err := s.ListUsers(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, a := range all {
		keys, err := s.ListKeys(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		today, month := a.Left(now)
		yesterday, lastMonth := a.Left(now.AddDate(0, 0, -1))
		out[a.ID] = []any{a.User, a.Version, a.Keys, keys, len(a.Leases), today, month, yesterday, lastMonth}
	}
	return out
}

func TestKilledWithARecordAndALease(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", nil)
	ask := testAsk("u", time.Now(), 100)
	settle(t, s, admission.Lease{ID: ask.ID, User: "u", Reserved: 100, Admitted: ask.Period()}, 7)
	admit(t, s, ask)
	s.kill()
	s = openTest(t, dir)
	if all := checkBooks(t, s, "u"); len(all) != 1 || all[0].Cost != 7 || all[0].Unsettled {
		t.Errorf("records = %+v, want the one that was there first", all)
	}
}

// A request may hold the account of a user who is deleted meanwhile.
func TestDeletedAccountIsOfNoUse(t *testing.T) {
	s := openTest(t, t.TempDir())
	createTestUser(t, s, "u", nil)
	a := s.accounts["u"]
	if err := s.DeleteUser(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	s.accounts["u"] = a // as between the deletion and the removal from the map
	_, admitErr := s.Admit(t.Context(), testAsk("u", time.Now(), 1))
	_, userErr := s.User(t.Context(), "u")
	if !errors.Is(admitErr, fault.Unauthorized) || !errors.Is(userErr, fault.NotFound) {
		t.Errorf("Admit, User = %v, %v, want Unauthorized, NotFound", admitErr, userErr)
	}
}

func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}
