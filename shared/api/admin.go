package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

// Admin serves everything under /admin/.
func (s *Server) Admin() http.Handler {
	proved := func(h handler) handler {
		return func(v *visit) (err error) {
			c, err := s.authorizeAdmin(v)
			defer func() { s.note(v, c, err) }()
			if err != nil {
				return err
			}
			return h(v)
		}
	}
	own := func(h handler) handler {
		return proved(func(v *visit) error {
			if err := v.query(); err != nil {
				return err
			}
			return h(v)
		})
	}
	mux := s.paths(map[string]methods{
		"/admin/users":                        {"GET": takes(own(s.listUsers), "limit", "after"), "POST": own(s.createUser)},
		"/admin/users/{id}":                   {"GET": own(s.getUser), "PATCH": own(s.patchUser), "DELETE": own(s.deleteUser)},
		"/admin/users/{id}/keys":              {"GET": own(s.listKeys), "POST": own(s.createKey)},
		"/admin/users/{id}/keys/{kid}":        {"DELETE": own(s.revokeKey)},
		"/admin/users/{id}/keys/{kid}/rotate": {"POST": own(s.rotateKey)},
		"/admin/projects":                     {"GET": takes(own(s.listProjects), "limit", "after"), "POST": own(s.createProject)},
		"/admin/projects/{id}":                {"GET": own(s.getProject), "PATCH": own(s.patchProject), "DELETE": own(s.deleteProject)},
		"/admin/ledger":                       {"GET": takes(own(s.listLedger), "user", "from", "to", "unsettled", "limit", "after")},
		"/admin/ledger/{id}/write-off":        {"POST": own(s.writeOff)},
	})
	mux.Handle("/admin/", s.endpoint("GET POST PATCH DELETE", proved(func(v *visit) error {
		return fault.New(fault.NotFound, "There is nothing at %s.", v.r.URL.Path)
	})))
	return mux
}

// authorizeAdmin takes GATEWAY_ADMIN_KEY, or a gateway key with the scope
// "admin". With neither it is as shut as any other door: 401.
func (s *Server) authorizeAdmin(v *visit) (*gateway.Call, error) {
	given := key(v.r.Header)
	want, err := s.AdminKey(v.r.Context())
	nobody := &gateway.Call{Start: v.start}
	nobody.Record.ID, nobody.Record.ClientID, nobody.Record.Operation = v.id, v.clientID, "admin"
	if err != nil {
		return nobody, fault.Wrap(fault.Unavailable, err, "Keys cannot be checked at the moment.")
	}
	if want != "" && sameSecret(given, want) {
		return nobody, nil
	}
	c, err := s.begin(v, "admin")
	if err != nil {
		return c, err
	}
	if err := s.Gateway.Touch(v.r.Context(), c, "admin"); err != nil {
		return c, err
	}
	limits(v.Header(), c.Grant.Limits)
	return c, nil
}

// sameSecret compares hashes, so that neither content nor length shows in the
// time it takes.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (s *Server) createUser(v *visit) error {
	var b userBody
	if err := v.decode(&b); err != nil {
		return err
	}
	u, err := b.newUser(time.Now())
	if err != nil {
		return err
	}
	a, err := s.Users.CreateUser(v.r.Context(), u)
	if err != nil {
		return err
	}
	return v.json(http.StatusCreated, showUser(a, time.Now()))
}

func (s *Server) listUsers(v *visit) error {
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	list, err := s.Users.ListUsers(v.r.Context(), after(v), limit+1)
	if err != nil {
		return err
	}
	now := time.Now()
	show := func(a admission.Account) userObject { return showUser(a, now) }
	return v.list(page(list, limit, show, func(o userObject) string { return o.ID }))
}

func (s *Server) getUser(v *visit) error {
	a, err := s.Users.User(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showUser(a, time.Now()))
}

// patchUser changes what the body names, on top of others' changes.
func (s *Server) patchUser(v *visit) error {
	var b userBody
	if err := v.decode(&b); err != nil {
		return err
	}
	return retryConflict(func() error {
		seen, err := s.Users.User(v.r.Context(), v.r.PathValue("id"))
		if err != nil {
			return err
		}
		u, err := b.patch(seen.User)
		if err != nil {
			return err
		}
		if n := len(seen.Leases); n > 0 && u.Project != seen.Project {
			return &fault.Error{Kind: fault.Conflict, Param: "project", Code: "open_requests", Message: fmt.Sprintf("The user '%s' has %d open requests, which its present project pays. "+
				"Change the project when they have ended; suspend the user if there is always one.", u.ID, n)}
		}
		a, err := s.Users.UpdateUser(v.r.Context(), seen, u)
		if err != nil {
			return err
		}
		return v.json(http.StatusOK, showUser(a, time.Now()))
	})
}

// deleteUser deletes a user and what they have stored. Where the latter failed,
// deleting the user again, who is not there any more, deletes the rest.
func (s *Server) deleteUser(v *visit) error {
	id := v.r.PathValue("id")
	deleted := s.Users.DeleteUser(v.r.Context(), id)
	if deleted != nil && (!errors.Is(deleted, fault.NotFound) || !admission.ValidUserID(id)) {
		return deleted
	}
	if err := s.forget(v.r.Context(), id); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The user is deleted, but not all that it has stored; delete it again.")
	}
	if deleted != nil {
		return deleted
	}
	return v.json(http.StatusOK, map[string]any{"object": "user.deleted", "id": id, "deleted": true})
}

func (s *Server) createKey(v *visit) error {
	var b keyBody
	if err := v.decode(&b); err != nil {
		return err
	}
	k, err := b.newKey(time.Now())
	if err != nil {
		return err
	}
	return s.issue(v, k)
}

// issue makes a secret for k, stores its hash and shows the key, this once.
func (s *Server) issue(v *visit, k admission.Key) error {
	user := v.r.PathValue("id")
	if !admission.ValidUserID(user) {
		return fault.New(fault.NotFound, "There is no user '%s'.", user)
	}
	pepper, err := s.Gateway.Pepper(v.r.Context())
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "Keys cannot be made at the moment.")
	}
	secret, hash := admission.NewKey([]byte(pepper), user)
	k.Hash, k.ID, k.Hint = hash, admission.KeyID(hash), secret[len(secret)-4:]
	if err := s.Keys.PutKey(v.r.Context(), user, k); err != nil {
		return err
	}
	o := showKey(k, time.Now())
	o.Key = secret
	return v.json(http.StatusCreated, o)
}

func (s *Server) listKeys(v *visit) error {
	keys, err := s.Keys.ListKeys(v.r.Context(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	data := []keyObject{}
	for _, k := range keys {
		data = append(data, showKey(k, time.Now()))
	}
	return v.list(data, "")
}

func (s *Server) revokeKey(v *visit) error {
	kid := v.r.PathValue("kid")
	if err := s.Keys.RevokeKey(v.r.Context(), v.r.PathValue("id"), kid); err != nil {
		return err
	}
	return v.json(http.StatusOK, map[string]any{"object": "key.revoked", "id": kid, "revoked": true})
}

// rotateKey revokes a key and issues its successor with the same rights. The
// old one goes first: if the second write fails there is one key too few,
// never one too many.
func (s *Server) rotateKey(v *visit) error {
	user, kid := v.r.PathValue("id"), v.r.PathValue("kid")
	keys, err := s.Keys.ListKeys(v.r.Context(), user)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID != kid || !k.Live(time.Now()) {
			continue
		}
		if err := s.Keys.RevokeKey(v.r.Context(), user, kid); err != nil {
			return err
		}
		k.Created = time.Now().UTC()
		return s.issue(v, k)
	}
	return fault.New(fault.NotFound, "User '%s' has no live key '%s'.", user, kid)
}
