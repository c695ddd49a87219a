package gateway_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

// buggy is a store of conversations with a bug.
type buggy struct{ conversation.Reader }

func (buggy) Turns(context.Context, string, string, string, int) ([]conversation.Turn, error) {
	panic("ouch")
}

// TestAPanicWhileGatheringIsAnError: it happens in a goroutine of its own, and
// its text is nothing for clients.
func TestAPanicWhileGatheringIsAnError(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	r.gateway.Conversations = buggy{}
	got := r.chat(t.Context(), "openai/gpt-4o-mini", `"conversation":"conv_0123456789"`)
	if f := fault.As(got.err); !errors.Is(got.err, fault.Internal) || f.Message != "Internal error." {
		t.Errorf("Chat = %#v, want an internal error that tells nothing", got.err)
	}
	r.books()
}

// tells is a source of what is known of projects.
type tells func(ctx context.Context, user, request, project string) (string, error)

func (f tells) Context(ctx context.Context, user, request, project string) (string, error) {
	return f(ctx, user, request, project)
}

// TestWhatBecomesOfAProject: a failure is the client's only if there is no such
// project, or no time.
func TestWhatBecomesOfAProject(t *testing.T) {
	for _, tc := range []struct {
		name    string
		source  gateway.Projects
		options string
		want    error // of the request
		skipped bool
	}{
		{"known", tells(func(context.Context, string, string, string) (string, error) { return "known", nil }), ``, nil, false},
		{"nothing known", tells(func(context.Context, string, string, string) (string, error) { return "", nil }), ``, nil, false},
		{"nobody to ask", nil, ``, nil, true},
		{"not there", tells(func(context.Context, string, string, string) (string, error) {
			return "", fault.New(fault.NotFound, "no")
		}), ``, fault.NotFound, false},
		{"down", tells(func(context.Context, string, string, string) (string, error) { return "", errors.New("down") }), ``, nil, true},
		{"out of its time", tells(func(context.Context, string, string, string) (string, error) { return "", context.DeadlineExceeded }), ``, nil, true},
		{"wrong in its eyes", tells(func(context.Context, string, string, string) (string, error) {
			return "", fault.New(fault.Invalid, "?")
		}), ``, nil, true},
		{"out of the request's time", tells(func(ctx context.Context, _, _, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }), `,"timeout_ms":10`, context.DeadlineExceeded, false},
		{"a bug", tells(func(context.Context, string, string, string) (string, error) { panic("ouch") }), ``, fault.Internal, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
			r.gateway.Projects = tc.source
			got := r.chat(t.Context(), "openai/gpt-4o-mini", `"project":"pump"`+tc.options)
			if tc.want == nil && got.err != nil || !errors.Is(got.err, tc.want) || slices.Contains(got.record.Skipped, "project") != tc.skipped {
				t.Errorf("%s: %v, skipped %q; want %v, skipped: %t", tc.name, got.err, got.record.Skipped, tc.want, tc.skipped)
			}
			if f := fault.As(got.err); tc.want == fault.NotFound && (f.Param != "gateway.project" || f.Code != "project_not_found") {
				t.Errorf("%s: param %q, code %q", tc.name, f.Param, f.Code)
			}
			r.books()
		})
	}
}

// patient is a store of conversations that takes its time.
type patient struct{ conversation.Reader }

func (patient) Turns(context.Context, string, string, string, int) ([]conversation.Turn, error) {
	time.Sleep(time.Second)
	return nil, nil
}

func (patient) Append(context.Context, string, string, conversation.Turn) error { return nil }

// TestPartsAreFetchedAtTheSameTime: a project makes nobody wait for longer than
// a conversation does.
func TestPartsAreFetchedAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
		r.gateway.Conversations = patient{}
		r.gateway.Projects = tells(func(context.Context, string, string, string) (string, error) {
			time.Sleep(time.Second)
			return "known", nil
		})
		start := time.Now()
		got := r.chat(t.Context(), "openai/gpt-4o-mini", `"project":"pump","conversation":"conv_0123456789"`)
		if took := time.Since(start); got.err != nil || took != time.Second {
			t.Errorf("%v after %v, want an answer after 1s", got.err, took)
		}
	})
}
