package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/rag"
)

const (
	// embedBatch is how many passages are sent to a provider at once: what the
	// one that takes the fewest takes.
	embedBatch = 96
	// embedParallel is how many such calls of one request are under way at once.
	embedParallel = 4
)

// embeds says whether documents and searches have vectors.
func (s *Server) embeds() bool {
	return s.Gateway != nil && s.Gateway.Embedding != "" && s.Library != nil && s.Passages != nil
}

// embedDocument stores a document whose passages have vectors, which are on the
// request's bill. All of them are reserved for before the first is made.
func (s *Server) embedDocument(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	var b documentBody
	var d rag.Document
	err := v.query()
	if err == nil {
		err = decodeObject("", body, &b)
	}
	if err == nil {
		d, err = b.document(v.id)
	}
	if err != nil {
		return s.Gateway.Refuse(ctx, c, err)
	}
	d.Embedding = s.Gateway.Embedding
	session, err := s.open(ctx, c, d.Text)
	if err != nil {
		return err
	}
	d.Embed = func(ctx context.Context, texts []string) ([][]float32, error) {
		list, err := s.vectors(ctx, c, session, texts)
		return list, aboutText(err)
	}
	return s.told(ctx, v.id, "documents", s.put(ctx, v, c, d))
}

// aboutText tells of a passage that the embedding model refused: the client
// knows the document's text, and no input of ours.
func aboutText(err error) error {
	f := fault.As(err)
	if f == nil || !strings.HasPrefix(f.Param, "input") {
		return err
	}
	told := *f
	told.Param, told.Message = "text", "The embedding model refused a passage of 'text': "+f.Message
	return &told
}

// open admits a request that will have vectors of a text. What was asked for is
// the model, unless the request says otherwise.
func (s *Server) open(ctx context.Context, c *gateway.Call, text string) (*gateway.Session, error) {
	model := s.Gateway.Embedding
	w, err := s.Gateway.PrepareVectors(ctx, c, model, []string{text})
	if err != nil { // the client did not choose the model
		return nil, s.Gateway.Refuse(ctx, c, fault.Wrap(fault.Unavailable, err, "The embedding model '"+model+"' cannot be used right now: GATEWAY_EMBEDDING_MODEL names it."))
	}
	c.Record.Asked = cmp.Or(c.Record.Asked, model)
	return s.Gateway.Open(ctx, c, w)
}

// openSearch admits a request that searches by what a text means, or, if the key
// may not use the model for that, by words alone: then there is no session.
func (s *Server) openSearch(ctx context.Context, c *gateway.Call, text string) (*gateway.Session, error) {
	session, err := s.open(ctx, c, text)
	if errors.Is(err, fault.Forbidden) && fault.As(err).Code == "model_not_allowed" {
		c.Record.Skipped = append(c.Record.Skipped, "rag.embedding")
		return nil, s.Gateway.Touch(ctx, c, "inference")
	}
	return session, err
}

// find searches in a session, or without one.
func (s *Server) find(ctx context.Context, c *gateway.Call, session *gateway.Session, q rag.Query) ([]rag.Hit, error) {
	if session == nil {
		return s.Gateway.Find(ctx, c.User, q)
	}
	return session.Find(ctx, q)
}

// vectors makes those of texts, in batches.
func (s *Server) vectors(ctx context.Context, c *gateway.Call, session *gateway.Session, texts []string) ([][]float32, error) {
	list := make([][]float32, len(texts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(embedParallel)
	at := 0
	for batch := range slices.Chunk(texts, embedBatch) {
		into := list[at:]
		at += len(batch)
		group.Go(func() error {
			w, err := s.Gateway.PrepareVectors(ctx, c, s.Gateway.Embedding, batch)
			if err != nil {
				return err
			}
			got, err := session.Vectors(ctx, w)
			copy(into, got)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return list, nil
}

// searchByMeaning finds passages by their words and by vectors, or by words
// alone if the key may not use the model that makes them.
func (s *Server) searchByMeaning(ctx context.Context, v *visit, c *gateway.Call, body []byte) error {
	var q rag.Query
	err := v.query()
	if err == nil {
		q, err = s.question(body)
	}
	if err != nil {
		return s.Gateway.Refuse(ctx, c, err)
	}
	var hits []rag.Hit
	session, err := s.openSearch(ctx, c, q.Text)
	if err == nil {
		hits, err = s.find(ctx, c, session, q)
	}
	if err != nil {
		return s.told(ctx, v.id, "search", err)
	}
	writeFinalHeaders(v.Header(), c)
	return v.list(showHits(hits), "")
}
