package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// maxTurns bounds the turns of a conversation that are read for one answer.
	maxTurns = 100
	// retrieval is how long a prompt waits for passages, the vector of its
	// question included.
	retrieval = 3 * time.Second
	// aiming is how long a search waits for the vector of its question, before it
	// goes by words alone.
	aiming = 2 * time.Second
)

// said is the request's own messages, by what they are.
type said struct {
	system []json.RawMessage // system and developer messages, wherever they stood
	rest   []json.RawMessage
	at     []int // where those of rest stood; -1 for a template's
}

func messagesOf(fields []rawjson.Field) (m said) {
	list := rawjson.Get(fields, "messages")
	if rawjson.Kind(list) != "array" {
		return m
	}
	rawjson.Elements(list, func(i int, v []byte) error {
		switch roleOf(v) {
		case "system", "developer":
			m.system = append(m.system, v)
		default:
			m.rest, m.at = append(m.rest, v), append(m.at, i)
		}
		return nil
	})
	return m
}

// fromUser says whether there is a message of the user.
func (m said) fromUser() bool {
	return slices.ContainsFunc(m.rest, func(v json.RawMessage) bool { return roleOf(v) == "user" })
}

// Projects says what is known of projects.
type Projects interface {
	// Context returns what is worth knowing of a user's project for every request
	// about it; request is the id of the one at hand. It fails with fault.NotFound
	// if the user has no such project, and is to say so in words that are good for
	// the client; after any other failure the request goes on without.
	Context(ctx context.Context, user, request, project string) (string, error)
}

// gathered is what a prompt is made of beside what the client sent.
type gathered struct {
	project string
	turns   []conversation.Turn // newest first
	hits    []rag.Hit           // best first
}

// gather fetches what the request asks for, at the same time. What is not
// there is the client's mistake; what cannot be had right now is left out, and
// said.
func (s *Session) gather(ctx context.Context, w *Work, own said) (g gathered, err error) {
	var failed [3]error
	var all sync.WaitGroup
	if id := w.opts.Project; id != "" {
		all.Go(func() {
			failed[2] = fault.Guard(func() (err error) {
				g.project, err = s.about(ctx, id)
				return err
			})
		})
	}
	if id := w.opts.Conversation; id != "" {
		all.Go(func() {
			failed[0] = fault.Guard(func() (err error) {
				g.turns, err = s.remember(ctx, id)
				return err
			})
		})
	}
	search := func(r *Retrieval, text string) {
		failed[1] = fault.Guard(func() (err error) {
			g.hits, err = s.retrieve(ctx, r, text)
			return err
		})
	}
	asked := own.rest
	if q := s.c.Question; q != "" {
		asked = []json.RawMessage{llm.TextMessage("user", q)}
	}
	text := prompt.Question(asked)
	if r := w.opts.RAG; r != nil && text != "" {
		all.Go(func() { search(r, text) })
	}
	all.Wait()
	if r := w.opts.RAG; r != nil && text == "" {
		switch text := earlier(g.turns); {
		case text == "" && !own.fromUser():
			failed[1] = fault.Field("gateway.rag", "'gateway.rag' needs a user message to search for.")
		case text == "": // pictures, say
			s.skip(ctx, "rag", fault.New(fault.Invalid, "no message has text to search for"))
		default:
			search(r, text)
		}
	}
	return g, errors.Join(failed[:]...)
}

// earlier is the newest question in a conversation.
func earlier(turns []conversation.Turn) string {
	for _, t := range turns {
		if text := prompt.Question(t.Messages); text != "" {
			return text
		}
	}
	return ""
}

// skip leaves an optional stage out and says so.
func (s *Session) skip(ctx context.Context, stage string, err error) {
	s.g.Log.LogAttrs(ctx, slog.LevelWarn, "left out", slog.String("stage", stage), slog.String("request_id", s.c.Record.ID), slog.Any("err", err))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.c.Record.Skipped, stage) {
		s.c.Record.Skipped = append(s.c.Record.Skipped, stage)
	}
}

// clients reports whether a failure is about what the client asked for.
func clients(err error) bool {
	k := fault.As(err).Kind
	return k == fault.Invalid || k == fault.NotFound || k == fault.Conflict
}

// blame names the field that a failure is about.
func blame(err error, param, code string) error {
	f := *fault.As(err)
	f.Param = param
	if f.Code == "" {
		f.Code = code
	}
	return &f
}

func (s *Session) remember(ctx context.Context, id string) ([]conversation.Turn, error) {
	if s.g.Conversations == nil {
		return nil, &fault.Error{Kind: fault.Unimplemented, Param: "gateway.conversation", Code: "not_implemented", Message: "This gateway keeps no conversations."}
	}
	turns, err := s.g.Conversations.Turns(ctx, s.c.User, id, "", maxTurns+1) // one more tells whether there are more
	switch {
	case err == nil:
		return turns, nil
	case clients(err):
		return nil, blame(err, "gateway.conversation", "conversation_not_found")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	s.skip(ctx, "conversation", err)
	return nil, nil
}

// about asks what is known of a project. A gateway that can ask nobody goes on
// without: the request is as good as on the day when nothing was known.
func (s *Session) about(ctx context.Context, project string) (string, error) {
	if s.g.Projects == nil {
		s.skip(ctx, "project", fault.New(fault.Unimplemented, "PROJECT_SERVICE_URL is not set."))
		return "", nil
	}
	text, err := s.g.Projects.Context(ctx, s.c.User, s.c.Record.ID, project)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, fault.NotFound):
		return "", blame(err, "gateway.project", "project_not_found")
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	s.skip(ctx, "project", err)
	return "", nil
}

// retrieve searches for what is asked, for as long as a prompt can wait.
func (s *Session) retrieve(ctx context.Context, r *Retrieval, text string) ([]rag.Hit, error) {
	bounded, cancel := context.WithTimeout(ctx, retrieval)
	defer cancel()
	q := rag.Query{Collection: r.Collection, Text: text, Limit: r.Top, Filter: r.Filter}
	hits, err := s.Find(bounded, q)
	if errors.Is(err, fault.Conflict) || errors.Is(err, fault.Upstream) { // the vectors do not compare, which is not the client's doing
		s.skip(ctx, "rag.embedding", err)
		hits, err = s.g.Find(bounded, s.c.User, q)
	}
	switch {
	case err == nil:
	case errors.Is(err, fault.Unimplemented):
		return nil, blame(err, "gateway.rag", "not_implemented")
	case errors.Is(err, fault.NotFound):
		return nil, blame(err, "gateway.rag.collection", "collection_not_found")
	case errors.Is(err, fault.Invalid):
		return nil, blame(err, "gateway.rag", "")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		s.skip(ctx, "rag", err)
		return nil, nil
	}
	if i := slices.IndexFunc(hits, func(h rag.Hit) bool { return h.Score < r.MinScore }); i >= 0 {
		hits = hits[:i]
	}
	return hits, nil
}

// Find searches the tenant's passages as a request itself, not as an optional
// part of one: a failure is one. It fails as Gateway.Find.
func (s *Session) Find(ctx context.Context, q rag.Query) ([]rag.Hit, error) {
	s.aim(&q)
	return s.g.Find(ctx, s.c.User, q)
}

// Find searches a tenant's passages by their words, for requests that call no
// model. It fails as rag.Find, and with fault.Unimplemented if there are no
// documents.
func (g *Gateway) Find(ctx context.Context, tenant string, q rag.Query) ([]rag.Hit, error) {
	if g.Passages == nil {
		return nil, fault.New(fault.Unimplemented, "This gateway has no documents: QDRANT_URL is not set.")
	}
	return rag.Find(ctx, g.Passages, tenant, q)
}

// aim lets q be asked by what its text means, too, if there is a model for
// that: where the collection has no vectors, the model is not called.
func (s *Session) aim(q *rag.Query) {
	model := s.g.Embedding
	if model == "" {
		return
	}
	q.Embedding = model
	q.Embed = func(ctx context.Context, texts []string) ([][]float32, error) {
		bounded, cancel := context.WithTimeout(ctx, aiming)
		defer cancel()
		list, err := s.embedQuestion(bounded, model, texts)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			s.skip(ctx, "rag.embedding", err) // terms still find what they find
			return nil, nil
		}
		return list, nil
	}
}

// embedQuestion makes the vector of a question, on the request's bill.
func (s *Session) embedQuestion(ctx context.Context, model string, texts []string) ([][]float32, error) {
	w, err := s.g.PrepareVectors(ctx, s.c, model, texts)
	if err != nil {
		return nil, err
	}
	if err := s.Allows(w); err != nil {
		return nil, err
	}
	w.Side = true
	return s.Vectors(ctx, w)
}

// keepable fails if what w says is too large for a turn of its conversation
// whatever the answer is: nobody is to pay for that.
func (w *Work) keepable() error {
	if n := len(w.said); n+1 > conversation.MaxMessages {
		return fault.Field(w.source(), "A request with 'gateway.conversation' may add at most %d messages, which are kept with the answer; this one has %d. Append earlier ones to the conversation first.", conversation.MaxMessages-1, n)
	}
	if size := bytesOf(w.said); size > conversation.MaxAppend {
		return fault.Field(w.source(), "A request with 'gateway.conversation' may add messages of at most %d bytes, which are kept with the answer; this one's have %d.", conversation.MaxAppend, size)
	}
	return nil
}

func bytesOf(messages []json.RawMessage) (size int) {
	for _, m := range messages {
		size += len(m)
	}
	return size
}

// keep appends what was said to the conversation. An answer that cannot be
// kept was given all the same: it is noted as skipped.
func (s *Session) keep(ctx context.Context, w *Work, a *llm.Answer) {
	if len(a.Choices) == 0 {
		return
	}
	t := conversation.Turn{Request: s.c.Record.ID, Created: s.c.Record.Time, Messages: append(slices.Clone(w.said), a.Choices[0].Message())}
	size := bytesOf(t.Messages)
	err := error(fault.New(fault.Invalid, "a turn of %d messages and %d bytes is too large to be kept", len(t.Messages), size))
	if len(t.Messages) <= conversation.MaxMessages && size <= conversation.MaxAppend {
		err = s.g.Conversations.Append(context.WithoutCancel(ctx), s.c.User, w.opts.Conversation, t)
	}
	if err != nil {
		s.skip(ctx, "conversation.append", err)
	}
}
