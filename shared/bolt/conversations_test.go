package bolt

import (
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestConversationsConform(t *testing.T) {
	storetest.RunConversations(t, func(t *testing.T, now func() time.Time) conversation.Store {
		c := openTest(t, t.TempDir()).Conversations()
		c.now = now
		return c
	})
}
