package shelf

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func open(t *testing.T, dir string) *Shelf {
	t.Helper()
	s := New(dir)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	storetest.RunLibrary(t, func(t *testing.T) storetest.Library { return open(t, t.TempDir()) })
}

// TestPassagesAreReadAsTheyWere: a search learns from the best passages, and
// from titles and prose more than from code.
func TestPassagesAreReadAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	docs := []rag.Document{
		{Key: key("md"), Kind: rag.Markdown, Text: "# Herons\n\nThey stand.\n\n## Food\n\nFrogs."},
		{Key: key("go"), Kind: rag.Code, Language: "go", Text: "package p\n\nfunc F() {}"},
		{Key: key("text"), Kind: rag.Text, Text: "Herons. They stand."},
	}
	for _, d := range docs {
		if _, _, err := s.Put(t.Context(), tenant, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"stored", "loaded"} {
		c, release, err := s.collection(tenant, "docs", false)
		if err != nil {
			t.Fatal(err)
		}
		read := c.reader()
		for _, d := range docs {
			for i, want := range rag.Split(d.Kind, d.Language, d.Text) {
				want.Context = ""
				if got, err := read(c.docs[d.ID].slots[i]); err != nil || got != want {
					t.Errorf("%s: passage %d of %s = %+v, %v, want %+v", when, i, d.ID, got, err, want)
				}
			}
		}
		release()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
	}
}
