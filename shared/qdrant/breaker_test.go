package qdrant_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/qdrant"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// patient is a Qdrant without documents in the memory of a test's bubble. It
// answers after a while.
type patient struct {
	client.UnimplementedPointsServer
	conns  chan net.Conn
	takes  atomic.Int64 // nanoseconds; below 0: for ever
	starts atomic.Bool  // its answer is that it is not ready
	gone   atomic.Bool  // nobody listens
	dialed atomic.Int64
	asked  atomic.Int64
}

func (p *patient) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *patient) Close() error   { close(p.conns); return nil }
func (p *patient) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (p *patient) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.dialed.Add(1)
	if p.gone.Load() {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *patient) wait(ctx context.Context) error {
	p.asked.Add(1)
	if d := time.Duration(p.takes.Load()); d >= 0 {
		select {
		case <-time.After(d):
			if p.starts.Load() {
				return status.Error(codes.Unavailable, "starting")
			}
			return nil
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (p *patient) Get(ctx context.Context, _ *client.GetPoints) (*client.GetResponse, error) {
	return &client.GetResponse{}, p.wait(ctx)
}

type presence struct {
	client.UnimplementedCollectionsServer
	p *patient
}

func (s presence) CollectionExists(ctx context.Context, _ *client.CollectionExistsRequest) (*client.CollectionExistsResponse, error) {
	return &client.CollectionExistsResponse{Result: &client.CollectionExists{}}, s.p.wait(ctx)
}

const never = time.Duration(-1)

func (p *patient) answersAfter(d time.Duration) { p.takes.Store(int64(d)) }

// inMemory runs do in a bubble with such a Qdrant, and a store that knows it.
func inMemory(t *testing.T, do func(t *testing.T, p *patient, s *qdrant.Store)) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{conns: make(chan net.Conn)}
		server := grpc.NewServer()
		client.RegisterCollectionsServer(server, presence{p: p})
		client.RegisterPointsServer(server, p)
		go server.Serve(p)
		s := open(t, qdrant.Options{URL: "http://127.0.0.1"})
		qdrant.Dial(s, p.dial)
		do(t, p, s)
		s.Close()
		server.Stop()
	})
}

// took is how long do takes, in tenths of a second: waits between attempts are
// random.
func took(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start).Round(100 * time.Millisecond), err
}

// TestAQdrantThatDoesNotAnswer costs two seconds, and after a few times
// nothing. It is found when it answers again.
func TestAQdrantThatDoesNotAnswer(t *testing.T) {
	inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
		search := func() error {
			_, err := s.Search(t.Context(), tenant, rag.Query{Collection: "docs", Text: "herons", Limit: 1})
			return err
		}
		p.answersAfter(never)
		for i := range 5 {
			if d, err := took(search); !errors.Is(err, fault.Unavailable) || d != 2*time.Second {
				t.Errorf("failure %d: %v after %v, want unavailable after 2s", i, err, d)
			}
		}
		before := p.asked.Load()
		for range 100 {
			d, err := took(search)
			if f := fault.As(err); f.Kind != fault.Unavailable || f.RetryAfter != 10*time.Second || d != 0 {
				t.Fatalf("with the breaker open: %+v after %v, want unavailable for 10s", f, d)
			}
		}
		if d, err := took(func() error { return put(long("herons"))(s) }); !errors.Is(err, fault.Unavailable) || d != 0 {
			t.Errorf("Put = %v after %v", err, d)
		}
		if n := p.asked.Load() - before; n != 0 {
			t.Errorf("%d calls with the breaker open", n)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if d, err := took(search); !errors.Is(err, fault.Unavailable) || d != 2*time.Second {
			t.Errorf("the trial: %v after %v", err, d)
		}
		if d, _ := took(search); d != 0 {
			t.Errorf("after a failed trial it takes %v", d)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		p.answersAfter(0)
		for range 10 {
			if d, err := took(search); err != nil || d != 0 {
				t.Errorf("after it has recovered: %v after %v", err, d)
			}
		}
	})
}

// TestAQdrantThatIsAway is left alone as soon.
func TestAQdrantThatIsAway(t *testing.T) {
	inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
		p.gone.Store(true)
		for i := range 5 {
			if d, err := took(func() error { return s.Ping(t.Context()) }); !errors.Is(err, fault.Unavailable) || d > 2*time.Second {
				t.Errorf("failure %d: %v after %v", i, err, d)
			}
		}
		before := p.dialed.Load()
		if d, err := took(func() error { return s.Ping(t.Context()) }); !errors.Is(err, fault.Unavailable) || d != 0 || p.dialed.Load() != before {
			t.Errorf("the next: %v after %v, dialed: %v", err, d, p.dialed.Load() != before)
		}
	})
}

// TestAConnectionThatWasCut costs one second: the next answers. It is given up
// without harm to calls that are still waiting.
func TestAConnectionThatWasCut(t *testing.T) {
	inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.answersAfter(never)
		cut := time.AfterFunc(time.Second, func() { p.answersAfter(0) })
		defer cut.Stop()
		if d, err := took(func() error { return s.Ping(t.Context()) }); err != nil || d.Round(time.Second) != time.Second || p.dialed.Load() != 2 {
			t.Errorf("Ping = %v after %v with %d connections, want an answer from the second after 1s", err, d, p.dialed.Load())
		}

		p.answersAfter(never)
		waiting := make(chan error)
		ping := func() { waiting <- s.Ping(t.Context()) }
		go ping()
		time.Sleep(500 * time.Millisecond)
		p.answersAfter(900 * time.Millisecond)
		go ping()
		for range 2 {
			if err := <-waiting; err != nil {
				t.Errorf("a call beside one that is given up = %v", err)
			}
		}
	})
}

// TestWhoLeavesSaysNothingOfQdrant, unless anybody would have left.
func TestWhoLeavesSaysNothingOfQdrant(t *testing.T) {
	for _, tc := range []struct {
		patience time.Duration
		asked    int64 // of twenty
	}{{900 * time.Millisecond, 20}, {1500 * time.Millisecond, 5}} {
		inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
			p.answersAfter(never)
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
				if err := s.Ping(ctx); err == nil {
					t.Error("Ping = nil")
				}
				cancel()
			}
			if n := p.asked.Load(); n != tc.asked {
				t.Errorf("%d of 20 who wait for %v ask, want %d", n, tc.patience, tc.asked)
			}
		})
	}
}

// TestWhatQdrantRefusesIsNoFailure of it: others may be served.
func TestWhatQdrantRefusesIsNoFailure(t *testing.T) {
	inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
		for range 20 { // this Qdrant does not know how to list
			_, _, err := s.Documents(t.Context(), tenant, rag.Key{}, "", 1)
			if !errors.Is(err, fault.Unavailable) {
				t.Fatalf("Documents = %v", err)
			}
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping = %v", err)
		}
	})
}

// TestACallTakesNoLongerThanItMay, be it over while an attempt is under way or
// between two. That says nothing of the connection, which is used again.
func TestACallTakesNoLongerThanItMay(t *testing.T) {
	for _, tc := range []struct {
		takes time.Duration
		asked int64
	}{{1430 * time.Millisecond, 2}, {950 * time.Millisecond, 3}} {
		inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
			ping := func() error { return s.Ping(t.Context()) }
			p.starts.Store(true)
			p.answersAfter(tc.takes)
			for i := range 5 {
				before := p.asked.Load()
				if d, err := took(ping); !errors.Is(err, fault.Unavailable) || d != 3*time.Second || p.asked.Load()-before != tc.asked {
					t.Errorf("call %d = %v after %v and %d attempts of %v, want unavailable after 3s and %d", i, err, d, p.asked.Load()-before, tc.takes, tc.asked)
				}
			}
			if d, err := took(ping); !errors.Is(err, fault.Unavailable) || d != 0 {
				t.Errorf("after five such calls: %v after %v, want unavailable at once", err, d)
			}
			time.Sleep(10*time.Second + time.Millisecond)
			p.starts.Store(false)
			p.answersAfter(0)
			if err := ping(); err != nil || p.dialed.Load() != 1 {
				t.Errorf("when it is ready: %v, with %d connections, want one", err, p.dialed.Load())
			}
		})
	}
}

// TestAKeyThatCannotBeRead says nothing of Qdrant, good or bad, nor of the
// connection.
func TestAKeyThatCannotBeRead(t *testing.T) {
	for name, cause := range map[string]error{"of ours": fault.New(fault.Unavailable, "No secret."), "of any kind": errors.New("detail")} {
		inMemory(t, func(t *testing.T, p *patient, _ *qdrant.Store) {
			failed := cause
			s := open(t, qdrant.Options{URL: "http://127.0.0.1", Key: func(context.Context) (string, error) { return "key", failed }})
			defer s.Close()
			qdrant.Dial(s, p.dial)
			ping := func() error { return s.Ping(t.Context()) }
			unread := func() {
				for range 20 {
					if d, err := took(ping); !errors.Is(err, fault.Unavailable) || !errors.Is(err, cause) || strings.Contains(fault.As(err).Message, "detail") || d != 0 {
						t.Fatalf("%s: Ping = %v after %v, want the error of the key at once", name, err, d)
					}
				}
			}
			unread()
			failed = nil
			p.answersAfter(1500 * time.Millisecond)
			if d, err := took(ping); err != nil || d != 1500*time.Millisecond {
				t.Errorf("%s: on a connection that is not proven: %v after %v, want an answer after 1.5s", name, err, d)
			}
			p.answersAfter(never)
			for range 4 {
				ping()
			}
			failed = cause
			unread()
			failed = nil
			ping()
			if d, _ := took(ping); d != 0 {
				t.Errorf("%s: after five failures, with unread keys in between, a call takes %v", name, d)
			}
		})
	}
}

// TestWhoLeavesDuringTheTrial leaves it to others, unless anybody would have
// left.
func TestWhoLeavesDuringTheTrial(t *testing.T) {
	inMemory(t, func(t *testing.T, p *patient, s *qdrant.Store) {
		ping := func() error { return s.Ping(t.Context()) }
		leaveAfter := func(patience time.Duration) {
			time.Sleep(10*time.Second + time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if d, err := took(func() error { return s.Ping(ctx) }); !errors.Is(err, context.DeadlineExceeded) || d != patience {
				t.Errorf("the trial of who leaves after %v = %v after %v", patience, err, d)
			}
		}
		p.answersAfter(never)
		for range 5 {
			ping()
		}
		leaveAfter(900 * time.Millisecond)
		if d, err := took(ping); !errors.Is(err, fault.Unavailable) || d != 2*time.Second {
			t.Errorf("the next call = %v after %v, want the trial of 2s", err, d)
		}
		if d, _ := took(ping); d != 0 {
			t.Errorf("after that trial a call takes %v", d)
		}
		leaveAfter(1500 * time.Millisecond)
		if d, _ := took(ping); d != 0 {
			t.Errorf("after a trial of 1.5s in silence a call takes %v", d)
		}
		leaveAfter(900 * time.Millisecond)
		p.answersAfter(0)
		for range 2 {
			if d, err := took(ping); err != nil || d != 0 {
				t.Errorf("when it answers again: %v after %v", err, d)
			}
		}
	})
}
