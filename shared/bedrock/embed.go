package bedrock

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// titanCalls is how many calls run at the same time for a model that takes
	// one text per call.
	titanCalls = 8
	// cohereBatch is how many texts Cohere takes at once.
	cohereBatch = 96
)

// Batch implements llm.Batcher.
func (p *Provider) Batch(model string) llm.Batch {
	if parseModel(model).vendor == "cohere" {
		return llm.Batch{Inputs: cohereBatch}
	}
	return llm.Batch{Inputs: 1, Calls: titanCalls}
}

// Embed implements llm.Embedder for Titan's text models and Cohere's. Cohere's
// input_type is "search_document" unless the body has one.
func (p *Provider) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	if req.Tokens != nil {
		return nil, fault.Field("input", "'input' must hold text for this model; it has its own token ids.")
	}
	e, err := p.embedder(req)
	if err != nil {
		return nil, err
	}
	if most := p.Batch(req.Model).Inputs; len(req.Inputs) > most {
		return nil, fault.Field("input", "'input' must hold at most %d texts per call for this model.", most)
	}
	if err := req.Drop(p.Name, append(e.taken, "model", "input", "encoding_format")...); err != nil {
		return nil, err
	}
	vectors, tokens, err := p.invoke(ctx, req.Model, e, req.Inputs)
	if err != nil {
		return nil, err
	}
	out := &llm.Embeddings{Model: req.Model, Vectors: vectors}
	if tokens >= 0 {
		out.Usage = &llm.Usage{Input: tokens}
	}
	return out, nil
}

// embedder is how a model is asked for vectors.
type embedder struct {
	taken  []string
	body   func(texts []string) map[string]any
	answer func(body []byte) (vectors [][]float32, tokens int64, err error)
}

func (p *Provider) embedder(req *llm.EmbedRequest) (*embedder, error) {
	switch m := parseModel(req.Model); {
	case m.vendor == "amazon" && m.hasPrefix("titan-embed-text-v2"):
		return &embedder{taken: []string{"dimensions"}, answer: titanAnswer, body: func(texts []string) map[string]any {
			body := map[string]any{"inputText": texts[0], "normalize": true}
			if req.Dimensions > 0 {
				body["dimensions"] = req.Dimensions
			}
			return body
		}}, nil
	case m.vendor == "amazon" && m.hasPrefix("titan-embed-text", "titan-embed-g1-text"):
		return &embedder{answer: titanAnswer, body: func(texts []string) map[string]any {
			return map[string]any{"inputText": texts[0]}
		}}, nil
	case m.vendor == "cohere" && m.hasPrefix("embed-"):
		taken := []string{"input_type", "truncate"}
		fixed := map[string]any{"input_type": "search_document", "embedding_types": []string{"float"}}
		for _, name := range taken {
			if s, ok := rawjson.String(rawjson.Get(req.Fields, name)); ok {
				fixed[name] = s
			}
		}
		if m.hasPrefix("embed-v") { // v3's names are languages; its size is fixed
			taken = append(taken, "dimensions")
			if req.Dimensions > 0 {
				fixed["output_dimension"] = req.Dimensions
			}
		}
		return &embedder{taken: taken, answer: cohereAnswer, body: func(texts []string) map[string]any {
			body := map[string]any{"texts": texts}
			for name, value := range fixed {
				body[name] = value
			}
			return body
		}}, nil
	}
	return nil, fault.Field("model", "'%s' is not an embedding model that the gateway can use at Bedrock; it knows Titan's text models and Cohere's.", req.Model)
}

// invoke makes one call. tokens is -1 if the answer does not tell.
func (p *Provider) invoke(ctx context.Context, model string, e *embedder, texts []string) (vectors [][]float32, tokens int64, err error) {
	body, err := json.Marshal(e.body(texts))
	if err != nil {
		return nil, 0, err
	}
	out, err := p.client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: aws.String(model), Body: body,
		ContentType: aws.String("application/json"), Accept: aws.String("application/json")})
	if err != nil {
		return nil, 0, p.fault(ctx, err)
	}
	vectors, tokens, err = e.answer(out.Body)
	if err != nil || len(vectors) != len(texts) {
		return nil, 0, p.common().Broken("sent embeddings that cannot be read", err)
	}
	if resp, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok && tokens < 0 {
		tokens = billed(resp.Header)
	}
	return vectors, tokens, nil
}

// billed reads the count that Bedrock sends with every answer.
func billed(h http.Header) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-Amzn-Bedrock-Input-Token-Count")), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func titanAnswer(body []byte) ([][]float32, int64, error) {
	w := struct {
		Embedding           []float32
		InputTextTokenCount int64
	}{InputTextTokenCount: -1}
	if err := json.Unmarshal(body, &w); err != nil || len(w.Embedding) == 0 {
		return nil, 0, err
	}
	return [][]float32{w.Embedding}, w.InputTextTokenCount, nil
}

// cohereAnswer reads both of Cohere's formats: a list of vectors, and lists by
// type, which it sends because a type was asked for.
func cohereAnswer(body []byte) ([][]float32, int64, error) {
	var w struct{ Embeddings json.RawMessage }
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, 0, err
	}
	var vectors [][]float32
	if rawjson.Kind(w.Embeddings) == "array" {
		err := json.Unmarshal(w.Embeddings, &vectors)
		return vectors, -1, err
	}
	var byType struct{ Float [][]float32 }
	err := json.Unmarshal(w.Embeddings, &byType)
	return byType.Float, -1, err
}
