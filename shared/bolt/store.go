// Package bolt keeps everything of the single process in one directory.
//
// Users, keys, recipes, conversations and the ledger are in a bbolt file,
// fsynced. A commit there costs milliseconds, which admission cannot wait for:
// so accounts live in memory, what changes them is appended to a journal by one
// write(2), and settled records move from the journal to the ledger once a
// second, in bulk. A killed process loses nothing. A power cut loses what came
// after the last sync, which follows each settlement within milliseconds: the
// ledger and the amounts left agree even then, because the latter are derived
// from the former.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bboltErrors "go.etcd.io/bbolt/errors"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	fileName = "gateway.db"

	saveInterval = time.Second          // from the journal to the ledger
	saveCount    = 1024                 // … or after so many settlements: what a save takes in memory grows with them
	maxUnsaved   = 64 * saveCount       // no admissions if the ledger lags so far behind
	syncDelay    = 5 * time.Millisecond // for other settlements to share a sync
	rotateSize   = 8 << 20              // bytes after which a journal file is replaced

	usualRecord = 512 // bytes that most records need
)

var errClosed = errors.New("bolt: the store is closed")

// Store implements the stores of package admission. Locks are taken in the
// order saving, rosters, world, account.mu, pool.mu, orphans, journal.mu,
// bbolt's own.
type Store struct {
	db      *bbolt.DB
	journal *journal

	saving  sync.Mutex // one sync, save or rotation at a time
	rosters sync.Mutex // protects projects, and who is in which
	// projects by id. All that anybody is in are there.
	projects map[string]*pool
	world    sync.RWMutex // protects accounts; a rotation excludes all changes of accounts
	// accounts by user id. An account that is gone may stay for a moment.
	accounts map[string]*account
	orphans  sync.Mutex // one settlement at a time for users who do not exist

	stop, stopped chan struct{}
	closing       sync.Once
}

var (
	_ admission.Store     = (*Store)(nil)
	_ admission.Users     = (*Store)(nil)
	_ admission.Keys      = (*Store)(nil)
	_ admission.Ledger    = (*Store)(nil)
	_ admission.Projects  = (*Store)(nil)
	_ admission.WriteOffs = (*Store)(nil)
)

// account is what a user may still do, under its lock.
type account struct {
	mu   sync.Mutex
	gone bool // deleted; whoever waited for mu must look again
	admission.Account
	pool *pool // nil: in no project
}

// lock locks a and what it shares with others.
func (a *account) lock() {
	a.mu.Lock()
	if a.pool != nil {
		a.pool.mu.Lock()
	}
}

func (a *account) unlock() {
	if a.pool != nil {
		a.pool.mu.Unlock()
	}
	a.mu.Unlock()
}

// Open opens the data directory dir, which it creates if need be, and settles
// what a killed predecessor left open. It fails if another process uses dir.
func Open(dir string) (*Store, error) { return open(dir, createFile) }

func open(dir string, create func(name string) (file, error)) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("bolt: data directory: %w", err)
	}
	db, err := openFile(dir, false)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, accounts: map[string]*account{}, projects: map[string]*pool{}, stop: make(chan struct{}), stopped: make(chan struct{}),
		journal: &journal{dir: dir, create: create, wake: make(chan struct{}, 1), records: map[string][]byte{}},
	}
	if err := errors.Join(s.recover(), s.Conversations().sweep()); err != nil {
		_ = s.journal.close()
		db.Close()
		return nil, err
	}
	go s.background()
	return s, nil
}

func openFile(dir string, readOnly bool) (*bbolt.DB, error) {
	options := *bbolt.DefaultOptions
	options.Timeout, options.ReadOnly = time.Second, readOnly
	options.FreelistType = bbolt.FreelistMapType
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, &options)
	if errors.Is(err, bboltErrors.ErrTimeout) {
		return nil, fmt.Errorf("bolt: another gateway uses the data directory %s; stop it, or set GATEWAY_DATA_DIR to another directory", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", filepath.Join(dir, fileName), err)
	}
	return db, nil
}

// Flush waits until everything that was settled is in the ledger, on disk.
func (s *Store) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.save()
}

// Close flushes and closes the store. Leases that are still open are settled
// at their estimates by the next Open.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.stop)
		<-s.stopped
		err = errors.Join(s.save(), s.journal.close(), s.db.Close())
	})
	return err
}

// background syncs the journal soon after settlements and saves once a second,
// and sleeps while nothing happens.
func (s *Store) background() {
	defer close(s.stopped)
	var due <-chan time.Time
	for {
		select {
		case <-s.stop:
			return
		case <-s.journal.wake:
			if due == nil {
				due = time.After(saveInterval)
			}
			switch syncSoon, full := s.journal.wants(); {
			case full:
				s.trySave()
			case syncSoon:
				select {
				case <-s.stop:
					return
				case <-time.After(syncDelay):
				}
				s.saving.Lock()
				err := s.journal.sync()
				s.saving.Unlock()
				if err != nil {
					slog.Error("journal not synced; its records are saved another way", "error", err)
					s.trySave()
				}
			}
		case <-due:
			due = nil
			s.journal.rest()
			if !s.trySave() {
				due = time.After(saveInterval)
			}
		}
	}
}

func (s *Store) trySave() bool {
	err := s.save()
	if err != nil {
		slog.Error("ledger not written; trying again", "error", err)
	}
	return err == nil
}

// save moves what was settled from the journal to the ledger.
func (s *Store) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.journal.size() > rotateSize {
		if err := s.rotate(); err != nil {
			slog.Warn("journal not rotated; it grows on", "error", err)
		}
	}
	if err := s.saveLocked(); err == nil || !errors.Is(err, errSync) {
		return err
	}
	// What the disk did not take may be lost in the old file although it can
	// be read now. A new one begins with all that still matters of it.
	if err := s.rotate(); err != nil {
		return err
	}
	return s.saveLocked()
}

// saveLocked needs s.saving, and takes no account's lock.
func (s *Store) saveLocked() error {
	entries, upTo := s.journal.pending()
	// The journal first: were it shorter than what the ledger has of it, then
	// closed leases would come back to life after a power cut.
	if err := s.journal.sync(); err != nil {
		return err
	}
	if len(entries) == 0 && upTo.File == s.journal.oldest {
		return nil
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return book(tx, entries, upTo) }); err != nil {
		return fmt.Errorf("bolt: write the ledger: %w", err)
	}
	s.journal.saved(len(entries))
	s.journal.removeBefore(upTo.File)
	return nil
}

// rotate starts a new journal file. It needs s.saving; the old files are
// removed when the ledger has taken over what they say.
func (s *Store) rotate() error {
	s.world.Lock()
	defer s.world.Unlock()
	var b []byte
	now := time.Now()
	for _, a := range s.accounts {
		b = a.appendSnapshot(b, now)
	}
	b = (&entry{kind: endLine}).appendLine(b)
	return s.journal.next(b)
}

// appendSnapshot writes the lines that restore a's leases and rates.
func (a *account) appendSnapshot(b []byte, now time.Time) []byte {
	a.lock()
	defer a.unlock()
	if a.gone {
		return b
	}
	if !a.Idle(now) {
		b = (&entry{kind: rateLine, user: a.ID, tat: a.TAT}).appendLine(b)
	}
	for id, held := range a.Leases {
		b = (&entry{kind: leaseLine, user: a.ID, id: id, held: held}).appendLine(b)
	}
	if a.Tokens < admission.NoTokenLimit {
		for minute, left := range a.TokensLeft {
			b = (&entry{kind: minuteLine, user: a.ID, id: minute, tokens: a.Tokens - left}).appendLine(b)
		}
	}
	return b
}

// unavailable is what callers see of a failing disk.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &fault.Error{Kind: fault.Unavailable, Message: "The gateway's store cannot be used right now; try again.", RetryAfter: time.Second, Err: err}
}
