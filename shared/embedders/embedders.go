// Package embedders links the adapters of those providers that have embedding
// models. They chat as well; package connect adds the one that only chats. The
// embeddings function links this package alone.
package embedders

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/devmentor/ai-gateway/shared/bedrock"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/echo"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/gemini"
	"github.com/devmentor/ai-gateway/shared/openai"
)

// Parts are what adapters are made of.
type Parts struct {
	HTTP   http.RoundTripper // shared by all of them
	AWS    aws.Config        // for Bedrock, with its own HTTP client
	Secret func(ref string) func(context.Context) (string, error)
	// BedrockURL replaces Bedrock's own address; "" keeps it.
	BedrockURL string
}

// Adapters gives every configured instance of list its adapters.
func Adapters(list []gateway.Instance, p Parts) {
	for i := range list {
		in := &list[i]
		if in.Missing != "" {
			continue
		}
		switch in.Kind {
		case "openai":
			a := &openai.Provider{Name: in.Name, BaseURL: in.BaseURL, Key: p.Secret(in.KeyRef), Header: Header(in.Header), Inputs: int(in.Inputs), HTTP: p.HTTP}
			if a.BaseURL == "" {
				a.BaseURL = "https://api.openai.com/v1"
			}
			in.Chat, in.Embedder = a, a
		case "gemini":
			a := &gemini.Provider{Name: in.Name, BaseURL: in.BaseURL, Key: p.Secret(in.KeyRef), Header: Header(in.Header), HTTP: p.HTTP}
			in.Chat, in.Embedder = a, a
		case "bedrock":
			a := bedrock.New(p.AWS, nil, func(o *bedrockruntime.Options) {
				if in.Region != "" {
					o.Region = in.Region
				}
				if p.BedrockURL != "" {
					o.BaseEndpoint = &p.BedrockURL
				}
			})
			a.Name, a.MaxTokens = in.Name, MaxTokens(in.Catalog)
			in.Chat, in.Embedder = a, a
		case "echo":
			a := &echo.Provider{}
			in.Chat, in.Embedder = a, a
		}
	}
}

// MaxTokens returns the bound on output for providers that demand one, where
// the client sets none: what admission reserves for, or less if the model
// writes less.
func MaxTokens(provider string) func(model string) int64 {
	return func(model string) int64 {
		if m, ok := catalog.Lookup(provider, model); ok && m.MaxOutput > 0 {
			return min(m.MaxOutput, gateway.DefaultMaxTokens)
		}
		return gateway.DefaultMaxTokens
	}
}

// Header makes the headers of an instance, which gateway.yaml names, ready for
// its adapter.
func Header(m map[string]string) http.Header {
	h := http.Header{}
	for k, v := range m {
		h.Set(k, v)
	}
	return h
}
