package router_test

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

// answer is what a target does with a call.
type answer struct {
	wait  time.Duration // before the first event, or before the error if there is none
	texts []string
	pause time.Duration // after each text
	err   error
	hang  bool // until the context ends; after the texts
}

// stage is a set of targets that do as the test says.
type stage struct {
	router router.Router
	act    func(target string, n int) answer // of the nth call of that target, from 1

	mu    sync.Mutex
	calls []string // targets in the order of their calls
	count map[string]int
	ended map[string]time.Time // when a target's last call ended
	errs  map[string]error
}

func newStage(act func(target string, n int) answer) *stage {
	return &stage{act: act, count: map[string]int{}, ended: map[string]time.Time{}, errs: map[string]error{}}
}

// group makes a group of targets named "name" or "name:weight".
func (s *stage) group(p router.Policy, targets ...string) *router.Group {
	g := &router.Group{Model: strings.Join(targets, "+"), Policy: p}
	for _, name := range targets {
		t := router.Target{Name: name, Provider: name, Weight: 1, Health: s.router.Health(name)}
		if n, w, ok := strings.Cut(name, ":"); ok {
			t.Name, t.Provider, t.Health = n, n, s.router.Health(n)
			t.Weight = 0
			for _, d := range w {
				t.Weight = 10*t.Weight + int64(d-'0')
			}
		}
		g.Targets = append(g.Targets, t)
	}
	return g
}

func (s *stage) route(g *router.Group) *router.Route {
	return &router.Route{Group: g, Policy: g.Policy, Ask: s.ask}
}

func (s *stage) ask(ctx context.Context, t *router.Target, req *llm.Request, emit func(*llm.Event) error) (err error) {
	s.mu.Lock()
	s.calls = append(s.calls, t.Name)
	s.count[t.Name]++
	a := s.act(t.Name, s.count[t.Name])
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.ended[t.Name], s.errs[t.Name] = time.Now(), err
		s.mu.Unlock()
	}()
	wait := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err() // not its cause: adapters are not to be trusted
		}
	}
	if err := wait(a.wait); err != nil {
		return err
	}
	for _, text := range a.texts {
		e := llm.Event{Text: text}
		if text == "[refused]" {
			e = llm.Event{Finish: "content_filter"}
		}
		if err := emit(&e); err != nil {
			return err
		}
		if err := wait(a.pause); a.pause > 0 && err != nil {
			return err
		}
	}
	if a.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.err
}

// run answers one request and returns the text that the client got.
func (s *stage) run(ctx context.Context, r *router.Route) (string, error) {
	var text strings.Builder
	err := r.Complete(ctx, &llm.Request{ID: "r"}, func(e *llm.Event) error {
		text.WriteString(e.Text)
		return nil
	})
	return text.String(), err
}

func (s *stage) trail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, " ")
}

// status is what upstream makes of an HTTP status.
func status(code int) *fault.Error {
	kind := map[int]fault.Kind{400: fault.Invalid, 404: fault.NotFound, 413: fault.TooLarge, 422: fault.Unprocessable, 429: fault.RateLimited,
		408: fault.Timeout, 504: fault.Timeout, 503: fault.Unavailable, 529: fault.Unavailable}[code]
	if kind == "" {
		kind = fault.Upstream
	}
	return &fault.Error{Kind: kind, Provider: "p", Status: code, Message: "status"}
}

var (
	reset   = &fault.Error{Kind: fault.Upstream, Provider: "p", Code: "upstream_unreachable", Message: "reset"}
	ok      = answer{texts: []string{"hi"}}
	stopped = answer{texts: []string{"half"}, err: reset}
)

func always(a answer) func(string, int) answer { return func(string, int) answer { return a } }
