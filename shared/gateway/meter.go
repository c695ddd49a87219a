package gateway

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// errCut ends a stream whose budget is used up. It never leaves this package.
var errCut = errors.New("gateway: budget exceeded")

// meter stands between a provider and the client: it notes times, counts what
// is generated, books the usage, and asks for more money while a stream runs.
type meter struct {
	g    *Gateway
	c    *Call
	req  *llm.Request
	ctx  context.Context
	emit func(*llm.Event) error

	seen     bool  // an event has come
	billed   bool  // with the usage on
	bytes    int64 // of generated text
	soft     int64 // bytes at which a top-up is asked for
	hard     int64 // bytes at which the stream waits for its answer
	perBytes float64
	topup    chan topup
	result   Outcome
}

type topup struct {
	reserved usage.Nano
	err      error
}

func newMeter(ctx context.Context, g *Gateway, c *Call, req *llm.Request, est estimate) *meter {
	m := &meter{g: g, c: c, req: req, ctx: ctx, soft: math.MaxInt64, hard: math.MaxInt64}
	if req.Stream && !c.Record.FailOpen {
		m.perBytes = float64(c.target.Price.Bound(0, 1_000_000)) / 1e6 / bytesPerTokenUsual
		m.aim(est.cost)
	}
	return m
}

// aim sets the marks for what is reserved.
func (m *meter) aim(reserved usage.Nano) {
	if m.perBytes <= 0 {
		return
	}
	room := float64(reserved - m.c.target.Price.Bound(m.inputTokens(), 0))
	m.soft, m.hard = int64(0.8*room/m.perBytes), int64(room/m.perBytes)
}

func (m *meter) inputTokens() int64 {
	text, images := promptBytes(m.req.Raw)
	return text/bytesPerTokenUsual + images*imageTokens
}

// run calls the provider and leaves the books complete, whatever happens.
func (m *meter) run(emit func(*llm.Event) error) error {
	m.emit = emit
	m.c.ask()
	ctx, end := m.g.trace(m.ctx, m.c, m.req)
	err := m.c.target.Chat.Complete(ctx, m.req, m.event)
	m.c.timing.done = time.Now()
	m.c.Dropped = m.req.Dropped
	if errors.Is(err, errCut) {
		err = nil
	}
	if m.seen && !m.billed { // the provider did not say, or was not let finish
		m.c.book(llm.Usage{Input: m.inputTokens(), Output: (m.bytes + bytesPerTokenUsual - 1) / bytesPerTokenUsual})
		m.c.Record.Estimated = true
	}
	m.result.Err = err
	end(m.result)
	return err
}

func (m *meter) event(e *llm.Event) error {
	if !m.seen {
		m.seen = true
		m.c.timing.first = time.Now()
		m.c.Record.TTFT = m.c.timing.first.Sub(m.c.Start)
		m.result.TTFT = m.c.timing.first.Sub(m.c.timing.asked)
		m.result.ID, m.result.Model = e.ID, e.Model
		m.c.Dropped = m.req.Dropped
	}
	m.bytes += int64(e.Bytes + len(e.Text) + len(e.Reasoning) + len(e.Refusal))
	for i := range e.Tools {
		m.bytes += int64(len(e.Tools[i].Name) + len(e.Tools[i].Arguments))
	}
	if e.Usage != nil {
		m.billed = true
		m.c.book(*e.Usage)
		if m.g.Trace != nil {
			u := *e.Usage // e is gone when the span ends
			m.result.Usage = &u
		}
	}
	if e.Finish != "" && m.c.Record.Finish == "" {
		m.c.Record.Finish = e.Finish
		m.result.Finish = append(m.result.Finish, e.Finish)
	}
	if err := m.emit(e); err != nil {
		return err
	}
	if m.bytes >= m.soft {
		return m.fund()
	}
	return nil
}

// fund asks for more money at the soft mark and takes up the answer when it is
// there, or, at the hard mark, when it comes. A refusal ends the stream.
func (m *meter) fund() error {
	if m.topup == nil {
		lease, more := m.c.Grant.Lease, m.c.target.Price.Bound(0, DefaultMaxTokens)
		answer := make(chan topup, 1)
		m.topup = answer
		go func() {
			defer func() {
				if v := recover(); v != nil {
					answer <- topup{err: fault.New(fault.Internal, "panic in top-up: %v", v)}
				}
			}()
			l, err := m.g.Store.TopUp(context.WithoutCancel(m.ctx), lease, lease.Reserved+more)
			answer <- topup{l.Reserved, err}
		}()
	}
	if m.bytes < m.hard {
		select {
		case t := <-m.topup:
			return m.funded(t)
		default:
			return nil
		}
	}
	return m.funded(<-m.topup)
}

func (m *meter) funded(t topup) error {
	m.topup = nil
	if t.err != nil {
		m.c.Record.Partial = true
		m.c.Record.Finish = "length"
		for i := range m.req.N {
			if err := m.emit(&llm.Event{Index: int(i), Finish: "length", Notice: "budget_exceeded"}); err != nil {
				return err
			}
		}
		return errCut
	}
	m.c.Grant.Lease.Reserved, m.c.Record.Reserved = t.reserved, t.reserved
	m.aim(t.reserved)
	return nil
}

// stop waits for a top-up that is still under way: settlement must know what
// the lease holds.
func (m *meter) stop() {
	if m.topup == nil {
		return
	}
	if t := <-m.topup; t.err == nil {
		m.c.Grant.Lease.Reserved, m.c.Record.Reserved = t.reserved, t.reserved
	}
	m.topup = nil
}
