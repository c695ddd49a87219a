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
	// maxChanges bounds the tries of a change that requests may get in the way
	// of: they do so when a minute, day or month begins.
	maxChanges = 10
	// maxMoves is maxChanges for changes that any request gets in the way of.
	maxMoves = 50
	// manyPeriods is where a change of limits prunes before it adjusts.
	manyPeriods = 20
)

var errBusyUser = errors.New("the user changed under every try")

func noUser(id string) error { return fault.New(fault.NotFound, "There is no user %q.", id) }

func userExists(id string) error {
	return fault.New(fault.Conflict, "There is a user %q already.", id)
}

// CreateUser implements admission.Users.
func (s *Store) CreateUser(ctx context.Context, u admission.User) (admission.Account, error) {
	a := admission.NewAccount(u)
	a.Version = 1
	var t trips
	if u.Project != "" {
		if err := s.create(ctx, &t, a); err != nil {
			return admission.Account{}, known(ctx, "create user", err)
		}
		return *a, nil
	}
	it := item(a)
	err := s.put(ctx, &t, &dynamodb.PutItemInput{
		TableName: &s.state, Item: it,
		ConditionExpression: aws.String("attribute_not_exists(pk)"), ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	old, exists := refused(err)
	switch {
	case exists && t.unknown && reflect.DeepEqual(old, it): // an earlier attempt of ours, whose answer was lost
	case exists:
		return admission.Account{}, userExists(u.ID)
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
		ids, err := s.idPage(ctx, indexKey, userPrefix, after, want)
		if err != nil {
			return nil, fail(ctx, "list users", err)
		}
		items, err := s.items(ctx, new(trips), userPrefix, ids, "")
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

// UpdateUser implements admission.Users. Amounts left are moved, not set, so
// that concurrent requests count; and the condition pins down which periods
// exist, because one that begins meanwhile would start from the old limit.
func (s *Store) UpdateUser(ctx context.Context, seen admission.Account, u admission.User) (admission.Account, error) {
	var (
		t trips
		e ends
	)
	now, tries := seen.Clone(), maxChanges
	if u.Project != seen.Project {
		tries = maxMoves
	}
	for range tries {
		for old := stale(&now, time.Now()); len(old) > manyPeriods; old = stale(&now, time.Now()) {
			if err := s.prune(ctx, &now, old); err != nil {
				return admission.Account{}, fail(ctx, "update user", err)
			}
		}
		next := now.Clone()
		next.Set(u)
		a, err := s.change(ctx, &t, &e, &now, &next)
		if err == nil {
			return *a, nil
		}
		old, ok := refused(err)
		if !ok {
			old, ok = refusedPart(err, 0)
		}
		switch {
		case !ok && lostRace(err) && sleep(ctx, firstPause):
			continue
		case !ok:
			return admission.Account{}, known(ctx, "update user", err)
		case old == nil:
			return admission.Account{}, noUser(seen.ID)
		}
		if a, err = account(old); err != nil {
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

// change turns now into next.
func (s *Store) change(ctx context.Context, t *trips, e *ends, now, next *admission.Account) (*admission.Account, error) {
	if next.Project != now.Project {
		if err := s.move(ctx, t, e, now, next); err != nil {
			return nil, err
		}
		a, err := s.User(ctx, now.ID)
		return &a, err
	}
	out, err := s.update(ctx, t, s.changeInput(now, next))
	if err != nil {
		return nil, err
	}
	return account(out.Attributes)
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
	if next.Project != now.Project {
		condition += " AND p = :p AND G = :G AND L = :L"
		values[":p"], values[":G"], values[":L"] = numbers(now.ProjectLeft), n(int64(now.ProjectLimit)), numbers(now.Leases)
		update += ", p = :grants, G = :state, gn = :draws"
		values[":grants"], values[":state"], values[":draws"] = numbers(next.ProjectLeft), n(int64(next.ProjectLimit)), n(next.Draws)
	}
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
	err := s.deleteAccount(ctx, &t, id)
	gone := errors.Is(err, fault.NotFound)
	if err != nil && !gone {
		return known(ctx, "delete user", err)
	}
	// An account that is gone may have been left half deleted.
	if err := s.deleteKeys(ctx, id); err != nil {
		return fail(ctx, "delete user", err)
	}
	if gone && !t.unknown {
		return err
	}
	return nil
}

func (s *Store) deleteAccount(ctx context.Context, t *trips, id string) error {
	err := s.delete(ctx, t, &dynamodb.DeleteItemInput{
		TableName: &s.state, Key: accountKey(id),
		ConditionExpression:                 aws.String("pj = :nowhere AND size(L) = :zero"),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":nowhere": str(""), ":zero": n(0)},
		ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	for range maxMoves {
		old, failed := refused(err)
		if !failed {
			old, failed = refusedPart(err, 0)
		}
		switch {
		case failed && old == nil:
			return noUser(id)
		case !failed && !lostRace(err):
			return err
		}
		if !failed { // the project has changed
			if old, err = s.get(ctx, s.state, accountKey(id)); err != nil {
				return err
			}
			if old == nil {
				return noUser(id)
			}
		}
		a, broken := account(old)
		switch {
		case broken != nil:
			return broken
		case len(a.Leases) > 0:
			return fault.New(fault.Conflict, "The user %q has open requests.", id)
		}
		err = s.remove(ctx, t, a)
	}
	if err != nil {
		return errBusyUser
	}
	return nil
}
