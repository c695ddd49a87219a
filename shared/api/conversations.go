package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

const (
	maxTitle = 256 // bytes
	minTTL   = 60  // seconds
	maxTTL   = int64(conversation.MaxTTL / time.Second)

	messagePage    = 20 // messages of a listing, unless asked otherwise
	maxMessagePage = 100
	maxPageBytes   = 4 << 20 // a listing of messages ends early above so many
	turnPortion    = 8       // turns read at once for a listing
)

type conversationBody struct {
	Title    json.RawMessage `json:"title"`
	Metadata json.RawMessage `json:"metadata"`
	TTL      json.RawMessage `json:"ttl_seconds"`
	Messages json.RawMessage `json:"messages"`
}

type messagesBody struct {
	Messages json.RawMessage `json:"messages"`
}

type conversationObject struct {
	ID       string          `json:"id"`
	Object   string          `json:"object"`
	Title    string          `json:"title"`
	Metadata json.RawMessage `json:"metadata"`
	TTL      int64           `json:"ttl_seconds"`
	Created  stamp           `json:"created_at"`
	Updated  stamp           `json:"updated_at"`
	Expires  stamp           `json:"expires_at"`
}

type messageObject struct {
	ID      string          `json:"id"`
	Object  string          `json:"object"`
	Created stamp           `json:"created_at"`
	Message json.RawMessage `json:"message"`
}

// ServeConversations serves everything under /ai/conversations, which belongs
// to the key's user.
func (s *Server) ServeConversations() http.Handler {
	own := s.own("conversations")
	return s.paths(map[string]methods{
		"/ai/conversations":               {"GET": takes(own(s.listConversations), "limit", "after"), "POST": own(s.createConversation)},
		"/ai/conversations/{id}":          {"GET": own(s.getConversation), "DELETE": own(s.deleteConversation)},
		"/ai/conversations/{id}/messages": {"GET": takes(own(s.listMessages), "limit", "after", "order"), "POST": own(s.appendMessages)},
	})
}

func (s *Server) createConversation(ctx context.Context, v *visit, c *gateway.Call) error {
	var b conversationBody
	if err := v.decode(&b); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	talk, err := b.conversation(now)
	if err != nil {
		return err
	}
	var first conversation.Turn
	if !rawjson.IsNull(b.Messages) {
		if first, err = newTurn(v.id, now, b.Messages); err != nil {
			return err
		}
	}
	talk, err = s.Conversations.Create(ctx, c.User, talk)
	if err == nil && first.Messages != nil {
		if err = s.Conversations.Append(ctx, c.User, talk.ID, first); err != nil { // its id is lost with this answer
			_ = s.Conversations.Delete(context.WithoutCancel(ctx), c.User, talk.ID)
		}
	}
	if err != nil {
		return err
	}
	return v.json(http.StatusCreated, showConversation(talk))
}

// conversation checks the body, but for the messages.
func (b *conversationBody) conversation(now time.Time) (talk conversation.Conversation, err error) {
	talk = conversation.Conversation{ID: "conv_" + requestid.New(now) + rand.Text()[:8], TTL: conversation.DefaultTTL, Created: now}
	if err := optional("title", b.Title, maxTitle, &talk.Title); err != nil {
		return talk, err
	}
	if talk.Metadata, err = readMetadata(b.Metadata, conversation.MaxMetadata); err != nil {
		return talk, err
	}
	if !rawjson.IsNull(b.TTL) {
		n, ok := rawjson.Int(b.TTL)
		if !ok || n < minTTL || n > maxTTL {
			return talk, fault.Field("ttl_seconds", "'ttl_seconds' must be an integer from %d to %d.", minTTL, maxTTL)
		}
		talk.TTL = time.Duration(n) * time.Second
	}
	return talk, nil
}

// newTurn checks messages as the chat does.
func newTurn(id string, now time.Time, messages []byte) (conversation.Turn, error) {
	t := conversation.Turn{Request: id, Created: now}
	if err := llm.CheckMessages(messages); err != nil {
		return t, err
	}
	if len(messages) > conversation.MaxAppend {
		return t, &fault.Error{Kind: fault.TooLarge, Param: "messages", Message: fmt.Sprintf("'messages' has %d bytes; the limit is %d.", len(messages), conversation.MaxAppend)}
	}
	err := rawjson.Elements(messages, func(i int, m []byte) error {
		if i >= conversation.MaxMessages {
			return fault.Field("messages", "'messages' must hold at most %d messages.", conversation.MaxMessages)
		}
		t.Messages = append(t.Messages, m)
		return nil
	})
	return t, err
}

func (s *Server) listConversations(ctx context.Context, v *visit, c *gateway.Call) error {
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	if last := after(v); last != "" && !conversation.ValidID(last) {
		return fault.Field("after", "'after' must be the id of a conversation.")
	}
	list, err := s.Conversations.List(ctx, c.User, after(v), limit+1)
	if err != nil {
		return err
	}
	return v.list(page(list, limit, showConversation, func(o conversationObject) string { return o.ID }))
}

// conversationID is the id in the path. One that cannot exist is not looked for.
func conversationID(v *visit) (string, error) {
	id := v.r.PathValue("id")
	if !conversation.ValidID(id) {
		return "", conversation.Missing(id)
	}
	return id, nil
}

func (s *Server) getConversation(ctx context.Context, v *visit, c *gateway.Call) error {
	id, err := conversationID(v)
	if err != nil {
		return err
	}
	talk, err := s.Conversations.Get(ctx, c.User, id)
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showConversation(talk))
}

func (s *Server) deleteConversation(ctx context.Context, v *visit, c *gateway.Call) error {
	id, err := conversationID(v)
	if err != nil {
		return err
	}
	if err := s.Conversations.Delete(ctx, c.User, id); err != nil {
		return err
	}
	return v.json(http.StatusOK, map[string]any{"id": id, "object": "conversation.deleted", "deleted": true})
}

func (s *Server) appendMessages(ctx context.Context, v *visit, c *gateway.Call) error {
	id, err := conversationID(v)
	if err != nil {
		return err
	}
	var b messagesBody
	if err := v.decode(&b); err != nil {
		return err
	}
	t, err := newTurn(v.id, time.Now().UTC().Truncate(time.Millisecond), b.Messages)
	if err != nil {
		return err
	}
	if err := s.Conversations.Append(ctx, c.User, id, t); err != nil {
		return err
	}
	return v.json(http.StatusCreated, listing{Object: "list", Data: showTurn(t)})
}

// A place is where a message is: which of its turn's. Its text is the
// message's id.
type place struct {
	turn  string
	index int
}

var messageID = pattern.Pattern{Expr: `^msg_([0-9A-Za-z]{1,64})_([0-9]{1,4})$`}

func (p place) String() string { return conversation.MessageID(p.turn, p.index) }

func parsePlace(id string) (p place, ok bool) {
	m := messageID.Regexp().FindStringSubmatch(id)
	if m == nil {
		return p, false
	}
	p.turn = m[1]
	p.index, _ = strconv.Atoi(m[2])
	return p, true
}

func (s *Server) listMessages(ctx context.Context, v *visit, c *gateway.Call) error {
	id, err := conversationID(v)
	if err != nil {
		return err
	}
	limit, err := pageLimit(v, messagePage, maxMessagePage)
	if err != nil {
		return err
	}
	var last place
	if id := after(v); id != "" {
		var ok bool
		if last, ok = parsePlace(id); !ok {
			return fault.Field("after", "'after' must be the id of a message.")
		}
	}
	var list []messageObject
	var more bool
	switch order := v.r.URL.Query().Get("order"); order {
	case "", "desc":
		list, more, err = s.newest(ctx, c.User, id, last, limit)
	case "asc":
		list, more, err = s.oldest(ctx, c.User, id, last, limit)
	default:
		return fault.Field("order", "'order' must be 'asc' or 'desc'.")
	}
	if err != nil {
		return err
	}
	next := ""
	if more {
		next = list[len(list)-1].ID
	}
	return v.list(list, next)
}

// newest lists messages from the newest on, or from the one before last.
func (s *Server) newest(ctx context.Context, user, id string, last place, limit int) ([]messageObject, bool, error) {
	p := pager{limit: limit, page: []messageObject{}}
	if last.index > 0 { // the rest of its turn
		turns, err := s.Conversations.TurnsFrom(ctx, user, id, last.turn, 1)
		if err != nil {
			return nil, false, err
		}
		if len(turns) > 0 && turns[0].Request == last.turn {
			list := showTurn(turns[0])
			p.addBackward(list[:min(last.index, len(list))])
		}
	}
	for before := last.turn; !p.full; {
		turns, err := s.Conversations.Turns(ctx, user, id, before, turnPortion)
		if err != nil {
			return nil, false, err
		}
		for _, t := range turns {
			p.addBackward(showTurn(t))
			before = t.Request
		}
		if len(turns) < turnPortion {
			break
		}
	}
	return p.page, p.full, nil
}

// oldest lists messages from the oldest on, or from the one after last.
func (s *Server) oldest(ctx context.Context, user, id string, last place, limit int) ([]messageObject, bool, error) {
	p := pager{limit: limit, page: []messageObject{}}
	for from := last.turn; !p.full; {
		turns, err := s.Conversations.TurnsFrom(ctx, user, id, from, turnPortion)
		if err != nil {
			return nil, false, err
		}
		for i, t := range turns {
			list := showTurn(t)
			switch {
			case t.Request == last.turn:
				list = list[min(last.index+1, len(list)):]
			case i == 0 && t.Request == from:
				continue // the last portion ended with it
			}
			p.add(list)
			from = t.Request
		}
		if len(turns) < turnPortion {
			break
		}
	}
	return p.page, p.full, nil
}

// pager collects a page of messages.
type pager struct {
	limit, bytes int
	page         []messageObject
	full         bool // there was one more
}

func (p *pager) add(list []messageObject) {
	for _, m := range list {
		if p.full = p.full || len(p.page) == p.limit || len(p.page) > 0 && p.bytes+len(m.Message) > maxPageBytes; p.full {
			return
		}
		p.page = append(p.page, m)
		p.bytes += len(m.Message)
	}
}

func (p *pager) addBackward(list []messageObject) {
	for i := len(list) - 1; i >= 0; i-- {
		p.add(list[i : i+1])
	}
}

func showTurn(t conversation.Turn) []messageObject {
	list := make([]messageObject, len(t.Messages))
	for i, m := range t.Messages {
		list[i] = messageObject{ID: place{t.Request, i}.String(), Object: "conversation.message", Created: stamp{t.Created}, Message: m}
	}
	return list
}

func showConversation(c conversation.Conversation) conversationObject {
	return conversationObject{ID: c.ID, Object: "conversation", Title: c.Title, Metadata: metadata(c.Metadata), TTL: int64(c.TTL / time.Second),
		Created: stamp{c.Created}, Updated: stamp{c.Updated}, Expires: stamp{c.Expires}}
}
