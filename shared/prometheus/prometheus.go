// Package prometheus counts requests and serves the counts of this process at
// /metrics, in Prometheus's text format.
//
// Nothing that a client sends becomes a label unless it names something that
// exists, and the number of series is bounded: strangers can fill neither the
// memory nor the time series database.
package prometheus

import (
	"net/http"
	"runtime"
	"sync"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Metrics counts requests. Its methods may be called concurrently.
type Metrics struct {
	registry *client.Registry

	requests   *client.CounterVec   // operation, provider, model, status
	duration   *client.HistogramVec // operation, provider, model
	ttft       *client.HistogramVec // operation, provider, model
	overhead   *client.HistogramVec // operation
	size       *client.HistogramVec // operation, type
	tokens     *client.CounterVec   // provider, model, type
	cost       *client.CounterVec   // provider, model
	attempts   *client.CounterVec   // provider
	failures   *client.CounterVec   // provider, kind
	refusals   map[string]client.Counter
	marks      [markCount]client.Counter
	open       client.Gauge
	closed     func() // open.Dec, made once
	operations names
	providers  names
	models     names

	mu     sync.RWMutex
	series map[labels]*series
}

// The marks that a record can bear.
const (
	markEstimated = iota
	markUnpriced
	markUnsettled
	markPartial
	markFailOpen
	markCount
)

var markNames = [markCount]string{"estimated", "unpriced", "unsettled", "partial", "fail_open"}

// Bounds of histograms: from a cached answer to the longest life of a stream,
// and from nothing to the largest windows.
var (
	durationBounds = []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 900}
	ttftBounds     = []float64{0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60}
	overheadBounds = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1}
	sizeBounds     = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576}
)

// New returns Metrics with a registry of its own, which also has those of the
// Go runtime and of the process.
func New(version string) *Metrics {
	m := &Metrics{registry: client.NewRegistry(), refusals: map[string]client.Counter{}, series: map[labels]*series{},
		operations: names{most: maxOperations}, providers: names{most: maxProviders}, models: names{most: maxModels}}
	m.requests = m.counter("gateway_requests_total", "Requests that were answered, by HTTP status; 499 if the client left.",
		"operation", "provider", "model", "status")
	m.duration = m.histogram("gateway_request_duration_seconds", "Time from a request's arrival to its settlement.", durationBounds,
		"operation", "provider", "model")
	m.ttft = m.histogram("gateway_time_to_first_token_seconds", "Time from a streamed request's arrival to its first event.", ttftBounds,
		"operation", "provider", "model")
	m.overhead = m.histogram("gateway_overhead_seconds", "The gateway's own time in a request, before and after the provider's.", overheadBounds,
		"operation")
	m.size = m.histogram("gateway_request_tokens", "Tokens of one request, all of its input or all of its output.", sizeBounds,
		"operation", "type")
	m.tokens = m.counter("gateway_tokens_total", "Tokens by what they are billed as. The types do not overlap: input is without "+
		"cached and cache_write, output without reasoning.", "provider", "model", "type")
	m.cost = m.counter("gateway_cost_usd_total", "What requests cost, in US dollars.", "provider", "model")
	m.attempts = m.counter("gateway_upstream_attempts_total", "Calls made to providers for the requests counted.", "provider")
	m.failures = m.counter("gateway_upstream_failures_total", "Requests that failed after a provider had been called.", "provider", "kind")
	refusals := m.counter("gateway_refusals_total", "Requests that were refused without a call to a provider.", "kind")
	for _, k := range fault.Kinds {
		m.refusals[string(k)] = refusals.WithLabelValues(string(k))
	}
	m.refusals[other] = refusals.WithLabelValues(other)
	marks := m.counter("gateway_marked_requests_total", "Requests whose ledger record bears a mark.", "mark")
	for i, name := range markNames {
		m.marks[i] = marks.WithLabelValues(name)
	}
	m.open = client.NewGauge(client.GaugeOpts{Name: "gateway_open_requests", Help: "Requests that are being answered."})
	m.closed = m.open.Dec
	build := client.NewGaugeVec(client.GaugeOpts{Name: "gateway_build_info", Help: "Always 1; the labels say what runs."},
		[]string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.open, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *client.CounterVec {
	c := client.NewCounterVec(client.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, bounds []float64, labels ...string) *client.HistogramVec {
	h := client.NewHistogramVec(client.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
	m.registry.MustRegister(h)
	return h
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Open counts a request as open until the function that it returns is called:
//
//	defer metrics.Open()()
func (m *Metrics) Open() (done func()) {
	m.open.Inc()
	return m.closed
}

// Observe counts a request that has ended. It keeps nothing of r.
func (m *Metrics) Observe(r *usage.Record) {
	s := m.find(r)
	s.requests.Inc()
	if r.Duration > 0 { // a sweep does not know it
		s.duration.Observe(r.Duration.Seconds())
	}
	if r.Overhead > 0 {
		s.overhead.Observe(r.Overhead.Seconds())
	}
	m.mark(r)
	if s.cost == nil { // nobody was asked
		if r.Error != "" {
			m.refusal(r.Error).Inc()
		}
		return
	}
	if r.Error != "" && r.Attempts == 0 {
		m.refusal(r.Error).Inc()
	} else if r.Error != "" {
		m.failures.WithLabelValues(s.provider, kind(r.Error)).Inc()
	}
	add(s.attempts, int64(r.Attempts))
	if r.Stream && r.TTFT > 0 {
		s.ttft.Observe(r.TTFT.Seconds())
	}
	if r.Cost > 0 {
		s.cost.Add(float64(r.Cost) / float64(usage.Dollar))
	}
	if r.InputTokens > 0 {
		s.inputSize.Observe(float64(r.InputTokens))
	}
	if r.OutputTokens > 0 {
		s.outputSize.Observe(float64(r.OutputTokens))
	}
	add(s.input, r.InputTokens-r.CachedTokens-r.CacheWriteTokens)
	add(s.cached, r.CachedTokens)
	add(s.cacheWrite, r.CacheWriteTokens)
	add(s.output, r.OutputTokens-r.ReasoningTokens)
	add(s.reasoning, r.ReasoningTokens)
}

func (m *Metrics) mark(r *usage.Record) {
	for i, on := range [markCount]bool{r.Estimated, r.Unpriced, r.Unsettled, r.Partial, r.FailOpen} {
		if on {
			m.marks[i].Inc()
		}
	}
}

func (m *Metrics) refusal(k string) client.Counter { return m.refusals[kind(k)] }

// add leaves out what a counter would panic at.
func add(c client.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}
