package telemetry

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// parent returns ctx with the caller's span, if header names one: W3C's
// traceparent, or else what AWS load balancers and API Gateway add.
func (t *Tracer) parent(ctx context.Context, header http.Header) context.Context {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	if trace.SpanContextFromContext(ctx).IsRemote() {
		return ctx
	}
	sc, decided := xray(header.Get("X-Amzn-Trace-Id"))
	if !sc.IsValid() {
		return ctx
	}
	if !decided {
		d := t.root.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: sc.TraceID()}).Decision
		sc = sc.WithTraceFlags(trace.TraceFlags(0).WithSampled(d == sdktrace.RecordAndSample))
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// xray reads a header such as
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
//
// decided is whether it says if the trace is kept. Without a parent, which is
// what API Gateway sends when nobody traces, the result is not valid.
func xray(header string) (sc trace.SpanContext, decided bool) {
	var c trace.SpanContextConfig
	for field := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		var err error
		switch key {
		case "Root":
			parts := strings.Split(value, "-")
			if len(parts) != 3 || parts[0] != "1" || len(parts[1]) != 8 {
				return trace.SpanContext{}, false
			}
			c.TraceID, err = trace.TraceIDFromHex(strings.ToLower(parts[1] + parts[2]))
		case "Parent":
			c.SpanID, err = trace.SpanIDFromHex(strings.ToLower(value))
		case "Sampled":
			decided = value == "0" || value == "1"
			c.TraceFlags = c.TraceFlags.WithSampled(value == "1")
		}
		if err != nil {
			return trace.SpanContext{}, false
		}
	}
	return trace.NewSpanContext(c), decided
}
