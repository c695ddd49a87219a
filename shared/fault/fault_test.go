package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
)

func TestAs(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"ours, wrapped", fmt.Errorf("x: %w", fault.New(fault.NotFound, "no model %q", "m")), fault.NotFound},
		{"outermost wins", fault.Wrap(fault.Upstream, fault.New(fault.Invalid, "in"), "out"), fault.Upstream},
		{"client left", fmt.Errorf("read: %w", context.Canceled), fault.Canceled},
		{"deadline", fmt.Errorf("read: %w", context.DeadlineExceeded), fault.Timeout},
		{"foreign", io.ErrUnexpectedEOF, fault.Internal},
	} {
		if got := fault.As(tc.err).Kind; got != tc.want {
			t.Errorf("%s: As = %s, want %s", tc.name, got, tc.want)
		}
	}
	if fault.As(nil) != nil {
		t.Error("As(nil) must be nil")
	}
}

func TestChain(t *testing.T) {
	err := error(fault.Wrap(fault.Unavailable, io.EOF, "The store is down."))
	if !errors.Is(err, fault.Unavailable) || !errors.Is(err, io.EOF) {
		t.Error("an Error must be both its Kind and its cause")
	}
	if errors.Is(err, fault.Internal) {
		t.Error("an Error must not be another Kind")
	}
}

func TestFieldErrorsSayWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		err           *fault.Error
		code, message string
	}{
		{fault.Missing("a.b"), "missing_required_parameter", "Missing required parameter: 'a.b'."},
		{fault.Unknown("x"), "unknown_parameter", "Unknown parameter: 'x'."},
		{fault.Unknown("x", "a", "b"), "unknown_parameter", "Unknown parameter: 'x'. Known are: a, b."},
		{fault.WrongType("x", "null", "string"), "invalid_type", "Invalid type for 'x': expected a string, got null."},
		{fault.WrongType("x", "number", "array", "string"), "invalid_type", "Invalid type for 'x': expected an array or string, got number."},
		{fault.WrongType("x", "number", "integer"), "invalid_type", "Invalid type for 'x': expected an integer, got number."},
	} {
		if tc.err.Kind != fault.Invalid || tc.err.Code != tc.code || tc.err.Message != tc.message {
			t.Errorf("%q (%s) = %v, want %q (%s)", tc.err.Message, tc.err.Code, tc.err.Kind, tc.message, tc.code)
		}
	}
}

func TestChoice(t *testing.T) {
	for want, names := range map[string][]string{"": {}, "'a'": {"a"}, "'a' or 'b'": {"a", "b"}, "'a', 'b' or 'c'": {"a", "b", "c"}} {
		if got := fault.Choice(names); got != want {
			t.Errorf("Choice(%q) = %s, want %s", names, got, want)
		}
	}
}

func explode() error { panic("ouch") }

// TestGuardKeepsWhereAPanicWas: for the log, not for the client.
func TestGuardKeepsWhereAPanicWas(t *testing.T) {
	f := fault.As(fault.Guard(explode))
	if f.Kind != fault.Internal || f.Message != "Internal error." || !strings.Contains(f.Err.Error(), "ouch") || !strings.Contains(f.Err.Error(), "fault_test.explode") {
		t.Errorf("Guard = %s %q, %v, want an internal error, and of the panic what and where in its cause", f.Kind, f.Message, f.Err)
	}
	if err := fault.Guard(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("Guard = %v, want what the function returned", err)
	}
	if err := fault.Guard(func() error { return nil }); err != nil {
		t.Errorf("Guard = %v, want nil", err)
	}
}
