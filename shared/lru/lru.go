// Package lru keeps what was used last, up to a number of bytes.
package lru

import "container/list"

// Cache holds values by key. What has not been asked for longest goes first.
// Whoever uses one from several goroutines needs a lock.
type Cache[K comparable, V any] struct {
	Most int64 // bytes of all entries

	bytes   int64
	entries map[K]*list.Element
	order   list.List // of *entry, the newest first
}

type entry[K comparable, V any] struct {
	key   K
	value V
	bytes int64
}

// Get returns the value of k, and makes it the one that was used last.
func (c *Cache[K, V]) Get(k K) (v V, ok bool) {
	el := c.entries[k]
	if el == nil {
		return v, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*entry[K, V]).value, true
}

// Put makes v the value of k. What is larger than the whole cache is not kept.
func (c *Cache[K, V]) Put(k K, v V, bytes int64) {
	c.Drop(k)
	if bytes > c.Most {
		return
	}
	if c.entries == nil {
		c.entries = map[K]*list.Element{}
	}
	c.entries[k] = c.order.PushFront(&entry[K, V]{k, v, bytes})
	c.bytes += bytes
	for c.bytes > c.Most {
		c.remove(c.order.Back())
	}
}

// Drop forgets k.
func (c *Cache[K, V]) Drop(k K) {
	if el := c.entries[k]; el != nil {
		c.remove(el)
	}
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	clear(c.entries)
	c.order.Init()
	c.bytes = 0
}

func (c *Cache[K, V]) remove(el *list.Element) {
	e := c.order.Remove(el).(*entry[K, V])
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}
