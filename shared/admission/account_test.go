package admission_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// start is when the tests below happen: a quarter of an hour before midnight
// of a month's last day.
var start = time.Date(2026, 11, 30, 23, 45, 0, 0, time.UTC)

func newAccount(change func(u *admission.User)) *admission.Account {
	u := admission.User{ID: "u", Active: true, Models: []string{"*"}, Burst: 1, Parallel: 10, Tokens: admission.NoTokenLimit,
		Day: usage.None, Month: usage.None}
	change(&u)
	a := admission.NewAccount(u)
	a.Keys["key"] = admission.Rule{Expires: admission.Never, Models: []string{"*"}, Scopes: []string{"inference"}}
	return a
}

func newAsk(at time.Time, reserve usage.Nano, tokens int64) admission.Ask {
	return admission.Ask{ID: requestid.New(at), User: "u", KeyHash: "key", Scope: "inference", Model: "m", Reserve: reserve,
		Tokens: tokens, Lease: true, Now: at}
}

// bucket is GCRA as textbooks have it: one time, no variants.
type bucket struct{ tat, inc, burst int64 }

func (b *bucket) take(now int64) (ok bool, wait int64) {
	tat := max(b.tat, now)
	if wait := tat - (b.burst-1)*b.inc - now; wait > 0 {
		return false, wait
	}
	b.tat = tat + b.inc
	return true, 0
}

func TestRateAgreesWithTextbook(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		rate, burst := math.Pow(10, r.Float64()*5-1), 1+r.Int64N(20) // 0.1 to 10,000 a second
		a := newAccount(func(u *admission.User) { u.Rate, u.Burst = rate, burst })
		ref := bucket{inc: a.Inc, burst: burst}
		now := start
		var admitted []time.Time
		for range 400 {
			// Bursts, steady floods and rests, about as long as the rate cares for.
			now = now.Add(time.Duration(r.Int64N(3)*r.Int64N(1+2*a.Inc)) * time.Microsecond)
			if r.IntN(50) == 0 {
				now = now.Add(time.Duration(a.Inc*burst) * time.Microsecond)
			}
			ask := admission.Ask{KeyHash: "key", Scope: "inference", Now: now}
			ok, wait := ref.take(now.UnixMicro())
			err := a.Refusal(ask)
			if (err == nil) != ok {
				t.Fatalf("seed %d, %v after start: Refusal = %v, the textbook admits: %v", seed, now.Sub(start), err, ok)
			}
			if err != nil {
				if got := fault.As(err).RetryAfter.Microseconds(); got != wait || got <= 0 {
					t.Fatalf("seed %d: RetryAfter = %d µs, want %d", seed, got, wait)
				}
				continue
			}
			a.Admit(ask)
			if a.TAT != ref.tat || a.Gate != a.TAT-(burst-1)*a.Inc {
				t.Fatalf("seed %d: TAT, Gate = %d, %d, want %d, %d", seed, a.TAT, a.Gate, ref.tat, ref.tat-(burst-1)*a.Inc)
			}
			if left := a.Remaining(now).RequestsLeft; left < 0 || left >= burst {
				t.Fatalf("seed %d: RequestsLeft = %d right after an admission of burst %d", seed, left, burst)
			}
			admitted = append(admitted, now)
		}
		wantBounded(t, admitted, rate, burst)
	}
}

// wantBounded checks every window that begins and ends with an admission.
func wantBounded(t *testing.T, admitted []time.Time, rate float64, burst int64) {
	t.Helper()
	for i := range admitted {
		for j := i; j < len(admitted); j++ {
			window := admitted[j].Sub(admitted[i]).Seconds()
			if n := float64(j - i + 1); n > rate*window+float64(burst)+1e-6 {
				t.Fatalf("%v requests in %v s at rate %v, burst %d", n, window, rate, burst)
			}
		}
	}
}

func TestRemainingIsWhatIsAdmitted(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		a := newAccount(func(u *admission.User) { u.Rate, u.Burst = 1+9*r.Float64(), 1+r.Int64N(9) })
		now := start
		for range 1 + r.IntN(30) {
			if ask := (admission.Ask{KeyHash: "key", Scope: "inference", Now: now}); a.Refusal(ask) == nil {
				a.Admit(ask)
			}
			now = now.Add(time.Duration(r.Int64N(300)) * time.Millisecond)
		}
		said := a.Remaining(now)
		var got int64
		for ask := (admission.Ask{KeyHash: "key", Scope: "inference", Now: now}); got <= a.Burst && a.Refusal(ask) == nil; got++ {
			a.Admit(ask)
		}
		if got != said.RequestsLeft {
			t.Fatalf("seed %d: RequestsLeft = %d, admitted %d", seed, said.RequestsLeft, got)
		}
		if full := a.Remaining(now.Add(a.Remaining(now).RequestsReset)); full.RequestsLeft != a.Burst {
			t.Fatalf("seed %d: RequestsLeft = %d after RequestsReset, want the burst %d", seed, full.RequestsLeft, a.Burst)
		}
	}
}

func TestPace(t *testing.T) {
	for _, tc := range []struct {
		rate     float64
		burst    int64
		inc, gap int64
	}{
		{10, 10, 100_000, 800_000},
		{10, 1, 100_000, -100_000},
		{10, 0, 100_000, -100_000}, // as burst 1
		{3, 2, 333_334, 0},         // rounded up: never faster than 3 a second
		{0.5, 3, 2_000_000, 2_000_000},
		{1e6, 5, 1, 3},
		{1e9, 5, 1, 3}, // finer than a microsecond cannot be told
		{0, 10, 0, admission.NoGap},
		{-1, 10, 0, admission.NoGap},
	} {
		if inc, gap := admission.Pace(tc.rate, tc.burst); inc != tc.inc || gap != tc.gap {
			t.Errorf("Pace(%v, %d) = %d, %d, want %d, %d", tc.rate, tc.burst, inc, gap, tc.inc, tc.gap)
		}
	}
	for _, rate := range []float64{1e-9, 1e-300, math.SmallestNonzeroFloat64} {
		if inc, gap := admission.Pace(rate, math.MaxInt64); inc != admission.NoGap || gap != (1e6-2)*admission.NoGap {
			t.Errorf("Pace(%v, …) = %d, %d: overflows", rate, inc, gap)
		}
	}
}

// TestBudgetsHold runs random requests through an account, and keeps books of
// its own.
func TestBudgetsHold(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := newAccount(func(u *admission.User) { u.Day, u.Month, u.Tokens, u.Parallel = 1000, 1500, 600, 6 })
		type request struct {
			lease    admission.Lease
			held     usage.Nano
			admitted time.Time
		}
		open := map[string]*request{}
		spent := map[string]usage.Nano{} // by day and month
		tokens := map[string]int64{}     // by minute: held and used
		overdraft := map[string]bool{}   // periods in which a request cost more than it held
		held := func(period func(time.Time) string, p string) (sum usage.Nano) {
			for _, o := range open {
				if period(o.admitted) == p {
					sum += o.held
				}
			}
			return sum
		}
		now := start
		for range 300 {
			now = now.Add(time.Duration(r.Int64N(12_000)) * time.Millisecond)
			day, month, minute := admission.Day(now), admission.Month(now), admission.Minute(now)
			switch r.IntN(3) {
			case 0, 1:
				ask := newAsk(now, usage.Nano(r.Int64N(300)), r.Int64N(200))
				room := int64(len(open)) < 6 && spent[day]+held(admission.Day, day)+ask.Reserve <= 1000 &&
					spent[month]+held(admission.Month, month)+ask.Reserve <= 1500 && tokens[minute]+ask.Tokens <= 600
				err := a.Refusal(ask)
				if (err == nil) != room {
					t.Fatalf("seed %d: Refusal(%d n$, %d tokens) = %v, want room: %v", seed, ask.Reserve, ask.Tokens, err, room)
				}
				if err != nil {
					continue
				}
				a.Admit(ask)
				open[ask.ID] = &request{lease: a.Grant(ask).Lease, held: ask.Reserve, admitted: now}
				tokens[minute] += ask.Tokens
			case 2:
				for id, o := range open { // any one
					d, m := admission.Day(o.admitted), admission.Month(o.admitted)
					if r.IntN(2) == 0 {
						to := o.held + usage.Nano(r.Int64N(200)) - 50
						more := max(0, to-o.held)
						room := more == 0 || spent[d]+held(admission.Day, d)+more <= 1000 && spent[m]+held(admission.Month, m)+more <= 1500
						_, err := a.TopUp(o.lease, to)
						if (err == nil) != room || err != nil && !errors.Is(err, fault.Quota) {
							t.Fatalf("seed %d: TopUp from %d to %d = %v, want room: %v", seed, o.held, to, err, room)
						}
						if err == nil {
							o.held += more
						}
						break
					}
					cost, used := usage.Nano(r.Int64N(int64(o.held)+20)), r.Int64N(200)
					if !a.Settle(o.lease, cost, used) || a.Settle(o.lease, cost, used) {
						t.Fatalf("seed %d: Settle must close an open lease, once", seed)
					}
					delete(open, id)
					spent[d] += cost
					spent[m] += cost
					tokens[admission.Minute(o.admitted)] += used - o.lease.Tokens
					if cost > o.held {
						overdraft[d], overdraft[m] = true, true
					}
					break
				}
			}
			gotDay, gotMonth := a.Spent(now)
			if gotDay != spent[day] || gotMonth != spent[month] {
				t.Fatalf("seed %d: Spent = %d, %d, want %d, %d", seed, gotDay, gotMonth, spent[day], spent[month])
			}
			if got, want := a.Reserved(), held(func(time.Time) string { return "" }, ""); got != want {
				t.Fatalf("seed %d: Reserved = %d, want %d", seed, got, want)
			}
			leftDay, leftMonth := a.Left(now)
			if leftDay < 0 && !overdraft[day] || leftMonth < 0 && !overdraft[month] {
				t.Fatalf("seed %d: left = %d, %d although no request cost more than it held", seed, leftDay, leftMonth)
			}
			if r.IntN(20) == 0 {
				a.Prune(now)
			}
		}
	}
}

func TestRefusalsComeInOrder(t *testing.T) {
	a := newAccount(func(u *admission.User) {
		u.Rate, u.Burst, u.Parallel, u.Day, u.Month, u.Tokens = 1, 1, 1, 10, 10, 10
	})
	a.Keys["key"] = admission.Rule{Expires: start.Unix() + 5, Models: []string{"m"}, Scopes: []string{"inference"}}
	a.Admit(newAsk(start, 5, 5))
	// Everything is wrong with this; what is repaired below shows what is next.
	ask := newAsk(start.Add(5*time.Second-4500*time.Millisecond), 6, 6)
	ask.KeyHash, ask.Scope, ask.Model, ask.Unpriced = "", "admin", "other", true
	for _, step := range []struct {
		want   fault.Kind
		param  string
		repair func()
	}{
		{fault.Unauthorized, "", func() { ask.KeyHash = "key" }},
		{fault.Forbidden, "", func() { ask.Scope = "inference" }},
		{fault.Forbidden, "model", func() { ask.Model = "m" }},
		{fault.Forbidden, "model", func() { ask.Unpriced = false }},
		{fault.RateLimited, "", func() { a.Parallel = 2 }},
		{fault.Quota, "", func() { a.DayLeft[admission.Day(start)] = 6 }},
		{fault.Quota, "", func() { a.MonthLeft[admission.Month(start)] = 6 }},
		{fault.RateLimited, "", func() { a.TokensLeft[admission.Minute(start)] = 6 }},
		{fault.RateLimited, "", func() { ask.Now = start.Add(time.Second) }},
	} {
		err := a.Refusal(ask)
		if f := fault.As(err); err == nil || f.Kind != step.want || f.Param != step.param {
			t.Fatalf("Refusal = %v, want kind %q, param %q", err, step.want, step.param)
		}
		step.repair()
	}
	if err := a.Refusal(ask); err != nil {
		t.Errorf("Refusal = %v after all was repaired", err)
	}
}

func TestTokenLimitWaitsForTheMinute(t *testing.T) {
	a := newAccount(func(u *admission.User) { u.Tokens = 10 })
	a.Admit(newAsk(start, 0, 10))
	now := start.Add(1500 * time.Millisecond)
	err := a.Refusal(newAsk(now, 0, 1))
	if got := fault.As(err).RetryAfter; got != 58500*time.Millisecond {
		t.Errorf("RetryAfter = %v, want 58.5s", got)
	}
	if r := a.Remaining(now); r.TokensReset != 58500*time.Millisecond || r.TokensLeft != 0 || r.Tokens != 10 {
		t.Errorf("Remaining = %+v, want 0 of 10 tokens for 58.5s", r)
	}
}

func TestPruneKeepsWhatLeasesCanName(t *testing.T) {
	a := newAccount(func(u *admission.User) { u.Day, u.Month, u.Tokens = 100, 100, 100 })
	now := start.AddDate(0, 0, 2).Add(5 * time.Minute) // 2 December, 23:50
	for _, ago := range []time.Duration{0, admission.Lifetime + admission.Grace, time.Hour, 24 * time.Hour, 48 * time.Hour, 40 * 24 * time.Hour} {
		a.Admit(newAsk(now.Add(-ago), 1, 1))
	}
	a.Prune(now)
	for _, ago := range []time.Duration{0, admission.Lifetime + admission.Grace} {
		if _, ok := a.TokensLeft[admission.Minute(now.Add(-ago))]; !ok {
			t.Errorf("the minute %v ago was pruned", ago)
		}
	}
	if d, m, min := len(a.DayLeft), len(a.MonthLeft), len(a.TokensLeft); d != 2 || m != 2 || min != 2 {
		t.Errorf("days, months, minutes = %d, %d, %d, want 2 each", d, m, min)
	}
	// January's last month is the year's before.
	a = newAccount(func(u *admission.User) { u.Month = 100 })
	for _, m := range []string{"202610", "202611", "202612", "202701"} {
		a.MonthLeft[m] = 1
	}
	a.Prune(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
	if len(a.MonthLeft) != 2 || a.MonthLeft["202612"] != 1 || a.MonthLeft["202701"] != 1 {
		t.Errorf("months in January = %v, want December and January", a.MonthLeft)
	}
	// A lease older than that still closes, and brings nothing back.
	old := admission.Lease{ID: requestid.New(start.AddDate(0, -3, 0))}
	a.Leases[old.ID] = 5
	if !a.Settle(old, 3, 0) || len(a.MonthLeft) != 2 || len(a.DayLeft) != 0 {
		t.Errorf("after settling a very old lease: days %v, months %v", a.DayLeft, a.MonthLeft)
	}
}

func TestExpiredLeases(t *testing.T) {
	a := newAccount(func(u *admission.User) {})
	young, edge, dead, asking := requestid.New(start), requestid.New(start.Add(-admission.Lifetime-admission.Grace)),
		requestid.New(start.Add(-admission.Lifetime-admission.Grace-time.Millisecond)), requestid.New(start.Add(-time.Hour))
	for _, id := range []string{young, edge, dead, asking, "foreign"} {
		a.Leases[id] = 7
	}
	got := a.ExpiredLeases(start, asking)
	if len(got) != 1 || got[0].ID != dead || got[0].User != "u" || got[0].Reserved != 7 {
		t.Errorf("ExpiredLeases = %+v, want %s only", got, dead)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := newAccount(func(u *admission.User) { u.Day, u.Tokens = 100, 100 })
	a.Admit(newAsk(start, 10, 10))
	c := a.Clone()
	ask := newAsk(start, 20, 20)
	a.Admit(ask)
	a.Keys["other"] = admission.Rule{}
	if day, _ := c.Left(start); day != 90 || len(c.Leases) != 1 || len(c.Keys) != 1 || c.Remaining(start).TokensLeft != 90 {
		t.Errorf("a clone changed with its original: %+v", c)
	}
}
