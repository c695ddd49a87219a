package dynamo

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Membership is in both items, and changes in both at once. What open requests
// hold goes from one project to the other, so the conditions pin down all of
// the account's money that concerns them.

// enroll makes a's grants those of a new member of f; nil if there is no such
// project, yet.
func enroll(a *admission.Account, f *fund) {
	a.ProjectLimit, a.ProjectLeft = unlimited, map[string]usage.Nano{}
	if f != nil {
		a.ProjectLimit = f.state()
	}
	// A late half of an old draw must not fit, even of another account by this
	// name: the number is higher than ever before.
	a.Draws = max(a.Draws+1, time.Now().UnixMilli())
}

// joinPart adds a, enrolled and without grants, to f, which pays for its open
// requests from then on; to a new project if f is nil. A budget that is set or
// removed meanwhile cancels it: it would not hold for a.
func (s *Store) joinPart(f *fund, a *admission.Account) types.TransactWriteItem {
	held := fresh(a.Held())
	if f == nil {
		f = newFund(admission.NewProject(a.Project))
		f.draws[a.ID] = draw{number: a.Draws}
		for month, money := range held {
			f.left[month] = f.Month - money
		}
		return types.TransactWriteItem{Put: &types.Put{TableName: &s.state, Item: f.item(), ConditionExpression: aws.String("attribute_not_exists(pk)")}}
	}
	budget := "B >= :none"
	if f.state() == granted {
		budget = "B < :none"
	}
	names := map[string]string{"#u": a.ID}
	values := map[string]types.AttributeValue{":d": draw{number: a.Draws}.attr(), ":plenty": n(int64(plenty)), ":none": none, ":most": n(maxMembers)}
	update := "SET w = w + :plenty, g.#u = :d"
	update += leftParts(names, values, held, -1)
	return asUpdate(&dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(f.ID), UpdateExpression: &update,
		ConditionExpression:      aws.String(budget + " AND attribute_not_exists(g.#u) AND size(g) < :most"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}

// leavePart removes a from f, which takes back what a was granted and has not
// spent: also what is still on its way to it, as the condition knows.
func (s *Store) leavePart(f *fund, a *admission.Account) types.TransactWriteItem {
	names := map[string]string{"#u": a.ID}
	values := map[string]types.AttributeValue{":d": f.draws[a.ID].attr(), ":plenty": n(int64(plenty))}
	update := "SET w = w - :plenty"
	update += leftParts(names, values, f.back(a), 1)
	update += " REMOVE g.#u"
	return asUpdate(&dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(f.ID), UpdateExpression: &update, ConditionExpression: aws.String("g.#u = :d"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}

// leftParts are those of an update that add money to what is left of a
// project's months, or, with the sign -1, take it away.
func leftParts(names map[string]string, values map[string]types.AttributeValue, money map[string]usage.Nano, sign usage.Nano) string {
	var update strings.Builder
	for month, m := range money {
		id := strconv.Itoa(len(names))
		names["#"+id], values[":"+id] = month, n(int64(sign*m))
		update.WriteString(", l.#" + id + " = if_not_exists(l.#" + id + ", B) + :" + id)
	}
	return update.String()
}

// back is what f takes back when a leaves, by month.
func (f *fund) back(a *admission.Account) map[string]usage.Nano {
	back := a.Held()
	for month := range a.ProjectLeft {
		back[month] += unused(a, month)
	}
	if d := f.draws[a.ID]; d.number == a.Draws+1 {
		back[d.month] += d.amount
	}
	return fresh(back)
}

// fresh leaves out months that matter to nobody any more.
func fresh(money map[string]usage.Nano) map[string]usage.Nano {
	maps.DeleteFunc(money, func(month string, _ usage.Nano) bool { return !matters(month) })
	return money
}

func matters(month string) bool { return month >= firstMonth(time.Now()) }

// joined reads the project that a user is to join; nil if it has to be made.
func (s *Store) joined(ctx context.Context, id string) (*fund, error) {
	it, err := s.get(ctx, s.state, fundKey(id))
	if err != nil || it == nil {
		return nil, err
	}
	f, err := readFund(it)
	if err == nil && len(f.draws) >= maxMembers {
		err = fault.New(fault.Conflict, "The project %q has %d members; there cannot be more.", id, maxMembers)
	}
	return f, err
}

// create writes a new account and makes it a member.
func (s *Store) create(ctx context.Context, t *trips, a *admission.Account) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		f, err := s.joined(ctx, a.Project)
		if err != nil {
			return err
		}
		enroll(a, f)
		err = s.transact(ctx, t, types.TransactWriteItem{Put: &types.Put{
			TableName: &s.state, Item: item(a), ConditionExpression: aws.String("attribute_not_exists(pk)"),
		}}, s.joinPart(f, a))
		if _, taken := refusedPart(err, 0); taken {
			return userExists(a.ID)
		}
		if !lostRace(err) || pause == maxPause || !sleep(ctx, pause) {
			return err
		}
	}
}

// ends are the projects that a user moves between. They are read once, as long
// as they are not what a try fails on: a busy account is soon out of date.
type ends struct {
	read     bool
	from, to *fund // nil if there is none, yet
}

// move turns now into next, which is in another project. If now is out of date
// the first condition is the one that fails.
func (s *Store) move(ctx context.Context, t *trips, e *ends, now, next *admission.Account) (err error) {
	if !e.read {
		if e.from, err = s.left(ctx, now.Project); err != nil {
			return err
		}
		if e.to = nil; next.Project != "" {
			if e.to, err = s.joined(ctx, next.Project); err != nil {
				return err
			}
		}
		e.read = true
	}
	enroll(next, e.to)
	items := []types.TransactWriteItem{asUpdate(s.changeInput(now, next))}
	if e.from != nil {
		items = append(items, s.leavePart(e.from, now))
	}
	if next.Project != "" {
		items = append(items, s.joinPart(e.to, next))
	}
	err = s.transact(ctx, t, items...)
	for i := 1; i < len(items); i++ {
		if _, changed := refusedPart(err, i); changed {
			e.read = false
		}
	}
	if err == nil {
		s.settleEnds(ctx, e, now, next)
	}
	return err
}

// left reads the project that a user is to leave; nil without one.
func (s *Store) left(ctx context.Context, id string) (*fund, error) {
	if id == "" {
		return nil, nil
	}
	it, err := s.get(ctx, s.state, fundKey(id))
	if err != nil {
		return nil, err
	}
	f, err := readFund(it)
	if err == nil {
		f.ID = id // of one that is gone: the user must have left it, too
	}
	return f, err
}

// settleEnds balances the projects that a move may have left overdrawn: by what
// the user's open requests hold, or by what it owed. If it fails, the next to
// balance them does that.
func (s *Store) settleEnds(ctx context.Context, e *ends, now, next *admission.Account) {
	owes := func(f *fund, money map[string]usage.Nano, sign usage.Nano) bool {
		for _, m := range money {
			if m*sign < 0 {
				return f != nil && f.state() == granted
			}
		}
		return false
	}
	month := admission.Month(time.Now())
	if e.from != nil && owes(e.from, e.from.back(now), 1) {
		_, _ = s.balance(ctx, new(trips), e.from.ID, month)
	}
	if owes(e.to, next.Held(), -1) {
		_, _ = s.balance(ctx, new(trips), e.to.ID, month)
	}
}

// remove deletes an account that is in a project. If it is out of date the
// first condition is the one that fails.
func (s *Store) remove(ctx context.Context, t *trips, a *admission.Account) error {
	f, err := s.left(ctx, a.Project)
	if err != nil {
		return err
	}
	err = s.transact(ctx, t, types.TransactWriteItem{Delete: &types.Delete{
		TableName: &s.state, Key: accountKey(a.ID),
		ConditionExpression: aws.String("size(L) = :zero AND pj = :project AND p = :p AND G = :G"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":zero": n(0), ":project": str(a.Project),
			":p": numbers(a.ProjectLeft), ":G": n(int64(a.ProjectLimit))},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}, s.leavePart(f, a))
	if err == nil {
		s.settleEnds(ctx, &ends{from: f}, a, &admission.Account{})
	}
	return err
}
