package dynamo_test

import (
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRunsConform(t *testing.T) {
	state, ledger := newTables(t)
	storetest.RunRuns(t, func(t *testing.T, now func() time.Time) chain.Runs {
		r := open(dynamotest.Client(t), state, ledger).Runs()
		r.Clock(now)
		return r
	})
}
