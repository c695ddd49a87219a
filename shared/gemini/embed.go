package gemini

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// maxBatch is how many inputs Google takes per call.
const maxBatch = 100

type embedRequest struct {
	Model                string  `json:"model"`
	Content              content `json:"content"`
	OutputDimensionality int64   `json:"outputDimensionality,omitempty"`
}

type embedAnswer struct {
	Embeddings []struct {
		Values []float32 `json:"values"`
	} `json:"embeddings"`
	UsageMetadata json.RawMessage `json:"usageMetadata"`
}

// Batch implements llm.Batcher.
func (p *Provider) Batch(string) llm.Batch { return llm.Batch{Inputs: maxBatch} }

// Embed implements llm.Embedder. Vectors have unit length, as OpenAI's have:
// Gemini's own have it only at the model's full number of dimensions. Usage is
// nil where Google does not count, which is the rule.
func (p *Provider) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	if req.Tokens != nil {
		return nil, fault.Field("input", "'input' must be text for this model; it cannot take token ids.")
	}
	if err := req.Drop(p.name(), "model", "input", "dimensions", "encoding_format"); err != nil {
		return nil, err
	}
	var w struct {
		Requests []embedRequest `json:"requests"`
	}
	for _, text := range req.Inputs {
		w.Requests = append(w.Requests, embedRequest{Model: resource(req.Model), Content: content{Parts: []part{{Text: text}}}, OutputDimensionality: req.Dimensions})
	}
	c := newClient(p.name(), p.HTTP)
	resp, err := p.call(ctx, c, req.Model, "batchEmbedContents", w) //nolint:bodyclose // ReadAll closes it
	if err != nil {
		return nil, err
	}
	body, err := c.ReadAll(ctx, resp)
	if err != nil {
		return nil, err
	}
	var a embedAnswer
	if json.Unmarshal(body, &a) != nil || a.Embeddings == nil {
		return nil, c.notAnAnswer(body)
	}
	if len(a.Embeddings) != len(req.Inputs) {
		return nil, c.Broken(fmt.Sprintf("sent %d vectors for %d inputs", len(a.Embeddings), len(req.Inputs)), nil)
	}
	e := &llm.Embeddings{Model: req.Model, Usage: tokens(a.UsageMetadata)}
	for _, v := range a.Embeddings {
		normalize(v.Values)
		e.Vectors = append(e.Vectors, v.Values)
	}
	return e, nil
}

func normalize(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	scale := 1 / math.Sqrt(sum)
	for i := range v {
		v[i] = float32(float64(v[i]) * scale)
	}
}
