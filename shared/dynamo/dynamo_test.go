package dynamo_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

// open returns a store that waits long for answers: a slow machine is no reason
// to fail.
func open(client *dynamodb.Client, state, ledger string) *dynamo.Store {
	s := dynamo.New(client, state, ledger)
	s.Wait(10*time.Second, time.Minute)
	return s
}

// newTables creates a pair of empty tables.
func newTables(t testing.TB) (state, ledger string) {
	t.Helper()
	state, ledger = dynamotest.Table("state"), dynamotest.Table("ledger")
	client := dynamotest.Client(t)
	for range 2 { // tables that exist are no error
		if err := dynamo.CreateTables(t.Context(), client, state, ledger); err != nil {
			t.Fatalf("CreateTables = %v", err)
		}
	}
	return state, ledger
}

func TestStoreConforms(t *testing.T) {
	state, ledger := newTables(t)
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		s := open(dynamotest.Client(t), state, ledger)
		return storetest.Stores{Admission: s, Users: s, Keys: s, Ledger: s, Projects: s, WriteOffs: s}
	})
}
