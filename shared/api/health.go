package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// readyTimeout bounds each dependency's check.
const readyTimeout = 2 * time.Second

// Health serves GET /, /health and /health/ready.
func (s *Server) Health() http.Handler { return s.endpoint("GET", s.health) }

func (s *Server) health(v *visit) error {
	switch v.r.URL.Path {
	case "/health/ready":
		return s.ready(v)
	case "/health":
		writeJSON(v, http.StatusOK, []byte(`{"status":"ok","version":`+quote(s.Version)+`}`))
		return nil
	case "/":
		writeJSON(v, http.StatusOK, []byte(`{"name":"ai-gateway","version":`+quote(s.Version)+`,"endpoints":{"chat":"POST /ai/chat/completions",`+
			`"code":"POST /ai/code/generate","embeddings":"POST /ai/embeddings","models":"GET /ai/models","documents":"POST /ai/documents",`+
			`"search":"POST /ai/search","conversations":"POST /ai/conversations","templates":"POST /ai/templates","chains":"POST /ai/chains",`+
			`"health":"GET /health","ready":"GET /health/ready"},"documentation":"docs/api.md"}`))
		return nil
	}
	return fault.New(fault.NotFound, "There is nothing at %s.", v.r.URL.Path)
}

type checkState struct {
	Name      string `json:"name"`
	Status    string `json:"status"` // ok or down
	LatencyMS int64  `json:"latency_ms"`
	Optional  bool   `json:"optional,omitempty"` // the gateway is ready without it
}

// ready asks every dependency at once. Reasons stay in the log: this page
// needs no key.
func (s *Server) ready(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), readyTimeout)
	defer cancel()
	states := make([]checkState, len(s.Ready))
	var wg sync.WaitGroup
	for i, c := range s.Ready {
		wg.Go(func() {
			start := time.Now()
			err := fault.Guard(func() error { return c.Ask(ctx) })
			states[i] = checkState{Name: c.Name, Status: "ok", LatencyMS: time.Since(start).Milliseconds(), Optional: c.Optional}
			if err != nil {
				states[i].Status = "down"
				s.Log.WarnContext(ctx, "not ready", "request_id", v.id, "check", c.Name, "err", err)
			}
		})
	}
	wg.Wait()
	status, word := http.StatusOK, "ready"
	for _, st := range states {
		if st.Status != "ok" && !st.Optional {
			status, word = http.StatusServiceUnavailable, "not ready"
		}
	}
	page := map[string]any{"status": word, "checks": states}
	if s.Targets != nil { // one that is ill does not make the gateway unready
		page["targets"] = s.Targets()
	}
	body, err := json.Marshal(page)
	if err != nil {
		return err
	}
	writeJSON(v, status, body)
	return nil
}

// MetricsPage serves GET /metrics.
func (s *Server) MetricsPage() http.Handler {
	return s.endpoint("GET", func(v *visit) error {
		if s.Metrics == nil {
			return fault.New(fault.NotFound, "This deployment serves no metrics.")
		}
		s.Metrics.ServeHTTP(v, v.r)
		return nil
	})
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}
