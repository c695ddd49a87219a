package gateway

import (
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestVectorsAreFiledUnderTheirConfiguration: under that by which the request
// found its way, though another one came right after that.
func TestVectorsAreFiledUnderTheirConfiguration(t *testing.T) {
	set := Set{Instances: []Instance{{Name: "openai", Catalog: "openai", Embeds: true}}}
	g := &Gateway{Models: NewRegistry(), Vectors: NewVectorCache(1 << 20)}
	begin := func(between func()) *embedding {
		req, err := llm.ReadEmbedRequest([]byte(`{"model":"text-embedding-3-small","input":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		w, err := g.plan(t.Context(), &Call{}, &Work{embed: req})
		if err != nil {
			t.Fatal(err)
		}
		between()
		e := &embedding{w: w, req: req, got: make([]vector, 1)}
		e.recall(g, digest{})
		return e
	}
	g.Models.Use(set)
	e := begin(func() { g.Models.Use(set) })
	e.got[0] = vector{values: []float32{1}, at: place{"openai", "text-embedding-3-small"}}
	e.remember()
	if e = begin(func() {}); e.got[0].cached {
		t.Error("a vector of the old configuration is remembered under the new one")
	}
}
