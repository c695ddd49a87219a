package qdrant_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/qdranttest"
	"github.com/devmentor/ai-gateway/shared/rag"
)

func TestWhereQdrantIs(t *testing.T) {
	for url, want := range map[string]string{
		"http://localhost": "localhost 6334 false", "https://xyz.cloud.qdrant.io": "xyz.cloud.qdrant.io 6334 true",
		"https://xyz:443": "xyz 443 true", "http://[::1]:7000": "::1 7000 false",
		"localhost:6334": "", "ftp://localhost": "", "http://": "", "": "", "http://%": "",
	} {
		s, err := qdrant.New(qdrant.Options{URL: url})
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", url, err)
			}
			continue
		}
		host, port, tls := qdrant.Address(s)
		if got := fmt.Sprint(host, " ", port, " ", tls); got != want {
			t.Errorf("%q = %q, want %q", url, got, want)
		}
	}
}

func TestTLSIfTheURLSaysSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first := make(chan byte, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 1)
		c.Read(b)
		first <- b[0]
	}()
	s := open(t, qdrant.Options{URL: "https://" + ln.Addr().String()})
	ctx, cancel := context.WithCancel(t.Context())
	go s.Ping(ctx)
	if b := <-first; b != 22 { // a TLS record of a handshake
		t.Errorf("first byte = %d, want 22", b)
	}
	cancel()
}

func TestTheKeyIsAskedForEachCall(t *testing.T) {
	server := qdranttest.New(t)
	server.Key = "second"
	key := "first"
	s := open(t, qdrant.Options{URL: server.URL, Key: func(context.Context) (string, error) {
		if key == "" {
			return "", fault.New(fault.Unavailable, "No secret.")
		}
		return key, nil
	}})
	err := s.Ping(t.Context())
	if f := fault.As(err); f == nil || f.Kind != fault.Unavailable || strings.Contains(f.Message, "Bearer") {
		t.Errorf("with a wrong key: %v", err)
	}
	key = "second"
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("after the key was changed: %v", err)
	}
	key = ""
	if f := fault.As(s.Ping(t.Context())); f == nil || f.Message != "No secret." {
		t.Errorf("without the secret: %v", f)
	}
}

func TestErrorsAreOurOwn(t *testing.T) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	for _, code := range []codes.Code{codes.Internal, codes.InvalidArgument, codes.ResourceExhausted, codes.PermissionDenied, codes.Unknown} {
		server.Fail(func(string, int) error { return status.Error(code, "internal detail") }, nil)
		_, err := s.Get(t.Context(), tenant, rag.Key{Collection: "docs", ID: "a"})
		f := fault.As(err)
		if f == nil || f.Kind != fault.Unavailable || strings.Contains(f.Message, "detail") {
			t.Errorf("%v: %v", code, err)
		}
		if n := len(server.Calls()); n != 1 {
			t.Errorf("%v: %d calls, want 1", code, n)
		}
	}
	server.Fail(func(string, int) error { return status.Error(codes.Unavailable, "x") }, nil)
	if err := s.Ping(t.Context()); !errors.Is(err, fault.Unavailable) || len(server.Calls()) != 4 {
		t.Errorf("unavailable: %v after %d calls, want 4", err, len(server.Calls()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.Fail(func(string, int) error { cancel(); return status.Error(codes.Unavailable, "x") }, nil)
	if err := s.Ping(ctx); !errors.Is(err, context.Canceled) || len(server.Calls()) != 1 {
		t.Errorf("canceled: %v after %d calls", err, len(server.Calls()))
	}
}

// TestAConnectionThatHasSlept is not trusted: a frozen function does not hear
// that it was cut.
func TestAConnectionThatHasSlept(t *testing.T) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	clients := map[*client.Client]bool{}
	for _, pause := range []time.Duration{0, time.Second, time.Hour, 0} {
		qdrant.Sleep(s, pause)
		err := qdrant.Collections(t.Context(), s, func(*client.Client, string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		clients[qdrant.Client(s)] = true
	}
	if len(clients) != 2 {
		t.Errorf("%d connections, want 2", len(clients))
	}
}

// TestEveryQueryNamesTheTenant, or points that have the tenant in their ids.
func TestEveryQueryNamesTheTenant(t *testing.T) {
	server := qdranttest.New(t)
	var mu sync.Mutex
	seen := map[string]int{}
	server.Watch(func(method string, req any) {
		mu.Lock()
		defer mu.Unlock()
		var filters []*client.Filter
		switch r := req.(type) {
		case *client.QueryPoints:
			filters = append(filters, r.GetFilter())
			for _, p := range r.GetPrefetch() {
				filters = append(filters, p.GetFilter())
			}
		case *client.ScrollPoints:
			filters = append(filters, r.GetFilter())
		case *client.CountPoints:
			filters = append(filters, r.GetFilter())
		case *client.DeletePoints:
			filters = append(filters, r.GetPoints().GetFilter())
		case *client.SetPayloadPoints:
			filters = append(filters, r.GetPointsSelector().GetFilter())
		}
		for _, f := range filters {
			seen[method]++
			if !slices.ContainsFunc(f.GetMust(), func(c *client.Condition) bool {
				return c.GetHasId() != nil || c.GetField().GetKey() == "tenant" && c.GetField().GetMatch().GetKeyword() == tenant
			}) {
				t.Errorf("%s: %v does not name the tenant", method, f)
			}
		}
	})
	s := open(t, qdrant.Options{URL: server.URL})
	for _, bird := range []string{"herons", "storks"} {
		if err := put(long(bird))(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := state(t, s); got != "storks" {
		t.Errorf("state = %q", got)
	}
	if err := s.Delete(t.Context(), tenant, long("").Key); err != nil {
		t.Fatal(err)
	}
	other := long("herons")
	other.Embedding = "p/two"
	if err := put(other)(s); err != nil { // counts the documents of the collection
		t.Fatal(err)
	}
	for _, method := range []string{"Points/Query", "Points/Scroll", "Points/Count", "Points/Delete", "Points/OverwritePayload"} {
		if seen[method] == 0 {
			t.Errorf("%s was not called", method)
		}
	}
}

// TestManyAtOnceMakeTheCollections: it does not matter who is first.
func TestManyAtOnceMakeTheCollections(t *testing.T) {
	server := qdranttest.New(t)
	var wg sync.WaitGroup
	for i := range 8 {
		s := open(t, qdrant.Options{URL: server.URL})
		wg.Go(func() {
			d := long("herons")
			d.ID = fmt.Sprint("d", i)
			if err := put(d)(s); err != nil {
				t.Errorf("Put = %v", err)
			}
		})
	}
	wg.Wait()
	s := open(t, qdrant.Options{URL: server.URL})
	if list, _, err := s.Documents(t.Context(), tenant, rag.Key{}, "", 100); err != nil || len(list) != 8 {
		t.Errorf("%d documents of 8, %v", len(list), err)
	}
}

// TestWritersOfOneDocument come from several processes: one of them wins, whole.
func TestWritersOfOneDocument(t *testing.T) {
	server := qdranttest.New(t)
	var wg sync.WaitGroup
	for i := range 6 {
		s := open(t, qdrant.Options{URL: server.URL})
		wg.Go(func() {
			for range 3 {
				if err := put(long([]string{"herons", "storks"}[i%2]))(s); err != nil {
					t.Errorf("Put = %v", err)
				}
			}
		})
	}
	wg.Wait()
	s := open(t, qdrant.Options{URL: server.URL})
	d, err := s.Get(t.Context(), tenant, long("").Key)
	if err != nil || state(t, s) == "" {
		t.Fatalf("Get = %v", err)
	}
	if err := put(long("herons"))(s); err != nil {
		t.Fatal(err)
	}
	if err := put(long("storks"))(s); err != nil { // whoever comes last leaves nothing of the others
		t.Fatal(err)
	}
	if n := server.Points("-passages-32"); n != d.Passages {
		t.Errorf("%d passages are stored, the document has %d", n, d.Passages)
	}
}

func TestACollectionThatIsNotOurs(t *testing.T) {
	idf := client.NewSparseVectorsConfig(map[string]*client.SparseVectorParams{"words": {Modifier: client.Modifier_Idf.Enum()}})
	plain := client.NewSparseVectorsConfig(map[string]*client.SparseVectorParams{"words": {}})
	other := client.NewVectorsConfigMap(map[string]*client.VectorParams{"model": {Size: 33, Distance: client.Distance_Cosine}})
	for name, c := range map[string]*client.CreateCollection{
		"without words":     {CollectionName: "taken-documents"},
		"words without IDF": {CollectionName: "taken-documents", SparseVectorsConfig: plain},
		"other dimensions":  {CollectionName: "taken-passages-32", SparseVectorsConfig: idf, VectorsConfig: other},
		"no dimensions":     {CollectionName: "taken-passages-32", SparseVectorsConfig: idf},
	} {
		s := open(t, qdrant.Options{URL: qdranttest.New(t).URL, Prefix: "taken"})
		if err := qdrant.Make(t.Context(), s, c); err != nil {
			t.Fatal(err)
		}
		if err := put(long("herons"))(s); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not the gateway's") {
			t.Errorf("%s: Put = %v", name, err)
		}
		if _, err := s.Get(t.Context(), tenant, long("").Key); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: Get = %v, want not_found", name, err)
		}
	}
}

func TestCollectionsThatWereDeletedAreMadeAgain(t *testing.T) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	for range 2 {
		if err := put(long("herons"))(s); err != nil {
			t.Fatal(err)
		}
		if got := state(t, s); got != "herons" {
			t.Errorf("state = %q", got)
		}
		err := qdrant.Collections(t.Context(), s, func(c *client.Client, name string) error { return c.DeleteCollection(t.Context(), name) })
		if err != nil {
			t.Fatal(err)
		}
		if got := state(t, s); got != "" {
			t.Errorf("state without collections = %q", got)
		}
	}
}
