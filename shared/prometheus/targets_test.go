package prometheus_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/prometheus"
	"github.com/devmentor/ai-gateway/shared/router"
)

func TestTargets(t *testing.T) {
	m := prometheus.New("test")
	m.Watch(func() []router.State {
		return []router.State{{Target: "a/x", State: "open", Calls: 20, Failures: 12}, {Target: "b/x", State: "closed", Open: 3}}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`gateway_breaker_state{state="open",target="a/x"} 1`, `gateway_breaker_state{state="closed",target="a/x"} 0`,
		`gateway_breaker_state{state="closed",target="b/x"} 1`, `gateway_target_recent_calls{target="a/x"} 20`,
		`gateway_target_recent_failures{target="a/x"} 12`, `gateway_target_in_flight{target="b/x"} 3`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
}
