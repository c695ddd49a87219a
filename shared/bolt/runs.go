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

func runEndKey(end time.Time, key []byte) []byte {
	return append([]byte(end.UTC().Format(endLayout)+"\x00"), key...)
}

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
		if err := s.sweep(tx); err != nil {
			return err
		}
		key := runKey(tenant, r.ID)
		old, err := s.read(tx, key)
		if err != nil {
			return err
		}
		rev := 0
		if old != nil {
			rev = old.Rev
		}
		if r.Rev != rev+1 {
			return chain.TakenRun(r.ID)
		}
		if err := removeRun(tx, key); err != nil {
			return err
		}
		if err := tx.Bucket(runEndsBucket).Put(runEndKey(r.Updated.Add(chain.Keep), key), nil); err != nil {
			return err
		}
		return tx.Bucket(runsBucket).Put(key, body)
	}))
}

// Run implements chain.Runs.
func (s *Runs) Run(_ context.Context, tenant, id string) (r *chain.Run, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if r, err = s.read(tx, runKey(tenant, id)); err == nil && r == nil {
			err = chain.MissingRun(id)
		}
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
		var keys [][]byte
		prefix := runKey(tenant, "")
		c := tx.Bucket(runsBucket).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := removeRun(tx, k); err != nil {
				return err
			}
		}
		return nil
	}))
}

// read returns the run with a key; nil if there is none any more.
func (s *Runs) read(tx *bbolt.Tx, key []byte) (*chain.Run, error) {
	b := tx.Bucket(runsBucket)
	if b == nil {
		return nil, nil
	}
	body := b.Get(key)
	if body == nil {
		return nil, nil
	}
	r, err := parseRun(key, body)
	if err != nil || !s.now().Before(r.Updated.Add(chain.Keep)) {
		return nil, err
	}
	return r, nil
}

func parseRun(key, body []byte) (*chain.Run, error) {
	var r chain.Run
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("run %q: %w", key, err)
	}
	return &r, nil
}

// removeRun removes a run and what says when it ends, if it is there.
func removeRun(tx *bbolt.Tx, key []byte) error {
	body := tx.Bucket(runsBucket).Get(key)
	if body == nil {
		return nil
	}
	r, err := parseRun(key, body)
	if err != nil {
		return err
	}
	if err := tx.Bucket(runEndsBucket).Delete(runEndKey(r.Updated.Add(chain.Keep), key)); err != nil {
		return err
	}
	return tx.Bucket(runsBucket).Delete(key)
}

// sweep removes some of the runs that have expired.
func (s *Runs) sweep(tx *bbolt.Tx) error {
	now := []byte(s.now().UTC().Format(endLayout))
	var keys [][]byte
	c := tx.Bucket(runEndsBucket).Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k[:min(len(k), len(now))], now) <= 0 && len(keys) < sweepAtWrites; k, _ = c.Next() {
		_, key, _ := bytes.Cut(k, []byte{0})
		keys = append(keys, bytes.Clone(key))
	}
	for _, k := range keys {
		if err := removeRun(tx, k); err != nil {
			return err
		}
	}
	return nil
}
