package llmtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// Script is a provider that does as it is told. It fails the test when it is
// called more often than it has Calls, or for a request whose stream was
// committed already, and it spoils every event after emit returned, so that a
// user who keeps one is found out. It may be called concurrently.
type Script struct {
	T     testing.TB
	Name  string // Provider of errors; "script" if empty
	Calls []Call // what happens at the first call of Complete, the second, …
	// Commits remembers which requests have had an event. Scripts that stand
	// for several targets of one router share it; nil means one of its own.
	Commits *Commits

	mu       sync.Mutex
	requests []llm.Request
}

// Call is what one call of Complete does: its events, then its end.
type Call struct {
	Wait   time.Duration // before each event, and before the end if there is none
	Events []llm.Event
	Hang   bool  // after the events, wait until the context ends
	Err    error // a *fault.Error gets Provider filled in if it has none
	Again  bool  // this call may follow a committed stream (continuation)
}

// Commits is a set of request ids.
type Commits struct{ ids sync.Map }

// Requests returns copies of the requests of all calls so far.
func (s *Script) Requests() []llm.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]llm.Request(nil), s.requests...)
}

func (s *Script) next(req *llm.Request) (Call, *Commits, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Commits == nil {
		s.Commits = &Commits{}
	}
	s.requests = append(s.requests, *req)
	n := len(s.requests)
	if n > len(s.Calls) {
		s.T.Errorf("%s was called %d times, want %d at most", s.name(), n, len(s.Calls))
		return Call{}, nil, false
	}
	if _, committed := s.Commits.ids.Load(req.ID); committed && !s.Calls[n-1].Again {
		s.T.Errorf("%s was called for request %q, whose stream had begun already", s.name(), req.ID)
		return Call{}, nil, false
	}
	return s.Calls[n-1], s.Commits, true
}

func (s *Script) name() string {
	if s.Name == "" {
		return "script"
	}
	return s.Name
}

// Complete plays the next call.
func (s *Script) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	call, commits, ok := s.next(req)
	if !ok {
		return &fault.Error{Kind: fault.Internal, Provider: s.name(), Message: "An unexpected call."}
	}
	for _, e := range call.Events {
		if err := s.wait(ctx, call.Wait); err != nil {
			return err
		}
		if e.Raw != nil {
			e.Raw = append([]byte(nil), e.Raw...)
		}
		commits.ids.Store(req.ID, true)
		err := emit(&e)
		for i := range e.Raw {
			e.Raw[i] = '#'
		}
		e = llm.Event{Text: "an event kept after emit returned", Raw: e.Raw}
		if err != nil {
			return err
		}
	}
	if len(call.Events) == 0 {
		if err := s.wait(ctx, call.Wait); err != nil {
			return err
		}
	}
	if call.Hang {
		<-ctx.Done()
		return s.left(ctx)
	}
	if f, ok := call.Err.(*fault.Error); ok && f.Provider == "" {
		named := *f
		named.Provider = s.name()
		return &named
	}
	return call.Err
}

func (s *Script) wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		if ctx.Err() != nil {
			return s.left(ctx)
		}
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return s.left(ctx)
	}
}

// left is the error for a context that ended.
func (s *Script) left(ctx context.Context) error {
	f := *fault.As(context.Cause(ctx))
	f.Provider = s.name()
	return &f
}

var _ llm.Provider = (*Script)(nil)
