package openai

import (
	"context"
	"fmt"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// maxInputs and maxTokens are OpenAI's own bounds on one call for vectors.
	maxInputs = 2048
	maxTokens = 300_000
)

// Batch implements llm.Batcher.
func (p *Provider) Batch(string) llm.Batch {
	b := llm.Batch{Inputs: maxInputs, Tokens: maxTokens}
	if p.Inputs > 0 {
		b.Inputs = p.Inputs
	}
	return b
}

// Embed sends req and returns the upstream's answer as it is, unless its
// vectors are not in the encoding that was asked for: many servers know only
// one, and OpenAI's SDKs ask for base64 unless told otherwise.
func (p *Provider) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	c := p.client()
	resp, err := p.post(ctx, c, "/embeddings", "application/json", edited(nil, req.Raw, req.Fields, req.Model)) //nolint:bodyclose // readAnswer closes it
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(ctx, c, resp)
	if err != nil {
		return nil, err
	}
	data := rawjson.Get(a.fields, "data")
	if rawjson.Kind(data) != "array" {
		return nil, c.Broken("sent an answer without vectors", excerpt(a.raw))
	}
	got, want, other := 0, len(req.Inputs)+len(req.Tokens), false
	rawjson.Elements(data, func(_ int, v []byte) error {
		if got++; got == 1 && rawjson.Kind(v) == "object" {
			var buf [4]rawjson.Field
			other = (rawjson.Kind(rawjson.Get(rawjson.Fields(buf[:0], v), "embedding")) == "string") != req.Base64
		}
		return nil
	})
	if got != want {
		return nil, c.Broken(fmt.Sprintf("sent %d vectors for %d inputs", got, want), nil)
	}
	model, _ := rawjson.String(rawjson.Get(a.fields, "model"))
	out := &llm.Embeddings{Raw: a.raw, Model: model, Usage: parseUsage(rawjson.Get(a.fields, "usage"))}
	if other {
		vectors, err := out.Floats(want)
		if err != nil {
			return nil, c.Broken("sent vectors that cannot be read", err)
		}
		out.Raw, out.Vectors = nil, vectors
	}
	return out, nil
}
