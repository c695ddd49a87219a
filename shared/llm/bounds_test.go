//go:build unix

package llm_test

import (
	"fmt"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// TestManyFieldsAreDroppedInLinearTime: a body of 6 MB has room for half a
// million.
func TestManyFieldsAreDroppedInLinearTime(t *testing.T) {
	growthtest.Linear(t, "Drop", 1_000, func(size int) func() {
		var r llm.Request
		for i := range size {
			r.Fields = append(r.Fields, rawjson.Field{Name: fmt.Sprintf("field%06d", i), Value: []byte("5")})
		}
		return func() {
			if err := r.Drop("p", "model", "messages"); err != nil || len(r.Dropped) != size {
				t.Errorf("Drop = %v with %d of %d fields", err, len(r.Dropped), size)
			}
		}
	})
}
