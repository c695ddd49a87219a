//go:build unix

package llm_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
	"github.com/devmentor/ai-gateway/shared/llm"
)

func TestPiecesOfArgumentsAreJoinedInLinearTime(t *testing.T) {
	growthtest.Linear(t, "Add", 1_500, func(size int) func() {
		return func() {
			var a llm.Answer
			for range size {
				a.Add(&llm.Event{Tools: []llm.ToolDelta{{Arguments: "0123456789"}, {Index: 1, Arguments: "x"}}})
			}
			if got := a.Choices[0].ToolCalls; len(got[0].Arguments) != 10*size || len(got[1].Arguments) != size {
				t.Fatalf("arguments of %d and %d bytes", len(got[0].Arguments), len(got[1].Arguments))
			}
		}
	})
}
