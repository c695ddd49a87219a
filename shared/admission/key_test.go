package admission_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
)

var pepper = []byte("a pepper of the tests")

func TestKeysTellTheirUser(t *testing.T) {
	for _, user := range []string{"a", "alice", "a_b_c", "x_", "alice@example.com", "A.b-9", strings.Repeat("u", 64)} {
		key, hash := admission.NewKey(pepper, user)
		gotUser, gotHash, err := admission.ParseKey(pepper, key)
		if gotUser != user || gotHash != hash || err != nil {
			t.Errorf("ParseKey(%q) = %q, %q, %v, want %q, %q", key, gotUser, gotHash, err, user, hash)
		}
		if len(hash) != 22 || strings.Contains(hash, key[len(key)-32:]) {
			t.Errorf("hash = %q, want 22 characters that are not the secret", hash)
		}
	}
}

func TestKeysAreRefused(t *testing.T) {
	key, _ := admission.NewKey(pepper, "alice")
	secret := key[len("gw_alice_"):]
	other, _ := admission.NewKey([]byte("another pepper"), "alice")
	long, _ := admission.NewKey(pepper, strings.Repeat("u", 65))
	nobody, _ := admission.NewKey(pepper, "")
	for name, bad := range map[string]string{
		"empty":                    "",
		"the prefix":               "gw_",
		"no secret":                "gw_alice",
		"an empty secret":          "gw_alice_",
		"invented":                 "gw_alice_" + strings.Repeat("A", 32),
		"another user's":           "gw_bob_" + secret,
		"part of the name moved":   "gw_alic_e" + secret,
		"another gateway's":        other,
		"no prefix":                key[3:],
		"another prefix":           "sk_" + key[3:],
		"upper case":               strings.ToUpper(key),
		"cut":                      key[:len(key)-1],
		"longer":                   key + "A",
		"with a space":             key + " ",
		"a name that is too long":  long,
		"no name":                  nobody,
		"a name between two users": "gw_alice_x_" + secret,
		"not ASCII":                "gw_alicé_" + secret,
	} {
		if user, hash, err := admission.ParseKey(pepper, bad); !errors.Is(err, fault.Unauthorized) || user != "" || hash != "" {
			t.Errorf("%s: ParseKey(%q) = %q, %q, %v, want Unauthorized", name, bad, user, hash, err)
		}
	}
	// Every character of a secret matters.
	for i := range secret {
		b := []byte(key)
		b[len(b)-32+i] ^= 1
		if _, _, err := admission.ParseKey(pepper, string(b)); err == nil {
			t.Errorf("ParseKey accepts a key whose secret differs in character %d", i)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key, hash := admission.NewKey(pepper, "u")
		if seen[key] || seen[hash] || seen[admission.KeyID(hash)] {
			t.Fatalf("key %q, hash %q: seen before", key, hash)
		}
		seen[key], seen[hash], seen[admission.KeyID(hash)] = true, true, true
	}
}

func FuzzParseKey(f *testing.F) {
	const key = "gw_a_b_P8oVcEiK9bCmfZGdxVHfRrORykeLHB20" // the same in every fuzzing process
	for _, s := range []string{key, "", "gw_", "gw__", "gw_a_" + strings.Repeat("_", 32), "gw_" + strings.Repeat("x", 99), key[:20], "gw_\x00_" + key} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, hash, err := admission.ParseKey(pepper, s)
		switch {
		case err != nil && (user != "" || hash != "" || !errors.Is(err, fault.Unauthorized)):
			t.Errorf("ParseKey(%q) = %q, %q, %v", s, user, hash, err)
		case err == nil && (s != key || user != "a_b"):
			t.Errorf("ParseKey(%q) accepts what nobody made", s)
		}
	})
}

func TestValidUserID(t *testing.T) {
	for _, id := range []string{"a", "9", "alice@example.com", "A.b_c-d", strings.Repeat("u", 64)} {
		if !admission.ValidUserID(id) {
			t.Errorf("ValidUserID(%q) = false", id)
		}
	}
	for _, id := range []string{"", "_a", ".a", "-a", "@a", "a b", "a/b", "a\n", "é", "a\x00b", strings.Repeat("u", 65)} {
		if admission.ValidUserID(id) {
			t.Errorf("ValidUserID(%q) = true", id)
		}
	}
}

func TestRuleOfKey(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name    string
		key     admission.Key
		expires int64
		live    bool
	}{
		{"no expiry", admission.Key{}, admission.Never, true},
		{"expires later", admission.Key{Expires: now.Add(time.Second)}, now.Unix() + 1, true},
		{"expires now", admission.Key{Expires: now}, now.Unix(), false},
		{"revoked", admission.Key{Revoked: true}, 0, false},
		{"revoked before it expired", admission.Key{Revoked: true, Expires: now.Add(time.Hour)}, 0, false},
	} {
		if r := tc.key.Rule(); r.Expires != tc.expires || tc.key.Live(now) != tc.live {
			t.Errorf("%s: Rule().Expires, Live = %d, %v, want %d, %v", tc.name, r.Expires, tc.key.Live(now), tc.expires, tc.live)
		}
	}
}
