package providers

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/router"
)

var (
	providerName = pattern.Pattern{Expr: `^[a-z][a-z0-9-]{0,31}$`}
	modelName    = pattern.Pattern{Expr: `^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`}
)

// builtin names cannot be taken by instances.
var builtin = map[string]bool{"openai": true, "anthropic": true, "gemini": true, "bedrock": true, "echo": true}

var kinds = []string{"openai", "anthropic", "gemini", "bedrock"}

// ParseFile reads gateway.yaml. All complaints are returned at once, each with
// its line and the setting's path, and none repeats a secret.
func ParseFile(text []byte) (File, error) {
	var f File
	if len(bytes.TrimSpace(text)) == 0 {
		return f, nil
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return f, syntax(err)
	}
	s := &shape{lines: map[string]int{}}
	if len(tree.Docs) > 0 && tree.Docs[0].Body != nil {
		s.check("", tree.Docs[0].Body, reflect.TypeFor[File]())
	}
	if err := yaml.Unmarshal(text, &f); err != nil {
		if len(s.wrong) == 0 {
			return File{}, syntax(err)
		}
		return File{}, s.err() // what is read of it makes no sense to go on with
	}
	for i := range f.Providers {
		s.provider(fmt.Sprintf("providers[%d]", i), &f.Providers[i], f.Providers[:i])
	}
	for i := range f.Models {
		s.model(fmt.Sprintf("models[%d]", i), &f, i)
	}
	for _, old := range slices.Sorted(maps.Keys(f.Aliases)) {
		s.alias(&f, old)
	}
	return f, s.err()
}

// syntax is an error of the YAML parser, without the lines that it quotes.
func syntax(err error) error {
	var e yaml.Error
	if errors.As(err, &e) {
		return complaint{line: e.GetToken().Position.Line, text: e.GetMessage()}
	}
	return fmt.Errorf("gateway.yaml: it is not readable as YAML")
}

// err returns all complaints in the order of their lines.
func (s *shape) err() error {
	slices.SortStableFunc(s.wrong, func(a, b complaint) int { return a.line - b.line })
	errs := make([]error, len(s.wrong))
	for i, c := range s.wrong {
		errs[i] = c
	}
	return errors.Join(errs...)
}

func (s *shape) provider(path string, p *Provider, before []Provider) {
	switch {
	case !providerName.Match(p.Name):
		s.complain(path+".name", "%q must be lower-case letters, digits and '-', beginning with a letter", p.Name)
	case slices.ContainsFunc(before, func(o Provider) bool { return o.Name == p.Name }):
		s.complain(path+".name", "%q is used twice", p.Name)
	}
	p.BaseURL = strings.TrimRight(p.BaseURL, "/")
	s.address(path+".base_url", p.BaseURL)
	s.reference(path+".api_key", p.APIKey)
	s.within(path+".embedding_inputs", p.Inputs, 0, 2048)
	s.within(path+".context_window", p.Window, 0, 1<<30)
	if builtin[p.Name] {
		if p.Kind != "" || p.BaseURL != "" || p.APIKey != "" || p.Region != "" || len(p.Headers)+len(p.Models) > 0 || p.Inputs != 0 || p.Window != 0 || len(p.Credentials) == 0 || p.Name == "echo" {
			s.complain(path, "%q is built in and takes nothing but credentials; choose another name", p.Name)
		}
	} else {
		if !slices.Contains(kinds, p.Kind) {
			s.complain(path+".kind", "must be openai, anthropic, gemini or bedrock, not %q", p.Kind)
		}
		switch {
		case len(p.Credentials) > 0:
		case p.Kind == "bedrock" && p.Region == "":
			s.complain(path, "Bedrock needs a region")
		case p.Kind != "bedrock" && p.BaseURL == "" && p.APIKey == "":
			s.complain(path, "give base_url, api_key, or both")
		}
	}
	for i := range p.Credentials {
		c, at := &p.Credentials[i], fmt.Sprintf("%s.credentials[%d]", path, i)
		switch {
		case !providerName.Match(c.Name):
			s.complain(at+".name", "%q must be lower-case letters, digits and '-', beginning with a letter", c.Name)
		case slices.ContainsFunc(p.Credentials[:i], func(o Credential) bool { return o.Name == c.Name }):
			s.complain(at+".name", "%q is used twice", c.Name)
		}
		c.BaseURL = strings.TrimRight(c.BaseURL, "/")
		s.address(at+".base_url", c.BaseURL)
		s.reference(at+".api_key", c.APIKey)
		s.within(at+".weight", c.Weight, 0, 1_000_000)
		if c.APIKey == "" && c.BaseURL == "" && c.Region == "" {
			s.complain(at, "give api_key, base_url or region")
		}
	}
}

func (s *shape) address(path, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		s.complain(path, "must be an http or https URL without credentials")
	}
}

func (s *shape) reference(path, ref string) {
	if ref != "" && !strings.HasPrefix(ref, "env:") && !strings.HasPrefix(ref, "ssm:") && !strings.HasPrefix(ref, "secretsmanager:") {
		s.complain(path, "must be a reference (env:NAME, ssm:NAME, secretsmanager:NAME), not the key itself")
	}
}

func (s *shape) within(path string, v, low, high int64) {
	if v < low || v > high {
		s.complain(path, "must be from %d to %d", low, high)
	}
}

func (s *shape) model(path string, f *File, i int) {
	m := &f.Models[i]
	switch {
	case !modelName.Match(m.Name):
		s.complain(path+".name", "%q must be letters, digits and '._:@-'; a '/' belongs to provider/model", m.Name)
	case f.modelIndex(m.Name) < i:
		s.complain(path+".name", "%q is used twice", m.Name)
	}
	if m.Strategy != "" && !router.Strategy(m.Strategy).Known() {
		s.complain(path+".strategy", "must be one of %v, not %q", router.Strategies, m.Strategy)
	}
	if m.Retries != nil {
		s.within(path+".retries", *m.Retries, 0, 10)
	}
	s.within(path+".ttft_timeout_ms", m.TTFT, 0, 900_000)
	s.within(path+".hedge_after_ms", m.HedgeAfter, 0, 900_000)
	if m.Parallel != 0 {
		s.within(path+".parallel", m.Parallel, 2, 5)
	}
	if len(m.Targets) == 0 {
		s.complain(path+".targets", "there must be one at least")
	}
	for j, t := range m.Targets {
		at := fmt.Sprintf("%s.targets[%d]", path, j)
		if t.Model == "" {
			s.complain(at+".model", "is missing")
		}
		if t.Weight != nil {
			s.within(at+".weight", *t.Weight, 0, 1_000_000)
		}
		if !f.provides(t.Provider) {
			s.complain(at+".provider", "there is no provider %q", t.Provider)
		}
	}
	for _, list := range m.Fallbacks.lists() {
		s.fallbacks(path+".fallbacks."+list.name, f, m, list)
	}
}

// list is one of the three, with its name.
type list struct {
	name  string
	names []string
}

func (f Fallbacks) lists() []list {
	return []list{{"errors", f.Errors}, {"context", f.Context}, {"content", f.Content}}
}

func (s *shape) fallbacks(path string, f *File, m *Model, l list) {
	for i, name := range l.names {
		if !f.knows(name) {
			s.complain(fmt.Sprintf("%s[%d]", path, i), "there is no model %q", name)
		}
	}
	if way := f.circle(m.Name, l.name, nil); way != nil {
		s.complain(path, "it leads back to itself: %s", strings.Join(way, " → "))
	}
}

// circle returns the way from a model over its fallbacks back to itself.
func (f *File) circle(from, kind string, way []string) []string {
	at := from
	if len(way) > 0 {
		at = way[len(way)-1]
	} else {
		way = []string{from}
	}
	i := f.modelIndex(at)
	if i < 0 {
		return nil
	}
	for _, l := range f.Models[i].Fallbacks.lists() {
		for _, next := range l.names {
			if l.name != kind {
				continue
			}
			if next == from {
				return append(way, next)
			}
			if slices.Contains(way, next) {
				continue // a circle without from; its own models complain
			}
			if found := f.circle(from, kind, append(slices.Clone(way), next)); found != nil {
				return found
			}
		}
	}
	return nil
}

func (s *shape) alias(f *File, old string) {
	path := "aliases." + old
	to := f.Aliases[old]
	_, chained := f.Aliases[to]
	switch {
	case f.modelIndex(old) >= 0:
		s.complain(path, "a model has this name")
	case chained:
		s.complain(path, "%q is an alias itself", to)
	case !f.knows(to):
		s.complain(path, "there is no model %q", to)
	}
}

func (f *File) modelIndex(name string) int {
	return slices.IndexFunc(f.Models, func(m Model) bool { return m.Name == name })
}

func (f *File) provides(name string) bool {
	return builtin[name] || slices.ContainsFunc(f.Providers, func(p Provider) bool { return p.Name == name })
}

// knows says whether a name can be asked for: a public model, provider/model,
// or a name from the catalogue.
func (f *File) knows(name string) bool {
	if f.modelIndex(name) >= 0 || name == "echo" {
		return true
	}
	if provider, model, ok := strings.Cut(name, "/"); ok && model != "" && f.provides(provider) {
		return true
	}
	_, ok := catalog.Find(name)
	return ok
}
