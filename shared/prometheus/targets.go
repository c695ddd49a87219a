package prometheus

import (
	client "github.com/prometheus/client_golang/prometheus"

	"github.com/devmentor/ai-gateway/shared/router"
)

// targets tells the health of targets whenever somebody asks.
type targets struct {
	states                      func() []router.State
	open, calls, failures, load *client.Desc
}

// Watch adds the health of targets to the metrics. Targets come from the
// configuration, so that their number is bounded.
func (m *Metrics) Watch(states func() []router.State) {
	desc := func(name, help string, labels ...string) *client.Desc {
		return client.NewDesc(name, help, append([]string{"target"}, labels...), nil)
	}
	m.registry.MustRegister(&targets{states: states,
		open:     desc("gateway_breaker_state", "1 for the state that a target's breaker is in.", "state"),
		calls:    desc("gateway_target_recent_calls", "Calls to a target in the last 30 seconds."),
		failures: desc("gateway_target_recent_failures", "Failed calls to a target in the last 30 seconds."),
		load:     desc("gateway_target_in_flight", "Calls to a target that are under way."),
	})
}

func (t *targets) Describe(ch chan<- *client.Desc) {
	for _, d := range []*client.Desc{t.open, t.calls, t.failures, t.load} {
		ch <- d
	}
}

func (t *targets) Collect(ch chan<- client.Metric) {
	for _, s := range t.states() {
		for _, state := range []string{"closed", "open", "half-open"} {
			v := 0.0
			if s.State == state {
				v = 1
			}
			ch <- client.MustNewConstMetric(t.open, client.GaugeValue, v, s.Target, state)
		}
		ch <- client.MustNewConstMetric(t.calls, client.GaugeValue, float64(s.Calls), s.Target)
		ch <- client.MustNewConstMetric(t.failures, client.GaugeValue, float64(s.Failures), s.Target)
		ch <- client.MustNewConstMetric(t.load, client.GaugeValue, float64(s.Open), s.Target)
	}
}
