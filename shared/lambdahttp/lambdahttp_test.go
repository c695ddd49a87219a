package lambdahttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

var get = events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/"}

// call serves ev with h. The answer must come without an error, whatever h does.
func call(t testing.TB, ctx context.Context, ev events.APIGatewayProxyRequest, h http.HandlerFunc) *events.APIGatewayProxyStreamingResponse {
	t.Helper()
	resp, err := lambdahttp.Wrap(h)(ctx, ev)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if resp.StatusCode < 200 {
		t.Fatalf("status = %d; API Gateway takes none below 200", resp.StatusCode)
	}
	return resp
}

func read(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return string(b)
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		h      http.HandlerFunc
		method string
		status int
		header http.Header
		body   string
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, "", 200, http.Header{}, ""},
		{"one write", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, "", 200,
			http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "hello"},
		{"status and headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "application/json")
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("Late", "no")
			io.WriteString(w, "{}")
			w.WriteHeader(http.StatusOK)
		}, "", 418, http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}}, "{}"},
		{"headers of the connection and broken ones", func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Trailer", http.TrailerPrefix + "X", "bad name", ""} {
				w.Header()[name] = []string{"7"}
			}
			w.Header()["None"] = nil
			w.Header()["X-Lines"] = []string{"a\r\nb: c"}
			io.WriteString(w, "longer than seven")
		}, "", 200, http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Lines": {"a  b: c"}}, "longer than seven"},
		{"early hints are skipped", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, "", 202, http.Header{}, ""},
		{"no content has no body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, "", 204, http.Header{}, ""},
		{"neither has HEAD", func(w http.ResponseWriter, _ *http.Request) {
			if n, err := io.WriteString(w, "four"); n != 4 || err != nil {
				panic(err)
			}
		}, "HEAD", 200, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, ""},
		{"flush alone", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			w.WriteHeader(http.StatusNotFound)
		}, "", 200, http.Header{}, ""},
		{"empty write", func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) }, "", 200, http.Header{}, ""},
	} {
		ev := get
		if tc.method != "" {
			ev.HTTPMethod = tc.method
		}
		resp := call(t, t.Context(), ev, tc.h)
		body := read(t, resp.Body)
		if resp.StatusCode != tc.status || body != tc.body {
			t.Errorf("%s: answer = %d %q, want %d %q", tc.name, resp.StatusCode, body, tc.status, tc.body)
		}
		if diff := cmp.Diff(tc.header, http.Header(resp.MultiValueHeaders)); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestWire: what the runtime's client sends is the prelude, eight NULs, and
// then each write as one read.
func TestWire(t *testing.T) {
	resp := call(t, t.Context(), get, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: a\n\n")
		w.Write(nil)
		io.WriteString(w, "data: b\n\n")
	})
	buf := make([]byte, 32<<10)
	var got []string
	for {
		n, err := resp.Read(buf)
		if err == io.EOF && n == 0 {
			break
		}
		if err != nil {
			t.Fatalf("Read = %d, %v; data and an error must not come together", n, err)
		}
		got = append(got, string(buf[:n]))
	}
	want := []string{`{"statusCode":200,"multiValueHeaders":{"Content-Type":["text/event-stream"]}}` + strings.Repeat("\x00", 8), "data: a\n\n", "data: b\n\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

func TestStreamsBeforeHandlerReturns(t *testing.T) {
	release := make(chan struct{})
	resp := call(t, t.Context(), get, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		<-release
		io.WriteString(w, "second")
	})
	b := make([]byte, 100)
	if n, err := resp.Body.Read(b); err != nil || string(b[:n]) != "first" {
		t.Fatalf("Read = %q, %v", b[:n], err)
	}
	close(release)
	if rest := read(t, resp.Body); rest != "second" {
		t.Errorf("rest = %q", rest)
	}
}

// TestBodyEndsAfterHandler: Lambda may freeze the process at the body's end,
// so nothing of the handler may be left to do.
func TestBodyEndsAfterHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settled := false
		resp := call(t, t.Context(), get, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "data: [DONE]\n\n")
			time.Sleep(time.Second)
			settled = true
		})
		read(t, resp.Body)
		if !settled {
			t.Error("the body ended while the handler was at work")
		}
	})
}

func TestCloseCancelsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writeErr error
		settled := false
		resp := call(t, t.Context(), get, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first")
			<-r.Context().Done()
			_, writeErr = io.WriteString(w, "nobody listens")
			time.Sleep(time.Second)
			settled = true
		})
		io.ReadFull(resp.Body, make([]byte, 5))
		if err := resp.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if !settled {
			t.Error("Close returned while the handler was at work")
		}
		if writeErr == nil {
			t.Error("a Write after Close must fail")
		}
	})
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "aws-1"})

	for _, tc := range []struct {
		name   string
		h      http.HandlerFunc
		status int
		header http.Header
		body   string
		err    error
		logged string
	}{
		{"before the first byte", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			panic("boom")
		}, 500, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"aws-1"}, "Access-Control-Allow-Origin": {"*"}}, "", nil, "boom"},
		{"after its own id", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-Id", "ours")
			panic(errors.New("broken"))
		}, 500, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"ours"}}, "", nil, "broken"},
		{"invalid status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) }, 500,
			http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"aws-1"}}, "", nil, "invalid WriteHeader code"},
		{"after the first byte", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "some")
			panic("late")
		}, 200, http.Header{"Content-Type": {"text/plain"}}, "some", nil, "late"},
		{"abort after the first byte", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}, 200, http.Header{"Content-Type": {"text/plain"}}, "some", http.ErrAbortHandler, ""},
		{"abort before", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 500,
			http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"aws-1"}}, "", nil, ""},
	} {
		log.Reset()
		resp := call(t, ctx, get, tc.h)
		b, err := io.ReadAll(resp.Body)
		if resp.StatusCode != tc.status || err != tc.err {
			t.Errorf("%s: answer = %d, %v; want %d, %v", tc.name, resp.StatusCode, err, tc.status, tc.err)
		}
		if diff := cmp.Diff(tc.header, http.Header(resp.MultiValueHeaders)); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", tc.name, diff)
		}
		if tc.body == "" {
			wantError(t, tc.name, b, "server_error", "internal_error")
		} else if string(b) != tc.body {
			t.Errorf("%s: body = %q, want %q", tc.name, b, tc.body)
		}
		if got := log.String(); (got != "") != (tc.logged != "") || !strings.Contains(got, tc.logged) || tc.logged != "" && !strings.Contains(got, "aws_request_id=aws-1") {
			t.Errorf("%s: log = %q, want %q with the request's id", tc.name, got, tc.logged)
		}
	}
}

// wantError checks that an error has OpenAI's shape, all four fields.
func wantError(t *testing.T, name string, body []byte, typ, code string) {
	t.Helper()
	var got struct{ Error map[string]any }
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("%s: body %q: %v", name, body, err)
		return
	}
	if message, _ := got.Error["message"].(string); message == "" {
		t.Errorf("%s: no message in %s", name, body)
	}
	delete(got.Error, "message")
	if diff := cmp.Diff(map[string]any{"type": typ, "param": nil, "code": code}, got.Error); diff != "" {
		t.Errorf("%s: error (-want +got):\n%s", name, diff)
	}
}

func TestMalformedEventsAreAnswered(t *testing.T) {
	for name, ev := range map[string]events.APIGatewayProxyRequest{
		"empty":       {},
		"no method":   {Path: "/"},
		"bad method":  {HTTPMethod: "GET /", Path: "/"},
		"no path":     {HTTPMethod: "GET"},
		"bad base64":  {HTTPMethod: "POST", Path: "/", Body: "%%%", IsBase64Encoded: true},
		"half base64": {HTTPMethod: "POST", Path: "/", Body: "aGVsbG8", IsBase64Encoded: true},
	} {
		resp := call(t, t.Context(), ev, func(http.ResponseWriter, *http.Request) { t.Errorf("%s: the handler was called", name) })
		if resp.StatusCode != 400 || resp.MultiValueHeaders["Content-Type"][0] != "application/json" {
			t.Errorf("%s: answer = %d %v, want 400 JSON", name, resp.StatusCode, resp.MultiValueHeaders)
		}
		wantError(t, name, []byte(read(t, resp.Body)), "invalid_request_error", "invalid_event")
		if err := resp.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
}

func TestDeadline(t *testing.T) {
	for _, tc := range []struct{ left, want time.Duration }{
		{900 * time.Second, 898 * time.Second},
		{4 * time.Second, 2 * time.Second},
		{time.Second, 500 * time.Millisecond}, // a short function keeps half
		{0, 0},
		{-time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.left)
			defer cancel()
			start := time.Now()
			resp := call(t, ctx, get, func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				fmt.Fprint(w, context.Cause(r.Context()))
			})
			body := read(t, resp.Body)
			if took := time.Since(start); took != tc.want || body != context.DeadlineExceeded.Error() {
				t.Errorf("%v left: the request ended after %v with %q, want %v", tc.left, took, body, tc.want)
			}
		})
	}
}

func TestNoDeadline(t *testing.T) {
	resp := call(t, t.Context(), get, func(w http.ResponseWriter, r *http.Request) {
		_, has := r.Context().Deadline()
		fmt.Fprint(w, has)
	})
	if got := read(t, resp.Body); got != "false" {
		t.Errorf("has a deadline = %s", got)
	}
}

func TestRequestID(t *testing.T) {
	if id := lambdahttp.RequestID(t.Context()); id != "" {
		t.Errorf("RequestID outside Lambda = %q", id)
	}
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "aws-1"})
	resp := call(t, ctx, get, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, lambdahttp.RequestID(r.Context())) })
	if got := read(t, resp.Body); got != "aws-1" {
		t.Errorf("RequestID = %q", got)
	}
}

func TestHugeBodies(t *testing.T) {
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MB, more than any buffer on the way
	ev := events.APIGatewayProxyRequest{HTTPMethod: "POST", Path: "/", Body: string(in)}
	resp := call(t, t.Context(), ev, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(in)) {
			t.Errorf("request body: %d bytes, ContentLength %d, %v", len(b), r.ContentLength, err)
		}
		if n, err := w.Write(b); n != len(b) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	})
	if got := read(t, resp.Body); got != string(in) {
		t.Errorf("%d bytes came back, want %d", len(got), len(in))
	}
}

// BenchmarkRequest is the adapter's cost per request without the decoding of
// the event, which the runtime's client does.
func BenchmarkRequest(b *testing.B) {
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "0123456789abcdef")
		w.Write([]byte(`{"ok":true}`))
	}
	var ev events.APIGatewayProxyRequest
	if err := json.Unmarshal([]byte(proxyEvent), &ev); err != nil {
		b.Fatal(err)
	}
	f, buf := lambdahttp.Wrap(http.HandlerFunc(h)), make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := f(b.Context(), ev)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Read(buf)
		}
		resp.Close()
	}
}

// BenchmarkChunk is the cost per write of a stream.
func BenchmarkChunk(b *testing.B) {
	chunk := []byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n")
	resp := call(b, b.Context(), get, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 32<<10)
	resp.Read(buf) // the prelude
	b.ReportAllocs()
	for b.Loop() {
		if n, err := resp.Read(buf); n != len(chunk) || err != nil {
			b.Fatal(n, err)
		}
	}
	resp.Close()
}

// BenchmarkDecode is what the runtime's client spends on an event first.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{4_000, 100_000} {
		prompt, _ := json.Marshal(strings.Repeat("Say \"hello\".\n", size/13))
		body, _ := json.Marshal(`{"model":"m","messages":[{"role":"user","content":` + string(prompt) + `}]}`)
		event := []byte(strings.Replace(proxyEvent, `"body": "{}"`, `"body": `+string(body), 1))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var ev events.APIGatewayProxyRequest
				if err := json.NewDecoder(bytes.NewReader(event)).Decode(&ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
