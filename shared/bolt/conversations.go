package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/conversation"
)

// These buckets, too, are made on demand.
var (
	conversationsBucket = []byte("conversations") // tenant \0 id → conversationLine, newline, metadata
	turnsBucket         = []byte("turns")         // tenant \0 id \0 request → turnLine, newline, messages
	endsBucket          = []byte("ends")          // end \0 tenant \0 id → nothing
)

const (
	// sweepAtWrites and sweepAtOpen bound how many conversations and turns that
	// have expired are removed at once. A write makes one; it removes many.
	sweepAtWrites = 64
	sweepAtOpen   = 4096

	// endLayout makes times that sort as text.
	endLayout = "2006-01-02T15:04:05.000000000Z"
)

// Conversations implements conversation.Store. Every change is one
// transaction, on disk when it returns; it takes a portion of what has expired
// with it.
type Conversations struct {
	db  *bbolt.DB
	now func() time.Time
}

var _ conversation.Store = (*Conversations)(nil)

// Conversations returns the conversations in s, which must stay open.
func (s *Store) Conversations() *Conversations { return &Conversations{db: s.db, now: time.Now} }

// conversationLine is a conversation as it is stored, but for the id, which is
// in the key, and the metadata, whose bytes encoding would change.
type conversationLine struct {
	Title   string        `json:"title"`
	TTL     time.Duration `json:"ttl_ns"`
	Created time.Time     `json:"created"`
	Updated time.Time     `json:"updated"`
}

type turnLine struct {
	Created time.Time `json:"created"`
}

func conversationKey(tenant, id string) []byte { return []byte(tenant + "\x00" + id) }

func turnKey(tenant, id, request string) []byte {
	return []byte(tenant + "\x00" + id + "\x00" + request)
}

func endKey(tenant string, c *conversation.Conversation) []byte {
	return []byte(c.Expires.UTC().Format(endLayout) + "\x00" + tenant + "\x00" + c.ID)
}

// Create implements conversation.Store.
func (s *Conversations) Create(_ context.Context, tenant string, c conversation.Conversation) (conversation.Conversation, error) {
	c.Created = c.Created.UTC()
	c.Updated, c.Expires = c.Created, c.Created.Add(c.TTL)
	err := s.change(func(tx *bbolt.Tx) error {
		old, err := readConversation(tx, tenant, c.ID)
		if err != nil {
			return err
		}
		if old != nil {
			if s.alive(old) {
				return conversation.Taken(c.ID)
			}
			if err := removeConversation(tx, tenant, old); err != nil {
				return err
			}
		}
		return putConversation(tx, tenant, &c)
	})
	if err != nil {
		return conversation.Conversation{}, err
	}
	return c, nil
}

// Get implements conversation.Store.
func (s *Conversations) Get(_ context.Context, tenant, id string) (c conversation.Conversation, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		found, err := s.present(tx, tenant, id)
		if err == nil {
			c = *found
		}
		return err
	})
	return c, ours(err)
}

// List implements conversation.Store.
func (s *Conversations) List(_ context.Context, tenant, after string, limit int) ([]conversation.Conversation, error) {
	var page []conversation.Conversation
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(conversationsBucket)
		if b == nil {
			return nil
		}
		prefix, last := conversationKey(tenant, ""), conversationKey(tenant, after)
		c := b.Cursor()
		for k, v := c.Seek(last); bytes.HasPrefix(k, prefix) && len(page) < limit; k, v = c.Next() {
			found, err := parseConversation(k, v)
			if err != nil {
				return err
			}
			if s.alive(found) && !bytes.Equal(k, last) {
				page = append(page, *found)
			}
		}
		return nil
	})
	return page, unavailable(err)
}

// Delete implements conversation.Store.
func (s *Conversations) Delete(_ context.Context, tenant, id string) error {
	return s.change(func(tx *bbolt.Tx) error {
		c, err := s.present(tx, tenant, id)
		if err != nil {
			return err
		}
		return removeConversation(tx, tenant, c)
	})
}

// Turns implements conversation.Reader.
func (s *Conversations) Turns(_ context.Context, tenant, id, before string, limit int) ([]conversation.Turn, error) {
	end := turnKey(tenant, id, before)
	if before == "" {
		end[len(end)-1] = 1 // the first key that cannot be a turn's
	}
	return s.turns(tenant, id, limit, func(c *bbolt.Cursor) (k, v []byte) {
		if k, _ := c.Seek(end); k == nil {
			return c.Last()
		}
		return c.Prev()
	}, (*bbolt.Cursor).Prev)
}

// TurnsFrom implements conversation.Store.
func (s *Conversations) TurnsFrom(_ context.Context, tenant, id, from string, limit int) ([]conversation.Turn, error) {
	return s.turns(tenant, id, limit, func(c *bbolt.Cursor) (k, v []byte) { return c.Seek(turnKey(tenant, id, from)) }, (*bbolt.Cursor).Next)
}

// turns reads turns in the order that first and next give.
func (s *Conversations) turns(tenant, id string, limit int, first, next func(c *bbolt.Cursor) (k, v []byte)) ([]conversation.Turn, error) {
	var page []conversation.Turn
	err := s.db.View(func(tx *bbolt.Tx) error {
		if _, err := s.present(tx, tenant, id); err != nil {
			return err
		}
		prefix := turnKey(tenant, id, "")
		c := tx.Bucket(turnsBucket).Cursor()
		for k, v := first(c); bytes.HasPrefix(k, prefix) && len(page) < limit; k, v = next(c) {
			t, err := parseTurn(string(k[len(prefix):]), v)
			if err != nil {
				return fmt.Errorf("turn %q: %w", k, err)
			}
			page = append(page, t)
		}
		return nil
	})
	if err != nil {
		return nil, ours(err)
	}
	return page, nil
}

func parseTurn(request string, value []byte) (conversation.Turn, error) {
	var l turnLine
	messages, err := cutLine(value, &l)
	if err != nil {
		return conversation.Turn{}, err
	}
	t := conversation.Turn{Request: request, Created: l.Created}
	return t, json.Unmarshal(messages, &t.Messages)
}

// Append implements conversation.Reader.
func (s *Conversations) Append(_ context.Context, tenant, id string, t conversation.Turn) error {
	return s.change(func(tx *bbolt.Tx) error {
		c, err := s.present(tx, tenant, id)
		if err != nil {
			return err
		}
		key := turnKey(tenant, id, t.Request)
		if tx.Bucket(turnsBucket).Get(key) != nil {
			return nil
		}
		messages := []byte{'['}
		for i, m := range t.Messages {
			if i > 0 {
				messages = append(messages, ',')
			}
			messages = append(messages, m...)
		}
		if err := putLine(tx, turnsBucket, key, turnLine{t.Created.UTC()}, append(messages, ']')); err != nil {
			return err
		}
		if !t.Created.After(c.Updated) {
			return nil
		}
		if err := tx.Bucket(endsBucket).Delete(endKey(tenant, c)); err != nil {
			return err
		}
		c.Updated = t.Created.UTC()
		c.Expires = c.Updated.Add(c.TTL)
		return putConversation(tx, tenant, c)
	})
}

// change runs f in a transaction, which also removes some of what has expired.
func (s *Conversations) change(f func(tx *bbolt.Tx) error) error {
	return ours(s.db.Update(func(tx *bbolt.Tx) error {
		if err := makeBuckets(tx, conversationsBucket, turnsBucket, endsBucket); err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		_, err := sweepConversations(tx, s.now(), sweepAtWrites)
		return err
	}))
}

// sweep removes a large portion of what has expired, for a store that is being
// opened. It writes nothing if there is nothing to remove.
func (s *Conversations) sweep() error {
	due := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		if ends := tx.Bucket(endsBucket); ends != nil {
			first, _ := ends.Cursor().First()
			due = first != nil && ended(first, s.now())
		}
		return nil
	})
	if err != nil || !due {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		n, err := sweepConversations(tx, s.now(), sweepAtOpen)
		slog.Debug("expired conversations removed", "items", n)
		return err
	})
}

// sweepConversations removes expired conversations, turns first, until about
// limit keys are gone.
func sweepConversations(tx *bbolt.Tx, now time.Time, limit int) (n int, err error) {
	ends := tx.Bucket(endsBucket).Cursor()
	for k, _ := ends.First(); k != nil && ended(k, now) && n < limit; k, _ = ends.First() {
		_, key, _ := bytes.Cut(bytes.Clone(k), []byte{0})
		gone, err := deletePrefix(tx, turnsBucket, append(key, 0), limit-n)
		if n += gone; err != nil || n >= limit {
			return n, err
		}
		if err := tx.Bucket(conversationsBucket).Delete(key); err != nil {
			return n, err
		}
		if err := ends.Delete(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// ended says whether the key of an end is one that has come.
func ended(key []byte, now time.Time) bool {
	end, _, _ := bytes.Cut(key, []byte{0})
	return string(end) <= now.UTC().Format(endLayout)
}

func (s *Conversations) alive(c *conversation.Conversation) bool { return s.now().Before(c.Expires) }

// present fails with fault.NotFound if there is no such conversation now.
func (s *Conversations) present(tx *bbolt.Tx, tenant, id string) (*conversation.Conversation, error) {
	c, err := readConversation(tx, tenant, id)
	if err == nil && (c == nil || !s.alive(c)) {
		return nil, conversation.Missing(id)
	}
	return c, err
}

// readConversation returns a conversation, expired or not; nil if there is none.
func readConversation(tx *bbolt.Tx, tenant, id string) (*conversation.Conversation, error) {
	b := tx.Bucket(conversationsBucket)
	if b == nil {
		return nil, nil
	}
	key := conversationKey(tenant, id)
	v := b.Get(key)
	if v == nil {
		return nil, nil
	}
	return parseConversation(key, v)
}

func parseConversation(key, value []byte) (*conversation.Conversation, error) {
	var l conversationLine
	metadata, err := cutLine(value, &l)
	if err != nil {
		return nil, fmt.Errorf("conversation %q: %w", key, err)
	}
	if len(metadata) == 0 {
		metadata = nil
	}
	_, id, _ := bytes.Cut(key, []byte{0})
	return &conversation.Conversation{ID: string(id), Title: l.Title, Metadata: metadata, TTL: l.TTL,
		Created: l.Created, Updated: l.Updated, Expires: l.Updated.Add(l.TTL)}, nil
}

func putConversation(tx *bbolt.Tx, tenant string, c *conversation.Conversation) error {
	if err := tx.Bucket(endsBucket).Put(endKey(tenant, c), nil); err != nil {
		return err
	}
	return putLine(tx, conversationsBucket, conversationKey(tenant, c.ID), conversationLine{c.Title, c.TTL, c.Created, c.Updated}, c.Metadata)
}

func removeConversation(tx *bbolt.Tx, tenant string, c *conversation.Conversation) error {
	if _, err := deletePrefix(tx, turnsBucket, turnKey(tenant, c.ID, ""), -1); err != nil {
		return err
	}
	if err := tx.Bucket(endsBucket).Delete(endKey(tenant, c)); err != nil {
		return err
	}
	return tx.Bucket(conversationsBucket).Delete(conversationKey(tenant, c.ID))
}
