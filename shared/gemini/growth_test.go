//go:build unix

package gemini

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestManyPartsAreReadInLinearTime: an answer of 64 MB has room for millions.
func TestManyPartsAreReadInLinearTime(t *testing.T) {
	for _, of := range []string{`{"text":"0123456789"},`, `{"text":"0123456789","thought":true},`} {
		growthtest.Linear(t, of, 1_500, func(size int) func() {
			body := []byte(`{"candidates":[{"content":{"parts":[` + strings.TrimSuffix(strings.Repeat(of, size), ",") + `]}}]}`)
			return func() {
				n := 0
				d := decoder{emit: func(e *llm.Event) error { n += len(e.Text) + len(e.Reasoning); return nil }}
				if err := d.chunk(body, true); err != nil || n != 10*size {
					t.Fatalf("%d bytes, %v", n, err)
				}
			}
		})
	}
}
