package gateway

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
)

const (
	// templateAge is how long an instance may go on using what it has read: a
	// label that moved, and a deletion, have reached everybody after that.
	templateAge = time.Second
	// maxTemplates bounds the templates that an instance remembers.
	maxTemplates = 1000
)

// templates remembers what was read and parsed. The zero templates is empty.
type templates struct {
	mu    sync.Mutex
	known map[templateKey]*parsed
}

// A templateKey has the user's key, because another user of that name, who has
// other keys, must not find what the first one had.
type templateKey struct {
	tenant, hash, name string
	ref                recipe.Ref
}

// parsed is a version of a template.
type parsed struct {
	number int
	body   []byte
	of     *template.Template
	until  time.Time // it must be read again after that
}

func (s *templates) find(k templateKey) *parsed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[k]
}

func (s *templates) put(k templateKey, p *parsed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxTemplates {
		s.known = map[templateKey]*parsed{}
	}
	s.known[k] = p
}

// template returns the version that u means.
func (g *Gateway) template(ctx context.Context, c *Call, u *TemplateUse) (*template.Template, int, error) {
	if g.Recipes == nil {
		return nil, 0, fault.New(fault.Unavailable, "This gateway has no place for templates.")
	}
	now, k := time.Now(), templateKey{c.User, c.Hash, u.Name, u.Ref}
	old := g.templates.find(k)
	if old != nil && now.Before(old.until) {
		return old.of, old.number, nil
	}
	v, err := g.Recipes.Version(ctx, c.User, recipe.Template, u.Name, u.Ref)
	if err != nil {
		if f := fault.As(err); f.Kind == fault.NotFound {
			return nil, 0, &fault.Error{Kind: fault.NotFound, Param: "gateway.template", Code: "template_not_found", Message: f.Message}
		} else if f.Kind == fault.Internal {
			return nil, 0, fault.Wrap(fault.Unavailable, err, "The template cannot be read right now; try again.")
		}
		return nil, 0, err
	}
	p := &parsed{number: v.Number, body: v.Body, until: now.Add(templateAge)}
	if old != nil && bytes.Equal(old.body, v.Body) {
		p.of = old.of
	} else if p.of, err = template.Parse(v.Body); err != nil { // it was checked when it was stored, perhaps by other rules
		return nil, 0, fault.Wrap(fault.Internal, err, "The stored template cannot be read.")
	}
	g.templates.put(k, p)
	return p.of, p.number, nil
}

// filled is a template as a request uses it.
type filled struct {
	template.Rendered
	name string          // "name@3"
	own  []rawjson.Field // the fields of the client's own body
	body []byte
}

// fill completes a body whose gateway object names a template; for any other
// body it returns nil. It is asked before the request is checked, because model
// and messages may come from the template.
func (g *Gateway) fill(ctx context.Context, c *Call, body []byte, fields []rawjson.Field) (*filled, error) {
	own := rawjson.Get(fields, "gateway")
	if rawjson.IsNull(own) || rawjson.Get(rawjson.Fields(nil, own), "template") == nil {
		return nil, nil
	}
	opts, err := ParseOptions(own)
	if err != nil || opts.Template == nil {
		return nil, err
	}
	if own := rawjson.Get(fields, "messages"); rawjson.Kind(own) == "array" && string(own) != "[]" {
		if err := llm.CheckMessages(own); err != nil { // while they have their own numbers
			return nil, err
		}
	}
	t, number, err := g.template(ctx, c, opts.Template)
	if err != nil {
		return nil, err
	}
	r, err := t.Render(opts.Template.Variables, "gateway.template.variables")
	if err != nil {
		return nil, err
	}
	return &filled{Rendered: r, name: opts.Template.Name + "@" + strconv.Itoa(number), own: fields, body: r.Apply(body, fields)}, nil
}
