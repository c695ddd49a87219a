package prometheus

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	none  = "none"  // nobody was asked
	other = "other" // one name too many, or one that means nothing

	maxOperations = 32
	maxProviders  = 32
	maxModels     = 200  // besides the catalogue's
	maxSeries     = 2048 // and one more per status
	maxName       = 200
)

// labels are the bounded names under which a request is counted.
type labels struct {
	operation, provider, model string
	status                     int
}

// series are the counters for labels, looked up once. Those after overhead are
// nil where nobody was asked.
type series struct {
	provider string

	requests client.Counter
	duration client.Observer
	overhead client.Observer

	attempts, cost                               client.Counter
	ttft, inputSize, outputSize                  client.Observer
	input, cached, cacheWrite, output, reasoning client.Counter
}

// find returns the series for a record. Records whose names are labels already,
// nearly all of them, take one look-up in a map.
func (m *Metrics) find(r *usage.Record) *series {
	if s := m.get(labels{r.Operation, r.Provider, r.Model, r.Status}); s != nil {
		return s
	}
	l := m.bounded(r)
	if s := m.get(l); s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.series[l] == nil && len(m.series) >= maxSeries {
		l.operation, l.provider, l.model = other, other, other
	}
	if s := m.series[l]; s != nil {
		return s
	}
	s := m.resolve(l)
	m.series[l] = s
	return s
}

func (m *Metrics) get(l labels) *series {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.series[l]
}

func (m *Metrics) resolve(l labels) *series {
	s := &series{
		provider: l.provider,
		requests: m.requests.WithLabelValues(l.operation, l.provider, l.model, strconv.Itoa(l.status)),
		duration: m.duration.WithLabelValues(l.operation, l.provider, l.model),
		overhead: m.overhead.WithLabelValues(l.operation),
	}
	if l.provider == none {
		return s
	}
	s.attempts = m.attempts.WithLabelValues(l.provider)
	s.cost = m.cost.WithLabelValues(l.provider, l.model)
	s.ttft = m.ttft.WithLabelValues(l.operation, l.provider, l.model)
	s.inputSize = m.size.WithLabelValues(l.operation, "input")
	s.outputSize = m.size.WithLabelValues(l.operation, "output")
	s.input = m.tokens.WithLabelValues(l.provider, l.model, "input")
	s.cached = m.tokens.WithLabelValues(l.provider, l.model, "cached")
	s.cacheWrite = m.tokens.WithLabelValues(l.provider, l.model, "cache_write")
	s.output = m.tokens.WithLabelValues(l.provider, l.model, "output")
	s.reasoning = m.tokens.WithLabelValues(l.provider, l.model, "reasoning")
	return s
}

// bounded turns a record's names into labels. Models of the catalogue go by
// their listed names, without dates. A model that is not listed becomes a label
// only once it has answered: anybody can ask for models that do not exist.
func (m *Metrics) bounded(r *usage.Record) labels {
	l := labels{operation: m.operations.label(r.Operation, true), provider: none, model: none, status: r.Status}
	if http.StatusText(r.Status) == "" && r.Status != fault.StatusClientLeft {
		l.status = 0
	}
	if r.Provider == "" {
		return l
	}
	l.provider = m.providers.label(r.Provider, true)
	if r.Model == "" {
		return l
	}
	if c, ok := catalog.Lookup(r.Provider, r.Model); ok {
		l.model = c.ID
	} else if m.models.label(r.Provider+"/"+r.Model, r.Status < 400) == other {
		l.model = other
	} else {
		l.model = strings.Clone(r.Model)
	}
	return l
}

// kind bounds the kinds of faults.
func kind(k string) string {
	if slices.Contains(fault.Kinds, fault.Kind(k)) {
		return k
	}
	return other
}

// names is a set of labels that are in use, of limited size.
type names struct {
	most int
	mu   sync.Mutex
	used map[string]bool
}

// label returns name if it is in use, or may be from now on; else other.
func (n *names) label(name string, may bool) string {
	if name == "" {
		return none
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.used[name] {
		return name
	}
	if !may || len(n.used) >= n.most || len(name) > maxName || !utf8.ValidString(name) {
		return other
	}
	if n.used == nil {
		n.used = map[string]bool{}
	}
	name = strings.Clone(name)
	n.used[name] = true
	return name
}
