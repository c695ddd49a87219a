package chain

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// memory holds the calls that need not be made again: by what they ask, for
// steps with a cache; by their place, for the items of other maps, where it
// counts only in a resumption.
type memory map[string]*recollection

type recollection struct {
	done  chan struct{} // closed when the rest is there
	value any
	model string
	err   error // if the call failed, the next one makes it again
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (m memory) load(list []Memory) {
	for _, one := range list {
		m[one.Call] = &recollection{done: closed, value: decode(one.Output), model: one.Model}
	}
}

// list is what is worth storing of a run: not the items of maps that are done.
func (m memory) list(r *Run) (list []Memory) {
	for call, c := range m {
		select {
		case <-c.done:
		default:
			continue
		}
		if id, _, place := strings.Cut(call, "["); place && r.Step(id).Status == OK {
			continue
		}
		out, err := encode(c.value)
		if err == nil && c.err == nil {
			list = append(list, Memory{Call: call, Output: out, Model: c.model})
		}
	}
	slices.SortFunc(list, func(a, b Memory) int { return strings.Compare(a.Call, b.Call) })
	return list
}

// key names a call: by its text if w has a cache, by its place in a map.
func (w *work) key(call []byte) string {
	if !w.s.Cache {
		if w.item < 0 {
			return ""
		}
		return w.top.ID + "[" + strconv.Itoa(w.item)
	}
	mode, _ := json.Marshal([]any{w.s.Type, w.s.JSON, w.s.language, w.s.raw, string(call)})
	sum := sha256.Sum256(mode)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// remembered makes a call, unless its answer is known. Equal calls of steps
// with a cache wait for each other.
func (w *work) remembered(ctx context.Context, call []byte, ask func() (any, string, error)) (any, error) {
	key := w.key(call)
	if key == "" {
		v, _, err := ask()
		return v, err
	}
	for {
		w.runner.mu.Lock()
		c := w.memory[key]
		if c == nil {
			c = &recollection{done: make(chan struct{})}
			w.memory[key] = c
			w.runner.mu.Unlock()
			return w.learn(key, c, ask)
		}
		w.runner.mu.Unlock()
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if c.err == nil {
			w.locked(func() {
				w.cached++
				w.attempts-- // none was needed
				if w.model == "" {
					w.model = c.model
				}
			})
			return c.value, nil
		}
	}
}

// errPanic is what a bug looks like from outside.
var errPanic = fault.New(fault.Internal, "Internal error.")

// learn makes the call that others may be waiting for: whatever becomes of it,
// they must hear.
func (w *work) learn(key string, c *recollection, ask func() (any, string, error)) (any, error) {
	c.err = errPanic
	defer func() {
		if c.err != nil {
			w.runner.mu.Lock()
			delete(w.memory, key)
			w.runner.mu.Unlock()
		}
		close(c.done)
	}()
	c.value, c.model, c.err = ask()
	return c.value, c.err
}
