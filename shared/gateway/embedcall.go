package gateway

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
)

// parallelCalls bounds how many calls for vectors one request makes at a time,
// unless its target knows better.
const parallelCalls = 4

// batch is what one call to t may hold.
func (t *Target) batch() llm.Batch {
	if b, ok := t.Embedder.(llm.Batcher); ok {
		return b.Batch(t.Model)
	}
	return llm.Batch{}
}

// fetch has the inputs at their places in list answered, in parts as large as
// the target that is asked first can take. Each part is tried again and goes
// elsewhere by itself; the first that fails for good ends the others.
func (e *embedding) fetch(ctx context.Context, route *router.Route, first *Target, list []int) error {
	limit := first.batch()
	parts := e.cut(list, limit)
	if len(parts) == 1 {
		return e.part(ctx, route, parts[0])
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(parallelCalls)
	if limit.Calls > 0 {
		calls.SetLimit(limit.Calls)
	}
	for _, p := range parts {
		calls.Go(func() error {
			if ctx.Err() != nil {
				return fault.As(context.Cause(ctx))
			}
			return fault.Guard(func() error { return e.part(ctx, route, p) })
		})
	}
	return calls.Wait()
}

// cut cuts list into parts within limit. An input that is above it alone makes
// a part: the provider shall say what is wrong with it.
func (e *embedding) cut(list []int, limit llm.Batch) [][]int {
	var parts [][]int
	from, sum := 0, int64(0)
	for k, i := range list {
		n := e.tokens(i)
		if k > from && (limit.Inputs > 0 && k-from == limit.Inputs || limit.Tokens > 0 && sum+n > limit.Tokens) {
			parts = append(parts, list[from:k])
			from, sum = k, 0
		}
		sum += n
	}
	if from == len(list) {
		return parts
	}
	return append(parts, list[from:])
}

// tokens is the most that an input may be.
func (e *embedding) tokens(i int) int64 {
	if e.req.Tokens != nil {
		return int64(len(e.req.Tokens[i]))
	}
	return int64(len(e.req.Inputs[i]))/bytesPerTokenLow + 1
}

// part takes one part of the request through the route.
func (e *embedding) part(ctx context.Context, route *router.Route, list []int) error {
	own := *route
	err := own.Run(ctx, func(ctx context.Context, to *router.Target, begun func()) error {
		t := to.Of.(*Target)
		// A fallback may take less at a time than the target the parts were cut
		// for. What it has answered before it failed needs no second call.
		for _, piece := range e.cut(e.without(list, t.place()), t.batch()) {
			if err := e.call(ctx, t, piece); err != nil {
				return err
			}
		}
		begun()
		return nil
	})
	e.b.mu.Lock()
	e.b.c.Record.Rotations += own.Rotations
	e.b.mu.Unlock()
	if err == nil || !e.partial || !refusesInput(err) {
		return err
	}
	return e.divide(ctx, route, list, err)
}

// without leaves those out that a place has answered.
func (e *embedding) without(list []int, at place) []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(list, func(i int) bool { return e.got[i].at == at }) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(i int) bool { return e.got[i].at == at })
}

// call makes one call to a provider.
func (e *embedding) call(ctx context.Context, t *Target, list []int) error {
	b, part := e.b, *e.w
	part.embed = e.request(list)
	part.est = estimateEmbed(part.embed)
	a, err := b.open(ctx, &part, t)
	if err != nil {
		return err
	}
	req := part.embed
	req.Model, req.Dropped = t.Model, nil
	e.mu.Lock()
	e.asked = t
	e.mu.Unlock()
	ctx, end := b.g.trace(ctx, b.c, t, nil)
	err = fault.Guard(func() error {
		out, err := t.Embedder.Embed(ctx, req)
		a.result.TTFT = time.Since(a.asked)
		if err != nil {
			return err
		}
		b.embedded(a, req, out)
		return e.take(t, list, req, out)
	})
	e.mu.Lock()
	e.dropped = req.Dropped
	e.mu.Unlock()
	b.close(a, nil, err)
	end(a.result)
	e.fold(a, list)
	return e.locate(err, list)
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

// take puts the vectors of a call where they belong. An answer to the whole
// request stays unread.
func (e *embedding) take(t *Target, list []int, req *llm.EmbedRequest, out *llm.Embeddings) error {
	values, whole := make([][]float32, len(list)), len(list) == len(e.got) && out.Raw != nil
	if !whole {
		var err error
		if values, err = out.Floats(len(list)); err != nil {
			return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Provider: t.Provider, Status: 200, Err: err,
				Message: "The provider '" + t.Provider + "' sent vectors that cannot be read."}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.size, e.target = t.place(), len(values[0]), t
	if whole {
		e.whole = out
	}
	for k, i := range list {
		e.got[i] = vector{values: values[k], at: e.at, model: out.Model, fades: len(req.Dropped) > 0}
	}
	used := e.used[e.at]
	used.Add(*out.Usage)
	e.used[e.at] = used
	return nil
}

// fold adds a call for a part of the request to an earlier one that ended like
// it: a list of two thousand says no more than their sum, and may not fit into
// the ledger.
func (e *embedding) fold(a *attempt, list []int) {
	b := e.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(list) < e.distinct {
		r := a.record()
		for _, o := range e.tried {
			if s := o.record(); o.target == a.target && s.Status == r.Status && s.Error == r.Error {
				o.calls = max(1, o.calls) + 1
				o.usage.Add(a.usage)
				o.cost, o.known, o.guess = o.cost+a.cost, o.known || a.known, o.guess || a.guess
				b.attempts = slices.DeleteFunc(b.attempts, func(x *attempt) bool { return x == a })
				return
			}
		}
	}
	e.tried = append(e.tried, a)
}

// request is the request for the inputs in list alone; the caller may change it.
func (e *embedding) request(list []int) *llm.EmbedRequest {
	own := *e.req
	if len(list) == len(e.got) {
		return &own
	}
	e.split.Do(func() {
		rawjson.Elements(rawjson.Get(e.req.Fields, "input"), func(_ int, v []byte) error {
			e.raw = append(e.raw, v)
			return nil
		})
	})
	own.Inputs, own.Tokens, own.Empty = nil, nil, nil
	input := []byte{'['}
	for k, i := range list {
		if k > 0 {
			input = append(input, ',')
		}
		input = append(input, e.raw[i]...)
		if e.req.Tokens != nil {
			own.Tokens = append(own.Tokens, e.req.Tokens[i])
		} else {
			own.Inputs = append(own.Inputs, e.req.Inputs[i])
		}
	}
	own.Raw = rawjson.Apply(nil, e.req.Raw, e.req.Fields, rawjson.Edit{Name: "input", Value: append(input, ']')})
	own.Fields = rawjson.Fields(nil, own.Raw)
	return &own
}
