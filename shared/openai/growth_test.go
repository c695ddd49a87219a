//go:build unix

package openai

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestManyPartsAreReadInLinearTime: an answer of 64 MB has room for millions.
func TestManyPartsAreReadInLinearTime(t *testing.T) {
	for _, of := range []string{`{"text":"0123456789"},`, `{"thinking":[{"text":"0123456789"}]},`} {
		growthtest.Linear(t, of, 1_500, func(size int) func() {
			ch := choice{content: []byte(`{"content":[` + strings.TrimSuffix(strings.Repeat(of, size), ",") + `]}`)}
			return func() {
				if ev := ch.event(llm.NeedText); len(ev.Text)+len(ev.Reasoning) != 10*size {
					t.Fatalf("%d and %d bytes", len(ev.Text), len(ev.Reasoning))
				}
			}
		})
	}
}
