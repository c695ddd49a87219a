//go:build unix

package rag

import (
	"slices"
	"testing"

	"github.com/devmentor/ai-gateway/shared/growthtest"
)

// TestPassagesOfADocumentAreIndexedTogether: whoever searches waits meanwhile. A
// document may have 150,000 passages, and others may be before and behind it.
func TestPassagesOfADocumentAreIndexedTogether(t *testing.T) {
	for name, work := range map[string]func(x *Inverted, slots []uint32, doc [][]Term){
		"removed": func(x *Inverted, slots []uint32, doc [][]Term) { x.Remove(slots, doc) },
		"replaced": func(x *Inverted, slots []uint32, doc [][]Term) {
			x.Remove(slots, doc)
			x.AddAll(doc)
		},
	} {
		growthtest.Linear(t, name, 8<<10, func(size int) func() {
			var x Inverted
			doc := slices.Repeat([][]Term{{{Text: "a", Count: 1}}}, size)
			slots := x.AddAll(doc)
			x.AddAll(doc)
			return func() { work(&x, slots, doc) }
		})
	}
}
