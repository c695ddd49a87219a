// Package lambdahttp serves API Gateway's REST events with an http.Handler and
// streams the answer as the handler writes it.
//
// Every answer has the format of a streaming integration (a prelude of status
// and headers, then the body), whatever happens: API Gateway turns anything
// else into a bare 502.
package lambdahttp

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Margin is how long before the function's own deadline the request's context
// ends. Lambda kills a function at its deadline without a word to the client;
// the margin is the handler's time to finish the stream and settle the bill.
// It is at most half of the time that a request has.
const Margin = 2 * time.Second

// Main opens a server once per instance and serves one of its endpoints. It
// never returns. If open fails, the process ends and Lambda reports that.
func Main[S any](open func(context.Context) (S, error), endpoint func(S) http.Handler) {
	lambda.Start(Wrap(endpoint(must(open))))
}

// Job opens a server once per instance and runs one of its jobs for each
// event, for functions that a schedule or a queue invokes. A job's error is
// the invocation's: it is counted, and the event is tried again as the event
// source is configured. The job's context ends Margin before the deadline.
func Job[S any](open func(context.Context) (S, error), job func(S) func(context.Context, json.RawMessage) error) {
	run := job(must(open))
	lambda.Start(func(ctx context.Context, event json.RawMessage) error {
		ctx, cancel := deadline(ctx)
		defer cancel()
		return run(ctx, event)
	})
}

// must opens the server, or ends the process. The default logger, which this
// package and others' code use, writes lines as Lambda's log pipeline reads them.
func must[S any](open func(context.Context) (S, error)) S {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr})))
	s, err := open(context.Background())
	if err != nil {
		slog.Error("cannot start", "err", err)
		os.Exit(1)
	}
	return s
}

// RequestID returns Lambda's id of the invocation that ctx belongs to, as
// CloudWatch shows it, or "" outside Lambda.
func RequestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// Wrap returns a handler of REST events, for lambda.Start, that serves them
// with h:
//
//   - The status and headers are sent at h's first Write, WriteHeader or Flush,
//     and then each Write at once. A Write returns when it has been taken.
//   - The body ends only after h has returned, because Lambda may freeze the
//     process then. Closing the answer early cancels the request and waits for h.
//   - The request's context ends Margin before the deadline, with
//     context.DeadlineExceeded as cause. A client that leaves is not noticed:
//     Lambda does not tell.
//   - A panic of h is logged. The client gets a 500, or the end of the body if
//     the head is out. http.ErrAbortHandler breaks the stream off instead, so
//     that the client can tell that the answer is not complete.
//   - An event that is no request is answered with 400.
func Wrap(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
	return func(ctx context.Context, ev events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
		ctx, cancel := deadline(ctx)
		r, err := request(ctx, &ev)
		if err != nil {
			cancel()
			slog.WarnContext(ctx, "not a request", "err", err, "aws_request_id", RequestID(ctx))
			return &events.APIGatewayProxyStreamingResponse{
				StatusCode: http.StatusBadRequest, MultiValueHeaders: errorHeader(nil, RequestID(ctx)), Body: strings.NewReader(badEvent),
			}, nil
		}
		pr, pw := io.Pipe()
		w := &writer{header: http.Header{}, pipe: pw, head: make(chan struct{}), noBody: r.Method == http.MethodHead}
		done := make(chan struct{})
		go func() {
			defer close(done)
			pw.CloseWithError(serve(h, w, r)) // nil is io.EOF
		}()
		<-w.head
		return &events.APIGatewayProxyStreamingResponse{
			StatusCode: w.status, MultiValueHeaders: w.sent,
			Body: &body{PipeReader: pr, cancel: cancel, done: done},
		}, nil
	}
}

// serve runs h, survives its panics and makes sure that a head is sent. The
// error is how the body shall end.
func serve(h http.Handler, w *writer, r *http.Request) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			w.WriteHeader(http.StatusOK)
			return
		}
		if v != http.ErrAbortHandler {
			slog.ErrorContext(r.Context(), "panic", "value", v, "stack", stack(), "aws_request_id", RequestID(r.Context()))
		}
		if w.status == 0 {
			w.fail(RequestID(r.Context()))
		} else if v == http.ErrAbortHandler {
			err = http.ErrAbortHandler
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// body is the answer's body. Lambda may freeze the process once it is closed,
// so Close stops the handler and waits for it.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   <-chan struct{}
}

func (b *body) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}

// deadline returns a context that ends Margin before ctx.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(Margin, time.Until(end)/2)))
}

const (
	badEvent = `{"error":{"message":"The event is not an HTTP request.","type":"invalid_request_error","param":null,"code":"invalid_event"}}`
	internal = `{"error":{"message":"Internal error.","type":"server_error","param":null,"code":"internal_error"}}`
)

// errorHeader makes h, the handler's own if there was one, the header of one
// of the errors above. Every answer of the gateway names the request.
func errorHeader(h http.Header, id string) http.Header {
	h = outgoing(h)
	for _, name := range []string{"Content-Encoding", "Cache-Control", "Etag", "Last-Modified"} { // of the answer that was meant
		delete(h, name)
	}
	h["Content-Type"] = []string{"application/json"}
	if id != "" && h["X-Request-Id"] == nil {
		h["X-Request-Id"] = []string{id}
	}
	return h
}
