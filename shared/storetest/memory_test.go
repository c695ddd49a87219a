package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/storetest"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// The suite must be possible to pass: here is the plainest store that does.
func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Stores {
		m := &memory{accounts: map[string]*admission.Account{}, keys: map[string]map[string]admission.Key{}, ledger: map[string]map[string]usage.Record{},
			pools: map[string]*admission.Pool{}}
		return storetest.Stores{Admission: m, Users: m, Keys: m, Ledger: m, Projects: m, WriteOffs: m}
	})
}

// memory is package admission's rules under one lock.
type memory struct {
	mu       sync.Mutex
	accounts map[string]*admission.Account
	keys     map[string]map[string]admission.Key // by user and hash
	ledger   map[string]map[string]usage.Record  // by user and id
	pools    map[string]*admission.Pool
}

var errNoUser = fault.New(fault.NotFound, "No such user.")

func (m *memory) Admit(_ context.Context, ask admission.Ask) (admission.Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[ask.User]
	if a == nil {
		return admission.Grant{}, admission.BadKey()
	}
	if _, open := a.Leases[ask.ID]; !open {
		err := a.Refusal(ask)
		if errors.Is(err, fault.Quota) || errors.Is(err, fault.RateLimited) {
			for _, l := range a.ExpiredLeases(ask.Now, ask.ID) {
				m.settle(l, l.Unsettled())
			}
			err = a.Refusal(ask)
		}
		if err != nil {
			return a.Refused(ask, err), err
		}
		a.Admit(ask)
	}
	g := a.Grant(ask)
	g.Writes = 1
	return g, nil
}

func (m *memory) TopUp(_ context.Context, l admission.Lease, reserved usage.Nano) (admission.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[l.User]
	if a == nil {
		return admission.Lease{}, errNoUser
	}
	return a.TopUp(l, reserved)
}

func (m *memory) Settle(_ context.Context, l admission.Lease, r usage.Record) (usage.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settle(l, r), nil
}

func (m *memory) settle(l admission.Lease, r usage.Record) usage.Record {
	if won, ok := m.ledger[l.User][l.ID]; ok {
		r = won
	}
	if m.ledger[l.User] == nil {
		m.ledger[l.User] = map[string]usage.Record{}
	}
	m.ledger[l.User][l.ID] = r
	if a := m.accounts[l.User]; a != nil {
		a.Settle(l, r.Cost, admission.Tokens(r))
	}
	return r
}

func (m *memory) Expired(_ context.Context, before time.Time) iter.Seq2[admission.Lease, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []admission.Lease
	for _, a := range m.accounts {
		for id, held := range a.Leases {
			if at, err := requestid.Time(id); err == nil && at.Before(before) {
				found = append(found, admission.Lease{ID: id, User: a.ID, Reserved: held, Admitted: at})
			}
		}
	}
	return func(yield func(admission.Lease, error) bool) {
		for _, l := range found {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (m *memory) CreateUser(_ context.Context, u admission.User) (admission.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accounts[u.ID] != nil {
		return admission.Account{}, fault.New(fault.Conflict, "The user exists.")
	}
	a := admission.NewAccount(u)
	m.accounts[u.ID], m.keys[u.ID] = a, map[string]admission.Key{}
	m.join(a)
	return a.Clone(), nil
}

func (m *memory) User(_ context.Context, id string) (admission.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[id]; a != nil {
		return a.Clone(), nil
	}
	return admission.Account{}, errNoUser
}

func (m *memory) ListUsers(_ context.Context, after string, limit int) ([]admission.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []admission.Account
	for _, id := range slices.Sorted(maps.Keys(m.accounts)) {
		if id > after && len(page) < limit {
			page = append(page, m.accounts[id].Clone())
		}
	}
	return page, nil
}

func (m *memory) UpdateUser(_ context.Context, seen admission.Account, u admission.User) (admission.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[seen.ID]
	if a == nil {
		return admission.Account{}, errNoUser
	}
	if a.Version != seen.Version {
		return admission.Account{}, fault.New(fault.Conflict, "The user was changed meanwhile.")
	}
	from := a.Project
	a.Set(u)
	if u.Project != from {
		m.leave(a, from)
		m.join(a)
	}
	return a.Clone(), nil
}

func (m *memory) join(a *admission.Account) {
	if a.Project == "" {
		return
	}
	if m.pools[a.Project] == nil {
		m.pools[a.Project] = admission.NewPool(admission.NewProject(a.Project))
	}
	m.pools[a.Project].Join(a)
}

func (m *memory) leave(a *admission.Account, project string) {
	if project != "" {
		m.pools[project].Leave(a)
	}
}

func (m *memory) DeleteUser(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[id]
	if a == nil {
		return errNoUser
	}
	if len(a.Leases) > 0 {
		return fault.New(fault.Conflict, "The user has open requests.")
	}
	m.leave(a, a.Project)
	delete(m.accounts, id)
	delete(m.keys, id)
	return nil
}

func (m *memory) PutKey(_ context.Context, user string, k admission.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, keys := m.accounts[user], m.keys[user]
	if a == nil {
		return errNoUser
	}
	live := 0
	for hash, other := range keys {
		if hash != k.Hash && other.Live(time.Now()) {
			live++
		}
	}
	if live >= admission.MaxKeys {
		return fault.New(fault.Conflict, "The user has too many keys.")
	}
	keys[k.Hash], a.Keys[k.Hash] = k, k.Rule()
	return nil
}

func (m *memory) RevokeKey(_ context.Context, user, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, k := range m.keys[user] {
		if k.ID == id {
			k.Revoked = true
			m.keys[user][hash], m.accounts[user].Keys[hash] = k, k.Rule()
			return nil
		}
	}
	return fault.New(fault.NotFound, "No such key.")
}

func (m *memory) ListKeys(_ context.Context, user string) ([]admission.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accounts[user] == nil {
		return nil, errNoUser
	}
	keys := slices.Collect(maps.Values(m.keys[user]))
	admission.SortKeys(keys)
	return keys, nil
}

func (m *memory) Records(_ context.Context, user string, from, to time.Time) iter.Seq2[usage.Record, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := slices.Collect(maps.Values(m.ledger[user]))
	found = slices.DeleteFunc(found, func(r usage.Record) bool { return r.Time.Before(from) || !r.Time.Before(to) })
	slices.SortFunc(found, func(x, y usage.Record) int { return cmp.Compare(x.ID, y.ID) })
	return func(yield func(usage.Record, error) bool) {
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memory) Record(_ context.Context, user, id string) (usage.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.ledger[user][id]; ok {
		return r, nil
	}
	return usage.Record{}, fault.New(fault.NotFound, "No such record.")
}

var errNoProject = fault.New(fault.NotFound, "No such project.")

func (m *memory) CreateProject(_ context.Context, p admission.Project) (admission.ProjectAccount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pool := m.pools[p.ID]
	if pool == nil {
		pool = admission.NewPool(admission.NewProject(p.ID))
		m.pools[p.ID] = pool
	}
	if !pool.Created.IsZero() {
		return admission.ProjectAccount{}, fault.New(fault.Conflict, "The project exists.")
	}
	pool.Set(p)
	return pool.Account(), nil
}

func (m *memory) Project(_ context.Context, id string) (admission.ProjectAccount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pool := m.pools[id]; pool != nil {
		return pool.Account(), nil
	}
	return admission.ProjectAccount{}, errNoProject
}

func (m *memory) ListProjects(_ context.Context, after string, limit int) ([]admission.ProjectAccount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []admission.ProjectAccount
	for _, id := range slices.Sorted(maps.Keys(m.pools)) {
		if id > after && len(page) < limit {
			page = append(page, m.pools[id].Account())
		}
	}
	return page, nil
}

func (m *memory) UpdateProject(_ context.Context, seen admission.ProjectAccount, p admission.Project) (admission.ProjectAccount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pool := m.pools[seen.ID]
	if pool == nil {
		return admission.ProjectAccount{}, errNoProject
	}
	if pool.Version != seen.Version {
		return admission.ProjectAccount{}, fault.New(fault.Conflict, "The project was changed meanwhile.")
	}
	pool.Set(p)
	return pool.Account(), nil
}

func (m *memory) DeleteProject(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	pool := m.pools[id]
	if pool == nil {
		return errNoProject
	}
	if len(pool.Members) > 0 {
		return fault.New(fault.Conflict, "The project has members.")
	}
	delete(m.pools, id)
	return nil
}

func (m *memory) WriteOff(_ context.Context, user, id string) (usage.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.ledger[user][id]
	if !ok {
		return usage.Record{}, fault.New(fault.NotFound, "No such record.")
	}
	back, err := admission.WriteOff(r)
	if err != nil {
		return usage.Record{}, err
	}
	if done, ok := m.ledger[user][back.ID]; ok {
		return done, nil
	}
	m.ledger[user][back.ID] = back
	a := m.accounts[user]
	switch pool := m.pools[r.Project]; {
	case a != nil && a.Paid(r.Time) && a.Project == r.Project:
		a.Charge(r.Time, back.Cost)
		return back, nil
	case a != nil && a.Paid(r.Time):
		a.ChargeOwn(r.Time, back.Cost)
		fallthrough
	default:
		if pool != nil {
			pool.Book(admission.Month(r.Time), back.Cost)
		}
	}
	return back, nil
}
