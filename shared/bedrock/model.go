package bedrock

import "strings"

// model is what a model's id tells of what it takes. Bedrock has no call that
// says this, and Converse refuses a request with a field that the model does
// not know, so what is not known to work is left out.
type model struct {
	vendor string // anthropic, amazon, …; "other" if unknown, "" for an ARN that hides it
	name   string // the id without regions and ARN
}

var vendors = []string{"ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshot", "nvidia",
	"openai", "qwen", "stability", "twelvelabs", "writer", "zai"}

// parseModel reads ids of models ("anthropic.claude-…"), of inference profiles
// ("us.anthropic.claude-…") and the ARNs of both.
func parseModel(id string) model {
	name := id[strings.LastIndexByte(id, '/')+1:]
	for rest, more := name, true; more; {
		var word string
		word, rest, more = strings.Cut(rest, ".")
		for _, v := range vendors {
			if more && word == v {
				return model{vendor: v, name: rest}
			}
		}
	}
	if strings.Contains(name, ".") {
		return model{vendor: "other", name: name}
	}
	return model{name: name}
}

// claude reports whether the model is, or may be, one of Anthropic's.
func (m model) claude() bool { return m.vendor == "anthropic" || m.vendor == "" }

func (m model) hasPrefix(prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(m.name, p) {
			return true
		}
	}
	return false
}

// beforeClaude45 reports whether this is a Claude older than 4.5: no
// constrained output, no say in parallel tool calls.
func (m model) beforeClaude45() bool {
	return m.vendor == "anthropic" &&
		m.hasPrefix("claude-v", "claude-instant", "claude-3", "claude-sonnet-4-2025", "claude-opus-4-2025", "claude-opus-4-1")
}

// constrained reports whether the model's output can be held to a schema.
func (m model) constrained() bool {
	switch m.vendor {
	case "amazon", "meta", "cohere", "ai21", "stability", "writer":
		return false
	}
	return !m.beforeClaude45()
}

// forcible reports whether the model can be made to call a certain tool.
func (m model) forcible() bool { return m.vendor == "anthropic" || m.vendor == "amazon" }

// caches reports whether the model takes cache points, and cachesTools whether
// among its tools and with a lifetime of choice as well.
func (m model) caches() bool      { return m.claude() || m.vendor == "amazon" }
func (m model) cachesTools() bool { return m.claude() }

// thinks says how a Claude is told to think: "" not at all, "budget" with a
// number of tokens, "adaptive" with an effort.
func (m model) thinks() string {
	switch {
	case m.vendor != "anthropic":
		return ""
	case m.hasPrefix("claude-3-7", "claude-sonnet-4-2025", "claude-opus-4-2025", "claude-opus-4-1", "claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"):
		return "budget"
	case m.beforeClaude45():
		return ""
	}
	return "adaptive"
}

// topK returns where the model wants top_k among its additional fields, as
// names from the outside in; nil if it does not take it.
func (m model) topK() []string {
	switch m.vendor {
	case "anthropic", "mistral":
		return []string{"top_k"}
	case "cohere":
		return []string{"k"}
	case "amazon":
		return []string{"inferenceConfig", "topK"}
	}
	return nil
}
