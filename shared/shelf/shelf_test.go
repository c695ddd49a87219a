package shelf

import (
	"testing"

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
