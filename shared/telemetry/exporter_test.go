package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/devmentor/ai-gateway/shared/usage"
)

func one() []sdktrace.ReadOnlySpan { return tracetest.SpanStubs{{Name: "s"}}.Snapshots() }

func newExporter(c *collector) (*exporter, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return &exporter{url: "http://collector.test/v1/traces", agent: "ai-gateway/1", http: c, log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func TestExportRetries(t *testing.T) {
	tests := []struct {
		name    string
		answers []*http.Response // nil: the connection breaks
		posts   int
		ok      bool
		least   time.Duration // that the waits take together
		most    time.Duration
	}{
		{"success", []*http.Response{answer(200, "{}")}, 1, true, 0, 0},
		{"accepted", []*http.Response{answer(202, "")}, 1, true, 0, 0},
		{"429", []*http.Response{answer(429, ""), answer(200, "")}, 2, true, 100 * time.Millisecond, 200 * time.Millisecond},
		{"502, 503 and 504", []*http.Response{answer(502, ""), answer(503, ""), answer(504, ""), answer(200, "")}, 4, true,
			700 * time.Millisecond, 1400 * time.Millisecond},
		{"no end of 503", []*http.Response{answer(503, ""), answer(503, ""), answer(503, ""), answer(503, ""), answer(503, "")}, 4, false,
			700 * time.Millisecond, 1400 * time.Millisecond},
		{"a broken connection", []*http.Response{nil, answer(200, "")}, 2, true, 100 * time.Millisecond, 200 * time.Millisecond},
		{"retry-after", []*http.Response{answer(429, "", "Retry-After", "3"), answer(200, "")}, 2, true, 3 * time.Second, 3 * time.Second},
		{"retry-after beyond the deadline", []*http.Response{answer(503, "", "Retry-After", "60"), answer(200, "")}, 1, false, 0, 0},
		{"400", []*http.Response{answer(400, ""), answer(200, "")}, 1, false, 0, 0},
		{"401", []*http.Response{answer(401, ""), answer(200, "")}, 1, false, 0, 0},
		{"408 and 500 are not for retrying", []*http.Response{answer(500, ""), answer(200, "")}, 1, false, 0, 0},
		{"a redirect is not followed", []*http.Response{answer(307, "", "Location", "http://elsewhere.test/"), answer(200, "")}, 1, false, 0, 0},
		{"partial success", []*http.Response{answer(200, `{"partialSuccess":{"rejectedSpans":"1"}}`), answer(200, "")}, 1, true, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{answer: func(n int, _ *http.Request) (*http.Response, error) {
					if r := tt.answers[n-1]; r != nil {
						return r, nil
					}
					return nil, errors.New("broken pipe")
				}}
				e, log := newExporter(c)
				ctx, cancel := context.WithTimeout(t.Context(), exportTime)
				defer cancel()
				began := time.Now()
				if err := e.ExportSpans(ctx, one()); err != nil {
					t.Errorf("ExportSpans = %v: the SDK would print it", err)
				}
				took := time.Since(began)
				if len(c.bodies) != tt.posts || took < tt.least || took > tt.most {
					t.Errorf("%d posts in %v, want %d in %v to %v", len(c.bodies), took, tt.posts, tt.least, tt.most)
				}
				if failed := strings.Contains(log.String(), "not exported"); failed == tt.ok {
					t.Errorf("logged %q, want success %v", log, tt.ok)
				}
				for _, body := range c.bodies {
					if !bytes.Equal(body, c.bodies[0]) {
						t.Errorf("another body at the retry: %q", body)
					}
				}
			})
		})
	}
}

func TestExportPausesAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		c := &collector{answer: func(int, *http.Request) (*http.Response, error) {
			if down {
				return answer(400, ""), nil
			}
			return answer(200, ""), nil
		}}
		e, log := newExporter(c)
		export := func(wantPosts int) {
			t.Helper()
			if err := e.ExportSpans(t.Context(), one()); err != nil {
				t.Error(err)
			}
			if len(c.bodies) != wantPosts {
				t.Errorf("%d posts, want %d", len(c.bodies), wantPosts)
			}
		}
		export(1)
		down = false
		export(1)
		time.Sleep(pause - time.Nanosecond)
		export(1)
		time.Sleep(time.Nanosecond)
		export(2)
		export(3)
		if got := strings.Count(log.String(), "\n"); got != 2 || !strings.Contains(log.String(), "lost=2") {
			t.Errorf("the log says\n%s\nwant one line for the failure and one for the end of it, with 2 lost", log)
		}
	})
}

func TestFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		tracer := open(t, c)
		flush := func() time.Duration {
			ctx, cancel := context.WithCancel(t.Context())
			_, req := tracer.Start(ctx, nil, "GET", "/r")
			req.End(&usage.Record{})
			cancel() // the client has left; its trace is exported all the same
			began := time.Now()
			tracer.Flush(ctx)
			return time.Since(began)
		}
		if took := flush(); took != FlushTime || len(c.bodies) != 1 {
			t.Errorf("Flush took %v for %d posts, want %v for 1", took, len(c.bodies), FlushTime)
		}
		synctest.Wait()
		if took := flush(); took != 0 || len(c.bodies) != 1 {
			t.Errorf("the next Flush took %v for %d posts, want no attempt", took, len(c.bodies))
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSpansAreExportedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		_, req := tracer.Start(t.Context(), nil, "GET", "/r")
		req.End(&usage.Record{})
		time.Sleep(batchTime)
		synctest.Wait()
		if len(c.bodies) != 1 {
			t.Errorf("%d posts after %v, want 1", len(c.bodies), batchTime)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
		_, req = tracer.Start(t.Context(), nil, "GET", "/r")
		req.End(&usage.Record{})
		tracer.Flush(t.Context())
		if len(c.bodies) != 1 {
			t.Errorf("%d posts after Close, want no more", len(c.bodies))
		}
	})
}

func TestHeaders(t *testing.T) {
	c := &collector{}
	e, log := newExporter(c)
	asked := 0
	e.headers = func(context.Context) (string, error) {
		asked++
		if asked == 1 {
			return "", errors.New("no such parameter")
		}
		return " x-key = a%20b%2Cc+d , ,Authorization=Basic%20Zm9v=", nil
	}
	if err := e.ExportSpans(t.Context(), one()); err != nil || len(c.requests) != 0 || !strings.Contains(log.String(), "no such parameter") {
		t.Errorf("ExportSpans = %v, %d posts, log %q, want none and the reason", err, len(c.requests), log)
	}
	e.until = time.Time{}
	for range 2 {
		if err := e.ExportSpans(t.Context(), one()); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.requests) != 2 || asked != 2 {
		t.Fatalf("%d posts, asked for headers %d times, want 2 and 2", len(c.requests), asked)
	}
	want := http.Header{"X-Key": {"a b,c+d"}, "Authorization": {"Basic Zm9v="}, "Content-Type": {"application/json"}, "User-Agent": {"ai-gateway/1"}}
	if diff := cmp.Diff(want, c.requests[1].Header); diff != "" || c.requests[1].Method != "POST" {
		t.Errorf("%s with headers (-want +got)\n%s", c.requests[1].Method, diff)
	}
}

func TestBadHeadersAreRefusedWithoutTellingThem(t *testing.T) {
	for _, text := range []string{"secret", "=secret", "bad name=secret", "k=%zzsecret", "k=secret%0d%0ax: y", "ok=1,ü=secret"} {
		err := parseHeaders(http.Header{}, text)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("parseHeaders(%q) = %v, want an error without the value", text, err)
		}
	}
}

func TestTheLogHoldsNoSecrets(t *testing.T) {
	c := &collector{answer: func(int, *http.Request) (*http.Response, error) {
		return answer(401, "bad token: Bearer abcdefghijklmnop at https://u:p@host/x "+strings.Repeat("x", 1000)), nil
	}}
	e, log := newExporter(c)
	if err := e.ExportSpans(t.Context(), one()); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); strings.Contains(s, "abcdefghijklmnop") || strings.Contains(s, "u:p@") || !strings.Contains(s, "HTTP 401") || len(s) > 500 {
		t.Errorf("the log says %s", s)
	}
}

func TestRejectedSpansAreLogged(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: false, ``: false, "\x0a\x00": false, `{"partialSuccess":{}}`: false, `{"partialSuccess":{"rejectedSpans":"0","errorMessage":"a hint"}}`: false,
		`{"partialSuccess":{"rejectedSpans":0}}`: false, `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}`: true,
		`{"partialSuccess":{"rejectedSpans":2,"errorMessage":"too old"}}`: true,
	} {
		e, log := newExporter(nil)
		e.rejected([]byte(body))
		if got := strings.Contains(log.String(), "rejected") && strings.Contains(log.String(), "too old") && strings.Contains(log.String(), "spans=2"); got != want {
			t.Errorf("%q logs %q, want a line: %v", body, log, want)
		}
	}
}

func TestEncodeValues(t *testing.T) {
	began := time.Unix(1, 2)
	span := tracetest.SpanStub{Name: "bad \xff \"quote\"", StartTime: began, EndTime: began.Add(time.Second), DroppedAttributes: 3,
		Status: sdktrace.Status{Code: codes.Ok},
		Attributes: []attribute.KeyValue{attribute.Bool("b", false), attribute.Int64("i", math.MinInt64), attribute.Float64("f", 0.1),
			attribute.Float64("nan", math.NaN()), attribute.Float64("inf", math.Inf(1)), attribute.Float64("-inf", math.Inf(-1)),
			attribute.StringSlice("list", []string{}), attribute.Int64Slice("ints", []int64{1, 2})}}
	got, err := encode([]sdktrace.ReadOnlySpan{span.Snapshot()})
	want := `{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":""},"spans":[{` +
		`"traceId":"00000000000000000000000000000000","spanId":"0000000000000000","flags":256,"name":"bad \ufffd \"quote\"","kind":0,` +
		`"startTimeUnixNano":"1000000002","endTimeUnixNano":"2000000002","attributes":[` +
		`{"key":"b","value":{"boolValue":false}},{"key":"i","value":{"intValue":"-9223372036854775808"}},{"key":"f","value":{"doubleValue":0.1}},` +
		`{"key":"nan","value":{"doubleValue":"NaN"}},{"key":"inf","value":{"doubleValue":"Infinity"}},{"key":"-inf","value":{"doubleValue":"-Infinity"}},` +
		`{"key":"list","value":{"arrayValue":{"values":[]}}},{"key":"ints","value":{"stringValue":"[1,2]"}}],` +
		`"droppedAttributesCount":3,"status":{"code":1}}]}]}]}`
	if err != nil || string(got) != want {
		t.Errorf("encode = %v\n%s\nwant\n%s", err, got, want)
	}
	base64IDs(t, got)
}
