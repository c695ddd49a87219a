// Package chain runs several model calls as one: a chain is a graph of steps
// (prompts, retrieval, code, selections, conditions, maps) whose data flow is
// known, and proved, when the chain is saved.
//
// Data is JSON. Texts are templates over it ({{.input.topic}},
// {{.steps.draft.output}}; in a map .item and .index), selections are JSONPath
// (RFC 9535) over the same ($.input.topic, $.steps.draft.output.title).
package chain

import (
	"encoding/json"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Limits.
const (
	MaxSteps    = 64
	MaxItems    = 1000 // of a map
	maxInputs   = 64   // variables
	MaxText     = 64 << 10
	maxParallel = 16 // items of a map at a time
	maxAttempts = 5
	MaxTimeout  = 900 * time.Second

	maxID       = 64
	maxOutput   = 4 << 20 // bytes of JSON that one step may hand on
	maxOutputs  = 16 << 20
	maxProblems = 50
)

// Chain is a chain that was checked.
type Chain struct {
	Name        string
	Description string
	Input       []Variable
	Steps       []*Step
	Budget      usage.Nano    // of a run, with all its resumptions; 0: none of its own
	Timeout     time.Duration // of a run; never 0
	Labels      []string      // that the version is to get when it is saved

	output *selection // nil: the output of the last step that ran
	index  map[string]int
	order  []int // steps, each after those it depends on
}

// Variable is an input of a chain.
type Variable struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"` // see varTypes
	Description string          `json:"description,omitempty"`
	Required    bool            `json:"required,omitempty"`
	Default     json.RawMessage `json:"default,omitempty"`
}

// Type is what a step does.
type Type string

// The types.
const (
	Prompt    Type = "prompt"    // ask a model; the answer's text, or JSON
	Retrieve  Type = "retrieve"  // search a collection; a list of passages
	Code      Type = "code"      // ask a model for files; {files, explanation}
	Transform Type = "transform" // select from the data
	Condition Type = "condition" // choose which steps run; true or false
	Map       Type = "map"       // one step for each item of a list; a list
)

var types = []Type{Prompt, Retrieve, Code, Transform, Condition, Map}

// Step is a node of the graph. Which fields count is a matter of its type.
type Step struct {
	ID   string
	Type Type

	Model      string // prompt, code
	Template   *TemplateRef
	Parameters json.RawMessage // of the model call: an object, or nil
	JSON       bool            // the answer is JSON
	Collection string          // retrieve
	Top        int
	Parallel   int   // map
	Do         *Step // what the map does for each item
	Then, Else []string

	Cache   bool // equal calls of a run, and of its resumptions, are made once
	Retry   Retry
	Budget  usage.Nano    // of all calls of the step; 0: none of its own
	Timeout time.Duration // of all attempts of the step together; 0: the run's
	OnError OnError

	system, user, query *text
	language            string // code
	framework           string
	raw                 bool // files stay as the model wrote them
	filter              rag.Filter
	sel                 *selection
	def                 json.RawMessage // of a transform that selects nothing; nil: none
	test                *test
	over                *path
	needs               []string // as declared
	uses                []use    // what texts and selections refer to, Do's included
	deps                []int    // steps that must be over before, each once, governor included
	governor            int      // the condition that decides whether it runs; -1: none
	shape               *shape   // of the output, as far as it is known
	at                  string   // its place in the body: "steps[2]"
	schema              json.RawMessage
}

// calls says whether s asks a model, which costs something.
func (s *Step) calls() bool { return s.Type == Prompt || s.Type == Code }

// TemplateRef names a stored prompt template and what fills it.
type TemplateRef struct {
	Name    string
	Version recipe.Ref

	variables []binding
}

// binding is a value for a variable: a text, a selection or a constant.
type binding struct {
	name  string
	text  *text
	path  *path
	kind  string // of what path selects, as far as it is known
	value json.RawMessage
}

// Retry says how often a failed step is tried again.
type Retry struct {
	Attempts int           // at most, with the first; at least 1
	On       []fault.Kind  // failures worth another attempt
	Backoff  time.Duration // before the second attempt; doubled for each one after
}

// retryable are the failures that may pass by themselves.
var retryable = []fault.Kind{fault.RateLimited, fault.Upstream, fault.Unavailable, fault.Timeout}

// OnError says what a failed step means for the run.
type OnError struct {
	Skip    bool            // the step counts as skipped
	Default json.RawMessage // the step's output instead; nil: none
}

// fails says whether the run ends with the step.
func (o OnError) fails() bool { return !o.Skip && o.Default == nil }

// Step returns the step with an id, or nil.
func (c *Chain) Step(id string) *Step {
	if i, ok := c.index[id]; ok {
		return c.Steps[i]
	}
	return nil
}

// Templates lists the steps that use stored templates.
func (c *Chain) Templates() (list []Use) {
	for _, u := range c.Models() {
		if u.Template != nil {
			list = append(list, u)
		}
	}
	return list
}

// Models lists the steps that ask something of the world: a model, a template's
// model if they name none, or the documents.
func (c *Chain) Models() (list []Use) {
	for _, s := range c.Steps {
		for ; s != nil; s = s.Do {
			if s.Type == Prompt || s.Type == Code || s.Type == Retrieve {
				list = append(list, Use{At: s.at, Step: s})
			}
		}
	}
	return list
}

// Use is a step and its place in the chain's body: "steps[2].do".
type Use struct {
	At string
	*Step
}
