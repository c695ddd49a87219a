package gateway

import (
	"bytes"
	"strings"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Instance is a configured provider, or one that could be.
type Instance struct {
	Name    string   // the first part of "provider/model"
	Catalog string   // whose prices and windows hold for its models; "" for none
	Kind    string   // whose protocol it speaks: openai, anthropic, gemini, bedrock, echo
	Chats   bool     // it has chat models
	Embeds  bool     // it has embedding models
	Missing string   // the variable that would configure it; "" if it is configured
	Own     []string // models it has beside the catalogue's
	Free    bool     // its models cost nothing, knowably (echo)

	// Where it is and how it is called; KeyRef is a secret or a reference to one.
	BaseURL string
	KeyRef  string
	Header  map[string]string

	// The adapters; functions that only list models link none.
	Chat     llm.Provider
	Embedder llm.Embedder
}

func (in *Instance) serves(mode catalog.Mode) bool {
	return mode == catalog.Chat && in.Chats || mode == catalog.Embedding && in.Embeds
}

// Target is where a request goes.
type Target struct {
	Provider string // the instance's name
	Model    string // as the provider calls it
	Price    catalog.Price
	Priced   bool
	// MaxOutput bounds the model's answers, in tokens; 0 means unknown.
	MaxOutput int64

	Chat     llm.Provider
	Embedder llm.Embedder
}

// bound is the most that so many tokens can cost. Writing to a prompt cache
// costs up to twice the input, where there is a price for it; a body that does
// not ask for it does not pay it.
func (t *Target) bound(input, output int64, body []byte) usage.Nano {
	p := t.Price
	if p.CacheWrite > 0 && !bytes.Contains(body, []byte(`"cache_control"`)) {
		p.CacheWrite, p.CacheWrite1h, p.CacheWriteAbove, p.CacheWrite1hAbove = 0, 0, 0, 0
	}
	return p.Bound(input, output)
}

// Registry knows the instances.
type Registry struct {
	instances []Instance
}

// NewRegistry returns a Registry of instances; their order is that of listings.
func NewRegistry(instances ...Instance) *Registry { return &Registry{instances: instances} }

func (r *Registry) instance(name string) *Instance {
	for i := range r.instances {
		if r.instances[i].Name == name {
			return &r.instances[i]
		}
	}
	return nil
}

// Resolve finds the target for a model name: "provider/model", a model that an
// instance has for its own, or a name from the catalogue. It fails with
// fault.NotFound, code model_not_found, and says what would help.
func (r *Registry) Resolve(name string, mode catalog.Mode) (Target, error) {
	if prefix, model, ok := strings.Cut(name, "/"); ok {
		if in := r.instance(prefix); in != nil && model != "" {
			return r.target(name, in, model, mode)
		}
	}
	for i := range r.instances {
		for _, own := range r.instances[i].Own {
			if own == name {
				return r.target(name, &r.instances[i], name, mode)
			}
		}
	}
	if m, ok := catalog.Find(name); ok {
		for i := range r.instances {
			if r.instances[i].Catalog == m.Provider {
				return r.target(name, &r.instances[i], name, mode) // not m.ID: a dated name stays dated
			}
		}
	}
	return Target{}, notFound("The model '" + name + "' does not exist here. GET /ai/models lists those that do.")
}

func (r *Registry) target(name string, in *Instance, model string, mode catalog.Mode) (Target, error) {
	if in.Missing != "" {
		return Target{}, notFound("The model '" + name + "' needs provider '" + in.Name + "', which is not configured. Set " + in.Missing + ".")
	}
	t := Target{Provider: in.Name, Model: model, Chat: in.Chat, Embedder: in.Embedder, Priced: in.Free}
	if in.Catalog != "" {
		if m, ok := catalog.Lookup(in.Catalog, model); ok {
			if m.Mode != mode {
				return Target{}, wrongMode(name, m.Mode)
			}
			t.Price, t.Priced, t.MaxOutput = m.Price, m.Price.Known(), m.MaxOutput
		}
	}
	if !in.serves(mode) {
		return Target{}, notFound("Provider '" + in.Name + "' has no such endpoint for '" + name + "'.")
	}
	return t, nil
}

func wrongMode(name string, mode catalog.Mode) error {
	where := map[catalog.Mode]string{catalog.Chat: "/ai/chat/completions", catalog.Embedding: "/ai/embeddings", catalog.Responses: "OpenAI's Responses API"}[mode]
	return &fault.Error{Kind: fault.Invalid, Param: "model", Code: "model_not_supported",
		Message: "The model '" + name + "' is not served at this endpoint; it belongs to " + where + "."}
}

func notFound(message string) error {
	return &fault.Error{Kind: fault.NotFound, Param: "model", Code: "model_not_found", Message: message}
}

// Entry is a model in a listing. Known is false for an instance's own models,
// of which nothing but the name is known.
type Entry struct {
	ID       string // what a client sends as model
	Provider string
	Model    string
	Known    bool
	Info     catalog.Model
}

// List returns every model that a configured instance is known to serve.
func (r *Registry) List() []Entry {
	var list []Entry
	for _, in := range r.instances {
		if in.Missing != "" {
			continue
		}
		for _, own := range in.Own {
			list = append(list, Entry{ID: own, Provider: in.Name, Model: strings.TrimPrefix(own, in.Name+"/")})
		}
		if in.Catalog == "" {
			continue
		}
		for m := range catalog.All() {
			if m.Provider == in.Catalog && in.serves(m.Mode) {
				list = append(list, Entry{ID: in.Name + "/" + m.ID, Provider: in.Name, Model: m.ID, Known: true, Info: m})
			}
		}
	}
	return list
}

// Configured names the instances that can be called.
func (r *Registry) Configured() []string {
	var names []string
	for _, in := range r.instances {
		if in.Missing == "" {
			names = append(names, in.Name)
		}
	}
	return names
}
