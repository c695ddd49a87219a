package dynamo_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Parts of expressions, by which the wire knows what a request is.
const (
	firstHalf  = "REMOVE l.#old"    // of a draw
	secondHalf = ", gn = :gn"       // of a draw, as a part of an admission
	handOver   = "+ :c, gn = :n"    // of a draw, alone
	transfers  = "SET x = x + :one" // between a project and its members
)

// project creates a project with a monthly budget.
func (b *bench) project(month usage.Nano) string {
	b.Helper()
	p := admission.Project{ID: "proj-" + requestid.New(time.Now()), Name: "Tutor", Month: month, Created: time.Now().UTC()}
	if _, err := b.calm.CreateProject(b.Context(), p); err != nil {
		b.Fatalf("CreateProject = %v", err)
	}
	return p.ID
}

// member creates a member of the project and returns its asks for so much.
func (b *bench) member(project string) func(reserve usage.Nano) admission.Ask {
	b.Helper()
	ask := newUser(b.T, b.calm, func(u *admission.User) {
		u.Project, u.Rate, u.Tokens, u.Day, u.Month = project, 0, admission.NoTokenLimit, usage.None, usage.None
	})
	return func(reserve usage.Nano) admission.Ask {
		a := ask(time.Now())
		a.Reserve = reserve
		return a
	}
}

func (b *bench) admit(s *dynamo.Store, a admission.Ask) admission.Lease {
	b.Helper()
	g, err := s.Admit(b.Context(), a)
	if err != nil {
		b.Fatalf("Admit = %v", err)
	}
	return g.Lease
}

func (b *bench) settle(s *dynamo.Store, l admission.Lease, cost usage.Nano) {
	b.Helper()
	r := realistic(l)
	r.Cost, r.Project = cost, l.Project
	if _, err := s.Settle(b.Context(), l, r); err != nil {
		b.Fatalf("Settle = %v", err)
	}
}

func (b *bench) move(s *dynamo.Store, user, project string) {
	b.Helper()
	seen := b.account(user)
	u := seen.User
	u.Project = project
	if _, err := s.UpdateUser(b.Context(), seen, u); err != nil {
		b.Fatalf("UpdateUser = %v", err)
	}
}

func (b *bench) projectAccount(id string) admission.ProjectAccount {
	b.Helper()
	p, err := b.calm.Project(b.Context(), id)
	if err != nil {
		b.Fatalf("Project = %v", err)
	}
	return p
}

// wantProject compares what a project has spent and reserved this month.
func (b *bench) wantProject(id string, spent, reserved usage.Nano) {
	b.Helper()
	p, month := b.projectAccount(id), admission.Month(time.Now())
	if p.Spent[month] != spent || p.Reserved[month] != reserved {
		b.Errorf("project spent, reserved = %d, %d, want %d, %d", p.Spent[month], p.Reserved[month], spent, reserved)
	}
}

// wantLeft spends exactly what should be left of the project, as a new member.
func (b *bench) wantLeft(id string, left usage.Nano) {
	b.Helper()
	ask := b.member(id)
	if _, err := b.calm.Admit(b.Context(), ask(left+1)); !errors.Is(err, fault.Quota) {
		b.Errorf("Admit of one more than %d = %v, want quota", left, err)
	}
	if _, err := b.calm.Admit(b.Context(), ask(left)); err != nil {
		b.Errorf("Admit of the %d that are left = %v", left, err)
	}
}

// in is b for a subtest.
func (b *bench) in(t *testing.T) *bench {
	b.wire.set(nil)
	return &bench{T: t, wire: b.wire, store: b.store, calm: b.calm, state: b.state, ledger: b.ledger}
}

func (b *bench) setBudget(s *dynamo.Store, project string, month usage.Nano) {
	b.Helper()
	seen := b.projectAccount(project)
	p := seen.Project
	p.Month = month
	if _, err := s.UpdateProject(b.Context(), seen, p); err != nil {
		b.Fatalf("UpdateProject = %v", err)
	}
}

func TestEachTroubleLeavesProjectsExact(t *testing.T) {
	b := newBench(t)
	for _, tr := range append([]trouble{canceled}, troubles...) {
		t.Run(string(tr), func(t *testing.T) {
			b := b.in(t)
			ctx := t.Context()
			const budget = 1_000_000
			id := b.project(budget)
			ask := b.member(id)
			halves := tr
			if tr == canceled {
				halves = conflict // as a single write hears of it
			}
			b.wire.at(firstHalf, halves, halves)
			l := b.admit(b.store, ask(5000))
			b.wantProject(id, 0, 5000)
			b.wire.at(handOver, halves, halves)
			l, err := b.store.TopUp(ctx, l, 300_000)
			if err != nil {
				t.Fatalf("TopUp = %v", err)
			}
			b.wire.at(secondHalf, halves, halves)
			b.settle(b.store, b.admit(b.store, ask(400_000)), 100)
			b.wantProject(id, 100, 300_000)

			// 299,900 are left, and 399,900 of the 699,900 are granted to the one.
			other := b.member(id)
			b.wire.at(transfers, tr, tr)
			m := b.admit(b.store, other(699_900))
			b.wantProject(id, 100, 999_900)
			b.settle(b.store, m, 0)
			b.settle(b.store, l, 300_000)
			b.wantProject(id, 300_100, 0)

			for _, month := range []usage.Nano{usage.None, 500_000} {
				b.wire.at(transfers, tr, tr)
				b.setBudget(b.store, id, month)
				b.wantProject(id, 300_100, 0)
			}
			m = b.admit(b.calm, other(1000))
			to := b.project(budget)
			b.wire.next("TransactWriteItems", tr, tr)
			b.move(b.store, m.User, to)
			b.wantProject(id, 300_100, 0)
			b.wantProject(to, 0, 1000)
			b.settle(b.store, m, 1000)

			l = b.admit(b.calm, ask(1000))
			r, err := b.calm.Settle(ctx, l, l.Unsettled())
			if err != nil {
				t.Fatalf("Settle = %v", err)
			}
			b.wantProject(id, 301_100, 0)
			b.wire.next("TransactWriteItems", tr, tr)
			if back, err := b.store.WriteOff(ctx, r.User, r.ID); err != nil || back.Cost != -1000 {
				t.Errorf("WriteOff = %+v, %v, want -1000", back, err)
			}
			b.wantProject(id, 300_100, 0)

			b.wire.next("TransactWriteItems", tr, tr)
			if err := b.store.DeleteUser(ctx, l.User); err != nil {
				t.Errorf("DeleteUser = %v", err)
			}
			b.wantProject(id, 300_100, 0)
			b.wantLeft(id, 500_000-300_100)

			u := b.account(m.User).User
			u.ID = "bob-" + requestid.New(time.Now())
			b.wire.next("TransactWriteItems", tr, tr)
			if _, err := b.store.CreateUser(ctx, u); err != nil {
				t.Errorf("CreateUser = %v", err)
			}
			b.wantProject(to, 1000, 0)
			b.wantLeft(to, budget-1000)
		})
	}
}

func TestTroubleWithProjectsThemselves(t *testing.T) {
	b := newBench(t)
	for _, tr := range troubles {
		t.Run(string(tr), func(t *testing.T) {
			b := b.in(t)
			ctx := t.Context()
			p := admission.Project{ID: "proj-" + requestid.New(time.Now()), Month: 100, Created: time.Now().UTC()}
			b.wire.next("PutItem", tr)
			if _, err := b.store.CreateProject(ctx, p); err != nil {
				t.Fatalf("CreateProject = %v", err)
			}
			if _, err := b.store.CreateProject(ctx, p); !errors.Is(err, fault.Conflict) {
				t.Errorf("CreateProject again = %v, want conflict", err)
			}
			b.wire.next("UpdateItem", tr)
			b.setBudget(b.store, p.ID, 200)
			b.wire.next("BatchGetItem", tr, tr)
			if got, err := b.store.Project(ctx, p.ID); err != nil || got.Month != 200 {
				t.Errorf("Project = %+v, %v, want a budget of 200", got, err)
			}
			b.wire.next("Query", tr)
			if all, err := b.store.ListProjects(ctx, "", 100); err != nil || len(all) == 0 {
				t.Errorf("ListProjects = %d, %v, want some", len(all), err)
			}
			b.wire.next("DeleteItem", tr)
			if err := b.store.DeleteProject(ctx, p.ID); err != nil {
				t.Errorf("DeleteProject = %v", err)
			}
			if err := b.store.DeleteProject(ctx, p.ID); !errors.Is(err, fault.NotFound) {
				t.Errorf("DeleteProject again = %v, want not found", err)
			}
		})
	}
}

// Others get in the way of a transaction more often than of a single write.
func TestTransactionThatMeetsOthersAgainAndAgain(t *testing.T) {
	b := newBench(t)
	id := b.project(100)
	u := b.account(b.member("")(0).User).User
	u.ID, u.Project = "new-"+id, id
	b.wire.next("TransactWriteItems", repeat(canceled, dynamo.MaxAttempts-1)...)
	if _, err := b.store.CreateUser(t.Context(), u); err != nil {
		t.Errorf("CreateUser = %v", err)
	}
}

// A change of the budget that did not reach the members is completed by doing
// it again.
func TestBudgetChangedHalfWay(t *testing.T) {
	for name, again := range map[string]func(b *bench, id string) error{
		"as it was seen first": nil,
		"as it is": func(b *bench, id string) error {
			seen := b.projectAccount(id)
			_, err := b.calm.UpdateProject(b.Context(), seen, seen.Project)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			id := "proj-" + requestid.New(time.Now())
			ask := b.member(id)
			b.settle(b.calm, b.admit(b.calm, ask(70)), 60)
			p := admission.Project{ID: id, Month: 100, Created: time.Now().UTC()}
			seen := b.projectAccount(id)

			b.wire.set(func(op string) trouble {
				if op == "TransactWriteItems" {
					return broken
				}
				return fine
			})
			_, err := b.store.UpdateProject(t.Context(), seen, p)
			if !errors.Is(err, fault.Unavailable) {
				t.Fatalf("UpdateProject = %v, want unavailable", err)
			}
			if again == nil {
				_, err = b.calm.UpdateProject(t.Context(), seen, p)
			} else {
				err = again(b, id)
			}
			if err != nil {
				t.Fatalf("UpdateProject again = %v", err)
			}
			if _, err := b.calm.Admit(t.Context(), ask(41)); !errors.Is(err, fault.Quota) {
				t.Errorf("Admit = %v, want quota", err)
			}
			b.wantProject(id, 60, 0)
			b.wantLeft(id, 40)
			p.Month = 300
			if _, err = b.calm.UpdateProject(t.Context(), seen, p); !errors.Is(err, fault.Conflict) {
				t.Errorf("another UpdateProject = %v, want conflict", err)
			}
		})
	}
	t.Run("by creating it", func(t *testing.T) {
		b := newBench(t)
		p := admission.Project{ID: "proj-" + requestid.New(time.Now()), Month: 100, Created: time.Now().UTC()}
		ask := b.member(p.ID)
		b.wire.next("TransactWriteItems", repeat(throttled, dynamo.MaxAttempts)...)
		if _, err := b.store.CreateProject(t.Context(), p); !errors.Is(err, fault.Unavailable) {
			t.Fatalf("CreateProject = %v, want unavailable", err)
		}
		if _, err := b.calm.CreateProject(t.Context(), p); err != nil {
			t.Fatalf("CreateProject again = %v", err)
		}
		if _, err := b.calm.Admit(t.Context(), ask(101)); !errors.Is(err, fault.Quota) {
			t.Errorf("Admit = %v, want quota", err)
		}
	})
}

// Requests, moves and changes of the budget on a wire that fails one call in
// four.
func TestStormLeavesProjectsAndLedgerInAgreement(t *testing.T) {
	const budget = 60_000
	b := newBench(t)
	ids := []string{b.project(budget), b.project(budget)}
	var asks []func(usage.Nano) admission.Ask
	for i := range 6 {
		asks = append(asks, b.member(ids[i%2]))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	b.wire.set(func(op string) trouble { // under the wire's lock
		switch {
		case dice.IntN(16) >= 4:
			return fine
		case op == "TransactWriteItems" && dice.IntN(2) == 0:
			return canceled
		}
		return troubles[dice.IntN(len(troubles))]
	})
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		outcomes = map[string]int{}
	)
	note := func(what string, err error) error {
		mu.Lock()
		defer mu.Unlock()
		kind := fault.Kind("ok")
		if err != nil {
			kind = fault.As(err).Kind
		}
		outcomes[what+" "+string(kind)]++
		switch kind {
		case "ok", fault.Unavailable, fault.Quota, fault.Conflict:
		default:
			t.Errorf("%s = %v, want unavailable, quota or conflict", what, err)
		}
		return err
	}
	for i, ask := range asks {
		wg.Go(func() {
			for turn := range 10 {
				g, err := b.store.Admit(t.Context(), ask(usage.Nano(2000+100*i)))
				if note("Admit", err) == nil {
					l, err := b.store.TopUp(t.Context(), g.Lease, 4000)
					if note("TopUp", err) != nil {
						l = g.Lease
					}
					r := realistic(l)
					r.Cost, r.Project = l.Reserved-usage.Nano(turn), l.Project
					_, err = b.store.Settle(t.Context(), l, r)
					note("Settle", err)
				}
				if turn%4 == i%4 {
					seen := b.account(ask(0).User)
					u := seen.User
					u.Project = ids[(i+turn/4)%2]
					_, err := b.store.UpdateUser(t.Context(), seen, u)
					note("UpdateUser", err)
				}
				if i == 0 && turn%3 == 2 {
					seen := b.projectAccount(ids[1])
					p := seen.Project
					p.Month = []usage.Nano{usage.None, budget}[turn/3%2]
					_, err := b.store.UpdateProject(t.Context(), seen, p)
					note("UpdateProject", err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%v", outcomes)

	for l, err := range b.calm.Expired(t.Context(), time.Now().Add(time.Hour)) {
		if err != nil {
			t.Fatalf("Expired = %v", err)
		}
		if _, err := b.calm.Settle(t.Context(), l, l.Unsettled()); err != nil {
			t.Fatalf("Settle = %v", err)
		}
	}
	var sum, spent usage.Nano
	for _, ask := range asks {
		for _, r := range b.records(ask(0).User) {
			sum += r.Cost
		}
	}
	month := admission.Month(time.Now())
	for _, id := range ids {
		b.setBudget(b.calm, id, 10*budget)
		p := b.projectAccount(id)
		spent += p.Spent[month]
		if p.Reserved[month] != 0 {
			t.Errorf("reserved = %d, want 0", p.Reserved[month])
		}
		b.wantLeft(id, 10*budget-p.Spent[month])
	}
	if sum == 0 || spent != sum {
		t.Errorf("projects spent %d, want %d as the ledger says", spent, sum)
	}
}
