// Package connect links the adapters of all providers to the instances that a
// configuration names.
package connect

import (
	"github.com/devmentor/ai-gateway/shared/anthropic"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

// Adapters gives every configured instance of list its adapters.
func Adapters(list []gateway.Instance, p embedders.Parts) {
	embedders.Adapters(list, p)
	for i := range list {
		if in := &list[i]; in.Kind == "anthropic" && in.Missing == "" {
			in.Chat = &anthropic.Provider{Name: in.Name, BaseURL: in.BaseURL, Key: p.Secret(in.KeyRef), Header: embedders.Header(in.Header), HTTP: p.HTTP,
				MaxTokens: embedders.MaxTokens(in.Catalog)}
		}
	}
}
