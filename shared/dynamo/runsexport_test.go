package dynamo

import "time"

// Clock makes r go by another clock.
func (r *Runs) Clock(now func() time.Time) { r.now = now }
