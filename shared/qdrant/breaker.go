package qdrant

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	maxFailures = 5                // calls in a row without an answer, before Qdrant is left alone
	rest        = 10 * time.Second // until one call tries it again
)

// lost is the failure of a call that got no answer.
type lost struct{ error }

func (l lost) Unwrap() error { return l.error }

// ours is a failure that says nothing of Qdrant: the caller left, or our key
// cannot be read.
type ours struct{ error }

func (o ours) Unwrap() error { return o.error }

// newBreaker returns what keeps requests from waiting for a Qdrant that is not
// there. Whatever it answers, it is there: what one request brings about is not
// the failure of others.
func (s *Store) newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "qdrant",
		MaxRequests: 1,
		Timeout:     rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= maxFailures },
		IsSuccessful: func(err error) bool {
			_, failed := errors.AsType[lost](err)
			return !failed
		},
		IsExcluded: func(err error) bool {
			_, ok := errors.AsType[ours](err)
			return ok
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			s.o.Log.LogAttrs(context.Background(), slog.LevelWarn, "whether Qdrant is asked has changed", slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
}
