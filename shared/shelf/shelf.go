// Package shelf keeps the documents of the single process, and finds passages
// in them by their terms and by their vectors.
//
// A collection is one file to which records are appended, and an index in
// memory that is built from it on first use. A document that is deleted or
// replaced is overwritten with zeros where it stood, so that its text is gone
// from the file and not just from the index.
package shelf

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// MaxCollections bounds the collections of a tenant: each is an open file.
const MaxCollections = 100

const suffix = ".documents"

// Shelf implements rag.Library and rag.Searcher. Locks are taken in the order
// Shelf.mu, collection.keys, collection.appending, collection.syncing,
// collection.mu.
type Shelf struct {
	dir  string
	lock *os.File // shuts other processes out

	mu     sync.Mutex // protects tenants, lock and closed
	closed bool
	// tenants holds the collections that were used, by name.
	tenants map[string]map[string]*collection
}

var (
	_ rag.Library  = (*Shelf)(nil)
	_ rag.Searcher = (*Shelf)(nil)
)

// New returns a shelf in the directory dir, which is made when something is
// stored and not looked at before it is asked for.
func New(dir string) *Shelf { return &Shelf{dir: dir, tenants: map[string]map[string]*collection{}} }

// Close closes the files. Everything that was stored is on disk already.
func (s *Shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, collections := range s.tenants {
		for _, c := range collections {
			errs = append(errs, c.close())
		}
	}
	s.tenants = nil
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// path is where a tenant's collection is. Names are written in hexadecimal:
// some file systems do not tell "Ana" from "ana".
func (s *Shelf) path(tenant, name string) string {
	return filepath.Join(s.dir, hex.EncodeToString([]byte(tenant)), hex.EncodeToString([]byte(name))+suffix)
}

// names lists the tenant's collections in order.
func (s *Shelf) names(tenant string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(s.path(tenant, "")))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("shelf: %w", err)
	}
	var names []string
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if name, err := hex.DecodeString(base); err == nil {
				names = append(names, string(name))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// collection returns a loaded collection, and what to call when it is no longer
// used; nil if there is none and create is false.
func (s *Shelf) collection(tenant, name string, create bool) (*collection, func(), error) {
	c, err := s.entry(tenant, name, create)
	if err != nil || c == nil {
		return nil, func() {}, err
	}
	release := func() { s.release(tenant, c) }
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.file == nil {
		if err := c.load(); err != nil {
			release()
			return nil, func() {}, fmt.Errorf("shelf: %w", err)
		}
	}
	return c, release, nil
}

// release removes a collection that nobody uses any more and that is empty:
// empty ones would count among those that a tenant may have.
func (s *Shelf) release(tenant string, c *collection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.users--
	if c.users > 0 || s.closed || c.file == nil || len(c.docs) > 0 || c.broken != nil {
		return
	}
	if err := os.Remove(c.path); err != nil { // it stays, empty
		return
	}
	c.file.Close()
	delete(s.tenants[tenant], c.name)
}

func (s *Shelf) entry(tenant, name string, create bool) (*collection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("shelf: %w", os.ErrClosed)
	}
	if c := s.tenants[tenant][name]; c != nil {
		c.users++
		return c, nil
	}
	path := s.path(tenant, name)
	if _, err := os.Stat(path); os.IsNotExist(err) {
		if !create {
			return nil, nil
		}
		names, err := s.names(tenant)
		if err != nil {
			return nil, err
		}
		if len(names) >= MaxCollections {
			return nil, fault.Field("collection", "There are %d collections already, and there can be no more.", MaxCollections)
		}
	} else if err != nil {
		return nil, fmt.Errorf("shelf: %w", err)
	}
	if err := s.lockDir(); err != nil {
		return nil, err
	}
	if s.tenants[tenant] == nil {
		s.tenants[tenant] = map[string]*collection{}
	}
	c := &collection{path: path, name: name, users: 1, docs: map[string]*document{}}
	s.tenants[tenant][name] = c
	return c, nil
}

func (s *Shelf) lockDir() error {
	if s.lock != nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("shelf: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("shelf: %w", err)
	}
	if err := exclude(f); err != nil {
		f.Close()
		return fmt.Errorf("shelf: another gateway uses %s: %w", s.dir, err)
	}
	s.lock = f
	return nil
}

// Put implements rag.Library.
func (s *Shelf) Put(ctx context.Context, tenant string, d rag.Document) (rag.Document, bool, error) {
	if err := ctx.Err(); err != nil {
		return d, false, err
	}
	passages, err := d.Split()
	if err != nil {
		return d, false, err
	}
	c, release, err := s.collection(tenant, d.Collection, true)
	if err != nil {
		return d, false, err
	}
	defer release()
	old, vectors, unclaim, err := c.prepare(ctx, d, passages)
	d.Embed = nil
	if err != nil {
		return d, false, err
	}
	if old != nil {
		return old.Document, false, nil
	}
	defer unclaim()
	defer c.hold(d.ID)()
	if old := c.document(d.ID); old != nil && old.sum == contentSum(d) {
		return old.Document, false, nil
	}
	if vectors == nil {
		d.Embedding = ""
	}
	if d.Created.IsZero() {
		d.Created = time.Now().UTC()
	}
	if err := c.put(d, passages, vectors); err != nil {
		return d, false, err
	}
	return d, true, nil
}

// Get implements rag.Library.
func (s *Shelf) Get(_ context.Context, tenant string, k rag.Key) (rag.Document, error) {
	c, release, err := s.collection(tenant, k.Collection, false)
	defer release()
	if err != nil || c == nil {
		return rag.Document{}, cmp.Or(err, rag.Missing(k))
	}
	return c.get(k)
}

// Delete implements rag.Library.
func (s *Shelf) Delete(_ context.Context, tenant string, k rag.Key) error {
	c, release, err := s.collection(tenant, k.Collection, false)
	defer release()
	if err != nil || c == nil {
		return cmp.Or(err, rag.Missing(k))
	}
	defer c.hold(k.ID)()
	return c.delete(k)
}

// Documents implements rag.Library, in the order of collections and ids.
func (s *Shelf) Documents(_ context.Context, tenant string, of rag.Key, after string, limit int) ([]rag.Document, string, error) {
	names := []string{of.Collection}
	if of.Collection == "" {
		var err error
		if names, err = s.names(tenant); err != nil {
			return nil, "", err
		}
	}
	afterName, afterID, _ := strings.Cut(after, "/")
	var list []rag.Document
	for _, name := range names {
		if after != "" && name < afterName {
			continue
		}
		c, release, err := s.collection(tenant, name, false)
		if err != nil {
			return nil, "", err
		}
		if c == nil {
			continue
		}
		from := ""
		if after != "" && name == afterName {
			from = afterID
		}
		list = append(list, c.list(of.ID, from, limit+1-len(list))...)
		release()
		if len(list) > limit {
			last := list[limit-1].Key
			return list[:limit], last.Collection + "/" + last.ID, nil
		}
	}
	return list, "", nil
}

// Search implements rag.Searcher.
func (s *Shelf) Search(ctx context.Context, tenant string, q rag.Query) ([]rag.Hit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, release, err := s.collection(tenant, q.Collection, false)
	defer release()
	if err != nil || c == nil {
		return nil, err
	}
	return c.search(ctx, q)
}

// contentSum is the same for the same content that is cut in the same way.
func contentSum(d rag.Document) string {
	h, parts := sha256.New(), []string{string(d.Kind), d.Language, d.Text, string(d.Metadata)}
	if v := rag.SplitVersion(d.Kind); v != "" { // the first had none
		parts = append(parts, v)
	}
	_ = json.NewEncoder(h).Encode(parts) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

var seed = maphash.MakeSeed()

// hold makes changes of one document wait for each other.
func (c *collection) hold(id string) (release func()) {
	m := &c.keys[maphash.String(seed, id)%uint64(len(c.keys))]
	m.Lock()
	return m.Unlock
}
