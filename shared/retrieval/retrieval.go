// Package retrieval gives a gateway its documents, from Qdrant.
package retrieval

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// Library is where documents are, in both of its roles.
type Library interface {
	rag.Library
	rag.Searcher
}

// Open returns the Qdrant that c names, without dialling it; nil if it names
// none.
func Open(c config.Config, secret func(ref string) func(context.Context) (string, error), log *slog.Logger) (*qdrant.Store, error) {
	if c.QdrantURL == "" {
		return nil, nil
	}
	s, err := qdrant.New(qdrant.Options{URL: c.QdrantURL, Key: secret(c.QdrantKey), Prefix: c.QdrantPrefix, Log: log})
	if err != nil {
		return nil, fmt.Errorf("QDRANT_URL: %w", err)
	}
	return s, nil
}

// Give makes l the library of everything that s serves, with vectors of the
// model that c names.
func Give(s *api.Server, c config.Config, l Library) {
	s.Library, s.Passages = l, l
	s.Gateway.Passages, s.Gateway.Embedding = l, c.EmbeddingModel
}

// Join gives a function the documents in Qdrant, if there is one.
func Join(b *cloud.Base) error {
	l, err := Open(b.Config, b.Secrets.Get, b.Server.Log)
	if err != nil || l == nil {
		return err
	}
	Give(b.Server, b.Config, l)
	return nil
}
