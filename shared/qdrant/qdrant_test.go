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
