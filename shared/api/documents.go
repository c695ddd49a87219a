package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Limits of documents, in bytes.
const (
	maxText        = 1 << 20
	maxMetadata    = 16 << 10
	maxDocumentID  = 256
	maxLanguage    = 32
	metadataNested = 16
)

type documentBody struct {
	Collection json.RawMessage `json:"collection"`
	ID         json.RawMessage `json:"id"`
	Text       json.RawMessage `json:"text"`
	Metadata   json.RawMessage `json:"metadata"`
	Type       json.RawMessage `json:"type"`
	Language   json.RawMessage `json:"language"`
}

type documentObject struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	Collection string          `json:"collection"`
	Type       rag.Kind        `json:"type"`
	Language   string          `json:"language,omitempty"`
	Passages   int             `json:"passages"`
	Embedding  string          `json:"embedding,omitempty"`
	Text       string          `json:"text,omitempty"`
	Metadata   json.RawMessage `json:"metadata"`
	Created    stamp           `json:"created_at"`
}

// Documents serves everything under /ai/documents. What it stores and shows
// belongs to the key's user.
func (s *Server) Documents() http.Handler {
	own := func(work work) handler {
		return func(v *visit) error {
			if s.Library == nil {
				return s.owned(v, "documents", func(context.Context, *visit, *gateway.Call) error { return noLibrary() })
			}
			return s.owned(v, "documents", work)
		}
	}
	store := func(v *visit) error {
		if s.embeds() {
			return s.infer(v, "documents", s.embedDocument)
		}
		return own(s.createDocument)(v)
	}
	return s.paths(map[string]methods{
		"/ai/documents":         {"GET": takes(own(s.listDocuments), "collection", "limit", "after"), "POST": store},
		"/ai/documents/{id...}": {"GET": takes(own(s.getDocument), "collection"), "DELETE": takes(own(s.deleteDocument), "collection")},
	})
}

func noLibrary() error {
	return fault.New(fault.NotFound, "This gateway keeps no documents: QDRANT_URL is not set.")
}

func (s *Server) createDocument(ctx context.Context, v *visit, c *gateway.Call) error {
	var b documentBody
	if err := v.decode(&b); err != nil {
		return err
	}
	d, err := b.document(v.id)
	if err != nil {
		return err
	}
	return s.put(ctx, v, c, d)
}

func (s *Server) put(ctx context.Context, v *visit, c *gateway.Call, d rag.Document) error {
	d, changed, err := s.Library.Put(ctx, c.User, d)
	if err != nil {
		return err
	}
	if s.embeds() {
		writeFinalHeaders(v.Header(), c)
	}
	status := http.StatusOK
	if changed {
		status = http.StatusCreated
	}
	return v.json(status, struct {
		documentObject
		Changed bool `json:"changed"`
	}{showDocument(d, false), changed})
}

// document checks the body; id is for a document without one.
func (b *documentBody) document(id string) (d rag.Document, err error) {
	if d.Collection, err = collectionName(b.Collection); err != nil {
		return d, err
	}
	d.ID = "doc_" + id
	if !rawjson.IsNull(b.ID) {
		var ok bool
		if d.ID, ok = rawjson.String(b.ID); !ok || !validDocumentID(d.ID) {
			return d, fault.Field("id", "'id' must be a string of 1 to %d bytes, without control characters; between slashes it must not be empty, '.' or '..'.", maxDocumentID)
		}
	}
	if rawjson.IsNull(b.Text) {
		return d, fault.Missing("text")
	}
	var ok bool
	if d.Text, ok = rawjson.String(b.Text); !ok || strings.TrimSpace(d.Text) == "" {
		return d, fault.Field("text", "'text' must be a string that is not blank.")
	}
	if len(d.Text) > maxText {
		return d, &fault.Error{Kind: fault.TooLarge, Param: "text", Message: fmt.Sprintf("'text' has %d bytes; the limit is %d. Store it as several documents.", len(d.Text), maxText)}
	}
	if d.Metadata, err = readMetadata(b.Metadata, maxMetadata); err != nil {
		return d, err
	}
	if err := optional("language", b.Language, maxLanguage, &d.Language); err != nil {
		return d, err
	}
	d.Language = strings.ToLower(d.Language)
	err = b.kind(&d)
	return d, err
}

// readMetadata reads an object of up to most bytes; null is none.
func readMetadata(value []byte, most int) (json.RawMessage, error) {
	if rawjson.IsNull(value) {
		return nil, nil
	}
	if rawjson.Kind(value) != "object" || len(value) > most {
		return nil, fault.Field("metadata", "'metadata' must be an object of at most %d bytes.", most)
	}
	if _, err := rawjson.Object(nil, value, metadataNested); err != nil {
		return nil, fault.Field("metadata", "'metadata' is wrong: %v.", err)
	}
	return value, nil
}

// kind reads the type, or guesses it.
func (b *documentBody) kind(d *rag.Document) error {
	switch given, ok := rawjson.String(b.Type); {
	case !rawjson.IsNull(b.Type) && (!ok || !slices.Contains(rag.Kinds, rag.Kind(given))):
		return fault.Field("type", "'type' must be %s.", fault.Choice(rag.Kinds))
	case given != "":
		d.Kind = rag.Kind(given)
	case d.Language != "":
		d.Kind = rag.Code
	}
	kind, language, named := rag.KindByName(d.ID)
	switch {
	case d.Kind != "":
	case named:
		d.Kind = kind
	default:
		d.Kind = rag.GuessKind(d.Text)
	}
	switch {
	case d.Kind != rag.Code || d.Language != "":
	case named && kind == rag.Code:
		d.Language = language
	default:
		d.Language = rag.GuessLanguage(d.Text)
	}
	return nil
}

// collectionName reads the name of a collection.
func collectionName(value []byte) (string, error) {
	if rawjson.IsNull(value) {
		return "", fault.Missing("collection")
	}
	name, _ := rawjson.String(value)
	return name, rag.CheckCollection("collection", name)
}

// askedCollection is ?collection=; "" if there is none.
func askedCollection(v *visit) (string, error) {
	name := v.r.URL.Query().Get("collection")
	if name == "" {
		return "", nil
	}
	return name, rag.CheckCollection("collection", name)
}

// validDocumentID takes what survives being part of a URL's path, and is text.
func validDocumentID(id string) bool {
	return id != "" && len(id) <= maxDocumentID && utf8.ValidString(id) && path.Clean("/"+id) == "/"+id && !strings.ContainsFunc(id, unicode.IsControl)
}

func (s *Server) listDocuments(ctx context.Context, v *visit, c *gateway.Call) error {
	collection, err := askedCollection(v)
	if err != nil {
		return err
	}
	limit, err := pageLimit(v, pageSize, maxPage)
	if err != nil {
		return err
	}
	list, next, err := s.Library.Documents(ctx, c.User, rag.Key{Collection: collection}, after(v), limit)
	if err != nil {
		return err
	}
	data := []documentObject{}
	for _, d := range list {
		data = append(data, showDocument(d, false))
	}
	return v.list(data, next)
}

// named finds the document that the path names. A collection need be given
// only where several have such a document.
func (s *Server) named(ctx context.Context, v *visit, c *gateway.Call) (rag.Key, error) {
	k := rag.Key{ID: strings.TrimPrefix(unversioned(v.r.URL.Path), "/ai/documents/")}
	var err error
	if k.Collection, err = askedCollection(v); err != nil {
		return k, err
	}
	if !validDocumentID(k.ID) {
		return k, fault.New(fault.NotFound, "There is no such document.")
	}
	if k.Collection != "" {
		return k, nil
	}
	list, _, err := s.Library.Documents(ctx, c.User, rag.Key{ID: k.ID}, "", 2)
	switch {
	case err != nil:
		return k, err
	case len(list) == 0:
		return k, fault.New(fault.NotFound, "There is no document '%s'.", k.ID)
	case len(list) > 1:
		return k, fault.Field("collection", "More than one collection has a document '%s': add ?collection=NAME.", k.ID)
	}
	return list[0].Key, nil
}

func (s *Server) getDocument(ctx context.Context, v *visit, c *gateway.Call) error {
	k, err := s.named(ctx, v, c)
	if err != nil {
		return err
	}
	d, err := s.Library.Get(ctx, c.User, k)
	if err != nil {
		return err
	}
	return v.json(http.StatusOK, showDocument(d, true))
}

func (s *Server) deleteDocument(ctx context.Context, v *visit, c *gateway.Call) error {
	k, err := s.named(ctx, v, c)
	if err != nil {
		return err
	}
	if err := s.Library.Delete(ctx, c.User, k); err != nil {
		return err
	}
	return v.json(http.StatusOK, map[string]any{"id": k.ID, "object": "document.deleted", "collection": k.Collection, "deleted": true})
}

func showDocument(d rag.Document, text bool) documentObject {
	o := documentObject{ID: d.ID, Object: "document", Collection: d.Collection, Type: d.Kind, Language: d.Language, Passages: d.Passages,
		Embedding: d.Embedding, Metadata: metadata(d.Metadata), Created: stamp{d.Created}}
	if text {
		o.Text = d.Text
	}
	return o
}

// metadata shows none as an empty object.
func metadata(m json.RawMessage) json.RawMessage { return json.RawMessage(cmp.Or(string(m), "{}")) }
