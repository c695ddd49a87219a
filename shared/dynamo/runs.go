package dynamo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
)

// Runs keeps the runs of chains in the state table:
//
//	pk RUN#<tenant>, sk id
//	  b     the run's JSON
//	  r     its revision, which every change is conditional on
//	  e     when it is forgotten
//	  w     who put it: tells an attempt of ours, whose answer was lost, from another's
//	  ttl   e
type Runs struct {
	s   *Store
	now func() time.Time
}

var _ chain.Runs = (*Runs)(nil)

// Runs returns the runs of chains in the state table.
func (s *Store) Runs() *Runs { return &Runs{s, time.Now} }

const runPrefix = "RUN#"

// Save implements chain.Runs.
func (s *Runs) Save(ctx context.Context, tenant string, r *chain.Run) error {
	body, err := r.Encode()
	if err != nil {
		return err
	}
	end, writer := r.Updated.Add(chain.Keep), rand.Text()
	it := key(runPrefix+tenant, r.ID)
	it["b"], it["r"], it["e"], it["w"], it["ttl"] = blob(body), n(int64(r.Rev)), moment(end), str(writer), seconds(end)
	in := &dynamodb.PutItemInput{TableName: &s.s.state, Item: it, ReturnValuesOnConditionCheckFailure: oldIfFail,
		ConditionExpression: aws.String("r = :before AND e > :now"), ExpressionAttributeValues: map[string]types.AttributeValue{":now": moment(s.now())}}
	if r.Rev == 1 {
		in.ConditionExpression = aws.String("attribute_not_exists(pk) OR e <= :now")
	} else {
		in.ExpressionAttributeValues[":before"] = n(int64(r.Rev - 1))
	}
	var t trips
	err = s.s.put(ctx, &t, in)
	if old, taken := refused(err); taken {
		if in := (reader{item: old}); t.unknown && len(old) > 0 && in.str("w") == writer {
			return nil // an earlier attempt of ours, whose answer was lost
		}
		return chain.TakenRun(r.ID)
	}
	if err != nil {
		return fail(ctx, "save run", err)
	}
	return nil
}

// Run implements chain.Runs.
func (s *Runs) Run(ctx context.Context, tenant, id string) (*chain.Run, error) {
	it, err := s.s.get(ctx, s.s.state, key(runPrefix+tenant, id))
	if err != nil {
		return nil, fail(ctx, "run", err)
	}
	if it == nil {
		return nil, chain.MissingRun(id)
	}
	in := reader{item: it}
	body, end := in.bytes("b"), in.moment("e")
	if in.err != nil {
		return nil, fail(ctx, "run", in.err)
	}
	if !s.now().Before(end) { // DynamoDB takes its time to remove it
		return nil, chain.MissingRun(id)
	}
	var r chain.Run
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "Internal error.")
	}
	return &r, nil
}

// Forget implements chain.Runs.
func (s *Runs) Forget(ctx context.Context, tenant string) error {
	if err := s.s.deleteAll(ctx, s.s.partition(runPrefix+tenant, "", "")); err != nil {
		return fail(ctx, "forget runs", err)
	}
	return nil
}
