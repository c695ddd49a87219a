package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// MaxBody is the largest request body, in bytes: what a Lambda can be sent.
const MaxBody = 6 << 20

// maxDrain is how much is read of a body that is too large.
const maxDrain = 64 << 20

// maxClientID bounds a caller's own request id.
const maxClientID = 128

// visit is one HTTP request inside this package.
type visit struct {
	w        http.ResponseWriter
	r        *http.Request
	id       string
	clientID string
	start    time.Time
	sent     bool              // the response's head is out
	status   int               // of that head
	buffers  *upstream.Buffers // for the bodies; nil: they are the garbage collector's
	params   []string          // query parameters that are read
	lists    []string          // those of them that may be given several times
}

// WriteHeader notes that the head is out; visit is the response writer of all
// handlers.
func (v *visit) WriteHeader(status int) {
	if v.sent {
		return
	}
	v.sent, v.status = true, status
	v.w.WriteHeader(status)
}

func (v *visit) Header() http.Header { return v.w.Header() }

func (v *visit) Write(p []byte) (int, error) {
	v.WriteHeader(http.StatusOK)
	return v.w.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.w }

// handler may return an error instead of writing a response.
type handler func(v *visit) error

// handle does what every request needs: ids, CORS, a way out of panics, and
// errors as JSON.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		v := &visit{w: w, r: r, id: requestid.New(now), start: now}
		head := w.Header()
		head["X-Request-Id"] = []string{v.id}
		if v.clientID = clientID(r.Header); v.clientID != "" {
			head["X-Client-Request-Id"] = []string{v.clientID}
		}
		cors(head, r.Header)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", v.id), slog.Any("value", p), slog.String("stack", string(debug.Stack())))
				if !v.sent {
					writeError(v, fault.New(fault.Internal, "Internal error."))
				}
			}
		}()
		if err := h(v); err != nil && !v.sent {
			writeError(v, err)
		}
	})
}

// clientID is the caller's own id for the request, if it is fit for a header
// and a log.
func clientID(h http.Header) string {
	id := h.Get("X-Client-Request-Id")
	if id == "" {
		id = h.Get("X-Request-Id")
	}
	if len(id) > maxClientID {
		id = id[:maxClientID]
	}
	for i := range len(id) {
		if id[i] < 0x21 || id[i] > 0x7e {
			return ""
		}
	}
	return id
}

const exposed = "x-request-id, x-client-request-id, x-gateway-provider, x-gateway-model, x-gateway-attempts, x-gateway-cache, x-gateway-overhead-ms, " +
	"x-gateway-cost-usd, x-gateway-dropped, x-gateway-skipped, x-gateway-context, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, " +
	"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, retry-after, x-should-retry"

// cors lets browsers call from anywhere: the key is the protection, and no
// cookie is ever read. The list of headers is long, and for browsers only.
func cors(h, asked http.Header) {
	h["Access-Control-Allow-Origin"] = []string{"*"}
	if asked["Origin"] != nil {
		h["Access-Control-Expose-Headers"] = []string{exposed}
	}
}

// preflight answers OPTIONS, the same for every path.
func preflight(v *visit) error {
	h := v.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS")
	if asked := v.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Set("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "7200")
	v.WriteHeader(http.StatusNoContent)
	return nil
}

// key returns the caller's key, from either header.
func key(h http.Header) string {
	if auth := h.Get("Authorization"); auth != "" {
		if scheme, rest, ok := strings.Cut(auth, " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(rest)
		}
		return auth // a bare key; anything else fails as one
	}
	return h.Get("X-Api-Key")
}

// begin opens the books of a request that carries a gateway key.
func (s *Server) begin(v *visit, operation string) (*gateway.Call, error) {
	c, err := s.Gateway.Begin(v.r.Context(), v.id, key(v.r.Header), operation, v.start)
	c.Record.ClientID = v.clientID
	return c, err
}

// work answers a request whose key is good.
type work func(context.Context, *visit, *gateway.Call) error

// own makes handlers of work on what belongs to the key's user.
func (s *Server) own(operation string) func(work) handler {
	return func(do work) handler {
		return func(v *visit) error { return s.owned(v, operation, do) }
	}
}

// owned is the frame of requests about what belongs to the key's user: the
// key first, then a slot of the rate limit, then the work. Failures of a
// library or a store are told in our own words; operation is whose they are.
func (s *Server) owned(v *visit, operation string, work work) (err error) {
	ctx := v.r.Context()
	c, err := s.begin(v, operation)
	defer func() { s.note(v, c, err) }()
	if err != nil {
		return err
	}
	if err := s.Gateway.Touch(ctx, c, "inference"); err != nil {
		return err
	}
	limits(v.Header(), c.Grant.Limits)
	if err := v.query(); err != nil {
		return err
	}
	return s.told(ctx, v.id, operation, work(ctx, v, c))
}

// told hides what went wrong in a library or a store from the client of request
// id; the log has it.
func (s *Server) told(ctx context.Context, id, operation string, err error) error {
	if f := fault.As(err); f != nil && f.Kind == fault.Internal {
		s.Log.LogAttrs(ctx, slog.LevelError, operation+" failed", slog.String("request_id", id), slog.Any("err", err))
		return fault.Wrap(fault.Unavailable, err, "The "+operation+" cannot be used right now; try again.")
	}
	return err
}

// body reads the request's body whole. It stands in v.buffers, and is lost when
// those are released.
func (v *visit) body() ([]byte, error) {
	tooLarge := &fault.Error{Kind: fault.TooLarge, Code: "request_too_large",
		Message: "The request body is larger than " + strconv.Itoa(MaxBody) + " bytes."}
	if v.r.ContentLength > MaxBody {
		v.drain()
		return nil, tooLarge
	}
	buf := bytes.NewBuffer(v.buffers.Bytes(int(max(0, v.r.ContentLength)) + bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(v.r.Body, MaxBody+1))
	switch {
	case err != nil && v.r.Context().Err() != nil:
		return nil, v.r.Context().Err()
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "The request body could not be read.")
	case n > MaxBody:
		v.drain()
		return nil, tooLarge
	}
	if v.r.Header.Get("Content-Encoding") != "" && !utf8.Valid(buf.Bytes()) {
		return nil, &fault.Error{Kind: fault.Invalid, Code: "unsupported_content_encoding",
			Message: "The request body is compressed (Content-Encoding); send it as it is."}
	}
	return bytes.TrimPrefix(buf.Bytes(), mark), nil
}

// mark is what some editors write before a text in UTF-8. JSON has none, but
// may be read as if it had not.
var mark = []byte("\ufeff")

// drain reads on what will not be used. Many clients look for an answer only
// when they have sent all of a body, and see a broken connection otherwise;
// those that ask first (100-continue) are told before they send.
func (v *visit) drain() {
	if v.r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, v.r.Body, maxDrain)
	}
}

// limits sets the rate-limit headers of an admitted request.
func limits(h http.Header, r admission.Remaining) {
	if r.Requests > 0 {
		h["X-Ratelimit-Limit-Requests"] = []string{strconv.FormatInt(r.Requests, 10)}
		h["X-Ratelimit-Remaining-Requests"] = []string{strconv.FormatInt(r.RequestsLeft, 10)}
		h["X-Ratelimit-Reset-Requests"] = []string{reset(r.RequestsReset)}
	}
	if r.Tokens > 0 {
		h["X-Ratelimit-Limit-Tokens"] = []string{strconv.FormatInt(r.Tokens, 10)}
		h["X-Ratelimit-Remaining-Tokens"] = []string{strconv.FormatInt(r.TokensLeft, 10)}
		h["X-Ratelimit-Reset-Tokens"] = []string{reset(r.TokensReset)}
	}
}

// reset writes a duration as OpenAI does: 120ms, 1s, 6m0s.
func reset(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10) + "ms"
	}
	return d.Round(time.Millisecond).String()
}

// clientLeft says whether err means that nobody is there to answer.
func clientLeft(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && ctx.Err() != nil
}
