package bolt

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Stores {
		s := openTest(t, t.TempDir())
		return storetest.Stores{Admission: s, Users: s, Keys: s, Ledger: s}
	})
}

func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}
