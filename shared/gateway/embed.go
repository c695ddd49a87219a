package gateway

import (
	"context"
	"time"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

// embed asks the route's targets one after the other; vectors of different
// models do not compare, so that only the configuration can name fallbacks.
func (b *bill) embed(ctx context.Context, w *Work) (out *llm.Embeddings, err error) {
	req, c, last := w.embed, b.c, (*attempt)(nil)
	err = w.route.Run(ctx, func(ctx context.Context, to *router.Target, begun func()) error {
		t := to.Of.(*Target)
		a, err := b.open(w, t)
		if err != nil {
			return err
		}
		last = a
		req.Model, req.Dropped = t.Model, nil
		ctx, end := b.g.trace(ctx, c, t, nil)
		out, err = t.Embedder.Embed(ctx, req)
		a.result.TTFT = time.Since(a.asked)
		if err == nil {
			begun()
			b.embedded(a, req, out)
		}
		b.close(a, nil, err)
		end(a.result)
		return err
	})
	if last != nil {
		b.book(w, last, true)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Record.Rotations += w.route.Rotations
	c.timing.done = time.Now()
	if w.Side {
		return out, err
	}
	c.timing.first, c.Dropped = c.timing.done, req.Dropped
	if err == nil {
		c.Record.TTFT = c.timing.done.Sub(c.Start)
	}
	return out, err
}

// embedded notes what vectors cost.
func (b *bill) embedded(a *attempt, req *llm.EmbedRequest, out *llm.Embeddings) {
	guess := out.Usage == nil
	if guess {
		out.Usage = &llm.Usage{Input: countInputs(req)}
	}
	b.price(a, *out.Usage, guess)
	a.result.Model = out.Model
	if len(out.Vectors) > 0 {
		a.result.Vectors = int64(len(out.Vectors[0]))
	}
}
