package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// created is the time that models are listed with: OpenAI's format demands
// one, and the catalogue knows none.
const created = 1767225600 // 2026-01-01

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`

	ContextWindow int64         `json:"context_window,omitempty"`
	MaxInput      int64         `json:"max_input_tokens,omitempty"`
	MaxOutput     int64         `json:"max_output_tokens,omitempty"`
	VectorSize    int64         `json:"dimensions,omitempty"`
	Mode          string        `json:"mode,omitempty"`
	Capabilities  []string      `json:"capabilities,omitempty"`
	Pricing       *modelPricing `json:"pricing,omitempty"`
	Deprecated    string        `json:"deprecation_date,omitempty"`
}

// modelPricing is in dollars per million tokens, as people read prices.
type modelPricing struct {
	Input       json.Number `json:"input_usd_per_million_tokens"`
	CachedInput json.Number `json:"cached_input_usd_per_million_tokens,omitempty"`
	CacheWrite  json.Number `json:"cache_write_usd_per_million_tokens,omitempty"`
	Output      json.Number `json:"output_usd_per_million_tokens"`
}

// Models serves GET /ai/models and GET /ai/models/{id}.
func (s *Server) Models() http.Handler { return s.endpoint("GET", s.models) }

func (s *Server) models(v *visit) (err error) {
	c, err := s.begin(v, "models")
	defer func() { s.note(v, c, err) }()
	if err != nil {
		return err
	}
	if err := s.Gateway.Touch(v.r.Context(), c, "inference"); err != nil {
		return err
	}
	limits(v.Header(), c.Grant.Limits)
	var entries []gateway.Entry
	for _, e := range s.Gateway.Models.List(v.r.Context()) {
		if c.Grant.Allows(e.Name, e.Provider) {
			entries = append(entries, e)
		}
	}
	if id := strings.Trim(strings.TrimPrefix(unversioned(v.r.URL.Path), "/ai/models"), "/"); id != "" {
		return s.model(v, entries, id)
	}
	data := make([]modelObject, len(entries))
	for i, e := range entries {
		data[i] = describe(e)
	}
	return v.list(data, "")
}

// model answers for one model, by any name that a request may call it.
func (s *Server) model(v *visit, entries []gateway.Entry, id string) error {
	full := id
	for _, mode := range []catalog.Mode{catalog.Chat, catalog.Embedding} {
		if m, err := s.Gateway.Models.Find(v.r.Context(), id, mode); err == nil {
			full = m.Name
		}
	}
	for _, e := range entries {
		if e.ID == id || e.Name == full {
			m := describe(e)
			m.ID = id
			return v.json(http.StatusOK, m)
		}
	}
	return &fault.Error{Kind: fault.NotFound, Param: "model", Code: "model_not_found",
		Message: "The model '" + id + "' does not exist here, or this key may not use it."}
}

func describe(e gateway.Entry) modelObject {
	o := modelObject{ID: e.ID, Object: "model", Created: created, OwnedBy: e.Provider}
	if o.OwnedBy == "" {
		o.OwnedBy = "gateway" // public, on several providers
	}
	m := e.Info
	o.ContextWindow = m.ContextWindow
	if !e.Known {
		return o
	}
	o.MaxInput, o.MaxOutput, o.VectorSize = m.MaxInput, m.MaxOutput, m.VectorSize
	o.Mode, o.Capabilities, o.Deprecated = string(m.Mode), m.Capabilities, m.Deprecated
	o.Pricing = &modelPricing{Input: perMillion(m.Price.Input), Output: perMillion(m.Price.Output)}
	if m.Price.CachedInput > 0 {
		o.Pricing.CachedInput = perMillion(m.Price.CachedInput)
	}
	if m.Price.CacheWrite > 0 {
		o.Pricing.CacheWrite = perMillion(m.Price.CacheWrite)
	}
	return o
}

func perMillion(nano int64) json.Number { return json.Number(usage.Nano(nano).USD()) }
