package gateway

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
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
	Window  int64    // tokens that a model reads and writes of which the catalogue knows nothing; 0 means unknown
	// Spare tells instances of one name apart: further credentials and regions of
	// the same provider. It is "" for the first.
	Spare string

	// Where it is and how it is called; KeyRef is a secret or a reference to one.
	BaseURL string
	KeyRef  string
	Header  map[string]string
	Region  string // of Bedrock; "" for the process's own
	Weight  int64  // among instances of one name; 0 counts as 1
	Inputs  int64  // of one call for vectors, at most; 0: what its adapter knows

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
	Kind     string // whose protocol it speaks
	Model    string // as the provider calls it
	Price    catalog.Price
	Priced   bool
	// MaxOutput bounds the model's answers, in tokens; 0 means unknown.
	MaxOutput int64
	// Window is the most tokens that the model reads and writes; 0 means unknown.
	Window int64
	// MaxInput is the most tokens that it reads, whatever it writes; 0 means that
	// both share Window.
	MaxInput int64

	Chat     llm.Provider
	Embedder llm.Embedder
}

// Set is what a configuration offers.
type Set struct {
	Instances []Instance // in the order of listings
	Models    []Public
	Aliases   map[string]string // old names of models and what they stand for now
}

// Registry knows what can be called. It may be used concurrently.
type Registry struct {
	Router router.Router // what is known of the targets' health

	// Reload is asked for the present configuration, at most once in
	// ReloadEvery and by a request that needs it. It returns nil if nothing
	// changed. If it fails, what was there stays. Nil: there is nothing to reload.
	Reload func(context.Context) (*Set, error)
	Failed func(error) // hears of failed reloads, once each

	reload reload
	set    atomic.Pointer[offer]
}

// NewRegistry returns a Registry of instances; their order is that of listings.
func NewRegistry(instances ...Instance) *Registry {
	r := &Registry{}
	r.Use(Set{Instances: instances})
	return r
}

// Watch writes a line for every breaker that opens and closes.
func (r *Registry) Watch(log *slog.Logger) {
	r.Router.Notify = func(c router.Change) {
		if c.Open {
			log.Warn("breaker opened", "target", c.Target, "seconds", c.For.Seconds())
		} else {
			log.Info("breaker closed", "target", c.Target)
		}
	}
}

// Use replaces what is offered. Requests under way keep what they have.
func (r *Registry) Use(s Set) { r.set.Store(&offer{Set: s, router: &r.Router}) }

// offer is a Set in use.
type offer struct {
	Set
	router *router.Router
	models sync.Map     // built models by modelKey
	direct atomic.Int64 // how many of them are not public
}

func (o *offer) instance(name string) *Instance {
	for i := range o.Instances {
		if o.Instances[i].Name == name {
			return &o.Instances[i]
		}
	}
	return nil
}

// resolve finds instance and model for a name that is no public model's:
// "provider/model", a model that an instance has for its own, or a name from
// the catalogue. It fails with fault.NotFound, code model_not_found, and says
// what would help.
func (o *offer) resolve(name string) (*Instance, string, error) {
	if prefix, model, ok := strings.Cut(name, "/"); ok {
		if in := o.instance(prefix); in != nil && model != "" {
			return in, model, nil
		}
	}
	for i := range o.Instances {
		for _, own := range o.Instances[i].Own {
			if own == name {
				return &o.Instances[i], name, nil
			}
		}
	}
	if m, ok := catalog.Find(name); ok {
		for i := range o.Instances {
			if o.Instances[i].Catalog == m.Provider {
				return &o.Instances[i], name, nil // not m.ID: a dated name stays dated
			}
		}
	}
	message := "The model '" + name + "' does not exist here. GET /ai/models lists those that do."
	for _, in := range o.Instances { // one that may well have models that nobody listed
		if in.Kind == "openai" && in.Missing == "" && !strings.Contains(name, "/") {
			message += " If '" + in.Name + "' has it, ask for '" + in.Name + "/" + name + "'."
			break
		}
	}
	return nil, "", notFound(message)
}

func (o *offer) target(name string, in *Instance, model string, mode catalog.Mode) (Target, error) {
	if in.Missing != "" {
		return Target{}, notFound("The model '" + name + "' needs provider '" + in.Name + "', which is not configured. Set " + in.Missing + ".")
	}
	t := Target{Provider: in.Name, Kind: in.Kind, Model: model, Chat: in.Chat, Embedder: in.Embedder, Priced: in.Free, Window: in.Window}
	if in.Catalog != "" {
		if m, ok := catalog.Lookup(in.Catalog, model); ok {
			if m.Mode != mode {
				return Target{}, wrongMode(name, m.Mode)
			}
			t.Price, t.Priced, t.MaxOutput, t.Window, t.MaxInput = m.Price, m.Price.Known(), m.MaxOutput, m.ContextWindow, m.MaxInput
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
	Provider string // whose it is; "" for a public model of several providers
	Name     string // what allow-lists know it by
	Known    bool
	Info     catalog.Model // of the first target, for a public model
}

// List returns every model that is offered: the public ones, then all that a
// configured instance is known to serve.
func (r *Registry) List(ctx context.Context) []Entry {
	o := r.now(ctx)
	list := o.public()
	for _, in := range o.Instances {
		if in.Missing != "" || in.Spare != "" {
			continue
		}
		for _, own := range in.Own {
			list = append(list, Entry{ID: own, Provider: in.Name, Name: in.Name + "/" + strings.TrimPrefix(own, in.Name+"/"), Info: catalog.Model{ContextWindow: in.Window}})
		}
		if in.Catalog == "" {
			continue
		}
		for m := range catalog.All() {
			if m.Provider == in.Catalog && in.serves(m.Mode) {
				list = append(list, Entry{ID: in.Name + "/" + m.ID, Provider: in.Name, Name: in.Name + "/" + m.ID, Known: true, Info: m})
			}
		}
	}
	return list
}

// Configured names the instances that can be called.
func (r *Registry) Configured() []string {
	var names []string
	for _, in := range r.set.Load().Instances {
		if in.Missing == "" && in.Spare == "" {
			names = append(names, in.Name)
		}
	}
	return names
}
