// Package requestid makes the ids that name a request in headers, leases,
// ledger records, logs and traces.
package requestid

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// Len is the length of every id.
	Len = 16

	timeLen  = 7 // base-62 digits of Unix milliseconds: good until the year 2081
	maxMilli = 62*62*62*62*62*62*62 - 1
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// New returns an id that sorts by its time (milliseconds) and cannot be
// guessed: seven characters of time, nine (53 bits) of randomness, all of them
// ASCII letters and digits.
func New(now time.Time) string {
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	var id [Len]byte
	put(id[:timeLen], uint64(now.UnixMilli()))
	put(id[timeLen:], binary.LittleEndian.Uint64(seed[:]))
	return string(id[:])
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
