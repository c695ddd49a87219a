package dynamo_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

func TestRacingKeysNeverExceedTheirNumber(t *testing.T) {
	state, ledger := newTables(t)
	s := open(dynamotest.Client(t), state, ledger)
	user := newUser(t, s, nil)(time.Now()).User // has two keys
	const racers = 16
	var (
		wg    sync.WaitGroup
		added atomic.Int64
	)
	for range racers {
		wg.Go(func() {
			_, hash := admission.NewKey(nil, user)
			err := s.PutKey(t.Context(), user, admission.Key{ID: admission.KeyID(hash), Hash: hash})
			switch {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, fault.Conflict):
				t.Errorf("PutKey = %v, want nil or conflict", err)
			}
		})
	}
	wg.Wait()
	if got, want := added.Load(), int64(admission.MaxKeys-2); got != want {
		t.Errorf("%d of %d keys added, want %d", got, racers, want)
	}
	keys, err := s.ListKeys(t.Context(), user)
	if err != nil || len(keys) != admission.MaxKeys {
		t.Errorf("ListKeys = %d keys, %v, want %d: refused ones leave nothing behind", len(keys), err, admission.MaxKeys)
	}
	a, err := s.User(t.Context(), user)
	if err != nil || len(a.Keys) != admission.MaxKeys {
		t.Errorf("User = %d rules, %v, want %d", len(a.Keys), err, admission.MaxKeys)
	}
}

// Whatever comes and goes while limits change, what was spent stays so to the
// nano-dollar. Midnights pass meanwhile, so that periods begin and are pruned.
func TestLimitsChangeExactlyUnderLoad(t *testing.T) {
	state, ledger := newTables(t)
	s := open(dynamotest.Client(t), state, ledger)
	ask := newUser(t, s, func(u *admission.User) { u.Rate, u.Tokens = 0, 1e9 })
	start := time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour - time.Minute)
	user := ask(start).User
	var (
		wg   sync.WaitGroup
		tick atomic.Int64
		done atomic.Bool
	)
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				at := start.Add(time.Duration(tick.Add(1)) * 3 * time.Second) // soon the next minute, and day
				g, err := s.Admit(t.Context(), ask(at))
				if err != nil {
					t.Errorf("Admit = %v", err)
					return
				}
				if _, err := s.Settle(t.Context(), g.Lease, realistic(g.Lease)); err != nil {
					t.Errorf("Settle = %v", err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	defer done.Store(true)
	for i := range 25 {
		seen, err := s.User(t.Context(), user)
		if err != nil {
			t.Fatalf("User = %v", err)
		}
		u := seen.User
		u.Day, u.Month, u.Tokens = usage.Nano(10+i)*usage.Dollar, usage.Nano(200-i)*usage.Dollar, u.Tokens+int64(i)
		if _, err := s.UpdateUser(t.Context(), seen, u); err != nil {
			t.Errorf("UpdateUser = %v", err)
		}
	}
	done.Store(true)
	wg.Wait()
	last := start.Add(time.Duration(tick.Load()) * 3 * time.Second)

	spent, tokens := map[string]usage.Nano{}, map[string]int64{}
	for r, err := range s.Records(t.Context(), user, time.Unix(0, 0), start.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatalf("Records = %v", err)
		}
		spent[admission.Day(r.Time)] += r.Cost
		spent[admission.Month(r.Time)] += r.Cost
		tokens[admission.Minute(r.Time)] += admission.Tokens(r)
	}
	a, err := s.User(t.Context(), user)
	if err != nil {
		t.Fatalf("User = %v", err)
	}
	if len(a.Leases) > 0 || len(a.DayLeft) == 0 {
		t.Errorf("User = %d leases, %d days, want none open and some days", len(a.Leases), len(a.DayLeft))
	}
	for day, left := range a.DayLeft {
		if got := a.Day - left; got != spent[day] {
			t.Errorf("spent on %s = %d, want %d as the ledger says", day, got, spent[day])
		}
	}
	for month, left := range a.MonthLeft {
		if got := a.Month - left; got != spent[month] {
			t.Errorf("spent in %s = %d, want %d as the ledger says", month, got, spent[month])
		}
	}
	for minute, left := range a.TokensLeft {
		// A minute that was pruned and settled into again is past caring for.
		if got := a.Tokens - left; got != tokens[minute] && minute >= admission.Minute(last.Add(-time.Minute)) {
			t.Errorf("tokens of minute %s = %d, want %d as the ledger says", minute, got, tokens[minute])
		}
	}
}

// A day that began and one that was pruned leave their number as it was.
func TestLimitsChangeInThePeriodsThatThereAre(t *testing.T) {
	state, ledger := newTables(t)
	client := dynamotest.Client(t)
	s := open(client, state, ledger)
	g, err := s.Admit(t.Context(), newUser(t, s, nil)(time.Now()))
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	seen, err := s.User(t.Context(), g.Lease.User)
	if err != nil {
		t.Fatalf("User = %v", err)
	}
	tomorrow := admission.Day(time.Now().AddDate(0, 0, 1))
	if _, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &state, UpdateExpression: aws.String("SET d = :d"),
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "U#" + seen.ID}, "sk": &types.AttributeValueMemberS{Value: "A"}},
		ExpressionAttributeValues: map[string]types.AttributeValue{":d": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{tomorrow: &types.AttributeValueMemberN{Value: "5"}}}},
	}); err != nil {
		t.Fatalf("UpdateItem = %v", err)
	}
	u := seen.User
	u.Day += 100
	a, err := s.UpdateUser(t.Context(), seen, u)
	if err != nil || len(a.DayLeft) != 1 || a.DayLeft[tomorrow] != 105 {
		t.Errorf("UpdateUser = %v left, %v, want 105 tomorrow", a.DayLeft, err)
	}
}
