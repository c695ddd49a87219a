// Package anthropic answers chat requests through Anthropic's Messages API.
package anthropic

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/sse"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	publicURL = "https://api.anthropic.com"
	version   = "2023-06-01"

	// defaultMaxTokens stands in where neither the client nor the configuration
	// bounds the answer: the protocol insists on a bound.
	defaultMaxTokens = 4096
)

// Provider speaks the Messages API. Its zero value works, without a key.
type Provider struct {
	Name    string                                // for errors and records; "anthropic" if empty
	BaseURL string                                // scheme and host, without /v1; Anthropic's own if empty
	Key     func(context.Context) (string, error) // nil or an empty key sends none, for proxies that add their own
	HTTP    http.RoundTripper                     // usually upstream.NewTransport's, shared; nil means http.DefaultTransport
	Header  http.Header                           // sent with every request: anthropic-beta, say; X-Api-Key and Authorization here win over Key

	// MaxTokens is the bound on output tokens for requests that have none; 0
	// or nil means 4096.
	MaxTokens func(model string) int64
}

var _ llm.Provider = (*Provider)(nil)

// Complete implements llm.Provider.
func (p *Provider) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	w, err := p.translate(req)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return fault.Wrap(fault.Internal, err, "The request could not be translated.")
	}
	c := newClient(p.name(), p.HTTP)
	header := http.Header{"Anthropic-Version": {version}}
	for name, values := range p.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if p.Key != nil && header["X-Api-Key"] == nil && header["Authorization"] == nil {
		key, err := p.Key(ctx)
		if err != nil {
			return c.noKey(ctx, err)
		}
		if key != "" {
			header.Set("X-Api-Key", key)
		}
	}
	base := p.BaseURL
	if base == "" {
		base = publicURL
	}
	resp, err := c.Post(ctx, strings.TrimRight(base, "/")+"/v1/messages", header, body.Bytes())
	if err != nil {
		return c.refused(err)
	}
	d := decoder{client: c, emit: emit, jsonTool: w.jsonTool}
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
		return "anthropic"
	}
	return p.Name
}
