package retrieval_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/qdranttest"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

func open(context.Context) (*api.Server, error) {
	return &api.Server{Gateway: &gateway.Gateway{}, Log: slog.New(slog.DiscardHandler)}, nil
}

func TestAFunctionGetsItsDocuments(t *testing.T) {
	server := qdranttest.New(t)
	server.Key = "the-key"
	t.Setenv("QDRANT_URL", server.URL)
	t.Setenv("QDRANT_API_KEY", "the-key")
	t.Setenv("QDRANT_PREFIX", "mine")
	t.Setenv("GATEWAY_EMBEDDING_MODEL", "openai/text-embedding-3-small")
	s, err := retrieval.With(open)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(server.Calls()); n != 0 {
		t.Errorf("opening makes %d calls, want none", n)
	}
	_, _, err = s.Library.Put(t.Context(), "ana", rag.Document{Key: rag.Key{Collection: "docs", ID: "a"}, Kind: rag.Text, Text: "Herons."})
	if err != nil {
		t.Fatal(err)
	}
	for who, from := range map[string]rag.Searcher{"the server": s.Passages, "the gateway": s.Gateway.Passages} {
		if hits, err := from.Search(t.Context(), "ana", rag.Query{Collection: "docs", Text: "heron", Limit: 1}); err != nil || len(hits) != 1 {
			t.Errorf("%s finds %v, %v", who, hits, err)
		}
	}
	if s.Gateway.Embedding != "openai/text-embedding-3-small" {
		t.Errorf("Embedding = %q", s.Gateway.Embedding)
	}
	for _, name := range server.Collections() {
		if !strings.HasPrefix(name, "mine-") {
			t.Errorf("collection %s lacks the prefix", name)
		}
	}
}

func TestAFunctionWithoutDocuments(t *testing.T) {
	t.Setenv("QDRANT_URL", "")
	s, err := retrieval.With(open)(t.Context())
	if err != nil || s.Library != nil || s.Passages != nil || s.Gateway.Passages != nil {
		t.Errorf("With = %+v, %v", s, err)
	}
	cause := errors.New("no")
	if _, err := retrieval.With(func(context.Context) (*api.Server, error) { return nil, cause })(t.Context()); !errors.Is(err, cause) {
		t.Errorf("With an opener that fails = %v", err)
	}
	_, err = retrieval.Open(config.Config{QdrantURL: "http://host:port"}, func(string) func(context.Context) (string, error) { return nil }, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "QDRANT_URL: ") {
		t.Errorf("Open = %v", err)
	}
}
