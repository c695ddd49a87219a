package telemetry

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The types below are OTLP's ExportTraceServiceRequest in JSON: protobuf's
// mapping with field names in camel case and 64-bit numbers as text, except
// that ids are hexadecimal and enumerations are numbers. We make no events, and
// all our spans are of one resource and one scope.
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	otlpSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		TraceState   string          `json:"traceState,omitempty"`
		ParentSpanID string          `json:"parentSpanId,omitempty"`
		Flags        uint32          `json:"flags"`
		Name         string          `json:"name"`
		Kind         int             `json:"kind"`
		Start        string          `json:"startTimeUnixNano"`
		End          string          `json:"endTimeUnixNano"`
		Attributes   []otlpAttribute `json:"attributes,omitempty"`
		Dropped      int             `json:"droppedAttributesCount,omitempty"`
		Links        []otlpLink      `json:"links,omitempty"`
		Status       *otlpStatus     `json:"status,omitempty"`
	}
	otlpLink struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
		Flags   uint32 `json:"flags"`
	}
	otlpStatus struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code"`
	}
	otlpAttribute struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// encode writes spans, of which there is at least one, as an OTLP request.
func encode(spans []sdktrace.ReadOnlySpan) ([]byte, error) {
	first := spans[0]
	scope := otlpScopeSpans{Scope: otlpScope{Name: first.InstrumentationScope().Name, Version: first.InstrumentationScope().Version},
		Spans: make([]otlpSpan, len(spans))}
	for i, s := range spans {
		scope.Spans[i] = otlp(s)
	}
	return json.Marshal(otlpRequest{[]otlpResourceSpans{{
		Resource:   otlpResource{otlpAttributes(first.Resource().Attributes())},
		ScopeSpans: []otlpScopeSpans{scope},
	}}})
}

func otlp(s sdktrace.ReadOnlySpan) otlpSpan {
	o := otlpSpan{
		TraceID:    s.SpanContext().TraceID().String(),
		SpanID:     s.SpanContext().SpanID().String(),
		TraceState: s.SpanContext().TraceState().String(),
		Flags:      flags(s),
		Name:       s.Name(),
		Kind:       int(s.SpanKind()), // the SDK counts as OTLP does
		Start:      nanos(s.StartTime()),
		End:        nanos(s.EndTime()),
		Attributes: otlpAttributes(s.Attributes()),
		Dropped:    s.DroppedAttributes(),
	}
	if s.Parent().SpanID().IsValid() {
		o.ParentSpanID = s.Parent().SpanID().String()
	}
	for _, l := range s.Links() {
		o.Links = append(o.Links, otlpLink{l.SpanContext.TraceID().String(), l.SpanContext.SpanID().String(), remoteFlags(l.SpanContext)})
	}
	switch status := s.Status(); status.Code {
	case codes.Ok:
		o.Status = &otlpStatus{Code: 1}
	case codes.Error: // 1 in the SDK, 2 in OTLP
		o.Status = &otlpStatus{Code: 2, Message: status.Description}
	}
	return o
}

// flags is the trace's flags and, in bits 8 and 9, that we know whether the
// parent is in another process, and whether it is.
func flags(s sdktrace.ReadOnlySpan) uint32 {
	return uint32(s.SpanContext().TraceFlags()) | remoteFlags(s.Parent())&^0xff
}

// remoteFlags is flags for a span that is referred to.
func remoteFlags(sc trace.SpanContext) uint32 {
	f := uint32(sc.TraceFlags()) | 1<<8
	if sc.IsRemote() {
		f |= 1 << 9
	}
	return f
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func otlpAttributes(list []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, len(list))
	for i, kv := range list {
		out[i] = otlpAttribute{string(kv.Key), otlpValue(kv.Value)}
	}
	return out
}

// otlpValue is OTLP's AnyValue. Only the types that this package and resource
// attributes use have a form of their own; others become text.
func otlpValue(v attribute.Value) map[string]any {
	switch v.Type() {
	case attribute.BOOL:
		return map[string]any{"boolValue": v.AsBool()}
	case attribute.INT64:
		return map[string]any{"intValue": strconv.FormatInt(v.AsInt64(), 10)}
	case attribute.FLOAT64:
		return map[string]any{"doubleValue": otlpDouble(v.AsFloat64())}
	case attribute.STRINGSLICE:
		values := []any{}
		for _, s := range v.AsStringSlice() {
			values = append(values, map[string]any{"stringValue": s})
		}
		return map[string]any{"arrayValue": map[string]any{"values": values}}
	}
	return map[string]any{"stringValue": v.String()}
}

// otlpDouble gives the numbers that JSON has no form for the names that
// protobuf gives them.
func otlpDouble(f float64) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return f
}
