package admission

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// User is what an administrator sets. The JSON form is for stores.
type User struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Project string   `json:"project,omitempty"`
	Active  bool     `json:"active"`
	Models  []string `json:"models"` // allow-list: "*", "openai/*", "openai/gpt-4o-mini", public names

	Rate     float64    `json:"rate"`      // requests per second; 0 means no limit
	Burst    int64      `json:"burst"`     // requests at once; at least 1
	Parallel int64      `json:"parallel"`  // open requests; 1 to MaxParallel
	Tokens   int64      `json:"tokens"`    // per minute; NoTokenLimit if none
	Day      usage.Nano `json:"day_usd"`   // budget per UTC day; usage.None if none
	Month    usage.Nano `json:"month_usd"` // budget per UTC month; likewise

	Created time.Time `json:"created"`
}

// Key is a credential of a user, without its secret. The JSON form is for
// stores.
type Key struct {
	ID      string    `json:"id"`   // the first characters of Hash
	Hash    string    `json:"hash"` // base64url of SHA-256 of the secret, 22 characters
	Name    string    `json:"name"`
	Hint    string    `json:"hint"` // the last four characters of the key, for people
	Models  []string  `json:"models"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"` // zero: never
	Revoked bool      `json:"revoked,omitempty"`
}

// Rule is what admission needs of a key.
type Rule struct {
	Expires int64 // Unix seconds; 0 means revoked
	Models  []string
	Scopes  []string
}

// Never is the Rule.Expires of keys that do not expire: round, because a
// number takes space by its digits.
const Never int64 = 1e12

// Account is a user's state as admission sees it: limits as ready comparands
// (DynamoDB's conditions cannot calculate) and what is left of each budget.
type Account struct {
	User
	Keys map[string]Rule // by hash

	TAT, Gate int64 // µs: GCRA's theoretical arrival time, and TAT − (burst−1)·Inc
	Inc, Gap  int64 // µs: between requests, and (burst−2)·Inc

	DayLeft    map[string]usage.Nano // by Day; a missing period is untouched
	MonthLeft  map[string]usage.Nano // by Month
	TokensLeft map[string]int64      // by Minute
	Leases     map[string]usage.Nano // by request id
	Version    int64                 // changes with every UpdateUser

	// What the account may spend of its project's budget: ProjectLeft by Month,
	// and ProjectLimit in months that are not in it. Stores decide what that is:
	// the budget itself, of which all members see one map; or, where accounts are
	// apart, what was granted of it so far, which begins with nothing. Without a
	// budget it is usage.None.
	ProjectLimit usage.Nano
	ProjectLeft  map[string]usage.Nano
	Draws        int64 // the number of the last grant drawn, in stores that number them
}

const (
	monthLayout = "200601"
	dayLayout   = monthLayout + "02"
)

// Day, Month and Minute name the periods of t.
func Day(t time.Time) string { return t.UTC().Format(dayLayout) }

// Month names the budget month of t.
func Month(t time.Time) string { return t.UTC().Format(monthLayout) }

// Minute names the token-limit minute of t.
func Minute(t time.Time) string { return strconv.FormatInt(t.Unix()/60, 10) }

// NewAccount returns the account of a user who has done nothing yet.
func NewAccount(u User) *Account {
	a := &Account{User: u, Keys: map[string]Rule{}, DayLeft: map[string]usage.Nano{}, MonthLeft: map[string]usage.Nano{},
		TokensLeft: map[string]int64{}, Leases: map[string]usage.Nano{}, ProjectLimit: usage.None, ProjectLeft: map[string]usage.Nano{}}
	a.Inc, a.Gap = Pace(u.Rate, u.Burst)
	return a
}

// Pace turns a rate and burst into GCRA's increment and gap.
func Pace(rate float64, burst int64) (inc, gap int64) {
	if rate <= 0 {
		return 0, NoGap
	}
	// Rounded up: never faster than promised. Bounded, so that no product
	// overflows: one request in 11 days is as good as none.
	inc = max(1, int64(math.Ceil(min(1e6/rate, float64(NoGap)))))
	return inc, (min(max(1, burst), 1e6) - 2) * inc
}

// Candidates are the three allow-list entries that would admit the ask's model.
func (a Ask) Candidates() []string {
	family := "*"
	if a.Provider != "" {
		family = a.Provider + "/*"
	}
	return []string{"*", family, a.Model}
}

// AllowedBy says whether an allow-list admits the ask's model.
func (a Ask) AllowedBy(list []string) bool {
	return slices.ContainsFunc(a.Candidates(), func(c string) bool { return slices.Contains(list, c) })
}

// Allows says whether both allow-lists of an admitted request admit a model.
func (g *Grant) Allows(model, provider string) bool {
	a := Ask{Model: model, Provider: provider}
	return a.AllowedBy(g.KeyModels) && a.AllowedBy(g.UserModels)
}

// Period is the moment that decides which day, month and minute are charged:
// the id's, so that whoever finds the lease later books the same periods.
func (a Ask) Period() time.Time {
	if at, err := requestid.Time(a.ID); err == nil {
		return at
	}
	return a.Now
}

// Idle says which of admission's two GCRA variants applies at now.
func (a *Account) Idle(now time.Time) bool { return a.TAT <= now.UnixMicro() }

// Refusal explains why ask is not admitted to a, or returns nil if nothing
// speaks against it. The order of the reasons is part of the contract: who is
// asking, then what for, then how much.
func (a *Account) Refusal(ask Ask) error {
	if err := a.refuseKey(ask); err != nil {
		return err
	}
	if ask.Lease {
		if err := a.refuseLease(ask); err != nil {
			return err
		}
	}
	if now := ask.Now.UnixMicro(); a.TAT > now && a.Gate > now {
		return &fault.Error{Kind: fault.RateLimited, Code: "rate_limit_exceeded",
			Message:    "Rate limit reached: " + rateText(a.Rate, a.Burst) + ".",
			RetryAfter: time.Duration(a.Gate-now) * time.Microsecond}
	}
	return nil
}

func (a *Account) refuseKey(ask Ask) error {
	rule, ok := a.Keys[ask.KeyHash]
	if !a.Active || !ok || rule.Expires <= ask.Now.Unix() {
		return BadKey()
	}
	if !slices.Contains(rule.Scopes, ask.Scope) {
		return &fault.Error{Kind: fault.Forbidden, Code: "missing_scope", Message: "This key lacks the scope '" + ask.Scope + "'."}
	}
	if ask.Model == "" {
		return nil
	}
	if !ask.AllowedBy(rule.Models) || !ask.AllowedBy(a.Models) {
		return &fault.Error{Kind: fault.Forbidden, Param: "model", Code: "model_not_allowed",
			Message: "This key may not use the model '" + ask.Model + "': its list of models, or its user's, has neither of '" +
				strings.Join(slices.Compact(ask.Candidates()), "', '") + "'."}
	}
	return nil
}

func (a *Account) refuseLease(ask Ask) error {
	if ask.Unpriced && a.Budgeted() {
		return &fault.Error{Kind: fault.Forbidden, Param: "model", Code: "unknown_price",
			Message: "No price is known for '" + ask.Model + "', and this user, or its project, has a budget."}
	}
	if int64(len(a.Leases)) >= a.Parallel {
		return &fault.Error{Kind: fault.RateLimited, Code: "rate_limit_exceeded", RetryAfter: time.Second,
			Message: "Too many requests at once: this user may have " + strconv.FormatInt(a.Parallel, 10) + " open."}
	}
	left := a.left(ask.Period())
	if err := left.refuse(ask.Reserve); err != nil {
		return err
	}
	if ask.Tokens > a.Tokens { // it will not fit into any minute
		return &fault.Error{Kind: fault.RateLimited, Code: "rate_limit_exceeded",
			Message: "This request may need " + strconv.FormatInt(ask.Tokens, 10) + " tokens, and this user may use " + strconv.FormatInt(a.Tokens, 10) +
				" per minute."}
	}
	if left.tokens < ask.Tokens {
		end := ask.Now.Truncate(time.Minute).Add(time.Minute)
		return &fault.Error{Kind: fault.RateLimited, Code: "rate_limit_exceeded", RetryAfter: end.Sub(ask.Now),
			Message: "Token limit reached: this user may use " + strconv.FormatInt(a.Tokens, 10) + " tokens per minute; " +
				strconv.FormatInt(max(0, left.tokens), 10) + " are left, and this request may need " + strconv.FormatInt(ask.Tokens, 10) + "."}
	}
	return nil
}

// Budgeted says whether money is limited in this account.
func (a *Account) Budgeted() bool {
	return a.Day < usage.None || a.Month < usage.None || a.ProjectLimit < usage.None
}

// room is what an account has left in the periods of one moment.
type room struct {
	day, month, project usage.Nano
	tokens              int64
}

// left makes no strings: every request asks several times.
func (a *Account) left(t time.Time) room {
	r := room{a.Day, a.Month, a.ProjectLimit, a.Tokens}
	var day, minute [20]byte
	period := t.UTC().AppendFormat(day[:0], dayLayout)
	month := period[:len(monthLayout)]
	if v, ok := a.DayLeft[string(period)]; ok {
		r.day = v
	}
	if v, ok := a.MonthLeft[string(month)]; ok {
		r.month = v
	}
	if v, ok := a.ProjectLeft[string(month)]; ok {
		r.project = v
	}
	if v, ok := a.TokensLeft[string(strconv.AppendInt(minute[:0], t.Unix()/60, 10))]; ok {
		r.tokens = v
	}
	return r
}

func (r room) refuse(money usage.Nano) error {
	switch {
	case r.day < money:
		return overBudget("daily", r.day, money)
	case r.month < money:
		return overBudget("monthly", r.month, money)
	case r.project < money:
		return OverProject(r.project, money)
	}
	return nil
}

// Charge takes money from what is left of the periods of t; a negative amount
// is given back.
func (a *Account) Charge(t time.Time, money usage.Nano) {
	left, month := a.left(t), Month(t)
	a.DayLeft[Day(t)] = left.day - money
	a.MonthLeft[month] = left.month - money
	a.ProjectLeft[month] = left.project - money
}

// ChargeOwn is Charge for money that is not the project's.
func (a *Account) ChargeOwn(t time.Time, money usage.Nano) {
	day, month := a.Left(t)
	a.DayLeft[Day(t)], a.MonthLeft[Month(t)] = day-money, month-money
}

// Left returns what the budgets of t's day and month still allow; at or near
// usage.None where there is no budget.
func (a *Account) Left(t time.Time) (day, month usage.Nano) {
	left := a.left(t)
	return left.day, left.month
}

// Spent returns what the periods of t have cost so far, without open leases.
func (a *Account) Spent(t time.Time) (day, month usage.Nano) {
	left := a.left(t)
	day, month = a.Day-left.day, a.Month-left.month
	for id, held := range a.Leases {
		at, err := requestid.Time(id)
		if err != nil {
			continue
		}
		if Day(at) == Day(t) {
			day -= held
		}
		if Month(at) == Month(t) {
			month -= held
		}
	}
	return day, month
}

// Reserved returns what open leases hold, in all.
func (a *Account) Reserved() usage.Nano {
	var sum usage.Nano
	for _, held := range a.Leases {
		sum += held
	}
	return sum
}

// Held is what open leases hold, by the month that they are charged to.
func (a *Account) Held() map[string]usage.Nano {
	sums := map[string]usage.Nano{}
	for id, held := range a.Leases {
		if at, err := requestid.Time(id); err == nil {
			sums[Month(at)] += held
		}
	}
	return sums
}

// Next returns TAT and Gate as an admission at now leaves them.
func (a *Account) Next(now time.Time) (tat, gate int64) {
	if us := now.UnixMicro(); a.TAT <= us {
		return us + a.Inc, us - a.Gap
	}
	return a.TAT + a.Inc, a.Gate + a.Inc
}

// Admit changes a as an admitted ask does. The caller has made sure that
// Refusal is nil and that no lease with that id is open.
func (a *Account) Admit(ask Ask) {
	a.TAT, a.Gate = a.Next(ask.Now)
	if !ask.Lease {
		return
	}
	at := ask.Period()
	a.TokensLeft[Minute(at)] = a.left(at).tokens - ask.Tokens
	a.Charge(at, ask.Reserve)
	a.Leases[ask.ID] = ask.Reserve
}

// Remaining is what a allows after an admission at now.
func (a *Account) Remaining(now time.Time) Remaining {
	var r Remaining
	if a.Inc > 0 {
		ahead := max(0, a.TAT-now.UnixMicro())
		r.Requests = a.Burst
		r.RequestsLeft = max(0, a.Burst-(ahead+a.Inc-1)/a.Inc)
		r.RequestsReset = time.Duration(ahead) * time.Microsecond
	}
	if a.Tokens < NoTokenLimit {
		r.Tokens, r.TokensLeft = a.Tokens, max(0, a.left(now).tokens)
		r.TokensReset = now.Truncate(time.Minute).Add(time.Minute).Sub(now)
	}
	return r
}

// ExpiredLeases returns the leases in a that must be dead at now, except the
// one called but.
func (a *Account) ExpiredLeases(now time.Time, but string) []Lease {
	var dead []Lease
	for l := range a.LeasesBefore(now.Add(-Lifetime - Grace)) {
		if l.ID != but {
			dead = append(dead, l)
		}
	}
	return dead
}

// LeasesBefore yields the open leases admitted before t, in no order. Accounts
// do not remember how many tokens a lease holds.
func (a *Account) LeasesBefore(t time.Time) iter.Seq[Lease] {
	// Ids sort by time, which spares taking hundreds of young ones apart at
	// each admission.
	end := requestid.Floor(t.Add(time.Millisecond - 1))
	return func(yield func(Lease) bool) {
		for id, held := range a.Leases {
			if id >= end {
				continue
			}
			at, err := requestid.Time(id)
			if err == nil && !yield(Lease{ID: id, User: a.ID, Reserved: held, Admitted: at, Project: a.Project}) {
				return
			}
		}
	}
}

// Refused is what a refusal tells besides its reason: how much is left, to who
// wants too much at once.
func (a *Account) Refused(ask Ask, err error) (g Grant) {
	if errors.Is(err, fault.RateLimited) {
		g.Limits = a.Remaining(ask.Now)
	}
	return g
}

// Grant describes the admission of ask, as a stands after it.
func (a *Account) Grant(ask Ask) Grant {
	g := Grant{Limits: a.Remaining(ask.Now), Project: a.Project, KeyModels: a.Keys[ask.KeyHash].Models, UserModels: a.Models, Budgeted: a.Budgeted()}
	if ask.Lease {
		g.Lease = Lease{ID: ask.ID, User: ask.User, Reserved: a.Leases[ask.ID], Tokens: ask.Tokens, Admitted: ask.Period(), Project: a.Project}
		g.Expired = a.ExpiredLeases(ask.Now, ask.ID)
	}
	return g
}

// BadKey is the one answer to every key that does not open the door.
func BadKey() error {
	return &fault.Error{Kind: fault.Unauthorized, Code: "invalid_api_key",
		Message: "Incorrect API key provided, or one that is expired, revoked or suspended. Send a gateway key as 'Authorization: Bearer gw_…' or 'x-api-key: gw_…'."}
}

// OverProject refuses a request because the project's budget has only left of
// the money that it needs.
func OverProject(left, need usage.Nano) error {
	f := overBudget("project's monthly", left, need)
	f.Err = errProject
	return f
}

// IsOverProject says whether err refuses a request because of its project's
// budget, and of that alone.
func IsOverProject(err error) bool { return errors.Is(err, errProject) }

var errProject = errors.New("the project's budget has no room")

func overBudget(period string, left, need usage.Nano) *fault.Error {
	return &fault.Error{Kind: fault.Quota, Code: "insufficient_quota",
		Message: "The " + period + " budget has $" + max(0, left).USD() + " left; this request needs up to $" + need.USD() + " reserved."}
}

func rateText(rate float64, burst int64) string {
	return strconv.FormatFloat(rate, 'g', -1, 64) + " requests per second, " + strconv.FormatInt(burst, 10) + " at once"
}
