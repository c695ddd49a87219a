package upstream

import (
	"context"
	"math/bits"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

const (
	// smallBuffer is up to which size memory is simply allocated: the garbage
	// collector is good at it. Long prompts are what drives it.
	smallBuffer = 16 << 10
	// Buffers of 32, 64, 128 and 256 KB are used again; larger ones are rare, and
	// would be kept for nothing.
	smallestShift, sizes = 15, 4
)

var pools [sizes]sync.Pool // of *[]byte

// Buffers lends memory for the bodies of one request, the client's and those
// that are made of it, and takes it back when nobody can read it any more. That
// is harder to know than it seems: a transport may still be writing a body when
// the answer to it has come, or its caller has given up. So Post, under the
// context of Buffers, counts connections and finished writes, and only where
// every call came to exactly one of each is the memory used again. Otherwise the
// garbage collector gets it, as it gets all other memory.
//
// The zero Buffers is ready for use. It may be used concurrently, except that
// nothing may hold on to the memory when Release is called.
type Buffers struct {
	mu       sync.Mutex
	lent     []*[]byte
	calls    []*call
	released bool
}

// Bytes returns an empty slice with room for size bytes. What it held before is
// anybody's.
func (b *Buffers) Bytes(size int) []byte {
	class := max(0, bits.Len(uint(size-1))-smallestShift)
	if b == nil || size <= smallBuffer && !poison || class >= sizes {
		return make([]byte, 0, size)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return make([]byte, 0, size)
	}
	p, _ := pools[class].Get().(*[]byte)
	if p == nil {
		fresh := make([]byte, 1<<(class+smallestShift))
		p = &fresh
	}
	b.lent = append(b.lent, p)
	return (*p)[:0]
}

// Release ends the loans and reports whether the memory is used again. The
// caller and everybody it called are done with the memory; transports need not be.
func (b *Buffers) Release() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = true
	for _, c := range b.calls {
		if !c.over() {
			b.lent = nil
			return false
		}
	}
	for _, p := range b.lent {
		if poison {
			for i := range *p {
				(*p)[i] = 0xDB
			}
		}
		pools[bits.Len(uint(len(*p)-1))-smallestShift].Put(p)
	}
	b.lent = nil
	return true
}

type buffersKey struct{}

// Context returns a context under which calls are counted, and in which
// BuffersOf finds b. If b has lent nothing so far, as for most requests, it is ctx.
func (b *Buffers) Context(ctx context.Context) context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lent) == 0 {
		return ctx
	}
	return context.WithValue(ctx, buffersKey{}, b)
}

// BuffersOf returns the Buffers of ctx, or nil, which lends new memory.
func BuffersOf(ctx context.Context) *Buffers {
	b, _ := ctx.Value(buffersKey{}).(*Buffers)
	return b
}

// call is a call to a provider, in the words of its transport.
type call struct {
	trace          httptrace.ClientTrace
	conns, written atomic.Int32
}

// over reports whether the call's body has been written, to the only connection
// that the call had. If there were several, or none, or the transport does not
// tell, then who knows.
func (c *call) over() bool { return c.conns.Load() == 1 && c.written.Load() == 1 }

// follow returns the context for a call that may read b's memory. After
// Release there is none that may.
func (b *Buffers) follow(ctx context.Context) context.Context {
	if b == nil {
		return ctx
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return ctx
	}
	c := &call{}
	c.trace.GotConn = func(httptrace.GotConnInfo) { c.conns.Add(1) }
	c.trace.WroteRequest = func(httptrace.WroteRequestInfo) { c.written.Add(1) }
	b.calls = append(b.calls, c)
	return httptrace.WithClientTrace(ctx, &c.trace)
}
