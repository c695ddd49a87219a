// Package requestid makes the ids that name a request in headers, leases,
// ledger records, logs and traces.
package requestid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

const (
	// Len is the length of every id.
	Len = 16

	timeLen  = 7 // base-62 digits of Unix milliseconds: good until the year 2081
	maxMilli = 62*62*62*62*62*62*62 - 1

	tails    = 62 * 62 * (maxMilli + 1) // values of the other nine digits
	maxStep  = 1 << 36                  // between ids of one millisecond: room for 100,000 of them
	late     = 1000                     // milliseconds
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// latest is the id made last.
var latest struct {
	sync.Mutex
	milli, tail uint64
}

// New returns an id that sorts by its time (milliseconds) and cannot be
// guessed: seven characters of time, nine (52 bits) of randomness, all of them
// ASCII letters and digits. Ids that one process makes in one millisecond sort
// in the order in which they were made.
func New(now time.Time) string {
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	random := binary.LittleEndian.Uint64(seed[:])
	milli, tail := uint64(now.UnixMilli()), random%(tails/2) // the other half is for those that follow
	latest.Lock()
	if milli == latest.milli {
		tail = (latest.tail + 1 + random%maxStep) % tails
	}
	if milli >= latest.milli || latest.milli-milli > late { // not by one who took the time a moment ago
		latest.milli, latest.tail = milli, tail
	}
	latest.Unlock()
	var id [Len]byte
	put(id[:timeLen], milli)
	put(id[timeLen:], tail)
	return string(id[:])
}

// Derive returns another id of the same moment as id, always the same for the
// same purpose. It fails as Time does.
func Derive(id, purpose string) (string, error) {
	if _, err := Time(id); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(purpose + "\x00" + id))
	var derived [Len]byte
	copy(derived[:], id[:timeLen])
	put(derived[timeLen:], binary.BigEndian.Uint64(sum[:]))
	return string(derived[:]), nil
}

// Time returns the moment at which id was made, to the millisecond.
func Time(id string) (time.Time, error) {
	if len(id) != Len {
		return time.Time{}, fmt.Errorf("requestid: %q is not %d characters long", id, Len)
	}
	var ms int64
	for i := range Len {
		d := digit(id[i])
		if d < 0 {
			return time.Time{}, fmt.Errorf("requestid: %q has a foreign character", id)
		}
		if i < timeLen {
			ms = ms*62 + int64(d)
		}
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Floor returns the smallest id that can have been made at t; for ranges.
// Before 1970 and after 2081 it is the smallest and the largest there is.
func Floor(t time.Time) string {
	id := [Len]byte{}
	put(id[:timeLen], uint64(min(max(0, t.UnixMilli()), maxMilli)))
	put(id[timeLen:], 0)
	return string(id[:])
}

func put(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = alphabet[v%62]
		v /= 62
	}
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 36
	}
	return -1
}
