package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// ReloadEvery is how long a change of the configuration may go unnoticed.
const ReloadEvery = 60 * time.Second

// reload is when the configuration was last looked at.
type reload struct {
	mu    sync.Mutex
	began atomic.Int64 // Unix nanoseconds; 0 before the first request
	said  string       // the last complaint
}

// now returns what is offered now. It looks for a new configuration when the
// present one has not been checked for ReloadEvery; there is no background
// work, which Lambda would not run. Requests that come meanwhile go on with
// what there is.
func (r *Registry) now(ctx context.Context) *offer {
	if r.Reload == nil {
		return r.set.Load()
	}
	now := time.Now().UnixNano()
	if began := r.reload.began.Load(); began == 0 {
		r.reload.began.CompareAndSwap(0, now) // it has been read at start
	} else if time.Duration(now-began) >= ReloadEvery && r.reload.mu.TryLock() {
		defer r.reload.mu.Unlock()
		r.reload.began.Store(now)
		r.look(ctx)
	}
	return r.set.Load()
}

// look takes over a new configuration; one that is bad is refused, once aloud.
func (r *Registry) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	set, err := r.Reload(ctx)
	switch {
	case err != nil:
		if r.Failed != nil && err.Error() != r.reload.said {
			r.Failed(err)
		}
		r.reload.said = err.Error()
	case set != nil:
		r.Use(*set)
		r.reload.said = ""
	}
}
