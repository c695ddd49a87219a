package api

import (
	"encoding/json"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type runObject struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"`
	Chain     string          `json:"chain"`
	Version   int             `json:"version"`
	Status    chain.Status    `json:"status"`
	Output    json.RawMessage `json:"output"`
	Error     json.RawMessage `json:"error"`
	Steps     []stepObject    `json:"steps"`
	Usage     usageObject     `json:"usage"`
	Cost      usage.Nano      `json:"cost_usd"` // with the runs that this one resumed
	Resumable bool            `json:"resumable"`
	Note      string          `json:"note,omitempty"` // why it is not
	Created   stamp           `json:"created_at"`
	Updated   stamp           `json:"updated_at"`
}

type stepObject struct {
	ID       string          `json:"id"`
	Type     chain.Type      `json:"type"`
	Status   chain.Status    `json:"status"`
	Output   json.RawMessage `json:"output"`
	Error    json.RawMessage `json:"error"`
	Items    []itemError     `json:"item_errors,omitempty"`
	Attempts int             `json:"attempts"`
	Cached   int             `json:"cached,omitempty"`
	Model    string          `json:"model,omitempty"`
	Finish   string          `json:"finish_reason,omitempty"`
	Duration float64         `json:"duration_ms"`
	Usage    *usageObject    `json:"usage,omitempty"`
	Cost     usage.Nano      `json:"cost_usd"`
	Resumed  bool            `json:"resumed,omitempty"`
}

type itemError struct {
	Index  int             `json:"index"`
	Error  json.RawMessage `json:"error"`
	Output json.RawMessage `json:"output,omitempty"`
}

// usageObject counts tokens in OpenAI's words.
type usageObject struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
	Cached     int64 `json:"cached_tokens,omitempty"`
	Reasoning  int64 `json:"reasoning_tokens,omitempty"`
}

func showUsage(u llm.Usage) usageObject {
	return usageObject{u.Input, u.Output, u.Input + u.Output, u.CachedInput, u.Reasoning}
}

func showFailure(f *chain.Failure) json.RawMessage {
	if f == nil {
		return nil
	}
	return appendError(nil, f.Fault())
}

func showRun(r *chain.Run) runObject {
	o := runObject{ID: r.ID, Object: "chain.run", Chain: r.Chain, Version: r.Version, Status: r.Status, Output: r.Output, Error: showFailure(r.Error),
		Steps: []stepObject{}, Usage: showUsage(r.Usage), Cost: r.Cost, Resumable: r.Lost == "", Note: r.Lost, Created: stamp{r.Created}, Updated: stamp{r.Updated}}
	for _, s := range r.Steps {
		step := showStep(s)
		if r.Status == chain.Running && s.Status == chain.Canceled { // nothing has ended it yet
			step.Status = pending
		}
		o.Steps = append(o.Steps, step)
	}
	return o
}

// pending is what a step is in a run that goes on, until it has ended.
const pending chain.Status = "pending"

func showStep(s *chain.Result) stepObject {
	o := stepObject{ID: s.ID, Type: s.Type, Status: s.Status, Output: s.Output, Error: showFailure(s.Error), Attempts: s.Attempts, Cached: s.Cached,
		Model: s.Model, Finish: s.Finish, Duration: float64(s.Duration.Microseconds()) / 1e3, Cost: s.Cost, Resumed: s.Resumed}
	if s.Usage != (llm.Usage{}) {
		u := showUsage(s.Usage)
		o.Usage = &u
	}
	for _, e := range s.Items {
		o.Items = append(o.Items, itemError{e.Index, showFailure(e.Error), e.Output})
	}
	return o
}

// showEvent is the data of an event in a stream.
func showEvent(e chain.Event) any {
	type head struct {
		Type  string     `json:"type"`
		Run   string     `json:"run_id,omitempty"`
		Chain string     `json:"chain,omitempty"`
		Ver   int        `json:"version,omitempty"`
		Step  string     `json:"step,omitempty"`
		Kind  chain.Type `json:"step_type,omitempty"`
		Item  *int       `json:"item,omitempty"`
		Text  string     `json:"text,omitempty"`

		Error  json.RawMessage `json:"error,omitempty"`
		Result *stepObject     `json:"result,omitempty"`
		Whole  *runObject      `json:"run,omitempty"`
	}
	o := head{Type: e.Type, Step: e.Step, Kind: e.Kind, Text: e.Text, Error: showFailure(e.Error)}
	if e.Item >= 0 {
		o.Item = &e.Item
	}
	if e.Result != nil {
		s := showStep(e.Result)
		o.Result = &s
	}
	switch {
	case e.Type == "run.start":
		o.Run, o.Chain, o.Ver = e.Run.ID, e.Run.Chain, e.Run.Version
	case e.Run != nil:
		r := showRun(e.Run)
		o.Whole, o.Error = &r, r.Error
	}
	return o
}
