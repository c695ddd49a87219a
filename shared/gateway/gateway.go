// Package gateway takes one request through every stage, in order: admission,
// the provider, metering, settlement. Read Chat from top to bottom to know
// what the product does.
package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// DefaultMaxTokens is what an answer is expected to need at most when the
// client sets no bound. Longer answers are topped up while they stream.
const DefaultMaxTokens = 4096

// Gateway runs requests. Fields without a comment are required.
type Gateway struct {
	Models *Registry
	Store  admission.Store
	Pepper func(context.Context) (string, error) // GATEWAY_KEY_PEPPER
	Log    *slog.Logger

	// Trace begins the span of a call to a provider. Nil: no tracing.
	Trace func(context.Context, Attempt) (context.Context, func(Outcome))

	// Vectors remembers embeddings. Nil: every input is sent to a provider.
	Vectors *VectorCache

	Observe func(*usage.Record) // nil: no metrics
	// What prompts are made of; nil: there is none of it.
	Recipes       recipe.Reader // templates
	Conversations conversation.Reader
	Passages      rag.Finder
	Projects      Projects
	Embedding     string // the model whose vectors passages have, too; "": none

	UnknownPrice string // "allow", "reject", or "": by whether the user has a budget
	FailOpen     bool   // admit requests while the store is down

	templates templates
}

// Call is one request on its way. The api package makes it at the door with
// Gateway.Begin and hands it from stage to stage.
type Call struct {
	Start time.Time
	User  string
	Hash  string // of the key's secret

	Grant   admission.Grant
	Record  usage.Record
	Dropped []string // request fields that the provider could not take
	Need    llm.Need // what the caller reads of events, beside Raw
	// Whole says that none of the client's own messages may be left out to make
	// the prompt fit: they are one task.
	Whole bool
	// Question is what passages are searched for; "" for the newest user message.
	Question string

	// Admitted is called by Chat when the request has been admitted, before
	// anything is fetched or asked for it. Nil: nobody wants to know.
	Admitted func()

	Assembly *Assembly // how the prompt was put together; nil: it is the client's own
	Cache    string    // what was answered from it: hit (all), miss, or "" if it was not asked

	session      *Session
	timing       timing
	includeUsage bool
	settled      bool
	admitted     bool
}

// timing separates our own time from that of providers. The session's lock
// guards it.
type timing struct {
	first   time.Time     // the answer began
	waiting int           // calls under way
	since   time.Time     // the first of those began
	waited  time.Duration // for calls before them
}

// Overhead is our own time so far: that in which no provider was being asked,
// for an answer, a vector or a summary.
func (c *Call) Overhead() time.Duration {
	now := time.Now()
	if c.session == nil {
		return now.Sub(c.Start)
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	own := now.Sub(c.Start) - c.timing.waited
	if c.timing.waiting > 0 {
		own -= now.Sub(c.timing.since)
	}
	return own
}

// wait notes that a provider is being asked, until rest is called.
func (b *bill) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := &b.c.timing; t.waiting == 0 {
		t.since = time.Now()
	}
	b.c.timing.waiting++
}

func (b *bill) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &b.c.timing
	if t.waiting--; t.waiting == 0 {
		t.waited += time.Since(t.since)
	}
}

// Begin checks key without I/O and opens the books of a request. id is the
// request's; operation is chat, embeddings, ….
func (g *Gateway) Begin(ctx context.Context, id, key, operation string, start time.Time) (*Call, error) {
	c := &Call{Start: start}
	c.Record.ID, c.Record.Time, c.Record.Operation = id, start.UTC(), operation
	if key == "" {
		return c, &fault.Error{Kind: fault.Unauthorized, Code: "invalid_api_key",
			Message: "You didn't provide an API key. Send one as 'Authorization: Bearer gw_…' or 'x-api-key: gw_…'."}
	}
	pepper, err := g.Pepper(ctx)
	if err != nil {
		return c, fault.Wrap(fault.Unavailable, err, "Keys cannot be checked at the moment.")
	}
	if c.User, c.Hash, err = admission.ParseKey([]byte(pepper), key); err != nil {
		return c, err
	}
	c.Record.User, c.Record.Key = c.User, admission.KeyID(c.Hash)
	return c, nil
}

// Touch proves the key and takes a slot of the rate limit, for requests that
// call no model: listings, and those whose body turned out to be wrong.
func (g *Gateway) Touch(ctx context.Context, c *Call, scope string) error {
	grant, err := g.Store.Admit(ctx, admission.Ask{ID: c.Record.ID, User: c.User, KeyHash: c.Hash, Scope: scope, Now: time.Now()})
	c.Grant = grant
	return err
}

// Refuse is the answer to a request that is wrong in itself. The key is proved
// first, so that a stranger learns nothing but 401.
func (g *Gateway) Refuse(ctx context.Context, c *Call, reason error) error {
	if err := g.Touch(ctx, c, "inference"); err != nil {
		return err
	}
	return reason
}

// Chat runs a chat request. emit gets the events; by the time it does, c.Record
// says who answers and, from the event with the usage on, what it costs. After
// Chat the caller finishes its answer and then must call Settle.
func (g *Gateway) Chat(ctx context.Context, c *Call, body []byte, emit func(*llm.Event) error) error {
	w, err := g.PrepareChat(ctx, c, body)
	if err != nil {
		return g.Refuse(ctx, c, err)
	}
	req := w.chat
	req.Need |= c.Need
	c.Record.Asked, c.Record.Stream, c.Record.Tags, c.includeUsage = req.Model, req.Stream, w.opts.Tags, req.IncludeUsage
	if w.filled != nil {
		c.Record.Template = w.filled.name
	}
	s, err := g.Open(ctx, c, w)
	if err != nil {
		return err
	}
	if c.Admitted != nil {
		c.Admitted()
	}
	return s.Chat(ctx, w, emit)
}

// Embed runs an embeddings request; otherwise as Chat.
func (g *Gateway) Embed(ctx context.Context, c *Call, body []byte) (*llm.EmbedRequest, *llm.Embeddings, error) {
	w, err := g.prepareEmbed(ctx, c, body)
	if err != nil {
		return nil, nil, g.Refuse(ctx, c, err)
	}
	c.Record.Asked, c.Record.Tags = w.embed.Model, w.opts.Tags
	s, err := g.Open(ctx, c, w)
	if err != nil {
		return nil, nil, err
	}
	out, err := s.Embed(ctx, w)
	return w.embed, out, err
}

// Attempt is one call to a provider.
type Attempt struct {
	Provider, Model, Operation string
	Chat                       *llm.Request // nil for embeddings
}

// Outcome is what is known of an Attempt at its end; nothing of it is certain
// to be there.
type Outcome struct {
	ID      string        // the provider's id of the answer
	Model   string        // that answered, in the provider's words
	Usage   *llm.Usage    // what was billed
	Finish  []string      // finish_reason per choice
	TTFT    time.Duration // from the call to the first event
	Vectors int64         // the dimension of embeddings
	Err     error
}

func (g *Gateway) trace(ctx context.Context, c *Call, t *Target, chat *llm.Request) (context.Context, func(Outcome)) {
	if g.Trace == nil {
		return ctx, func(Outcome) {}
	}
	return g.Trace(ctx, Attempt{Provider: t.Provider, Model: t.Model, Operation: c.Record.Operation, Chat: chat})
}

// Settle closes the books of an admitted request: the ledger record first,
// then the lease. It is the last thing that happens before the response ends,
// and it happens whatever became of the request; so it runs on after the
// client has left. status is the HTTP status that the client got, err what
// went wrong.
func (g *Gateway) Settle(ctx context.Context, c *Call, status int, err error) {
	if c.settled {
		return
	}
	c.settled = true
	if c.session != nil {
		c.session.finish()
	}
	r := &c.Record
	r.Status, r.Overhead, r.Duration = status, c.Overhead(), time.Since(c.Start)
	if f := fault.As(err); f != nil {
		r.Error = string(f.Kind)
		r.Partial = r.OutputTokens > 0
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if g.Models != nil && g.Models.Router.Board != nil { // while the books are closed
		var shared sync.WaitGroup
		shared.Go(func() {
			if err := g.Models.Router.Share(ctx); err != nil {
				g.Log.LogAttrs(ctx, slog.LevelWarn, "breakers are not shared", slog.Any("err", err))
			}
		})
		defer shared.Wait()
	}
	if c.admitted {
		booked, serr := g.Store.Settle(ctx, c.Grant.Lease, *r)
		switch {
		case serr != nil: // the lease stays open and is swept; this line holds the real figures
			g.Log.LogAttrs(ctx, slog.LevelError, "settlement failed: the lease stays open", slog.String("request_id", r.ID), slog.Any("err", serr))
		case booked.Cost != r.Cost:
			g.Log.LogAttrs(ctx, slog.LevelWarn, "late_settlement", slog.String("request_id", r.ID),
				slog.String("booked_usd", booked.Cost.USD()), slog.String("cost_usd", r.Cost.USD()))
		}
		g.sweep(ctx, c.Grant.Expired)
	}
	if g.Observe != nil {
		g.Observe(r)
	}
	logRecord(ctx, g.Log, r, err)
}

// sweep settles leases whose requests must be dead, at their estimate. If the
// ledger knows better, the store books what stands there.
func (g *Gateway) sweep(ctx context.Context, dead []admission.Lease) {
	for _, l := range dead {
		if err := Sweep(ctx, g.Store, l); err != nil {
			g.Log.LogAttrs(ctx, slog.LevelWarn, "sweep failed", slog.String("request_id", l.ID), slog.Any("err", err))
		}
	}
}

// Sweep settles one dead lease at its estimate, marked as unsettled.
func Sweep(ctx context.Context, store admission.Store, l admission.Lease) error {
	_, err := store.Settle(ctx, l, l.Unsettled())
	return err
}

// SweepExpired sweeps every lease that must be dead at now. It goes on after a
// failure, so that one broken account does not stop the others, and returns
// the last.
func SweepExpired(ctx context.Context, store admission.Store, log *slog.Logger, now time.Time) error {
	var failed error
	swept := 0
	for l, err := range store.Expired(ctx, now.Add(-admission.Lifetime-admission.Grace)) {
		if err == nil {
			err = Sweep(ctx, store, l)
		}
		if err != nil {
			failed = err
			log.LogAttrs(ctx, slog.LevelError, "sweep failed", slog.String("request_id", l.ID), slog.Any("err", err))
			continue
		}
		swept++
	}
	log.LogAttrs(ctx, slog.LevelInfo, "sweep", slog.Int("leases", swept))
	return failed
}

// IncludeUsage says whether the client asked for a stream's usage chunk.
func (c *Call) IncludeUsage() bool { return c.includeUsage }
