package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	attempts  = 4
	firstWait = 200 * time.Millisecond // before the second attempt; doubles
	pause     = 30 * time.Second       // after a failed export
	maxAnswer = 64 << 10
	maxReason = 200
)

// exporter posts spans to a collector as OTLP/JSON. The SDK makes one call at a
// time.
//
// After a failed export the next are dropped for a while: a collector that is
// down must not cost every request of a Lambda the time of a Flush.
type exporter struct {
	url     string
	headers func(context.Context) (string, error)
	agent   string
	http    http.RoundTripper
	log     *slog.Logger

	header http.Header // nil until headers were asked for
	until  time.Time   // no export before then
	lost   int         // spans dropped since the log was told
}

var _ sdktrace.SpanExporter = (*exporter)(nil)

// ExportSpans sends spans. Failures go to our log and not to the SDK's error
// handler, which is global and prints what it is given.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	if time.Now().Before(e.until) {
		e.lost += len(spans)
		return nil
	}
	if err := e.export(ctx, spans); err != nil {
		e.log.Warn("traces are not exported", "spans", e.lost+len(spans), "pause", pause.String(), "error", err.Error())
		e.until, e.lost = time.Now().Add(pause), 0
	} else if e.lost > 0 {
		e.log.Info("traces are exported again", "lost", e.lost)
		e.lost = 0
	}
	return nil
}

// Shutdown has nothing to do: the SDK exports what is left before.
func (*exporter) Shutdown(context.Context) error { return nil }

func (e *exporter) export(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	body, err := encode(spans)
	if err != nil {
		return err
	}
	if err := e.prepare(ctx); err != nil {
		return err
	}
	for n, wait := 1, firstWait; ; n, wait = n+1, 2*wait {
		after, err := e.post(ctx, body)
		if err == nil || after < 0 || n == attempts {
			return err
		}
		if after == 0 {
			after = wait/2 + rand.N(wait/2)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= after {
			return err // there is no time for another attempt
		}
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return err
		}
	}
}

// post makes one attempt. With an error comes the time after which to try
// again: 0 if nobody says, negative if there is no sense in it.
func (e *exporter) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	req.Header = e.header.Clone()
	resp, err := e.http.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return -1, ctx.Err()
		}
		return 0, errors.New(reason([]byte(err.Error())))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode/100 == 2:
		e.rejected(text)
		return 0, nil
	case resp.StatusCode == 429, resp.StatusCode == 502, resp.StatusCode == 503, resp.StatusCode == 504:
		return upstream.RetryAfter(resp.Header), fmt.Errorf("HTTP %d: %s", resp.StatusCode, reason(text))
	}
	return -1, fmt.Errorf("HTTP %d: %s", resp.StatusCode, reason(text))
}

// rejected reads a success, which may be a partial one. That is not to be
// tried again.
func (e *exporter) rejected(answer []byte) {
	var a struct {
		PartialSuccess struct {
			RejectedSpans any    `json:"rejectedSpans"` // a number, or text
			ErrorMessage  string `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return // an answer in protobuf, or none
	}
	switch p := a.PartialSuccess; {
	case p.RejectedSpans == nil, p.RejectedSpans == 0.0, p.RejectedSpans == "0", p.RejectedSpans == "":
	default:
		e.log.Warn("traces are rejected", "spans", fmt.Sprint(p.RejectedSpans), "error", reason([]byte(p.ErrorMessage)))
	}
}

// prepare gets the header that all exports have.
func (e *exporter) prepare(ctx context.Context) error {
	if e.header != nil {
		return nil
	}
	header := http.Header{"User-Agent": {e.agent}}
	if e.headers != nil {
		text, err := e.headers(ctx)
		if err != nil {
			return fmt.Errorf("headers: %w", err)
		}
		if err := parseHeaders(header, text); err != nil {
			return err
		}
	}
	header.Set("Content-Type", "application/json")
	e.header = header
	return nil
}

var headerName = pattern.Pattern{Expr: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"}

// parseHeaders reads k=v,k=v with percent-encoded values. Its errors do not
// quote values, which are secrets.
func parseHeaders(dst http.Header, text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !ok || !headerName.Match(name) {
			return errors.New("headers: want name=value pairs with commas between")
		}
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if err != nil || strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf("headers: the value of %s cannot be sent", name)
		}
		dst.Set(name, value)
	}
	return nil
}

// reason is what may be logged of an answer.
func reason(text []byte) string {
	s := upstream.Scrub(string(text))
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}
