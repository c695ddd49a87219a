package qdrant

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/devmentor/ai-gateway/shared/fault"
)

// How long one attempt of a call may take. Writing waits until what was written
// can be found.
const (
	reading = 5 * time.Second
	writing = 30 * time.Second
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

// dial returns the connection, a new one if the last is too old.
func (s *Store) dial() (*qdrant.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Round(0) // by the wall clock: that of a frozen process stands still
	if s.client != nil && now.Sub(s.used) > maxIdle {
		s.client.Close()
		s.client = nil
	}
	s.used = now
	if s.client != nil {
		return s.client, nil
	}
	c, err := qdrant.NewClient(&qdrant.Config{
		Host: s.host, Port: s.port, UseTLS: s.tls,
		SkipCompatibilityCheck: true, // it would be a call of its own, while the first one waits
		PoolSize:               1,
		KeepAliveTime:          -1, // pings fail after a function was frozen
		GrpcOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(s.authenticate),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		},
	})
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// authenticate adds the key, which may change while the connection lives.
func (s *Store) authenticate(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if s.o.Key != nil {
		key, err := s.o.Key(ctx)
		if err != nil {
			return err
		}
		if key != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "api-key", key)
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// hangUp gives up a connection on which a call got no answer.
func (s *Store) hangUp(c *qdrant.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == c {
		s.client = nil
		c.Close()
	}
}

// call does something that may be done twice, and does it again while Qdrant
// cannot be reached. Its errors are our own words; those of a collection that
// is missing are errMissing.
func call[T any](ctx context.Context, s *Store, patience time.Duration, do func(context.Context, *qdrant.Client) (T, error)) (T, error) {
	var none T
	wait := firstWait
	for n := 1; ; n++ {
		c, err := s.dial()
		if err != nil {
			return none, unavailable(err)
		}
		attempt, cancel := context.WithTimeout(ctx, patience)
		out, err := do(attempt, c)
		silent := attempt.Err() != nil
		cancel()
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return none, ctx.Err()
		}
		if silent {
			s.hangUp(c)
		}
		if !silent && status.Code(err) != codes.Unavailable || n == attempts {
			return none, translate(err)
		}
		select {
		case <-time.After(wait + rand.N(wait)):
		case <-ctx.Done():
			return none, ctx.Err()
		}
		wait *= 3
	}
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
	if f, ok := errors.AsType[*fault.Error](err); ok { // of the key
		return f
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
