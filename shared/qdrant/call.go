package qdrant

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// patience is how long an attempt of a call may take: on a connection that has
// brought answers, and on one that is still to be made. If the first is silent
// it may have been cut, so that the call goes on with another one; but if that
// is silent, too, it is Qdrant that does not answer. A call takes no longer than
// both together.
type patience struct{ proven, fresh time.Duration }

var (
	reading = patience{time.Second, 2 * time.Second}
	// writing waits until what was written can be found.
	writing = patience{30 * time.Second, 30 * time.Second}
)

const (
	attempts  = 4
	firstWait = 50 * time.Millisecond // before the second attempt; tripled each time
	// maxIdle is how long a connection is trusted without being used. A function
	// that was frozen does not learn that its connection has been cut.
	maxIdle = time.Minute
	// maxMessage bounds an answer: a hundred passages and a document are far less.
	maxMessage = 64 << 20
	// tries bounds how often a change that others came before is made anew.
	tries = 50
)

// conn is a connection, and what is known of it. The store's mutex guards it.
type conn struct {
	*qdrant.Client
	calls  int  // that are under way
	proven bool // it has brought an answer
	over   bool // the last call closes it
}

// dial returns the connection for a call, a new one if the last is too old, and
// whether it is proven. The call hands it back in the end.
func (s *Store) dial() (_ *conn, proven bool, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Round(0) // by the wall clock: that of a frozen process stands still
	if s.conn != nil && now.Sub(s.used) > maxIdle {
		s.drop()
	}
	s.used = now
	if s.conn == nil {
		c, err := s.connect()
		if err != nil {
			return nil, false, err
		}
		s.conn = &conn{Client: c}
	}
	s.conn.calls++
	return s.conn, s.conn.proven, nil
}

// drop gives up the connection, without harm to the calls on it.
func (s *Store) drop() {
	c := s.conn
	s.conn = nil
	if c.over = true; c.calls == 0 {
		c.Close()
	}
}

// handBack ends a call on c, which was answered or not. A connection that was
// silent for as long as any may be is not used again.
func (s *Store) handBack(c *conn, answered, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.calls--
	c.proven = c.proven || answered
	switch {
	case silent && s.conn == c:
		s.drop()
	case c.over && c.calls == 0:
		c.Close()
	}
}

// connect makes a connection, which is dialled when it is first used.
func (s *Store) connect() (*qdrant.Client, error) {
	return qdrant.NewClient(&qdrant.Config{
		Host: s.host, Port: s.port, UseTLS: s.tls,
		SkipCompatibilityCheck: true, // it would be a call of its own, while the first one waits
		PoolSize:               1,
		KeepAliveTime:          -1, // pings fail after a function was frozen
		GrpcOptions: append([]grpc.DialOption{
			grpc.WithChainUnaryInterceptor(s.authenticate),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		}, s.dialing...),
	})
}

// authenticate adds the key, which may change while the connection lives.
func (s *Store) authenticate(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if s.o.Key != nil {
		key, err := s.o.Key(ctx)
		if err != nil {
			return ours{err}
		}
		if key != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "api-key", key)
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// call does something that may be done twice, and does it again while Qdrant
// cannot be reached. If that is so time and again, it fails at once for a while.
// Its errors are our own words; those of a collection that is missing are
// errMissing.
func call[T any](ctx context.Context, s *Store, p patience, do func(context.Context, *qdrant.Client) (T, error)) (out T, err error) {
	_, err = s.breaker.Execute(func() (struct{}, error) {
		out, err = insist(ctx, s, p, do)
		return struct{}{}, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		f := unavailable(err)
		f.RetryAfter = rest
		return out, f
	}
	return out, err
}

// insist is call without the breaker: it asks Qdrant even if earlier calls got no
// answer.
func insist[T any](ctx context.Context, s *Store, p patience, do func(context.Context, *qdrant.Client) (T, error)) (none T, _ error) {
	whole, cancel := context.WithTimeout(ctx, p.proven+p.fresh)
	defer cancel()
	begun, wait := time.Now(), firstWait
	for n := 1; ; n++ {
		c, proven, err := s.dial()
		if err != nil {
			return none, unavailable(err)
		}
		bound := p.fresh
		if proven {
			bound = p.proven
		}
		asked := time.Now()
		attempt, cancel := context.WithTimeout(whole, bound)
		out, err := do(attempt, c.Client)
		away := status.Code(err) == codes.Unavailable
		_, keyless := errors.AsType[ours](err)
		silent, leaves := err != nil && !keyless && ended(attempt) != nil, ended(ctx)
		tooLong := silent && (leaves == nil || time.Since(begun) >= p.proven) // for anybody
		cancel()
		s.handBack(c, !away && !silent && !keyless, silent && time.Since(asked) >= p.proven)
		switch {
		case err == nil:
			return out, nil
		case leaves != nil && tooLong:
			return none, lost{leaves}
		case leaves != nil:
			return none, ours{leaves}
		case !away && !silent:
			return none, translate(err)
		case silent && !proven, n == attempts:
			return none, lost{unavailable(err)}
		}
		select {
		case <-time.After(wait + rand.N(wait)):
		case <-whole.Done():
		}
		switch {
		case ended(ctx) != nil:
			return none, ours{ended(ctx)}
		case ended(whole) != nil: // there is no time left in which an attempt could be answered
			return none, lost{unavailable(err)}
		}
		wait *= 3
	}
}

// ended is ctx.Err, but true to the clock: Qdrant knows the deadline, too, and
// may end a call a moment before our own timer does.
func ended(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// pause lets whoever came first finish.
func pause(ctx context.Context) error {
	select {
	case <-time.After(rand.N(10 * time.Millisecond)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errMissing = errors.New("qdrant: no such collection")

func translate(err error) error {
	if key, ok := errors.AsType[ours](err); ok {
		if _, ok := errors.AsType[*fault.Error](key); ok {
			return key
		}
		return unavailable(key) // and still ours
	}
	if limited, ok := errors.AsType[*qdrant.QdrantResourceExhaustedError](err); ok {
		f := unavailable(err)
		f.RetryAfter = time.Duration(limited.RetryAfterS) * time.Second
		return f
	}
	switch status.Code(err) {
	case codes.NotFound:
		return errors.Join(errMissing, err)
	case codes.Unauthenticated, codes.PermissionDenied:
		return fault.Wrap(fault.Unavailable, err, "The vector database does not let the gateway in.")
	}
	return unavailable(err)
}

func unavailable(err error) *fault.Error {
	return fault.Wrap(fault.Unavailable, err, "The vector database cannot be used right now; try again.")
}
