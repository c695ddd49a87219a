package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/chain"
)

// fullRuns is one on a disk that takes no more.
type fullRuns struct{ chain.Runs }

func (fullRuns) Save(context.Context, string, *chain.Run) error {
	return errors.New("disk of machine 7 is full")
}

// TestARunThatCannotBeStored goes on and says so; what went wrong is in the log. A
// resumption must be stored before it does anything: somebody else may be at it.
func TestARunThatCannotBeStored(t *testing.T) {
	up := &parrot{}
	r := newChainRig(t, up, nil)
	r.saves(chainOf("c", step("a", "one"), step("b", "fail 400", `"needs":["a"]`)))
	id := r.do("POST", "/ai/chains/c/runs", "").object(t)["run"].(map[string]any)["id"].(string)
	up.calls()
	r.server.Runs = fullRuns{r.server.Runs}
	for _, stream := range []string{"false", "true"} {
		a := r.do("POST", "/ai/chains/c/runs", `{"run_id":"`+id+`","stream":`+stream+`}`)
		if message, _, _, _ := a.fail(t); a.status != 503 || strings.Contains(a.body, "machine 7") || message == "" || len(up.calls()) != 0 {
			t.Errorf("resumption = %d %s, want 503 in our own words, and no call", a.status, a.body)
		}
		if !strings.Contains(r.log.String(), `"request_id":"`+a.header.Get("X-Request-Id")+`","err":"disk of machine 7 is full"`) {
			t.Errorf("log = %s, want the cause with the request's id", r.log)
		}
	}
	r.saves(chainOf("d", step("a", "one")))
	a := r.do("POST", "/ai/chains/d/runs", "")
	a.want(t, 200, `{"status":"ok","resumable":false,"output":"one"}`)
	if strings.Contains(a.body, "machine 7") || !strings.Contains(r.log.String(), `"request_id":"`+a.header.Get("X-Request-Id")+`","err":"disk of machine 7 is full"`) {
		t.Errorf("run = %s, log = %s, want the cause in the log alone", a.body, r.log)
	}
}
