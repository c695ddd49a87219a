package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Workflow is a run of a chain.
type Workflow struct {
	Name    string // of the chain
	Version int
	Run     string // the id; a resumed run keeps it
	First   string // the place of the span of the run that is resumed; "" if none
}

// Step is a step of a workflow, or an item of one.
type Step struct {
	ID, Type string
	Item     int // of a map; -1 for the step as a whole
}

// StepResult is what is known of a workflow, a step or an item at its end.
// Nothing but the status is required.
type StepResult struct {
	Status   string
	Failed   bool
	Error    string // the kind
	Attempts int
	Cached   int     // calls that were not made because they had been
	USD      float64 // of the step's calls
}

// Part is the span of a workflow, or of a step.
type Part struct {
	span trace.Span
	step bool
}

// about is what contexts hold for the spans of the calls below: which step they
// are made for.
type about struct{}

// Workflow begins the span of a run. Where it continues an earlier one it is
// linked to that. place is what to say as First of the next.
func (t *Tracer) Workflow(ctx context.Context, w Workflow) (_ context.Context, place string, _ *Part) {
	if t == nil {
		return ctx, "", nil
	}
	run := []attribute.KeyValue{semconv.GenAIWorkflowNameKey.String(w.Name), chainVersion.Int(w.Version), chainRun.String(w.Run)}
	options := []trace.SpanStartOption{trace.WithAttributes(append(slices.Clone(run), semconv.GenAIOperationNameInvokeWorkflow)...)}
	if w.First != "" {
		options = append(options, trace.WithAttributes(chainResumed.Bool(true)))
		first := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": w.First})
		if sc := trace.SpanContextFromContext(first); sc.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	ctx, span := t.tracer.Start(ctx, spanName("invoke_workflow "+w.Name), options...)
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return context.WithValue(ctx, about{}, run), carrier["traceparent"], &Part{span: span}
}

// Step begins the span of a step, or of an item, of the workflow of ctx.
func (t *Tracer) Step(ctx context.Context, s Step) (context.Context, *Part) {
	if t == nil {
		return ctx, nil
	}
	list := slices.DeleteFunc(slices.Clone(aboutCalls(ctx)), func(a attribute.KeyValue) bool { return a.Key == chainStep || a.Key == chainStepType }) // the map's
	list = append(list, chainStep.String(s.ID), chainStepType.String(s.Type))
	name := "step " + s.ID
	if s.Item >= 0 {
		name = "item of " + s.ID
		list = append(list, chainStepItem.Int(s.Item))
	}
	ctx, span := t.tracer.Start(ctx, spanName(name), trace.WithAttributes(list...))
	return context.WithValue(ctx, about{}, list), &Part{span: span, step: true}
}

// Attempt notes in the spans of calls under ctx which attempt of the step they
// belong to.
func (t *Tracer) Attempt(ctx context.Context, n int) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, about{}, append(slices.Clone(aboutCalls(ctx)), chainAttempt.Int(n)))
}

// aboutCalls is what ctx says of the calls made under it; nil outside of
// workflows.
func aboutCalls(ctx context.Context) []attribute.KeyValue {
	list, _ := ctx.Value(about{}).([]attribute.KeyValue)
	return list
}

// End tells what became of the part and ends its span.
func (p *Part) End(r StepResult) {
	if p == nil {
		return
	}
	defer p.span.End()
	if !p.step {
		p.span.SetAttributes(chainStatus.String(r.Status))
	} else {
		p.span.SetAttributes(chainStepStatus.String(r.Status))
	}
	if r.Attempts > 0 {
		p.span.SetAttributes(chainAttempts.Int(r.Attempts))
	}
	if r.Cached > 0 {
		p.span.SetAttributes(chainCached.Int(r.Cached))
	}
	if r.USD > 0 {
		p.span.SetAttributes(chainCost.Float64(r.USD))
	}
	if r.Error != "" {
		p.span.SetAttributes(semconv.ErrorTypeKey.String(r.Error))
	}
	if r.Failed {
		p.span.SetStatus(codes.Error, "")
	}
}
