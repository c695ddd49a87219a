package admission_test

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// A token limit counts what all attempts took, as the provider's own does.
func TestTokensOfAllAttempts(t *testing.T) {
	r := usage.Record{InputTokens: 10, OutputTokens: 5}
	if got := admission.Tokens(r); got != 15 {
		t.Errorf("Tokens = %d, want 15", got)
	}
	r.Tried = []usage.Attempt{{Status: 500}, {InputTokens: 10, OutputTokens: 2}, {InputTokens: 10, OutputTokens: 5}}
	if got := admission.Tokens(r); got != 27 {
		t.Errorf("Tokens of three attempts = %d, want 27", got)
	}
}
