// Package bedrock speaks to Amazon Bedrock: chat over Converse and
// ConverseStream, embeddings over InvokeModel.
package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/aws/smithy-go/transport/http/protocol/restjson1"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// defaultMaxTokens bounds an answer when neither the client nor the catalogue
// does. It is what the gateway reserves for such a request. Without any bound
// Bedrock sets the model's whole output window aside in our quota.
const defaultMaxTokens = 4096

// Provider is an llm.Provider and an llm.Embedder. The zero value is not
// usable; New makes one.
type Provider struct {
	// Name is what errors, records and x-gateway-dropped call the provider.
	// New sets "bedrock".
	Name string
	// MaxTokens returns the bound on output tokens for requests that set none;
	// 0 or a nil function means 4,096.
	MaxTokens func(model string) int64

	client *bedrockruntime.Client
}

var (
	_ llm.Provider = (*Provider)(nil)
	_ llm.Embedder = (*Provider)(nil)
	_ llm.Batcher  = (*Provider)(nil)
)

// New returns a provider that signs with cfg's credentials for cfg's region.
// It does no I/O: credentials are asked for at the first call. transport is
// the process's shared one (upstream.NewTransport); nil leaves cfg.HTTPClient
// in charge. Another endpoint than the region's own is cfg.BaseEndpoint, or
// BaseEndpoint of the options. AWS_BEARER_TOKEN_BEDROCK, if set, is preferred
// to a signature; the SDK reads it here.
//
// Requests are tried once: retries and failover are the router's business.
func New(cfg aws.Config, transport http.RoundTripper, options ...func(*bedrockruntime.Options)) *Provider {
	before := func(o *bedrockruntime.Options) {
		o.Retryer = aws.NopRetryer{}
		if transport != nil {
			o.HTTPClient = upstream.AWSClient{RoundTripper: transport}
		}
	}
	after := func(o *bedrockruntime.Options) {
		if o.Credentials == nil { // the SDK would panic
			o.Credentials = aws.CredentialsProviderFunc(noCredentials)
		}
	}
	return &Provider{
		Name:   "bedrock",
		client: bedrockruntime.NewFromConfig(cfg, slices.Concat([]func(*bedrockruntime.Options){before}, options, []func(*bedrockruntime.Options){after})...),
	}
}

func noCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("bedrock: the configuration names no credentials")
}

// Complete implements llm.Provider.
func (p *Provider) Complete(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
	in, form, err := p.convert(req)
	if err != nil {
		return err
	}
	if req.Stream {
		return p.stream(ctx, req, in, form, emit)
	}
	out, err := p.client.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: in.ModelId, Messages: in.Messages, System: in.System, InferenceConfig: in.InferenceConfig,
		ToolConfig: in.ToolConfig, AdditionalModelRequestFields: in.AdditionalModelRequestFields,
		OutputConfig: in.OutputConfig, RequestMetadata: in.RequestMetadata, ServiceTier: in.ServiceTier,
	})
	if err != nil {
		return p.fault(ctx, err)
	}
	return p.whole(out, req, form, emit)
}

func (p *Provider) stream(ctx context.Context, req *llm.Request, in *bedrockruntime.ConverseStreamInput, form string, emit func(*llm.Event) error) error {
	out, err := p.client.ConverseStream(ctx, in, ownCodec)
	if err != nil {
		return p.fault(ctx, err)
	}
	stream := out.GetStream()
	defer stream.Close() //nolint:errcheck // Err, below, says all there is to say
	a := answer{provider: p, form: form, emit: emit, id: requestID(out.ResultMetadata), model: req.Model}
	for events := stream.Events(); ; {
		select {
		case <-ctx.Done():
			return p.fault(ctx, ctx.Err())
		case e, ok := <-events:
			// Events end with the body, not with the metadata event: what has been
			// read to its end leaves a connection that can be used again.
			if !ok {
				return a.end(ctx, stream.Err())
			}
			if err := a.take(e); err != nil {
				return err
			}
		}
	}
}

// ownCodec gives a call a decoder of its own. The one that the SDK keeps in
// the client is shared by all of its streams, and not safe for that.
func ownCodec(o *bedrockruntime.Options) {
	o.Protocol = restjson1.New(schemas.AmazonBedrockFrontendService)
}

func requestID(m middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	return id
}

func (p *Provider) maxTokens(req *llm.Request) int64 {
	n := req.MaxTokens
	if n == 0 && p.MaxTokens != nil {
		n = p.MaxTokens(req.Model)
	}
	if n <= 0 {
		n = defaultMaxTokens
	}
	return n
}

// common makes the faults that all providers have in common.
func (p *Provider) common() *upstream.Client { return &upstream.Client{Provider: p.Name} }

// verbatim is a document of the wire that is sent as it was written: the
// SDK's own encoder would sort an object's names, and models generate the
// properties of a schema in the order in which they read them.
type verbatim struct {
	document.Interface
	json []byte
}

func newVerbatim(text []byte) document.Interface { return verbatim{json: text} }

// MarshalSmithyDocument is what the SDK's serializer asks for.
func (v verbatim) MarshalSmithyDocument() ([]byte, error) { return v.json, nil }

// decoded returns the JSON text of a document that was received.
func decoded(d document.Interface) (string, error) {
	if d == nil {
		return "{}", nil
	}
	var v any
	if u, ok := d.(interface{ Value() any }); ok { // keeps numbers exact
		v = u.Value()
	} else if err := d.UnmarshalSmithyDocument(&v); err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func usageOf(u *types.TokenUsage) *llm.Usage {
	if u == nil {
		return nil
	}
	n := func(v *int32) int64 { return int64(aws.ToInt32(v)) }
	out := &llm.Usage{CachedInput: n(u.CacheReadInputTokens), Output: n(u.OutputTokens)}
	written := n(u.CacheWriteInputTokens)
	for _, d := range u.CacheDetails {
		if d.Ttl == types.CacheTTLOneHour {
			out.CacheWrite1h += n(d.InputTokens)
		}
	}
	out.CacheWrite = max(0, written-out.CacheWrite1h)
	// InputTokens leaves out what went through the cache, as with Anthropic.
	out.Input = n(u.InputTokens) + out.CachedInput + out.CacheWrite + out.CacheWrite1h
	return out
}
