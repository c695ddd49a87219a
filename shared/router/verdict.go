package router

import (
	"context"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// Verdict is what follows from a failed call.
type Verdict string

const (
	Stop    Verdict = "stop"    // the request is wrong, or over: asking again helps nobody
	Retry   Verdict = "retry"   // another target, or the same again, later
	Rotate  Verdict = "rotate"  // another credential or target, never the same
	Longer  Verdict = "longer"  // a model with a larger window
	Content Verdict = "content" // a model with another policy
	Poor    Verdict = "poor"    // there is no money for this target, or nobody who can say; a cheaper one may do
)

// Judge says what follows when a call failed with err. begun: the client has
// seen an event, so that nothing may be asked again.
func Judge(ctx context.Context, err error, begun bool) Verdict {
	f := fault.As(err)
	switch {
	case begun || ctx.Err() != nil || f.Kind == fault.Canceled:
		return Stop
	case (f.Kind == fault.Quota || f.Kind == fault.Unavailable) && f.Provider == "": // our own accounts said it
		return Poor
	case tooLong(f):
		return Longer
	case filtered(f):
		return Content
	}
	switch s := f.Status; {
	case s == http.StatusUnauthorized || s == http.StatusPaymentRequired || s == http.StatusForbidden:
		return Rotate
	case s == http.StatusRequestTimeout || s == http.StatusConflict || s == http.StatusTooEarly || s == http.StatusTooManyRequests || s >= 500:
		return Retry
	}
	switch f.Kind {
	case fault.Invalid, fault.TooLarge, fault.Unprocessable, fault.Quota, fault.Unimplemented, fault.Forbidden:
		return Stop // it would be as wrong elsewhere
	case fault.Upstream, fault.Timeout, fault.Unavailable, fault.RateLimited:
		if f.Status/100 == 2 || f.Status == 0 {
			return Retry // no answer, or a broken one
		}
	}
	return Rotate // a redirect, an odd status, a model that this provider lacks, a bug: elsewhere it may work
}

// long are the words in which providers say that a prompt does not fit.
var long = pattern.Pattern{Expr: `(?i)context[ _](?:length|window)|prompt is too long|input is too long|too many (?:input )?tokens|` +
	`input token count.{0,60}exceeds|maximum (?:number of )?tokens|exceeds? the (?:model's )?maximum (?:context|input)`}

func tooLong(f *fault.Error) bool {
	switch f.Kind {
	case fault.TooLarge:
		return true
	case fault.Invalid, fault.Unprocessable:
		return f.Code == "context_length_exceeded" || f.Provider != "" && f.Param != "max_tokens" && f.Param != "max_completion_tokens" && long.Match(f.Message)
	}
	return false
}

func filtered(f *fault.Error) bool {
	switch f.Code {
	case "content_filter", "content_policy_violation", "responsible_ai_policy_violation", "moderation_blocked":
		return true
	}
	return false
}

// ill says whether a failure speaks against the target's health.
func (v Verdict) ill() bool { return v == Retry || v == Rotate }
