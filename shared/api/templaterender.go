package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/template"
	"github.com/devmentor/ai-gateway/shared/tokens"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type renderBody struct {
	Variables json.RawMessage `json:"variables"`
	Version   json.RawMessage `json:"version"`
	Model     json.RawMessage `json:"model"`
}

type renderObject struct {
	Object     string          `json:"object"`
	Template   string          `json:"template"` // name@version, as the ledger has it
	Model      *string         `json:"model"`
	Messages   json.RawMessage `json:"messages"`
	Parameters json.RawMessage `json:"parameters"`
	Estimate   estimateObject  `json:"estimate"`
	Warnings   []string        `json:"warnings"`
}

// estimateObject says what the rendered messages would take. What is not known
// is null: the price of an unknown model, and the most that an answer costs
// whose length has no bound. Max holds even if the tokens are more than they
// seem.
type estimateObject struct {
	InputTokens int64       `json:"input_tokens"`
	Exact       bool        `json:"exact"` // InputTokens is counted, not estimated
	MaxOutput   *int64      `json:"max_output_tokens"`
	Input       *usage.Nano `json:"input_usd"`
	Max         *usage.Nano `json:"max_usd"`
}

// renderTemplate shows what a template makes of variables, and calls no model.
func (s *Server) renderTemplate(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := templateName(v)
	if err != nil {
		return err
	}
	var b renderBody
	if err := v.decode(&b); err != nil {
		return err
	}
	ref, err := recipe.ReadRef("version", b.Version)
	if err != nil {
		return err
	}
	var model string
	if err := optional("model", b.Model, llm.MaxModel, &model); err != nil {
		return err
	}
	version, t, err := s.findTemplate(ctx, c, name, ref)
	if err != nil {
		return err
	}
	r, err := t.Render(b.Variables, "variables")
	if err != nil {
		return err
	}
	o := renderObject{Object: "template.render", Template: fmt.Sprintf("%s@%d", version.Name, version.Number), Messages: r.Messages(),
		Parameters: r.Parameters, Warnings: append([]string{}, t.Warnings()...)}
	if o.Parameters == nil {
		o.Parameters = json.RawMessage("{}")
	}
	err = s.estimate(ctx, c, &o, r, model)
	if err != nil && (model != "" || !errors.Is(err, fault.NotFound)) {
		return err
	}
	if err != nil { // the template's own model: the preview is worth having all the same
		o.Warnings = append(o.Warnings, "model: "+fault.As(err).Message)
	}
	return v.json(http.StatusOK, o)
}

// estimate says what the rendered template would take at model, or at the
// template's own. It fails if the model cannot be called, having filled in what
// can be said without it.
func (s *Server) estimate(ctx context.Context, c *gateway.Call, o *renderObject, r template.Rendered, model string) error {
	if model == "" {
		model = r.Model
	}
	o.Estimate.count(tokens.For("", ""), o.Messages, o.Parameters)
	if model == "" {
		o.Warnings = append(o.Warnings, "model: Neither the template nor this request names one, so that no price can be told.")
		return nil
	}
	o.Model = &model
	m, err := s.Gateway.Models.Find(ctx, model, catalog.Chat)
	if err != nil {
		return err
	}
	if !c.Grant.Allows(m.Name, m.Provider) {
		return &fault.Error{Kind: fault.Forbidden, Param: "model", Code: "model_not_allowed", Message: "This key may not use the model '" + model + "'."}
	}
	target := m.Group.Targets[0].Of.(*gateway.Target)
	high := o.Estimate.count(tokens.For(target.Provider, target.Model), o.Messages, o.Parameters)
	if most := maxOutput(r.Parameters, target); most > 0 {
		o.Estimate.MaxOutput = &most
	}
	if !target.Priced {
		return nil
	}
	p := target.Price
	p.CacheWrite, p.CacheWrite1h, p.CacheWriteAbove, p.CacheWrite1hAbove = 0, 0, 0, 0 // a template asks for no prompt cache
	input := p.Cost(llm.Usage{Input: o.Estimate.InputTokens})
	o.Estimate.Input = &input
	if o.Estimate.MaxOutput != nil {
		total := p.Bound(high, *o.Estimate.MaxOutput)
		o.Estimate.Max = &total
	}
	return nil
}

// maxOutput is the most that the answers may have, in tokens; 0 if the
// parameters set no bound.
func maxOutput(parameters json.RawMessage, t *gateway.Target) int64 {
	if parameters == nil {
		return 0
	}
	fields := rawjson.Fields(nil, parameters)
	most, ok := rawjson.Int(rawjson.Get(fields, "max_completion_tokens"))
	if !ok {
		most, _ = rawjson.Int(rawjson.Get(fields, "max_tokens"))
	}
	if t.MaxOutput > 0 {
		most = min(most, t.MaxOutput)
	}
	n, _ := rawjson.Int(rawjson.Get(fields, "n"))
	return most * max(1, n)
}

// count counts the messages, and what else of the parameters a model reads, and
// returns how many tokens it may be at most.
func (e *estimateObject) count(c tokens.Counter, messages, parameters json.RawMessage) (high int64) {
	more := llm.Beside(rawjson.Fields(nil, parameters))
	if e.Exact = c.Exact(); e.Exact {
		e.InputTokens = c.CountMessages(messages, more...)
		return e.InputTokens
	}
	estimate := c.EstimateMessages(messages, more...)
	e.InputTokens = estimate.Tokens
	return estimate.High
}
