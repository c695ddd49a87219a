package bolt

import (
	"context"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// WriteOff implements admission.WriteOffs.
func (s *Store) WriteOff(_ context.Context, user, id string) (usage.Record, error) {
	s.rosters.Lock()
	defer s.rosters.Unlock()
	s.world.RLock()
	defer s.world.RUnlock()
	a := s.accounts[user]
	if a == nil {
		s.orphans.Lock()
		defer s.orphans.Unlock()
	} else {
		a.lock()
		defer a.unlock()
	}
	of, found, err := s.find(user, id)
	if err != nil {
		return usage.Record{}, unavailable(err)
	}
	if !found {
		return usage.Record{}, fault.New(fault.NotFound, "No such request: %s.", id)
	}
	back, err := admission.WriteOff(of)
	if err != nil {
		return usage.Record{}, err
	}
	if done, found, err := s.find(user, back.ID); err != nil || found {
		return done, unavailable(err)
	}
	e := entry{kind: backLine, user: user, id: back.ID, held: notOpen, cost: back.Cost, record: back.AppendJSON(nil)}
	if a != nil && a.Paid(of.Time) {
		e.held = 0
	}
	if err := s.journal.append(&e); err != nil {
		return usage.Record{}, unavailable(err)
	}
	s.give(a, &e, back)
	return back, nil
}

// give changes accounts as the entry e with its write-off says. It needs the
// lock of a, which is nil if the user does not exist, and s.rosters.
func (s *Store) give(a *account, e *entry, back usage.Record) {
	at := e.lease().Admitted
	theirs := a != nil && e.held != notOpen
	if theirs && a.Project == back.Project {
		a.Charge(at, back.Cost)
		return
	}
	if theirs {
		a.ChargeOwn(at, back.Cost)
	}
	p := s.projects[back.Project]
	if p == nil {
		return
	}
	if a == nil || a.pool != p { // else a's lock is its too
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	p.Book(admission.Month(at), back.Cost)
}

// charge books an entry that a journal remembers, when nobody else is there.
func (s *Store) charge(e *entry) error {
	a := s.accounts[e.user]
	if e.kind == backLine {
		back, err := e.parseRecord()
		if err != nil {
			return err
		}
		s.give(a, e, back)
	} else if a != nil && e.held != notOpen {
		a.Charge(e.lease().Admitted, e.cost)
	}
	return nil
}
