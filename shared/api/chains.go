package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
)

// Chains serves everything under /ai/chains. Chains and their runs belong to
// the key's user.
func (s *Server) Chains() http.Handler {
	own := s.own("chains")
	r := recipes{s, recipe.Chain}
	return s.paths(map[string]methods{
		"/ai/chains":                       {"GET": takes(own(r.list), "limit", "after"), "POST": own(s.putChain)},
		"/ai/chains/{name}":                {"GET": takes(own(s.getChain), "version"), "DELETE": own(r.remove)},
		"/ai/chains/{name}/versions":       {"GET": takes(own(r.versions), "limit", "after")},
		"/ai/chains/{name}/labels/{label}": {"POST": own(r.label), "DELETE": own(r.unlabel)},
		"/ai/chains/{name}/runs":           {"POST": func(v *visit) error { return s.infer(v, "chain", s.runChain) }},
		"/ai/chains/{name}/runs/{id}":      {"GET": own(s.getRun)},
	})
}

func (s *Server) putChain(ctx context.Context, v *visit, c *gateway.Call) error {
	body, err := v.body()
	if err != nil {
		return err
	}
	if len(body) > recipe.MaxBody {
		return &fault.Error{Kind: fault.TooLarge, Message: fmt.Sprintf("The chain has %d bytes; the limit is %d.", len(body), recipe.MaxBody)}
	}
	ch, err := chain.Parse(body)
	if err == nil {
		err = s.checkTemplates(ctx, c, ch)
	}
	if err != nil {
		return refuseChain(v, err)
	}
	fields, err := llm.ReadObject("", body)
	if err != nil {
		return err
	}
	var text bytes.Buffer // labels are not part of a version, and spaces make no new one
	if err := json.Compact(&text, rawjson.Apply(nil, body, fields, rawjson.Edit{Name: "labels"})); err != nil {
		return err
	}
	version := recipe.Version{Name: ch.Name, Body: text.Bytes(), Created: time.Now().UTC().Truncate(time.Millisecond), Author: c.Record.Key}
	version, head, added, err := s.Recipes.Add(ctx, c.User, recipe.Chain, version, ch.Labels)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if added {
		status = http.StatusCreated
	}
	return showChain(v, status, version, head, rawjson.Edit{Name: "changed", Value: strconv.AppendBool(nil, added)})
}

// refuseChain answers with all problems, if there are several.
func refuseChain(v *visit, err error) error {
	p, ok := errors.AsType[chain.Problems](err)
	if !ok {
		return err
	}
	list, merr := json.Marshal(p)
	if merr != nil {
		return merr
	}
	writeErrorWith(v, err, "problems", list)
	return nil
}

// checkTemplates wants every template that the chain names to be there now,
// and to take the variables that it is given, as far as their types are known.
func (s *Server) checkTemplates(ctx context.Context, c *gateway.Call, ch *chain.Chain) error {
	for _, use := range ch.Templates() {
		at := use.At + ".template"
		_, t, err := s.findTemplate(ctx, c, use.Template.Name, use.Template.Version)
		if errors.Is(err, fault.NotFound) {
			return fault.Field(at, "'%s': %s", at, fault.As(err).Message)
		}
		if err != nil {
			return err
		}
		if err := fits(at, use.Template, t); err != nil {
			return err
		}
		if t.Model == "" && use.Model == "" {
			return fault.Field(at, "'%s': neither the step nor the template '%s' names a model.", at, use.Template.Name)
		}
	}
	return nil
}

// fits says whether t takes what ref, which stands at the given place, gives it.
func fits(at string, ref *chain.TemplateRef, t *template.Template) error {
	given := ref.Variables()
	for _, name := range given {
		if !slices.ContainsFunc(t.Variables, func(v template.Variable) bool { return v.Name == name }) {
			return fault.Field(at+".variables."+name, "The template '%s' has no variable '%s'.", ref.Name, name)
		}
	}
	for i := range t.Variables {
		want := &t.Variables[i]
		if err := ref.Check(at+".variables."+want.Name, want); err != nil {
			return err
		}
		if want.Required && want.Default == nil && !slices.Contains(given, want.Name) {
			return fault.Field(at+".variables", "The template '%s' requires the variable '%s'.", ref.Name, want.Name)
		}
	}
	return nil
}

func (s *Server) getChain(ctx context.Context, v *visit, c *gateway.Call) error {
	version, err := recipes{s, recipe.Chain}.asked(ctx, v, c)
	if err != nil {
		return err
	}
	head, err := s.Recipes.Head(ctx, c.User, recipe.Chain, version.Name)
	if err != nil {
		return err
	}
	return showChain(v, http.StatusOK, version, head)
}

// showChain shows a version as it was written, between what is known about it.
func showChain(v *visit, status int, of recipe.Version, head recipe.Head, more ...rawjson.Edit) error {
	about, err := json.Marshal(struct {
		ID      string         `json:"id"`
		Object  string         `json:"object"`
		Version int            `json:"version"`
		Latest  int            `json:"latest_version"`
		Labels  map[string]int `json:"labels"`
		Created stamp          `json:"created_at"`
		Author  string         `json:"created_by"`
	}{of.Name, "chain", of.Number, head.Latest, showLabels(head), stamp{of.Created}, of.Author})
	if err != nil {
		return err
	}
	edits := more
	for _, f := range rawjson.Fields(nil, of.Body) {
		edits = append(edits, rawjson.Edit{Name: f.Name, Value: f.Value})
	}
	writeJSON(v, status, rawjson.Apply(nil, about, rawjson.Fields(nil, about), edits...))
	return nil
}
