package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Request is the span of a request to us.
type Request struct{ span trace.Span }

// Start begins the span of a request. Its trace is the one that header names,
// as traceparent or X-Amzn-Trace-Id, or a new one. route is the pattern that
// was matched, never the path itself: paths hold names and are endless. The
// context is for Call.
func (t *Tracer) Start(ctx context.Context, header http.Header, method, route string) (context.Context, *Request) {
	if t == nil {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(t.parent(ctx, header), method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRouteKey.String(route)))
	return ctx, &Request{span}
}

// End tells what became of the request and ends the span. Tokens are left to
// the spans of the calls, lest they be counted twice.
func (r *Request) End(rec *usage.Record) {
	if r == nil {
		return
	}
	defer r.span.End()
	if !r.span.IsRecording() {
		return
	}
	a := make([]attribute.KeyValue, 0, 20)
	a = append(a, semconv.HTTPResponseStatusCodeKey.Int(rec.Status), gatewayRequestID.String(rec.ID))
	for _, f := range []struct {
		key   attribute.Key
		value string
	}{
		{semconv.UserIDKey, rec.User}, {gatewayKeyID, rec.Key}, {gatewayProject, rec.Project}, {gatewayOperation, rec.Operation},
		{gatewayAsked, rec.Asked}, {gatewayProvider, rec.Provider}, {gatewayModel, rec.Model}, {gatewayFinish, rec.Finish},
		{semconv.ErrorTypeKey, rec.Error},
	} {
		if f.value != "" {
			a = append(a, f.key.String(f.value))
		}
	}
	if rec.Attempts > 0 {
		a = append(a, gatewayAttempts.Int(rec.Attempts), gatewayCost.Float64(float64(rec.Cost)/float64(usage.Dollar)))
	}
	if rec.TTFT > 0 {
		a = append(a, gatewayTTFT.Float64(rec.TTFT.Seconds()))
	}
	if rec.Overhead > 0 {
		a = append(a, gatewayOverhead.Float64(rec.Overhead.Seconds()))
	}
	if rec.Estimated {
		a = append(a, gatewayEstimated.Bool(true))
	}
	if rec.Partial {
		a = append(a, gatewayPartial.Bool(true))
	}
	r.span.SetAttributes(a...)
	// A client's own error is none of the server's; a failure after the head
	// of a stream went out is one, although its status is 200.
	if rec.Status >= 500 || rec.Status < 400 && rec.Error != "" && rec.Error != string(fault.Canceled) {
		r.span.SetStatus(codes.Error, "")
	}
}

// Call is the span of one call to a provider.
type Call struct{ span trace.Span }

// Call begins the span of one attempt at a provider. operation is as in
// usage.Record. In a workflow it also says which step it is made for. The trace
// is not told to the provider.
func (t *Tracer) Call(ctx context.Context, provider, model, operation string) (context.Context, *Call) {
	if t == nil {
		return ctx, nil
	}
	operation = rename(operationNames, operation)
	ctx, span := t.tracer.Start(ctx, spanName(operation+" "+model), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(aboutCalls(ctx)...), trace.WithAttributes(
		semconv.GenAIOperationNameKey.String(operation),
		semconv.GenAIProviderNameKey.String(rename(providerNames, provider)),
		semconv.GenAIRequestModelKey.String(model)))
	return ctx, &Call{span}
}

// Chat notes the parameters of a chat request; the texts in it are left out,
// stop sequences too.
func (c *Call) Chat(r *llm.Request) {
	if c == nil || !c.span.IsRecording() {
		return
	}
	a := make([]attribute.KeyValue, 0, 8)
	a = append(a, semconv.GenAIRequestStreamKey.Bool(r.Stream))
	if r.MaxTokens > 0 {
		a = append(a, semconv.GenAIRequestMaxTokensKey.Int64(r.MaxTokens))
	}
	if r.N > 1 {
		a = append(a, semconv.GenAIRequestChoiceCountKey.Int64(r.N))
	}
	for _, f := range []struct {
		name string
		key  attribute.Key
	}{
		{"temperature", semconv.GenAIRequestTemperatureKey},
		{"top_p", semconv.GenAIRequestTopPKey},
		{"frequency_penalty", semconv.GenAIRequestFrequencyPenaltyKey},
		{"presence_penalty", semconv.GenAIRequestPresencePenaltyKey},
	} {
		if v, err := strconv.ParseFloat(string(rawjson.Get(r.Fields, f.name)), 64); err == nil {
			a = append(a, f.key.Float64(v))
		}
	}
	if v, err := strconv.ParseInt(string(rawjson.Get(r.Fields, "seed")), 10, 64); err == nil {
		a = append(a, semconv.GenAIRequestSeedKey.Int64(v))
	}
	c.span.SetAttributes(a...)
}

// Result is what is known of a call at its end. Nothing of it is required.
type Result struct {
	ID      string        // the provider's id of the answer
	Model   string        // that answered, in the provider's words
	Usage   *llm.Usage    // nil if nobody knows
	Finish  []string      // finish_reason per choice
	TTFT    time.Duration // from the call to the first event
	Vectors int64         // the dimension of embeddings
	Err     error         // why it failed; only its kind and status are kept
}

// End tells what became of the call and ends the span.
func (c *Call) End(r Result) {
	if c == nil {
		return
	}
	defer c.span.End()
	if !c.span.IsRecording() {
		return
	}
	a := make([]attribute.KeyValue, 0, 12)
	if r.ID != "" {
		a = append(a, semconv.GenAIResponseIDKey.String(r.ID))
	}
	if r.Model != "" {
		a = append(a, semconv.GenAIResponseModelKey.String(r.Model))
	}
	if len(r.Finish) > 0 {
		a = append(a, semconv.GenAIResponseFinishReasonsKey.StringSlice(r.Finish))
	}
	if r.TTFT > 0 {
		a = append(a, semconv.GenAIResponseTimeToFirstChunkKey.Float64(r.TTFT.Seconds()))
	}
	if r.Vectors > 0 {
		a = append(a, semconv.GenAIEmbeddingsDimensionCountKey.Int64(r.Vectors))
	}
	if u := r.Usage; u != nil {
		a = append(a, semconv.GenAIUsageInputTokensKey.Int64(u.Input), semconv.GenAIUsageOutputTokensKey.Int64(u.Output))
		for _, f := range []struct {
			key attribute.Key
			n   int64
		}{
			{semconv.GenAIUsageCacheReadInputTokensKey, u.CachedInput},
			{semconv.GenAIUsageCacheCreationInputTokensKey, u.CacheWrite + u.CacheWrite1h},
			{semconv.GenAIUsageReasoningOutputTokensKey, u.Reasoning},
		} {
			if f.n > 0 {
				a = append(a, f.key.Int64(f.n))
			}
		}
	}
	if f := fault.As(r.Err); f != nil {
		a = append(a, semconv.ErrorTypeKey.String(string(f.Kind)))
		if f.Status != 0 {
			a = append(a, semconv.HTTPResponseStatusCodeKey.Int(f.Status))
		}
		c.span.SetStatus(codes.Error, "")
	}
	c.span.SetAttributes(a...)
}

// spanName bounds a span's name, which the SDK does not.
func spanName(s string) string { return clip.To(s, maxText) }
