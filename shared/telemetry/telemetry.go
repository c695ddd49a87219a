// Package telemetry traces requests and the calls to providers with
// OpenTelemetry, and exports the spans over OTLP/HTTP.
//
// Spans hold names, numbers and identifiers. They never hold prompts, answers,
// keys, or the text of an error.
//
// The exporter is our own because the official one links gRPC and protobuf,
// 7 MB that every cold start would load.
package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope = "github.com/devmentor/ai-gateway"

	// FlushTime bounds Flush: the longest that a trace may hold up a request's
	// end.
	FlushTime = 500 * time.Millisecond

	exportTime = 10 * time.Second // bounds the export of a batch in the background, retries included
	batchTime  = 2 * time.Second  // how long spans wait for others
	batchSize  = 256
	queueSize  = 2048 // spans that wait for an export; what is more is dropped

	maxText       = 256 // bytes of an attribute's text
	maxAttributes = 64  // of a span
)

// Config says where spans go. The names in brackets are the variables that
// OpenTelemetry reserves for a setting.
type Config struct {
	Endpoint       string // the collector's base URL [OTEL_EXPORTER_OTLP_ENDPOINT]
	TracesEndpoint string // the whole URL for traces, before Endpoint [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT]

	// Headers yields more request headers as k=v,k=v, the values
	// percent-encoded [OTEL_EXPORTER_OTLP_HEADERS]. It is asked at the first
	// export and, if it fails, again at the next. Nil means none.
	Headers func(context.Context) (string, error)

	ServiceName string // "" means ai-gateway [OTEL_SERVICE_NAME]
	Version     string // of the service

	// Sample is the share, above 0 and up to 1, of the traces that begin here
	// which are kept; 0 means all. Where a caller has begun the trace, the
	// caller has decided.
	Sample float64

	HTTP http.RoundTripper // nil means http.DefaultTransport
	Log  *slog.Logger      // told when spans are lost; nil means nobody is
}

// Tracer makes spans. A nil *Tracer makes none, at no cost: all its methods,
// and those of the nil spans that it returns, do nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	root     sdktrace.Sampler // decides on traces that begin here
}

// Open returns a Tracer that exports in the background; it makes no connection
// yet. Without an endpoint it returns nil. It fails if a setting makes no
// sense.
func Open(c Config) (*Tracer, error) {
	target, err := c.target()
	if err != nil || target == "" {
		return nil, err
	}
	if math.IsNaN(c.Sample) || c.Sample < 0 || c.Sample > 1 {
		return nil, fmt.Errorf("telemetry: the sample %v is not from 0 to 1", c.Sample)
	}
	root := sdktrace.AlwaysSample()
	if c.Sample > 0 {
		root = sdktrace.TraceIDRatioBased(c.Sample)
	}
	e := &exporter{url: target, headers: c.Headers, agent: "ai-gateway/" + c.Version, http: c.HTTP, log: c.Log}
	if e.http == nil {
		e.http = http.DefaultTransport
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	about := []attribute.KeyValue{semconv.ServiceNameKey.String(cmp.Or(c.ServiceName, "ai-gateway")), semconv.TelemetrySDKLanguageGo,
		semconv.TelemetrySDKNameKey.String("opentelemetry")}
	if c.Version != "" {
		about = append(about, semconv.ServiceVersionKey.String(c.Version))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(about...)), // and what OTEL_RESOURCE_ATTRIBUTES says
		sdktrace.WithSampler(sdktrace.ParentBased(root)),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{AttributeValueLengthLimit: maxText, AttributeCountLimit: maxAttributes, LinkCountLimit: 1}),
		sdktrace.WithBatcher(e, sdktrace.WithBatchTimeout(batchTime), sdktrace.WithExportTimeout(exportTime),
			sdktrace.WithMaxExportBatchSize(batchSize), sdktrace.WithMaxQueueSize(queueSize)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(c.Version)), root: root}, nil
}

// target is the URL to post to, or "" if none is set.
func (c Config) target() (string, error) {
	text := c.TracesEndpoint
	if text == "" {
		text = c.Endpoint
	}
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("telemetry: the OTLP endpoint must be an http or https URL") // it may hold a password
	}
	if c.TracesEndpoint == "" {
		u = u.JoinPath("v1/traces")
	}
	return u.String(), nil
}

// Flush exports all spans that have ended, and waits for it for FlushTime at
// most; ctx gives no values and no end to it. On Lambda it must be called
// before the response's body ends, for then the process is frozen. A server
// that runs on need not call it.
func (t *Tracer) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), FlushTime)
	defer cancel()
	_ = t.provider.ForceFlush(ctx) // the exporter has told the log
}

// Close flushes and ends the background work. Spans that end later are lost.
// It returns ctx's error if that ends first.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// TraceID returns the id of the trace that ctx belongs to, for log lines; ""
// if there is none.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}
