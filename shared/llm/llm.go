// Package llm is the gateway's vocabulary: requests, events, providers.
package llm

import (
	"context"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Provider answers chat requests.
type Provider interface {
	// Complete sends req upstream and calls emit once per event, in order, on
	// the calling goroutine. It stops and returns emit's error if emit fails.
	// If it returns an error before the first emit, the request may be retried
	// elsewhere; afterwards it must not be. A stream that ends without its
	// protocol's terminal event is an error.
	//
	// Errors are *fault.Error with Provider and Status set.
	Complete(ctx context.Context, req *Request, emit func(*Event) error) error
}

// ProviderFunc adapts a function to Provider.
type ProviderFunc func(context.Context, *Request, func(*Event) error) error

// Complete calls f.
func (f ProviderFunc) Complete(ctx context.Context, req *Request, emit func(*Event) error) error {
	return f(ctx, req, emit)
}

// Embedder turns texts into vectors.
type Embedder interface {
	// Embed answers for all inputs of req, in their order and in one call, or
	// fails as a whole. Errors are as in Provider.
	Embed(ctx context.Context, req *EmbedRequest) (*Embeddings, error)
}

// Batcher is an Embedder that knows what one call may hold. Who calls it keeps
// to that: longer requests are cut by the gateway, not by adapters.
type Batcher interface {
	Batch(model string) Batch
}

// Batch bounds calls for vectors. Zero means that no bound is known.
type Batch struct {
	Inputs int   // per call
	Tokens int64 // per call, over all its inputs
	Calls  int   // at the same time, for one request; 0 leaves it to the caller
}

// Request is one chat request on its way to a provider: the client's body
// untouched, and what everybody needs to know of it. Providers that speak
// OpenAI's protocol edit Raw; the others call Chat.
type Request struct {
	ID     string          // ours
	Model  string          // as the provider calls it
	Raw    []byte          // the client's body: valid JSON in OpenAI's chat format
	Fields []rawjson.Field // the top-level fields of Raw

	Stream       bool
	IncludeUsage bool  // the client asked for the usage chunk of a stream
	MaxTokens    int64 // bound on output tokens per choice, the client's or, where Raw has none, the gateway's own; 0 if there is none
	N            int64 // choices, at least 1
	Media        bool  // a message holds an image, a sound, a file: what is no text

	Strict  bool     // refuse what the provider cannot take, instead of dropping it
	Dropped []string // top-level fields that the provider had to leave out; it appends before its first event

	Need Need
}

// Need says which parsed fields of an Event must be filled even if the
// provider could do with relaying Raw. Usage and Finish always are.
type Need uint8

const (
	// NeedText asks for Text, Reasoning and Tools.
	NeedText Need = 1 << iota
)

// Event is one step of an answer.
//
// A streamed answer is any number of events; one that is not streamed may be a
// single event whose Raw is the whole JSON object, or parsed fields throughout.
type Event struct {
	// Raw is the upstream's JSON when it speaks OpenAI's chat protocol: a chunk
	// of a stream or the whole answer. It is valid until emit returns. If nil,
	// the fields below are the event.
	Raw []byte
	// More says that the upstream's next event has arrived already, so that a
	// writer may put off its flush.
	More bool

	ID        string // the upstream's id of the answer; on the first event that knows it
	Model     string // the model that answered, in the upstream's words; likewise
	Index     int    // the choice that this event belongs to
	Text      string
	Reasoning string      // visible thinking
	Thinking  *Thinking   // a finished block of thinking, to be sent back in the next turn
	Refusal   string      //
	Tools     []ToolDelta //
	Finish    string      // OpenAI's finish_reason: stop, length, tool_calls, content_filter, …

	// Notice says why the gateway itself ended the answer: "budget_exceeded".
	Notice string

	// Usage is final when set. UsageOnly says that the event holds nothing else
	// (OpenAI's last chunk, which only clients that asked for it get to see).
	Usage     *Usage
	UsageOnly bool
	// SoFar is what the provider has counted until now, if it counts before the
	// end: it holds for an answer that is cut short. It is not changed later.
	SoFar *Usage
	// Bytes is the length of the generated text in Raw, whether the fields repeat
	// it or not; without Raw it is 0. Who counts asks Generated.
	Bytes int
	// Repeats says that an earlier event's Raw, and its Bytes, hold this one: a
	// further choice of an answer that came whole, for those who need its text.
	Repeats bool
}

// Generated is how many bytes the model wrote that no event has held before:
// text, reasoning, refusals, the names and arguments of calls. It is what is
// paid for where the upstream reports no usage, and it is the same whatever the
// request's Need.
func (e *Event) Generated() int64 {
	switch {
	case e.Raw != nil:
		return int64(e.Bytes)
	case e.Repeats:
		return 0
	}
	n := len(e.Text) + len(e.Reasoning) + len(e.Refusal)
	for i := range e.Tools {
		n += len(e.Tools[i].Name) + len(e.Tools[i].Arguments)
	}
	return int64(n)
}

// ToolDelta is a piece of a tool call. ID and Name come once, first.
type ToolDelta struct {
	Index     int // of the call among the choice's calls
	ID, Name  string
	Arguments string // a fragment of JSON text
	Signature string // opaque; must come back with the call in the next turn (Gemini)
}

// Thinking is a block of reasoning that a provider wants back unchanged.
type Thinking struct {
	Text, Signature string
	Redacted        string // encrypted; then Text and Signature are empty
}

// Usage counts tokens as providers bill them.
type Usage struct {
	Input        int64 // all of the prompt, including the next three
	CachedInput  int64 // read from the provider's prompt cache
	CacheWrite   int64 // written to it, for five minutes or the provider's default
	CacheWrite1h int64 // written to it for an hour
	Output       int64 // all that was generated, including the next one
	Reasoning    int64 // thinking, visible or not
}

// Add adds what another answer took.
func (u *Usage) Add(v Usage) {
	u.Input += v.Input
	u.CachedInput += v.CachedInput
	u.CacheWrite += v.CacheWrite
	u.CacheWrite1h += v.CacheWrite1h
	u.Output += v.Output
	u.Reasoning += v.Reasoning
}

// Drop compares the request's top-level fields with those the provider can
// take. What it cannot take is noted in Dropped, or refused if Strict. Fields
// that ask for nothing (null, false, n = 1, empty lists) do not count.
func (r *Request) Drop(provider string, supported ...string) error {
	before := r.Dropped // no two fields have one name
	for _, f := range r.Fields {
		if slices.Contains(supported, f.Name) || f.Name == "gateway" || asksForNothing(f) || slices.Contains(before, f.Name) {
			continue
		}
		if r.Strict {
			return &fault.Error{Kind: fault.Invalid, Param: f.Name, Code: "unsupported_parameter",
				Message: "Provider " + provider + " cannot take '" + f.Name + "', and gateway.strict forbids dropping it."}
		}
		r.Dropped = append(r.Dropped, f.Name)
	}
	return nil
}

func asksForNothing(f rawjson.Field) bool {
	switch string(f.Value) {
	case "null", "{}", "[]", `""`:
		return true
	case "false":
		return f.Name != "parallel_tool_calls" // whose default is true
	case "true":
		return f.Name == "parallel_tool_calls"
	case "1":
		return f.Name == "n"
	case "0":
		return f.Name == "presence_penalty" || f.Name == "frequency_penalty"
	}
	return false
}

// EmbedRequest asks for vectors. Inputs holds texts, or Tokens token ids;
// never both.
type EmbedRequest struct {
	ID         string
	Model      string
	Raw        []byte // the client's body, in OpenAI's embeddings format
	Fields     []rawjson.Field
	Inputs     []string
	Tokens     [][]int64
	Empty      []int // places of inputs in which there is nothing
	Dimensions int64 // 0 means the model's own
	Base64     bool  // the client wants encoding_format base64

	Strict  bool
	Dropped []string // as in Request
}

// Drop is Request.Drop for embeddings.
func (r *EmbedRequest) Drop(provider string, supported ...string) error {
	q := Request{Fields: r.Fields, Strict: r.Strict, Dropped: r.Dropped}
	err := q.Drop(provider, supported...)
	r.Dropped = q.Dropped
	return err
}

// Embeddings is the answer to an EmbedRequest.
type Embeddings struct {
	Raw     []byte      // the upstream's JSON, proved valid, when it speaks OpenAI's protocol; then Vectors is nil
	Model   string      // in the upstream's words
	Vectors [][]float32 // one per input
	Usage   *Usage      // nil if the upstream did not say

	// Failed says, per input, why it has no vector; nil where it has one. Adapters
	// leave it nil: they fail as a whole.
	Failed []error
}
