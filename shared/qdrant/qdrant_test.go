package qdrant_test

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	client "github.com/qdrant/go-client/qdrant"

	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/qdranttest"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func open(t *testing.T, o qdrant.Options) *qdrant.Store {
	t.Helper()
	o.Prefix = cmp.Or(o.Prefix, "gateway")
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := qdrant.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestContract runs against the server at QDRANT_URL, if that is set, and
// against our own otherwise.
func TestContract(t *testing.T) {
	o := qdrant.Options{URL: os.Getenv("QDRANT_URL"), Prefix: "gateway-test-" + requestid.New(time.Now())}
	if o.URL == "" {
		o.URL = qdranttest.New(t).URL
	} else {
		key := os.Getenv("QDRANT_API_KEY")
		o.Key = func(context.Context) (string, error) { return key, nil }
		t.Cleanup(func() { dropAll(t, o) })
	}
	s := open(t, o)
	storetest.RunLibrary(t, func(*testing.T) storetest.Library { return s })
}

// dropAll deletes the collections of a run.
func dropAll(t *testing.T, o qdrant.Options) {
	err := qdrant.Collections(context.Background(), open(t, o), func(c *client.Client, name string) error {
		if !strings.HasPrefix(name, o.Prefix+"-") {
			return nil
		}
		return c.DeleteCollection(context.Background(), name)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDocumentsFromBeforeTheyNeededPassages are there as ever, and decide
// nothing.
func TestDocumentsFromBeforeTheyNeededPassages(t *testing.T) {
	s := open(t, qdrant.Options{URL: qdranttest.New(t).URL})
	bare := rag.Document{Key: rag.Key{Collection: "docs", ID: "kept"}, Kind: rag.HTML, Text: "<p>", Created: time.Now().UTC()}
	for _, id := range []string{"kept", "a", "deleted"} {
		bare.ID = id
		if err := qdrant.PutBare(t.Context(), s, tenant, bare); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(long("herons"))(s); err != nil { // "a"
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), tenant, bare.Key); err != nil {
		t.Errorf("Delete = %v", err)
	}
	q := rag.Query{Collection: "docs", Text: "herons", Limit: 9, PerDoc: 1, Embedding: trigrams.Model, Embed: trigrams.Sees("herons")}
	if hits, err := s.Search(t.Context(), tenant, q); err != nil || len(hits) != 1 || hits[0].ID != "a" {
		t.Errorf("hits = %+v, %v, want what was stored since", hits, err)
	}
	list, _, err := s.Documents(t.Context(), tenant, rag.Key{}, "", 10)
	had := map[string]int{}
	for _, d := range list {
		had[d.ID] = d.Passages
	}
	if kept, ok := had["kept"]; err != nil || len(had) != 2 || !ok || kept != 0 || had["a"] == 0 {
		t.Errorf("Documents = %v, %v, want what was there and not deleted", had, err)
	}
	bare.ID = "kept"
	if d, err := s.Get(t.Context(), tenant, bare.Key); err != nil || d.Text != "<p>" {
		t.Errorf("Get = %+v, %v", d, err)
	}
}
