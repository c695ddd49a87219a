package prometheus

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// scrape reads /metrics as Prometheus would. Its keys are names with labels;
// histograms give their _count and _sum.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("GET /metrics = %d, %s", rec.Code, rec.Header().Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for name, f := range families {
		for _, metric := range f.Metric {
			var labels []string
			for _, l := range metric.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			id := "{" + strings.Join(labels, ",") + "}"
			switch {
			case metric.Counter != nil:
				values[name+id] = metric.Counter.GetValue()
			case metric.Gauge != nil:
				values[name+id] = metric.Gauge.GetValue()
			case metric.Histogram != nil:
				values[name+"_count"+id] = float64(metric.Histogram.GetSampleCount())
				values[name+"_sum"+id] = metric.Histogram.GetSampleSum()
			}
		}
	}
	return values
}

// ours leaves the gateway's values that are not zero.
func ours(values map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for k, v := range values {
		if strings.HasPrefix(k, "gateway_") && !strings.HasPrefix(k, "gateway_build_info") && v != 0 {
			out[k] = v
		}
	}
	return out
}

func record() *usage.Record {
	return &usage.Record{Operation: "chat", Provider: "openai", Model: "gpt-4o-mini", Status: 200, Stream: true, Attempts: 2,
		InputTokens: 100, CachedTokens: 30, CacheWriteTokens: 10, OutputTokens: 50, ReasoningTokens: 20, Cost: 1_500_000,
		TTFT: 500 * time.Millisecond, Duration: 4 * time.Second, Overhead: 250 * time.Microsecond}
}

func TestObserve(t *testing.T) {
	m := New("1.2.3")
	m.Observe(record())
	m.Observe(record())
	want := map[string]float64{
		"gateway_requests_total{model=gpt-4o-mini,operation=chat,provider=openai,status=200}":         2,
		"gateway_request_duration_seconds_count{model=gpt-4o-mini,operation=chat,provider=openai}":    2,
		"gateway_request_duration_seconds_sum{model=gpt-4o-mini,operation=chat,provider=openai}":      8,
		"gateway_time_to_first_token_seconds_count{model=gpt-4o-mini,operation=chat,provider=openai}": 2,
		"gateway_time_to_first_token_seconds_sum{model=gpt-4o-mini,operation=chat,provider=openai}":   1,
		"gateway_overhead_seconds_count{operation=chat}":                                              2,
		"gateway_overhead_seconds_sum{operation=chat}":                                                0.0005,
		"gateway_request_tokens_count{operation=chat,type=input}":                                     2,
		"gateway_request_tokens_sum{operation=chat,type=input}":                                       200,
		"gateway_request_tokens_count{operation=chat,type=output}":                                    2,
		"gateway_request_tokens_sum{operation=chat,type=output}":                                      100,
		"gateway_tokens_total{model=gpt-4o-mini,provider=openai,type=input}":                          120,
		"gateway_tokens_total{model=gpt-4o-mini,provider=openai,type=cached}":                         60,
		"gateway_tokens_total{model=gpt-4o-mini,provider=openai,type=cache_write}":                    20,
		"gateway_tokens_total{model=gpt-4o-mini,provider=openai,type=output}":                         60,
		"gateway_tokens_total{model=gpt-4o-mini,provider=openai,type=reasoning}":                      40,
		"gateway_cost_usd_total{model=gpt-4o-mini,provider=openai}":                                   0.003,
		"gateway_upstream_attempts_total{provider=openai}":                                            4,
	}
	if diff := cmp.Diff(want, ours(scrape(t, m))); diff != "" {
		t.Errorf("metrics (-want +got)\n%s", diff)
	}
}

func TestObserveFailuresRefusalsAndMarks(t *testing.T) {
	m := New("")
	m.Observe(&usage.Record{Operation: "chat", Status: 401, Error: "unauthorized"})
	m.Observe(&usage.Record{Operation: "chat", Status: 429, Error: "quota", Provider: "openai", Model: "gpt-4o"})
	m.Observe(&usage.Record{Operation: "chat", Status: 503, Error: "unavailable", Provider: "openai", Model: "gpt-4o", Attempts: 3})
	m.Observe(&usage.Record{Operation: "chat", Status: 500, Error: "invented"})
	m.Observe(&usage.Record{Operation: "chat", Status: 500, Error: "invented", Provider: "openai", Model: "gpt-4o", Attempts: 1})
	m.Observe(&usage.Record{Operation: "embeddings", Status: 200, Provider: "openai", Model: "text-embedding-3-small", Attempts: 1,
		TTFT: time.Second, Estimated: true, Unpriced: true, Partial: true, Unsettled: true, FailOpen: true})
	m.Observe(&usage.Record{Status: 1000})
	m.Observe(&usage.Record{Operation: "chat", Status: 499, Provider: "openai"})
	want := map[string]float64{
		"gateway_requests_total{model=none,operation=chat,provider=none,status=401}":                           1,
		"gateway_requests_total{model=none,operation=chat,provider=none,status=500}":                           1,
		"gateway_requests_total{model=gpt-4o,operation=chat,provider=openai,status=429}":                       1,
		"gateway_requests_total{model=gpt-4o,operation=chat,provider=openai,status=503}":                       1,
		"gateway_requests_total{model=gpt-4o,operation=chat,provider=openai,status=500}":                       1,
		"gateway_requests_total{model=none,operation=chat,provider=openai,status=499}":                         1,
		"gateway_requests_total{model=text-embedding-3-small,operation=embeddings,provider=openai,status=200}": 1,
		"gateway_requests_total{model=none,operation=none,provider=none,status=0}":                             1,
		"gateway_refusals_total{kind=unauthorized}":                                                            1,
		"gateway_refusals_total{kind=quota}":                                                                   1,
		"gateway_refusals_total{kind=other}":                                                                   1,
		"gateway_upstream_failures_total{kind=unavailable,provider=openai}":                                    1,
		"gateway_upstream_failures_total{kind=other,provider=openai}":                                          1,
		"gateway_upstream_attempts_total{provider=openai}":                                                     5,
		"gateway_marked_requests_total{mark=estimated}":                                                        1,
		"gateway_marked_requests_total{mark=unpriced}":                                                         1,
		"gateway_marked_requests_total{mark=partial}":                                                          1,
		"gateway_marked_requests_total{mark=unsettled}":                                                        1,
		"gateway_marked_requests_total{mark=fail_open}":                                                        1,
	}
	if diff := cmp.Diff(want, ours(scrape(t, m))); diff != "" {
		t.Errorf("metrics (-want +got)\n%s", diff)
	}
}

func TestEveryKindAndMarkStartsAtZero(t *testing.T) {
	values := scrape(t, New(""))
	for _, k := range fault.Kinds {
		if v, ok := values["gateway_refusals_total{kind="+string(k)+"}"]; !ok || v != 0 {
			t.Errorf("refusals of kind %s = %v, %v, want 0", k, v, ok)
		}
	}
	for _, name := range markNames {
		if v, ok := values["gateway_marked_requests_total{mark="+name+"}"]; !ok || v != 0 {
			t.Errorf("mark %q = %v, %v, want 0", name, v, ok)
		}
	}
}

func TestImpossibleRecordsDoNotPanic(t *testing.T) {
	m := New("")
	for _, r := range []*usage.Record{
		{},
		{Provider: "openai", Model: "gpt-4o", InputTokens: -5, OutputTokens: -5, CachedTokens: -1, Cost: -1, Attempts: -1, Duration: -1, TTFT: -1},
		{Provider: "openai", Model: "gpt-4o", InputTokens: 5, CachedTokens: 10, ReasoningTokens: 7},
		{Operation: "\xff", Provider: "\xff", Model: "\xff", Error: "\xff", Status: 200},
		{Operation: "chat", Provider: "p", Model: "a\nb\"c\\", Status: 200},
		{Operation: strings.Repeat("x", 1<<20), Provider: strings.Repeat("x", 1<<20), Model: strings.Repeat("x", 1<<20), Status: 200},
	} {
		m.Observe(r)
	}
	if v := scrape(t, m)["gateway_tokens_total{model=gpt-4o,provider=openai,type=cached}"]; v != 10 {
		t.Errorf("cached tokens = %v, want 10", v)
	}
}

func TestModelsGoByTheirListedNames(t *testing.T) {
	tests := []struct {
		provider, model string
		status          int
		want            string
	}{
		{"openai", "gpt-4o-mini-2031-01-01", 200, "gpt-4o-mini"},
		{"openai", "gpt-4o-mini-2031-01-01", 404, "gpt-4o-mini"},
		{"ollama", "llama3:8b", 404, "other"},
		{"ollama", "llama3:8b", 200, "llama3:8b"},
		{"ollama", "llama3:8b", 404, "llama3:8b"}, // it has answered before
		{"ollama", "", 200, "none"},
		{"ollama", strings.Repeat("x", 200), 200, "other"}, // with the provider it is too long
	}
	m := New("")
	for _, tt := range tests {
		got := m.bounded(&usage.Record{Operation: "chat", Provider: tt.provider, Model: tt.model, Status: tt.status})
		if got.model != tt.want || got.provider != tt.provider {
			t.Errorf("%s/%s with status %d is counted as %s/%s, want %s", tt.provider, tt.model, tt.status, got.provider, got.model, tt.want)
		}
	}
}

func TestHostileNamesCannotGrowMemory(t *testing.T) {
	m := New("")
	observe := func(n int, status int) {
		for i := range n {
			name := fmt.Sprint("x", i)
			m.Observe(&usage.Record{Operation: "chat", Provider: "openai", Model: name, Status: status, Attempts: 1, Error: name})
			m.Observe(&usage.Record{Operation: "chat", Provider: name, Model: name, Status: status})
			m.Observe(&usage.Record{Operation: name, Status: i})
			m.Observe(&usage.Record{Operation: "chat", Provider: "openai", Model: fmt.Sprintf("gpt-4o-%08d", i), Status: status})
		}
	}
	observe(1000, 404)
	if n := len(m.models.used); n != 0 {
		t.Errorf("%d models that never answered have labels", n)
	}
	observe(1000, 200)
	if n := len(m.models.used); n != maxModels {
		t.Errorf("%d models have labels, want %d", n, maxModels)
	}
	size := func() (int, int) {
		n, err := testutil.GatherAndCount(m.registry)
		if err != nil {
			t.Fatal(err)
		}
		return n, len(m.series)
	}
	metrics, series := size()
	for _, c := range []string{"y", "z"} {
		for i := range 2000 {
			name := fmt.Sprint(c, i)
			m.Observe(&usage.Record{Operation: name, Provider: name, Model: name, Status: 200 + i%400, Error: name, Attempts: 1})
		}
	}
	if n := len(m.series); n > maxSeries+100 {
		t.Errorf("%d series in memory, want at most about %d", n, maxSeries)
	}
	if m2, s2 := size(); m2 > metrics+1000 || s2 > series+200 {
		t.Errorf("4,000 more names made %d metrics out of %d, %d series out of %d", m2, metrics, s2, series)
	}
}

func TestSeriesHaveAnUpperBound(t *testing.T) {
	m := New("")
	for model := range catalog.All() {
		for op := range 8 {
			m.Observe(&usage.Record{Operation: fmt.Sprint("op", op), Provider: model.Provider, Model: model.ID, Status: 200})
		}
	}
	if n := len(m.series); n != maxSeries+1 {
		t.Errorf("%d series, want %d and the one for others", n, maxSeries)
	}
	if v := scrape(t, m)["gateway_requests_total{model=other,operation=other,provider=other,status=200}"]; v < 400 {
		t.Errorf("%v requests are counted as others, want the rest", v)
	}
}

func TestOpenRequests(t *testing.T) {
	m := New("")
	first, second := m.Open(), m.Open()
	if v := scrape(t, m)["gateway_open_requests{}"]; v != 2 {
		t.Errorf("open requests = %v, want 2", v)
	}
	first()
	second()
	if v := scrape(t, m)["gateway_open_requests{}"]; v != 0 {
		t.Errorf("open requests = %v, want 0", v)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	m := New("1.2.3")
	m.Observe(record())
	m.Observe(&usage.Record{Operation: "chat", Status: 503, Error: "unavailable", Provider: "openai", Model: "gpt-4o", Attempts: 3})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "gateway_") {
			names = append(names, f.GetName())
		}
	}
	if len(names) != 13 {
		t.Errorf("%d metrics, want 13: %v", len(names), names)
	}
	problems, err := testutil.GatherAndLint(m.registry, names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestHandlerServesBuildProcessAndRuntime(t *testing.T) {
	srv := httptest.NewServer(New("1.2.3").Handler())
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`gateway_build_info{goversion="` + runtime.Version() + `",version="1.2.3"} 1`, "\ngo_goroutines ", "# TYPE gateway_open_requests gauge"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if runtime.GOOS == "linux" && !strings.Contains(string(body), "\nprocess_resident_memory_bytes ") {
		t.Error("/metrics lacks the process's")
	}
}

func TestConcurrentObservationsAreAllCounted(t *testing.T) {
	m := New("")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for range 500 {
				m.Observe(&usage.Record{Operation: "chat", Provider: "openai", Model: fmt.Sprint("m", r.IntN(300)), Status: 200 + r.IntN(3), InputTokens: 1})
			}
			_, _ = m.registry.Gather() // beside the others, for the race detector
		})
	}
	wg.Wait()
	var requests, tokens float64
	for k, v := range scrape(t, m) {
		if strings.HasPrefix(k, "gateway_requests_total") {
			requests += v
		}
		if strings.HasPrefix(k, "gateway_tokens_total") {
			tokens += v
		}
	}
	if requests != 2000 || tokens != 2000 {
		t.Errorf("%v requests and %v tokens, want 2000 of each", requests, tokens)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	m, r := New(""), record()
	m.Observe(r)
	if n := testing.AllocsPerRun(100, func() { m.Observe(r); m.Open()() }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := New("")
	b.Run("listed", func(b *testing.B) {
		b.ReportAllocs()
		r := record()
		for b.Loop() {
			m.Observe(r)
		}
	})
	b.Run("dated", func(b *testing.B) {
		b.ReportAllocs()
		r := record()
		r.Model = "gpt-4o-mini-2031-01-01"
		for b.Loop() {
			m.Observe(r)
		}
	})
	b.Run("hostile", func(b *testing.B) {
		b.ReportAllocs()
		r := record()
		r.Model, r.Status, r.Error = "no-such-model", 404, "not_found"
		for b.Loop() {
			m.Observe(r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := record()
			for pb.Next() {
				m.Observe(r)
			}
		})
	})
}
