package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const tableTimeout = 2 * time.Minute

// CreateTables makes both tables as the deployment template declares them, and
// waits until they can be used. Tables that exist are left as they are. It is
// for tests and for a local DynamoDB.
//
//   - Both: pk and sk, strings; paid per request.
//   - state: time to live in "ttl"; index "users" on gu and pk, keys only, which
//     only accounts and projects are in.
//   - ledger: a stream of new images.
func CreateTables(ctx context.Context, client *dynamodb.Client, state, ledger string) error {
	hash, sort := types.KeyTypeHash, types.KeyTypeRange
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeTypeS}
	}
	schema := func(h, s string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: aws.String(h), KeyType: hash}, {AttributeName: aws.String(s), KeyType: sort}}
	}
	for _, in := range []*dynamodb.CreateTableInput{
		{
			TableName: &state, BillingMode: types.BillingModePayPerRequest, KeySchema: schema("pk", "sk"),
			AttributeDefinitions: []types.AttributeDefinition{attribute("pk"), attribute("sk"), attribute("gu")},
			GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
				IndexName: aws.String(usersIndex), KeySchema: schema("gu", "pk"),
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			}},
		},
		{
			TableName: &ledger, BillingMode: types.BillingModePayPerRequest, KeySchema: schema("pk", "sk"),
			AttributeDefinitions: []types.AttributeDefinition{attribute("pk"), attribute("sk")},
			StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
		},
	} {
		if err := createTable(ctx, client, in); err != nil {
			return err
		}
	}
	return nil
}

func createTable(ctx context.Context, client *dynamodb.Client, in *dynamodb.CreateTableInput) error {
	_, err := client.CreateTable(ctx, in)
	if exists := (*types.ResourceInUseException)(nil); errors.As(err, &exists) {
		return nil
	}
	if err != nil {
		return err
	}
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: in.TableName}, tableTimeout); err != nil {
		return err
	}
	if in.GlobalSecondaryIndexes == nil {
		return nil
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               in.TableName,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
	})
	return err
}
