package bolt

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Admit implements admission.Store.
func (s *Store) Admit(_ context.Context, ask admission.Ask) (admission.Grant, error) {
	s.world.RLock()
	defer s.world.RUnlock()
	a := s.accounts[ask.User]
	if a == nil {
		return admission.Grant{}, admission.BadKey()
	}
	a.lock()
	defer a.unlock()
	if a.gone {
		return admission.Grant{}, admission.BadKey()
	}
	if _, open := a.Leases[ask.ID]; !open {
		if err := s.admit(a, ask); err != nil {
			return a.Refused(ask, err), err
		}
	}
	g := a.Grant(ask)
	g.Writes = 1
	return g, nil
}

func (s *Store) admit(a *account, ask admission.Ask) error {
	err := a.Refusal(ask)
	if errors.Is(err, fault.RateLimited) || errors.Is(err, fault.Quota) {
		if dead := a.ExpiredLeases(ask.Now, ask.ID); len(dead) > 0 {
			for _, l := range dead {
				if _, err := s.settle(a, l, l.Unsettled()); err != nil {
					return err
				}
			}
			err = a.Refusal(ask)
		}
	}
	if err != nil {
		return err
	}
	e := entry{kind: touchLine, user: a.ID}
	e.tat, _ = a.Next(ask.Now)
	if ask.Lease {
		if _, err := requestid.Time(ask.ID); err != nil {
			return fault.Wrap(fault.Internal, err, "Internal error.")
		}
		e.kind, e.id, e.held, e.tokens = admitLine, ask.ID, ask.Reserve, ask.Tokens
	}
	if err := s.journal.append(&e); err != nil {
		return unavailable(err)
	}
	a.Admit(ask)
	a.prune(ask.Now)
	return nil
}

// prune keeps the account small: it does its work now and then.
func (a *account) prune(now time.Time) {
	if len(a.TokensLeft) > 60 || len(a.DayLeft) > 3 || len(a.MonthLeft) > 3 {
		a.Prune(now)
	}
}

// TopUp implements admission.Store.
func (s *Store) TopUp(_ context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	s.world.RLock()
	defer s.world.RUnlock()
	a := s.accounts[l.User]
	if a == nil {
		return admission.Lease{}, errNoUser()
	}
	a.lock()
	defer a.unlock()
	held := a.Leases[l.ID]
	raised, err := a.TopUp(l, reserved)
	if err != nil || raised.Reserved == held {
		return raised, err
	}
	if err := s.journal.append(&entry{kind: topUpLine, user: l.User, id: l.ID, held: raised.Reserved}); err != nil {
		a.Charge(l.Period(), held-raised.Reserved)
		a.Leases[l.ID] = held
		return admission.Lease{}, unavailable(err)
	}
	return raised, nil
}

// Settle implements admission.Store. The record is in the journal when it
// returns, and on disk a few milliseconds later.
func (s *Store) Settle(_ context.Context, l admission.Lease, r usage.Record) (usage.Record, error) {
	if _, err := requestid.Time(l.ID); err != nil || r.ID != l.ID || r.User != l.User || !admission.ValidUserID(l.User) {
		return usage.Record{}, fault.Wrap(fault.Internal, errors.New("bolt: lease and record do not name one request"), "Internal error.")
	}
	s.world.RLock()
	defer s.world.RUnlock()
	a := s.accounts[l.User]
	if a == nil {
		s.orphans.Lock()
		defer s.orphans.Unlock()
	} else {
		a.lock()
		defer a.unlock()
	}
	return s.settle(a, l, r)
}

// settle needs a.mu; a is nil if the user does not exist.
func (s *Store) settle(a *account, l admission.Lease, r usage.Record) (usage.Record, error) {
	won, found, err := s.find(l.User, l.ID)
	if err != nil {
		return usage.Record{}, unavailable(err)
	}
	e := entry{kind: bookLine, user: l.User, id: l.ID, held: notOpen}
	if a != nil {
		if held, ok := a.Leases[l.ID]; ok {
			e.held = held
		}
	}
	if found && e.held == notOpen {
		return won, nil
	}
	if !found {
		won, e.kind = r, settleLine
		e.record = r.AppendJSON(make([]byte, 0, usualRecord))
	}
	e.cost, e.tokens = won.Cost, l.Tokens-admission.Tokens(won)
	if err := s.journal.append(&e); err != nil {
		return usage.Record{}, unavailable(err)
	}
	if a != nil {
		a.Account.Settle(l, won.Cost, admission.Tokens(won))
	}
	return won, nil
}

// Expired implements admission.Store.
func (s *Store) Expired(_ context.Context, before time.Time) iter.Seq2[admission.Lease, error] {
	return func(yield func(admission.Lease, error) bool) {
		for _, a := range s.all() {
			a.lock()
			var found []admission.Lease
			for l := range a.LeasesBefore(before) {
				found = append(found, l)
			}
			a.unlock()
			for _, l := range found {
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

// all returns the accounts there are now, in no order.
func (s *Store) all() []*account {
	s.world.RLock()
	defer s.world.RUnlock()
	all := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		all = append(all, a)
	}
	return all
}
