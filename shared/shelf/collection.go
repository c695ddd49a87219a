package shelf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// collection is a file and its index.
type collection struct {
	path, name string
	users      int // requests at work in it; protected by Shelf.mu

	loading sync.Mutex
	file    *os.File // nil until loaded

	keys      [64]sync.Mutex // changes of one document wait for each other
	appending sync.Mutex     // protects end and broken
	end       int64
	broken    error // the disk failed: nothing is written any more
	syncing   sync.Mutex
	synced    int64

	// mu protects the index, and the file's records from being overwritten
	// while they are read.
	mu    sync.RWMutex
	docs  map[string]*document
	index rag.Inverted
	slots []place // of passages, by slot
	kind  kind
}

// document is a record in the file.
type document struct {
	rag.Document // without Text
	sum          string
	labels       []string
	pos          int64 // of the record
	length       int   // of the payload
	text         int64 // where the text begins
	size         int   // of the text
	slots        []uint32
}

// place is where a passage is.
type place struct {
	doc     *document
	pos     int64
	number  int32
	length  int32
	lead    int32
	heading string
}

func (c *collection) close() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

func (c *collection) document(id string) *document {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.docs[id]
}

// put stores a document; the caller holds its id.
func (c *collection) put(d rag.Document, passages []rag.Passage, vectors [][]float32) error {
	terms := termsOf(passages)
	old := c.document(d.ID)
	gone, err := c.terms(old)
	if err != nil {
		return err
	}
	var replaces int64
	if old != nil {
		replaces = old.pos
	}
	record, about, at, err := encode(d, passages, vectors, replaces)
	if err != nil {
		return fmt.Errorf("shelf: %w", err)
	}
	c.mu.RLock()
	full := c.index.Full(len(passages))
	c.mu.RUnlock()
	if full {
		return fault.Field("collection", "The collection '%s' is full: it has %d passages.", c.name, rag.MaxSlots)
	}
	pos, err := c.append(record)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.drop(old, gone); err != nil {
		return err
	}
	c.add(pos, len(record)-headSize, at, about, terms, vectors)
	return nil
}

// delete removes a document; the caller holds its id.
func (c *collection) delete(k rag.Key) error {
	old := c.document(k.ID)
	if old == nil {
		return rag.Missing(k)
	}
	gone, err := c.terms(old)
	if err != nil {
		return err
	}
	if _, err := c.append(head{replaces: old.pos}.append(nil)); err != nil {
		return err
	}
	c.mu.Lock()
	err = c.drop(old, gone)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("shelf: %w", err)
	}
	return nil
}

// append writes a record and waits until it is on disk. Others that wait share
// the sync.
func (c *collection) append(record []byte) (pos int64, err error) {
	c.appending.Lock()
	pos, err = c.end, c.broken
	if err == nil {
		if _, err = c.file.WriteAt(record, pos); err != nil {
			if terr := c.file.Truncate(pos); terr != nil { // half a record would hide those that follow
				c.broken = terr
			}
		} else {
			c.end += int64(len(record))
		}
	}
	c.appending.Unlock()
	if err != nil {
		return 0, fmt.Errorf("shelf: %w", err)
	}
	c.syncing.Lock()
	defer c.syncing.Unlock()
	if c.synced > pos {
		return pos, nil
	}
	c.appending.Lock()
	end, err := c.end, c.broken
	c.appending.Unlock()
	if err == nil {
		err = c.file.Sync()
	}
	if err != nil { // what the disk has is unknown until the file is read again
		c.appending.Lock()
		c.broken = err
		c.appending.Unlock()
		return 0, fmt.Errorf("shelf: %w", err)
	}
	c.synced = end
	return pos, nil
}

// add indexes the record at pos. It needs c.mu.
func (c *collection) add(pos int64, length, at int, about description, terms [][]rag.Term, vectors [][]float32) {
	var metadata json.RawMessage
	if about.Metadata != "" {
		metadata = json.RawMessage(about.Metadata)
	}
	d := &document{sum: about.Sum, labels: rag.Labels(metadata), pos: pos, length: length, text: pos + headSize + int64(at), size: about.Text}
	d.Document = rag.Document{Key: rag.Key{Collection: c.name, ID: about.ID}, Kind: about.Kind, Language: about.Language, Metadata: metadata,
		Created: about.Created, Passages: len(about.Passages), Embedding: about.Embedding}
	if len(terms) > 0 {
		c.kind.use(about.Embedding, about.Dimensions)
	}
	where, heading := d.text+int64(d.size), ""
	d.slots = c.index.AddAll(terms)
	for i, p := range about.Passages {
		slot := d.slots[i]
		for len(c.slots) <= int(slot) {
			c.slots = append(c.slots, place{})
		}
		if h := (rag.Passage{Context: p.Context, Code: p.Code}).Heading(about.Language); h != heading { // neighbours share one
			heading = h
		}
		c.slots[slot] = place{doc: d, pos: where, number: int32(i), length: int32(p.Length), lead: int32(p.Lead), heading: heading}
		if vectors != nil {
			c.kind.vectors.Add(slot, vectors[i])
		}
		where += int64(p.Length)
	}
	c.docs[about.ID] = d
}

// terms are those of a document's passages as it is; the caller holds its id.
func (c *collection) terms(d *document) ([][]rag.Term, error) {
	if d == nil {
		return nil, nil
	}
	payload, err := c.read(d.pos+headSize, d.length)
	if err != nil {
		return nil, err
	}
	_, passages, _, err := parsePayload(payload)
	if err != nil || len(passages) != len(d.slots) {
		return nil, fmt.Errorf("shelf: %s: document at byte %d: %w", c.path, d.pos, errRecord)
	}
	return termsOf(passages), nil
}

func termsOf(passages []rag.Passage) [][]rag.Term {
	var analyzer rag.Analyzer
	terms := make([][]rag.Term, len(passages))
	for i, p := range passages {
		terms[i] = analyzer.Terms(p)
	}
	return terms
}

// drop takes a document with its terms out of the index and overwrites its
// record; the record that replaces it is on disk. It needs c.mu.
func (c *collection) drop(d *document, terms [][]rag.Term) error {
	if d == nil {
		return nil
	}
	c.index.Remove(d.slots, terms)
	for _, slot := range d.slots {
		c.slots[slot] = place{}
		if c.kind.vectors != nil {
			c.kind.vectors.Remove(slot)
		}
	}
	if len(d.slots) > 0 {
		c.kind.leave()
	}
	delete(c.docs, d.ID)
	return c.erase(d.pos, d.length)
}

// erase overwrites a payload with zeros.
func (c *collection) erase(pos int64, length int) error {
	if _, err := c.file.WriteAt(make([]byte, length), pos+headSize); err != nil {
		return fmt.Errorf("shelf: %w", err)
	}
	return nil
}

func (c *collection) read(pos int64, length int) ([]byte, error) {
	b := make([]byte, length)
	if _, err := c.file.ReadAt(b, pos); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("shelf: %w", err)
	}
	return b, nil
}

func (c *collection) get(k rag.Key) (rag.Document, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	d := c.docs[k.ID]
	if d == nil {
		return rag.Document{}, rag.Missing(k)
	}
	text, err := c.read(d.text, d.size)
	full := d.Document
	full.Text = string(text)
	return full, err
}

// list returns up to limit documents with ids above after; only that with id,
// if it is not "".
func (c *collection) list(id, after string, limit int) []rag.Document {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []rag.Document
	if id != "" {
		if d := c.docs[id]; d != nil && id > after {
			list = append(list, d.Document)
		}
		return list
	}
	for _, d := range c.docs {
		if d.ID > after {
			list = append(list, d.Document)
		}
	}
	slices.SortFunc(list, func(a, b rag.Document) int { return strings.Compare(a.ID, b.ID) })
	return list[:min(limit, len(list))]
}

func (c *collection) search(ctx context.Context, q rag.Query) ([]rag.Hit, error) {
	c.mu.RLock()
	now := c.kind
	c.mu.RUnlock()
	var v []float32
	if now.vectors != nil { // made while nobody has to wait for it
		var err error
		if v, err = q.QueryVector(ctx, now.embedding, now.dimensions); err != nil {
			return nil, err
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	keep := func(slot uint32) bool { return q.Filter.Match(c.slots[slot].doc.labels) }
	if len(q.Filter) == 0 {
		keep = nil
	}
	hybrid := v != nil && c.kind.embedding == now.embedding && c.kind.dimensions == now.dimensions
	read := c.reader()
	findings, err := c.index.Ask(rag.QueryTerms(q.Text), !hybrid, keep, read)
	if err != nil {
		return nil, err
	}
	defer findings.Close()
	find := func(k int) ([]rag.Scored, bool, error) {
		words, err := findings.Best(k)
		return words, len(words) == k, err
	}
	k := q.Limit
	if hybrid {
		k = max(k, rag.Deepest)
		find = func(k int) ([]rag.Scored, bool, error) {
			words, err := findings.Best(k)
			likes := c.kind.vectors.Search(v, k, keep)
			return rag.Fuse(words, likes), len(words) == k || len(likes) == k, err
		}
	}
	var best []rag.Scored
	for more := true; more; k *= 4 { // deeper, as long as passages of the same documents crowd out others
		var err error
		if best, more, err = find(k); err != nil {
			return nil, err
		}
		best = c.atMost(best, q.PerDoc)
		more = more && len(best) < q.Limit
	}
	best = best[:min(q.Limit, len(best))]
	hits := make([]rag.Hit, len(best))
	for i, b := range best {
		p := c.slots[b.Slot]
		passage, err := read(b.Slot)
		if err != nil {
			return nil, err
		}
		hits[i] = rag.Hit{Key: p.doc.Key, Passage: int(p.number), Text: passage.Text, Heading: p.heading, Score: float64(b.Score), Metadata: p.doc.Metadata}
	}
	return hits, nil
}

// reader returns what reads a passage from the file, once.
func (c *collection) reader() func(slot uint32) (rag.Passage, error) {
	had := map[uint32]rag.Passage{}
	return func(slot uint32) (rag.Passage, error) {
		passage, ok := had[slot]
		if ok {
			return passage, nil
		}
		p := c.slots[slot]
		text, err := c.read(p.pos, int(p.length))
		if err != nil {
			return passage, err
		}
		passage = rag.Passage{Text: string(text), Lead: int(p.lead), Code: p.doc.Kind == rag.Code}
		had[slot] = passage
		return passage, nil
	}
}

// atMost keeps the best passages of each document.
func (c *collection) atMost(found []rag.Scored, perDoc int) []rag.Scored {
	if perDoc <= 0 {
		return found
	}
	had := map[*document]int{}
	return slices.DeleteFunc(found, func(s rag.Scored) bool {
		d := c.slots[s.Slot].doc
		had[d]++
		return had[d] > perDoc
	})
}
