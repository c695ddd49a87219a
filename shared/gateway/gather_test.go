package gateway_test

import (
	"context"
	"errors"
	"testing"

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
