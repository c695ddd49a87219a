package gateway

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// errorText is what may be logged of an error. Texts that could repeat the
// request are left out: what a provider wrote, and what is wrong with the
// caller's own input or what it asks for. Debugging turns them on.
func errorText(f *fault.Error, debug bool) string {
	switch {
	case debug:
		return f.Error()
	case f.Kind == fault.Invalid || f.Kind == fault.TooLarge || f.Kind == fault.Unprocessable || f.Kind == fault.NotFound:
		return ""
	case f.Provider != "" && f.Status != 0:
		return f.Message
	}
	return f.Error()
}

// Note writes the log line of a request that runs no model and leaves no
// record; more says what it was about.
func (g *Gateway) Note(ctx context.Context, c *Call, status int, err error, more ...slog.Attr) {
	c.Record.Status, c.Record.Duration = status, time.Since(c.Start)
	c.Record.Overhead = c.Record.Duration
	logRecord(ctx, g.Log, &c.Record, err, more...)
}

// plainName is what may be logged of the name of a field, or of a model that
// nobody knows. A client can write anything for one, even a prompt: what could
// be more than a name is left out.
func plainName(name string) string {
	odd := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_-.[]$@/:", c))
	}
	if len(name) > 128 || strings.ContainsFunc(name, odd) {
		return "…"
	}
	return name
}

// logRecord writes the one log line of a request. It holds figures and names,
// never prompts, answers or keys; an error's cause is scrubbed where it is made.
// more takes the place of the model that was asked for.
func logRecord(ctx context.Context, log *slog.Logger, r *usage.Record, err error, more ...slog.Attr) {
	level := slog.LevelInfo
	if r.Status >= 500 {
		level = slog.LevelError
	}
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 28)
	attrs = append(attrs,
		slog.String("request_id", r.ID), slog.String("operation", r.Operation), slog.Int("status", r.Status),
		slog.String("user", r.User), slog.String("key", r.Key))
	if attrs = append(attrs, more...); len(more) == 0 {
		attrs = append(attrs, slog.String("model_asked", r.Asked))
	}
	if r.ClientID != "" {
		attrs = append(attrs, slog.String("client_request_id", r.ClientID))
	}
	if r.Provider != "" {
		attrs = append(attrs, slog.String("provider", r.Provider), slog.String("model", r.Model), slog.Bool("stream", r.Stream),
			slog.Int("attempts", r.Attempts),
			slog.Int64("input_tokens", r.InputTokens), slog.Int64("output_tokens", r.OutputTokens),
			slog.Int64("cached_tokens", r.CachedTokens), slog.Int64("reasoning_tokens", r.ReasoningTokens),
			slog.Int64("cost_nano_usd", int64(r.Cost)), slog.Int64("reserved_nano_usd", int64(r.Reserved)),
			slog.Float64("ttft_ms", float64(r.TTFT.Microseconds())/1e3))
	}
	attrs = append(attrs, slog.Float64("duration_ms", float64(r.Duration.Microseconds())/1e3), slog.Float64("overhead_ms", float64(r.Overhead.Microseconds())/1e3))
	if r.Rotations > 0 {
		attrs = append(attrs, slog.Int("rotations", r.Rotations))
	}
	if len(r.Tried) > 0 {
		attrs = append(attrs, slog.Any("tried", r.Tried))
	}
	if r.Finish != "" {
		attrs = append(attrs, slog.String("finish_reason", r.Finish))
	}
	if len(r.Tags) > 0 {
		attrs = append(attrs, slog.Any("tags", r.Tags))
	}
	for _, mark := range [...]struct {
		name string
		set  bool
	}{{"estimated", r.Estimated}, {"unpriced", r.Unpriced}, {"partial", r.Partial}, {"fail_open", r.FailOpen}} {
		if mark.set {
			attrs = append(attrs, slog.Bool(mark.name, true))
		}
	}
	if f := fault.As(err); f != nil {
		attrs = append(attrs, slog.String("error_kind", string(f.Kind)), slog.String("error_code", f.Code))
		if f.Param != "" {
			attrs = append(attrs, slog.String("error_param", plainName(f.Param)))
		}
		if f.Status != 0 {
			attrs = append(attrs, slog.Int("upstream_status", f.Status))
		}
		if text := errorText(f, log.Enabled(ctx, slog.LevelDebug)); text != "" {
			attrs = append(attrs, slog.String("error", text))
		}
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}
