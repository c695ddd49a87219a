package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	maxPause = 80 * time.Millisecond // between tries of a change that others got in the way of

	// pageSize is how many users or projects are read at once: a BatchGetItem's
	// limit.
	pageSize = 100
	minPage  = 16 // items of a query: what a filter drops should not make many trips
	maxBatch = 25 // items of a BatchWriteItem
)

var errUnprocessed = errors.New("some items were left out")

// partition queries the items of pk in the state table; those that bounds lets
// through, such as "sk > :sk", unless sk is empty.
func (s *Store) partition(pk, bounds, sk string) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{TableName: &s.state, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: map[string]types.AttributeValue{":pk": str(pk)}}
	if sk != "" {
		*in.KeyConditionExpression += " AND " + bounds
		in.ExpressionAttributeValues[":sk"] = str(sk)
	}
	return in
}

// each calls f with up to limit items that a query finds.
func (s *Store) each(ctx context.Context, in *dynamodb.QueryInput, limit int, f func(it map[string]types.AttributeValue) error) error {
	for limit > 0 {
		in.Limit = aws.Int32(int32(limit))
		if in.FilterExpression != nil {
			in.Limit = aws.Int32(int32(max(limit, minPage)))
		}
		out, err := s.query(ctx, in)
		if err != nil {
			return err
		}
		for _, it := range out.Items[:min(limit, len(out.Items))] {
			if err := f(it); err != nil {
				return err
			}
		}
		limit -= len(out.Items)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return nil
		}
	}
	return nil
}

// pages calls f with all items that a query finds, page by page.
func (s *Store) pages(ctx context.Context, in *dynamodb.QueryInput, f func(items []map[string]types.AttributeValue) error) error {
	for {
		out, err := s.query(ctx, in)
		if err != nil {
			return err
		}
		if err := f(out.Items); err != nil {
			return err
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return nil
		}
	}
}

// deleteAll deletes the items that a query finds.
func (s *Store) deleteAll(ctx context.Context, in *dynamodb.QueryInput) error {
	in.ProjectionExpression = aws.String("pk, sk")
	return s.pages(ctx, in, func(items []map[string]types.AttributeValue) error {
		for batch := range slices.Chunk(items, maxBatch) {
			if err := s.deleteBatch(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) deleteBatch(ctx context.Context, keys []map[string]types.AttributeValue) error {
	pending := map[string][]types.WriteRequest{}
	for _, k := range keys {
		pending[s.state] = append(pending[s.state], types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k}})
	}
	return s.call(ctx, new(trips), func(ctx context.Context) error {
		out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: pending}, tune)
		if err != nil {
			return err
		}
		if pending = out.UnprocessedItems; len(pending) > 0 {
			return errUnprocessed
		}
		return nil
	})
}

// idPage returns the ids of the first users or projects after the given one:
// fewer than limit only if there are no more.
func (s *Store) idPage(ctx context.Context, index, prefix, after string, limit int) ([]string, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.state, IndexName: aws.String(usersIndex),
		KeyConditionExpression:    aws.String("gu = :u AND pk > :after"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":u": str(index), ":after": str(prefix + after)},
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
			ids = append(ids, strings.TrimPrefix(r.str("pk"), prefix))
		}
		if out.LastEvaluatedKey == nil || len(ids) >= limit {
			return ids, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// items reads the items of users or projects as they are now, by id. An empty
// projection means everything.
func (s *Store) items(ctx context.Context, t *trips, prefix string, ids []string, projection string) (map[string]map[string]types.AttributeValue, error) {
	found := make(map[string]map[string]types.AttributeValue, len(ids))
	for page := range slices.Chunk(ids, pageSize) {
		want := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
		if projection != "" {
			want.ProjectionExpression = &projection
		}
		for _, id := range page {
			want.Keys = append(want.Keys, key(prefix+id, accountSK))
		}
		pending := map[string]types.KeysAndAttributes{s.state: want}
		err := s.call(ctx, t, func(ctx context.Context) error {
			out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: pending}, tune)
			if err != nil {
				return err
			}
			for _, it := range out.Responses[s.state] {
				r := reader{item: it}
				found[strings.TrimPrefix(r.str("pk"), prefix)] = it
			}
			if pending = out.UnprocessedKeys; len(pending) > 0 {
				return errUnprocessed
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// known lets faults through and makes faults of other errors.
func known(ctx context.Context, op string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil {
		return err
	}
	return fail(ctx, op, err)
}

// sleep waits for about d, and says whether there is time left after that.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
