package dynamo

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Codes of the reasons for which a transaction is canceled.
const (
	conditionFailed = "ConditionalCheckFailed"
	malformed       = "ValidationError"
	tooLarge        = "ItemCollectionSizeLimitExceeded"
)

// transact writes all items or none. Its token makes repetitions safe for ten
// minutes: a transaction whose answer was lost is not done again.
func (s *Store) transact(ctx context.Context, t *trips, items ...types.TransactWriteItem) error {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: aws.String(rand.Text())}
	return s.call(ctx, t, func(ctx context.Context) error {
		_, err := s.client.TransactWriteItems(ctx, in, tune)
		return err
	})
}

// asUpdate makes an update a part of a transaction. What it would have
// returned has to be read.
func asUpdate(in *dynamodb.UpdateItemInput) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: in.TableName, Key: in.Key, UpdateExpression: in.UpdateExpression, ConditionExpression: in.ConditionExpression,
		ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: in.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: in.ReturnValuesOnConditionCheckFailure,
	}}
}

// reasons says, item by item, why a transaction was canceled.
func reasons(err error) (why []types.CancellationReason, canceled bool) {
	e, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return nil, false
	}
	return e.CancellationReasons, true
}

// crossed says whether a transaction was canceled only because it met other
// writes, or too many of them: the very same may be sent again.
func crossed(err error) bool {
	why, canceled := reasons(err)
	return canceled && !slices.ContainsFunc(why, isCode(conditionFailed)) && lostRace(err)
}

// lostRace says whether a conditional write came too late, or met another: to
// read again what it was based on and to try again may help.
func lostRace(err error) bool {
	if _, ok := refused(err); ok {
		return true
	}
	why, canceled := reasons(err)
	return canceled && !slices.ContainsFunc(why, isCode(malformed, tooLarge))
}

func isCode(codes ...string) func(types.CancellationReason) bool {
	return func(r types.CancellationReason) bool { return slices.Contains(codes, aws.ToString(r.Code)) }
}

// refusedPart is refused for the i-th item of a transaction.
func refusedPart(err error, i int) (item map[string]types.AttributeValue, ok bool) {
	why, _ := reasons(err)
	if i >= len(why) || !isCode(conditionFailed)(why[i]) {
		return nil, false
	}
	return why[i].Item, true
}
