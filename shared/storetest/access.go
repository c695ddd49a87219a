package storetest

import (
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

var keyCases = []testCase{
	{"of an unknown user is refused", func(s *suite) {
		p := s.newPerson(nil)
		a := p.ask(noon(), 1)
		a.User = "nobody-" + requestid.New(time.Now())
		p.refused(a, fault.Unauthorized)
	}},
	{"that is unknown is refused", func(s *suite) {
		p := s.newPerson(nil)
		a := p.ask(noon(), 1)
		a.KeyHash = newKey(p.ID).Hash
		p.refused(a, fault.Unauthorized)
		a = p.touch(noon())
		a.KeyHash = newKey(p.ID).Hash
		p.refused(a, fault.Unauthorized)
	}},
	{"of another user is refused", func(s *suite) {
		p, q := s.newPerson(nil), s.newPerson(nil)
		a := p.ask(noon(), 1)
		a.KeyHash = q.key.Hash
		p.refused(a, fault.Unauthorized)
	}},
	{"is refused from the second in which it expires", func(s *suite) {
		p := s.newPerson(nil)
		p.key = newKey(p.ID)
		p.key.Expires = noon()
		p.put(p.key)
		p.admit(p.ask(noon().Add(-time.Second), 1))
		p.refused(p.ask(noon(), 1), fault.Unauthorized)
		p.refused(p.touch(noon().Add(time.Hour)), fault.Unauthorized)
	}},
	{"that is revoked is refused at once, others stay", func(s *suite) {
		p := s.newPerson(nil)
		gone := newKey(p.ID)
		p.put(gone)
		a := p.ask(noon(), 1)
		a.KeyHash = gone.Hash
		p.admit(a)
		if err := p.Keys.RevokeKey(p.Context(), p.ID, gone.ID); err != nil {
			p.Fatalf("RevokeKey = %v", err)
		}
		a.ID = requestid.New(noon())
		p.refused(a, fault.Unauthorized)
		p.admit(p.ask(noon(), 1))
	}},
	{"of an inactive user is refused until the user is active again", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Active = false })
		p.refused(p.ask(noon(), 1), fault.Unauthorized)
		p.refused(p.touch(noon()), fault.Unauthorized)
		p.set(func(u *admission.User) { u.Active = true })
		p.admit(p.ask(noon(), 1))
	}},
	{"without the scope is forbidden", func(s *suite) {
		p := s.newPerson(nil)
		a := p.touch(noon())
		a.Scope = "admin"
		if f := p.refused(a, fault.Forbidden); f.Code != "missing_scope" {
			p.Errorf("code = %q, want missing_scope", f.Code)
		}
		p.key.Scopes = []string{"inference", "admin"}
		p.put(p.key) // replaces
		p.admit(a)
	}},
	{"may use the models of its list and of its user's", func(s *suite) { models(s) }},
	{"refusals cost no rate slot and hold nothing", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Rate, u.Burst, u.Models = 1, 2, []string{"m"} })
		for range 5 {
			p.refused(p.ask(noon(), 1), fault.Forbidden)
		}
		p.wantMoney(noon(), 0, 0, 0)
		p.admit(p.touch(noon()))
		p.admit(p.touch(noon()))
		p.refused(p.touch(noon()), fault.RateLimited)
	}},
	{"grant names project, allow-lists and lease", func(s *suite) {
		p := s.newPerson(func(u *admission.User) { u.Models, u.Project = []string{"openai/*", "fast"}, "proj" })
		a := p.ask(noon().Add(7*time.Millisecond), 5)
		a.Tokens = 9
		g := p.admit(a)
		if g.Writes < 1 {
			p.Errorf("Writes = %d, want at least 1", g.Writes)
		}
		g.Writes = 0
		wantEqual(p.T, "Grant", g, admission.Grant{Project: "proj", KeyModels: []string{"*"}, UserModels: []string{"openai/*", "fast"},
			Lease: admission.Lease{ID: a.ID, User: p.ID, Reserved: 5, Tokens: 9, Admitted: noon().Add(7 * time.Millisecond), Project: "proj"}})
	}},
}

func models(s *suite) {
	for _, tc := range []struct {
		name            string
		user, key       []string
		model, provider string
		want            bool
	}{
		{"everything", []string{"*"}, []string{"*"}, "openai/gpt-4o-mini", "openai", true},
		{"a family", []string{"openai/*"}, []string{"*"}, "openai/gpt-4o-mini", "openai", true},
		{"another family", []string{"anthropic/*"}, []string{"*"}, "openai/gpt-4o-mini", "openai", false},
		{"the exact name", []string{"*"}, []string{"x", "openai/gpt-4o-mini"}, "openai/gpt-4o-mini", "openai", true},
		{"a longer name", []string{"*"}, []string{"openai/gpt-4o"}, "openai/gpt-4o-mini", "openai", false},
		{"a shorter name", []string{"*"}, []string{"openai/gpt-4o-mini"}, "openai/gpt-4o", "openai", false},
		{"the user alone allows", []string{"*"}, []string{"anthropic/*"}, "openai/gpt-4o-mini", "openai", false},
		{"the key alone allows", []string{"anthropic/*"}, []string{"*"}, "openai/gpt-4o-mini", "openai", false},
		{"both allow in different words", []string{"openai/gpt-4o-mini"}, []string{"openai/*"}, "openai/gpt-4o-mini", "openai", true},
		{"a public name", []string{"fast"}, []string{"*"}, "fast", "", true},
		{"a public name is in no family", []string{"openai/*"}, []string{"*"}, "fast", "", false},
		{"an empty list of the key", []string{"*"}, nil, "openai/gpt-4o-mini", "openai", false},
		{"an empty list of the user", nil, []string{"*"}, "openai/gpt-4o-mini", "openai", false},
		{"no model asked for", nil, nil, "", "", true},
	} {
		s.Run(tc.name, func(t *testing.T) {
			p := (&suite{s.Stores, t}).newPerson(func(u *admission.User) { u.Models = tc.user })
			p.key.Models = tc.key
			p.put(p.key)
			a := p.ask(noon(), 0)
			a.Model, a.Provider = tc.model, tc.provider
			if tc.want {
				p.admit(a)
				return
			}
			f := p.refused(a, fault.Forbidden)
			if f.Param != "model" || f.Code != "model_not_allowed" {
				t.Errorf("param, code = %q, %q, want model, model_not_allowed", f.Param, f.Code)
			}
		})
	}
}

var keysCases = []testCase{
	{"are listed oldest first and replaced by hash", func(s *suite) {
		p := s.newPerson(nil)
		older, newer := newKey(p.ID), newKey(p.ID)
		older.Created, newer.Created = p.key.Created.Add(-time.Hour), p.key.Created.Add(time.Hour)
		newer.Expires = noon()
		p.put(newer)
		p.put(older)
		older.Name, older.Scopes = "renamed", []string{"admin", "inference"}
		p.put(older)
		p.wantKeys(older, p.key, newer)
	}},
	{"stay listed when revoked", func(s *suite) {
		p := s.newPerson(nil)
		for range 2 { // revoking twice is no error
			if err := p.Keys.RevokeKey(p.Context(), p.ID, p.key.ID); err != nil {
				p.Fatalf("RevokeKey = %v", err)
			}
		}
		p.key.Revoked = true
		p.wantKeys(p.key)
	}},
	{"unknown user or key is not found", func(s *suite) {
		p := s.newPerson(nil)
		ctx, nobody := p.Context(), "nobody-"+requestid.New(time.Now())
		wantKind(p.T, "PutKey", p.Keys.PutKey(ctx, nobody, newKey(nobody)), fault.NotFound)
		_, err := p.Keys.ListKeys(ctx, nobody)
		wantKind(p.T, "ListKeys", err, fault.NotFound)
		wantKind(p.T, "RevokeKey", p.Keys.RevokeKey(ctx, nobody, p.key.ID), fault.NotFound)
		wantKind(p.T, "RevokeKey", p.Keys.RevokeKey(ctx, p.ID, newKey(p.ID).ID), fault.NotFound)
		p.wantKeys(p.key)
	}},
	{"are at most MaxKeys live ones", func(s *suite) {
		p := s.newPerson(nil)
		var last admission.Key
		for range admission.MaxKeys - 1 {
			last = newKey(p.ID)
			p.put(last)
		}
		extra := newKey(p.ID)
		wantKind(p.T, "PutKey", p.Keys.PutKey(p.Context(), p.ID, extra), fault.Conflict)
		a := p.ask(noon(), 1)
		a.KeyHash = extra.Hash
		p.refused(a, fault.Unauthorized)

		last.Name = "replaced"
		p.put(last) // replacing needs no room
		if err := p.Keys.RevokeKey(p.Context(), p.ID, last.ID); err != nil {
			p.Fatalf("RevokeKey = %v", err)
		}
		p.put(extra)
		p.admit(a)
		wantKind(p.T, "PutKey", p.Keys.PutKey(p.Context(), p.ID, newKey(p.ID)), fault.Conflict)
	}},
	{"that expired make room", func(s *suite) {
		p := s.newPerson(nil)
		for range admission.MaxKeys - 1 {
			k := newKey(p.ID)
			k.Expires = time.Now().Add(-time.Minute)
			p.put(k)
		}
		for range admission.MaxKeys - 1 {
			p.put(newKey(p.ID))
		}
		wantKind(p.T, "PutKey", p.Keys.PutKey(p.Context(), p.ID, newKey(p.ID)), fault.Conflict)
		p.admit(p.ask(noon(), 1))
	}},
}

func (p *person) wantKeys(want ...admission.Key) {
	p.Helper()
	got, err := p.Keys.ListKeys(p.Context(), p.ID)
	if err != nil {
		p.Fatalf("ListKeys = %v", err)
	}
	wantEqual(p.T, "ListKeys", got, want)
}
