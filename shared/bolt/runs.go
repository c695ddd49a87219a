package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/chain"
)

// These buckets, too, are made on demand.
var (
	runsBucket    = []byte("runs")    // tenant \0 id → the run's JSON
	runEndsBucket = []byte("runends") // when it is forgotten \0 tenant \0 id → nothing
)

// Runs implements chain.Runs. Every change is one transaction, on disk when it
// returns; it takes a portion of what has expired with it.
type Runs struct {
	db  *bbolt.DB
	now func() time.Time
}

var _ chain.Runs = (*Runs)(nil)

// Runs returns the runs of chains in s, which must stay open.
func (s *Store) Runs() *Runs { return &Runs{db: s.db, now: time.Now} }

func runKey(tenant, id string) []byte { return []byte(tenant + "\x00" + id) }

func runEndKey(r *chain.Run, key []byte) []byte {
	return append([]byte(runEnd(r).UTC().Format(endLayout)+"\x00"), key...)
}

// runEnd is when a run is forgotten.
func runEnd(r *chain.Run) time.Time { return r.Updated.Add(chain.Keep) }

// Save implements chain.Runs.
func (s *Runs) Save(_ context.Context, tenant string, r *chain.Run) error {
	body, err := r.Encode()
	if err != nil {
		return err
	}
	return ours(s.db.Update(func(tx *bbolt.Tx) error {
		if err := makeBuckets(tx, runsBucket, runEndsBucket); err != nil {
			return err
		}
		if err := sweepRuns(tx, s.now()); err != nil {
			return err
		}
		key := runKey(tenant, r.ID)
		old, err := readRun(tx, key)
		if err != nil {
			return err
		}
		rev := 0
		if old != nil && s.alive(old) {
			rev = old.Rev
		}
		if r.Rev != rev+1 {
			return chain.TakenRun(r.ID)
		}
		ends := tx.Bucket(runEndsBucket)
		if old != nil {
			if err := ends.Delete(runEndKey(old, key)); err != nil {
				return err
			}
		}
		if err := ends.Put(runEndKey(r, key), nil); err != nil {
			return err
		}
		return tx.Bucket(runsBucket).Put(key, body)
	}))
}

// Run implements chain.Runs.
func (s *Runs) Run(_ context.Context, tenant, id string) (r *chain.Run, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		found, err := readRun(tx, runKey(tenant, id))
		if err == nil && (found == nil || !s.alive(found)) {
			return chain.MissingRun(id)
		}
		r = found
		return err
	})
	return r, ours(err)
}

// Forget implements chain.Runs.
func (s *Runs) Forget(_ context.Context, tenant string) error {
	return ours(s.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(runsBucket) == nil {
			return nil
		}
		prefix := runKey(tenant, "")
		c := tx.Bucket(runsBucket).Cursor()
		for k, body := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, body = c.Seek(prefix) {
			r, err := parseRun(k, body)
			if err != nil {
				return err
			}
			if err := tx.Bucket(runEndsBucket).Delete(runEndKey(r, k)); err != nil {
				return err
			}
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (s *Runs) alive(r *chain.Run) bool { return s.now().Before(runEnd(r)) }

// readRun returns a run, expired or not; nil if there is none.
func readRun(tx *bbolt.Tx, key []byte) (*chain.Run, error) {
	b := tx.Bucket(runsBucket)
	if b == nil {
		return nil, nil
	}
	body := b.Get(key)
	if body == nil {
		return nil, nil
	}
	return parseRun(key, body)
}

func parseRun(key, body []byte) (*chain.Run, error) {
	var r chain.Run
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("run %q: %w", key, err)
	}
	return &r, nil
}

// sweepRuns removes some of the runs that have expired.
func sweepRuns(tx *bbolt.Tx, now time.Time) error {
	ends := tx.Bucket(runEndsBucket).Cursor()
	n := 0
	for k, _ := ends.First(); k != nil && ended(k, now) && n < sweepAtWrites; k, _ = ends.First() {
		_, key, _ := bytes.Cut(k, []byte{0})
		if err := tx.Bucket(runsBucket).Delete(key); err != nil {
			return err
		}
		if err := ends.Delete(); err != nil {
			return err
		}
		n++
	}
	return nil
}
