package router_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/router"
)

func TestStatesOfAFleet(t *testing.T) {
	got := router.States(map[string]router.Seen{"b": {Calls: 20, Failures: 10}, "a": {Calls: 19, Failures: 19}, "c": {Calls: 100, Failures: 49}})
	want := []router.State{{Target: "a", State: "closed", Calls: 19, Failures: 19}, {Target: "b", State: "open", Calls: 20, Failures: 10},
		{Target: "c", State: "closed", Calls: 100, Failures: 49}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("States (-want +got):\n%s", diff)
	}
}
