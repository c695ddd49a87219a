package dynamo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/router"
)

func TestBreakersAddUpTheFleet(t *testing.T) {
	state, ledger := newTables(t)
	one := open(dynamotest.Client(t), state, ledger).Breakers()
	two := open(dynamotest.Client(t), state, ledger).Breakers()
	type counts = map[string]router.Seen
	for _, tc := range []struct {
		board      router.Board
		seen, want counts
	}{
		{one, counts{"openai/gpt-4o": {Calls: 3, Failures: 1}}, counts{"openai/gpt-4o": {Calls: 3, Failures: 1}}},
		{two, counts{"openai/gpt-4o": {Calls: 2, Failures: 2}, "anthropic/claude-x#b": {Calls: 1}},
			counts{"openai/gpt-4o": {Calls: 5, Failures: 3}, "anthropic/claude-x#b": {Calls: 1}}},
		{one, counts{}, counts{"openai/gpt-4o": {Calls: 5, Failures: 3}, "anthropic/claude-x#b": {Calls: 1}}},
	} {
		got, err := tc.board.Pool(t.Context(), tc.seen)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("Pool(%v) (-want +got):\n%s", tc.seen, diff)
		}
	}
	got, err := open(dynamotest.Client(t), state, ledger).Breakers().Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counts{"openai/gpt-4o": {Calls: 5, Failures: 3}, "anthropic/claude-x#b": {Calls: 1}}, got); diff != "" {
		t.Errorf("Look (-want +got):\n%s", diff)
	}
}
