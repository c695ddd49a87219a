// Package prompt puts the messages of a request together from their parts,
// within token budgets, and says what became of every part.
package prompt

import (
	"encoding/json"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Strategy says what becomes of a prompt that is too long for the model.
type Strategy string

// The strategies.
const (
	Error     Strategy = "error"     // it is refused
	Truncate  Strategy = "truncate"  // the turns that matter least are left out
	Summarize Strategy = "summarize" // … and a summary stands in for them
)

// Known says whether s is one of them.
func (s Strategy) Known() bool { return s == Error || s == Truncate || s == Summarize }

// Parts is what a prompt is made of, in the order in which it is sent: what is
// the same from request to request comes first, so that the provider's prompt
// cache knows it. Messages are in OpenAI's format and stay as they are.
type Parts struct {
	System   []json.RawMessage              // system and developer messages
	Project  string                         // what is known of the project that the request belongs to
	Examples []json.RawMessage              // turns that show what is wanted
	Memory   [][]json.RawMessage            // earlier turns, oldest first; a question with its answer is kept or dropped whole, with those whose calls it answers
	MemoryID func(turn, message int) string // names a message of Memory in the account; nil: nobody needs to know
	Older    int                            // turns before those, which nobody has read: they are dropped
	Passages []Passage                      // found for the newest user message, best first
	Own      []json.RawMessage              // the request's own messages
	OwnAt    []int                          // where they stand in the request, -1 for those of a template; nil: as here
	// Media counts what of a message's parts is no text; nil: nothing does.
	Media func(part []byte) int64
	Cite  bool // ask for citations of passages
}

// Passage is a piece of a document. Whoever wrote the document may be nobody
// the user trusts.
type Passage struct {
	Source  string // what to call the document
	Heading string // what it stands under there; "" if unknown
	Text    string
}

// Budget bounds parts, in tokens. Of Project, Memory and Passages, 0 leaves
// everything out.
type Budget struct {
	Project, Memory, Passages int64

	Quoted   int64 // passages and project together, in this order; 0: as much as each may have
	Examples int64 // 0: as many as there are
	// Total bounds the whole prompt: passages, project and memory, in this order,
	// get what the rest leaves of it. 0: there is no bound.
	Total int64
}

// Count counts the tokens of a text, or nearly.
type Count func(text string) int64

// perMessage is what the chat format adds to a message.
const perMessage = 4

// measure counts messages.
type measure struct {
	text  Count
	media func(part []byte) int64
}

// message counts a message: its strings, roughly, as they are in JSON.
func (c measure) message(m json.RawMessage) int64 {
	n := int64(perMessage)
	for _, f := range rawjson.Fields(nil, m) {
		if text, ok := rawjson.String(f.Value); ok {
			if f.Name != "role" {
				n += c.text(text)
			}
		} else if f.Name == "content" && rawjson.Kind(f.Value) == "array" {
			n += c.parts(f.Value)
		} else if !rawjson.IsNull(f.Value) {
			n += c.text(string(f.Value))
		}
	}
	return n
}

func (c measure) parts(content []byte) (n int64) {
	rawjson.Elements(content, func(_ int, part []byte) error {
		if text, ok := rawjson.String(rawjson.Get(rawjson.Fields(nil, part), "text")); ok {
			n += c.text(text)
		} else if c.media != nil {
			n += c.media(part)
		}
		return nil
	})
	return n
}

func (c measure) messages(list []json.RawMessage) (n int64) {
	for _, m := range list {
		n += c.message(m)
	}
	return n
}

// Join writes messages as one array.
func Join(messages []json.RawMessage) []byte {
	size := 2
	for _, m := range messages {
		size += len(m) + 1
	}
	dst := append(make([]byte, 0, size), '[')
	for i, m := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m...)
	}
	return append(dst, ']')
}
