package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestCachePointsAreReserved: what is written to a cache costs more than input,
// and whether it will be is known before.
func TestCachePointsAreReserved(t *testing.T) {
	var sent string
	in := gateway.Instance{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Chat: llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		sent = string(req.Raw)
		return says("anthropic")(ctx, req, emit)
	})}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
	system := strings.Repeat("You know everything about harbours and their masters. ", 400)
	got := r.body(t.Context(), `{"model":"anthropic/claude-sonnet-4-5","max_tokens":10,"messages":[{"role":"system","content":"`+system+`"},{"role":"user","content":"Hello!"}],"gateway":{"optimize":true}}`)
	if got.err != nil || !strings.Contains(sent, "cache_control") || r.vault.topups != 0 {
		t.Errorf("%v after %d top-ups, want none; the prompt has cache points: %t", got.err, r.vault.topups, strings.Contains(sent, "cache_control"))
	}
	r.books()
}
