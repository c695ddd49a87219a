package admission

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"math/big"
	"strings"
)

const (
	// KeyPrefix begins every key, so that scanners and people recognise one.
	KeyPrefix = "gw_"

	randomLen = 24
	proofLen  = 8
	secretLen = randomLen + proofLen
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// ValidUserID says whether id may name a user: a letter or digit, then up to 63
// of those and of the characters '.', '_', '@' and '-'.
func ValidUserID(id string) bool {
	for i := range len(id) {
		if c := id[i]; !strings.Contains(base62, id[i:i+1]) && (i == 0 || c != '.' && c != '_' && c != '@' && c != '-') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// NewKey makes a key for user: gw_<user>_<secret>. The secret is 24 random
// characters and 8 that prove, to those who know pepper, that we made it: so
// invented keys are refused without asking the store, and nobody can make a
// stranger's account pay for a flood of them.
func NewKey(pepper []byte, user string) (key, hash string) {
	var random [randomLen]byte
	for i := range random {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		random[i] = base62[n.Int64()]
	}
	secret := string(random[:]) + proof(pepper, user, string(random[:]))
	return KeyPrefix + user + "_" + secret, hashSecret(secret)
}

// ParseKey takes a key apart and checks its proof. It fails with BadKey.
func ParseKey(pepper []byte, key string) (user, hash string, err error) {
	rest, ok := strings.CutPrefix(key, KeyPrefix)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i < 1 || len(rest)-i-1 != secretLen || i > 64 {
		return "", "", BadKey()
	}
	user, secret := rest[:i], rest[i+1:]
	want := proof(pepper, user, secret[:randomLen])
	if subtle.ConstantTimeCompare([]byte(want), []byte(secret[randomLen:])) != 1 {
		return "", "", BadKey()
	}
	return user, hashSecret(secret), nil
}

// KeyID is the part of a key's hash that serves as its public id.
func KeyID(hash string) string { return hash[:12] }

func proof(pepper []byte, user, random string) string {
	mac := hmac.New(sha256.New, pepper)
	mac.Write([]byte(user))
	mac.Write([]byte{0}) // no user contains it: "ab"+"c" and "a"+"bc" differ
	mac.Write([]byte(random))
	sum := mac.Sum(nil)
	var out [proofLen]byte
	for i := range out {
		out[i] = base62[int(sum[i])%len(base62)]
	}
	return string(out[:])
}

// hashSecret keeps 132 bits of SHA-256: the secret itself has 142, so a plain
// hash cannot be searched, and short names keep the account's item small.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}
