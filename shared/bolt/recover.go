package bolt

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// recover loads the accounts, replays the journal, and settles what the last
// process left open: only that process could have finished it.
func (s *Store) recover() error {
	done, err := s.load()
	if err != nil {
		return err
	}
	st, err := s.replay(done)
	if err != nil {
		return err
	}
	if err := s.restore(st); err != nil {
		return err
	}
	// From here on all goes as in operation: should this process be killed
	// before the end, the next one finds leases and records as this one did.
	if err := s.rotate(); err != nil {
		return fmt.Errorf("bolt: start a journal: %w", err)
	}
	open := 0
	for _, a := range s.accounts {
		for l := range a.LeasesBefore(time.Unix(1<<40, 0)) {
			if _, err := s.settle(a, l, l.Unsettled()); err != nil { // nobody else is here yet
				return fmt.Errorf("bolt: settle %s: %w", l.ID, err)
			}
			open++
		}
	}
	if st.bad > 0 {
		slog.Warn("the journal was damaged; its unreadable lines are lost", "lines", st.bad, "dir", s.journal.dir)
	}
	if open > 0 {
		slog.Warn("requests were open when the last process ended; they are booked at their estimates", "requests", open)
	}
	return s.save()
}

// load reads the file and returns the position up to which it has taken over
// what the journal says.
func (s *Store) load() (done position, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := makeBuckets(tx, append(buckets, projectsBucket, projectTotalsBucket)...); err != nil {
			return err
		}
		meta := tx.Bucket(metaBucket)
		switch f := meta.Get(formatKey); {
		case f == nil:
			if err := meta.Put(formatKey, []byte(format)); err != nil {
				return err
			}
		case string(f) != format:
			return fmt.Errorf("the data has format %s, this program knows %s only", f, format)
		}
		if b := meta.Get(journalKey); b != nil {
			if err := json.Unmarshal(b, &done); err != nil {
				return err
			}
		}
		if err := s.loadProjects(tx); err != nil {
			return err
		}
		now := time.Now()
		return tx.Bucket(usersBucket).ForEach(func(id, b []byte) error {
			var u user
			if err := json.Unmarshal(b, &u); err != nil {
				return fmt.Errorf("user %s: %w", id, err)
			}
			a := &account{Account: *admission.NewAccount(u.User)}
			a.Version = u.Version
			keys, err := readKeys(tx, u.ID)
			if err != nil {
				return err
			}
			a.setKeys(keys, now)
			t, err := readTotals(tx, u.ID)
			if err != nil {
				return err
			}
			for p, spent := range t.Day {
				a.DayLeft[p] = a.Day - spent
			}
			for p, spent := range t.Month {
				a.MonthLeft[p] = a.Month - spent
			}
			if err := s.makeProject(tx, a.Project); err != nil {
				return err
			}
			a.mu.Lock()
			s.join(a)
			a.unlock()
			s.accounts[u.ID] = a
			return nil
		})
	})
	if err != nil {
		err = fmt.Errorf("bolt: read %s: %w", fileName, err)
	}
	return done, err
}

// replayed is what the journal adds to the file.
type replayed struct {
	leases  map[[2]string]usage.Nano // by user and id
	rates   map[string]int64         // TAT by user
	minutes map[[2]string]int64      // tokens used, by user and minute
	settled []entry                  // what the ledger does not have yet
	bad     int                      // lines
}

func (s *Store) replay(done position) (*replayed, error) {
	files, err := journalFiles(s.journal.dir)
	if err != nil {
		return nil, err
	}
	fresh := func() *replayed {
		return &replayed{leases: map[[2]string]usage.Nano{}, rates: map[string]int64{}, minutes: map[[2]string]int64{}}
	}
	st := fresh()
	s.journal.oldest, s.journal.at.File = done.File, done.File
	for i, n := range files {
		if i == 0 {
			s.journal.oldest = n
		}
		s.journal.at.File = max(n, done.File)
		if n < done.File {
			continue // all of it was taken over; only its removal failed
		}
		// A snapshot without its end is one that was never taken into use.
		snapshot := fresh()
		data, err := os.ReadFile(journalName(s.journal.dir, n))
		if err != nil {
			return nil, fmt.Errorf("bolt: read the journal: %w", err)
		}
		bad := replay(data, n, func(e entry, after position) {
			if snapshot != nil && !e.snapshot() {
				snapshot.settled, snapshot.bad, st = st.settled, st.bad, snapshot
				snapshot = nil
			}
			if snapshot != nil {
				snapshot.apply(e)
			} else {
				st.apply(e)
			}
			if e.books() && after.follows(done) {
				st.settled = append(st.settled, e)
			}
		})
		st.bad += bad
	}
	return st, nil
}

func (st *replayed) apply(e entry) {
	key := [2]string{e.user, e.id}
	switch e.kind {
	case leaseLine, topUpLine:
		st.leases[key] = e.held
	case minuteLine:
		st.minutes[key] = e.tokens
	case rateLine, touchLine:
		st.rates[e.user] = e.tat
	case admitLine:
		st.leases[key] = e.held
		st.rates[e.user] = e.tat
		st.minutes[[2]string{e.user, admission.Minute(e.lease().Admitted)}] += e.tokens
	case settleLine, bookLine:
		delete(st.leases, key)
		if e.held != notOpen {
			st.minutes[[2]string{e.user, admission.Minute(e.lease().Admitted)}] -= e.tokens
		}
	}
}

// restore puts what was replayed into the accounts and before the ledger.
func (s *Store) restore(st *replayed) error {
	for user, tat := range st.rates {
		if a := s.accounts[user]; a != nil {
			a.TAT, a.Gate = tat, tat-a.Gap-a.Inc
		}
	}
	now, _ := strconv.ParseInt(admission.Minute(time.Now()), 10, 64)
	for key, used := range st.minutes {
		if m, err := strconv.ParseInt(key[1], 10, 64); err != nil || m < now {
			continue
		}
		if a := s.accounts[key[0]]; a != nil {
			a.TokensLeft[key[1]] = a.Tokens - used
		}
	}
	for key, held := range st.leases {
		if a := s.accounts[key[0]]; a != nil {
			e := entry{user: key[0], id: key[1], held: held}
			a.Charge(e.lease().Admitted, held)
			a.Leases[e.id] = held
		}
	}
	for _, e := range st.settled {
		if err := s.charge(&e); err != nil {
			return err
		}
		s.journal.unsaved = append(s.journal.unsaved, e)
		if e.record != nil {
			s.journal.records[string(ledgerKey(e.user, e.id))] = e.record
		}
	}
	return nil
}
