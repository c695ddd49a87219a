package shelf

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/devmentor/ai-gateway/shared/rag"
)

// A file is written anew when it is loaded if at least so much of it, and more
// than half, is erased.
const worthRewriting = 1 << 20

// entry is a record that was found in the file.
type entry struct {
	pos     int64
	head    head
	payload []byte
	damaged bool
}

func (e entry) size() int64 { return headSize + int64(e.head.length) }

// load reads the file, makes it if need be, and builds the index. What a crash
// left is put right: half a record at the end is cut off, records that were
// replaced are erased.
func (c *collection) load() (err error) {
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(c.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // the next use tries again, from nothing
			f.Close()
			c.docs, c.slots, c.index, c.kind = map[string]*document{}, nil, rag.Inverted{}, kind{}
		}
	}()
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if len(data) < len(magic) && magic[:len(data)] == string(data) {
		if _, err := f.WriteAt([]byte(magic), 0); err != nil {
			return err
		}
		if err := syncAll(f); err != nil {
			return err
		}
		data = []byte(magic)
	}
	live, dead, end, err := scan(c.path, data)
	if err != nil {
		return err
	}
	if end < int64(len(data)) {
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	size := int64(0)
	for _, e := range dead {
		size += e.size()
		if e.head.length > 0 && !allZero(e.payload) {
			if _, err := f.WriteAt(make([]byte, e.head.length), e.pos+headSize); err != nil {
				return err
			}
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if size > worthRewriting && size > end/2 {
		old := f
		if f, live, end, err = rewrite(c.path, live); err != nil {
			f = old
			return err
		}
		old.Close()
	}
	if err := c.build(live); err != nil {
		return err
	}
	c.file, c.end, c.synced = f, end, end
	return nil
}

// scan finds the records of a file: those that count, those that are replaced
// or only delete, and where the last whole one ends.
func scan(path string, data []byte) (live, dead []entry, end int64, err error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return nil, nil, 0, fmt.Errorf("%s is no file of documents", path)
	}
	var all []entry
	replaced := map[int64]bool{}
	pos := int64(len(magic))
	for pos < int64(len(data)) {
		h, ok := parseHead(data[pos:])
		if !ok {
			if lost := another(data[pos+1:]); lost {
				return nil, nil, 0, fmt.Errorf("%s is damaged at byte %d", path, pos)
			}
			break
		}
		if pos+headSize+int64(h.length) > int64(len(data)) {
			break
		}
		e := entry{pos: pos, head: h, payload: data[pos+headSize:][:h.length]}
		e.damaged = crc32.Checksum(e.payload, castagnoli) != h.sum
		all = append(all, e)
		if h.replaces != 0 {
			replaced[h.replaces] = true
		}
		pos += e.size()
	}
	for i, e := range all {
		switch {
		case e.head.length == 0 || replaced[e.pos]:
			dead = append(dead, e)
		case !e.damaged:
			live = append(live, e)
		case i == len(all)-1: // its head came to the disk, and the rest did not
			return live, dead, e.pos, nil
		default:
			return nil, nil, 0, fmt.Errorf("%s is damaged at byte %d", path, e.pos)
		}
	}
	return live, dead, pos, nil
}

// another says whether data has a whole record anywhere: then what precedes it
// is no half-written end of the file.
func another(data []byte) bool {
	for i := range data {
		if h, ok := parseHead(data[i:]); ok && int64(i)+headSize+int64(h.length) <= int64(len(data)) {
			return true
		}
	}
	return false
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// rewrite replaces the file by one that has the live records only.
func rewrite(path string, live []entry) (_ *os.File, moved []entry, end int64, err error) {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, 0, err
	}
	b := []byte(magic)
	for _, e := range live {
		e.pos = int64(len(b))
		e.head.replaces = 0
		b = append(e.head.append(b), e.payload...)
		moved = append(moved, e)
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(path)
	}
	if err != nil {
		f.Close()
		return nil, nil, 0, err
	}
	return f, moved, int64(len(b)), nil
}

// syncAll makes a new file durable, and its name, and that of its directory.
func syncAll(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := syncDir(f.Name()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.Name()))
}

// syncDir makes the name of a file durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// batch is how many documents are in the works at a time.
const batch = 1024

// build indexes the live records; finding the terms takes most of the time and
// is done on all cores.
func (c *collection) build(live []entry) error {
	type parsed struct {
		about description
		at    int
		terms [][]rag.Term
		err   error
	}
	list := make([]parsed, batch)
	workers := runtime.GOMAXPROCS(0)
	analyzers := make([]rag.Analyzer, workers)
	for part := range slices.Chunk(live, batch) {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(part); i += workers {
					p := &list[i]
					*p = parsed{}
					var passages []rag.Passage
					p.about, passages, p.at, p.err = parsePayload(part[i].payload)
					for _, passage := range passages {
						p.terms = append(p.terms, analyzers[w].Terms(passage))
					}
				}
			})
		}
		wg.Wait()
		for i, e := range part {
			p := &list[i]
			if p.err == nil && len(p.terms) > 0 && c.kind.users > 0 && (p.about.Embedding != c.kind.embedding || p.about.Dimensions != c.kind.dimensions) {
				p.err = errRecord
			}
			if p.err != nil {
				return fmt.Errorf("%s: document at byte %d: %w", c.path, e.pos, p.err)
			}
			c.add(e.pos, int(e.head.length), p.at, p.about, p.terms, parseVectors(e.payload, p.about))
		}
	}
	return nil
}
