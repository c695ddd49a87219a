package dynamo

import "time"

// Hurry makes s give up on an attempt sooner.
func (s *Store) Hurry(attempt, patience time.Duration) { s.attempt, s.patience = attempt, patience }

// MaxAttempts is how often one call is tried.
const MaxAttempts = maxAttempts
