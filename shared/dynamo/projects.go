package dynamo

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

var errBusyProject = errors.New("the project changed under every try")

func noProject(id string) error { return fault.New(fault.NotFound, "There is no project %q.", id) }

func projectExists(id string) error {
	return fault.New(fault.Conflict, "There is a project %q already.", id)
}

// CreateProject implements admission.Projects. One that has members already is
// changed, and called created only when the budget holds for all of them, so
// that a creation that failed half-way can be repeated.
func (s *Store) CreateProject(ctx context.Context, p admission.Project) (admission.ProjectAccount, error) {
	a, err := s.createProject(ctx, p)
	return a, known(ctx, "create project", err)
}

func (s *Store) createProject(ctx context.Context, p admission.Project) (admission.ProjectAccount, error) {
	var t trips
	for range maxChanges {
		f := newFund(p)
		err := s.put(ctx, &t, &dynamodb.PutItemInput{
			TableName: &s.state, Item: f.item(),
			ConditionExpression: aws.String("attribute_not_exists(pk)"), ReturnValuesOnConditionCheckFailure: oldIfFail,
		})
		old, exists := refused(err)
		if !exists {
			return (&books{fund: f}).account(), err
		}
		if f, err = readFund(old); err != nil {
			return admission.ProjectAccount{}, err
		}
		if !f.Created.IsZero() {
			if t.unknown && f.Created.Equal(p.Created) && f.Name == p.Name { // an earlier attempt of ours, whose answer was lost
				return s.Project(ctx, p.ID)
			}
			return admission.ProjectAccount{}, projectExists(p.ID)
		}
		version, err := s.setProject(ctx, f.version, p)
		if errors.Is(err, fault.Conflict) || errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return admission.ProjectAccount{}, err
		}
		if _, err := s.balance(ctx, &t, p.ID, admission.Month(time.Now())); err != nil {
			return admission.ProjectAccount{}, err
		}
		_, err = s.update(ctx, &t, &dynamodb.UpdateItemInput{
			TableName: &s.state, Key: fundKey(p.ID),
			UpdateExpression: aws.String("SET c = :c, v = v + :one"), ConditionExpression: aws.String("v = :v"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":c": moment(p.Created), ":one": one, ":v": n(version)},
		})
		if _, changed := refused(err); changed {
			continue
		}
		if err != nil {
			return admission.ProjectAccount{}, err
		}
		return s.Project(ctx, p.ID)
	}
	return admission.ProjectAccount{}, errBusyProject
}

// Project implements admission.Projects.
func (s *Store) Project(ctx context.Context, id string) (admission.ProjectAccount, error) {
	b, err := s.book(ctx, new(trips), id)
	if err != nil {
		return admission.ProjectAccount{}, fail(ctx, "project", err)
	}
	if b == nil {
		return admission.ProjectAccount{}, noProject(id)
	}
	return b.account(), nil
}

// ListProjects implements admission.Projects.
func (s *Store) ListProjects(ctx context.Context, after string, limit int) ([]admission.ProjectAccount, error) {
	var all []admission.ProjectAccount
	for len(all) < limit {
		want := min(limit-len(all), pageSize)
		ids, err := s.idPage(ctx, projectsKey, projectPrefix, after, want)
		if err != nil {
			return nil, fail(ctx, "list projects", err)
		}
		found, err := s.books(ctx, new(trips), ids...)
		if err != nil {
			return nil, fail(ctx, "list projects", err)
		}
		for _, id := range ids {
			if b := found[id]; b != nil { // else deleted a moment ago; the index is late
				all = append(all, b.account())
			}
		}
		if len(ids) < want {
			break
		}
		after = ids[len(ids)-1]
	}
	return all, nil
}

// UpdateProject implements admission.Projects: the project first, which decides
// for members that join from then on, then those that it has.
func (s *Store) UpdateProject(ctx context.Context, seen admission.ProjectAccount, p admission.Project) (admission.ProjectAccount, error) {
	p.ID = seen.ID
	if _, err := s.setProject(ctx, seen.Version, p); err != nil {
		return admission.ProjectAccount{}, known(ctx, "update project", err)
	}
	b, err := s.balance(ctx, new(trips), p.ID, admission.Month(time.Now()))
	if err != nil {
		return admission.ProjectAccount{}, known(ctx, "update project", err)
	}
	return b.account(), nil
}

// setProject gives the project the name and budget of p, if its version still
// is the one that was seen or somebody has done just that, and returns the
// version since then.
func (s *Store) setProject(ctx context.Context, seen int64, p admission.Project) (int64, error) {
	for range maxChanges {
		it, err := s.get(ctx, s.state, fundKey(p.ID))
		if err != nil {
			return 0, err
		}
		if it == nil {
			return 0, noProject(p.ID)
		}
		f, err := readFund(it)
		switch {
		case err != nil:
			return 0, err
		case f.version != seen && f.Name == p.Name && f.Month == p.Month:
			return f.version, nil
		case f.version != seen:
			return 0, fault.New(fault.Conflict, "The project %q has changed meanwhile.", p.ID)
		}
		_, err = s.update(ctx, new(trips), s.setInput(f, p))
		if _, changed := refused(err); !changed {
			return f.version + 1, err
		}
	}
	return 0, errBusyProject
}

// setInput moves what is left by the difference of the budgets. A month that
// begins meanwhile would start from the old one: the condition pins down which
// there are.
func (s *Store) setInput(f *fund, p admission.Project) *dynamodb.UpdateItemInput {
	var set, remove strings.Builder
	names := map[string]string{}
	condition := "v = :seen AND size(l) = :count"
	first := firstMonth(time.Now())
	i := 0
	for month := range f.left {
		path := "l.#" + strconv.Itoa(i)
		names["#"+strconv.Itoa(i)] = month
		condition += " AND attribute_exists(" + path + ")"
		if month < first {
			remove.WriteString(", " + path)
		} else {
			set.WriteString(", " + path + " = " + path + " + :by")
		}
		i++
	}
	values := map[string]types.AttributeValue{":seen": n(f.version), ":count": n(int64(len(f.left))), ":one": one,
		":name": str(p.Name), ":budget": n(int64(p.Month))}
	update := "SET v = v + :one, nm = :name, B = :budget" + set.String()
	if set.Len() > 0 {
		values[":by"] = n(int64(p.Month - f.Month))
	}
	if remove.Len() > 0 {
		update += " REMOVE " + strings.TrimPrefix(remove.String(), ", ")
	}
	if len(names) == 0 {
		names = nil // DynamoDB takes no empty map
	}
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: fundKey(f.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}
}

// DeleteProject implements admission.Projects.
func (s *Store) DeleteProject(ctx context.Context, id string) error {
	var t trips
	err := s.delete(ctx, &t, &dynamodb.DeleteItemInput{
		TableName: &s.state, Key: fundKey(id),
		ConditionExpression:                 aws.String("attribute_exists(pk) AND size(g) = :zero"),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":zero": n(0)},
		ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	old, failed := refused(err)
	switch {
	case failed && old != nil:
		return fault.New(fault.Conflict, "The project %q has members.", id)
	case failed && !t.unknown:
		return noProject(id)
	case err != nil && !failed:
		return fail(ctx, "delete project", err)
	}
	return nil
}
