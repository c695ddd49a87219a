package shelf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

const tenant = "ana"

func key(id string) rag.Key { return rag.Key{Collection: "docs", ID: id} }

func put(t *testing.T, s *Shelf, id, text string) {
	t.Helper()
	if _, _, err := s.Put(t.Context(), tenant, rag.Document{Key: key(id), Kind: rag.Text, Text: text}); err != nil {
		t.Fatal(err)
	}
}

func found(t *testing.T, s *Shelf, query string) string {
	t.Helper()
	hits, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: query, Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, h := range hits {
		ids = append(ids, fmt.Sprintf("%s:%s:%.4f", h.ID, h.Text, h.Score))
	}
	return strings.Join(ids, "\n")
}

// file returns the bytes of the collection's file, as another process sees it.
func file(t *testing.T, s *Shelf) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path(tenant, "docs"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reopened is a shelf whose collection has these bytes: what a machine finds
// after a crash.
func reopened(t *testing.T, b []byte) *Shelf {
	t.Helper()
	s := open(t, t.TempDir())
	if err := os.MkdirAll(s.dir+"/616e61", 0o700); err != nil { // "ana"
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(tenant, "docs"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDocumentsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := New(dir)
	put(t, s, "a", "Herons stand in water.")
	put(t, s, "b", "Herons and storks.")
	_, _, err := s.Put(t.Context(), tenant, rag.Document{Key: key("a"), Kind: rag.Text, Text: "Herons stand on one leg.", Metadata: json.RawMessage(`{ "x" : 1.50, "y":"<"}`)})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "c", "Gone herons.")
	if err = s.Delete(t.Context(), tenant, key("c")); err != nil {
		t.Fatal(err)
	}
	want := found(t, s, "herons on a leg")
	before, err := s.Get(t.Context(), tenant, key("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if got := found(t, s, "herons on a leg"); got != want || !strings.HasPrefix(got, "a:Herons stand on one leg.") {
		t.Errorf("hits after a restart:\n%s\nwant\n%s", got, want)
	}
	after, err := s.Get(t.Context(), tenant, key("a"))
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("Get = %v (-before +after):\n%s", err, diff)
	}
	if _, changed, err := s.Put(t.Context(), tenant, rag.Document{Key: key("b"), Kind: rag.Text, Text: "Herons and storks."}); changed || err != nil {
		t.Errorf("the same again after a restart: changed %v, %v", changed, err)
	}
}

func TestDeletedTextIsNotInTheFile(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "An albatross.")
	put(t, s, "b", "A cormorant.")
	put(t, s, "b", "A pelican.")
	if err := s.Delete(t.Context(), tenant, key("a")); err != nil {
		t.Fatal(err)
	}
	b := file(t, s)
	for word, want := range map[string]bool{"albatross": false, "cormorant": false, "pelican": true, `"id":"a"`: false} {
		if got := bytes.Contains(b, []byte(word)); got != want {
			t.Errorf("the file has %s = %v, want %v", word, got, want)
		}
	}
}

// TestAnyEndOfAFile cuts the file at every byte of its last record: what was
// there before is found, the last document is there whole or not at all.
func TestAnyEndOfAFile(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "A heron.")
	full := len(file(t, s))
	put(t, s, "b", "Two herons.")
	whole := file(t, s)
	for n := full; n <= len(whole); n++ {
		r := reopened(t, whole[:n])
		got := found(t, r, "two herons")
		if strings.Contains(got, "b:Two herons.") != (n == len(whole)) || !strings.Contains(got, "a:A heron.") {
			t.Fatalf("cut at %d of %d: hits = %s", n, len(whole), got)
		}
		if n < len(whole) && bytes.Contains(file(t, r), []byte("Two")) {
			t.Fatalf("cut at %d of %d: a part of the last document stays in the file", n, len(whole))
		}
		put(t, r, "c", "Three herons.")
		if got := found(t, r, "three"); !strings.HasPrefix(got, "c:Three herons.") {
			t.Fatalf("cut at %d of %d: after another Put: %s", n, len(whole), got)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range len(magic) {
		if got := found(t, reopened(t, whole[:n]), "heron"); got != "" {
			t.Errorf("cut at %d: %s", n, got)
		}
	}
}

// TestACrashBeforeErasing: the record that replaces another is on disk, the
// other is whole or half erased.
func TestACrashBeforeErasing(t *testing.T) {
	for _, end := range []string{"replaced", "deleted"} {
		s := open(t, t.TempDir())
		put(t, s, "a", "The old albatross.")
		put(t, s, "z", "A heron.")
		old := file(t, s)
		if end == "replaced" {
			put(t, s, "a", "The new pelican.")
		} else if err := s.Delete(t.Context(), tenant, key("a")); err != nil {
			t.Fatal(err)
		}
		crashed := append(bytes.Clone(old), file(t, s)[len(old):]...)
		for _, half := range []bool{false, true} {
			if half {
				clear(crashed[len(magic)+headSize : len(magic)+headSize+40])
			}
			r := reopened(t, crashed)
			if got := found(t, r, "albatross"); got != "" {
				t.Errorf("%s: found %s", end, got)
			}
			if got := found(t, r, "heron"); !strings.HasPrefix(got, "z:A heron.") {
				t.Errorf("%s: the other document: %s", end, got)
			}
			if bytes.Contains(file(t, r), []byte("albatross")) {
				t.Errorf("%s: the text is still in the file", end)
			}
		}
	}
}

func TestDamageIsReportedAndNothingIsLost(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "A heron.")
	second := len(file(t, s))
	put(t, s, "b", "Two herons.")
	whole := file(t, s)
	for name, at := range map[string]int{"the magic": 0, "a head": len(magic), "a payload": len(magic) + headSize + 5, "a checksum": len(magic) + 17} {
		b := bytes.Clone(whole)
		b[at] ^= 0x20
		r := reopened(t, b)
		if _, err := r.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "heron", Limit: 1}); err == nil {
			t.Errorf("damage in %s is not reported", name)
		}
		if !bytes.Equal(file(t, r), b) {
			t.Errorf("damage in %s: the file was changed", name)
		}
	}
	b := bytes.Clone(whole) // the last record's own pages may be missing after a power cut
	clear(b[second+headSize+8:])
	if got := found(t, reopened(t, b), "heron"); !strings.HasPrefix(got, "a:A heron.") || strings.Contains(got, "b:") {
		t.Errorf("a last record without its end: %s", got)
	}
}

func TestErasedSpaceIsGivenBack(t *testing.T) {
	dir := t.TempDir()
	s := New(dir)
	put(t, s, "keep", "A heron.")
	for i := range 4 {
		put(t, s, "big", strings.Repeat(fmt.Sprintf("Filler %d. ", i), 40_000))
	}
	put(t, s, "big", "Short.")
	want := found(t, s, "heron")
	before := len(file(t, s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = New(dir)
		if got := found(t, s, "heron"); got != want {
			t.Errorf("after rewriting: %s, want %s", got, want)
		}
		if after := len(file(t, s)); after > 2000 {
			t.Errorf("the file has %d bytes, and had %d", after, before)
		}
		live, _, _, err := scan("", file(t, s))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range live { // where that was there may be another record now
			if e.head.replaces != 0 {
				t.Errorf("the record at byte %d still replaces that at byte %d", e.pos, e.head.replaces)
			}
		}
		put(t, s, "keep", "A heron.")
		put(t, s, "more", "A stork.")
		if got := found(t, s, "stork"); !strings.HasPrefix(got, "more:A stork.") {
			t.Errorf("a document after rewriting: %s", got)
		}
		if err := s.Delete(t.Context(), tenant, key("more")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	put(t, first, "a", "A heron.")
	if _, err := second.Get(t.Context(), tenant, key("a")); err == nil {
		t.Error("a second shelf opens the same directory")
	}
}

func TestADiskThatFails(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "A heron.")
	c := s.tenants[tenant]["docs"]
	good := c.file
	readOnly, err := os.Open(c.path)
	if err != nil {
		t.Fatal(err)
	}
	c.file = readOnly
	if _, _, err := s.Put(t.Context(), tenant, rag.Document{Key: key("b"), Kind: rag.Text, Text: "Storks."}); err == nil {
		t.Error("Put to a file that cannot be written succeeds")
	}
	if err := s.Delete(t.Context(), tenant, key("a")); err == nil {
		t.Error("Delete in a file that cannot be written succeeds")
	}
	if got := found(t, s, "heron stork"); !strings.HasPrefix(got, "a:A heron.") || strings.Contains(got, "b:") {
		t.Errorf("after failures: %s", got)
	}
	readOnly.Close()
	c.file = good
}

func TestCollectionsAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	add := func(name string) error {
		_, _, err := s.Put(t.Context(), tenant, rag.Document{Key: rag.Key{Collection: name, ID: "a"}, Kind: rag.Text, Text: "x"})
		return err
	}
	for i := range MaxCollections {
		if err := add(fmt.Sprintf("c%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("one-more"); !errors.Is(err, fault.Invalid) || fault.As(err).Param != "collection" {
		t.Errorf("collection %d: %v, want a fault of 'collection'", MaxCollections+1, err)
	}
	if err := add("c0"); err != nil {
		t.Errorf("into one that exists: %v", err)
	}
	if err := s.Delete(t.Context(), tenant, rag.Key{Collection: "c7", ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := add("one-more"); err != nil {
		t.Errorf("after another was emptied: %v", err)
	}
	if names, err := s.names(tenant); err != nil || len(names) != MaxCollections || slices.Contains(names, "c7") {
		t.Errorf("collections = %q, %v", names, err)
	}
}

func TestAskingForNothingMakesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.Search(t.Context(), "bob", rag.Query{Collection: "docs", Text: "x", Limit: 1})
	s.Get(t.Context(), "bob", key("a"))
	s.Delete(context.Background(), "bob", key("a"))
	s.Documents(t.Context(), "bob", rag.Key{}, "", 10)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}
