package dynamo

import (
	"context"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Wait sets how long s waits for one answer, and in all.
func (s *Store) Wait(attempt, patience time.Duration) { s.attempt, s.patience = attempt, patience }

// MaxAttempts is how often one call is tried.
const MaxAttempts = maxAttempts

// Clock makes c go by another clock.
func (c *Conversations) Clock(now func() time.Time) { c.now = now }

// Draw is a grant on its way to a member.
type Draw = draw

// Hand hands d over to user, as the second half of a draw does.
func (s *Store) Hand(ctx context.Context, user string, d Draw) error {
	return s.hand(ctx, new(trips), user, d)
}

// LastDraw is the last draw of a member.
func (s *Store) LastDraw(ctx context.Context, project, user string) (Draw, error) {
	b, err := s.book(ctx, new(trips), project)
	if err != nil {
		return Draw{}, err
	}
	return b.draws[user], nil
}

// Pending says whether d still is on its way to a.
func (d Draw) Pending(a *admission.Account) bool { return d.number == a.Draws+1 }

// Amount is what d grants.
func (d Draw) Amount() usage.Nano { return d.amount }

// FullGrant is what a draw amounts to if there is plenty.
const FullGrant = fullGrant

// MaxMembers is how many members a project may have.
const MaxMembers = maxMembers

// Left is what is left of a project's budget at t, and whether that was so at
// any one moment.
func (s *Store) Left(ctx context.Context, project string, t time.Time) (left usage.Nano, sure bool) {
	b, err := s.book(ctx, new(trips), project)
	if err != nil {
		return 0, false
	}
	return b.total(admission.Month(t)), b.steady
}

// Take is the first half of a draw.
func (s *Store) Take(ctx context.Context, a *admission.Account, amount usage.Nano, at time.Time) error {
	return s.take(ctx, new(trips), a, draw{a.Draws + 1, amount, admission.Month(at)}, at, true)
}
