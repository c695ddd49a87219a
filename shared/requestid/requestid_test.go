package requestid_test

import (
	"slices"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/requestid"
)

func TestSortsByTimeAndCarriesIt(t *testing.T) {
	start := time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC)
	var ids []string
	for i := range 500 {
		at := start.Add(time.Duration(i) * 7 * time.Millisecond)
		id := requestid.New(at)
		if got, err := requestid.Time(id); err != nil || !got.Equal(at) {
			t.Fatalf("Time(%q) = %v, %v; want %v", id, got, err, at)
		}
		if floor := requestid.Floor(at); floor > id {
			t.Fatalf("Floor %q is above %q", floor, id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids made later must sort later")
	}
}

func TestUnique(t *testing.T) {
	now, seen := time.Now(), map[string]bool{}
	for range 10000 {
		id := requestid.New(now)
		if seen[id] {
			t.Fatalf("%q was made twice in one millisecond", id)
		}
		seen[id] = true
	}
}

// One client's requests may follow each other within a millisecond.
func TestSortsByTheOrderOfMakingInOneMillisecond(t *testing.T) {
	now := time.Now()
	for range 20 {
		now = now.Add(time.Millisecond)
		var ids []string
		for range 5000 {
			ids = append(ids, requestid.New(now))
		}
		if !slices.IsSorted(ids) {
			t.Error("ids of one millisecond must sort in the order of making")
		}
	}
}

func TestTimeRefusesForeignIDs(t *testing.T) {
	for _, id := range []string{"", "short", "0123456789abcde-", "0123456789abcdefg"} {
		if _, err := requestid.Time(id); err == nil {
			t.Errorf("Time(%q) must fail", id)
		}
	}
}

func TestFloorStaysInOrder(t *testing.T) {
	times := []time.Time{time.Unix(-9, 0), time.Unix(0, 0), time.Unix(1, 0), time.Now(), time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range times[1:] {
		if a, b := requestid.Floor(times[i]), requestid.Floor(times[i+1]); a > b {
			t.Errorf("Floor(%v) = %q is above Floor(%v) = %q", times[i], a, times[i+1], b)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		requestid.New(now)
	}
}

func TestDerivedIDsAreOthersOfTheSameMoment(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := requestid.New(time.UnixMilli(1_800_000_000_000))
		for _, purpose := range []string{"a", "b"} {
			got, err := requestid.Derive(id, purpose)
			if again, _ := requestid.Derive(id, purpose); err != nil || got != again || seen[got] || got == id {
				t.Fatalf("Derive(%s, %s) = %s, %v, then %s; seen before: %v", id, purpose, got, err, again, seen[got])
			}
			seen[got] = true
			if at, err := requestid.Time(got); err != nil || at.UnixMilli() != 1_800_000_000_000 {
				t.Errorf("Time(%s) = %v, %v", got, at, err)
			}
		}
	}
	if got, err := requestid.Derive("short", "a"); err == nil {
		t.Errorf("Derive of no id = %s, want an error", got)
	}
}
