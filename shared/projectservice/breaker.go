package projectservice

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	maxFailures = 5                // in a row, before the service is left alone
	rest        = 10 * time.Second // until one request tries it again
)

// errTooLong is the cause where the service is well, and a project too large.
var errTooLong = errors.New("more than 1 MiB")

// ours is a failure that says nothing of the service: the caller left, or our
// key cannot be read.
type ours struct{ error }

func (o ours) Unwrap() error { return o.error }

// newBreaker returns what keeps requests from waiting for a service that is
// down. Nothing that a single project or client can bring about by itself
// counts against the service: others want its answers, too.
func newBreaker() *gobreaker.CircuitBreaker[answer] {
	return gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
		Name:        "project service",
		MaxRequests: 1,
		Timeout:     rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= maxFailures },
		IsSuccessful: func(err error) bool {
			return err == nil || errors.Is(err, fault.NotFound) || errors.Is(err, errTooLong)
		},
		IsExcluded: func(err error) bool {
			_, ok := errors.AsType[ours](err)
			return ok
		},
	})
}
