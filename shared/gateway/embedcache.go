package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"sync"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/lru"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
)

// entryBytes is what an entry takes besides its vector: key, map, list.
const entryBytes = 320

// VectorCache remembers embeddings by what was embedded, up to a number of
// bytes; what has not been asked for longest goes first. No user gets what
// another one asked for. A new configuration empties it. It may be used
// concurrently.
type VectorCache struct {
	mu      sync.Mutex
	entries lru.Cache[digest, *entry]
	offer   *offer // what the entries were made under
}

// NewVectorCache returns a cache that holds up to most bytes; nil, which is no
// cache, for 0.
func NewVectorCache(most int64) *VectorCache {
	if most <= 0 {
		return nil
	}
	return &VectorCache{entries: lru.Cache[digest, *entry]{Most: most}}
}

type digest [sha256.Size]byte

type entry struct {
	key    digest
	values []float32
	at     place
	model  string
}

func (e *entry) bytes() int64 { return int64(4*len(e.values)+len(e.model)) + entryBytes }

// find calls fn with every entry that there is for keys. What fn keeps of
// values it must copy.
func (c *VectorCache) find(under *offer, keys []digest, fn func(i int, e *entry)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offer != under {
		c.entries.Clear()
		c.offer = under
	}
	for i, k := range keys {
		if e, ok := c.entries.Get(k); ok {
			fn(i, e)
		}
	}
}

// put remembers e, unless the configuration has changed meanwhile.
func (c *VectorCache) put(under *offer, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offer == under {
		c.entries.Put(e.key, e, e.bytes())
	}
}

// memory is the cache as one request uses it.
type memory struct {
	cache *VectorCache
	offer *offer
	keys  []digest // by input
}

// recall gives inputs the vectors that are known, if all of them are from one
// place that the request may go to.
func (e *embedding) recall(g *Gateway, prefix digest) {
	m := &memory{cache: g.Vectors, offer: e.w.offer, keys: make([]digest, len(e.got))}
	h := sha256.New()
	for i := range m.keys {
		h.Reset()
		h.Write(prefix[:])
		h.Write([]byte(e.key(i)))
		h.Sum(m.keys[i][:0])
	}
	e.memory = m
	hits := 0
	m.cache.find(m.offer, m.keys, func(i int, found *entry) {
		v := &e.got[i]
		if v.err != nil || v.twin || hits > 0 && found.at != e.at || hits == 0 && !e.reaches(found.at) {
			return
		}
		e.at = found.at
		*v = vector{values: slices.Clone(found.values), at: found.at, model: found.model, cached: true}
		hits++
	})
	if hits == 0 {
		return
	}
	if r := e.w.route; r.First()[0].Provider != e.at.provider { // the rest should come from there too
		e.w.route = &router.Route{Group: r.Group, Fallbacks: r.Fallbacks, Context: r.Context, Content: r.Content, Policy: r.Policy,
			Allow: r.Allow, Order: append([]string{e.at.provider}, r.Order...), User: r.User, Price: r.Price}
		e.w.route.Plan()
	}
}

// reaches says whether the request may be answered from a place by the model's
// own targets. What a fallback made must not outlive the failure that led there.
func (e *embedding) reaches(at place) bool {
	r := e.w.route
	return slices.ContainsFunc(r.Group.Targets, func(t router.Target) bool {
		return t.Of.(*Target).place() == at && (r.Allow == nil || r.Allow(&t))
	})
}

// contextOf hashes what a vector depends on besides its input. It is false for
// requests with fields whose effect we do not know: some make vectors depend
// on each other.
func contextOf(user, model string, req *llm.EmbedRequest) (sum digest, ok bool) {
	h := sha256.New()
	text(h, user)
	text(h, model)
	number(h, req.Dimensions)
	number(h, int64(min(len(req.Tokens), 1)))
	for _, f := range req.Fields {
		switch f.Name {
		case "model", "input", "dimensions", "encoding_format", "user", "gateway":
		case "input_type", "truncate", "task":
			if !rawjson.IsNull(f.Value) {
				text(h, f.Name)
				text(h, string(f.Value))
			}
		default:
			if !rawjson.IsNull(f.Value) {
				return sum, false
			}
		}
	}
	h.Sum(sum[:0])
	return sum, true
}

func number(h hash.Hash, n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

// text writes s so that it cannot run into what follows.
func text(h hash.Hash, s string) {
	number(h, int64(len(s)))
	h.Write([]byte(s))
}

// remember puts what is new into the cache.
func (e *embedding) remember() {
	m := e.memory
	if m == nil {
		return
	}
	var read [][]float32
	if e.whole != nil {
		if e.got[0].fades || int64(len(e.whole.Raw))/4 > m.cache.entries.Most {
			return // it is not to stay, or would drive out everything else
		}
		var err error
		if read, err = e.whole.Floats(len(e.got)); err != nil {
			return // the client may make more of it than we can
		}
	}
	for i := range e.got {
		v := &e.got[i]
		if v.err != nil || v.cached || v.fades || v.twin {
			continue
		}
		values := v.values
		if read != nil {
			values = read[i]
		} else {
			values = slices.Clone(values) // the caller may change its own
		}
		m.cache.put(m.offer, &entry{key: m.keys[i], values: values, at: v.at, model: v.model})
	}
}
