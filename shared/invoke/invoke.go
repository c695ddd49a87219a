// Package invoke runs Lambda functions without Lambda and without Docker: it
// starts their binaries, serves them the Runtime API and relays what they
// answer as it comes. With API in front it is an API Gateway for one machine,
// streaming included. It is for tests and development.
//
// It follows Lambda where that shows: a process serves one invocation at a
// time, an invocation ends when the process asks for the next event, a process
// that dies or runs out of time is replaced at the next invocation, and a
// caller that leaves stops nothing.
package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// InitTimeout is how long a process may take to ask for its first event.
	InitTimeout = 10 * time.Second
	// MaxPayload bounds an event, and an answer that is not streamed.
	MaxPayload = 6 << 20
)

// Config says how to run a function.
type Config struct {
	Name        string        // AWS_LAMBDA_FUNCTION_NAME; default "local"
	Binary      string        // the bootstrap
	Args        []string      // usually none
	Env         []string      // nil means this process's own
	Timeout     time.Duration // per invocation; default 15 minutes, Lambda's longest
	Memory      int           // in MB, as the function sees it; default 128
	Concurrency int           // processes at most; further invocations wait; default 1
	Output      io.Writer     // the processes' stdout and stderr, all at once; default os.Stderr
	// Freeze stops a process (SIGSTOP) whenever Lambda would freeze it: from
	// asking for an event until there is one. What a function leaves to a
	// goroutine then does not happen here either. Not on Windows.
	Freeze bool
}

// Function is a function with its processes. Its methods may be used by many
// goroutines at once.
type Function struct {
	cfg   Config
	slots chan struct{} // one per process that may run

	mu        sync.Mutex
	idle      []*instance
	all       map[*instance]bool
	closed    bool
	invocated int
}

// New returns a function; processes are started when there is work for them.
func New(cfg Config) *Function {
	if cfg.Name == "" {
		cfg.Name = "local"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Minute
	}
	if cfg.Memory <= 0 {
		cfg.Memory = 128
	}
	if cfg.Output == nil {
		cfg.Output = os.Stderr
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	return &Function{cfg: cfg, slots: make(chan struct{}, max(1, cfg.Concurrency)), all: map[*instance]bool{}}
}

// Name returns the function's name.
func (f *Function) Name() string { return f.cfg.Name }

// Error is a failed invocation, in Lambda's words.
type Error struct {
	Type    string // e.g. "Runtime.ExitError", or the function's own
	Message string
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Response is what a function answers.
type Response struct {
	RequestID string
	// Init is the time from exec to the first request for an event, if this
	// invocation had to start a process.
	Init time.Duration
	// Streamed says that the answer has the format of a streaming integration:
	// API Gateway takes no other on a route that streams.
	Streamed bool
	// Status and Header are those of an HTTP answer. Status is 0 for a payload
	// that is none; Body is the payload then.
	Status int
	Header http.Header
	// Body yields what the function writes as it writes it. If the function
	// fails in the middle, the last Read returns an *Error. Close it.
	Body io.ReadCloser
}

// ErrClosed is returned by Invoke after Close.
var ErrClosed = errors.New("invoke: the function is closed")

// Invoke runs the function on event and returns when its answer begins. The
// error is an *Error if it failed before that. If ctx ends first the function
// runs on, as on Lambda.
func (f *Function) Invoke(ctx context.Context, event []byte) (*Response, error) {
	if len(event) > MaxPayload {
		return nil, &Error{Type: "RequestEntityTooLargeException", Message: fmt.Sprintf("%d byte payload is too large (limit %d bytes)", len(event), MaxPayload)}
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	inv, err := f.invocation(event)
	if err != nil {
		<-f.slots
		return nil, err
	}
	go func() {
		defer func() { <-f.slots }()
		f.serve(inv)
	}()
	select {
	case <-inv.answered:
		if inv.resp == nil {
			return nil, inv.err
		}
		return inv.resp, nil
	case <-ctx.Done():
		go func() { // nobody reads, but the function shall get rid of its answer
			if <-inv.answered; inv.resp != nil {
				inv.resp.Body.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// serve runs inv on a process, and returns when the process may take another.
func (f *Function) serve(inv *invocation) {
	i, err := f.take()
	if err != nil {
		inv.end(err)
		return
	}
	if i == nil {
		i, err = f.start()
		if err != nil {
			inv.end(err)
			return
		}
		inv.init = i.init
	}
	err = i.run(inv)
	inv.end(err)
	f.put(i, err == nil)
}

// Warm starts a process and returns how long it took from exec to the first
// request for an event. The process stays for the next invocation.
func (f *Function) Warm(ctx context.Context) (time.Duration, error) {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-f.slots }()
	i, err := f.start()
	if err != nil {
		return 0, err
	}
	f.put(i, true)
	return i.init, nil
}

// Close kills the function's processes and waits until they are gone.
func (f *Function) Close() error {
	f.mu.Lock()
	f.closed = true
	var all []*instance
	for i := range f.all {
		all = append(all, i)
	}
	f.mu.Unlock()
	for _, i := range all {
		i.stop()
	}
	return nil
}

// take returns an idle process, or nil if there is none.
func (f *Function) take() (*instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	for n := len(f.idle); n > 0; n = len(f.idle) {
		i := f.idle[n-1]
		f.idle = f.idle[:n-1]
		if !i.dead() {
			return i, nil
		}
		delete(f.all, i)
	}
	return nil, nil
}

// put gives a process back, or forgets it.
func (f *Function) put(i *instance, alive bool) {
	f.mu.Lock()
	keep := alive && !f.closed
	if keep {
		f.idle = append(f.idle, i)
	} else {
		delete(f.all, i)
	}
	f.mu.Unlock()
	if !keep {
		i.stop()
	}
}

func (f *Function) invocation(event []byte) (*invocation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	f.invocated++
	return &invocation{
		id: fmt.Sprintf("00000000-0000-4000-8000-%012d", f.invocated), event: event,
		answered: make(chan struct{}), done: make(chan struct{}),
	}, nil
}
