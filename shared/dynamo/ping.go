package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Ping reads an item that does not exist: it fails unless the table is there,
// we may read it, and it answers.
func (s *Store) Ping(ctx context.Context) error {
	none := &types.AttributeValueMemberS{Value: "PING"}
	_, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.state, Key: map[string]types.AttributeValue{"pk": none, "sk": none}})
	return err
}
