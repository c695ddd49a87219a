package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

// user is a user as it is stored.
type user struct {
	admission.User
	Version int64 `json:"version"`
}

func errNoUser() error { return fault.New(fault.NotFound, "No such user.") }

// get returns the account of a user, locked, or nil.
func (s *Store) get(id string) *account {
	s.world.RLock()
	a := s.accounts[id]
	s.world.RUnlock()
	if a == nil {
		return nil
	}
	a.lock()
	if a.gone {
		a.unlock()
		return nil
	}
	return a
}

// CreateUser implements admission.Users.
func (s *Store) CreateUser(_ context.Context, u admission.User) (admission.Account, error) {
	if !admission.ValidUserID(u.ID) {
		return admission.Account{}, fault.Field("id", "A user's id has 1 to 64 letters, digits, '.', '_', '@' or '-', and begins with a letter or digit.")
	}
	a := &account{Account: *admission.NewAccount(u)}
	s.rosters.Lock()
	defer s.rosters.Unlock()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(usersBucket).Get([]byte(u.ID)) != nil {
			return fault.New(fault.Conflict, "The user %q exists already.", u.ID)
		}
		if err := s.makeProject(tx, u.Project); err != nil {
			return err
		}
		return put(tx, usersBucket, []byte(u.ID), user{User: u})
	})
	if err != nil {
		return admission.Account{}, ours(err)
	}
	a.mu.Lock()
	s.join(a)
	created := a.Clone()
	a.unlock()
	s.world.Lock()
	defer s.world.Unlock()
	s.accounts[u.ID] = a
	return created, nil
}

// ours lets faults through and hides everything else behind one.
func ours(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return unavailable(err)
}

// User implements admission.Users.
func (s *Store) User(_ context.Context, id string) (admission.Account, error) {
	a := s.get(id)
	if a == nil {
		return admission.Account{}, errNoUser()
	}
	defer a.unlock()
	return a.Clone(), nil
}

// ListUsers implements admission.Users.
func (s *Store) ListUsers(_ context.Context, after string, limit int) ([]admission.Account, error) {
	var ids []string
	err := s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(usersBucket).Cursor()
		for k, _ := c.Seek([]byte(after)); k != nil && len(ids) < limit; k, _ = c.Next() {
			if string(k) > after {
				ids = append(ids, string(k))
			}
		}
		return nil
	})
	var page []admission.Account
	for _, id := range ids {
		if a := s.get(id); a != nil { // not deleted meanwhile
			page = append(page, a.Clone())
			a.unlock()
		}
	}
	return page, unavailable(err)
}

// UpdateUser implements admission.Users.
func (s *Store) UpdateUser(_ context.Context, seen admission.Account, u admission.User) (admission.Account, error) {
	moves := seen.Project != u.Project
	if moves { // before the account's lock, as everywhere
		s.saving.Lock()
		defer s.saving.Unlock()
		s.rosters.Lock()
		defer s.rosters.Unlock()
	}
	a := s.get(seen.ID)
	if a == nil {
		return admission.Account{}, errNoUser()
	}
	defer a.unlock()
	if u.ID != a.ID {
		return admission.Account{}, fault.Field("id", "A user's id cannot be changed.")
	}
	if a.Version != seen.Version {
		return admission.Account{}, fault.New(fault.Conflict, "The user %q was changed meanwhile; read it again.", u.ID)
	}
	moves = a.Project != u.Project
	if moves {
		// What is settled so far is the old project's to pay.
		if err := s.saveLocked(); err != nil {
			return admission.Account{}, unavailable(err)
		}
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if moves {
			if err := s.makeProject(tx, u.Project); err != nil {
				return err
			}
		}
		return put(tx, usersBucket, []byte(u.ID), user{User: u, Version: a.Version + 1})
	})
	if err != nil {
		return admission.Account{}, unavailable(err)
	}
	a.Set(u)
	if moves {
		a.leave()
		s.join(a)
	}
	return a.Clone(), nil
}

// DeleteUser implements admission.Users.
func (s *Store) DeleteUser(_ context.Context, id string) error {
	s.saving.Lock() // before the account's lock, as everywhere
	defer s.saving.Unlock()
	s.rosters.Lock()
	defer s.rosters.Unlock()
	a := s.get(id)
	if a == nil {
		return errNoUser()
	}
	err := s.delete(a)
	a.unlock()
	if err != nil {
		return err
	}
	s.world.Lock()
	defer s.world.Unlock()
	if s.accounts[id] == a { // else another was created under the same id
		delete(s.accounts, id)
	}
	return nil
}

// delete needs s.saving and a.mu.
func (s *Store) delete(a *account) error {
	if n := len(a.Leases); n > 0 {
		return fault.New(fault.Conflict, "The user %q has %d open requests.", a.ID, n)
	}
	// Nothing of what this user spent may be booked on a later one of that id.
	if err := s.saveLocked(); err != nil {
		return unavailable(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(keysBucket).Cursor()
		prefix := ledgerKey(a.ID, "")
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		if err := tx.Bucket(totalsBucket).Delete([]byte(a.ID)); err != nil {
			return err
		}
		return tx.Bucket(usersBucket).Delete([]byte(a.ID))
	})
	if err != nil {
		return unavailable(err)
	}
	a.gone = true
	a.leave()
	return nil
}

// PutKey implements admission.Keys.
func (s *Store) PutKey(_ context.Context, user string, k admission.Key) error {
	return s.changeKeys(user, func(tx *bbolt.Tx, keys []admission.Key, now time.Time) error {
		live := 0
		for _, other := range keys {
			if other.Hash != k.Hash && other.Live(now) {
				live++
			}
		}
		if live >= admission.MaxKeys {
			return fault.New(fault.Conflict, "The user %q has %d keys already; revoke one first.", user, live)
		}
		return put(tx, keysBucket, ledgerKey(user, k.Hash), k)
	})
}

// RevokeKey implements admission.Keys.
func (s *Store) RevokeKey(_ context.Context, user, id string) error {
	return s.changeKeys(user, func(tx *bbolt.Tx, keys []admission.Key, _ time.Time) error {
		for _, k := range keys {
			if k.ID == id {
				k.Revoked = true
				return put(tx, keysBucket, ledgerKey(user, k.Hash), k)
			}
		}
		return fault.New(fault.NotFound, "The user %q has no key %q.", user, id)
	})
}

// changeKeys runs change in a transaction. After it the account knows the keys
// that live.
func (s *Store) changeKeys(id string, change func(tx *bbolt.Tx, keys []admission.Key, now time.Time) error) error {
	a := s.get(id)
	if a == nil {
		return errNoUser()
	}
	defer a.unlock()
	now := time.Now()
	var after []admission.Key
	err := s.db.Update(func(tx *bbolt.Tx) error {
		keys, err := readKeys(tx, id)
		if err != nil {
			return err
		}
		if err := change(tx, keys, now); err != nil {
			return err
		}
		after, err = readKeys(tx, id)
		return err
	})
	if err != nil {
		return ours(err)
	}
	a.setKeys(after, now)
	return nil
}

func (a *account) setKeys(keys []admission.Key, now time.Time) {
	rules := map[string]admission.Rule{} // a new map: clones share the old one's values
	for _, k := range keys {
		if k.Live(now) {
			rules[k.Hash] = k.Rule()
		}
	}
	a.Keys = rules
}

func readKeys(tx *bbolt.Tx, user string) ([]admission.Key, error) {
	var keys []admission.Key
	prefix := ledgerKey(user, "")
	c := tx.Bucket(keysBucket).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		var key admission.Key
		if err := json.Unmarshal(v, &key); err != nil {
			return nil, fmt.Errorf("key %q: %w", k, err)
		}
		keys = append(keys, key)
	}
	admission.SortKeys(keys)
	return keys, nil
}

// ListKeys implements admission.Keys.
func (s *Store) ListKeys(_ context.Context, user string) ([]admission.Key, error) {
	a := s.get(user)
	if a == nil {
		return nil, errNoUser()
	}
	defer a.unlock()
	var keys []admission.Key
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		keys, err = readKeys(tx, user)
		return err
	})
	return keys, unavailable(err)
}
