// Package retrieval gives a gateway its documents, from Qdrant.
package retrieval

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/awssecret"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/upstream"
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

// With returns an opener of a function that has the documents in Qdrant, if
// there is one. open is the opener of the rest.
func With(open func(context.Context) (*api.Server, error)) func(context.Context) (*api.Server, error) {
	return func(ctx context.Context) (*api.Server, error) {
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		c, err := config.Load(os.Getenv)
		if err != nil {
			return nil, err
		}
		l, err := Open(c, awssecret.New(cloud.AWS(c, upstream.NewTransport())).Get, s.Log)
		if err != nil || l == nil {
			return s, err
		}
		Give(s, c, l)
		return s, nil
	}
}
