package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Values are JSON, so that any bbolt tool shows what is there.
var (
	metaBucket   = []byte("meta")   // see the keys below
	usersBucket  = []byte("users")  // id → user
	keysBucket   = []byte("keys")   // user \0 hash → admission.Key
	totalsBucket = []byte("totals") // user → totals
	ledgerBucket = []byte("ledger") // user \0 request id → usage.Record

	buckets = [][]byte{metaBucket, usersBucket, keysBucket, totalsBucket, ledgerBucket}

	formatKey  = []byte("format")  // of this file and the journal
	journalKey = []byte("journal") // the position up to which everything is in here
)

const format = `"1"`

// totals is what a user spent in the periods that still matter.
type totals struct {
	Day   map[string]usage.Nano `json:"day"`
	Month map[string]usage.Nano `json:"month"`
}

func ledgerKey(user, id string) []byte {
	b := make([]byte, 0, len(user)+1+len(id))
	b = append(b, user...)
	b = append(b, 0)
	return append(b, id...)
}

// book brings ledger and totals up to a position in the journal: each entry
// counts exactly once because the position is written with it.
func book(tx *bbolt.Tx, entries []entry, upTo position) error {
	ledger := tx.Bucket(ledgerBucket)
	users, projects := map[string]*booked{}, map[string]map[string]usage.Nano{}
	for _, e := range entries {
		if e.record != nil {
			if err := ledger.Put(ledgerKey(e.user, e.id), e.record); err != nil {
				return err
			}
		}
		if e.held == notOpen && e.kind != backLine {
			continue
		}
		u := users[e.user]
		if u == nil {
			var err error
			if u, err = readBooked(tx, e.user); err != nil {
				return err
			}
			users[e.user] = u
		}
		at, project := e.lease().Admitted, u.project
		if e.kind == backLine {
			r, err := e.parseRecord()
			if err != nil {
				return err
			}
			project = r.Project
		}
		if e.held != notOpen {
			u.Day[admission.Day(at)] += e.cost
			u.Month[admission.Month(at)] += e.cost
		}
		if projects[project] == nil {
			projects[project] = map[string]usage.Nano{}
		}
		projects[project][admission.Month(at)] += e.cost
	}
	for user, t := range users {
		if !t.exists {
			continue
		}
		t.prune()
		if err := put(tx, totalsBucket, []byte(user), t.totals); err != nil {
			return err
		}
	}
	for project, costs := range projects {
		if err := bookProject(tx, project, costs); err != nil {
			return err
		}
	}
	return put(tx, metaBucket, journalKey, upTo)
}

// booked is a user whose totals change.
type booked struct {
	*totals
	exists  bool
	project string
}

func readBooked(tx *bbolt.Tx, id string) (*booked, error) {
	t, err := readTotals(tx, id)
	if err != nil {
		return nil, err
	}
	b := tx.Bucket(usersBucket).Get([]byte(id))
	if b == nil {
		return &booked{totals: t}, nil
	}
	var u user
	if err := json.Unmarshal(b, &u); err != nil {
		return nil, fmt.Errorf("user %s: %w", id, err)
	}
	return &booked{t, true, u.Project}, nil
}

func readTotals(tx *bbolt.Tx, user string) (*totals, error) {
	t := totals{}
	if b := tx.Bucket(totalsBucket).Get([]byte(user)); b != nil {
		if err := json.Unmarshal(b, &t); err != nil {
			return nil, fmt.Errorf("totals of %s: %w", user, err)
		}
	}
	if t.Day == nil {
		t.Day, t.Month = map[string]usage.Nano{}, map[string]usage.Nano{}
	}
	return &t, nil
}

// prune keeps what accounts keep, seen from the latest day booked.
func (t *totals) prune() {
	latest := ""
	for day := range t.Day {
		latest = max(latest, day)
	}
	at, err := time.Parse("20060102", latest)
	if err != nil {
		return // nothing booked
	}
	a := admission.Account{DayLeft: t.Day, MonthLeft: t.Month}
	a.Prune(at)
}

// makeBuckets makes those that are not there yet.
func makeBuckets(tx *bbolt.Tx, names ...[]byte) error {
	for _, name := range names {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func put(tx *bbolt.Tx, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, b)
}

// find returns the record with that id, wherever it is by now.
func (s *Store) find(user, id string) (r usage.Record, found bool, err error) {
	key := ledgerKey(user, id)
	if b, ok := s.journal.lookup(key); ok {
		err := json.Unmarshal(b, &r)
		return r, true, err
	}
	// What leaves the journal is in the ledger before it is forgotten there.
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(ledgerBucket).Get(key)
		if found = b != nil; !found {
			return nil
		}
		return json.Unmarshal(b, &r)
	})
	return r, found, err
}

// Record implements admission.Ledger.
func (s *Store) Record(_ context.Context, user, id string) (usage.Record, error) {
	r, found, err := s.find(user, id)
	if err == nil && !found {
		return usage.Record{}, fault.New(fault.NotFound, "No such request: %s.", id)
	}
	return r, unavailable(err)
}

// Records implements admission.Ledger. It reads in pages, and holds no
// transaction while the caller works on what it got.
func (s *Store) Records(ctx context.Context, user string, from, to time.Time) iter.Seq2[usage.Record, error] {
	return func(yield func(usage.Record, error) bool) {
		if err := s.save(); err != nil {
			yield(usage.Record{}, unavailable(err))
			return
		}
		next, end := ledgerKey(user, firstID(from)), ledgerKey(user, firstID(to))
		for next != nil {
			if err := ctx.Err(); err != nil {
				yield(usage.Record{}, fault.As(err))
				return
			}
			page, rest, err := s.page(next, end)
			if err != nil {
				yield(usage.Record{}, unavailable(err))
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			next = rest
		}
	}
}

// firstID is the smallest id whose time is not before t.
func firstID(t time.Time) string { return requestid.Floor(t.Add(time.Millisecond - 1)) }

const pageSize = 256

// page reads records from the key next up to before end; rest is nil after the
// last one.
func (s *Store) page(next, end []byte) (page []usage.Record, rest []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(ledgerBucket).Cursor()
		for k, v := c.Seek(next); k != nil && bytes.Compare(k, end) < 0; k, v = c.Next() {
			if len(page) == pageSize {
				rest = bytes.Clone(k)
				return nil
			}
			var r usage.Record
			if err := json.Unmarshal(v, &r); err != nil {
				return fmt.Errorf("record %q: %w", k, err)
			}
			page = append(page, r)
		}
		return nil
	})
	return page, rest, err
}
