package gateway

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

// errCut ends a stream that may not go on: its budget is used up, or nobody can
// say whether it is. It never leaves this package.
var errCut = errors.New("gateway: cut off")

// meter stands between the route and the client: it notes times, books the
// usage, and asks for more money while a stream runs.
type meter struct {
	*bill
	w     *Work
	req   *llm.Request
	route *router.Route
	emit  func(*llm.Event) error

	speaker *attempt // whose events the client gets
	soft    int64    // bytes at which a top-up is asked for
	hard    int64    // bytes at which the stream waits for its answer
	perByte float64  // nano-dollars that a byte of the answer costs
	aimed   bool     // the marks are set, where there are any
	topup   chan error
	final   bool  // it was asked for at the hard mark
	cut     bool  // the answer was ended here,
	failed  error // for this reason; nil: the budget, which the client was told
}

func newMeter(b *bill, w *Work) *meter {
	m := &meter{bill: b, w: w, req: w.chat, route: w.route, soft: math.MaxInt64, hard: math.MaxInt64}
	m.route.Ask, m.route.Picked = m.ask, m.picked
	return m
}

// aim sets the marks for what is reserved.
func (m *meter) aim() {
	m.aimed = true
	m.perByte = float64(m.speaker.target.Price.Bound(0, 1_000_000)) / 1e6 / bytesPerTokenUsual
	if m.perByte <= 0 || !m.req.Stream {
		return
	}
	// The prompt takes what a count says, but no more than is reserved for it:
	// that may have been counted better, when the prompt was put together.
	prompt, _ := m.w.est.tokens(m.speaker.target)
	input := m.speaker.target.Price.Bound(min(prompt, roughPrompt(m.req)), 0)
	m.mu.Lock()
	left, known := m.reserved-(m.committed-m.speaker.held), !m.c.Record.FailOpen // or nobody could say what is left
	if own := m.w.allowed - (m.w.committed() - m.speaker.held); m.w.Fund != nil && (own < left || !known) {
		left, known = own, true
	}
	m.mu.Unlock()
	if !known {
		m.soft, m.hard = math.MaxInt64, math.MaxInt64
		return
	}
	room := float64(left - input)
	m.soft, m.hard = int64(0.8*room/m.perByte), int64(room/m.perByte)
}

func (m *meter) inputTokens() int64 { return countPrompt(m.req) }

// run has the request answered and leaves the books complete, whatever happens.
func (m *meter) run(ctx context.Context, emit func(*llm.Event) error) error {
	m.emit = emit
	defer m.stop()
	m.wait()
	err := m.route.Complete(ctx, m.req, func(e *llm.Event) error { return m.event(ctx, e) })
	m.rest()
	last := m.last()
	if last != nil {
		m.book(m.w, last, true)
	}
	m.mu.Lock()
	m.c.Record.Rotations += m.route.Rotations
	if last != nil && !m.w.Side {
		m.c.Dropped = last.dropped
	}
	m.mu.Unlock()
	if m.cut && errors.Is(err, errCut) {
		return m.failed
	}
	return err
}

// last is the attempt that the record is about: the speaker, or the last one.
func (m *meter) last() *attempt {
	if m.speaker != nil {
		return m.speaker
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest(nil)
}

// latest is the last attempt of this work at a target, or, if that is nil, at
// any; nil if there was none. The caller holds mu.
func (m *meter) latest(at *Target) *attempt {
	for _, a := range slices.Backward(m.w.attempts) {
		if at == nil || a.target == at {
			return a
		}
	}
	return nil
}

// ask makes one call to a target and counts what comes of it.
func (m *meter) ask(ctx context.Context, to *router.Target, req *llm.Request, emit func(*llm.Event) error) error {
	t := to.Of.(*Target)
	a, err := m.open(ctx, m.w, t)
	if err != nil {
		return err
	}
	own := req
	if m.route.Racing() { // others write to theirs at the same time
		clone := *req
		own = &clone
	}
	own.Model, own.Dropped = t.Model, nil
	if m.w.bound > 0 {
		own.MaxTokens = m.w.boundAt(t)
	}
	ctx, end := m.g.trace(ctx, m.c, t, own)
	err = fault.Guard(func() error { // what was generated before a panic is billed, too
		return t.Chat.Complete(ctx, own, func(e *llm.Event) error {
			if !a.seen {
				a.dropped = own.Dropped
			}
			m.count(a, e)
			return emit(e)
		})
	})
	a.dropped = own.Dropped
	if cause := context.Cause(ctx); cause != nil && err != nil && errors.Is(err, ctx.Err()) {
		err = cause // a timeout of the attempt's own is no client that left
	}
	m.close(a, m.inputTokens, err)
	end(a.result)
	return err
}

// picked hears which target speaks to the client.
func (m *meter) picked(to *router.Target) {
	m.mu.Lock()
	m.speaker = m.latest(to.Of.(*Target))
	if c, a := m.c, m.speaker; !m.w.Side {
		if c.timing.first.IsZero() {
			c.timing.first = time.Now()
			c.Record.TTFT = c.timing.first.Sub(c.Start)
		}
		c.Record.Provider, c.Record.Model = a.target.Provider, a.target.Model
		c.Dropped = a.dropped
	}
	m.mu.Unlock()
}

// event passes an event of the speaker on.
func (m *meter) event(ctx context.Context, e *llm.Event) error {
	if e.Raw != nil && e.Usage == nil && !m.req.Stream && !m.speaker.known { // the whole answer, which comes with its price
		m.estimate(m.speaker, m.inputTokens)
		m.book(m.w, m.speaker, false)
	}
	if e.Usage != nil {
		m.book(m.w, m.speaker, false)
	}
	if e.Finish != "" && !m.w.Side {
		m.mu.Lock()
		if m.c.Record.Finish == "" {
			m.c.Record.Finish = e.Finish
		}
		m.mu.Unlock()
	}
	if err := m.emit(e); err != nil {
		return err
	}
	if !m.aimed { // behind the first event: a long prompt takes a while to count
		m.aim()
	}
	if m.speaker.bytes >= m.soft {
		return m.askForMore(ctx)
	}
	return nil
}

// askForMore asks for more money at the soft mark and takes up the answer when it is
// there, or, at the hard mark, when it comes. Whether it is refused or nobody
// can say: it is asked for again at the hard mark, and ends the stream only then.
func (m *meter) askForMore(ctx context.Context) error {
	if m.topup == nil {
		more := m.speaker.target.Price.Bound(0, DefaultMaxTokens)
		answer := make(chan error, 1)
		m.topup, m.final = answer, m.speaker.bytes >= m.hard
		go func() { answer <- fault.Guard(func() error { return m.more(ctx, m.w, more) }) }()
	}
	if m.speaker.bytes < m.hard {
		select {
		case err := <-m.topup:
			return m.heard(ctx, err)
		default:
			return nil
		}
	}
	return m.heard(ctx, <-m.topup)
}

// heard takes up the answer to a question for more money.
func (m *meter) heard(ctx context.Context, err error) error {
	m.topup = nil
	switch {
	case err == nil:
		if m.aim(); m.speaker.bytes >= m.hard { // an event was longer than what was granted
			return m.askForMore(ctx)
		}
		return nil
	case !m.final && m.speaker.bytes < m.hard: // what is reserved lasts until then, and others may settle
		m.soft = m.hard
		return nil
	case !m.final:
		return m.askForMore(ctx)
	case errors.Is(err, fault.Quota):
		m.cut = true
		m.mu.Lock()
		m.c.Record.Partial, m.c.Record.Finish = true, "length"
		m.mu.Unlock()
		for i := range m.req.N {
			if err := m.emit(&llm.Event{Index: int(i), Finish: "length", Notice: "budget_exceeded"}); err != nil {
				return err
			}
		}
		return errCut
	}
	m.cut, m.failed = true, err
	return errCut
}

// stop waits for a top-up that is still under way: settlement must know what
// the lease holds.
func (m *meter) stop() {
	if m.topup != nil {
		<-m.topup //nolint:errcheck // whether it was granted is in the account
		m.topup = nil
	}
}
