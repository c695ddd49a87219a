package gateway_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/router"
)

// A key that may call a public model may use its targets and fallbacks under
// that name, and nothing else.
func TestAllowListsAndPublicNames(t *testing.T) {
	set := gateway.Set{
		Instances: []gateway.Instance{instance("a", says("a")), instance("b", says("b"))},
		Models: []gateway.Public{
			{Name: "mixed", Places: []gateway.Place{{Provider: "a", Model: "gpt-4o", Weight: 1}, {Provider: "b", Model: "gpt-4o", Weight: 1}}},
			{Name: "pure", Places: []gateway.Place{{Provider: "a", Model: "gpt-4o", Weight: 1}}},
		},
	}
	for _, tc := range []struct {
		models, ask, options string
		want                 fault.Kind
		param                string
	}{
		{"*", "mixed", "", "", ""},
		{"mixed", "mixed", "", "", ""},
		{"mixed", "a/gpt-4o", "", fault.Forbidden, "model"},
		{"mixed", "pure", "", fault.Forbidden, "model"},
		{"a/*", "pure", "", "", ""},
		{"a/*", "mixed", "", fault.Forbidden, "model"},
		{"a/gpt-4o", "pure", "", fault.Forbidden, "model"},
		{"a/gpt-4o", "a/gpt-4o", "", "", ""},
		{"pure", "pure", `"fallbacks":["mixed"]`, fault.Invalid, "gateway.fallbacks[0]"},
		{"pure", "pure", `"fallbacks":["pure2","b/gpt-4o"]`, fault.Invalid, "gateway.fallbacks[0]"},
		{"pure mixed", "pure", `"fallbacks":["mixed"]`, "", ""},
	} {
		r := newRig(t, set, func(_ *admission.User, k *admission.Rule) { k.Models = strings.Fields(tc.models) })
		got := r.chat(t.Context(), tc.ask, tc.options)
		f := fault.As(got.err)
		if tc.want == "" && f != nil || tc.want != "" && (f == nil || f.Kind != tc.want || f.Param != tc.param) {
			t.Errorf("a key for %s asks for %s with %s: %+v, want %q of %q", tc.models, tc.ask, tc.options, f, tc.want, tc.param)
		}
		if f != nil && (got.text != "" || got.record.Cost != 0) {
			t.Errorf("a refused request was answered %q", got.text)
		}
		r.books()
	}
}

func TestSeveralCredentials(t *testing.T) {
	refused := status(401, fault.Upstream)
	first := instance("a", fails(refused))
	second := instance("a", says("second"))
	second.Spare, second.Region = "2", "eu-west-1"
	set := gateway.Set{Instances: []gateway.Instance{first, second},
		Models: []gateway.Public{{Name: "eu", Places: []gateway.Place{{Provider: "a", Model: "gpt-4o", Region: "eu-west-1", Weight: 1}}}}}
	r := newRig(t, set, nil)
	rotated := 0
	for range 4 { // they take turns
		got := r.chat(t.Context(), "a/gpt-4o", "")
		if got.text != "second/gpt-4o" {
			t.Fatalf("answer %q, %v, want the second credential's", got.text, got.err)
		}
		rotated += got.record.Rotations
	}
	if rotated != 2 {
		t.Errorf("%d rotations in four requests, want 2", rotated)
	}
	if got := r.chat(t.Context(), "eu", ""); got.text != "second/gpt-4o" || got.record.Attempts != 1 {
		t.Errorf("in its region: %q after %d attempts, want the second credential's at once", got.text, got.record.Attempts)
	}
	r.books()
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pair(says("a"), says("b"), router.Policy{}), nil)
		m := r.gateway.Models
		asked, complaints := 0, 0
		var next *gateway.Set
		var bad error
		m.Reload = func(context.Context) (*gateway.Set, error) { asked++; return next, bad }
		m.Failed = func(error) { complaints++ }
		say := func(want string) {
			t.Helper()
			if got := r.chat(t.Context(), "m", ""); got.text != want {
				t.Errorf("answer %q, %v, want %q", got.text, got.err, want)
			}
		}
		for range 10 {
			say("a/gpt-4o-mini")
			time.Sleep(5 * time.Second)
		}
		if asked != 0 {
			t.Errorf("reloaded %d times within 50 seconds of the start", asked)
		}
		bad = fault.New(fault.Invalid, "line 3")
		for range 5 {
			time.Sleep(61 * time.Second)
			say("a/gpt-4o-mini")
		}
		if asked != 5 || complaints != 1 {
			t.Errorf("a bad configuration was looked at %d times and told %d times, want 5 and 1", asked, complaints)
		}
		bad = nil
		set := pair(says("new"), says("b"), router.Policy{})
		next = &set
		time.Sleep(61 * time.Second)
		say("new/gpt-4o-mini")
	})
}
