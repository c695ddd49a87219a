package dynamo_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// meter adds up the write units that a client's successful writes consume.
type meter struct {
	mu    sync.Mutex
	units float64
	calls int
}

func (m *meter) take() (units float64, calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	units, calls = m.units, m.calls
	m.units, m.calls = 0, 0
	return units, calls
}

// client returns a client whose writes m counts.
func (m *meter) client(t testing.TB) *dynamodb.Client {
	o := dynamotest.Client(t).Options()
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.handle), middleware.Before)
	})
	return dynamodb.New(o)
}

func (m *meter) handle(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch p := in.Parameters.(type) {
	case *dynamodb.UpdateItemInput:
		p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *dynamodb.PutItemInput:
		p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *dynamodb.TransactWriteItemsInput:
		p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	}
	out, meta, err := next.HandleInitialize(ctx, in)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if err != nil {
		return out, meta, err
	}
	switch p := out.Result.(type) {
	case *dynamodb.UpdateItemOutput:
		m.units += *p.ConsumedCapacity.CapacityUnits
	case *dynamodb.PutItemOutput:
		m.units += *p.ConsumedCapacity.CapacityUnits
	case *dynamodb.TransactWriteItemsOutput:
		for _, c := range p.ConsumedCapacity {
			m.units += *c.CapacityUnits
		}
	}
	return out, meta, err
}

// newUser creates a user as they are in practice, with two keys, and returns
// an ask of theirs.
func newUser(t testing.TB, s *dynamo.Store, limit func(u *admission.User)) func(at time.Time) admission.Ask {
	t.Helper()
	u := admission.User{
		ID: "ada-" + requestid.New(time.Now()), Name: "Ada Lovelace", Project: "proj_tutor", Active: true,
		Models: []string{"openai/*", "anthropic/*", "fast"}, Rate: 10, Burst: 10, Parallel: admission.DefaultParallel,
		Tokens: 200_000, Day: 20 * usage.Dollar, Month: 200 * usage.Dollar, Created: time.Now().UTC(),
	}
	if limit != nil {
		limit(&u)
	}
	if _, err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatalf("CreateUser = %v", err)
	}
	var hash string
	for range 2 {
		_, hash = admission.NewKey([]byte("pepper"), u.ID)
		k := admission.Key{ID: admission.KeyID(hash), Hash: hash, Name: "laptop", Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now()}
		if err := s.PutKey(t.Context(), u.ID, k); err != nil {
			t.Fatalf("PutKey = %v", err)
		}
	}
	return func(at time.Time) admission.Ask {
		return admission.Ask{ID: requestid.New(at), User: u.ID, KeyHash: hash, Scope: "inference", Lease: true,
			Model: "openai/gpt-4o-mini", Provider: "openai", Reserve: 2_462_550, Tokens: 4100, Now: at}
	}
}

// realistic is the record of an ordinary streamed chat request.
func realistic(l admission.Lease) usage.Record {
	return usage.Record{ID: l.ID, Time: l.Admitted, User: l.User, Key: "3q2-7wEjRVYx", Project: "proj_tutor", Tags: []string{"team-a", "homework"},
		ClientID: "0191f3a1-8a44-7c62-a5d5-0f3c2c1b9d1e", Operation: "chat", Stream: true, Asked: "openai/gpt-4o-mini", Provider: "openai",
		Model: "gpt-4o-mini-2024-07-18", Status: 200, Finish: "stop", Attempts: 1, InputTokens: 1234, CachedTokens: 1024, OutputTokens: 567,
		Cost: 448_500, Reserved: l.Reserved, TTFT: 412 * time.Millisecond, Duration: 8 * time.Second, Overhead: 3 * time.Millisecond}
}

// A write costs a unit per KB of the item, and the item grows with its open
// leases: that is what max_parallel bounds.
func TestWriteUnitsPerRequest(t *testing.T) {
	state, ledger := newTables(t)
	var m meter
	s := open(m.client(t), state, ledger)
	// Neither the rate nor the tokens of a minute are to stop this test.
	ask := newUser(t, s, func(u *admission.User) { u.Rate, u.Tokens = 1000, admission.NoTokenLimit })
	now := time.Now().Truncate(24 * time.Hour).Add(36 * time.Hour)

	open := 0
	for _, c := range []struct {
		leases int
		most   float64 // units of a whole request: admission, record, settlement
	}{
		{1, 3}, {30, 4}, {100, 8}, {admission.DefaultParallel, 16},
	} {
		for ; open < c.leases-1; open++ {
			now = now.Add(50 * time.Millisecond)
			if _, err := s.Admit(t.Context(), ask(now)); err != nil {
				t.Fatalf("Admit = %v", err)
			}
		}
		now = now.Add(50 * time.Millisecond)
		m.take()
		g, err := s.Admit(t.Context(), ask(now))
		if err != nil {
			t.Fatalf("Admit = %v", err)
		}
		admit, admitCalls := m.take()
		r := realistic(g.Lease)
		if _, err := s.Settle(t.Context(), g.Lease, r); err != nil {
			t.Fatalf("Settle = %v", err)
		}
		settle, settleCalls := m.take()
		t.Logf("%3d open leases: admission %v units in %d write(s), record and settlement %v in %d", c.leases, admit, admitCalls, settle, settleCalls)
		if got := admit + settle; got > c.most {
			t.Errorf("%d open leases: %v write units per request, want at most %v", c.leases, got, c.most)
		}
		if admitCalls != 1 || settleCalls != 2 {
			t.Errorf("%d open leases: %d + %d writes, want 1 + 2", c.leases, admitCalls, settleCalls)
		}
	}
}

// Somebody who is busy all day leaves a minute's entry per minute. If nobody
// took them away, each write would become dearer.
func TestItemDoesNotGrowWithTime(t *testing.T) {
	state, ledger := newTables(t)
	var m meter
	s := open(m.client(t), state, ledger)
	ask := newUser(t, s, nil)
	user := ask(time.Now()).User
	for i := range 40 {
		at := time.Now().Add(time.Duration(i) * 26 * time.Hour)
		g, err := s.Admit(t.Context(), ask(at))
		if err != nil {
			t.Fatalf("Admit = %v", err)
		}
		if _, err := s.Settle(t.Context(), g.Lease, realistic(g.Lease)); err != nil {
			t.Fatalf("Settle = %v", err)
		}
	}
	a, err := s.User(t.Context(), user)
	if err != nil {
		t.Fatalf("User = %v", err)
	}
	if len(a.DayLeft) > 3 || len(a.MonthLeft) > 3 || len(a.TokensLeft) > 4 {
		t.Errorf("periods kept: %d days, %d months, %d minutes, want at most 3, 3, 4", len(a.DayLeft), len(a.MonthLeft), len(a.TokensLeft))
	}
	if len(a.DayLeft) < 1 || len(a.MonthLeft) < 1 {
		t.Errorf("periods kept: %v, %v, want the present ones at least", a.DayLeft, a.MonthLeft)
	}
}

// Requests that crash leave periods behind that no settlement prunes. Too many
// of them must not make a change of limits impossible.
func TestLimitsChangeAmongManyStalePeriods(t *testing.T) {
	state, ledger := newTables(t)
	s := open(dynamotest.Client(t), state, ledger)
	ask := newUser(t, s, nil)
	now := time.Now()
	var leases []admission.Lease
	for i := range 150 {
		g, err := s.Admit(t.Context(), ask(now.Add(-time.Duration(150-i)*26*time.Hour)))
		if err != nil {
			t.Fatalf("Admit = %v", err)
		}
		leases = append(leases, g.Lease)
	}
	g, err := s.Admit(t.Context(), ask(now))
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	seen, err := s.User(t.Context(), g.Lease.User)
	if err != nil {
		t.Fatalf("User = %v", err)
	}
	u := seen.User
	u.Day, u.Month = 30*usage.Dollar, usage.None
	a, err := s.UpdateUser(t.Context(), seen, u)
	if err != nil {
		t.Fatalf("UpdateUser = %v", err)
	}
	if day, _ := a.Left(now); day != u.Day-g.Lease.Reserved {
		t.Errorf("left of the day = %d, want %d", day, u.Day-g.Lease.Reserved)
	}
	for _, l := range append(leases, g.Lease) {
		if _, err := s.Settle(t.Context(), l, l.Unsettled()); err != nil {
			t.Fatalf("Settle of a lease whose period is pruned = %v", err)
		}
	}
	if a, err = s.User(t.Context(), u.ID); err != nil || len(a.Leases) != 0 {
		t.Errorf("User = %d leases, %v, want none open", len(a.Leases), err)
	}
	if day, _ := a.Spent(now); day != g.Lease.Reserved {
		t.Errorf("spent today = %d, want %d", day, g.Lease.Reserved)
	}
}

// More users than one page, and than one batch, holds.
func TestManyUsers(t *testing.T) {
	state, ledger := newTables(t)
	s := open(dynamotest.Client(t), state, ledger)
	const users = 205
	at := time.Now().Add(-time.Hour)
	for i := range users {
		u := admission.User{ID: fmt.Sprintf("u%03d", i), Active: true, Burst: 1, Parallel: 1, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None}
		if _, err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatalf("CreateUser = %v", err)
		}
		if i%100 != 99 && i != users-1 {
			continue
		}
		_, hash := admission.NewKey(nil, u.ID)
		if err := s.PutKey(t.Context(), u.ID, admission.Key{ID: admission.KeyID(hash), Hash: hash, Scopes: []string{"inference"}}); err != nil {
			t.Fatalf("PutKey = %v", err)
		}
		if _, err := s.Admit(t.Context(), admission.Ask{ID: requestid.New(at), User: u.ID, KeyHash: hash, Scope: "inference", Lease: true, Reserve: 7, Now: at}); err != nil {
			t.Fatalf("Admit = %v", err)
		}
	}
	for limit, want := range map[int]int{0: 0, 1: 1, 100: 100, 101: 101, 200: 200, users: users, 1000: users} {
		all, err := s.ListUsers(t.Context(), "", limit)
		if err != nil || len(all) != want {
			t.Errorf("ListUsers(%d) = %d users, %v, want %d", limit, len(all), err, want)
		}
		for i, a := range all {
			if id := fmt.Sprintf("u%03d", i); a.ID != id {
				t.Fatalf("ListUsers(%d)[%d] = %s, want %s", limit, i, a.ID, id)
			}
		}
	}
	var found []string
	for l, err := range s.Expired(t.Context(), at.Add(time.Millisecond)) {
		if err != nil {
			t.Fatalf("Expired = %v", err)
		}
		found = append(found, l.User)
	}
	if want := []string{"u099", "u199", "u204"}; !slices.Equal(found, want) {
		t.Errorf("Expired = leases of %v, want %v", found, want)
	}
	for range s.Expired(t.Context(), at.Add(time.Millisecond)) {
		break // whoever stops early is left alone
	}
	for l := range s.Expired(t.Context(), at.Truncate(time.Millisecond)) {
		t.Errorf("Expired = %+v, want none so early", l)
	}
}

func TestTripsPerAdmission(t *testing.T) {
	state, ledger := newTables(t)
	client := dynamotest.Client(t)
	warm := open(client, state, ledger)
	ask := newUser(t, warm, nil)
	now := time.Now().Truncate(24 * time.Hour).Add(36 * time.Hour)
	admit := func(s *dynamo.Store, at time.Time, want int, when string) {
		t.Helper()
		g, err := s.Admit(t.Context(), ask(at))
		if err != nil {
			t.Fatalf("%s: Admit = %v", when, err)
		}
		if g.Writes != want {
			t.Errorf("%s: Writes = %d, want %d", when, g.Writes, want)
		}
	}
	admit(warm, now, 1, "a user at rest")
	admit(warm, now, 1, "a busy user, seen before")
	cold := open(client, state, ledger)
	admit(cold, now, 2, "a busy user, seen by another instance only")
	admit(cold, now, 1, "and again")
	admit(warm, now.Add(time.Second), 1, "at rest again")
	admit(cold, now.Add(time.Second), 2, "busy again, and this instance takes them to be at rest")
	admit(cold, now.Add(time.Hour), 1, "at rest for everybody")
}

// Who passes on what the last top-up returned, and not the lease as it was
// admitted, needs one write for each.
func TestTripsPerTopUp(t *testing.T) {
	state, ledger := newTables(t)
	var m meter
	s := open(m.client(t), state, ledger)
	g, err := s.Admit(t.Context(), newUser(t, s, nil)(time.Now()))
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	raise := func(l admission.Lease, by usage.Nano, want int) admission.Lease {
		t.Helper()
		m.take()
		l, err := s.TopUp(t.Context(), l, l.Reserved+by)
		if err != nil {
			t.Fatalf("TopUp = %v", err)
		}
		if _, calls := m.take(); calls != want {
			t.Errorf("TopUp = %d writes, want %d", calls, want)
		}
		return l
	}
	l := raise(g.Lease, 1000, 1)
	l = raise(l, 1000, 1)
	raise(g.Lease, l.Reserved-g.Lease.Reserved+1000, 2) // it still says what was held at first
}

func TestRacersNeedThreeTripsAtMost(t *testing.T) {
	state, ledger := newTables(t)
	client := dynamotest.Client(t)
	ask := newUser(t, open(client, state, ledger), nil)
	now := time.Now().Truncate(24 * time.Hour).Add(36 * time.Hour)
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		trips  = map[int]int{}
		failed int
	)
	for range 64 {
		cold := open(client, state, ledger)
		wg.Go(func() {
			g, err := cold.Admit(t.Context(), ask(now))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				return
			}
			trips[g.Writes]++
		})
	}
	wg.Wait()
	t.Logf("64 cold instances at one instant: trips of the winners %v", trips)
	if failed != 54 {
		t.Errorf("%d of 64 refused, want all but the burst of 10", failed)
	}
	for n := range trips {
		if n > 3 {
			t.Errorf("an admission took %d writes, want 3 at most", n)
		}
	}
}
