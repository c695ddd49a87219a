package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// WriteOff implements admission.WriteOffs: the record and the money in one
// transaction. The record is its own proof that it happened.
func (s *Store) WriteOff(ctx context.Context, user, id string) (usage.Record, error) {
	if _, err := admission.WriteOffID(id); err != nil {
		return usage.Record{}, err
	}
	r, err := s.Record(ctx, user, id)
	if err != nil {
		return usage.Record{}, err
	}
	back, err := admission.WriteOff(r)
	if err != nil {
		return usage.Record{}, err
	}
	pause := firstPause
	for range maxMoves {
		parts, err := s.returnParts(ctx, &r)
		if err != nil {
			return usage.Record{}, fail(ctx, "write off", err)
		}
		err = s.transact(ctx, new(trips), append([]types.TransactWriteItem{{Put: &types.Put{
			TableName: &s.ledger, Item: recordItem(&back),
			ConditionExpression: aws.String("attribute_not_exists(sk)"), ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}}, parts...)...)
		if err == nil {
			s.funds.forget(r.Project)
			return back, nil
		}
		if done, ok := refusedPart(err, 0); ok {
			back, err := record(done)
			if err != nil {
				return usage.Record{}, fail(ctx, "write off", err)
			}
			return back, nil
		}
		if !lostRace(err) || !sleep(ctx, pause) {
			return usage.Record{}, fail(ctx, "write off", err)
		}
		pause = min(2*pause, maxPause)
	}
	return usage.Record{}, fail(ctx, "write off", errBusyUser)
}

// returnParts give back what r cost to those who were charged, as they are now:
// to the user, unless it is another one, and to the project that paid: to what
// its member may spend of it, or else to the project itself.
func (s *Store) returnParts(ctx context.Context, r *usage.Record) ([]types.TransactWriteItem, error) {
	it, err := s.get(ctx, s.state, accountKey(r.User))
	if err != nil {
		return nil, err
	}
	a, err := account(it) // without one, nobody's
	if err != nil {
		return nil, err
	}
	var parts []types.TransactWriteItem
	paid := it != nil && a.Paid(r.Time)
	member := paid && a.Project == r.Project
	if paid {
		if part := s.returnPart(a, r, member); part != nil {
			parts = append(parts, *part)
		}
	}
	month := admission.Month(r.Time)
	if member || r.Project == "" || !matters(month) {
		return parts, nil
	}
	fund, err := s.get(ctx, s.state, fundKey(r.Project))
	if fund == nil || err != nil {
		return parts, err
	}
	return append(parts, asUpdate(&dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(r.Project), ConditionExpression: aws.String("attribute_exists(pk)"),
		UpdateExpression:          aws.String("SET l.#m = if_not_exists(l.#m, B) + :back"),
		ExpressionAttributeNames:  map[string]string{"#m": month},
		ExpressionAttributeValues: map[string]types.AttributeValue{":back": n(int64(r.Cost))},
	})), nil
}

// returnPart gives a back what r cost, in those of its periods that are still
// kept; nil if there are none. A member's grants begin empty, so they have no
// entry to look for.
func (s *Store) returnPart(a *admission.Account, r *usage.Record, member bool) *types.TransactWriteItem {
	names, values := map[string]string{}, map[string]types.AttributeValue{":back": n(int64(r.Cost)), ":project": str(a.Project), ":c": moment(a.Created)}
	update, condition := "SET", "pj = :project AND c = :c"
	add := func(path, whole string) {
		if update != "SET" {
			update += ","
		}
		update += " " + path + " = " + whole + " + :back"
	}
	own := func(kind string, left map[string]usage.Nano, period string) {
		if _, kept := left[period]; kept {
			path := kind + ".#" + kind
			names["#"+kind] = period
			condition += " AND attribute_exists(" + path + ")"
			add(path, path)
		}
	}
	own("d", a.DayLeft, admission.Day(r.Time))
	own("m", a.MonthLeft, admission.Month(r.Time))
	if month := admission.Month(r.Time); member && matters(month) {
		names["#p"] = month
		add("p.#p", "if_not_exists(p.#p, G)")
	}
	if len(names) == 0 {
		return nil
	}
	part := asUpdate(&dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(a.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	return &part
}
