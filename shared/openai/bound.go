package openai

import (
	"net/url"
	"strings"
)

// The names that bounds on answers have.
const (
	newBound = "max_completion_tokens"
	oldBound = "max_tokens"
)

// bound is the name of a bound that the client did not choose. OpenAI's thinking
// models refuse the old one. Of the others who speak the protocol all know that,
// and many nothing else: some refuse the new one (Mistral), some ignore it
// (Ollama), which leaves an answer without a bound.
func (p *Provider) bound(model string) string {
	if atOpenAI(p.BaseURL) || fromOpenAI(model) {
		return newBound
	}
	return oldBound
}

// atOpenAI says whether an address is OpenAI's, or that of its models at Azure,
// where they are called whatever their users like.
func atOpenAI(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := "." + strings.ToLower(u.Hostname())
	if strings.HasSuffix(host, ".openai.com") || u.Query().Has("api-version") {
		return true
	}
	for _, cloud := range []string{".azure.com", ".azure.us", ".azure.cn"} {
		if name, ok := strings.CutSuffix(host, cloud); ok {
			return strings.HasSuffix(name, ".openai") || strings.Contains(u.Path+"/", "/openai/")
		}
	}
	return false
}

// fromOpenAI says whether a model is one of those that OpenAI alone serves, in
// the end: proxies stand before it, too. Its open models are not.
func fromOpenAI(model string) bool {
	model = strings.TrimPrefix(model[strings.LastIndexByte(model, '/')+1:], "ft:")
	for _, family := range []string{"gpt-", "o"} { // gpt-5, and not gpt-oss; o3, and not olmo
		if rest, ok := strings.CutPrefix(model, family); ok && rest != "" && '0' <= rest[0] && rest[0] <= '9' {
			return true
		}
	}
	return strings.HasPrefix(model, "chatgpt-")
}
