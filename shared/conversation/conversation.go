// Package conversation keeps the turns of dialogues, so that a client need not
// send them again with every request.
package conversation

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// Limits.
const (
	MaxMessages = 64        // of one append
	MaxAppend   = 256 << 10 // bytes of one append
	MaxMetadata = 16 << 10  // bytes
	DefaultTTL  = 30 * 24 * time.Hour
	MaxTTL      = 366 * 24 * time.Hour
)

// Conversation is a dialogue without its turns.
type Conversation struct {
	ID       string // "conv_" and what a client may not guess
	Title    string
	Metadata json.RawMessage // an object; nil for none
	TTL      time.Duration   // from the last append on
	Created  time.Time
	Updated  time.Time // the latest Created of its turns; its own before the first
	Expires  time.Time // Updated + TTL; it is not found after that
}

// Turn is what one request added: messages in OpenAI's format, in their order.
type Turn struct {
	Request  string // its id, by which turns are ordered: ids grow with time
	Messages []json.RawMessage
	Created  time.Time
}

// MessageID is the id of a message of a turn, which is the one of a request.
func MessageID(request string, index int) string {
	return "msg_" + request + "_" + strconv.Itoa(index)
}

var idPattern = pattern.Pattern{Expr: `^conv_[A-Za-z0-9]{8,64}$`}

// ValidID says whether s can be a conversation's id.
func ValidID(s string) bool { return idPattern.Match(s) }

// Reader is what those need who continue conversations.
type Reader interface {
	// Turns returns up to limit turns before the turn of a request ("": from the
	// newest on), newest first. It fails with fault.NotFound without the
	// conversation.
	Turns(ctx context.Context, tenant, id, before string, limit int) ([]Turn, error)
	// Append adds a turn, whole or not at all, and puts off the conversation's
	// end, never brings it forward. Turns appended at the same time are all kept.
	// An append can be repeated: of turns with one request id the first one
	// stays. It fails with fault.NotFound without the conversation.
	Append(ctx context.Context, tenant, id string, t Turn) error
}

// Store holds the conversations of tenants, who never see each other's. It is
// safe for concurrent use by many processes (the embedded one: by one). Limits
// are the caller's business. What has expired is not there, whether or not it
// is still on disk. An error that is no fault.Error is a failure of the store.
type Store interface {
	Reader
	// Create stores c, with Created and TTL as given. It fails with
	// fault.Conflict if the id is taken. The id of a conversation that has expired
	// or was deleted is free; nothing of the old one is seen in the new one.
	Create(ctx context.Context, tenant string, c Conversation) (Conversation, error)
	// Get returns a conversation. It fails with fault.NotFound.
	Get(ctx context.Context, tenant, id string) (Conversation, error)
	// List returns up to limit conversations with ids above after, in the order
	// of their ids.
	List(ctx context.Context, tenant, after string, limit int) ([]Conversation, error)
	// TurnsFrom returns up to limit turns from the turn of a request on ("": from
	// the oldest on), oldest first. It fails with fault.NotFound.
	TurnsFrom(ctx context.Context, tenant, id, from string, limit int) ([]Turn, error)
	// Delete removes a conversation with all its turns. It fails with
	// fault.NotFound.
	Delete(ctx context.Context, tenant, id string) error
}

// Missing is the error for a conversation that is not there.
func Missing(id string) error {
	return fault.New(fault.NotFound, "There is no conversation '%.80s'.", id)
}

// Taken is the error for an id that another conversation has.
func Taken(id string) error {
	return fault.New(fault.Conflict, "There is a conversation '%.80s' already.", id)
}
