package dynamo

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	// pageSize is how many users are read at once: a BatchGetItem's limit.
	pageSize = 100
	// maxChanges bounds the tries of a change that requests may get in the way
	// of: they do so when a minute, day or month begins.
	maxChanges = 10
	// manyPeriods is where a change of limits prunes before it adjusts.
	manyPeriods = 20
)

var (
	errUnprocessed = errors.New("some items were left out")
	errBusyUser    = errors.New("the user changed under every try")
)

func noUser(id string) error { return fault.New(fault.NotFound, "There is no user %q.", id) }

// CreateUser implements admission.Users.
func (s *Store) CreateUser(ctx context.Context, u admission.User) (admission.Account, error) {
	a := admission.NewAccount(u)
	a.Version = 1
	it := item(a)
	var t trips
	err := s.put(ctx, &t, &dynamodb.PutItemInput{
		TableName: &s.state, Item: it,
		ConditionExpression: aws.String("attribute_not_exists(pk)"), ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	old, exists := refused(err)
	switch {
	case exists && t.unknown && reflect.DeepEqual(old, it): // an earlier attempt of ours, whose answer was lost
	case exists:
		return admission.Account{}, fault.New(fault.Conflict, "There is a user %q already.", u.ID)
	case err != nil:
		return admission.Account{}, fail(ctx, "create user", err)
	}
	return *a, nil
}

// User implements admission.Users.
func (s *Store) User(ctx context.Context, id string) (admission.Account, error) {
	it, err := s.get(ctx, s.state, accountKey(id))
	if err != nil {
		return admission.Account{}, fail(ctx, "user", err)
	}
	if it == nil {
		return admission.Account{}, noUser(id)
	}
	a, err := account(it)
	if err != nil {
		return admission.Account{}, fail(ctx, "user", err)
	}
	return *a, nil
}

// ListUsers implements admission.Users.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]admission.Account, error) {
	var all []admission.Account
	for len(all) < limit {
		want := min(limit-len(all), pageSize)
		ids, err := s.userPage(ctx, after, want)
		if err != nil {
			return nil, fail(ctx, "list users", err)
		}
		items, err := s.accountItems(ctx, ids, "")
		if err != nil {
			return nil, fail(ctx, "list users", err)
		}
		for _, id := range ids {
			it, ok := items[id]
			if !ok {
				continue // deleted a moment ago; the index is late
			}
			a, err := account(it)
			if err != nil {
				return nil, fail(ctx, "list users", err)
			}
			all = append(all, *a)
		}
		if len(ids) < want {
			break
		}
		after = ids[len(ids)-1]
	}
	return all, nil
}

// userPage returns the ids of the first users after the given one: fewer than
// limit only if there are no more.
func (s *Store) userPage(ctx context.Context, after string, limit int) ([]string, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.state, IndexName: aws.String(usersIndex),
		KeyConditionExpression:    aws.String("gu = :u AND pk > :after"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":u": str(indexKey), ":after": str(userPrefix + after)},
	}
	var ids []string
	for {
		in.Limit = aws.Int32(int32(limit - len(ids)))
		out, err := s.query(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			r := reader{item: it}
			ids = append(ids, strings.TrimPrefix(r.str("pk"), userPrefix))
		}
		if out.LastEvaluatedKey == nil || len(ids) >= limit {
			return ids, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// accountItems reads the items of up to pageSize users, by id. An empty
// projection means everything.
func (s *Store) accountItems(ctx context.Context, ids []string, projection string) (map[string]map[string]types.AttributeValue, error) {
	found := make(map[string]map[string]types.AttributeValue, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	want := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	if projection != "" {
		want.ProjectionExpression = &projection
	}
	for _, id := range ids {
		want.Keys = append(want.Keys, accountKey(id))
	}
	pending := map[string]types.KeysAndAttributes{s.state: want}
	err := s.call(ctx, new(trips), func(ctx context.Context) error {
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: pending}, tune)
		if err != nil {
			return err
		}
		for _, it := range out.Responses[s.state] {
			r := reader{item: it}
			found[strings.TrimPrefix(r.str("pk"), userPrefix)] = it
		}
		if pending = out.UnprocessedKeys; len(pending) > 0 {
			return errUnprocessed
		}
		return nil
	})
	return found, err
}

// UpdateUser implements admission.Users. Amounts left are moved, not set, so
// that concurrent requests count; and the condition pins down which periods
// exist, because one that begins meanwhile would start from the old limit.
func (s *Store) UpdateUser(ctx context.Context, seen admission.Account, u admission.User) (admission.Account, error) {
	var t trips
	now := seen.Clone()
	for range maxChanges {
		for old := stale(&now, time.Now()); len(old) > manyPeriods; old = stale(&now, time.Now()) {
			if err := s.prune(ctx, &now, old); err != nil {
				return admission.Account{}, fail(ctx, "update user", err)
			}
		}
		next := now.Clone()
		next.Set(u)
		out, err := s.update(ctx, &t, s.changeInput(&now, &next))
		if err == nil {
			a, err := account(out.Attributes)
			if err != nil {
				return admission.Account{}, fail(ctx, "update user", err)
			}
			return *a, nil
		}
		old, ok := refused(err)
		switch {
		case !ok:
			return admission.Account{}, fail(ctx, "update user", err)
		case old == nil:
			return admission.Account{}, noUser(seen.ID)
		}
		a, err := account(old)
		if err != nil {
			return admission.Account{}, fail(ctx, "update user", err)
		}
		if t.unknown && a.Version == next.Version && reflect.DeepEqual(settings(a), settings(&next)) {
			return *a, nil // an earlier attempt of ours, whose answer was lost
		}
		if a.Version != seen.Version {
			return admission.Account{}, fault.New(fault.Conflict, "The user %q has changed meanwhile.", seen.ID)
		}
		now = *a
	}
	return admission.Account{}, fail(ctx, "update user", errBusyUser)
}

// changeInput turns now into next, if its settings and periods are still those
// of now.
func (s *Store) changeInput(now, next *admission.Account) *dynamodb.UpdateItemInput {
	names := map[string]string{}
	values := map[string]types.AttributeValue{":seen": n(now.Version), ":v": n(next.Version), ":c": moment(next.Created),
		":span": n(next.Gap + next.Inc)}
	condition, update := "v = :seen", "SET v = :v, c = :c, gate = tat - :span"
	for name, v := range settings(next) {
		values[":"+name] = v
		update += ", " + name + " = :" + name
	}
	adjust := func(kind string, periods []string, delta int64) {
		if delta == 0 {
			return // whole periods and begun ones alike
		}
		values[":count_"+kind] = n(int64(len(periods)))
		condition += " AND size(" + kind + ") = :count_" + kind
		if len(periods) > 0 {
			values[":by_"+kind] = n(delta)
		}
		for i, p := range periods {
			name := "#" + kind + strconv.Itoa(i)
			names[name] = p
			path := kind + "." + name
			condition += " AND attribute_exists(" + path + ")"
			update += ", " + path + " = " + path + " + :by_" + kind
		}
	}
	adjust("d", slices.Collect(maps.Keys(now.DayLeft)), int64(next.Day-now.Day))
	adjust("m", slices.Collect(maps.Keys(now.MonthLeft)), int64(next.Month-now.Month))
	adjust("t", slices.Collect(maps.Keys(now.TokensLeft)), next.Tokens-now.Tokens)
	if len(names) == 0 {
		names = nil // DynamoDB takes no empty map
	}
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(now.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValues: allNew, ReturnValuesOnConditionCheckFailure: oldIfFail,
	}
}

// prune removes periods from the item and from a.
func (s *Store) prune(ctx context.Context, a *admission.Account, periods []string) error {
	names := make(map[string]string, len(periods))
	paths := make([]string, len(periods))
	for i, p := range periods {
		name := "#" + strconv.Itoa(i)
		names[name], paths[i] = p[1:], p[:1]+"."+name
		switch p[:1] {
		case "d":
			delete(a.DayLeft, p[1:])
		case "m":
			delete(a.MonthLeft, p[1:])
		case "t":
			delete(a.TokensLeft, p[1:])
		case "p":
			delete(a.ProjectLeft, p[1:])
		}
	}
	_, err := s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(a.ID), ConditionExpression: aws.String("attribute_exists(pk)"),
		UpdateExpression: aws.String("REMOVE " + strings.Join(paths, ", ")), ExpressionAttributeNames: names,
	})
	if _, gone := refused(err); gone {
		return nil // who asks next finds out
	}
	return err
}

// DeleteUser implements admission.Users: the account first, which ends its
// keys, then what describes them.
func (s *Store) DeleteUser(ctx context.Context, id string) error {
	var t trips
	err := s.delete(ctx, &t, &dynamodb.DeleteItemInput{
		TableName: &s.state, Key: accountKey(id),
		ConditionExpression:                 aws.String("attribute_exists(pk) AND size(L) = :zero"),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":zero": n(0)},
		ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	old, failed := refused(err)
	switch {
	case failed && old != nil:
		return fault.New(fault.Conflict, "The user %q has open requests.", id)
	case err != nil && !failed:
		return fail(ctx, "delete user", err)
	}
	// An account that is gone may have been left half deleted.
	if err := s.deleteKeys(ctx, id); err != nil {
		return fail(ctx, "delete user", err)
	}
	if failed && !t.unknown {
		return noUser(id)
	}
	return nil
}
