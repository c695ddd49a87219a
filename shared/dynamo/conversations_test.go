package dynamo_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/dynamotest"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestConversationsConform(t *testing.T) {
	state, ledger := newTables(t)
	storetest.RunConversations(t, func(t *testing.T, now func() time.Time) conversation.Store {
		c := open(dynamotest.Client(t), state, ledger).Conversations()
		c.Clock(now)
		return c
	})
}

// dialogue is a tenant's conversation at a time of its own.
type dialogue struct {
	*testing.T
	*dynamo.Conversations
	at atomic.Int64
}

const dialogueID = "conv_00000001"

func newDialogue(t *testing.T, s *dynamo.Store, ttl time.Duration) *dialogue {
	t.Helper()
	d := &dialogue{T: t, Conversations: s.Conversations()}
	d.at.Store(time.Now().Truncate(time.Second).UnixNano())
	d.Clock(d.now)
	if _, err := d.Create(t.Context(), "tenant", conversation.Conversation{ID: dialogueID, TTL: ttl, Created: d.now()}); err != nil {
		t.Fatalf("Create = %v", err)
	}
	return d
}

func (d *dialogue) now() time.Time { return time.Unix(0, d.at.Load()).UTC() }

func (d *dialogue) add() error {
	turn := conversation.Turn{Request: requestid.New(d.now()), Messages: []json.RawMessage{json.RawMessage(`{}`)}, Created: d.now()}
	return d.Append(d.Context(), "tenant", dialogueID, turn)
}

func (d *dialogue) wantTurns(want int) {
	d.Helper()
	turns, err := d.Turns(d.Context(), "tenant", dialogueID, "", 1000)
	if err != nil || len(turns) != want {
		d.Errorf("Turns = %d turns, %v, want %d", len(turns), err, want)
	}
}

// ttls returns when DynamoDB may remove the head, and when the first turn.
func ttls(t *testing.T, table string) (head, turn time.Time) {
	t.Helper()
	for _, it := range scan(t, table) {
		sec, err := strconv.ParseInt(it["ttl"].(*types.AttributeValueMemberN).Value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(sec, 0)
		switch pk := it["pk"].(*types.AttributeValueMemberS).Value; {
		case strings.HasPrefix(pk, "CNV#"):
			head = at
		case turn.IsZero() || at.Before(turn):
			turn = at
		}
	}
	return head, turn
}

func scan(t *testing.T, table string) []map[string]types.AttributeValue {
	t.Helper()
	out, err := dynamotest.Client(t).Scan(t.Context(), &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Items
}

// DynamoDB may remove a turn only when its conversation has ended, and must be
// able to some time after that.
func TestTurnsOutliveTheirConversation(t *testing.T) {
	for _, tc := range []struct{ ttl, every, late time.Duration }{
		{time.Minute, 50 * time.Second, 26 * time.Hour},
		{time.Hour, 45 * time.Minute, 26 * time.Hour},
		{30 * 24 * time.Hour, 29 * 24 * time.Hour, 31 * 24 * time.Hour},
		{366 * 24 * time.Hour, 100 * 24 * time.Hour, 31 * 24 * time.Hour},
	} {
		t.Run(tc.ttl.String(), func(t *testing.T) {
			state, ledger := newTables(t)
			d := newDialogue(t, open(dynamotest.Client(t), state, ledger), tc.ttl)
			const turns = 12
			for i := range turns {
				if err := d.add(); err != nil {
					t.Fatalf("Append = %v", err)
				}
				c, err := d.Get(t.Context(), "tenant", dialogueID)
				if err != nil {
					t.Fatalf("Get = %v", err)
				}
				head, turn := ttls(t, state)
				if head.Before(c.Expires) || head.After(c.Expires.Add(2*time.Second)) {
					t.Errorf("turn %d: the head's ttl is %v, want the end, %v", i, head, c.Expires)
				}
				if turn.Before(c.Expires) || turn.After(c.Expires.Add(tc.late)) {
					t.Errorf("turn %d: the first turn's ttl is %v after the end, want up to %v", i, turn.Sub(c.Expires), tc.late)
				}
				d.at.Add(int64(tc.every))
			}
			d.wantTurns(turns)
		})
	}
}

// If the turns cannot be kept, the conversation's end is not put off: the
// append fails, and succeeds when it is repeated.
func TestTheEndWaitsForTheTurns(t *testing.T) {
	b := newBench(t)
	d := newDialogue(t, b.store, time.Hour)
	const turns = 36
	for range turns - 24 {
		if err := d.add(); err != nil {
			t.Fatalf("Append = %v", err)
		}
		d.at.Add(int64(time.Second))
	}
	for range 24 { // up to the time when the turns have to be looked at
		d.at.Add(int64(58 * time.Minute))
		if err := d.add(); err != nil {
			t.Fatalf("Append = %v", err)
		}
	}
	before, err := d.Get(t.Context(), "tenant", dialogueID)
	if err != nil {
		t.Fatal(err)
	}
	d.at.Add(int64(55 * time.Minute))
	for _, kept := range []int{0, 7} {
		updates := 0
		b.wire.set(func(op string) trouble {
			if op != "UpdateItem" {
				return fine
			}
			// The head's is refused, then come the turns', of which some are never kept.
			if updates++; updates > 1+kept && updates <= 1+kept+(turns-kept)*dynamo.MaxAttempts {
				return broken
			}
			return fine
		})
		if err := d.add(); !errors.Is(err, fault.Unavailable) {
			t.Fatalf("Append with %d turns kept = %v, want unavailable", kept, err)
		}
		b.wire.set(nil)
		after, err := d.Get(t.Context(), "tenant", dialogueID)
		if err != nil || !after.Expires.Equal(before.Expires) {
			t.Errorf("Get = %+v, %v, want the end where it was", after, err)
		}
		d.wantTurns(turns)
	}
	for _, tr := range troubles {
		b.wire.next("UpdateItem", fine, tr, tr)
		d.at.Add(1)
		if err := d.add(); err != nil {
			t.Errorf("Append with trouble = %v", err)
		}
	}
	d.wantTurns(turns + len(troubles))
}

// Keeping turns must not bring back those that are deleted meanwhile.
func TestTurnsDeletedWhileTheyAreKept(t *testing.T) {
	b := newBench(t)
	d := newDialogue(t, b.calm, 48*time.Hour)
	for range 5 {
		if err := d.add(); err != nil {
			t.Fatalf("Append = %v", err)
		}
		d.at.Add(int64(11 * time.Hour))
	}
	c := b.store.Conversations()
	c.Clock(d.now)
	updates := 0
	b.wire.set(func(op string) trouble {
		if op == "UpdateItem" {
			if updates++; updates == 2 { // the first turn's
				if err := d.Delete(t.Context(), "tenant", dialogueID); err != nil {
					t.Errorf("Delete = %v", err)
				}
			}
		}
		return fine
	})
	turn := conversation.Turn{Request: requestid.New(d.now()), Messages: []json.RawMessage{json.RawMessage(`{}`)}, Created: d.now()}
	if err := c.Append(t.Context(), "tenant", dialogueID, turn); !errors.Is(err, fault.NotFound) || updates < 5 {
		t.Errorf("Append = %v after %d updates, want not_found after those of the turns", err, updates)
	}
	if left := scan(t, b.state); len(left) > 0 {
		t.Errorf("%d items are left: %v", len(left), left)
	}
}

func TestEachTroubleLeavesOneTurn(t *testing.T) {
	b := newBench(t)
	for _, tr := range troubles {
		t.Run(string(tr), func(t *testing.T) {
			c := b.store.Conversations()
			id := "conv_" + requestid.New(time.Now())
			now := time.Now().UTC()
			b.wire.next("PutItem", tr, tr)
			created, err := c.Create(t.Context(), "tenant", conversation.Conversation{ID: id, TTL: time.Hour, Created: now})
			if err != nil {
				t.Fatalf("Create = %v", err)
			}
			if _, err := c.Create(t.Context(), "tenant", created); !errors.Is(err, fault.Conflict) {
				t.Errorf("Create again = %v, want conflict", err)
			}
			for i, op := range []string{"UpdateItem", "PutItem"} {
				b.wire.next(op, tr, tr)
				turn := conversation.Turn{Request: requestid.New(now), Messages: []json.RawMessage{json.RawMessage(`{}`)}, Created: now.Add(time.Second)}
				if err := c.Append(t.Context(), "tenant", id, turn); err != nil {
					t.Fatalf("Append with trouble at %s = %v", op, err)
				}
				b.wire.next("Query", tr, tr)
				turns, err := c.Turns(t.Context(), "tenant", id, "", 10)
				if err != nil || len(turns) != i+1 {
					t.Errorf("Turns = %d turns, %v, want %d", len(turns), err, i+1)
				}
			}
			b.wire.next("GetItem", tr, tr)
			if got, err := c.Get(t.Context(), "tenant", id); err != nil || !got.Expires.Equal(now.Add(time.Hour+time.Second)) {
				t.Errorf("Get = %+v, %v", got, err)
			}
		})
	}
}

func TestEachTroubleLeavesNothingOfADeletedConversation(t *testing.T) {
	b := newBench(t)
	for _, tr := range append([]trouble{unprocessed}, troubles...) {
		t.Run(string(tr), func(t *testing.T) {
			d := newDialogue(t, b.calm, time.Hour)
			for range 3 {
				if err := d.add(); err != nil {
					t.Fatalf("Append = %v", err)
				}
			}
			if b.wire.once(tr, "BatchWriteItem"); tr != unprocessed {
				b.wire.once(tr, "UpdateItem", "Query", "BatchWriteItem", "DeleteItem")
			}
			if err := b.store.Conversations().Delete(t.Context(), "tenant", dialogueID); err != nil {
				t.Fatalf("Delete = %v", err)
			}
			if err := d.Delete(t.Context(), "tenant", dialogueID); !errors.Is(err, fault.NotFound) {
				t.Errorf("Delete again = %v, want not_found", err)
			}
			if left := scan(t, b.state); len(left) > 0 {
				t.Errorf("%d items are left: %v", len(left), left)
			}
		})
	}
}

// A deletion that broke off has ended the conversation, and can be repeated.
func TestConversationDeletedInPart(t *testing.T) {
	for _, op := range []string{"Query", "BatchWriteItem", "DeleteItem"} {
		t.Run(op, func(t *testing.T) {
			b := newBench(t)
			d := newDialogue(t, b.calm, time.Hour)
			if err := d.add(); err != nil {
				t.Fatalf("Append = %v", err)
			}
			b.wire.set(func(got string) trouble {
				if got == op {
					return broken
				}
				return fine
			})
			if err := b.store.Conversations().Delete(t.Context(), "tenant", dialogueID); !errors.Is(err, fault.Unavailable) {
				t.Fatalf("Delete = %v, want unavailable", err)
			}
			if _, err := d.Turns(t.Context(), "tenant", dialogueID, "", 10); !errors.Is(err, fault.NotFound) {
				t.Errorf("Turns = %v, want not_found", err)
			}
			d.at.Add(int64(time.Second)) // a later turn, which would put off the end
			if err := d.add(); !errors.Is(err, fault.NotFound) {
				t.Errorf("Append = %v, want not_found", err)
			}
			if all, err := d.List(t.Context(), "tenant", "", 10); err != nil || len(all) > 0 {
				t.Errorf("List = %v, %v, want nothing", all, err)
			}
			if err := d.Delete(t.Context(), "tenant", dialogueID); err != nil {
				t.Errorf("Delete = %v", err)
			}
			if left := scan(t, b.state); len(left) > 0 {
				t.Errorf("%d items are left: %v", len(left), left)
			}
		})
	}
}

// The id is free as soon as a deletion has begun; its end must not harm who has
// the id by then.
func TestSuccessorOfAConversationBeingDeleted(t *testing.T) {
	b := newBench(t)
	d := newDialogue(t, b.calm, time.Hour)
	if err := d.add(); err != nil {
		t.Fatalf("Append = %v", err)
	}
	b.wire.set(func(op string) trouble {
		if op == "DeleteItem" { // the deletion's last step
			if _, err := d.Create(t.Context(), "tenant", conversation.Conversation{ID: dialogueID, TTL: time.Hour, Created: d.now()}); err != nil {
				t.Errorf("Create = %v", err)
			}
			d.wantTurns(0)
			if err := d.add(); err != nil {
				t.Errorf("Append = %v", err)
			}
		}
		return fine
	})
	if err := b.store.Conversations().Delete(t.Context(), "tenant", dialogueID); err != nil {
		t.Fatalf("Delete = %v", err)
	}
	d.wantTurns(1)
}

// An append costs a unit for the head and one per KB of the turn.
func TestWriteUnitsPerTurn(t *testing.T) {
	state, ledger := newTables(t)
	var m meter
	d := newDialogue(t, open(m.client(t), state, ledger), time.Hour)
	m.take()
	for i := range 5 {
		d.at.Add(int64(time.Second))
		if err := d.add(); err != nil {
			t.Fatalf("Append = %v", err)
		}
		if units, calls := m.take(); units != 2 || calls != 2 {
			t.Errorf("turn %d took %v units in %d calls, want 2 in 2", i, units, calls)
		}
	}
}
