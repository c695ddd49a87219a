package retrieval_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/awssecret"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/qdranttest"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

// base is what a function has before it gets its documents.
func base(c config.Config) *cloud.Base {
	return &cloud.Base{Config: c, Secrets: awssecret.New(aws.Config{}, awssecret.Endpoints{}), Server: &api.Server{Gateway: &gateway.Gateway{}, Log: slog.New(slog.DiscardHandler)}}
}

func TestAFunctionGetsItsDocuments(t *testing.T) {
	server := qdranttest.New(t)
	server.Key = "the-key"
	b := base(config.Config{QdrantURL: server.URL, QdrantKey: "the-key", QdrantPrefix: "mine", EmbeddingModel: "openai/text-embedding-3-small"})
	if err := retrieval.Join(b); err != nil {
		t.Fatal(err)
	}
	s := b.Server
	if n := len(server.Calls()); n != 0 {
		t.Errorf("opening makes %d calls, want none", n)
	}
	_, _, err := s.Library.Put(t.Context(), "ana", rag.Document{Key: rag.Key{Collection: "docs", ID: "a"}, Kind: rag.Text, Text: "Herons."})
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
	b := base(config.Config{})
	if err := retrieval.Join(b); err != nil || b.Server.Library != nil || b.Server.Passages != nil || b.Server.Gateway.Passages != nil {
		t.Errorf("Join = %v, server = %+v", err, b.Server)
	}
	if err := retrieval.Join(base(config.Config{QdrantURL: "http://host:port"})); err == nil || !strings.HasPrefix(err.Error(), "QDRANT_URL: ") {
		t.Errorf("Join with a wrong address = %v", err)
	}
}
