package gateway

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// enter begins a as an attempt of w, if what is reserved covers it besides what
// the others cost, and says whether it did.
func (b *bill) enter(w *Work, a *attempt) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.c
	if w.Fund != nil && w.committed()+a.held > w.allowed || b.committed+a.held > b.reserved && !c.Record.FailOpen {
		return false
	}
	a.asked = time.Now()
	b.committed += a.held
	b.attempts, w.attempts = append(b.attempts, a), append(w.attempts, a)
	c.Record.Attempts++
	if t := a.target; !w.Side && (len(b.attempts) == 1 || b.attempts[len(b.attempts)-2].ended) { // in a race, the first stands for all until one speaks
		c.Record.Provider, c.Record.Model = t.Provider, t.Model
	}
	return true
}

// cover has as much reserved as a takes besides what the others cost now; a takes
// less if w can do with that. It fails as raise and Work.Fund do. The caller holds
// funding.
func (b *bill) cover(ctx context.Context, w *Work, a *attempt) error {
	had := w.allowed
	for {
		b.mu.Lock()
		own, all := w.committed()+a.held, b.committed+a.held
		b.mu.Unlock()
		if err := b.allow(w, max(had, own)); err != nil {
			return err
		}
		err := b.raise(ctx, all)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fault.Quota) && w.yield():
			a.held = w.est.cost(a.target)
		default:
			b.giveBack(w, had)
			return w.est.advise(err)
		}
	}
}

// commit counts more as what calls may still cost, before they are made.
func (b *bill) commit(more usage.Nano) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.committed += more
}

// more raises what the lease holds by an amount for w, or by as much of it as
// the budgets of w and of the user have, down to a sixteenth. It fails as cover.
func (b *bill) more(ctx context.Context, w *Work, amount usage.Nano) (err error) {
	b.funding.Lock()
	defer b.funding.Unlock()
	had := w.allowed
	for least := max(1, amount/16); amount >= least; amount /= 2 {
		if err = b.allow(w, had+amount); err == nil {
			err = b.raise(ctx, b.reserved+amount)
		}
		if !errors.Is(err, fault.Quota) {
			break
		}
	}
	if err != nil {
		b.giveBack(w, had)
	}
	return err
}

// allow asks w's own budget for most, which may be less than it allowed last.
// The caller holds funding.
func (b *bill) allow(w *Work, most usage.Nano) error {
	if w.Fund == nil || most == w.allowed {
		return nil
	}
	if err := w.Fund(most); err != nil {
		return err
	}
	b.mu.Lock()
	w.allowed = most
	b.mu.Unlock()
	return nil
}

// giveBack lets w's own budget have what it allowed above most, and the account
// did not. The caller holds funding.
func (b *bill) giveBack(w *Work, most usage.Nano) {
	b.allow(w, most) //nolint:errcheck // taking less cannot fail
}

// raise makes the lease hold at least need. It fails with fault.Quota if the
// budget has no room, and with fault.Unavailable, naming no provider, if the
// account cannot be asked. The caller holds funding.
func (b *bill) raise(ctx context.Context, need usage.Nano) error {
	if need <= b.reserved || b.c.Record.FailOpen {
		return nil
	}
	lease := b.c.Grant.Lease
	lease.Reserved = b.reserved // a store that is told what it holds needs one write
	l, err := b.g.Store.TopUp(context.WithoutCancel(ctx), lease, need)
	switch {
	case err == nil:
		b.mu.Lock()
		b.reserved = max(need, l.Reserved)
		b.mu.Unlock()
		return nil
	case errors.Is(err, fault.Quota):
		return err
	case errors.Is(err, fault.Unavailable) && b.g.FailOpen:
		b.g.Log.LogAttrs(ctx, slog.LevelWarn, "goes on although the store is down", slog.String("request_id", b.c.Record.ID), slog.Any("err", err))
		b.mu.Lock()
		b.c.Record.FailOpen = true
		b.mu.Unlock()
		return nil
	case errors.Is(err, fault.Unavailable):
		return err
	}
	return &fault.Error{Kind: fault.Unavailable, Message: "What this request may spend cannot be found out. Try again.", RetryAfter: time.Second, Err: err}
}
