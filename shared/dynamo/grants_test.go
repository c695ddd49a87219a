package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// A member's requests take what those of others do, but for one that draws, and
// draws are few as long as there is money. The project's item grows with its
// members, and draws with it.
func TestWriteUnitsPerDraw(t *testing.T) {
	for _, c := range []struct {
		members       int
		cold, recalls float64 // units of a whole request, at most
	}{
		{1, 6, 10}, {50, 8, 16},
	} {
		t.Run(fmt.Sprint(c.members, " members"), func(t *testing.T) {
			state, ledger := newTables(t)
			var m meter
			b := &bench{T: t, store: open(m.client(t), state, ledger), calm: open(dynamotest.Client(t), state, ledger), state: state}
			id := b.project(1000 * usage.Dollar)
			ask, other := b.member(id), b.member(id)
			for range c.members - 1 {
				b.member(id)
			}
			request := func(a admission.Ask) (units float64, calls int) {
				t.Helper()
				m.take()
				b.settle(b.store, b.admit(b.store, a), a.Reserve/5)
				return m.take()
			}
			const estimate = 2_462_550
			units, calls := request(ask(estimate))
			t.Logf("the first request: %v units in %d calls", units, calls)
			if units > c.cold || calls > 5 {
				t.Errorf("the first request took %v units in %d calls, want at most %v in 5", units, calls, c.cold)
			}
			draws := 0
			for i := range 100 {
				units, calls = request(ask(estimate))
				switch {
				case calls == 5:
					draws++
				case calls != 3 || units != 3:
					t.Errorf("request %d took %v units in %d calls, want 3 in 3, or a draw", i, units, calls)
				}
			}
			t.Logf("%d draws in 100 requests more", draws)
			if draws > 1 {
				t.Errorf("%d draws in 100 requests of $0.0005, want one at most: grants are of a dollar", draws)
			}

			left := b.projectAccount(id)
			units, calls = request(other(left.Left(time.Now())))
			t.Logf("a request that takes all that others do not use: %v units in %d calls", units, calls)
			if units > c.recalls || calls > 9 {
				t.Errorf("a request that takes all took %v units in %d calls, want at most %v in 9", units, calls, c.recalls)
			}
		})
	}
}

// A draw that was to be expected takes two round trips; one that was not, or no
// more, finds out.
func TestDrawsAreForeseen(t *testing.T) {
	state, ledger := newTables(t)
	client := dynamotest.Client(t)
	b := &bench{T: t, store: open(client, state, ledger), calm: open(client, state, ledger), state: state}
	id := b.project(1000 * usage.Dollar)
	ask := b.member(id)
	admit := func(s *dynamo.Store, a admission.Ask, want int, when string) admission.Lease {
		t.Helper()
		g, err := s.Admit(t.Context(), a)
		if err != nil {
			t.Fatalf("%s: Admit = %v", when, err)
		}
		if g.Writes != want {
			t.Errorf("%s: %d round trips, want %d", when, g.Writes, want)
		}
		return g.Lease
	}
	const most = 900_000_000 // of a grant of a dollar
	admit(b.store, ask(most), 3, "the first request")
	second := admit(b.store, ask(most), 2, "one that needs more than is left of the grant")
	admit(b.store, ask(1), 1, "one that does not")
	b.settle(b.store, second, 0)
	admit(b.store, ask(most), 1, "one for which a settlement has made room")

	other := open(client, state, ledger)
	third := admit(other, ask(most), 3, "an instance that sees the user for the first time")
	b.settle(other, third, 0) // which the first instance does not see
	// It takes the other's draw for one that was left half done.
	if got := admit(b.store, ask(most), 3, "a draw that is not needed any more"); got.Reserved != most {
		t.Errorf("Reserved = %d, want %d", got.Reserved, most)
	}

	// A key that does not open the door any more draws once, before that shows;
	// one that was not let in before draws nothing.
	last := func() string {
		members, _ := b.item("P#" + id)["g"].(*types.AttributeValueMemberM)
		draw, _ := members.Value[third.User].(*types.AttributeValueMemberM)
		number, _ := draw.Value["n"].(*types.AttributeValueMemberN)
		return number.Value
	}
	revoked := ask(50 * usage.Dollar)
	if err := b.store.RevokeKey(t.Context(), revoked.User, admission.KeyID(revoked.KeyHash)); err != nil {
		t.Fatal(err)
	}
	refused := func(a admission.Ask) (draws bool) {
		t.Helper()
		before := last()
		if _, err := b.store.Admit(t.Context(), a); !errors.Is(err, fault.Unauthorized) {
			t.Fatalf("Admit = %v, want the key refused", err)
		}
		return last() != before
	}
	unknown := revoked
	unknown.KeyHash = "another-key-of-the-user"
	for i, want := range []struct {
		ask  admission.Ask
		draw bool
	}{{unknown, false}, {revoked, false}} {
		if got := refused(want.ask); got != want.draw {
			t.Errorf("refused key %d has drawn: %v, want %v", i, got, want.draw)
		}
	}
}

// An instance that knows nothing of a project draws no more than one that does.
func TestFirstDrawsLeaveEnoughToOthers(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ budget, want usage.Nano }{
		{1000 * usage.Dollar, dynamo.FullGrant}, {8 * usage.Dollar, usage.Dollar / 10},
	} {
		id := b.project(c.budget)
		var asks []func(usage.Nano) admission.Ask
		for range 12 {
			asks = append(asks, b.member(id))
		}
		b.move(b.calm, asks[11](0).User, "")
		if err := b.calm.DeleteUser(t.Context(), asks[10](0).User); err != nil {
			t.Fatalf("DeleteUser = %v", err)
		}
		cold := open(dynamotest.Client(t), b.state, b.ledger)
		a := asks[0](1000)
		b.admit(cold, a)
		if d, err := b.calm.LastDraw(t.Context(), id, a.User); err != nil || d.Amount() != c.want {
			t.Errorf("the first draw on %d = %d, %v, want %d", c.budget, d.Amount(), err, c.want)
		}
		it := b.item("P#" + id)
		if w := it["w"].(*types.AttributeValueMemberN).Value; w != fmt.Sprint(10*8*int64(dynamo.FullGrant)) {
			t.Errorf("w = %s, want eight full grants for each of ten members", w)
		}
	}
}

// item reads an account's or project's item as it is.
func (b *bench) item(pk string) map[string]types.AttributeValue {
	b.Helper()
	out, err := dynamotest.Client(b).GetItem(b.Context(), &dynamodb.GetItemInput{TableName: &b.state, Key: itemKey(pk)})
	if err != nil {
		b.Fatalf("GetItem = %v", err)
	}
	return out.Item
}

func itemKey(pk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: "A"}}
}

// Who floods a project without room is refused with few reads.
func TestRefusalsOfAnEmptyProjectAreCheap(t *testing.T) {
	state, ledger := newTables(t)
	var m meter
	b := &bench{T: t, store: open(m.client(t), state, ledger), calm: open(dynamotest.Client(t), state, ledger), state: state}
	id := b.project(1000)
	ask := b.member(id)
	l := b.admit(b.store, ask(990))
	refused := func(need usage.Nano) (calls int) {
		t.Helper()
		m.take()
		_, err := b.store.Admit(t.Context(), ask(need))
		if f := fault.As(err); f.Kind != fault.Quota || !strings.Contains(f.Message, "$0.00000001 left") {
			t.Errorf("Admit = %v, want quota and what is left", err)
		}
		_, calls = m.take()
		return calls
	}
	first := refused(11)
	if again := refused(11); again >= first || again > 4 {
		t.Errorf("the second refusal took %d calls, the first one %d, want fewer and at most 4", again, first)
	}
	if _, err := b.store.Admit(t.Context(), ask(10)); err != nil {
		t.Errorf("Admit of less = %v, want it to fit", err)
	}
	b.settle(b.store, l, 500) // here, and so it counts at once
	g, err := b.store.Admit(t.Context(), ask(490))
	if err != nil {
		t.Fatalf("Admit after a settlement = %v, want it to fit", err)
	}
	r, err := b.store.Settle(t.Context(), g.Lease, g.Lease.Unsettled())
	if err != nil {
		t.Fatalf("Settle = %v", err)
	}
	if _, err := b.store.Admit(t.Context(), ask(490)); !admission.IsOverProject(err) {
		t.Errorf("Admit = %v, want the project to refuse", err)
	}
	if _, err := b.store.WriteOff(t.Context(), r.User, r.ID); err != nil {
		t.Fatalf("WriteOff = %v", err)
	}
	if _, err := b.store.Admit(t.Context(), b.member(id)(490)); err != nil {
		t.Errorf("Admit after a write-off = %v, want it to fit", err)
	}
}

// What is left of old months is dropped as new ones are drawn on.
func TestProjectsDoNotGrowWithTime(t *testing.T) {
	b := newBench(t)
	id := b.project(usage.Dollar)
	ask := b.member(id)
	at := time.Now().AddDate(0, -7, 0)
	for ; at.Before(time.Now()); at = at.AddDate(0, 1, 0) {
		a := ask(1000)
		a.Now, a.ID = at, requestid.New(at)
		b.settle(b.calm, b.admit(b.calm, a), 700)
	}
	p := b.projectAccount(id)
	if len(p.Spent) == 0 || len(p.Spent) > 2 {
		t.Errorf("Spent = %v, want the last months only", p.Spent)
	}
	if l := b.item("P#" + id)["l"].(*types.AttributeValueMemberM).Value; len(l) > 2 {
		t.Errorf("%d months kept, want two at most", len(l))
	}
}

// As many members as there can be, with the longest ids, fit into an item, and
// one of them can still draw.
func TestAProjectIsFullBeforeItsItemIs(t *testing.T) {
	b := newBench(t)
	id := b.project(1e6)
	g := map[string]types.AttributeValue{}
	for i := range dynamo.MaxMembers - 1 {
		g[fmt.Sprintf("%064d", i)] = &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
			"n": &types.AttributeValueMemberN{Value: "1795410996513"}, "c": &types.AttributeValueMemberN{Value: "1234567890123"},
			"m": &types.AttributeValueMemberS{Value: "202611"}}}
	}
	if _, err := dynamotest.Client(t).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &b.state, Key: itemKey("P#" + id),
		UpdateExpression: new("SET g = :g"), ExpressionAttributeValues: map[string]types.AttributeValue{":g": &types.AttributeValueMemberM{Value: g}},
	}); err != nil {
		t.Fatalf("UpdateItem = %v", err)
	}
	ask := b.member(id)
	b.admit(b.calm, ask(900_000))
	u := b.account(ask(0).User).User
	u.ID = "one-more"
	if _, err := b.calm.CreateUser(t.Context(), u); !errors.Is(err, fault.Conflict) {
		t.Errorf("CreateUser in a full project = %v, want conflict", err)
	}
	if _, err := b.calm.User(t.Context(), u.ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("User = %v, want not found", err)
	}
	p := b.projectAccount(id)
	u.ID, u.Project = "outsider", ""
	seen, err := b.calm.CreateUser(t.Context(), u)
	if err != nil {
		t.Fatalf("CreateUser = %v", err)
	}
	u.Project = id
	if _, err := b.calm.UpdateUser(t.Context(), seen, u); !errors.Is(err, fault.Conflict) {
		t.Errorf("UpdateUser into a full project = %v, want conflict", err)
	}
	if len(p.Members) != dynamo.MaxMembers || p.Reserved[admission.Month(time.Now())] != 900_000 {
		t.Errorf("Project = %d members, %v reserved, want %d, 900000", len(p.Members), p.Reserved, dynamo.MaxMembers)
	}
}

// A project of more members than one read can have.
func TestManyMembers(t *testing.T) {
	b := newBench(t)
	const members, each = 110, 10
	id := b.project(members * each)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for range (members + w) / 2 {
				ask := b.member(id)
				b.admit(b.calm, ask(each))
			}
		})
	}
	wg.Wait()
	b.wantProject(id, 0, members*each)
	b.setBudget(b.calm, id, usage.None)
	b.setBudget(b.calm, id, members*each+1)
	b.wantProject(id, 0, members*each)
	b.wantLeft(id, 1)
}

// Many instances, each with what it remembers, never exceed a budget together,
// and what they admit is in the ledger.
func TestRacingInstancesNeverExceedAProject(t *testing.T) {
	b := newBench(t)
	const budget = 500_000
	id := b.project(budget)
	var asks []func(usage.Nano) admission.Ask
	for range 4 {
		asks = append(asks, b.member(id))
	}
	var (
		wg       sync.WaitGroup
		done     atomic.Bool
		admitted atomic.Int64
		watch    sync.WaitGroup
	)
	watch.Go(func() {
		for !done.Load() {
			if left, sure := b.calm.Left(context.WithoutCancel(t.Context()), id, time.Now()); sure && left < 0 {
				t.Errorf("%d is left: the budget was exceeded", left)
			}
		}
	})
	for i := range 8 {
		s := open(dynamotest.Client(t), b.state, b.ledger)
		wg.Go(func() {
			for range 12 {
				g, err := s.Admit(context.WithoutCancel(t.Context()), asks[i%len(asks)](30_000))
				switch {
				case err == nil:
					admitted.Add(1)
					b.settle(s, g.Lease, 10_000)
				case !errors.Is(err, fault.Quota):
					t.Errorf("Admit = %v, want a grant or quota", err)
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	watch.Wait()
	n := usage.Nano(admitted.Load())
	t.Logf("%d admitted", n)
	if n == 0 || n*10_000 > budget {
		t.Errorf("%d admitted, want some, and no more than fit", n)
	}
	b.wantProject(id, n*10_000, 0)
	b.wantLeft(id, budget-n*10_000)
}
