package dynamo

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// maxDraws bounds the draws of one admission: requests of the same user may
// spend what it has drawn, one by one.
const maxDraws = 32

// roomFor is the condition that what is left at path, or the whole if nothing
// is taken yet, is enough.
func roomFor(path, whole, need string) string {
	return "((attribute_not_exists(" + path + ") AND " + whole + " >= " + need + ") OR " + path + " >= " + need + ")"
}

// draw makes room for est in a's grants of at's month. If it succeeds, it is
// worth asking for admission again; what it returns then, if anything, is still
// on its way and has to be taken along, or handed over. It fails with
// admission.OverProject if the project has no room.
//
// A draw is two writes, so that neither waits for other members as a
// transaction would: the project's gives it a number, and the account takes
// each number once, in order. What a crash leaves between them is completed by
// whoever sees it next.
func (s *Store) draw(ctx context.Context, t *trips, a *admission.Account, at time.Time, est usage.Nano) (*draw, error) {
	month := admission.Month(at)
	if a.Project == "" {
		return nil, admission.OverProject(a.ProjectLeft[month], est)
	}
	if a.ProjectLimit == frozen {
		return nil, s.thaw(ctx, t, a, month, est)
	}
	need := est - unused(a, month)
	amount, sure := s.funds.guess(a.Project, month, need)
	for range maxTries {
		d := draw{a.Draws + 1, amount, month}
		err := s.take(ctx, t, a, d, at, sure)
		if err == nil {
			s.funds.drew(a.Project, d)
			return &d, nil
		}
		old, ok := refused(err)
		switch {
		case !ok:
			return nil, err
		case old == nil:
			return nil, nil // deleted, and so without this member
		}
		f, err := readFund(old)
		if err != nil {
			return nil, err
		}
		switch last, in := f.draws[a.ID]; {
		case in && last.number == a.Draws+1:
			return nil, s.hand(ctx, t, a.ID, last)
		case !in || last.number != a.Draws:
			return nil, nil // others were faster: a is out of date
		}
		s.funds.note(f, month)
		left := f.leftOf(month)
		if left < need {
			if total, dry := s.funds.dry(f, a, month, need); dry {
				return nil, admission.OverProject(total, est)
			}
			return nil, s.recall(ctx, t, a, month, est)
		}
		amount, sure = grant(left, len(f.draws), need), true
	}
	return nil, nil // others draw at the same time
}

// take is the first half of a draw. Unless it is sure of the amount, there has
// to be plenty left.
func (s *Store) take(ctx context.Context, t *trips, a *admission.Account, d draw, at time.Time, sure bool) error {
	condition := "g.#u.n = :n AND " + roomFor("l.#m", "B", ":c")
	if !sure {
		condition += " AND " + roomFor("l.#m", "B", "w")
	}
	_, err := s.update(ctx, t, &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(a.Project), ConditionExpression: &condition,
		UpdateExpression:         aws.String("SET l.#m = if_not_exists(l.#m, B) - :c, g.#u = :d REMOVE l.#old"),
		ExpressionAttributeNames: map[string]string{"#u": a.ID, "#m": d.month, "#old": admission.Month(monthBefore(monthBefore(at)))},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":n": n(a.Draws), ":c": n(int64(d.amount)), ":d": d.attr(),
		},
		ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	return err
}

// hand is the second half of a draw. Whoever comes too late has nothing to do:
// the user has it already, or has left the project, which then took it back;
// that counts its gn up, too.
func (s *Store) hand(ctx context.Context, t *trips, user string, d draw) error {
	_, err := s.update(ctx, t, &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(user),
		UpdateExpression:         aws.String("SET p.#m = if_not_exists(p.#m, G) + :c, gn = :n"),
		ConditionExpression:      aws.String("gn = :before"),
		ExpressionAttributeNames: map[string]string{"#m": d.month},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":c": n(int64(d.amount)), ":n": n(d.number), ":before": n(d.number - 1),
		},
	})
	if _, late := refused(err); late {
		return nil
	}
	return err
}

// handAll completes the draws that were left half done, and says whether there
// were any.
func (s *Store) handAll(ctx context.Context, t *trips, b *books) (any bool, err error) {
	for _, m := range b.members {
		if d, ok := b.pending(m); ok {
			any = true
			if err := s.hand(ctx, t, m.ID, d); err != nil {
				return any, err
			}
		}
	}
	return any, nil
}

// recall is draw for a project without room: it grants to a what other members
// do not use, so that a budget refuses nothing before it is used up. It is a
// transaction, because both sides have conditions.
func (s *Store) recall(ctx context.Context, t *trips, a *admission.Account, month string, est usage.Nano) error {
	pause := firstPause
	for range maxChanges {
		b, err := s.book(ctx, t, a.Project)
		if err != nil || b == nil {
			return err
		}
		if found, err := s.handAll(ctx, t, b); err != nil {
			return err
		} else if found {
			continue
		}
		me, in := b.members[a.ID]
		if !in || me.ProjectLimit != granted {
			return nil // a is out of date
		}
		need := est - unused(me.Account, month)
		if need <= 0 {
			return nil
		}
		shifts, enough := b.collect(me, month, need)
		if !enough {
			if !b.steady {
				continue
			}
			s.funds.dried(b, month)
			return admission.OverProject(b.total(month), est)
		}
		err = s.transfer(ctx, t, b.fund, true, shifts...)
		switch {
		case err == nil && shifts[len(shifts)-1].ID == a.ID:
			return nil
		case err == nil: // many small sums; come again
		case !lostRace(err):
			return err
		case !sleep(ctx, pause):
			return err
		}
		pause = min(2*pause, maxPause)
	}
	return errBusyProject
}

// collect plans a transfer that grants what me needs: from what is left of the
// month's budget and from what others do not use, the most idle first. If they
// are too many for one transfer, the plan leaves me out. It says whether there
// is enough.
func (b *books) collect(me member, month string, need usage.Nano) (shifts []shift, enough bool) {
	left := b.leftOf(month)
	idle := b.idle(month, me.ID)
	there := left
	for _, m := range idle {
		there += unused(m.Account, month)
	}
	if there < need {
		return nil, false
	}
	amount := grant(there, len(b.members), need)
	missing := amount - left
	for _, m := range idle[:min(len(idle), maxShifts-1)] {
		if missing <= 0 {
			break
		}
		part := min(missing, unused(m.Account, month))
		shifts = append(shifts, shift{m, m.ProjectLimit, map[string]usage.Nano{month: -part}})
		missing -= part
	}
	if amount -= max(0, missing); amount >= need {
		shifts = append(shifts, shift{me, granted, map[string]usage.Nano{month: amount}})
	}
	return shifts, true
}

// idle are the members but one that do not use all of their grants, those with
// most of it first.
func (b *books) idle(month, but string) []member {
	var idle []member
	for _, m := range b.members {
		if m.ID != but && m.ProjectLimit < unlimited && unused(m.Account, month) > 0 {
			idle = append(idle, m)
		}
	}
	slices.SortFunc(idle, func(x, y member) int {
		return cmp.Compare(unused(y.Account, month), unused(x.Account, month))
	})
	return idle
}

// thaw is draw for an account that is frozen.
func (s *Store) thaw(ctx context.Context, t *trips, a *admission.Account, month string, est usage.Nano) error {
	if total, dry := s.funds.dry(nil, a, month, est-unused(a, month)); dry {
		return admission.OverProject(total, est)
	}
	b, err := s.balance(ctx, t, a.Project, month)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.members[a.ID].Account == nil || b.members[a.ID].ProjectLimit != frozen {
		return nil
	}
	s.funds.dried(b, month)
	return admission.OverProject(b.total(month), est)
}
