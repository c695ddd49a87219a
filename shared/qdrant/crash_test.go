package qdrant_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/qdranttest"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

const tenant = "ana"

var trigrams = &storetest.Trigrams{Model: "p/one", Dimensions: 32}

// long is a document of several passages, all about one bird.
func long(bird string) rag.Document {
	return rag.Document{Key: rag.Key{Collection: "docs", ID: "a"}, Kind: rag.Text, Text: strings.Repeat("They tell of "+bird+" and little else. ", 150),
		Embedding: trigrams.Model, Embed: trigrams.Embed}
}

// state says which bird the document is about, everywhere: "" if there is none.
func state(t *testing.T, s *qdrant.Store) string {
	t.Helper()
	birds := map[string]bool{}
	d, err := s.Get(t.Context(), tenant, long("").Key)
	if err != nil && !errors.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	word := func(text string) {
		for _, bird := range []string{"herons", "storks"} {
			if strings.Contains(text, bird) {
				birds[bird] = true
			}
		}
	}
	word(d.Text)
	list, _, err := s.Documents(t.Context(), tenant, rag.Key{}, "", 10)
	if err != nil || len(list) != len(birds) {
		t.Fatalf("listing = %d documents, %v; Get finds %v", len(list), err, birds)
	}
	q := rag.Query{Collection: "docs", Text: "herons storks", Limit: 50, Embedding: trigrams.Model, Embed: trigrams.Sees("they tell")}
	hits, err := s.Search(t.Context(), tenant, q)
	if err != nil || len(hits) != d.Passages {
		t.Fatalf("%d hits of %d passages, %v", len(hits), d.Passages, err)
	}
	for _, h := range hits {
		word(h.Text)
	}
	if len(birds) > 1 {
		t.Fatalf("old and new are both there: Get = %.30q, hits = %+v", d.Text, hits)
	}
	for bird := range birds {
		return bird
	}
	return ""
}

// crashes calls try for every call that act makes, with a server that answers
// no more from that call on, once without and once after having done it.
func crashes(t *testing.T, prepare, act func(*qdrant.Store) error, try func(t *testing.T, server *qdranttest.Server, s *qdrant.Store, err error)) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	if err := prepare(s); err != nil {
		t.Fatal(err)
	}
	server.Fail(nil, nil)
	if err := act(s); err != nil {
		t.Fatal(err)
	}
	calls := server.Calls()
	if len(calls) < 4 {
		t.Fatalf("calls = %q", calls)
	}
	down := status.Error(codes.Internal, "crashed")
	for at, call := range calls {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s applied=%v", at+1, strings.ReplaceAll(call, "/", " "), applied), func(t *testing.T) {
				server := qdranttest.New(t)
				s := open(t, qdrant.Options{URL: server.URL})
				if err := prepare(s); err != nil {
					t.Fatal(err)
				}
				server.Fail(func(_ string, n int) error {
					if n > at+1 || n == at+1 && !applied {
						return down
					}
					return nil
				}, func(_ string, n int) error {
					if n == at+1 {
						return down
					}
					return nil
				})
				err := act(s)
				server.Fail(nil, nil)
				if err != nil && !errors.Is(err, fault.Unavailable) {
					t.Errorf("err = %v, want unavailable", err)
				}
				try(t, server, s, err)
			})
		}
	}
}

func put(d rag.Document) func(*qdrant.Store) error {
	return func(s *qdrant.Store) error {
		_, _, err := s.Put(context.Background(), tenant, d)
		return err
	}
}

// TestACrashWhileReplacing: at any moment there is the old document or the new
// one, and whoever comes next finds nothing that is in the way, and leaves
// nothing of the old one.
func TestACrashWhileReplacing(t *testing.T) {
	crashes(t, put(long("herons")), put(long("storks")), func(t *testing.T, server *qdranttest.Server, s *qdrant.Store, err error) {
		got := state(t, s)
		if got == "" || err == nil && got != "storks" {
			t.Errorf("after Put = %v the document is about %q", err, got)
		}
		qdrant.Impatient(s)
		if err := put(rag.Document{Key: rag.Key{Collection: "docs", ID: "a"}, Kind: rag.Text, Text: "Of storks, again.", Embedding: trigrams.Model, Embed: trigrams.Embed})(s); err != nil {
			t.Fatal(err)
		}
		if got := state(t, s); got != "storks" {
			t.Errorf("after the next Put it is about %q", got)
		}
		if n := server.Points("-passages-32"); n != 1 || server.Holds("herons") || server.Holds("little else") {
			t.Errorf("%d passages are there, want 1; herons: %v, the other: %v", n, server.Holds("herons"), server.Holds("little else"))
		}
	})
}

// TestACrashWhileStoring: what a new document has left is gone when the tenant
// deletes anything.
func TestACrashWhileStoring(t *testing.T) {
	other := rag.Document{Key: rag.Key{Collection: "docs", ID: "other"}, Kind: rag.Text, Text: "Another.", Embedding: trigrams.Model, Embed: trigrams.Embed}
	nothing := func(*qdrant.Store) error { return nil }
	crashes(t, nothing, put(long("herons")), func(t *testing.T, server *qdranttest.Server, s *qdrant.Store, err error) {
		got := state(t, s)
		if err == nil && got != "herons" {
			t.Errorf("after Put = nil the document is about %q", got)
		}
		qdrant.Impatient(s)
		if err := put(other)(s); err != nil {
			t.Fatal(err)
		}
		if got != "" {
			if err := s.Delete(t.Context(), tenant, long("").Key); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete(t.Context(), tenant, other.Key); err != nil {
			t.Fatal(err)
		}
		if server.Holds("herons") || server.Points("-passages-32") != 0 || server.Points("-documents") > 1 { // one says of which kind the collection was
			t.Errorf("herons are still there (%v), %d passages, %d documents", server.Holds("herons"), server.Points("-passages-32"), server.Points("-documents"))
		}
	})
}

// TestACrashWhileDeleting: a document that was not deleted is whole, and
// deleting it again succeeds until nothing of it is there.
func TestACrashWhileDeleting(t *testing.T) {
	remove := func(s *qdrant.Store) error { return s.Delete(context.Background(), tenant, long("").Key) }
	crashes(t, put(long("herons")), remove, func(t *testing.T, server *qdranttest.Server, s *qdrant.Store, err error) {
		got := state(t, s)
		if err == nil && got != "" {
			t.Errorf("after Delete = nil the document is about %q", got)
		}
		again := remove(s)
		if again != nil && (err != nil && server.Holds("herons") || !errors.Is(again, fault.NotFound)) {
			t.Errorf("deleting again = %v", again)
		}
		if state(t, s) != "" || server.Holds("herons") || server.Points("-passages-32") != 0 {
			t.Errorf("herons are still there: %v, %d passages", server.Holds("herons"), server.Points("-passages-32"))
		}
	})
}

// TestHiccups: a call that fails once is made again, whether it was done or not.
func TestHiccups(t *testing.T) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	away := status.Error(codes.Unavailable, "try later")
	flaky := func(remainder int) func(string, int) error {
		return func(_ string, n int) error {
			if n%3 == remainder {
				return away
			}
			return nil
		}
	}
	for round, bird := range []string{"herons", "storks"} {
		if round == 0 {
			server.Fail(flaky(0), nil)
		} else {
			server.Fail(nil, flaky(1))
		}
		if err := put(long(bird))(s); err != nil {
			t.Fatal(err)
		}
		if got := state(t, s); got != bird {
			t.Errorf("the document is about %q, want %q", got, bird)
		}
	}
	if err := s.Delete(t.Context(), tenant, long("").Key); err != nil {
		t.Error(err)
	}
	if server.Points("-passages-32") != 0 {
		t.Errorf("%d passages are left", server.Points("-passages-32"))
	}
}

// TestAFailureIsTakenBack: a call that fails for good leaves the old document,
// nothing of the new one, and an error; or else the new one and none.
func TestAFailureIsTakenBack(t *testing.T) {
	server := qdranttest.New(t)
	s := open(t, qdrant.Options{URL: server.URL})
	refused := status.Error(codes.Internal, "refused")
	kept, replaced := 0, 0
	for at := 1; ; at++ {
		for _, applied := range []bool{false, true} {
			if err := put(long("herons"))(s); err != nil {
				t.Fatal(err)
			}
			fail := func(_ string, n int) error {
				if n == at {
					return refused
				}
				return nil
			}
			if applied {
				server.Fail(nil, fail)
			} else {
				server.Fail(fail, nil)
			}
			err := put(long("storks"))(s)
			calls := server.Calls()
			server.Fail(nil, nil)
			if len(calls) < at { // it was over before
				if kept == 0 || replaced == 0 {
					t.Errorf("%d times the old one stayed, %d times it was replaced", kept, replaced)
				}
				return
			}
			got, want := state(t, s), "herons"
			if err == nil {
				want = "storks"
				replaced++
			} else {
				kept++
			}
			d, _ := s.Get(t.Context(), tenant, long("").Key)
			if n := server.Points("-passages-32"); got != want || err != nil && n != d.Passages {
				t.Errorf("call %d (%s, applied=%v): Put = %v, the document is about %q, %d passages of %d", at, calls[at-1], applied, err, got, n, d.Passages)
			}
		}
	}
}

// TestADocumentIsFoundWhileItIsReplaced: the search has the old passages when
// the new document comes.
func TestADocumentIsFoundWhileItIsReplaced(t *testing.T) {
	server := qdranttest.New(t)
	s, writer := open(t, qdrant.Options{URL: server.URL}), open(t, qdrant.Options{URL: server.URL})
	if err := put(long("herons"))(s); err != nil {
		t.Fatal(err)
	}
	searched, replaced := false, false
	server.Fail(func(method string, _ int) error {
		if searched = searched || method == "Points/Query"; searched && method == "Points/Get" && !replaced {
			replaced = true
			return put(long("storks"))(writer)
		}
		return nil
	}, nil)
	hits, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "little", Limit: 5})
	if err != nil || len(hits) == 0 || !replaced || !strings.Contains(hits[0].Text, "storks") {
		t.Errorf("hits = %+v, %v", hits, err)
	}
}
