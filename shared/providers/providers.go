// Package providers says which providers a configuration names and which of
// them can be called, without linking any of their adapters.
package providers

import (
	"slices"

	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
)

// echoWindow is what the offline stand-in pretends to read at most, so that
// windows can be tried with it.
const echoWindow = 8192

// List returns the providers of c, and those of file, in the order of
// listings. Those without credentials say which variable would configure them.
// echo adds the offline stand-in.
func List(c config.Config, file File, echo bool) []gateway.Instance {
	missing := func(ok bool, what string) string {
		if ok {
			return ""
		}
		return what
	}
	list := []gateway.Instance{
		// A base URL without a key counts as credentials: Ollama and vLLM need none.
		{Name: "openai", Kind: "openai", Catalog: "openai", Chats: true, Embeds: true, BaseURL: c.OpenAIURL, KeyRef: c.OpenAIKey, Missing: missing(c.OpenAIKey != "" || c.OpenAIURL != "", "OPENAI_API_KEY")},
		{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, BaseURL: c.AnthropicURL, KeyRef: c.AnthropicKey, Missing: missing(c.AnthropicKey != "", "ANTHROPIC_API_KEY")},
		{Name: "gemini", Kind: "gemini", Catalog: "gemini", Chats: true, Embeds: true, BaseURL: c.GeminiURL, KeyRef: c.GeminiKey, Missing: missing(c.GeminiKey != "", "GEMINI_API_KEY")},
		{Name: "bedrock", Kind: "bedrock", Catalog: "bedrock", Chats: true, Embeds: true, Missing: missing(c.Bedrock(), "AWS_REGION and AWS credentials")},
	}
	for _, p := range file.Providers {
		if builtin[p.Name] {
			list = more(list, p)
			continue
		}
		in := gateway.Instance{Name: p.Name, Kind: p.Kind, Chats: true, Embeds: p.Kind != "anthropic", BaseURL: p.BaseURL, KeyRef: p.APIKey, Header: p.Headers, Region: p.Region, Inputs: p.Inputs, Window: p.Window}
		if p.BaseURL == "" {
			in.Catalog = p.Kind // the vendor's own service, so the vendor's own prices
		}
		if p.Kind == "bedrock" {
			in.Missing = missing(c.AccessKeyID != "" || c.Profile != "" || c.ContainerURL != "" || c.ContainerFull != "" || c.BedrockBearer != "", "AWS credentials")
		}
		for _, m := range p.Models {
			in.Own = append(in.Own, p.Name+"/"+m)
		}
		if p.APIKey == "" && p.BaseURL == "" && p.Region == "" && in.Missing == "" {
			in.Missing = "its credentials" // the first of those below takes its place
		}
		list = more(append(list, in), p)
	}
	if echo {
		list = append(list, gateway.Instance{Name: "echo", Kind: "echo", Chats: true, Embeds: true, Own: []string{"echo"}, Free: true, Window: echoWindow})
	}
	return list
}

// more adds the further credentials of p to the instances of its name, the
// first of which may lack its own.
func more(list []gateway.Instance, p Provider) []gateway.Instance {
	main := slices.IndexFunc(list, func(in gateway.Instance) bool { return in.Name == p.Name })
	for _, c := range p.Credentials {
		in := list[main]
		in.KeyRef, in.Weight, in.Own = c.APIKey, c.Weight, nil
		if c.BaseURL != "" {
			in.BaseURL = c.BaseURL
		}
		if c.Region != "" {
			in.Region = c.Region
		}
		if in.Kind != "bedrock" {
			in.Missing = ""
		}
		if list[main].Missing != "" && in.Missing == "" {
			in.Own = list[main].Own
			list[main] = in
			continue
		}
		in.Spare = c.Name
		list = append(list, in)
	}
	return list
}
