package usage_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestTryKeepsTheFirstCallsAndAddsUpTheRest(t *testing.T) {
	var r usage.Record
	call := func(model string, status int, cost usage.Nano) {
		r.Try(usage.Attempt{Provider: "p", Model: model, Status: status, InputTokens: 3, OutputTokens: 2, Cost: cost})
	}
	for range usage.TriedSingly {
		call("a", 200, 1)
	}
	call("a", 200, 7)
	call("b", 200, 11)
	call("a", 200, 5)
	call("a", 503, 0)
	want := []usage.Attempt{
		{Provider: "p", Model: "a", Status: 200, Calls: 2, InputTokens: 6, OutputTokens: 4, Cost: 12},
		{Provider: "p", Model: "b", Status: 200, InputTokens: 3, OutputTokens: 2, Cost: 11},
		{Provider: "p", Model: "a", Status: 503, InputTokens: 3, OutputTokens: 2},
	}
	if diff := cmp.Diff(want, r.Tried[usage.TriedSingly:]); diff != "" {
		t.Errorf("behind the first calls (-want +got):\n%s", diff)
	}
	for i, a := range r.Tried[:usage.TriedSingly] {
		if a.Calls != 0 || a.Cost != 1 {
			t.Errorf("Tried[%d] = %+v, want one call of its own", i, a)
		}
	}
}

// TestTriedIsBounded makes as many calls as a chain may, at as many models, that
// end in as many ways: nothing is lost, and the record stays within what a store
// takes.
func TestTriedIsBounded(t *testing.T) {
	var r usage.Record
	var cost usage.Nano
	var in, out int64
	const calls = 100_000
	for i := range calls {
		a := usage.Attempt{Provider: strings.Repeat("p", 64), Model: fmt.Sprintf("%0256d", i%128), Status: 500 + i%7, Error: "unavailable",
			InputTokens: int64(i), OutputTokens: int64(i % 11), Cost: usage.Nano(i*1_000_003 + 1)}
		cost, in, out = cost+a.Cost, in+a.InputTokens, out+a.OutputTokens
		r.Try(a)
	}
	var gotCost usage.Nano
	var gotIn, gotOut int64
	n := 0
	for _, a := range r.Tried {
		gotCost, gotIn, gotOut, n = gotCost+a.Cost, gotIn+a.InputTokens, gotOut+a.OutputTokens, n+max(1, a.Calls)
	}
	if gotCost != cost || gotIn != in || gotOut != out || n != calls {
		t.Errorf("Tried has %d calls of $%s, %d and %d tokens, want %d of $%s, %d and %d", n, gotCost.USD(), gotIn, gotOut, calls, cost.USD(), in, out)
	}
	text, err := json.Marshal(r.Tried)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tried) != usage.MaxTried || len(text) > 64<<10 {
		t.Errorf("Tried has %d entries in %d bytes, want %d in at most 64 KB", len(r.Tried), len(text), usage.MaxTried)
	}
	if last := r.Tried[usage.MaxTried-1]; last.Provider != "" || last.Model != "" || last.Calls < 1000 {
		t.Errorf("the last entry is %+v, want that of all others", last)
	}
}
