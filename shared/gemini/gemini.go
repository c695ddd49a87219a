// Package gemini answers chat and embeddings requests through Google's Gemini
// API.
package gemini

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/sse"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

const publicURL = "https://generativelanguage.googleapis.com"

// Provider speaks the Gemini API. Its zero value works, without a key.
type Provider struct {
	Name    string                                // for errors and records; "gemini" if empty
	BaseURL string                                // scheme and host, without /v1beta; Google's own if empty
	Key     func(context.Context) (string, error) // nil or an empty key sends none, for proxies that add their own
	Header  http.Header                           // sent with every request; X-Goog-Api-Key and Authorization here win over Key
	HTTP    http.RoundTripper                     // usually upstream.NewTransport's, shared; nil means http.DefaultTransport
}

var (
	_ llm.Provider = (*Provider)(nil)
	_ llm.Embedder = (*Provider)(nil)
	_ llm.Batcher  = (*Provider)(nil)
)

// Complete implements llm.Provider.
func (p *Provider) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	w, err := p.translate(req)
	if err != nil {
		return err
	}
	c := newClient(p.name(), p.HTTP)
	method := "generateContent"
	if req.Stream {
		method = "streamGenerateContent?alt=sse"
	}
	resp, err := p.call(ctx, c, req.Model, method, w)
	if err != nil {
		return err
	}
	d := decoder{client: c, emit: emit, request: req.ID}
	if req.Stream && upstream.IsEventStream(resp) {
		defer resp.Body.Close()
		return d.stream(ctx, sse.NewReader(resp.Body))
	}
	whole, err := c.ReadAll(ctx, resp)
	if err != nil {
		return err
	}
	return d.whole(whole)
}

func (p *Provider) name() string {
	if p.Name == "" {
		return "gemini"
	}
	return p.Name
}

// call posts body to a method of a model. The key travels in a header, never
// in the address, which ends up in logs.
func (p *Provider) call(ctx context.Context, c *client, model, method string, body any) (*http.Response, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "The request could not be translated.")
	}
	header := http.Header{}
	for name, values := range p.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if p.Key != nil && header["X-Goog-Api-Key"] == nil && header["Authorization"] == nil {
		key, err := p.Key(ctx)
		if err != nil {
			return nil, c.noKey(ctx, err)
		}
		if key != "" {
			header.Set("X-Goog-Api-Key", key)
		}
	}
	base := p.BaseURL
	if base == "" {
		base = publicURL
	}
	resp, err := c.Post(ctx, strings.TrimRight(base, "/")+"/v1beta/"+resource(model)+":"+method, header, b.Bytes())
	if err != nil {
		return nil, c.explain(err)
	}
	return resp, nil
}

// resource is the path of a model. Its name comes from the client: nothing in
// it may lead elsewhere.
func resource(model string) string {
	model = strings.TrimPrefix(model, "models/")
	if tuned, ok := strings.CutPrefix(model, "tunedModels/"); ok {
		return "tunedModels/" + url.PathEscape(tuned)
	}
	return "models/" + url.PathEscape(model)
}
