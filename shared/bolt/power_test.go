package bolt

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// volatileDisk remembers how much of each journal file was synced.
type volatileDisk map[string]int64

func (d volatileDisk) create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	d[name] = 0
	return &volatileFile{f, d}, err
}

type volatileFile struct {
	*os.File
	disk volatileDisk
}

func (f *volatileFile) Sync() error {
	info, err := f.Stat()
	if err == nil {
		f.disk[f.Name()] = info.Size()
	}
	return err
}

// cut is what a power cut does at worst: all that was not synced is gone.
func (d volatileDisk) cut(t *testing.T) {
	t.Helper()
	for name, size := range d {
		if err := os.Truncate(name, size); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestPowerCutKeepsTheBooks(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir, d := t.TempDir(), volatileDisk{}
		s := openQuiet(t, dir, d.create)
		createTestUser(t, s, "u", nil)
		open := map[string]admission.Lease{}
		settled, durable := map[string]usage.Nano{}, map[string]usage.Nano{}
		for range 60 {
			switch r.IntN(8) {
			case 0, 1, 2:
				l := admit(t, s, testAsk("u", time.Now(), 1000)).Lease
				open[l.ID] = l
			case 3, 4, 5:
				for id, l := range open {
					settled[id] = settle(t, s, l, usage.Nano(r.Int64N(1500))).Cost
					delete(open, id)
					break
				}
			case 6:
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				for id, cost := range settled {
					durable[id] = cost
				}
			case 7:
				s.saving.Lock()
				err := s.journal.sync()
				if r.IntN(3) == 0 {
					err = errors.Join(err, s.rotate())
				} else {
					for id, cost := range settled {
						durable[id] = cost
					}
				}
				s.saving.Unlock()
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		s.kill()
		d.cut(t)

		s = openTest(t, dir)
		found := map[string]bool{}
		for _, r := range checkBooks(t, s, "u") {
			if cost, ok := durable[r.ID]; ok && (r.Cost != cost || r.Unsettled) {
				t.Errorf("seed %d: %s costs %d, unsettled %v; want %d as settled before the last sync", seed, r.ID, r.Cost, r.Unsettled, cost)
			}
			found[r.ID] = true
		}
		for id := range durable {
			if !found[id] {
				t.Errorf("seed %d: the record %s was synced and is gone", seed, id)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
