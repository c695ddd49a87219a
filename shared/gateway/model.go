package gateway

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/router"
)

// Public is a model under a name of our own.
type Public struct {
	Name   string
	Places []Place
	router.Policy
	// Names of models, public or not, that answer if all places fail, if the
	// prompt is too long for one, or if one refuses it by policy. Those that
	// cannot be called are left out.
	Errors, Context, Content []string
}

// Place is a target as a configuration names it.
type Place struct {
	Provider, Model string
	Region          string // only instances in that region; "" for any
	Weight          int64
}

// Model is what a client's name for a model leads to.
type Model struct {
	// Name and Provider are what allow-lists are asked about: the public name
	// and the provider that all its targets have in common, if they do; or
	// "provider/model".
	Name, Provider           string
	Group                    *router.Group
	Errors, Context, Content []*router.Group

	requested []*Model // fallbacks that the request itself named
}

// retries is how often a target is asked again unless the configuration says
// otherwise.
const retries = 2

// maxDirect bounds the names that are remembered: clients invent them.
const maxDirect = 1000

type modelKey struct {
	name string
	mode catalog.Mode
}

// Find returns the model that a client calls name. It fails with
// fault.NotFound, or with fault.Invalid if the model is of another mode.
func (r *Registry) Find(ctx context.Context, name string, mode catalog.Mode) (*Model, error) {
	return r.now(ctx).find(name, mode)
}

func (o *offer) find(name string, mode catalog.Mode) (*Model, error) {
	if to, ok := o.Aliases[name]; ok {
		name = to
	}
	for i := range o.Models {
		if p := &o.Models[i]; p.Name == name {
			return o.build(p, mode)
		}
	}
	key := modelKey{name, mode}
	if m, ok := o.models.Load(key); ok {
		return m.(*Model), nil
	}
	in, model, err := o.resolve(name)
	if err != nil {
		return nil, err
	}
	g := &router.Group{Model: name, Policy: router.Policy{Strategy: router.Weighted, Retries: retries}}
	if err := o.targets(g, name, in, Place{Model: model}, mode); err != nil {
		return nil, err
	}
	t := g.Targets[0].Of.(*Target)
	m := &Model{Name: t.Provider + "/" + t.Model, Provider: t.Provider, Group: g}
	if o.direct.Add(1) <= maxDirect {
		name = strings.Clone(name) // not the client's whole request
		g.Model = name
		o.models.Store(modelKey{name, mode}, m)
	}
	return m, nil
}

// targets adds to g what instances of in's name offer for a model.
func (o *offer) targets(g *router.Group, name string, in *Instance, p Place, mode catalog.Mode) error {
	var failed error
	before, spares := len(g.Targets), false
	for i := range o.Instances {
		spares = spares || o.Instances[i].Name == in.Name && o.Instances[i].Spare != ""
	}
	for i := range o.Instances {
		of := &o.Instances[i]
		if of.Name != in.Name || p.Region != "" && of.Region != p.Region {
			continue
		}
		t, err := o.target(name, of, p.Model, mode)
		if err != nil {
			failed = err
			continue
		}
		rt := router.Target{Name: t.Provider + "/" + t.Model, Provider: t.Provider, Weight: max(1, of.Weight), Of: &t}
		if spares {
			rt.Name += "#" + of.Spare
			if of.Spare == "" {
				rt.Name += strconv.Itoa(i)
			}
		}
		g.Targets = append(g.Targets, rt)
	}
	if len(g.Targets) > before {
		return nil // those that have their credentials will do
	}
	if failed == nil {
		failed = notFound("The model '" + name + "' needs provider '" + in.Name + "' in region '" + p.Region + "', which is not configured.")
	}
	return failed
}

// build makes a public model of what is configured, once.
func (o *offer) build(p *Public, mode catalog.Mode) (*Model, error) {
	key := modelKey{p.Name, mode}
	if m, ok := o.models.Load(key); ok {
		return m.(*Model), nil
	}
	m, err := o.own(p, mode)
	if err != nil {
		return nil, err
	}
	m.Errors = o.fallbacks(p.Errors, mode, func(p *Public) []string { return p.Errors }, []string{p.Name})
	m.Context = o.fallbacks(p.Context, mode, func(p *Public) []string { return p.Context }, []string{p.Name})
	m.Content = o.fallbacks(p.Content, mode, func(p *Public) []string { return p.Content }, []string{p.Name})
	if len(m.Group.Targets) > 1 || len(m.Errors) > 0 { // where there is no choice, nothing need be known
		o.watch(m.Group)
	}
	first, _ := o.models.LoadOrStore(key, m) // the turns of its strategy are kept in one place
	return first.(*Model), nil
}

// own builds a public model without its fallbacks.
func (o *offer) own(p *Public, mode catalog.Mode) (*Model, error) {
	m := &Model{Name: p.Name, Group: &router.Group{Model: p.Name, Policy: p.Policy}}
	var missing []string
	var failed error
	for _, place := range p.Places {
		in := o.instance(place.Provider)
		if in == nil {
			continue // the parser has seen to it
		}
		before := len(m.Group.Targets)
		if err := o.targets(m.Group, p.Name, in, place, mode); err != nil {
			failed = err
			if in.Missing != "" && !slices.Contains(missing, in.Missing) {
				missing = append(missing, in.Missing)
			}
			continue
		}
		for i := before; i < len(m.Group.Targets); i++ {
			m.Group.Targets[i].Weight *= place.Weight
		}
	}
	if len(m.Group.Targets) == 0 {
		if len(missing) > 0 {
			failed = notFound("The model '" + p.Name + "' needs a provider that is not configured. Set " + strings.Join(missing, " or ") + ".")
		}
		return nil, failed
	}
	m.Provider = m.Group.Targets[0].Provider
	for _, t := range m.Group.Targets {
		if t.Provider != m.Provider {
			m.Provider = ""
		}
	}
	return m, nil
}

// fallbacks builds the models of a list, and what those fall back to in turn,
// each once.
func (o *offer) fallbacks(names []string, mode catalog.Mode, next func(*Public) []string, seen []string) []*router.Group {
	var list []*router.Group
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		if i := slices.IndexFunc(o.Models, func(p Public) bool { return p.Name == name }); i >= 0 {
			if m, err := o.own(&o.Models[i], mode); err == nil {
				list = append(list, o.watch(m.Group))
			}
			names = append(names, next(&o.Models[i])...)
		} else if m, err := o.find(name, mode); err == nil {
			g := &router.Group{Model: name, Targets: slices.Clone(m.Group.Targets), Policy: m.Group.Policy}
			list = append(list, o.watch(g))
		}
	}
	return list
}

// watch has the health of g's targets observed.
func (o *offer) watch(g *router.Group) *router.Group {
	for i := range g.Targets {
		g.Targets[i].Health = o.router.Health(g.Targets[i].Name)
	}
	return g
}

// public lists the public models that can be called.
func (o *offer) public() []Entry {
	var list []Entry
	for i := range o.Models {
		p := &o.Models[i]
		for _, mode := range []catalog.Mode{catalog.Chat, catalog.Embedding} {
			m, err := o.build(p, mode)
			if err != nil {
				continue
			}
			e := Entry{ID: p.Name, Provider: m.Provider, Name: m.Name}
			first := m.Group.Targets[0].Of.(*Target)
			if in := o.instance(first.Provider); in != nil && in.Catalog != "" {
				e.Info, e.Known = catalog.Lookup(in.Catalog, first.Model)
			}
			list = append(list, e)
			break
		}
	}
	return list
}
