package providers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/router"
)

// Source makes a gateway.Set of the environment and gateway.yaml, at start and
// again whenever the file has changed.
type Source struct {
	Config config.Config
	Getenv func(string) string
	Echo   bool // offer the offline stand-in
	// Fetch reads a reference into AWS, afresh each time.
	Fetch func(ctx context.Context, ref string) (string, error)
	// Link gives instances their adapters; nil leaves them without.
	Link func([]gateway.Instance)

	last string // the text that is in use
	read bool
}

// Load returns the set as it is now, or nil if the file is what it was. It is
// not for concurrent use.
func (s *Source) Load(ctx context.Context) (*gateway.Set, error) {
	text, err := s.text(ctx)
	if err != nil {
		return nil, fmt.Errorf("GATEWAY_CONFIG: %w", err)
	}
	if s.read && text == s.last {
		return nil, nil
	}
	file, err := ParseFile([]byte(text))
	if err != nil {
		return nil, err
	}
	s.last, s.read = text, true
	set := s.set(file)
	if s.Link != nil {
		s.Link(set.Instances)
	}
	return &set, nil
}

// Registry returns a registry of what is configured now, which follows the
// file from then on. failed hears of versions that were refused.
func (s *Source) Registry(ctx context.Context, failed func(error)) (*gateway.Registry, error) {
	set, err := s.Load(ctx)
	if err != nil {
		return nil, err
	}
	r := gateway.NewRegistry()
	r.Use(*set)
	if s.Config.File != "" {
		r.Reload, r.Failed = s.Load, failed
	}
	return r, nil
}

func (s *Source) text(ctx context.Context) (string, error) {
	where := s.Config.File
	switch {
	case where == "":
		return "", nil
	case strings.HasPrefix(where, "ssm:"), strings.HasPrefix(where, "s3://"):
		if s.Fetch == nil {
			return "", errors.New("references into AWS cannot be read here")
		}
		return s.Fetch(ctx, where)
	}
	text, err := os.ReadFile(where)
	return string(text), err
}

func (s *Source) set(f File) gateway.Set {
	getenv := s.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	set := gateway.Set{Instances: List(s.Config, f, s.Echo), Aliases: f.Aliases}
	for i := range set.Instances {
		in := &set.Instances[i]
		if name, ok := strings.CutPrefix(in.KeyRef, "env:"); ok {
			if in.KeyRef = getenv(name); in.KeyRef == "" && in.Missing == "" {
				in.Missing = name
			}
		}
	}
	models := f.Models
	if models == nil {
		models = Default()
	}
	for _, m := range models {
		set.Models = append(set.Models, m.public())
	}
	return set
}

const retries = 2

func (m Model) public() gateway.Public {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	p := gateway.Public{Name: m.Name, Errors: m.Fallbacks.Errors, Context: m.Fallbacks.Context, Content: m.Fallbacks.Content,
		Policy: router.Policy{Strategy: router.Strategy(m.Strategy), Sticky: m.Sticky, LastResort: m.LastResort, Retries: retries,
			TTFT: ms(m.TTFT), Parallel: int(m.Parallel), HedgeAfter: ms(m.HedgeAfter)}}
	if m.Strategy == "" {
		p.Strategy = router.Priority
	}
	if m.Retries != nil {
		p.Retries = int(*m.Retries)
	}
	for _, t := range m.Targets {
		place := gateway.Place{Provider: t.Provider, Model: t.Model, Region: t.Region, Weight: 1}
		if t.Weight != nil {
			place.Weight = *t.Weight
		}
		p.Places = append(p.Places, place)
	}
	return p
}
