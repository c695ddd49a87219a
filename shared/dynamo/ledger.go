package dynamo

import (
	"context"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// firstAt is the smallest id of a request admitted at t or later; ids know
// whole milliseconds.
func firstAt(t time.Time) string { return requestid.Floor(t.Add(time.Millisecond - 1)) }

// Records implements admission.Ledger. Ids sort by time, so the interval is a
// range of them. A record of the last second may be missing: reading it for
// certain would cost twice as much.
func (s *Store) Records(ctx context.Context, user string, from, to time.Time) iter.Seq2[usage.Record, error] {
	return func(yield func(usage.Record, error) bool) {
		end := firstAt(to)
		in := &dynamodb.QueryInput{
			TableName:              &s.ledger,
			KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":pk": str(recordPrefix + user), ":from": str(firstAt(from)), ":to": str(end),
			},
		}
		for from.Before(to) {
			page, err := s.query(ctx, in)
			if err != nil {
				yield(usage.Record{}, fail(ctx, "records", err))
				return
			}
			for _, it := range page.Items {
				r, err := record(it)
				if err != nil {
					err = fail(ctx, "records", err)
				} else if r.ID == end {
					continue // BETWEEN includes its end
				}
				if !yield(r, err) {
					return
				}
			}
			if page.LastEvaluatedKey == nil {
				return
			}
			in.ExclusiveStartKey = page.LastEvaluatedKey
		}
	}
}

// Record implements admission.Ledger.
func (s *Store) Record(ctx context.Context, user, id string) (usage.Record, error) {
	it, err := s.get(ctx, s.ledger, key(recordPrefix+user, id))
	if err != nil {
		return usage.Record{}, fail(ctx, "record", err)
	}
	if it == nil {
		return usage.Record{}, fault.New(fault.NotFound, "No such record.")
	}
	r, err := record(it)
	if err != nil {
		return usage.Record{}, fail(ctx, "record", err)
	}
	return r, nil
}
