package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

type runBody struct {
	Input   json.RawMessage `json:"input"`
	Version json.RawMessage `json:"version"`
	Stream  json.RawMessage `json:"stream"`
	Gateway json.RawMessage `json:"gateway"`
	RunID   json.RawMessage `json:"run_id"`
}

// runOptions are the members of the gateway object that make sense for a run:
// they hold for each of its calls.
var runOptions = []string{"tags", "only", "order", "strategy", "fallbacks", "strict", "timeout_ms", "ttft_timeout_ms"}

// job is a run that was asked for.
type job struct {
	chain   *chain.Chain
	options chain.Options
	stream  bool
	calls   *chainCalls
}

// runChain serves POST /ai/chains/{name}/runs.
func (s *Server) runChain(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	j, err := s.planRun(ctx, v, c, body)
	if err == nil {
		err = j.calls.prepare(ctx, j.chain)
	}
	if err != nil {
		return tellProblems(v, s.Gateway.Refuse(ctx, c, err))
	}
	if err := j.calls.open(ctx); err != nil {
		return err
	}
	limits(v.Header(), c.Grant.Limits)
	if j.stream {
		return s.streamRun(ctx, v, j)
	}
	run, err := j.chain.Run(ctx, j.options)
	return answerRun(v, c, run, err)
}

// tellProblems answers with all problems of an input, if that is what err is.
func tellProblems(v *visit, err error) error {
	if rerr := refuseChain(v, err); rerr != nil {
		return rerr
	}
	return err
}

// planRun reads what is asked for. All errors are the client's, or the
// store's.
func (s *Server) planRun(ctx context.Context, v *visit, c *gateway.Call, body []byte) (*job, error) {
	name, err := recipes{s, recipe.Chain}.name(v)
	if err == nil {
		err = v.query()
	}
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	var b runBody
	if err := decodeObject("", body, &b); err != nil {
		return nil, err
	}
	j := &job{calls: &chainCalls{s: s, c: c, gateway: b.Gateway}}
	if !rawjson.IsNull(b.Stream) {
		if j.stream, err = llm.ReadBool("stream", b.Stream); err != nil {
			return nil, err
		}
	}
	if !rawjson.IsNull(b.Gateway) {
		if _, err := llm.ReadObject("gateway", b.Gateway, runOptions...); err != nil {
			return nil, err
		}
	}
	opts, err := gateway.ParseOptions(b.Gateway) // a chain that calls no model has nobody else to read it
	if err != nil {
		return nil, err
	}
	ref, err := recipe.ReadRef("version", b.Version)
	if err != nil {
		return nil, err
	}
	o := &j.options
	o.ID, o.Calls, o.Deltas = "run_"+v.id, j.calls, j.stream
	o.Tools, o.Trace = s.CodeTools, s.TraceRun
	if !rawjson.IsNull(b.RunID) {
		if o.Resume, err = s.resumed(ctx, c, name, b.RunID); err != nil {
			return nil, err
		}
		o.ID = o.Resume.ID
		if rawjson.IsNull(b.Version) {
			ref = recipe.Ref{Number: o.Resume.Version}
		}
	}
	version, err := s.Recipes.Version(ctx, c.User, recipe.Chain, name, ref)
	if err != nil {
		return nil, s.told(ctx, v.id, "chains", err)
	}
	if j.chain, err = chain.Parse(version.Body); err != nil { // it was checked when it was stored
		return nil, fault.Wrap(fault.Internal, err, "The stored chain cannot be read.")
	}
	o.Version = version.Number
	if o.Resume != nil && rawjson.IsNull(b.Input) {
		o.Input = o.Resume.Input
	} else if o.Input, err = j.chain.Inputs(b.Input); err != nil {
		return nil, err
	}
	if s.Runs != nil {
		o.Save = func(ctx context.Context, r *chain.Run) error {
			return s.told(ctx, v.id, "chains", s.Runs.Save(ctx, c.User, r))
		}
	}
	c.Record.Asked, c.Record.Stream, c.Record.Tags = fmt.Sprintf("chain:%s@%d", name, version.Number), j.stream, opts.Tags
	return j, nil
}

// resumed is the earlier run that the body names.
func (s *Server) resumed(ctx context.Context, c *gateway.Call, name string, value []byte) (*chain.Run, error) {
	id, ok := rawjson.String(value)
	if !ok || !chain.ValidRunID(id) {
		return nil, fault.Field("run_id", "'run_id' must be the id of an earlier run: leave it out to begin a new one.")
	}
	r, err := s.findRun(ctx, c, name, id)
	if errors.Is(err, fault.NotFound) {
		return nil, at("run_id", err)
	}
	return r, err
}

func (s *Server) findRun(ctx context.Context, c *gateway.Call, name, id string) (*chain.Run, error) {
	if s.Runs == nil || !chain.ValidRunID(id) {
		return nil, chain.MissingRun(id)
	}
	r, err := s.Runs.Run(ctx, c.User, id)
	if err == nil && r.Chain != name {
		return nil, chain.MissingRun(id)
	}
	return r, s.told(ctx, c.Record.ID, "chains", err)
}

// answerRun answers with a run as a whole. If it failed, what it has done, and
// what has been paid for, comes with the error.
func answerRun(v *visit, c *gateway.Call, r *chain.Run, err error) error {
	if clientLeft(v.r.Context(), err) {
		return err
	}
	writeFinalHeaders(v.Header(), c)
	body, merr := rawjson.Marshal(showRun(r))
	switch {
	case merr != nil:
		return merr
	case err != nil:
		writeErrorWith(v, err, "run", body)
	default:
		writeJSON(v, http.StatusOK, body)
	}
	return err
}

// streamRun answers with events as they happen.
func (s *Server) streamRun(ctx context.Context, v *visit, j *job) error {
	out := newEvents(v, j.calls.c)
	defer out.stop()
	begun := false
	j.options.Observe = func(e chain.Event) error {
		begun = true
		data, err := rawjson.Marshal(showEvent(e))
		if err != nil {
			return err
		}
		return out.send(e.Type, data)
	}
	r, err := j.chain.Run(ctx, j.options)
	if !begun { // it was not even resumed
		return answerRun(v, j.calls.c, r, err)
	}
	return err
}

func (s *Server) getRun(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := recipes{s, recipe.Chain}.name(v)
	if err != nil {
		return err
	}
	r, err := s.findRun(ctx, c, name, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showRun(r))
}
