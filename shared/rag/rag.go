// Package rag finds the passages of documents that answer a question: it cuts
// documents up along their structure, turns passages and questions into terms,
// and ranks.
package rag

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/pattern"
)

// Passage is a piece of a document, found and shown as a whole.
type Passage struct {
	Text    string
	Context string // what is above it and helps to find it: headings, a signature, the language
	Lead    int    // the length of the title that Text begins with; 0 for none
	Code    bool   // definitions in it have names
}

// Heading is what the passage stands under and does not say itself, in one line:
// headings, outermost first, or the first line of the definition that it
// continues; "" for nothing. language is that of the document.
func (p Passage) Heading(language string) string {
	context := p.Context
	if p.Code {
		context = strings.TrimPrefix(context, language)
	}
	return strings.Join(strings.FieldsFunc(context, func(r rune) bool { return r == '\n' }), " > ")
}

// Key names a document of a tenant.
type Key struct{ Collection, ID string }

// Document is a text as it was given, and what is known about it.
type Document struct {
	Key
	Kind     Kind
	Language string
	Text     string
	Metadata json.RawMessage // an object; nil for none
	Passages int             // set by the library
	Created  time.Time

	// Embedding is the public name of the model whose vectors the passages have,
	// or are to have, if Embed is not nil; "" for none.
	Embedding string
	// Embed makes vectors, for Put alone, which calls it when it knows that there
	// is something to store. Nil: none.
	Embed Embedder
}

// MaxPassages is how many passages a document may have. One of prose has a
// thousand per MiB; a hundred times as many headings are no document, and would
// all be paid for where they get vectors.
const MaxPassages = 10_000

// Split cuts d up as the function Split does, and counts its passages. It fails
// with fault.Invalid if there are none, as nothing would ever find d, and with
// fault.TooLarge if there are more than MaxPassages.
func (d *Document) Split() ([]Passage, error) {
	passages := Split(d.Kind, d.Language, d.Text)
	d.Passages = len(passages)
	switch {
	case len(passages) > MaxPassages:
		return nil, &fault.Error{Kind: fault.TooLarge, Param: "text", Message: fmt.Sprintf("'text' has %d sections or other passages; the limit is %d. Store it as several documents.", len(passages), MaxPassages)}
	case len(passages) > 0:
		return passages, nil
	case d.Kind == HTML:
		return nil, fault.Field("text", "'text' is a page on which nothing can be read: it has tags, scripts or what is hidden, and no text.")
	}
	return nil, fault.Field("text", "'text' must not be blank.")
}

// Embedder returns one vector per text, all of the same length.
type Embedder func(ctx context.Context, texts []string) ([][]float32, error)

// Query is a question to one collection.
type Query struct {
	Collection string
	Text       string
	Limit      int    // hits at most
	PerDoc     int    // hits of one document at most; 0 for no limit
	Filter     Filter // on metadata; nil takes all

	// Embedding is the public name of the model that Embed asks for the vector of
	// Text. Search alone calls it, once, if the collection has vectors of that
	// model. Where it is nil or returns nil, words alone count.
	Embedding string
	Embed     Embedder `json:"-"`
}

// Hit is a passage that was found.
type Hit struct {
	Key
	Passage  int // its number within the document, from 0
	Text     string
	Heading  string  // as Passage.Heading
	Score    float64 // higher is better; comparable within one answer only
	Metadata json.RawMessage
}

// Library holds the documents of tenants, who never see each other's: a
// document is found under its tenant or not at all. It is safe for concurrent
// use. An error that is no fault.Error is a failure of the library.
//
// All passages of a collection have vectors of one model, or none has any: the
// first document decides that, until the collection is empty again.
type Library interface {
	// Put stores d and makes its passages searchable before it returns,
	// replacing the document with the same key, whole or not at all. It returns
	// the document with Passages set, and whether anything changed: the same
	// content again changes nothing, not even Created, and costs no embeddings,
	// unless it was stored by a gateway that read such documents otherwise. A
	// collection without vectors takes none. Put fails as Document.Split; with
	// fault.Conflict if the collection has vectors of another model than d.Embedding
	// or of another length, or d has none; with fault.Upstream if those that Embed
	// returns cannot be used; and with what Embed returns.
	Put(ctx context.Context, tenant string, d Document) (_ Document, changed bool, _ error)
	// Documents lists up to limit documents in an order of the library's own,
	// without their texts; an empty Collection means all, an ID only those with
	// it. next, given as after, continues the listing; "" means that this was
	// the end.
	Documents(ctx context.Context, tenant string, of Key, after string, limit int) (_ []Document, next string, _ error)
	// Get returns a document with its text. It fails with fault.NotFound.
	Get(ctx context.Context, tenant string, k Key) (Document, error)
	// Delete removes a document, and its text from wherever the library had it.
	// It fails with fault.NotFound.
	Delete(ctx context.Context, tenant string, k Key) error
}

// Missing is the error for a document that is not there.
func Missing(k Key) error {
	return fault.New(fault.NotFound, "There is no document '%s' in the collection '%s'.", k.ID, k.Collection)
}

// maxCollection bounds the name of a collection, in bytes.
const maxCollection = 64

var collectionPattern = pattern.Pattern{Expr: `^[A-Za-z0-9][A-Za-z0-9._-]*$`}

// CheckCollection says whether name can be that of a collection. An error is
// fault.Invalid and about param.
func CheckCollection(param, name string) error {
	if len(name) > maxCollection || !collectionPattern.Match(name) {
		return fault.Field(param, "'%s' must be 1 to %d letters, digits, '.', '_' or '-', and begin with a letter or digit.", param, maxCollection)
	}
	return nil
}

// Searcher finds passages.
type Searcher interface {
	// Search returns the best hits, best first: by the ranks that words and
	// vectors give them, or by words alone, if the query or the collection has no
	// vectors. A collection without documents has no hits. It fails with
	// fault.Conflict for vectors of another model or length than the collection's,
	// with fault.Upstream for one that cannot be used, and with what q.Embed returns.
	Search(ctx context.Context, tenant string, q Query) ([]Hit, error)
}

// Finder is a library as those see it who only search.
type Finder interface {
	Searcher
	Documents(ctx context.Context, tenant string, of Key, after string, limit int) (_ []Document, next string, _ error)
}

// Find searches as f does, and tells a collection that is not there from a
// question that nothing answers: it fails with fault.NotFound, code
// collection_not_found, if the collection has no documents.
func Find(ctx context.Context, f Finder, tenant string, q Query) ([]Hit, error) {
	hits, err := f.Search(ctx, tenant, q)
	if err != nil || len(hits) > 0 {
		return hits, err
	}
	list, _, err := f.Documents(ctx, tenant, Key{Collection: q.Collection}, "", 1)
	if err == nil && len(list) == 0 {
		err = &fault.Error{Kind: fault.NotFound, Param: "collection", Code: "collection_not_found", Message: "There is no collection '" + q.Collection + "': it has no documents."}
	}
	return nil, err
}
