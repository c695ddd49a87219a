package dynamo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Each of these is a write that was decided on before something else happened,
// and arrives after it.

const (
	flips  = "SET G = :to"
	joins  = "SET w = w + :plenty"
	leaves = "SET w = w - :plenty"
	sets   = "nm = :name"
)

func (b *bench) refused(a admission.Ask) {
	b.Helper()
	if _, err := b.calm.Admit(b.Context(), a); !admission.IsOverProject(err) {
		b.Errorf("Admit = %v, want the project to refuse", err)
	}
}

// crash lets nothing more through the wire.
func (b *bench) crash() { b.wire.set(func(string) trouble { return broken }) }

func TestBudgetThatWasRemovedAndSetAgain(t *testing.T) {
	b := newBench(t)
	id := b.project(100)
	ask := b.member(id)
	seen := b.projectAccount(id)
	p := seen.Project
	p.Month = usage.None
	b.wire.while(flips, func() {
		if _, err := b.store.UpdateProject(t.Context(), seen, p); !errors.Is(err, fault.Unavailable) {
			t.Errorf("UpdateProject = %v, want unavailable", err)
		}
	}, func() {
		b.setBudget(b.calm, id, 50)
		b.crash()
	})
	b.refused(ask(51))
	b.wantLeft(id, 50)
}

func TestUserThatIsCreatedWhenABudgetIsSet(t *testing.T) {
	b := newBench(t)
	for name, first := range map[string]bool{"for members": true, "for nobody yet": false} {
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			id := "proj-" + requestid.New(time.Now())
			if first {
				b.member(id)
			}
			u := b.account(b.member("")(0).User).User
			u.ID, u.Project = "new-"+id, id
			b.wire.while("attribute_not_exists(pk)", func() {
				if _, err := b.store.CreateUser(t.Context(), u); err != nil {
					t.Errorf("CreateUser = %v", err)
				}
			}, func() {
				if _, err := b.calm.CreateProject(t.Context(), admission.Project{ID: id, Month: 100, Created: time.Now()}); err != nil {
					t.Errorf("CreateProject = %v", err)
				}
			})
			if got := b.account(u.ID); !got.Budgeted() {
				t.Errorf("ProjectLimit = %d, want the project's budget to hold", got.ProjectLimit)
			}
		})
	}
}

func TestMonthThatBeginsWhenABudgetChanges(t *testing.T) {
	t.Run("in the project", func(t *testing.T) {
		b := newBench(t)
		id := b.project(100)
		ask := b.member(id)
		b.wire.while(sets, func() { b.setBudget(b.store, id, 200) }, func() { b.admit(b.calm, ask(60)) })
		b.wantProject(id, 0, 60)
		b.wantLeft(id, 140)
	})
	t.Run("in a member", func(t *testing.T) {
		b := newBench(t)
		id := b.project(usage.None)
		ask := b.member(id)
		b.wire.while(flips, func() { b.setBudget(b.store, id, 200) }, func() { b.admit(b.calm, ask(60)) })
		b.wantProject(id, 0, 60)
		b.wantLeft(id, 140)
	})
}

func TestMemberThatSpendsWhenItIsTakenBack(t *testing.T) {
	b := newBench(t)
	id := b.project(1000)
	idle, busy := b.member(id), b.member(id)
	b.settle(b.calm, b.admit(b.calm, idle(900)), 0)
	b.wire.while(transfers, func() {
		if _, err := b.store.Admit(t.Context(), busy(800)); !admission.IsOverProject(err) {
			t.Errorf("Admit = %v, want the project to refuse", err)
		}
	}, func() { b.admit(b.calm, idle(900)) })
	b.wantProject(id, 0, 900)
	b.wantLeft(id, 100)
}

func TestRequestsDuringAMove(t *testing.T) {
	for name, meanwhile := range map[string]func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask){
		"one that is opened":                  func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) { b.admit(b.calm, ask(30)) },
		"one that is settled at what it held": func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) { b.settle(b.calm, l, 100) },
		"one that is settled":                 func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) { b.settle(b.calm, l, 7) },
		"one that is opened and settled": func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) {
			b.settle(b.calm, b.admit(b.calm, ask(30)), 11)
		},
		"one that draws": func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) { b.admit(b.calm, ask(500)) },
		"one that draws and never ends": func(b *bench, l admission.Lease, ask func(usage.Nano) admission.Ask) {
			a := b.account(l.User)
			if err := b.calm.Take(b.Context(), &a, 500, time.Now()); err != nil {
				b.Errorf("Take = %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			from, to := b.project(1000), b.project(1000)
			ask := b.member(from)
			l := b.admit(b.calm, ask(100))
			b.wire.while(leaves, func() { b.move(b.store, l.User, to) }, func() { meanwhile(b, l, ask) })
			var spent, held usage.Nano
			for _, r := range b.records(l.User) {
				spent += r.Cost
			}
			a := b.account(l.User)
			held = a.Reserved()
			b.wantProject(from, spent, 0)
			b.wantProject(to, 0, held)
			b.wantLeft(from, 1000-spent)
			b.wantLeft(to, 1000-held)
		})
	}
}

func TestRecallDuringAMove(t *testing.T) {
	b := newBench(t)
	from, to := b.project(1000), b.project(1000)
	idle, busy := b.member(from), b.member(from)
	b.settle(b.calm, b.admit(b.calm, idle(900)), 0)
	b.wire.while(leaves, func() { b.move(b.store, idle(0).User, to) }, func() { b.admit(b.calm, busy(950)) })
	b.wantProject(from, 0, 950)
	b.wantLeft(from, 50)
	b.wantLeft(to, 1000)
}

func TestRecallDuringADeletion(t *testing.T) {
	b := newBench(t)
	id := b.project(1000)
	idle, busy := b.member(id), b.member(id)
	b.settle(b.calm, b.admit(b.calm, idle(900)), 0)
	b.wire.while(leaves, func() {
		if err := b.store.DeleteUser(t.Context(), idle(0).User); err != nil {
			t.Errorf("DeleteUser = %v", err)
		}
	}, func() { b.admit(b.calm, busy(950)) })
	b.wantProject(id, 0, 950)
	b.wantLeft(id, 50)
}

func TestRequestDuringADeletion(t *testing.T) {
	b := newBench(t)
	id := b.project(1000)
	ask := b.member(id)
	user := ask(0).User
	b.wire.while(leaves, func() {
		if err := b.store.DeleteUser(t.Context(), user); err != nil {
			t.Errorf("DeleteUser = %v", err)
		}
	}, func() { b.settle(b.calm, b.admit(b.calm, ask(60)), 50) })
	b.wantProject(id, 50, 0)
	b.wantLeft(id, 950)
}

func TestMoveDuringAWriteOff(t *testing.T) {
	b := newBench(t)
	from, to := b.project(1000), b.project(1000)
	l := b.admit(b.calm, b.member(from)(100))
	r, err := b.calm.Settle(t.Context(), l, l.Unsettled())
	if err != nil {
		t.Fatalf("Settle = %v", err)
	}
	b.wire.while("writes_off", func() {
		if _, err := b.store.WriteOff(t.Context(), r.User, r.ID); err != nil {
			t.Errorf("WriteOff = %v", err)
		}
	}, func() { b.move(b.calm, l.User, to) })
	b.wantProject(from, 0, 0)
	b.wantProject(to, 0, 0)
	b.wantMoney(l.User, time.Now(), 0, 0)
}

func TestUserThatIsReplacedDuringAWriteOff(t *testing.T) {
	b := newBench(t)
	id := b.project(1000)
	l := b.admit(b.calm, b.member(id)(100))
	r, err := b.calm.Settle(t.Context(), l, l.Unsettled())
	if err != nil {
		t.Fatalf("Settle = %v", err)
	}
	b.wire.while("writes_off", func() {
		if _, err := b.store.WriteOff(t.Context(), r.User, r.ID); err != nil {
			t.Errorf("WriteOff = %v", err)
		}
	}, func() {
		u := b.account(r.User).User
		if err := b.calm.DeleteUser(t.Context(), u.ID); err != nil {
			t.Errorf("DeleteUser = %v", err)
		}
		u.Created = time.Now().UTC()
		if _, err := b.calm.CreateUser(t.Context(), u); err != nil {
			t.Errorf("CreateUser = %v", err)
		}
		_, hash := admission.NewKey(nil, u.ID)
		if err := b.calm.PutKey(t.Context(), u.ID, admission.Key{ID: admission.KeyID(hash), Hash: hash, Scopes: []string{"inference"}}); err != nil {
			t.Errorf("PutKey = %v", err)
		}
		now := time.Now()
		b.settle(b.calm, b.admit(b.calm, admission.Ask{ID: requestid.New(now), User: u.ID, KeyHash: hash, Scope: "inference", Lease: true, Reserve: 30, Now: now}), 20)
	})
	b.wantProject(id, 20, 0)
	b.wantMoney(r.User, time.Now(), 20, 0)
	b.wantLeft(id, 980)
}

// An account is frozen because its project is overdrawn. It has to stay so if
// the project is overdrawn again by the time it is to be thawed.
func TestOverdraftWhenAnAccountIsThawed(t *testing.T) {
	b := newBench(t)
	id := b.project(300)
	ask, other := b.member(id), b.member(id)
	l := b.admit(b.calm, ask(100))
	b.setBudget(b.calm, id, 50)
	seen := b.projectAccount(id)
	p := seen.Project
	p.Month = 120
	b.wire.while(flips, func() {
		if _, err := b.store.UpdateProject(t.Context(), seen, p); !errors.Is(err, fault.Unavailable) {
			t.Errorf("UpdateProject = %v, want unavailable", err)
		}
	}, func() {
		b.settle(b.calm, b.admit(b.calm, other(20)), 70)
		b.crash()
	})
	b.settle(b.calm, l, 60)
	b.wantProject(id, 130, 0)
	b.refused(ask(1))
}

func TestMoneyThatIsDrawnBeforeItIsCollected(t *testing.T) {
	b := newBench(t)
	id := b.project(1000)
	idle, busy, third := b.member(id), b.member(id), b.member(id)
	b.settle(b.calm, b.admit(b.calm, idle(400)), 0)
	b.wire.while(transfers, func() {
		if _, err := b.store.Admit(t.Context(), busy(900)); !admission.IsOverProject(err) {
			t.Errorf("Admit = %v, want the project to refuse", err)
		}
	}, func() { b.admit(b.calm, third(550)) })
	b.wantProject(id, 0, 550)
	b.wantLeft(id, 450)
}

func TestProjectThatChangesWhileItIsRead(t *testing.T) {
	b := newBench(t)
	id, other := b.project(1000), b.project(1000)
	ask := b.member(id)
	month := admission.Month(time.Now())
	for what, meanwhile := range map[string]func(){
		"a draw": func() { b.settle(b.calm, b.admit(b.calm, ask(300)), 40) },
		"a move": func() { b.move(b.calm, ask(0).User, other) },
	} {
		var all []admission.ProjectAccount
		b.wire.while("pk, pj, p, G, gn, L", func() {
			var err error
			if all, err = b.store.ListProjects(t.Context(), "", 10); err != nil {
				t.Errorf("ListProjects = %v", err)
			}
		}, meanwhile)
		for _, got := range all {
			want := b.projectAccount(got.ID)
			if len(got.Members) != len(want.Members) || got.Spent[month] != want.Spent[month] || got.Reserved[month] != want.Reserved[month] {
				t.Errorf("ListProjects during %s = %+v, want %+v", what, got, want)
			}
		}
	}
}

func TestProjectThatIsDeletedWhenAUserJoins(t *testing.T) {
	b := newBench(t)
	id := b.project(100)
	u := b.account(b.member("")(0).User).User
	u.ID, u.Project = "late-"+id, id
	b.wire.while(joins, func() {
		if _, err := b.store.CreateUser(t.Context(), u); err != nil {
			t.Errorf("CreateUser = %v", err)
		}
	}, func() {
		if err := b.calm.DeleteProject(t.Context(), id); err != nil {
			t.Errorf("DeleteProject = %v", err)
		}
	})
	if p := b.projectAccount(id); len(p.Members) != 1 || p.Month != usage.None {
		t.Errorf("Project = %+v, want a new one with one member", p)
	}
	if err := b.calm.DeleteProject(t.Context(), id); !errors.Is(err, fault.Conflict) {
		t.Errorf("DeleteProject = %v, want conflict", err)
	}
}
