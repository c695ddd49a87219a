// Package fault defines the one error type that crosses package boundaries.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind classifies an error by what its receiver can do about it. It is itself
// an error, so that errors.Is(err, fault.NotFound) works.
type Kind string

const (
	Invalid       Kind = "invalid"         // the request is wrong; Param names the field
	Unauthorized  Kind = "unauthorized"    // no key, or one that is unknown, expired or revoked
	Forbidden     Kind = "forbidden"       // the key is good, but not for this
	NotFound      Kind = "not_found"       // no such model or resource
	Method        Kind = "method"          // the path exists, the method does not
	Conflict      Kind = "conflict"        // it exists already, or changed meanwhile
	TooLarge      Kind = "too_large"       // over a size limit
	Unprocessable Kind = "unprocessable"   // an upstream understood the request and refused it (422)
	RateLimited   Kind = "rate_limited"    // too fast or too many at once; RetryAfter says when
	Quota         Kind = "quota"           // a budget is used up
	Canceled      Kind = "canceled"        // the client left
	Upstream      Kind = "upstream"        // a provider broke its protocol, or our credentials there
	Unavailable   Kind = "unavailable"     // nothing can serve this now; try again
	Timeout       Kind = "timeout"         // a deadline passed
	Unimplemented Kind = "not_implemented" // known, but not built yet
	Internal      Kind = "internal"        // our own bug
)

// Kinds lists every Kind, for tests that check that a table is complete.
var Kinds = []Kind{Invalid, Unauthorized, Forbidden, NotFound, Method, Conflict, TooLarge, Unprocessable, RateLimited,
	Quota, Canceled, Upstream, Unavailable, Timeout, Unimplemented, Internal}

func (k Kind) Error() string { return string(k) }

// StatusClientLeft is the HTTP status in our books of requests whose client left
// before it had its answer. It is nginx's: net/http has no name for it.
const StatusClientLeft = 499

// Error is a Kind, a message that is safe to show to the client, and a cause
// that is only ever logged.
type Error struct {
	Kind       Kind
	Message    string        // for the client: no secrets, no internal addresses
	Param      string        // the request field that is wrong, e.g. "messages[1].role"
	Code       string        // OpenAI's machine-readable code; empty means the Kind's usual one
	RetryAfter time.Duration // 0 means unknown

	// Provider and Status say who failed and with which HTTP status, when an
	// upstream did. Status 0 with a Provider means that no answer came at all.
	Provider string
	Status   int

	Err error // for the log only
}

// New returns an Error with a client-safe message and no cause.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Field returns an Invalid error that names the request field at fault.
func Field(param, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Missing returns an Invalid error for a request field that has to be there.
func Missing(param string) *Error {
	return &Error{Kind: Invalid, Param: param, Code: "missing_required_parameter", Message: "Missing required parameter: '" + param + "'."}
}

// Unknown returns an Invalid error for a request field that nobody reads. known
// are those that may stand in its place, if it helps to be told.
func Unknown(param string, known ...string) *Error {
	message := "Unknown parameter: '" + param + "'."
	if len(known) > 0 {
		message += " Known are: " + strings.Join(known, ", ") + "."
	}
	return &Error{Kind: Invalid, Param: param, Code: "unknown_parameter", Message: message}
}

// WrongType returns an Invalid error for a request field that has got one JSON
// type, and should be of one that is wanted: "boolean", "string", ….
func WrongType(param, got string, want ...string) *Error {
	article := "a "
	if strings.HasPrefix(want[0], "a") || strings.HasPrefix(want[0], "i") || strings.HasPrefix(want[0], "o") {
		article = "an "
	}
	return &Error{Kind: Invalid, Param: param, Code: "invalid_type",
		Message: "Invalid type for '" + param + "': expected " + article + strings.Join(want, " or ") + ", got " + got + "."}
}

// Choice lists what a field may be: 'a', 'b' or 'c'.
func Choice[S ~string](of []S) string {
	var b strings.Builder
	for i, s := range of {
		switch {
		case i > 0 && i == len(of)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString("'" + string(s) + "'")
	}
	return b.String()
}

// Wrap hides err behind a client-safe message.
func Wrap(k Kind, err error, message string) *Error {
	return &Error{Kind: k, Message: message, Err: err}
}

func (e *Error) Error() string {
	if e.Err != nil {
		return strings.TrimSuffix(e.Message, ".") + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// As returns the outermost Error in err's chain. A context's error becomes
// Canceled or Timeout; anything else foreign becomes Internal. As(nil) is nil.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Wrap(Canceled, err, "The client closed the request.")
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, err, "The request ran out of time.")
	}
	return Wrap(Internal, err, "Internal error.")
}
