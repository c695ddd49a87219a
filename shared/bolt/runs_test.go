package bolt

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestRunsConform(t *testing.T) {
	storetest.RunRuns(t, func(t *testing.T, now func() time.Time) chain.Runs {
		r := openTest(t, t.TempDir()).Runs()
		r.now = now
		return r
	})
}

// TestExpiredRunsLeaveTheDisk: what nobody can read any more goes when others
// are saved.
func TestExpiredRunsLeaveTheDisk(t *testing.T) {
	s := openTest(t, t.TempDir())
	r := s.Runs()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r.now = func() time.Time { return now }
	save := func(i int) {
		if err := r.Save(t.Context(), "ann", &chain.Run{ID: fmt.Sprintf("run_%08d", i), Rev: 1, Updated: now}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sweepAtWrites + 10 {
		save(i)
	}
	count := func() (n, ends int) {
		err := s.db.View(func(tx *bbolt.Tx) error {
			n, ends = tx.Bucket(runsBucket).Stats().KeyN, tx.Bucket(runEndsBucket).Stats().KeyN
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n, ends
	}
	now = now.Add(chain.Keep)
	for i, want := range []int{11, 2, 3} {
		save(1000 + i)
		if n, ends := count(); n != want || ends != want {
			t.Errorf("after %d more, %d runs and %d ends are on disk, want %d", i+1, n, ends, want)
		}
		now = now.Add(time.Second)
	}
}

func TestRunsAreOnDiskWhenSaved(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	if err := s.Runs().Save(t.Context(), "ann", &chain.Run{ID: "run_00000001", Rev: 1, Chain: "c", Updated: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if r, err := openTest(t, dir).Runs().Run(t.Context(), "ann", "run_00000001"); err != nil || r.Chain != "c" {
		t.Errorf("Run after a kill = %+v, %v", r, err)
	}
}
