package bolt

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var errSync = errors.New("bolt: the journal cannot be synced")

// file is what the journal needs of one; tests put failing ones in its place.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

func createFile(name string) (file, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// journal appends entries to the current file and remembers those that the
// ledger does not have yet.
type journal struct {
	dir    string
	create func(name string) (file, error)
	wake   chan struct{} // holds one token while there is something to do

	mu      sync.Mutex
	file    file
	at      position // of the next line
	torn    bool     // the last write failed half-way
	buf     []byte
	synced  int64 // bytes of the current file known to be on disk
	unsaved []entry
	records map[string][]byte // of unsaved, by ledger key

	oldest int // number of the first file that exists; for holders of Store.saving

	awake    bool // somebody will save within saveInterval
	syncSoon bool // a settlement wants to be on disk
}

// append writes e to the journal. Nothing has happened if it fails.
func (j *journal) append(e *entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return errClosed
	}
	if e.kind == admitLine && len(j.unsaved) >= maxUnsaved {
		return fmt.Errorf("%d settled requests wait for a ledger that cannot be written", len(j.unsaved))
	}
	j.buf = j.buf[:0]
	if j.torn { // spoils what the failed write left, even if only its newline is missing
		j.buf = append(j.buf, "!\n"...)
	}
	j.buf = e.appendLine(j.buf)
	n, err := j.file.Write(j.buf)
	j.at.Offset += int64(n)
	if err != nil {
		j.torn = j.torn || n > 0
		return err
	}
	j.torn = false
	if e.books() {
		j.unsaved = append(j.unsaved, *e)
		if e.record != nil {
			j.records[string(ledgerKey(e.user, e.id))] = e.record
		}
	}
	if full := len(j.unsaved) == saveCount; !j.awake || full || e.books() && !j.syncSoon {
		j.awake, j.syncSoon = true, j.syncSoon || e.books()
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// sync puts all that was appended on disk. It must not run twice at once.
func (j *journal) sync() error {
	j.mu.Lock()
	f, at := j.file, j.at
	clean := j.synced == at.Offset
	j.syncSoon = false
	j.mu.Unlock()
	if clean || f == nil {
		return nil
	}
	// Sync rather than fdatasync: appending changes the size, which both have
	// to write, and Sync exists everywhere.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.at.File == at.File {
		j.synced = max(j.synced, at.Offset)
	}
	return nil
}

// next starts a new file with the given snapshot. The old one stays.
func (j *journal) next(snapshot []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.at.File + 1
	name := journalName(j.dir, n)
	f, err := j.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(snapshot)
	if err == nil {
		err = syncDir(j.dir)
	}
	if err != nil {
		_ = f.Close()
		os.Remove(name)
		return err
	}
	if j.file != nil {
		_ = j.file.Close()
	}
	j.file, j.at, j.synced, j.torn = f, position{n, int64(len(snapshot))}, 0, false
	return nil
}

// wants tells what background has been woken for.
func (j *journal) wants() (syncSoon, full bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.syncSoon, len(j.unsaved) >= saveCount
}

// rest makes the next entry wake background again.
func (j *journal) rest() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.awake = false
}

// size is that of the current file, in bytes.
func (j *journal) size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at.Offset
}

// removeBefore removes the files before the one with number n. Should that
// fail, the next Open tries again.
func (j *journal) removeBefore(n int) {
	for ; j.oldest < n; j.oldest++ {
		if err := os.Remove(journalName(j.dir, j.oldest)); err != nil && !errors.Is(err, os.ErrNotExist) {
			slog.Warn("old journal not removed", "error", err)
		}
	}
}

// lookup returns the JSON of a settled record that is not in the ledger yet.
func (j *journal) lookup(key []byte) ([]byte, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.records[string(key)]
	return r, ok
}

// pending returns the entries that the ledger has to take over, and the place
// in the journal up to which it has everything then.
func (j *journal) pending() ([]entry, position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unsaved[:len(j.unsaved):len(j.unsaved)], j.at
}

// saved forgets the first n pending entries: the ledger has them.
func (j *journal) saved(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.unsaved[:n] {
		if e.record != nil {
			delete(j.records, string(ledgerKey(e.user, e.id)))
		}
	}
	j.unsaved = append([]entry(nil), j.unsaved[n:]...)
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

const journalPrefix = "journal-"

func journalName(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%06d", journalPrefix, n))
}

// journalFiles returns the numbers of the journal's files in dir, in order.
func journalFiles(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, f := range entries {
		number, ok := strings.CutPrefix(f.Name(), journalPrefix)
		if n, err := strconv.Atoi(number); ok && err == nil { // else it is not ours
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
