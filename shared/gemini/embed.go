package gemini

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

const (
	maxBatch    = 100 // inputs per call, Google's bound
	parallelism = 4   // calls at a time
)

type embedRequest struct {
	Model                string  `json:"model"`
	Content              content `json:"content"`
	OutputDimensionality int64   `json:"outputDimensionality,omitempty"`
}

type embedAnswer struct {
	Embeddings []struct {
		Values []float32 `json:"values"`
	} `json:"embeddings"`
	UsageMetadata *usage `json:"usageMetadata"`
}

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
	vectors := make([][]float32, len(req.Inputs))
	counts := make([]*usage, (len(req.Inputs)+maxBatch-1)/maxBatch)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelism)
	for i := range counts {
		g.Go(func() (err error) {
			from, to := i*maxBatch, min((i+1)*maxBatch, len(req.Inputs))
			counts[i], err = p.embed(gctx, req, req.Inputs[from:to], vectors[from:to])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	e := &llm.Embeddings{Model: req.Model, Vectors: vectors}
	for _, u := range counts {
		if u == nil {
			return e, nil
		}
	}
	e.Usage = &llm.Usage{}
	for _, u := range counts {
		e.Usage.Input += u.PromptTokenCount
	}
	return e, nil
}

// embed asks for one batch and puts its vectors into dst.
func (p *Provider) embed(ctx context.Context, req *llm.EmbedRequest, inputs []string, dst [][]float32) (*usage, error) {
	var w struct {
		Requests []embedRequest `json:"requests"`
	}
	for _, text := range inputs {
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
	if len(a.Embeddings) != len(inputs) {
		return nil, c.Broken(fmt.Sprintf("sent %d vectors for %d inputs", len(a.Embeddings), len(inputs)), nil)
	}
	for i, e := range a.Embeddings {
		normalize(e.Values)
		dst[i] = e.Values
	}
	return a.UsageMetadata, nil
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
