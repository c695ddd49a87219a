package bolt

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/storetest"
)

func TestConversationsConform(t *testing.T) {
	storetest.RunConversations(t, func(t *testing.T, now func() time.Time) conversation.Store {
		c := openTest(t, t.TempDir()).Conversations()
		c.now = now
		return c
	})
}

func newConversation(t *testing.T, s *Conversations, id string, ttl time.Duration) conversation.Conversation {
	t.Helper()
	c, err := s.Create(t.Context(), "ann", conversation.Conversation{ID: id, Title: "Maps", Metadata: json.RawMessage(`{"a":1}`), TTL: ttl, Created: s.now()})
	if err != nil {
		t.Fatalf("Create = %v", err)
	}
	return c
}

func appendTurn(t *testing.T, s *Conversations, id, request string) {
	t.Helper()
	turn := conversation.Turn{Request: request, Messages: []json.RawMessage{json.RawMessage(`{"role":"user","content":"hi"}`)}, Created: s.now()}
	if err := s.Append(t.Context(), "ann", id, turn); err != nil {
		t.Fatalf("Append = %v", err)
	}
}

// keys counts what is on disk of conversations.
func keys(t *testing.T, s *Conversations) (conversations, turns, ends int) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		conversations, turns, ends = tx.Bucket(conversationsBucket).Stats().KeyN, tx.Bucket(turnsBucket).Stats().KeyN, tx.Bucket(endsBucket).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return conversations, turns, ends
}

func TestWritesRemoveWhatExpired(t *testing.T) {
	s := openTest(t, t.TempDir()).Conversations()
	now := time.Now()
	s.now = func() time.Time { return now }
	const turns = 3 * sweepAtWrites
	newConversation(t, s, "conv_00000001", time.Minute)
	for i := range turns {
		appendTurn(t, s, "conv_00000001", fmt.Sprintf("%016d", i))
	}
	newConversation(t, s, "conv_00000002", time.Minute)
	now = now.Add(time.Hour)
	c := newConversation(t, s, "conv_00000003", time.Hour)
	if _, left, _ := keys(t, s); left != turns-sweepAtWrites {
		t.Errorf("%d turns are left after one write, want %d", left, turns-sweepAtWrites)
	}
	for i := range 3 {
		appendTurn(t, s, c.ID, fmt.Sprintf("%016d", i))
	}
	if conversations, left, ends := keys(t, s); conversations != 1 || left != 3 || ends != 1 {
		t.Errorf("%d conversations, %d turns, %d ends are left, want 1, 3, 1", conversations, left, ends)
	}
}

func TestOpenRemovesWhatExpired(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	c := s.Conversations()
	longAgo := time.Now().Add(-time.Hour)
	c.now = func() time.Time { return longAgo }
	newConversation(t, c, "conv_00000001", time.Minute)
	appendTurn(t, c, "conv_00000001", "0000000000000001")
	newConversation(t, c, "conv_00000002", 2*time.Hour)
	appendTurn(t, c, "conv_00000002", "0000000000000001")
	s.kill()
	if conversations, turns, ends := keys(t, openTest(t, dir).Conversations()); conversations != 1 || turns != 1 || ends != 1 {
		t.Errorf("%d conversations, %d turns, %d ends are left, want one of each", conversations, turns, ends)
	}
}

func TestDeletedConversationsLeaveNothingOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, createFile)
	newConversation(t, s.Conversations(), "conv_00000001", time.Hour)
	appendTurn(t, s.Conversations(), "conv_00000001", "0000000000000001")
	if err := s.Conversations().Delete(t.Context(), "ann", "conv_00000001"); err != nil {
		t.Fatal(err)
	}
	s.kill()
	s = openTest(t, dir)
	if conversations, turns, ends := keys(t, s.Conversations()); conversations+turns+ends > 0 {
		t.Errorf("%d conversations, %d turns, %d ends are left, want none", conversations, turns, ends)
	}
	if _, err := s.Conversations().Get(t.Context(), "ann", "conv_00000001"); !errors.Is(err, fault.NotFound) {
		t.Errorf("Get = %v, want not_found", err)
	}
}
