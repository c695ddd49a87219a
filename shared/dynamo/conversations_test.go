package dynamo_test

import (
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestConversationsConform(t *testing.T) {
	state, ledger := newTables(t)
	storetest.RunConversations(t, func(t *testing.T, now func() time.Time) conversation.Store {
		c := open(dynamotest.Client(t), state, ledger).Conversations()
		c.Clock(now)
		return c
	})
}
