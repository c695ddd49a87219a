package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	maxQuery   = 8 << 10 // bytes
	defaultTop = 10
	maxTop     = 100
)

type searchBody struct {
	Collection json.RawMessage `json:"collection"`
	Query      json.RawMessage `json:"query"`
	Top        json.RawMessage `json:"top_k"`
	Filter     json.RawMessage `json:"filter"`
	PerDoc     json.RawMessage `json:"per_document"`
}

type hitObject struct {
	ID       string          `json:"id"`
	Score    float64         `json:"score"`
	Heading  string          `json:"heading"`
	Text     string          `json:"text"`
	Metadata json.RawMessage `json:"metadata"`
	Passage  int             `json:"passage"`
}

// Search serves POST /ai/search.
func (s *Server) Search() http.Handler {
	return s.endpoint("POST", func(v *visit) error {
		if s.embeds() {
			return s.infer(v, "search", s.searchByMeaning)
		}
		return s.owned(v, "search", s.search)
	})
}

func (s *Server) search(ctx context.Context, v *visit, c *gateway.Call) error {
	body, err := v.body()
	if err != nil {
		return err
	}
	q, err := s.question(body)
	if err != nil {
		return err
	}
	hits, err := rag.Find(ctx, s.Passages, c.User, q)
	if err != nil {
		return err
	}
	return v.list(showHits(hits), "")
}

// question reads the body of a search.
func (s *Server) question(body []byte) (q rag.Query, err error) {
	var b searchBody
	if err := decodeObject("", body, &b); err != nil {
		return q, err
	}
	if q, err = b.query(); err == nil && s.Passages == nil {
		err = noLibrary()
	}
	return q, err
}

func showHits(hits []rag.Hit) []hitObject {
	data := []hitObject{}
	for _, h := range hits {
		data = append(data, hitObject{ID: h.ID, Score: h.Score, Heading: h.Heading, Text: h.Text, Metadata: metadata(h.Metadata), Passage: h.Passage})
	}
	return data
}

func (b *searchBody) query() (q rag.Query, err error) {
	if q.Collection, err = collectionName(b.Collection); err != nil {
		return q, err
	}
	if rawjson.IsNull(b.Query) {
		return q, fault.Missing("query")
	}
	if q.Text, err = notBlank("query", b.Query, maxQuery); err != nil {
		return q, err
	}
	if q.Limit, err = count("top_k", b.Top, defaultTop); err != nil {
		return q, err
	}
	if q.PerDoc, err = count("per_document", b.PerDoc, 1); err != nil {
		return q, err
	}
	q.Filter, err = rag.ParseFilter("filter", b.Filter)
	return q, err
}

// count reads a number of passages.
func count(param string, value []byte, ifNull int) (int, error) {
	if rawjson.IsNull(value) {
		return ifNull, nil
	}
	n, ok := rawjson.Int(value)
	if !ok || n < 1 || n > maxTop {
		return 0, fault.Field(param, "'%s' must be an integer from 1 to %d.", param, maxTop)
	}
	return int(n), nil
}
