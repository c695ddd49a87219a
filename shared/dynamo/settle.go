package dynamo

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// errMoving is what is left when a lease changed under every try.
var errMoving = errors.New("the lease changed under every try")

// Settle implements admission.Store: the record first, then the lease.
func (s *Store) Settle(ctx context.Context, l admission.Lease, r usage.Record) (usage.Record, error) {
	r.ID, r.User = l.ID, l.User
	err := s.put(ctx, new(trips), &dynamodb.PutItemInput{
		TableName: &s.ledger, Item: recordItem(&r),
		ConditionExpression: aws.String("attribute_not_exists(sk)"), ReturnValuesOnConditionCheckFailure: oldIfFail,
	})
	if old, ok := refused(err); ok {
		if r, err = record(old); err != nil {
			return usage.Record{}, fail(ctx, "settle", err)
		}
	} else if err != nil {
		return usage.Record{}, fail(ctx, "settle", err)
	}
	if err := s.closeLease(ctx, l, r.Cost, admission.Tokens(r)); err != nil {
		return r, fail(ctx, "settle", err)
	}
	return r, nil
}

// closeLease removes l and books what it cost, once: whoever finds it gone has
// nothing to do.
func (s *Store) closeLease(ctx context.Context, l admission.Lease, cost usage.Nano, tokens int64) error {
	pruned := s.seen.stale(l.User)
	held := l.Reserved
	for range maxTries {
		_, err := s.update(ctx, new(trips), s.closeInput(l, held, cost, tokens, pruned))
		if err == nil {
			return nil
		}
		old, ok := refused(err)
		if !ok {
			return err
		}
		now, open, err := leaseIn(old, l.ID)
		if err != nil || !open {
			return err
		}
		held = now // a top-up whose answer was lost
	}
	return errMoving
}

func (s *Store) closeInput(l admission.Lease, held, cost usage.Nano, tokens int64, pruned []string) *dynamodb.UpdateItemInput {
	names := map[string]string{"#id": l.ID, "#d": admission.Day(l.Period()), "#m": admission.Month(l.Period()), "#t": admission.Minute(l.Period())}
	update := closeLease
	if len(pruned) > 0 {
		var b strings.Builder
		b.WriteString(closeLease)
		for i, p := range pruned {
			kind, period := p[:1], p[1:]
			if names["#"+kind] == period || kind == "p" && names["#m"] == period {
				continue // an expression may not name one path twice
			}
			name := "#" + strconv.Itoa(i)
			names[name] = period
			b.WriteString(", " + kind + "." + name)
		}
		update = b.String()
	}
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(l.User),
		UpdateExpression: &update, ConditionExpression: aws.String(holds), ExpressionAttributeNames: names,
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":cur": n(int64(held)), ":diff": n(int64(held - cost)), ":tok": n(l.Tokens - tokens),
		},
		ReturnValuesOnConditionCheckFailure: oldIfFail,
	}
}

// TopUp implements admission.Store with a compare-and-set on the lease.
func (s *Store) TopUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	for range maxTries {
		if reserved <= l.Reserved {
			return l, nil
		}
		more := n(int64(reserved - l.Reserved))
		_, err := s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
			TableName: &s.state, Key: accountKey(l.User),
			UpdateExpression: aws.String(topUp), ConditionExpression: aws.String(mayHold),
			ExpressionAttributeNames: map[string]string{"#id": l.ID, "#d": admission.Day(l.Period()), "#m": admission.Month(l.Period())},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":cur": n(int64(l.Reserved)), ":new": n(int64(reserved)), ":est": more,
			},
			ReturnValuesOnConditionCheckFailure: oldIfFail,
		})
		if err == nil {
			l.Reserved = reserved
			return l, nil
		}
		old, ok := refused(err)
		if !ok {
			return admission.Lease{}, fail(ctx, "top up", err)
		}
		a, err := account(old)
		if err != nil {
			return admission.Lease{}, fail(ctx, "top up", err)
		}
		held := a.Leases[l.ID]
		if _, err := a.TopUp(l, reserved); err != nil {
			return admission.Lease{}, err
		}
		l.Reserved = held // an earlier top-up, whose answer was lost: perhaps this very one
	}
	return admission.Lease{}, fail(ctx, "top up", errMoving)
}

// leaseIn returns what the lease with that id holds, without reading the rest
// of the item.
func leaseIn(it map[string]types.AttributeValue, id string) (held usage.Nano, open bool, err error) {
	r := reader{item: it}
	leases := reader{item: r.attrs("L"), err: r.err}
	_, open = leases.item[id]
	return usage.Nano(leases.num(id)), open, leases.err
}

// Expired implements admission.Store. It finds users by their index, so that
// nothing else in the table is read.
func (s *Store) Expired(ctx context.Context, before time.Time) iter.Seq2[admission.Lease, error] {
	return func(yield func(admission.Lease, error) bool) {
		for after := ""; ; {
			ids, err := s.userPage(ctx, after, pageSize)
			if err != nil {
				yield(admission.Lease{}, fail(ctx, "expired leases", err))
				return
			}
			items, err := s.accountItems(ctx, ids, "pk, L, pj")
			if err != nil {
				yield(admission.Lease{}, fail(ctx, "expired leases", err))
				return
			}
			for _, id := range ids {
				r := reader{item: items[id]}
				leases, project := readNumbers[usage.Nano](&r, "L"), r.str("pj")
				if r.err != nil && !yield(admission.Lease{}, fail(ctx, "expired leases", r.err)) {
					return
				}
				for lease, held := range leases {
					at, err := requestid.Time(lease)
					if err == nil && at.Before(before) && !yield(admission.Lease{ID: lease, User: id, Reserved: held, Admitted: at, Project: project}, nil) {
						return
					}
				}
			}
			if len(ids) < pageSize {
				return
			}
			after = ids[len(ids)-1]
		}
	}
}
