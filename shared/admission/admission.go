// Package admission decides whether a request may run, and keeps the accounts
// exact: one conditional write proves the key, takes a slot of the rate limit,
// reserves money and tokens and opens a lease; settling the lease books what
// the request really cost, exactly once.
//
// The rules live here, as pure functions over an Account. Stores run them
// atomically: the embedded one under a lock, DynamoDB as condition expressions
// that say the same (and explain refusals with the same code).
package admission

import (
	"context"
	"iter"
	"time"

	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	// Lifetime is the longest that any request can live: Lambda's limit.
	Lifetime = 900 * time.Second
	// Grace is how much longer than Lifetime a lease is left alone.
	Grace = 60 * time.Second

	// DefaultRate and DefaultBurst hold for users who set nothing else.
	DefaultRate  = 10.0 // requests per second
	DefaultBurst = 10
	// DefaultParallel and MaxParallel bound the open leases of a user; each
	// makes the account's item, and so each write, a little dearer.
	DefaultParallel = 256
	MaxParallel     = 1000
	// MaxKeys bounds the keys of a user, for the same reason.
	MaxKeys = 10

	// NoTokenLimit and NoGap stand for "no limit" among tokens and times.
	NoTokenLimit int64 = 1e15
	NoGap        int64 = 1e12 // µs; wide enough for any clock skew
)

// Ask is a request to be let in.
type Ask struct {
	ID       string // the request id; must be new and unguessable
	User     string
	KeyHash  string // Key.Hash
	Scope    string // what the endpoint needs: "inference" or "admin"
	Model    string // "provider/model" or a public name; "" if no model is called
	Provider string // of Model, for allow-lists such as "openai/*"; "" for public names

	// Reserve and Tokens are held until the request settles. Both are 0 for
	// endpoints that call no model: those take a rate slot and open no lease.
	Reserve usage.Nano
	Tokens  int64
	// Lease says that a model will be called, even if it costs nothing.
	Lease bool
	// Unpriced asks to be refused if the user has any budget.
	Unpriced bool

	Now time.Time // for the rate limit; money and tokens go by the id's time
}

// Lease is an open request: money and tokens held in a user's account.
type Lease struct {
	ID       string
	User     string
	Reserved usage.Nano
	Tokens   int64
	Admitted time.Time // decides the periods that are booked
	Project  string    // of the user, when the lease was read
}

// Grant is what an admitted request may know of its account.
type Grant struct {
	Lease   Lease
	Limits  Remaining
	Project string
	// Models are the allow-lists of the key and of its user; both must allow.
	KeyModels, UserModels []string
	// Budgeted says that the user has a budget, so that prices matter.
	Budgeted bool
	// Expired are leases of the same user whose requests must be dead. The
	// caller settles them when it has time.
	Expired []Lease
	// Writes is the number of store round trips taken.
	Writes int
}

// Remaining feeds the x-ratelimit headers. A Limit of 0 means "none".
type Remaining struct {
	Requests, RequestsLeft int64
	RequestsReset          time.Duration // until the burst is whole again
	Tokens, TokensLeft     int64
	TokensReset            time.Duration // until the minute ends
}

// Store holds accounts. Every method is atomic, idempotent by request id, and
// safe for concurrent use by many processes (the embedded store: by one).
type Store interface {
	// Admit lets a request in or refuses it: fault.Unauthorized, Forbidden,
	// RateLimited (with RetryAfter), Quota, or Unavailable if the store cannot
	// say. With RateLimited the grant holds the limits, and nothing else. Asking twice with one id admits once: while the lease is open the
	// answer stays the same, whatever happened to key and limits. If leases of
	// dead requests are what is in the way, they are settled first.
	Admit(ctx context.Context, a Ask) (Grant, error)
	// TopUp raises what l holds to reserved; what l says it holds may be out of
	// date, and less than it holds changes nothing. It fails with fault.Quota if
	// the budget has no room, and with fault.NotFound if the lease is gone.
	TopUp(ctx context.Context, l Lease, reserved usage.Nano) (Lease, error)
	// Settle writes r to the ledger and then closes the lease, booking r.Cost
	// and r's tokens. If a record with that id exists already, that one is
	// booked and returned. If the ledger cannot be written the lease stays open
	// and the error is returned. Settling a lease that is not open (closed
	// already, never opened, of no user) changes no account, but the record is
	// kept if it is the first: the write that opens the lease may still be on
	// its way, and whoever closes it then finds what to book.
	Settle(ctx context.Context, l Lease, r usage.Record) (usage.Record, error)
	// Expired lists the leases admitted before the given time, of all users.
	Expired(ctx context.Context, before time.Time) iter.Seq2[Lease, error]
}

// Users holds users. A user's id is also the middle part of its keys.
type Users interface {
	// CreateUser fails with fault.Conflict if the id is taken.
	CreateUser(ctx context.Context, u User) (Account, error)
	// User fails with fault.NotFound.
	User(ctx context.Context, id string) (Account, error)
	// ListUsers returns up to limit users with ids above after, in order.
	ListUsers(ctx context.Context, after string, limit int) ([]Account, error)
	// UpdateUser sets the user's settings to u. What is spent and reserved stays
	// so: the amounts left move by the difference of the limits. If the settings
	// changed since seen was read, it fails with fault.Conflict; requests that
	// came and went are no change. It fails with fault.NotFound.
	UpdateUser(ctx context.Context, seen Account, u User) (Account, error)
	// DeleteUser removes the account and its keys; its ledger stays. It fails
	// with fault.Conflict while leases are open, and with fault.NotFound.
	DeleteUser(ctx context.Context, id string) error
}

// Keys holds the keys of users.
type Keys interface {
	// PutKey adds k, or replaces the key with the same hash. It fails with
	// fault.NotFound without the user and with fault.Conflict above MaxKeys
	// live keys. Expired keys make room.
	PutKey(ctx context.Context, user string, k Key) error
	// RevokeKey makes the key with that id useless for every later Admit; it
	// stays listed. It fails with fault.NotFound.
	RevokeKey(ctx context.Context, user, id string) error
	// ListKeys returns the user's keys, oldest first. It fails with
	// fault.NotFound without the user.
	ListKeys(ctx context.Context, user string) ([]Key, error)
}

// Ledger reads settled records.
type Ledger interface {
	// Records yields the user's records admitted in [from, to), oldest first:
	// by the time of their ids, which is in whole milliseconds.
	Records(ctx context.Context, user string, from, to time.Time) iter.Seq2[usage.Record, error]
	// Record returns one record, or fault.NotFound.
	Record(ctx context.Context, user, id string) (usage.Record, error)
}
