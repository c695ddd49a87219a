package bolt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// disk makes journal files that fail on demand.
type disk struct {
	fits    func(n int) int // how many of n bytes can be written; nil: all
	syncErr error
	syncs   atomic.Int32
}

func (d *disk) create(name string) (file, error) {
	f, err := createFile(name)
	return &diskFile{f, d}, err
}

type diskFile struct {
	file
	disk *disk
}

func (f *diskFile) Write(b []byte) (int, error) {
	if f.disk.fits == nil || f.disk.fits(len(b)) >= len(b) {
		return f.file.Write(b)
	}
	n, err := f.file.Write(b[:f.disk.fits(len(b))])
	return n, errors.Join(err, errors.New("no space left on device"))
}

func (f *diskFile) Sync() error {
	f.disk.syncs.Add(1)
	return errors.Join(f.disk.syncErr, f.file.Sync())
}

// openQuiet opens a store that saves only when it is told to.
func openQuiet(t *testing.T, dir string, create func(name string) (file, error)) *Store {
	t.Helper()
	s, err := open(dir, create)
	if err != nil {
		t.Fatalf("open = %v", err)
	}
	s.closing.Do(func() { close(s.stop) })
	<-s.stopped
	t.Cleanup(s.kill)
	return s
}

// kill leaves the directory as a killed process would.
func (s *Store) kill() {
	s.journal.close()
	s.db.Close()
}

func TestDiskFull(t *testing.T) {
	for name, fits := range map[string]func(n int) int{
		"nothing fits":          func(int) int { return 0 },
		"one byte fits":         func(int) int { return 1 },
		"half fits":             func(n int) int { return n / 2 },
		"one byte is missing":   func(n int) int { return n - 1 },
		"two bytes are missing": func(n int) int { return n - 2 },
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := t.TempDir(), &disk{}
			s := openQuiet(t, dir, d.create)
			createTestUser(t, s, "u", func(u *admission.User) { u.Day, u.Rate, u.Burst, u.Tokens = 100, 1, 4, 1000 })
			now := time.Now()
			kept := admit(t, s, testAsk("u", now, 40)).Lease
			before := accountOf(t, s)

			d.fits = fits
			failed := testAsk("u", now, 5)
			if _, err := s.Admit(t.Context(), failed); !errors.Is(err, fault.Unavailable) || fault.As(err).RetryAfter == 0 {
				t.Errorf("Admit on a full disk = %v, want Unavailable with a time to try again", err)
			}
			touch := failed
			touch.Lease, touch.Reserve, touch.Tokens = false, 0, 0
			if _, err := s.Admit(t.Context(), touch); !errors.Is(err, fault.Unavailable) {
				t.Errorf("Admit without a lease on a full disk = %v, want Unavailable", err)
			}
			if _, err := s.TopUp(t.Context(), kept, 50); !errors.Is(err, fault.Unavailable) {
				t.Errorf("TopUp on a full disk = %v, want Unavailable", err)
			}
			if _, err := s.Settle(t.Context(), kept, testRecord(kept, 7)); !errors.Is(err, fault.Unavailable) {
				t.Errorf("Settle on a full disk = %v, want Unavailable", err)
			}
			if _, err := s.Record(t.Context(), "u", kept.ID); !errors.Is(err, fault.NotFound) {
				t.Errorf("Record = %v, want NotFound: it could not be written", err)
			}
			if diff := cmp.Diff(before, accountOf(t, s)); diff != "" {
				t.Errorf("failed writes changed the account (-before +after):\n%s", diff)
			}

			d.fits = nil
			next := admit(t, s, testAsk("u", now, 6)).Lease
			settle(t, s, kept, 7)
			s.kill()

			s = openTest(t, dir)
			var got []usage.Nano
			for _, r := range checkBooks(t, s, "u") {
				switch r.ID {
				case kept.ID, next.ID:
					got = append(got, r.Cost)
				default:
					t.Errorf("record %+v of a request that was not admitted", r)
				}
			}
			if diff := cmp.Diff([]usage.Nano{7, 6}, got, cmpopts.SortSlices(func(a, b usage.Nano) bool { return a > b })); diff != "" {
				t.Errorf("costs after the restart (-want +got):\n%s", diff)
			}
		})
	}
}

func accountOf(t *testing.T, s *Store) admission.Account {
	t.Helper()
	a, err := s.User(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLedgerThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", nil)
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	s.db.MaxSize = int(info.Size())
	var leases []admission.Lease
	for range 200 { // more than the pages at hand can take
		l := admit(t, s, testAsk("u", time.Now(), 10)).Lease
		settle(t, s, l, 3)
		leases = append(leases, l)
	}
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("Flush = nil, want an error: the file may not grow")
	}
	for r, err := range s.Records(t.Context(), "u", time.Unix(0, 0), time.Now().Add(time.Hour)) {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("Records = %v, %v, want Unavailable rather than a part", r, err)
		}
	}
	if r, err := s.Record(t.Context(), "u", leases[0].ID); err != nil || r.Cost != 3 {
		t.Errorf("Record = %+v, %v, want it out of the journal", r, err)
	}
	s.db.MaxSize = 0
	if err := s.Flush(t.Context()); err != nil {
		t.Fatalf("Flush = %v after the ledger may grow again", err)
	}
	if got := len(checkBooks(t, s, "u")); got != len(leases) {
		t.Errorf("records = %d, want %d", got, len(leases))
	}

	// Reading fails as well: then nobody can say whether a record exists.
	l := admit(t, s, testAsk("u", time.Now(), 10)).Lease
	s.db.Close()
	if _, err := s.Settle(t.Context(), l, testRecord(l, 1)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Settle without a ledger = %v, want Unavailable", err)
	}
	if got := accountOf(t, s).Leases; len(got) != 1 || got[l.ID] != 10 {
		t.Errorf("leases = %v, want the one that could not be settled", got)
	}
}

func TestAdmitsNoMoreThanTheLedgerCanFollow(t *testing.T) {
	s := openQuiet(t, t.TempDir(), createFile)
	createTestUser(t, s, "u", nil)
	l := admit(t, s, testAsk("u", time.Now(), 10)).Lease
	for range maxUnsaved {
		s.journal.unsaved = append(s.journal.unsaved, entry{kind: bookLine, user: "u", id: l.ID, held: notOpen})
	}
	if _, err := s.Admit(t.Context(), testAsk("u", time.Now(), 10)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Admit = %v, want Unavailable", err)
	}
	settle(t, s, l, 3) // who is in may finish
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	admit(t, s, testAsk("u", time.Now(), 10))
}

func TestSyncThatFailedIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", nil)
	broken := &diskFile{s.journal.file, &disk{syncErr: errors.New("input/output error")}}
	s.journal.file = broken
	settled := admit(t, s, testAsk("u", time.Now(), 10)).Lease
	open := admit(t, s, testAsk("u", time.Now(), 20)).Lease
	settle(t, s, settled, 3)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatalf("Flush = %v, want a new journal in place of the broken one", err)
	}
	if s.journal.file == file(broken) {
		t.Error("the journal that cannot be synced is still in use")
	}
	s.kill()
	s = openTest(t, dir)
	got := map[string]usage.Nano{}
	for _, r := range checkBooks(t, s, "u") {
		got[r.ID] = r.Cost
	}
	if diff := cmp.Diff(map[string]usage.Nano{settled.ID: 3, open.ID: 20}, got); diff != "" {
		t.Errorf("costs (-want +got):\n%s", diff)
	}
}

func TestSyncsAreSharedAndStopWhenIdle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		s, err := open(dir, d.create)
		if err != nil {
			t.Fatal(err)
		}
		createTestUser(t, s, "u", nil)
		d.syncs.Store(0)
		for range 50 {
			settle(t, s, admit(t, s, testAsk("u", time.Now(), 10)).Lease, 3)
		}
		time.Sleep(10 * syncDelay)
		synctest.Wait()
		if d.syncs.Load() != 1 {
			t.Errorf("syncs = %d soon after 50 settlements, want 1", d.syncs.Load())
		}
		admit(t, s, testAsk("u", time.Now(), 10))
		time.Sleep(10 * syncDelay)
		synctest.Wait()
		if d.syncs.Load() != 1 {
			t.Errorf("syncs = %d soon after an admission, want 1 still", d.syncs.Load())
		}
		time.Sleep(2 * saveInterval)
		synctest.Wait()
		if d.syncs.Load() != 2 {
			t.Errorf("syncs = %d a second after an admission, want 2", d.syncs.Load())
		}
		if n, _ := s.journal.pending(); len(n) != 0 {
			t.Errorf("%d settlements are not in the ledger after a second", len(n))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if d.syncs.Load() != 2 {
			t.Errorf("syncs = %d after an hour of rest, want 2", d.syncs.Load())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFlushHonoursContext(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush = %v, want context.Canceled", err)
	}
}
