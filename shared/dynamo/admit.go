package dynamo

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	// maxTries bounds the writes of one admission. Two wrong guesses in a row
	// are a lost race, and after an idle variant the account stays busy: three
	// are enough, and one is left for swept leases.
	maxTries = 4
	// sweepBatch and sweepers bound what one refused admission cleans up.
	sweepBatch = 32
	sweepers   = 8
)

var (
	one       = n(1)
	none      = n(int64(usage.None))
	anything  = str("*")
	allNew    = types.ReturnValueAllNew
	oldIfFail = types.ReturnValuesOnConditionCheckFailureAllOld
)

// Admit implements admission.Store with one UpdateItem; one more if the guess
// about the rate limit's state was wrong, and one more to draw on a project, or
// two if nobody knew that it would have to.
func (s *Store) Admit(ctx context.Context, ask admission.Ask) (admission.Grant, error) {
	if ask.KeyHash == "" || ask.User == "" {
		return admission.Grant{}, admission.BadKey() // DynamoDB would call such an expression malformed
	}
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var t trips
	grant, err := s.admit(bounded, &t, ask)
	if err != nil && t.unknown && ask.Lease {
		s.refund(ctx, ask)
	}
	if err != nil {
		if _, known := errors.AsType[*fault.Error](err); !known {
			err = fail(ctx, "admit", err)
		}
		return grant, err
	}
	grant.Writes = t.n
	return grant, nil
}

func (s *Store) admit(ctx context.Context, t *trips, ask admission.Ask) (admission.Grant, error) {
	isBusy := s.seen.busy(ask)
	drawn := s.foresee(ctx, t, ask)
	draws := 0
	for try := 1; try <= maxTries; try++ {
		out, err := s.update(ctx, t, s.admitInput(ask, isBusy, drawn))
		if err == nil {
			a, err := account(out.Attributes)
			if err != nil {
				return admission.Grant{}, err
			}
			s.seen.admitted(a, ask)
			return a.Grant(ask), nil
		}
		old, ok := refused(err)
		switch {
		case !ok:
			return admission.Grant{}, err
		case old == nil:
			return admission.Grant{}, admission.BadKey()
		}
		a, err := account(old)
		if err != nil {
			return admission.Grant{}, err
		}
		s.seen.note(a, ask.Now)
		if _, mine := a.Leases[ask.ID]; mine && ask.Lease {
			return a.Grant(ask), nil // an earlier attempt of ours, whose answer was lost
		}
		isBusy, drawn = !a.Idle(ask.Now), nil
		refusal := a.Refusal(ask)
		if admission.IsOverProject(refusal) {
			if draws++; draws > maxDraws {
				return admission.Grant{}, errBusyProject
			}
			var d trips // which can be repeated: nothing to refund
			drawn, err = s.draw(ctx, &d, a, ask.Period(), ask.Reserve)
			t.n += d.n
			switch {
			case err == nil:
				try-- // as good as new
				continue
			case !admission.IsOverProject(err):
				return admission.Grant{}, err
			}
			refusal = err
		}
		if refusal != nil && (try == maxTries || !s.sweep(ctx, a, ask, refusal)) {
			return a.Refused(ask, refusal), refusal
		}
	}
	return admission.Grant{}, errors.New("the account changed under every try")
}

// foresee draws for a user whose grants were not enough for ask when they were
// seen last, which spares the refusal. If they are by now, or the draw fails,
// admission finds out by itself.
func (s *Store) foresee(ctx context.Context, t *trips, ask admission.Ask) *draw {
	a := s.seen.short(ask)
	if a == nil {
		return nil
	}
	var d trips
	drawn, err := s.draw(ctx, &d, a, ask.Period(), ask.Reserve)
	t.n += d.n
	if err != nil {
		return nil
	}
	return drawn
}

// admitInput takes along what was drawn for ask, if anything.
func (s *Store) admitInput(ask admission.Ask, isBusy bool, drawn *draw) *dynamodb.UpdateItemInput {
	names := make(map[string]string, 5)
	names["#k"] = ask.KeyHash
	values := make(map[string]types.AttributeValue, 11)
	values[":one"], values[":scope"] = one, str(ask.Scope)
	values[":sec"], values[":now"] = n(ask.Now.Unix()), n(ask.Now.UnixMicro())
	if ask.Model != "" {
		c := ask.Candidates()
		values[":any"], values[":fam"], values[":mod"] = anything, str(c[1]), str(c[2])
	}
	if ask.Lease {
		at := ask.Period()
		names["#id"], names["#d"], names["#m"], names["#t"] = ask.ID, admission.Day(at), admission.Month(at), admission.Minute(at)
		values[":est"], values[":tok"] = n(int64(ask.Reserve)), n(ask.Tokens)
		values[":due"] = values[":est"]
		if drawn != nil {
			values[":due"] = n(int64(ask.Reserve - drawn.amount))
			values[":before"], values[":gn"] = n(drawn.number-1), n(drawn.number)
		}
		if ask.Unpriced {
			values[":none"] = none
		}
	}
	w := admitWrites[formOf(ask.Lease, ask.Model != "", ask.Unpriced, isBusy, drawn != nil)]
	return &dynamodb.UpdateItemInput{
		TableName: &s.state, Key: accountKey(ask.User),
		UpdateExpression: &w.update, ConditionExpression: &w.condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValues: allNew, ReturnValuesOnConditionCheckFailure: oldIfFail,
	}
}

// refund takes back an admission that may have happened although nobody heard
// so. If that fails too, the lease stays until it is swept.
func (s *Store) refund(ctx context.Context, ask admission.Ask) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience/4)
	defer cancel()
	_ = s.closeLease(ctx, admission.Lease{ID: ask.ID, User: ask.User, Reserved: ask.Reserve, Tokens: ask.Tokens, Admitted: ask.Period()}, 0, 0)
}

// sweep settles leases in a that must be dead, if that may lift refusal. It
// says whether anything has changed.
func (s *Store) sweep(ctx context.Context, a *admission.Account, ask admission.Ask, refusal error) bool {
	full := int64(len(a.Leases)) >= a.Parallel && errors.Is(refusal, fault.RateLimited)
	if !ask.Lease || !full && !errors.Is(refusal, fault.Quota) {
		return false
	}
	dead := a.ExpiredLeases(ask.Now, ask.ID)
	dead = dead[:min(len(dead), sweepBatch)]
	var (
		wg      sync.WaitGroup
		slots   = make(chan struct{}, sweepers)
		settled = make(chan bool, len(dead))
	)
	for _, l := range dead {
		slots <- struct{}{}
		wg.Go(func() {
			_, err := s.Settle(ctx, l, l.Unsettled())
			settled <- err == nil
			<-slots
		})
	}
	wg.Wait()
	close(settled)
	for ok := range settled {
		if ok {
			return true
		}
	}
	return false
}
