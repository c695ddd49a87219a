package admission

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Period is the moment that decides which day, month and minute are booked:
// the id's, like Ask.Period.
func (l Lease) Period() time.Time {
	if at, err := requestid.Time(l.ID); err == nil {
		return at
	}
	return l.Admitted
}

// Unsettled is the record of a request that never came to its end, whoever
// finds that out: it is charged what it reserved.
func (l Lease) Unsettled() usage.Record {
	return usage.Record{ID: l.ID, Time: l.Period(), User: l.User, Project: l.Project, Operation: "unknown", Error: string(fault.Internal), Cost: l.Reserved, Reserved: l.Reserved, Unsettled: true}
}

// TopUp raises what a holds for l to reserved; a smaller amount changes
// nothing. It fails as Store.TopUp does, and then changes nothing either.
func (a *Account) TopUp(l Lease, reserved usage.Nano) (Lease, error) {
	held, ok := a.Leases[l.ID]
	if !ok {
		return Lease{}, fault.New(fault.NotFound, "The request %s is not open.", l.ID)
	}
	l.Reserved = max(held, reserved)
	if reserved <= held {
		return l, nil
	}
	at, more := l.Period(), reserved-held
	if err := a.left(at).refuse(more); err != nil {
		return Lease{}, err
	}
	a.Charge(at, more)
	a.Leases[l.ID] = reserved
	return l, nil
}

// Settle closes l in a and books cost and tokens in the periods in which the
// request was admitted. It returns false, and changes nothing, if the lease is
// not open. What the lease holds counts, not what l remembers of it.
func (a *Account) Settle(l Lease, cost usage.Nano, tokens int64) bool {
	held, ok := a.Leases[l.ID]
	if !ok {
		return false
	}
	delete(a.Leases, l.ID)
	at := l.Period()
	a.Return(at, held-cost)
	if _, ok := a.TokensLeft[Minute(at)]; ok {
		a.TokensLeft[Minute(at)] += l.Tokens - tokens
	}
	return true
}

// Return gives money back to the periods of t. One that was pruned is over:
// nobody asks for what was left of it.
func (a *Account) Return(t time.Time, money usage.Nano) {
	day, month := Day(t), Month(t)
	if _, ok := a.DayLeft[day]; ok {
		a.DayLeft[day] += money
	}
	if _, ok := a.MonthLeft[month]; ok {
		a.MonthLeft[month] += money
	}
	if _, ok := a.ProjectLeft[month]; ok {
		a.ProjectLeft[month] += money
	}
}

// Tokens is what r counts for against a token limit: what all attempts took.
func Tokens(r usage.Record) int64 {
	if len(r.Tried) == 0 {
		return r.InputTokens + r.OutputTokens
	}
	var n int64
	for _, a := range r.Tried {
		n += a.InputTokens + a.OutputTokens
	}
	return n
}

// Prune forgets the periods that no live lease can name at now: minutes older
// than a lease can be, days before yesterday, months before the last.
func (a *Account) Prune(now time.Time) {
	minute := Minute(now.Add(-Lifetime - Grace - 4*time.Minute))
	day := Day(now.AddDate(0, 0, -1))
	month := Month(time.Date(now.UTC().Year(), now.UTC().Month()-1, 1, 0, 0, 0, 0, time.UTC))
	maps.DeleteFunc(a.TokensLeft, func(p string, _ int64) bool { return older(p, minute) })
	maps.DeleteFunc(a.DayLeft, func(p string, _ usage.Nano) bool { return older(p, day) })
	maps.DeleteFunc(a.MonthLeft, func(p string, _ usage.Nano) bool { return older(p, month) })
	maps.DeleteFunc(a.ProjectLeft, func(p string, _ usage.Nano) bool { return older(p, month) })
}

func older(period, than string) bool {
	return len(period) < len(than) || len(period) == len(than) && period < than
}

// Set changes what an administrator sets. What is spent and reserved stays so:
// the amounts left move by the difference of the limits.
func (a *Account) Set(u User) {
	for p := range a.DayLeft {
		a.DayLeft[p] += u.Day - a.Day
	}
	for p := range a.MonthLeft {
		a.MonthLeft[p] += u.Month - a.Month
	}
	for p := range a.TokensLeft {
		a.TokensLeft[p] += u.Tokens - a.Tokens
	}
	a.User = u
	a.Inc, a.Gap = Pace(u.Rate, u.Burst)
	a.Gate = a.TAT - a.Gap - a.Inc
	a.Version++
}

// Clone returns a copy that shares nothing that changes.
func (a *Account) Clone() Account {
	c := *a
	c.Keys, c.Leases = maps.Clone(a.Keys), maps.Clone(a.Leases)
	c.DayLeft, c.MonthLeft, c.TokensLeft = maps.Clone(a.DayLeft), maps.Clone(a.MonthLeft), maps.Clone(a.TokensLeft)
	c.ProjectLeft = maps.Clone(a.ProjectLeft)
	return c
}

// Rule is what admission needs of k.
func (k Key) Rule() Rule {
	r := Rule{Expires: Never, Models: k.Models, Scopes: k.Scopes}
	switch {
	case k.Revoked:
		r.Expires = 0
	case !k.Expires.IsZero():
		r.Expires = k.Expires.Unix()
	}
	return r
}

// Live says whether k opens the door at now.
func (k Key) Live(now time.Time) bool { return k.Rule().Expires > now.Unix() }

// SortKeys puts keys in the order of Keys.ListKeys.
func SortKeys(keys []Key) {
	slices.SortFunc(keys, func(x, y Key) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
}
