package telemetry

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// collector answers exports and keeps them.
type collector struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
	answer   func(n int, r *http.Request) (*http.Response, error) // nil: success
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.requests, c.bodies = append(c.requests, r), append(c.bodies, body)
	n := len(c.bodies)
	c.mu.Unlock()
	if c.answer != nil {
		return c.answer(n, r)
	}
	return answer(200, "{}"), nil
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// spans decodes every export with the official protobuf schema: unknown or
// misspelt fields are errors.
func (c *collector) spans(t *testing.T) (spans []*tracepb.Span, resource []*commonpb.KeyValue) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, body := range c.bodies {
		var data tracepb.TracesData
		if err := protojson.Unmarshal(base64IDs(t, body), &data); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if len(data.ResourceSpans) != 1 || len(data.ResourceSpans[0].ScopeSpans) != 1 {
			t.Fatalf("not one resource and one scope: %s", body)
		}
		if s := data.ResourceSpans[0].ScopeSpans[0].Scope; s.Name != scope || s.Version != "1.2.3" {
			t.Errorf("scope = %v", s)
		}
		resource = data.ResourceSpans[0].Resource.Attributes
		spans = append(spans, data.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	return spans, resource
}

// base64IDs undoes the two differences of OTLP's JSON from protobuf's, after
// checking that they are there: ids are hexadecimal, enumerations numbers.
func base64IDs(t *testing.T, body []byte) []byte {
	t.Helper()
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				switch k {
				case "traceId", "spanId", "parentSpanId":
					id, err := hex.DecodeString(x.(string))
					if err != nil || len(id) != map[string]int{"traceId": 16, "spanId": 8, "parentSpanId": 8}[k] {
						t.Errorf("%s = %q is not hexadecimal of that size", k, x)
					}
					v[k] = base64.StdEncoding.EncodeToString(id)
				case "kind", "code", "flags":
					if _, ok := x.(json.Number); !ok {
						t.Errorf("%s = %v is not a number", k, x)
					}
				case "intValue", "startTimeUnixNano", "endTimeUnixNano":
					if _, ok := x.(string); !ok {
						t.Errorf("%s = %v is not text", k, x)
					}
				default:
					v[k] = walk(x)
				}
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		}
		return v
	}
	var doc any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	out, err := json.Marshal(walk(doc))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func values(t *testing.T, attributes []*commonpb.KeyValue) map[string]any {
	t.Helper()
	m := map[string]any{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[a.Key] = v.IntValue
		case *commonpb.AnyValue_DoubleValue:
			m[a.Key] = v.DoubleValue
		case *commonpb.AnyValue_BoolValue:
			m[a.Key] = v.BoolValue
		case *commonpb.AnyValue_ArrayValue:
			var list []string
			for _, e := range v.ArrayValue.Values {
				list = append(list, e.GetStringValue())
			}
			m[a.Key] = list
		default:
			t.Errorf("%s has a value of type %T", a.Key, v)
		}
	}
	return m
}

func open(t *testing.T, c *collector, change ...func(*Config)) *Tracer {
	t.Helper()
	cfg := Config{Endpoint: "http://collector.test:4318", ServiceName: "gateway-test", Version: "1.2.3", HTTP: c}
	for _, f := range change {
		f(&cfg)
	}
	tracer, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestRequestAndCallAreExported(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		began := time.Now()
		ctx, req := tracer.Start(t.Context(), http.Header{"Traceparent": {traceparent}, "Tracestate": {"a=1"}}, "POST", "/ai/chat/completions")
		if got := TraceID(ctx); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("TraceID = %q", got)
		}
		time.Sleep(time.Second)
		_, call := tracer.Call(ctx, "bedrock", "amazon.nova", "chat")
		fields, err := rawjson.Object(nil, []byte(`{"temperature":0.5,"top_p":null,"seed":7,"presence_penalty":-1,"stop":["secret-stop"]}`), 9)
		if err != nil {
			t.Fatal(err)
		}
		call.Chat(&llm.Request{Stream: true, MaxTokens: 100, N: 2, Fields: fields})
		time.Sleep(time.Second)
		call.End(Result{ID: "msg_1", Model: "nova", Finish: []string{"stop", "length"}, TTFT: 250 * time.Millisecond,
			Usage: &llm.Usage{Input: 10, CachedInput: 3, CacheWrite: 1, CacheWrite1h: 1, Output: 20, Reasoning: 5}})
		req.End(&usage.Record{ID: "0000001abcdefghi", User: "ann", Key: "k1", Project: "p", Operation: "chat", Asked: "nova", Provider: "bedrock",
			Model: "amazon.nova", Status: 200, Finish: "stop", Attempts: 1, Cost: 1500, TTFT: time.Second, Overhead: 2 * time.Millisecond,
			Estimated: true, Partial: true, InputTokens: 10})
		tracer.Flush(t.Context())

		spans, resource := c.spans(t)
		if diff := cmp.Diff(map[string]any{"service.name": "gateway-test", "service.version": "1.2.3", "telemetry.sdk.language": "go",
			"telemetry.sdk.name": "opentelemetry", "deployment.environment.name": "test"}, values(t, resource)); diff != "" {
			t.Errorf("resource (-want +got)\n%s", diff)
		}
		if len(spans) != 2 {
			t.Fatalf("%d spans, want 2", len(spans))
		}
		client, server := spans[0], spans[1]
		if server.Name != "POST /ai/chat/completions" || server.Kind != tracepb.Span_SPAN_KIND_SERVER || server.TraceState != "a=1" ||
			hex.EncodeToString(server.TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(server.ParentSpanId) != "b7ad6b7169203331" ||
			server.Flags != 0x301 || server.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
			t.Errorf("server span = %v", server)
		}
		if client.Name != "chat amazon.nova" || client.Kind != tracepb.Span_SPAN_KIND_CLIENT || !bytes.Equal(client.TraceId, server.TraceId) ||
			!bytes.Equal(client.ParentSpanId, server.SpanId) || client.Flags != 0x101 {
			t.Errorf("client span = %v", client)
		}
		if got := time.Unix(0, int64(client.StartTimeUnixNano)).Sub(began); got != time.Second {
			t.Errorf("the call starts after %v, want 1s", got)
		}
		if got := time.Duration(server.EndTimeUnixNano - server.StartTimeUnixNano); got != 2*time.Second {
			t.Errorf("the request takes %v, want 2s", got)
		}
		if diff := cmp.Diff(map[string]any{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock",
			"gen_ai.request.model": "amazon.nova", "gen_ai.request.stream": true, "gen_ai.request.max_tokens": int64(100),
			"gen_ai.request.choice.count": int64(2), "gen_ai.request.temperature": 0.5, "gen_ai.request.seed": int64(7),
			"gen_ai.request.presence_penalty": -1.0, "gen_ai.response.id": "msg_1", "gen_ai.response.model": "nova",
			"gen_ai.response.finish_reasons": []string{"stop", "length"}, "gen_ai.response.time_to_first_chunk": 0.25,
			"gen_ai.usage.input_tokens": int64(10), "gen_ai.usage.output_tokens": int64(20), "gen_ai.usage.cache_read.input_tokens": int64(3),
			"gen_ai.usage.cache_creation.input_tokens": int64(2), "gen_ai.usage.reasoning.output_tokens": int64(5)},
			values(t, client.Attributes)); diff != "" {
			t.Errorf("client span (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(map[string]any{"http.request.method": "POST", "http.route": "/ai/chat/completions",
			"http.response.status_code": int64(200), "user.id": "ann", "gateway.request.id": "0000001abcdefghi", "gateway.key.id": "k1",
			"gateway.project": "p", "gateway.operation": "chat", "gateway.model.asked": "nova", "gateway.provider": "bedrock",
			"gateway.model": "amazon.nova", "gateway.finish_reason": "stop", "gateway.attempts": int64(1), "gateway.cost.usd": 1.5e-6,
			"gateway.time_to_first_token": 1.0, "gateway.overhead": 0.002, "gateway.estimated": true, "gateway.partial": true},
			values(t, server.Attributes)); diff != "" {
			t.Errorf("server span (-want +got)\n%s", diff)
		}
		if got := c.requests[0].URL.String(); got != "http://collector.test:4318/v1/traces" {
			t.Errorf("posted to %s", got)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestFailuresShowTheirKindAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		ctx, req := tracer.Start(t.Context(), nil, "POST", "/r")
		_, call := tracer.Call(ctx, "openai", "m", "chat")
		call.End(Result{Err: &fault.Error{Kind: fault.RateLimited, Message: "secret-1", Code: "secret-2", Status: 429, Provider: "openai", Err: errors.New("secret-3")}})
		_, call = tracer.Call(ctx, "openai", "m", "chat")
		call.End(Result{Err: errors.New("secret-4")})
		req.End(&usage.Record{Status: 429, Error: "rate_limited"})
		for _, rec := range []usage.Record{{Status: 503, Error: "unavailable"}, {Status: 200, Error: "upstream"}, {Status: 499, Error: "canceled"}, {Status: 200, Error: "canceled"}} {
			_, req := tracer.Start(t.Context(), nil, "POST", "/r")
			req.End(&rec)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		spans, _ := c.spans(t)
		type outcome struct {
			Type, Status any
			Error        bool
		}
		var got []outcome
		for _, s := range spans {
			v := values(t, s.Attributes)
			if s.Status.GetMessage() != "" {
				t.Errorf("status message %q", s.Status.Message)
			}
			got = append(got, outcome{v["error.type"], v["http.response.status_code"], s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR})
		}
		want := []outcome{{"rate_limited", int64(429), true}, {"internal", nil, true}, {"rate_limited", int64(429), false},
			{"unavailable", int64(503), true}, {"upstream", int64(200), true}, {"canceled", int64(499), false}, {"canceled", int64(200), false}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcomes (-want +got)\n%s", diff)
		}
		if bytes.Contains(c.bodies[0], []byte("secret")) {
			t.Errorf("an error's text is exported: %s", c.bodies[0])
		}
	})
}

func TestLongTextsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		long := "x" + strings.Repeat("ä", 10_000)
		_, call := tracer.Call(t.Context(), long, long, long)
		call.End(Result{ID: long, Model: long, Finish: []string{long}})
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(c.bodies[0]); n > 10_000 {
			t.Errorf("a span of %d bytes", n)
		}
		if bytes.Contains(c.bodies[0], []byte(`\ufffd`)) || !utf8.Valid(c.bodies[0]) {
			t.Errorf("a character was cut: %s", c.bodies[0])
		}
		c.spans(t)
	})
}

func TestSampling(t *testing.T) {
	tests := []struct {
		name   string
		sample float64
		header http.Header
		want   int
	}{
		{"all by default", 0, nil, 100},
		{"next to none", 1e-12, nil, 0},
		{"the caller keeps the trace", 1e-12, http.Header{"Traceparent": {traceparent}}, 100},
		{"the caller drops the trace", 1, http.Header{"Traceparent": {traceparent[:len(traceparent)-1] + "0"}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{}
				tracer := open(t, c, func(cfg *Config) { cfg.Sample = tt.sample })
				for range 100 {
					ctx, req := tracer.Start(t.Context(), tt.header, "GET", "/r")
					_, call := tracer.Call(ctx, "p", "m", "chat")
					call.Chat(&llm.Request{})
					call.End(Result{})
					req.End(&usage.Record{})
				}
				if err := tracer.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if spans, _ := c.spans(t); len(spans) != 2*tt.want {
					t.Errorf("%d spans, want %d", len(spans), 2*tt.want)
				}
			})
		})
	}
}

func TestOpen(t *testing.T) {
	tests := []struct {
		name string
		c    Config
		url  string // "" means no tracer
		err  bool
	}{
		{"no endpoint", Config{ServiceName: "x", Sample: 1}, "", false},
		{"base URL", Config{Endpoint: "http://h:4318"}, "http://h:4318/v1/traces", false},
		{"base URL with a path", Config{Endpoint: "https://h/otlp/"}, "https://h/otlp/v1/traces", false},
		{"base URL with a query", Config{Endpoint: "https://h/otlp?k=v"}, "https://h/otlp/v1/traces?k=v", false},
		{"the traces' own URL is taken as it is", Config{Endpoint: "http://h", TracesEndpoint: "http://t/in"}, "http://t/in", false},
		{"no scheme", Config{Endpoint: "h:4318"}, "", true},
		{"gRPC", Config{Endpoint: "grpc://h:4317"}, "", true},
		{"sample above 1", Config{Endpoint: "http://h", Sample: 1.1}, "", true},
		{"sample below 0", Config{Endpoint: "http://h", Sample: -0.1}, "", true},
		{"sample that is no number", Config{Endpoint: "http://h", Sample: math.NaN()}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{}
				tt.c.HTTP, tt.c.Version = c, "1.2.3"
				tracer, err := Open(tt.c)
				if (err != nil) != tt.err || (tracer != nil) != (tt.url != "") {
					t.Fatalf("Open = %v, %v, want error %v", tracer, err, tt.err)
				}
				if tracer == nil {
					return
				}
				_, req := tracer.Start(t.Context(), nil, "GET", "/r")
				req.End(&usage.Record{})
				if err := tracer.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := c.requests[0].URL.String(); got != tt.url {
					t.Errorf("posted to %s, want %s", got, tt.url)
				}
			})
		})
	}
}

func TestProvidersAndOperationsHaveTheConventionsNames(t *testing.T) {
	for got, want := range map[string]attribute.KeyValue{"openai": semconv.GenAIProviderNameOpenAI, "anthropic": semconv.GenAIProviderNameAnthropic,
		"gemini": semconv.GenAIProviderNameGCPGemini, "bedrock": semconv.GenAIProviderNameAWSBedrock} {
		if got := rename(providerNames, got); got != want.Value.AsString() {
			t.Errorf("provider %q, want %q", got, want.Value.AsString())
		}
	}
	for got, want := range map[string]attribute.KeyValue{"chat": semconv.GenAIOperationNameChat, "responses": semconv.GenAIOperationNameChat, "messages": semconv.GenAIOperationNameChat,
		"embeddings": semconv.GenAIOperationNameEmbeddings, "completions": semconv.GenAIOperationNameTextCompletion} {
		if got := rename(operationNames, got); got != want.Value.AsString() {
			t.Errorf("operation %q, want %q", got, want.Value.AsString())
		}
	}
}
