package chain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Status is how far a run or a step is.
type Status string

// The states.
const (
	Running  Status = "running" // of runs only
	OK       Status = "ok"
	Failed   Status = "failed"
	Skipped  Status = "skipped"  // of steps only: not chosen, or failed where that was allowed
	Canceled Status = "canceled" // something else ended it first
)

// Limits of stored runs.
const (
	MaxRun = 380 << 10          // bytes of a run's JSON; more cannot be resumed
	Keep   = 7 * 24 * time.Hour // how long a run is kept after its last change
)

// Run is a chain being run, or what became of it: what the caller is told, and
// what a resumption needs. Its JSON is what stores keep.
type Run struct {
	ID      string          `json:"id"` // "run_" and what nobody can guess
	Chain   string          `json:"chain"`
	Version int             `json:"version"`
	Input   json.RawMessage `json:"input"` // all variables, defaults included
	Status  Status          `json:"status"`
	Output  json.RawMessage `json:"output,omitempty"`
	Error   *Failure        `json:"error,omitempty"`
	Steps   []*Result       `json:"steps"` // in the chain's order

	Usage llm.Usage  `json:"usage"` // of this run and those it resumed
	Cost  usage.Nano `json:"cost_usd"`

	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Until   time.Time `json:"until"`            // if it is running: when it counts as broken off, unless it is saved again
	Rev     int       `json:"rev"`              // 1 when it is first saved, and one more each time
	Trace   string    `json:"trace,omitempty"`  // the place of its first span, as Tracer.Run said; "" if there is none
	Lost    string    `json:"lost,omitempty"`   // why it cannot be resumed; "" if it can
	Memory  []Memory  `json:"memory,omitempty"` // the calls of steps with a cache
}

// Result is what became of a step.
type Result struct {
	ID       string          `json:"id"`
	Type     Type            `json:"type"`
	Status   Status          `json:"status"`
	Output   json.RawMessage `json:"output,omitempty"` // nil: none; of a prompt that failed, what there is of its answer
	Error    *Failure        `json:"error,omitempty"`  // also of a step that had a default instead
	Items    []ItemError     `json:"items,omitempty"`  // of a map: the items that failed
	Attempts int             `json:"attempts,omitempty"`
	Cached   int             `json:"cached,omitempty"` // calls that were not made because they had been
	Model    string          `json:"model,omitempty"`  // that answered
	Finish   string          `json:"finish,omitempty"` // why the answer ended, as finish_reason; "length" if that of any item of a map did
	Usage    llm.Usage       `json:"usage"`
	Cost     usage.Nano      `json:"cost_usd"`
	Duration time.Duration   `json:"duration_ns,omitempty"`
	Resumed  bool            `json:"resumed,omitempty"` // it was done in an earlier run

	value any // Output, decoded
}

// ItemError is a failure of one item of a map.
type ItemError struct {
	Index  int             `json:"index"`
	Error  *Failure        `json:"error"`
	Output json.RawMessage `json:"output,omitempty"` // what there is of its answer
}

// Failure is an error that can be stored.
type Failure struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Code    string     `json:"code,omitempty"`
	Param   string     `json:"param,omitempty"`
}

// maxMessage bounds the message of a failure, in bytes: a model's refusal may be
// an essay, and there is one for each item.
const maxMessage = 2 << 10

func failure(err error) *Failure {
	f := fault.As(err)
	return &Failure{Kind: f.Kind, Message: clip.Marked(f.Message, maxMessage), Code: f.Code, Param: f.Param}
}

// Fault is the failure as an error again.
func (f *Failure) Fault() error {
	return &fault.Error{Kind: f.Kind, Message: f.Message, Code: f.Code, Param: f.Param}
}

// Memory is a call and its answer.
type Memory struct {
	Call   string          `json:"call"` // a hash
	Output json.RawMessage `json:"output"`
	Model  string          `json:"model,omitempty"`
}

// Step returns the result of a step, or nil.
func (r *Run) Step(id string) *Result {
	for _, s := range r.Steps {
		if s.ID == id {
			return s
		}
	}
	return nil
}

var runPattern = pattern.Pattern{Expr: `^run_[A-Za-z0-9_-]{8,80}$`}

// ValidRunID says whether s can be a run's id.
func ValidRunID(s string) bool { return runPattern.Match(s) }

// Runs holds the runs of tenants, who never see each other's. It is safe for
// concurrent use by many processes (the embedded one: by one). A run is there
// until Keep after its last change. An error that is no fault.Error is a
// failure of the store.
type Runs interface {
	// Save stores r in place of the revision before r.Rev, durably. It fails with
	// fault.Conflict if another one is stored (any, if r.Rev is 1), and with
	// fault.TooLarge above MaxRun bytes of JSON.
	Save(ctx context.Context, tenant string, r *Run) error
	// Run returns a run. It fails with fault.NotFound.
	Run(ctx context.Context, tenant, id string) (*Run, error)
	// Forget deletes all runs of a tenant.
	Forget(ctx context.Context, tenant string) error
}

// MissingRun is the error for a run that is not there.
func MissingRun(id string) error {
	return fault.New(fault.NotFound, "There is no run '%.100s'. Runs are kept for %d days.", id, int(Keep.Hours())/24)
}

// TakenRun is the error for a run that changed meanwhile.
func TakenRun(id string) error {
	return fault.New(fault.Conflict, "The run '%s' was changed at the same time.", id)
}

// Encode returns the JSON of r for a store. It fails with fault.TooLarge.
func (r *Run) Encode() ([]byte, error) {
	b, err := rawjson.Marshal(r)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "Internal error.")
	}
	if len(b) > MaxRun {
		return nil, fault.New(fault.TooLarge, "The run has %d bytes with all its outputs; the limit is %d.", len(b), MaxRun)
	}
	return b, nil
}

// Event tells of a run while it goes on.
type Event struct {
	Type   string   // run.start, step.start, step.delta, step.retry, step.end, run.end
	Step   string   // of step events
	Item   int      // of a map; -1 otherwise
	Kind   Type     // of step.start
	Text   string   // of step.delta
	Error  *Failure // of step.retry: what has failed; the text so far is void
	Result *Result  // of step.end
	Run    *Run     // of run.start and run.end
}
