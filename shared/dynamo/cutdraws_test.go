package dynamo_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// cut makes a draw of the ask's user that is cut off between its halves.
func (b *bench) cut(project string, a admission.Ask, tr trouble) dynamo.Draw {
	b.Helper()
	b.wire.at(secondHalf, repeat(tr, dynamo.MaxAttempts)...)
	if _, err := b.store.Admit(b.Context(), a); !errors.Is(err, fault.Unavailable) {
		b.Fatalf("Admit = %v, want unavailable", err)
	}
	d, err := b.calm.LastDraw(b.Context(), project, a.User)
	if now := b.account(a.User); err != nil || !d.Pending(&now) {
		b.Fatalf("LastDraw = %+v, %v, want one that is on its way", d, err)
	}
	return d
}

func TestDrawCutInTwo(t *testing.T) {
	b := newBench(t)
	const budget = 1_000_000
	for _, tr := range []trouble{broken, throttled} {
		for name, then := range map[string]func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw){
			"is completed by the next request": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				b.settle(b.calm, b.admit(b.calm, ask(5000)), 4000)
				b.wantProject(project, 4000, 0)
				if a := b.account(ask(0).User); d.Pending(&a) {
					b.Error("the draw still is on its way")
				}
				b.wantLeft(project, budget-4000)
			},
			"is completed by a top-up": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				l := b.admit(b.calm, ask(0))
				if _, err := b.calm.TopUp(b.Context(), l, 5000); err != nil {
					b.Errorf("TopUp = %v", err)
				}
				b.wantLeft(project, budget-5000)
			},
			"is left to others who need it": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				b.wantLeft(project, budget)
			},
			"stays with the project that its member leaves": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				user := ask(0).User
				b.move(b.calm, user, "")
				b.wantProject(project, 0, 0)
				b.move(b.calm, user, project)
				late(b, user, d)
				b.wantLeft(project, budget)
			},
			"stays with the project when its member is deleted": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				u := b.account(ask(0).User).User
				if err := b.calm.DeleteUser(b.Context(), u.ID); err != nil {
					b.Fatalf("DeleteUser = %v", err)
				}
				b.wantProject(project, 0, 0)
				if _, err := b.calm.CreateUser(b.Context(), u); err != nil {
					b.Fatalf("CreateUser = %v", err)
				}
				late(b, u.ID, d)
				b.wantLeft(project, budget)
			},
			"cannot be spent if the budget is exceeded by then": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				b.settle(b.calm, b.admit(b.calm, b.member(project)(5000)), 5000)
				b.setBudget(b.calm, project, 4000)
				b.refused(ask(1))
				b.wantProject(project, 5000, 0)
			},
			"counts when the budget changes": func(b *bench, project string, ask func(usage.Nano) admission.Ask, d dynamo.Draw) {
				for _, month := range []usage.Nano{usage.None, 300_000} {
					b.setBudget(b.calm, project, month)
				}
				b.wantProject(project, 0, 0)
				b.wantLeft(project, 300_000)
			},
		} {
			t.Run(fmt.Sprintf("%s by a %s", name, tr), func(t *testing.T) {
				b := b.in(t)
				project := b.project(budget)
				ask := b.member(project)
				d := b.cut(project, ask(5000), tr)
				b.wantProject(project, 0, 0)
				then(b, project, ask, d)
			})
		}
	}
}

// late hands d over once more: it must not arrive.
func late(b *bench, user string, d dynamo.Draw) {
	b.Helper()
	before := b.account(user).ProjectLeft
	if err := b.calm.Hand(b.Context(), user, d); err != nil {
		b.Errorf("Hand = %v", err)
	}
	if after := b.account(user).ProjectLeft; fmt.Sprint(after) != fmt.Sprint(before) {
		b.Errorf("left of the grants after a late half of a draw = %v, want %v", after, before)
	}
}
