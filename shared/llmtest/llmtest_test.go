package llmtest_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/llmtest"
	"github.com/devmentor/ai-gateway/shared/sse"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// relay is the least that an adapter can be. The flags break its contract.
type relay struct {
	url                                              string
	noKey, keepGoing, noClose, twice, lines, foreign bool
}

func (p *relay) client() *upstream.Client {
	return &upstream.Client{Provider: "relay", HTTP: http.DefaultTransport}
}

func (p *relay) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	h := http.Header{}
	if !p.noKey {
		h.Set("Authorization", "Bearer k")
	}
	if p.twice {
		if resp, err := p.client().Post(ctx, p.url+path, h, body); err == nil {
			resp.Body.Close()
		}
	}
	return p.client().Post(ctx, p.url+path, h, body)
}

func (p *relay) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	if err := req.Drop("relay", "model", "messages", "stream"); err != nil {
		return err
	}
	resp, err := p.post(ctx, "/chat", req.Raw)
	if err != nil {
		if p.foreign {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if !p.noClose {
		defer resp.Body.Close()
	}
	if p.lines { // an event per read, however the bytes arrive
		for buf := make([]byte, 1024); ; {
			n, err := resp.Body.Read(buf)
			if n > 0 {
				emit(&llm.Event{Raw: buf[:n]})
			}
			if err != nil {
				return nil
			}
		}
	}
	for r := sse.NewReader(resp.Body); ; {
		ev, err := r.Next()
		if err == io.EOF {
			return p.client().Broken("ended its stream early", nil)
		}
		if err != nil {
			return p.client().NetError(ctx, err)
		}
		if string(ev.Data) == "[DONE]" {
			return nil
		}
		if err := emit(&llm.Event{Raw: ev.Data, Bytes: len(ev.Data)}); err != nil && !p.keepGoing {
			return err
		}
	}
}

func (p *relay) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	resp, err := p.post(ctx, "/embeddings", req.Raw)
	if err != nil {
		return nil, err
	}
	raw, err := p.client().ReadAll(ctx, resp)
	if err != nil {
		return nil, err
	}
	return &llm.Embeddings{Raw: raw, Vectors: [][]float32{{0.5, -1}}}, nil
}

func TestProvider(t *testing.T) {
	open := func(url string) llm.Provider { return &relay{url: url} }
	llmtest.Provider(t, open, "testdata/chat", llmtest.WantHeader("Authorization", "Bearer k"))
}

func TestEmbedder(t *testing.T) {
	open := func(url string) llm.Embedder { return &relay{url: url} }
	llmtest.Embedder(t, open, "testdata/embed", llmtest.WantHeader("Authorization", "Bearer k"))
}
