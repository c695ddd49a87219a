package rag_test

import (
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

func TestCheckCollection(t *testing.T) {
	for _, name := range []string{"a", "9", "Docs_2.v-1", strings.Repeat("x", 64)} {
		if err := rag.CheckCollection("collection", name); err != nil {
			t.Errorf("CheckCollection(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "_a", "-a", "a/b", "a b", "a\n", "é", strings.Repeat("x", 65)} {
		err := rag.CheckCollection("gateway.rag.collection", name)
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Param != "gateway.rag.collection" {
			t.Errorf("CheckCollection(%q) = %v, want an error about gateway.rag.collection", name, err)
		}
	}
}
