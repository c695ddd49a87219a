package dynamo

import "time"

// Wait sets how long s waits for one answer, and in all.
func (s *Store) Wait(attempt, patience time.Duration) { s.attempt, s.patience = attempt, patience }

// MaxAttempts is how often one call is tried.
const MaxAttempts = maxAttempts

// Clock makes c go by another clock.
func (c *Conversations) Clock(now func() time.Time) { c.now = now }
