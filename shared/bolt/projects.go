package bolt

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

var (
	projectsBucket      = []byte("projects")       // id → project
	projectTotalsBucket = []byte("project_totals") // id → spent by month
)

// project is a project as it is stored.
type project struct {
	admission.Project
	Version int64 `json:"version"`
}

// pool is a project under its lock, which also protects the leases of its
// members: who changes those holds it.
type pool struct {
	mu sync.Mutex
	admission.Pool
}

func (p *pool) account() admission.ProjectAccount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Account()
}

func newPool(p admission.Project) *pool { return &pool{Pool: *admission.NewPool(p)} }

// loadProjects makes the pools that have been stored, without members.
func (s *Store) loadProjects(tx *bbolt.Tx) error {
	return tx.Bucket(projectsBucket).ForEach(func(id, b []byte) error {
		var stored project
		if err := json.Unmarshal(b, &stored); err != nil {
			return fmt.Errorf("project %s: %w", id, err)
		}
		spent, err := readProjectTotals(tx, string(id))
		if err != nil {
			return err
		}
		p := newPool(stored.Project)
		p.Version = stored.Version
		for month, spent := range spent {
			p.Book(month, spent)
		}
		s.projects[string(id)] = p
		return nil
	})
}

func readProjectTotals(tx *bbolt.Tx, id string) (map[string]usage.Nano, error) {
	spent := map[string]usage.Nano{}
	if b := tx.Bucket(projectTotalsBucket).Get([]byte(id)); b != nil {
		if err := json.Unmarshal(b, &spent); err != nil {
			return nil, fmt.Errorf("totals of project %s: %w", id, err)
		}
	}
	return spent, nil
}

// bookProject adds costs, by month, to what a project has spent.
func bookProject(tx *bbolt.Tx, id string, costs map[string]usage.Nano) error {
	if tx.Bucket(projectsBucket).Get([]byte(id)) == nil {
		return nil // nobody's
	}
	spent, err := readProjectTotals(tx, id)
	if err != nil {
		return err
	}
	for month, cost := range costs {
		spent[month] += cost
	}
	for months := slices.Sorted(maps.Keys(spent)); len(months) > 2; months = months[1:] {
		delete(spent, months[0])
	}
	return put(tx, projectTotalsBucket, []byte(id), spent)
}

// makeProject stores the project that a user is about to be in, if it is not
// there yet. It needs s.rosters.
func (s *Store) makeProject(tx *bbolt.Tx, id string) error {
	if id == "" || s.projects[id] != nil {
		return nil
	}
	return put(tx, projectsBucket, []byte(id), project{Project: admission.NewProject(id)})
}

// join puts a into the pool of its project. It needs s.rosters and a.mu, and
// leaves the pool locked with it.
func (s *Store) join(a *account) {
	if a.Project == "" {
		return
	}
	p := s.projects[a.Project]
	if p == nil {
		p = newPool(admission.NewProject(a.Project))
		s.projects[a.Project] = p
	}
	p.mu.Lock()
	a.pool = p
	p.Join(&a.Account)
}

// leave takes a, which is locked, out of its pool and unlocks that.
func (a *account) leave() {
	if p := a.pool; p != nil {
		p.Leave(&a.Account)
		a.pool = nil
		p.mu.Unlock()
	}
}

func errNoProject(id string) error {
	return fault.New(fault.NotFound, "There is no project %q.", id)
}

// CreateProject implements admission.Projects.
func (s *Store) CreateProject(_ context.Context, to admission.Project) (admission.ProjectAccount, error) {
	if err := admission.CheckProjectID("id", to.ID); err != nil {
		return admission.ProjectAccount{}, err
	}
	s.rosters.Lock()
	defer s.rosters.Unlock()
	p := s.projects[to.ID]
	if p == nil {
		p = newPool(admission.NewProject(to.ID))
	}
	if !p.Created.IsZero() {
		return admission.ProjectAccount{}, fault.New(fault.Conflict, "There is a project %q already.", to.ID)
	}
	if err := s.setProject(p, to); err != nil {
		return admission.ProjectAccount{}, err
	}
	s.projects[to.ID] = p
	return p.account(), nil
}

// setProject stores p's settings and then changes p. It needs s.rosters.
func (s *Store) setProject(p *pool, to admission.Project) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return put(tx, projectsBucket, []byte(to.ID), project{Project: to, Version: p.Version + 1})
	})
	if err != nil {
		return unavailable(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Set(to)
	return nil
}

// Project implements admission.Projects.
func (s *Store) Project(_ context.Context, id string) (admission.ProjectAccount, error) {
	s.rosters.Lock()
	defer s.rosters.Unlock()
	if p := s.projects[id]; p != nil {
		return p.account(), nil
	}
	return admission.ProjectAccount{}, errNoProject(id)
}

// ListProjects implements admission.Projects.
func (s *Store) ListProjects(_ context.Context, after string, limit int) ([]admission.ProjectAccount, error) {
	s.rosters.Lock()
	defer s.rosters.Unlock()
	var page []admission.ProjectAccount
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		if id > after && len(page) < limit {
			page = append(page, s.projects[id].account())
		}
	}
	return page, nil
}

// UpdateProject implements admission.Projects.
func (s *Store) UpdateProject(_ context.Context, seen admission.ProjectAccount, to admission.Project) (admission.ProjectAccount, error) {
	s.rosters.Lock()
	defer s.rosters.Unlock()
	p := s.projects[seen.ID]
	switch {
	case p == nil:
		return admission.ProjectAccount{}, errNoProject(seen.ID)
	case to.ID != p.ID:
		return admission.ProjectAccount{}, fault.Field("id", "A project's id cannot be changed.")
	case p.Version != seen.Version:
		return admission.ProjectAccount{}, fault.New(fault.Conflict, "The project %q was changed meanwhile; read it again.", to.ID)
	}
	if err := s.setProject(p, to); err != nil {
		return admission.ProjectAccount{}, err
	}
	return p.account(), nil
}

// DeleteProject implements admission.Projects.
func (s *Store) DeleteProject(_ context.Context, id string) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.rosters.Lock()
	defer s.rosters.Unlock()
	p := s.projects[id]
	if p == nil {
		return errNoProject(id)
	}
	if n := len(p.account().Members); n > 0 {
		return fault.New(fault.Conflict, "The project %q has %d members; move them first.", id, n)
	}
	// Nothing of what it spent may be booked on a later one of that id.
	if err := s.saveLocked(); err != nil {
		return unavailable(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(projectTotalsBucket).Delete([]byte(id)); err != nil {
			return err
		}
		return tx.Bucket(projectsBucket).Delete([]byte(id))
	})
	if err != nil {
		return unavailable(err)
	}
	delete(s.projects, id)
	return nil
}
