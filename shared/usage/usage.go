// Package usage defines money and the one record that every admitted request
// leaves behind: ledger entry, log line and source of all reports.
package usage

import (
	"time"

	"github.com/devmentor/ai-gateway/shared/llm"
)

// Record is what happened in one request. It is made at the door, filled by
// whoever knows, and written once. It holds no prompt, no answer and no secret.
type Record struct {
	ID      string    `json:"id"`   // the request id; also the lease's
	Time    time.Time `json:"time"` // of admission; decides the budget period
	User    string    `json:"user"`
	Key     string    `json:"key"` // the key's id (part of a hash of it)
	Project string    `json:"project,omitempty"`
	Tags    []string  `json:"tags,omitempty"`

	ClientID  string `json:"client_request_id,omitempty"` // the caller's own id for the request
	Operation string `json:"operation"`                   // chat, embeddings, …
	Stream    bool   `json:"stream,omitempty"`
	Asked     string `json:"model_asked"`          // the model that the client named
	Provider  string `json:"provider,omitempty"`   // who answered
	Model     string `json:"model,omitempty"`      // with what, in the catalogue's words
	WritesOff string `json:"writes_off,omitempty"` // the record whose cost this one takes back
	Template  string `json:"template,omitempty"`   // what made the prompt, as "name@3"; of a chain all that it uses, with spaces between them

	Status    int    `json:"status"`              // the HTTP status that the client got; 499 if it left
	Error     string `json:"error,omitempty"`     // the kind of a failure, from package fault
	Finish    string `json:"finish,omitempty"`    // OpenAI's finish_reason of the first choice
	Attempts  int    `json:"attempts,omitempty"`  // upstream calls made
	Rotations int    `json:"rotations,omitempty"` // of which with another credential

	InputTokens      int64 `json:"input_tokens"`
	CachedTokens     int64 `json:"cached_tokens,omitempty"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
	OutputTokens     int64 `json:"output_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens,omitempty"`

	// Cost is the sum of what all attempts cost; the tokens above are those of
	// the answer that the client got.
	Cost     Nano `json:"cost_usd"`
	Reserved Nano `json:"reserved_usd"`

	Estimated bool `json:"estimated,omitempty"` // the upstream gave no usage; tokens were counted here
	Unpriced  bool `json:"unpriced,omitempty"`  // no price is known; Cost is 0
	Unsettled bool `json:"unsettled,omitempty"` // written by a sweep: the request never came to its end
	Partial   bool `json:"partial,omitempty"`   // the answer was cut short
	FailOpen  bool `json:"fail_open,omitempty"` // admitted although the store was down

	TTFT     time.Duration `json:"ttft_ns,omitempty"`     // from arrival to the first event
	Duration time.Duration `json:"duration_ns,omitempty"` // from arrival to settlement
	Overhead time.Duration `json:"overhead_ns,omitempty"` // of which ours, before and after the upstream

	Skipped []string `json:"skipped,omitempty"` // optional stages that failed and were left out

	// Tried accounts for every call to a provider, if there was more than one, in
	// the order in which they began: Try makes it. The sum of its costs is Cost.
	Tried []Attempt `json:"tried,omitempty"`
}

// Bounds of Record.Tried. A chain may make a hundred thousand calls; a record
// must fit into 400 KB, and into a line of a log.
const (
	TriedSingly = 32 // calls that have entries of their own
	MaxTried    = 96 // entries in all
)

// Attempt is one call to a provider on behalf of a request, or several that
// ended alike.
type Attempt struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Calls    int    `json:"calls,omitempty"` // how many, if there are several
	// Status is the provider's HTTP status, 0 if it gave none, or 499 if the call
	// was cancelled because another one was faster or the client left.
	Status       int    `json:"status"`
	Error        string `json:"error,omitempty"` // the kind of a failure, from package fault
	InputTokens  int64  `json:"input_tokens,omitempty"`
	OutputTokens int64  `json:"output_tokens,omitempty"`
	Cost         Nano   `json:"cost_usd"`
}

// Try enters a call in Tried. The first TriedSingly calls have an entry each;
// those after them share one with the calls of the same provider and model that
// ended alike, whose tokens and costs are added up. Calls that would make more
// than MaxTried entries share the last one, which names no provider.
func (r *Record) Try(a Attempt) {
	if len(r.Tried) < TriedSingly {
		r.Tried = append(r.Tried, a)
		return
	}
	for i := TriedSingly; i < len(r.Tried); i++ {
		if r.Tried[i].like(a) {
			r.Tried[i].add(a)
			return
		}
	}
	if len(r.Tried) == MaxTried-1 {
		a.Provider, a.Model, a.Status, a.Error = "", "", 0, ""
	}
	if len(r.Tried) < MaxTried {
		r.Tried = append(r.Tried, a)
		return
	}
	r.Tried[MaxTried-1].add(a)
}

// like says whether the calls of a and b went to the same place and ended alike.
func (a *Attempt) like(b Attempt) bool {
	return a.Provider == b.Provider && a.Model == b.Model && a.Status == b.Status && a.Error == b.Error
}

func (a *Attempt) add(b Attempt) {
	a.Calls = max(1, a.Calls) + max(1, b.Calls)
	a.InputTokens += b.InputTokens
	a.OutputTokens += b.OutputTokens
	a.Cost += b.Cost
}

// Count takes over what the provider billed.
func (r *Record) Count(u llm.Usage) {
	r.InputTokens, r.OutputTokens = u.Input, u.Output
	r.CachedTokens, r.CacheWriteTokens, r.ReasoningTokens = u.CachedInput, u.CacheWrite+u.CacheWrite1h, u.Reasoning
}
