package chain

import "context"

// Tracer makes the spans of runs. Steps use it concurrently. What it returns is
// the context of everything that is done within the span, and what ends it.
type Tracer interface {
	// Run begins the span of a run that is about to do its first step. If r.Trace
	// is not empty, the run resumes one whose span was there; place is that of the
	// new span.
	Run(ctx context.Context, r *Run) (_ context.Context, place string, end func(*Run))
	// Step begins the span of a step, or of one item of a map (-1: of the whole
	// step). Of an item's result there are status and error only.
	Step(ctx context.Context, id string, kind Type, item int) (context.Context, func(*Result))
	// Attempt says how often the step, or the item, has been begun with this time.
	Attempt(ctx context.Context, n int) context.Context
}

// traced begins the span of the run.
func (r *runner) traced(ctx context.Context) (context.Context, func()) {
	if r.o.Trace == nil {
		return ctx, func() {}
	}
	ctx, place, end := r.o.Trace.Run(ctx, r.run)
	if r.run.Trace == "" {
		r.run.Trace = place
	}
	return ctx, func() { end(r.run) }
}

func (r *runner) span(ctx context.Context, id string, kind Type, item int) (context.Context, func(*Result)) {
	if r.o.Trace == nil {
		return ctx, func(*Result) {}
	}
	return r.o.Trace.Step(ctx, id, kind, item)
}

func (r *runner) attempt(ctx context.Context, n int) context.Context {
	if r.o.Trace == nil {
		return ctx
	}
	return r.o.Trace.Attempt(ctx, n)
}
