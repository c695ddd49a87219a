// Package openai is the adapter for OpenAI and for everything that speaks its
// protocol. It forwards the client's bytes with as few edits as possible and
// relays the answer's bytes, so that fields which nobody here has heard of
// arrive unharmed on either side.
package openai

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// Provider is one upstream.
type Provider struct {
	Name    string // in errors and records: "openai", "groq", …
	BaseURL string // including /v1; a query (Azure's api-version) stays at the end of the address
	// Key returns the credential sent as a bearer token. If Key is nil or the
	// credential empty, no Authorization is sent: local servers want none.
	Key    func(context.Context) (string, error)
	Header http.Header       // sent with every request; Authorization here wins over Key
	Inputs int               // of one call for vectors, at most; 0 means as many as OpenAI takes
	HTTP   http.RoundTripper // usually upstream.NewTransport's, shared; nil means http.DefaultTransport
}

var (
	_ llm.Provider = (*Provider)(nil)
	_ llm.Embedder = (*Provider)(nil)
	_ llm.Batcher  = (*Provider)(nil)
)

// Complete sends req and relays the answer.
//
// An answer that is not streamed is one event with Raw. If it has several
// choices and req.Need asks for text, an event without Raw follows for each
// choice after the first. A chunk of a stream that holds several choices is
// split into one each where one of them ends or text is needed, so that Index
// is true of every event that says something.
func (p *Provider) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := p.client()
	accept := "application/json"
	if req.Stream {
		accept = "text/event-stream"
	}
	resp, err := p.post(ctx, c, "/chat/completions", accept, p.chatBody(ctx, req))
	if err != nil {
		return err
	}
	if req.Stream && !isJSON(resp) {
		return relay(ctx, cancel, c, resp, req, emit)
	}
	a, err := readAnswer(ctx, c, resp)
	if err != nil {
		return err
	}
	if rawjson.Kind(rawjson.Get(a.fields, "choices")) != "array" {
		return c.Broken("sent an answer without choices", excerpt(a.raw))
	}
	if req.Stream { // the upstream does not know streams, or ignored the wish
		return a.emitAsStream(emit)
	}
	return a.emitWhole(req.Need, emit)
}

func (p *Provider) client() *upstream.Client {
	c := &upstream.Client{Provider: p.Name, HTTP: p.HTTP}
	if c.HTTP == nil {
		c.HTTP = http.DefaultTransport
	}
	return c
}

func (p *Provider) post(ctx context.Context, c *upstream.Client, path, accept string, body []byte) (*http.Response, error) {
	h := make(http.Header, len(p.Header)+4)
	for name, values := range p.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	h.Set("Accept", accept)
	if p.Key != nil && h.Get("Authorization") == "" {
		key, err := p.Key(ctx)
		if err != nil {
			return nil, p.noKey(ctx, c, err)
		}
		if key != "" {
			h.Set("Authorization", "Bearer "+key)
		}
	}
	base, query, found := strings.Cut(p.BaseURL, "?")
	url := strings.TrimSuffix(base, "/") + path
	if found {
		url += "?" + query
	}
	return c.Post(ctx, url, h, body)
}

// noKey is the error for a credential that could not be had. It is ours to
// explain, not the store's that held it.
func (p *Provider) noKey(ctx context.Context, c *upstream.Client, err error) error {
	if ctx.Err() != nil {
		return c.NetError(ctx, err)
	}
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_credentials", Provider: p.Name, Err: err,
		Message: "The gateway could not read its credentials for the provider '" + p.Name + "'."}
}

// chatBody is the client's body with the model as the provider calls it,
// without our own extension, with a bound on the answer if that is the gateway's
// own and, for a stream, with the usage chunk asked for: a client that does not
// want to see it must still pay.
func (p *Provider) chatBody(ctx context.Context, req *llm.Request) []byte {
	var edits []rawjson.Edit
	if old := rawjson.Get(req.Fields, "stream_options"); req.Stream {
		options := []byte(`{"include_usage":true}`)
		if rawjson.Kind(old) == "object" {
			fields := rawjson.Fields(nil, old)
			options = rawjson.Apply(nil, old, fields, rawjson.Edit{Name: "include_usage", Value: []byte("true")})
		}
		if !bytes.Equal(options, old) {
			edits = append(edits, rawjson.Edit{Name: "stream_options", Value: options})
		}
	}
	if req.MaxTokens > 0 && rawjson.IsNull(rawjson.Get(req.Fields, newBound)) && rawjson.IsNull(rawjson.Get(req.Fields, oldBound)) {
		edits = append(edits, rawjson.Edit{Name: p.bound(req.Model), Value: strconv.AppendInt(nil, req.MaxTokens, 10)})
	}
	return edited(upstream.BuffersOf(ctx), req.Raw, req.Fields, req.Model, edits...)
}

// edited returns raw with the model and without our extension. If that changes
// anything it is a copy, for which memory is taken from b.
func edited(b *upstream.Buffers, raw []byte, fields []rawjson.Field, model string, edits ...rawjson.Edit) []byte {
	if old, _ := rawjson.String(rawjson.Get(fields, "model")); old != model {
		edits = append(edits, rawjson.Edit{Name: "model", Value: rawjson.AppendString(nil, model)})
	}
	if rawjson.Get(fields, "gateway") != nil {
		edits = append(edits, rawjson.Edit{Name: "gateway"})
	}
	if len(edits) == 0 {
		return raw
	}
	size := len(raw)
	for _, e := range edits {
		size += len(e.Name) + len(e.Value) + len(`"":,`)
	}
	return rawjson.Apply(b.Bytes(size), raw, fields, edits...)
}

// isJSON tells a whole answer to a stream request from a stream. Everything
// else is taken for a stream: some servers label theirs text/plain, or not.
func isJSON(resp *http.Response) bool {
	return strings.Contains(strings.ToLower(resp.Header.Get("Content-Type")), "json")
}
