package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// story is a directory in which a process was killed: a was settled, b was
// topped up and settled, c was topped up, d was admitted.
func story(t *testing.T) (dir string, a, b, c, d admission.Lease) {
	t.Helper()
	dir = t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", func(u *admission.User) { u.Day = 1000 })
	var leases [4]admission.Lease
	for i := range leases {
		leases[i] = admit(t, s, testAsk("u", time.Now(), usage.Nano(10*(i+1)))).Lease
	}
	settle(t, s, leases[0], 1)
	for i, to := range map[int]usage.Nano{1: 200, 2: 300} {
		if _, err := s.TopUp(t.Context(), leases[i], to); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, s, leases[1], 2)
	s.kill()
	return dir, leases[0], leases[1], leases[2], leases[3]
}

// wantStory checks what Open makes of a story, and that it does so once.
func wantStory(t *testing.T, dir string, a, b, c, d admission.Lease) {
	t.Helper()
	for range 2 {
		s := openTest(t, dir)
		got := map[string]usage.Nano{}
		for _, r := range checkBooks(t, s, "u") {
			got[r.ID] = r.Cost
			if open := r.ID == c.ID || r.ID == d.ID; r.Unsettled != open {
				t.Errorf("%s: Unsettled = %v, want %v", r.ID, r.Unsettled, open)
			}
		}
		want := map[string]usage.Nano{a.ID: 1, b.ID: 2, c.ID: 300, d.ID: 40}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("costs (-want +got):\n%s", diff)
		}
		if _, err := s.Admit(t.Context(), testAsk("u", time.Now(), 1000-343+1)); !errors.Is(err, fault.Quota) {
			t.Errorf("Admit of more than is left = %v, want Quota", err)
		}
		if files, err := journalFiles(dir); err != nil || len(files) != 1 {
			t.Errorf("journal files = %v, %v, want one", files, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecovery(t *testing.T) {
	dir, a, b, c, d := story(t)
	wantStory(t, dir, a, b, c, d)
}

func TestRecoveryInterrupted(t *testing.T) {
	broken := errors.New("killed here")
	for _, tc := range []struct {
		name   string
		create func(name string) (file, error)
	}{
		{"before the new journal", func(string) (file, error) { return nil, broken }},
		{"in the new journal's snapshot", (&disk{fits: func(n int) int { return n / 2 }}).create},
		{"in the first settlement", (&disk{fits: func(n int) int { return min(n, 200) }}).create},
		{"before the ledger is written", (&disk{syncErr: broken}).create},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, a, b, c, d := story(t)
			for range 3 {
				if s, err := open(dir, tc.create); err == nil {
					s.Close()
					t.Fatal("open = nil, want a failure")
				}
			}
			wantStory(t, dir, a, b, c, d)
		})
	}
}

func TestKilledWhileItStartsAJournal(t *testing.T) {
	dir, a, b, c, d := story(t)
	files, err := journalFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	half := (&entry{kind: leaseLine, user: "u", id: c.ID, held: 5}).appendLine(nil)
	if err := os.WriteFile(journalName(dir, files[0]+1), append(half, half[:9]...), 0o600); err != nil {
		t.Fatal(err)
	}
	wantStory(t, dir, a, b, c, d)
}

func TestJournalThatWasTakenOverIsNotBookedAgain(t *testing.T) {
	dir, a, b, c, d := story(t)
	files, err := journalFiles(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("journalFiles = %v, %v, want one", files, err)
	}
	old, err := os.ReadFile(journalName(dir, files[0]))
	if err != nil {
		t.Fatal(err)
	}
	wantStory(t, dir, a, b, c, d)
	// The ledger was written, but the old journal could not be removed.
	if err := os.WriteFile(journalName(dir, files[0]), old, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStory(t, dir, a, b, c, d)
}

func TestKilledBetweenLedgerAndRotation(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", nil)
	one := admit(t, s, testAsk("u", time.Now(), 10)).Lease
	two := admit(t, s, testAsk("u", time.Now(), 20)).Lease
	settle(t, s, one, 1)
	if err := s.Flush(t.Context()); err != nil { // one is in the ledger, and still in the journal
		t.Fatal(err)
	}
	settle(t, s, two, 2)
	s.saving.Lock()
	err := s.rotate() // two is in the old journal, and not in the ledger
	s.saving.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	three := admit(t, s, testAsk("u", time.Now(), 30)).Lease
	s.kill()

	s = openTest(t, dir)
	got := map[string]usage.Nano{}
	for _, r := range checkBooks(t, s, "u") {
		got[r.ID] = r.Cost
	}
	if diff := cmp.Diff(map[string]usage.Nano{one.ID: 1, two.ID: 2, three.ID: 30}, got); diff != "" {
		t.Errorf("costs (-want +got):\n%s", diff)
	}
}

func TestRatesSurvive(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		dir := t.TempDir()
		s := openQuiet(t, dir, createFile)
		createTestUser(t, s, "u", func(u *admission.User) { u.Rate, u.Burst, u.Tokens = 0.001, 3, 100 })
		now := time.Now().Add(time.Hour) // the minute cannot end during the test
		for range 2 {
			a := testAsk("u", now, 0)
			a.Tokens = 40
			r := testRecord(admit(t, s, a).Lease, 0)
			r.InputTokens, r.OutputTokens = 20, 10
			if _, err := s.Settle(t.Context(), admission.Lease{ID: a.ID, User: "u", Tokens: 40}, r); err != nil {
				t.Fatal(err)
			}
		}
		if rotated {
			s.saving.Lock()
			err := s.rotate()
			s.saving.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
		s.kill()
		s = openTest(t, dir)
		a := testAsk("u", now, 0)
		a.Tokens = 41
		if _, err := s.Admit(t.Context(), a); err == nil || !strings.Contains(err.Error(), "Token limit") {
			t.Errorf("rotated %v: Admit of 41 tokens with 40 left in the minute = %v", rotated, err)
		}
		a.Tokens = 40
		admit(t, s, a)
		a = testAsk("u", now, 0)
		a.Tokens = 0
		if _, err := s.Admit(t.Context(), a); !errors.Is(err, fault.RateLimited) {
			t.Errorf("rotated %v: a fourth request of burst 3 = %v, want RateLimited", rotated, err)
		}
	}
}

// TestDamagedJournal cuts a journal at every byte, and flips a bit of every
// byte: what is not damaged must count, what is must be noticed.
func TestDamagedJournal(t *testing.T) {
	dir, _, _, _, _ := story(t)
	files, err := journalFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(journalName(dir, files[0]))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	var entries []entry
	for _, line := range lines[:len(lines)-1] {
		e, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	read := func(data []byte) (got []entry, bad int) {
		bad = replay(data, 1, func(e entry, _ position) { got = append(got, e) })
		return got, bad
	}
	at, line := 0, 0
	for i := range whole {
		got, bad := read(whole[:i])
		wantBad := 0
		if i > at {
			wantBad = 1
		}
		if !slices.EqualFunc(got, entries[:line], sameEntry) || bad != wantBad {
			t.Fatalf("cut after %d of %d bytes: %d entries and %d bad lines, want %d and %d", i, len(whole), len(got), bad, line, wantBad)
		}
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << bit
			got, bad := read(damaged)
			lost := 1
			if whole[i] == '\n' { // two lines became one
				lost = 2
			}
			want := slices.Concat(entries[:line], entries[min(len(entries), line+lost):])
			if !slices.EqualFunc(got, want, sameEntry) || bad == 0 {
				t.Fatalf("bit %d of byte %d flipped: %d entries, want %d; %d bad lines", bit, i, len(got), len(want), bad)
			}
		}
		if i+1 == at+len(lines[line]) {
			at, line = i+1, line+1
		}
	}
}

func sameEntry(x, y entry) bool { return reflect.DeepEqual(x, y) }

// TestOpenDamaged opens whole directories with a journal cut at the ends of its
// lines and in between: the books must agree whatever is missing.
func TestOpenDamaged(t *testing.T) {
	dir, a, b, c, d := story(t)
	files, err := journalFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(journalName(dir, files[0]))
	if err != nil {
		t.Fatal(err)
	}
	db, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{a.ID: true, b.ID: true, c.ID: true, d.ID: true}
	for i := 0; i <= len(journal); i += 41 {
		cut := t.TempDir()
		if err := errors.Join(os.WriteFile(journalName(cut, files[0]), journal[:i], 0o600), os.WriteFile(filepath.Join(cut, fileName), db, 0o600)); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, cut)
		for _, r := range checkBooks(t, s, "u") {
			if !known[r.ID] {
				t.Errorf("cut at %d: record %+v of nobody", i, r)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFormatOfAnotherVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte(`"2"`)) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("Open = nil, want an error: the data is of a later program")
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	createTestUser(t, s, "u", func(u *admission.User) { u.Tokens = 1e9 })
	start := time.Now().UTC().Truncate(24 * time.Hour)
	const n = 20000
	for i := range n { // more than a year, a request every 33 minutes
		at := start.Add(time.Duration(i) * 33 * time.Minute)
		settle(t, s, admit(t, s, testAsk("u", at, 10)).Lease, 3)
		if i%1000 == 0 {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := accountOf(t, s)
	sizes := fmt.Sprint(len(a.DayLeft) <= 4, len(a.MonthLeft) <= 4, len(a.TokensLeft) <= 62, len(a.Leases), len(s.journal.unsaved), len(s.journal.records))
	if want := "true true true 0 0 0"; sizes != want {
		t.Errorf("days, months, minutes ok, leases, unsaved, records = %s, want %s", sizes, want)
	}
	if files, err := journalFiles(dir); err != nil || len(files) != 1 || files[0] < 2 {
		t.Errorf("journal files = %v, %v, want one that is not the first", files, err)
	}
	var tot *totals
	if err := s.db.View(func(tx *bbolt.Tx) (err error) { tot, err = readTotals(tx, "u"); return err }); err != nil {
		t.Fatal(err)
	}
	if len(tot.Day) > 2 || len(tot.Month) > 2 || len(tot.Day) == 0 {
		t.Errorf("totals = %v, want those of two days and months at most", tot)
	}
}
