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
	s.funds.forget(l.Project)
	pruned := s.seen.stale(l.User)
	held := l.Reserved
	for range maxTries {
		out, err := s.update(ctx, new(trips), s.closeInput(l, held, cost, tokens, pruned))
		if err == nil {
			return s.fill(ctx, l, out.Attributes)
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
		ReturnValues: types.ReturnValueUpdatedNew, ReturnValuesOnConditionCheckFailure: oldIfFail,
	}
}

// fill makes up for what l's user has spent of the project's budget without a
// grant, so that the others do not spend it again, and lets a project know what
// was returned to a frozen account. now is what closing l has changed.
//
// l is closed whether this succeeds or not; what is not done now is done when
// the user draws again.
func (s *Store) fill(ctx context.Context, l admission.Lease, now map[string]types.AttributeValue) error {
	month := admission.Month(l.Period())
	r := reader{item: now}
	left := readNumbers[usage.Nano](&r, "p")[month]
	s.seen.returned(l.User, month, left)
	if r.err != nil || left >= 0 {
		return r.err
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var t trips
	items, err := s.items(ctx, &t, userPrefix, []string{l.User}, "pk, pj")
	if err != nil {
		return nil
	}
	of := reader{item: items[l.User]}
	if project := of.str("pj"); project != "" {
		_, _ = s.balance(ctx, &t, project, month)
	}
	return of.err
}

// TopUp implements admission.Store with a compare-and-set on the lease.
func (s *Store) TopUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	l, err := s.topUp(bounded, l, reserved)
	return l, known(ctx, "top up", err)
}

func (s *Store) topUp(ctx context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	draws := 0
	for try := 1; try <= maxTries; try++ {
		if reserved <= l.Reserved {
			return l, nil
		}
		more := n(int64(reserved - l.Reserved))
		_, err := s.update(ctx, new(trips), &dynamodb.UpdateItemInput{
			TableName: &s.state, Key: accountKey(l.User),
			UpdateExpression: aws.String(topUp), ConditionExpression: aws.String(mayHold),
			ExpressionAttributeNames: map[string]string{"#id": l.ID, "#d": admission.Day(l.Period()), "#m": admission.Month(l.Period())},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":cur": n(int64(l.Reserved)), ":new": n(int64(reserved)), ":est": more, ":due": more,
			},
			ReturnValuesOnConditionCheckFailure: oldIfFail,
		})
		if err == nil {
			l.Reserved = reserved
			return l, nil
		}
		old, ok := refused(err)
		if !ok {
			return admission.Lease{}, err
		}
		a, err := account(old)
		if err != nil {
			return admission.Lease{}, err
		}
		held := a.Leases[l.ID]
		_, err = a.TopUp(l, reserved)
		if admission.IsOverProject(err) {
			if draws++; draws > maxDraws {
				return admission.Lease{}, errBusyProject
			}
			var (
				t trips
				d *draw
			)
			if d, err = s.draw(ctx, &t, a, l.Period(), reserved-held); d != nil {
				err = s.hand(ctx, &t, l.User, *d)
			}
			if err == nil {
				try-- // as good as new
			}
		}
		if err != nil {
			return admission.Lease{}, err
		}
		l.Reserved = held // an earlier top-up, whose answer was lost: perhaps this very one
	}
	return admission.Lease{}, errMoving
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
			ids, err := s.idPage(ctx, indexKey, userPrefix, after, pageSize)
			if err != nil {
				yield(admission.Lease{}, fail(ctx, "expired leases", err))
				return
			}
			items, err := s.items(ctx, new(trips), userPrefix, ids, "pk, L, pj")
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
