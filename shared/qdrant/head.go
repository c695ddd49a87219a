package qdrant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/requestid"
)

// The states of points among the documents.
const (
	stateLive = "live" // a document
	stateBare = "bare" // a document without passages, which older gateways took
	stateRest = "rest" // not a document: its passages are still to be deleted, or not yet to be seen
	stateKind = "kind" // not about a document, but about a collection
)

// abandoned is how old a generation is that nobody will complete any more: far
// older than a function lives.
const abandoned = time.Hour

// head is the point of a document. It is replaced as a whole, and only by who
// knows its revision.
type head struct {
	rag.Document
	tenant, sum string
	rev         string
	gen         string   // the generation that counts; "" if there is no document
	pending     []string // generations that are being written
	dead        []string // generations whose passages are still to be deleted
}

// newGeneration names passages by their time and the length of their vectors.
func newGeneration(dimensions int) string {
	return requestid.New(time.Now()) + "-" + strconv.Itoa(dimensions)
}

// generation reads such a name.
func generation(name string) (made time.Time, dimensions int) {
	id, n, _ := strings.Cut(name, "-")
	made, _ = requestid.Time(id)
	dimensions, _ = strconv.Atoi(n)
	return made, dimensions
}

func headID(tenant string, k rag.Key) *qdrant.PointId {
	return pointID("document", tenant, k.Collection, k.ID)
}

func kindID(tenant, collection string) *qdrant.PointId { return pointID("kind", tenant, collection) }

// state says what the head is.
func (h *head) state() string {
	switch {
	case h.gen == "":
		return stateRest
	case h.Passages == 0:
		return stateBare
	}
	return stateLive
}

// document is what the library shows, without the text.
func (h *head) document() rag.Document {
	d := h.Document
	d.Text = ""
	return d
}

// change is a copy to be changed.
func (h *head) change() *head {
	next := *h
	next.rev = requestid.New(time.Now())
	next.pending, next.dead = slices.Clone(h.pending), slices.Clone(h.dead)
	return &next
}

// without is the head of a document that is deleted: nothing of it but what has
// to be cleaned up.
func (h *head) without() *head {
	next := h.change()
	next.Document = rag.Document{Key: h.Key}
	next.sum, next.gen = "", ""
	next.dead = append(next.dead, h.gen)
	return next
}

// rests are the generations to be deleted: those that are dead, and those that
// must be.
func (h *head) rests(abandoned time.Duration) []string {
	list := slices.Clone(h.dead)
	for _, gen := range h.pending {
		if made, _ := generation(gen); time.Since(made) >= abandoned {
			list = append(list, gen)
		}
	}
	return list
}

func (h *head) payload() map[string]*qdrant.Value {
	p := map[string]*qdrant.Value{
		"tenant": qdrant.NewValueString(h.tenant), "collection": qdrant.NewValueString(h.Collection), "id": qdrant.NewValueString(h.ID),
		"state": qdrant.NewValueString(h.state()), "rev": qdrant.NewValueString(h.rev),
		"gen": qdrant.NewValueString(h.gen), "pending": list(h.pending), "dead": list(h.dead),
	}
	if all := slices.Concat(h.pending, h.dead); len(all) > 0 {
		oldest, _ := generation(slices.Min(all))
		p["since"] = qdrant.NewValueInt(oldest.Unix())
	}
	if h.gen != "" {
		p["kind"], p["language"], p["text"] = qdrant.NewValueString(string(h.Kind)), qdrant.NewValueString(h.Language), qdrant.NewValueString(h.Text)
		p["metadata"], p["sum"] = qdrant.NewValueString(string(h.Metadata)), qdrant.NewValueString(h.sum)
		p["created"] = qdrant.NewValueString(h.Created.Format(time.RFC3339Nano))
		p["passages"], p["embedding"] = qdrant.NewValueInt(int64(h.Passages)), qdrant.NewValueString(h.Embedding)
	}
	return p
}

func parseHead(p map[string]*qdrant.Value) (*head, error) {
	h := &head{tenant: text(p, "tenant"), sum: text(p, "sum"), rev: text(p, "rev"), gen: text(p, "gen"), pending: texts(p, "pending"), dead: texts(p, "dead")}
	h.Document = rag.Document{Key: rag.Key{Collection: text(p, "collection"), ID: text(p, "id")}, Kind: rag.Kind(text(p, "kind")), Language: text(p, "language"),
		Text: text(p, "text"), Metadata: raw(text(p, "metadata")), Passages: int(p["passages"].GetIntegerValue()), Embedding: text(p, "embedding")}
	if h.gen == "" {
		return h, nil
	}
	var err error
	if h.Created, err = time.Parse(time.RFC3339Nano, text(p, "created")); err != nil {
		return nil, fmt.Errorf("qdrant: document %q: %w", h.ID, err)
	}
	return h, nil
}

// kind is what the passages of a collection have in common: the model and the
// length of their vectors, "" and 0 if they have none.
type kind struct {
	rev        string
	embedding  string
	dimensions int
}

func (k *kind) payload(tenant, collection string) map[string]*qdrant.Value {
	return map[string]*qdrant.Value{
		"tenant": qdrant.NewValueString(tenant), "collection": qdrant.NewValueString(collection), "state": qdrant.NewValueString(stateKind),
		"rev": qdrant.NewValueString(k.rev), "embedding": qdrant.NewValueString(k.embedding), "dimensions": qdrant.NewValueInt(int64(k.dimensions)),
	}
}

// look returns the head of a document and the kind of its collection, nil for
// what is missing.
func (s *Store) look(ctx context.Context, tenant string, k rag.Key) (*head, *kind, error) {
	points, err := s.get(ctx, s.documents(), qdrant.NewWithPayload(true), headID(tenant, k), kindID(tenant, k.Collection))
	if err != nil {
		return nil, nil, err
	}
	var h *head
	var of *kind
	for _, p := range points {
		switch payload := p.GetPayload(); {
		case text(payload, "tenant") != tenant || text(payload, "collection") != k.Collection:
			return nil, nil, fmt.Errorf("qdrant: the point %s is not the tenant's", p.GetId().GetUuid())
		case text(payload, "state") == stateKind:
			of = &kind{text(payload, "rev"), text(payload, "embedding"), int(payload["dimensions"].GetIntegerValue())}
		default:
			if h, err = parseHead(payload); err != nil {
				return nil, nil, err
			}
		}
	}
	return h, of, nil
}

// get returns the points that exist.
func (s *Store) get(ctx context.Context, collection string, payload *qdrant.WithPayloadSelector, ids ...*qdrant.PointId) ([]*qdrant.RetrievedPoint, error) {
	points, err := call(ctx, s, reading, func(ctx context.Context, c *qdrant.Client) ([]*qdrant.RetrievedPoint, error) {
		return c.Get(ctx, &qdrant.GetPoints{CollectionName: collection, Ids: ids, WithPayload: payload, WithVectors: qdrant.NewWithVectors(false)})
	})
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	return points, err
}

// scroll lists heads without their texts.
func (s *Store) scroll(ctx context.Context, f *qdrant.Filter, after string, limit int) ([]*head, string, error) {
	ask := &qdrant.ScrollPoints{CollectionName: s.documents(), Filter: f, Limit: qdrant.PtrOf(uint32(limit)),
		WithPayload: qdrant.NewWithPayloadExclude("text"), WithVectors: qdrant.NewWithVectors(false)}
	if after != "" {
		ask.Offset = qdrant.NewIDUUID(after)
	}
	type page struct {
		points []*qdrant.RetrievedPoint
		next   *qdrant.PointId
	}
	got, err := call(ctx, s, reading, func(ctx context.Context, c *qdrant.Client) (page, error) {
		points, next, err := c.ScrollAndOffset(ctx, ask)
		return page{points, next}, err
	})
	if errors.Is(err, errMissing) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	var heads []*head
	for _, p := range got.points {
		h, err := parseHead(p.GetPayload())
		if err != nil {
			return nil, "", err
		}
		heads = append(heads, h)
	}
	return heads, got.next.GetUuid(), nil
}

// replace writes next in the place of old, and says whether it is there: others
// may have been first, or may have replaced it already.
func (s *Store) replace(ctx context.Context, old, next *head) (bool, error) {
	id := headID(next.tenant, next.Key)
	if err := s.swap(ctx, id, old.rev, next.payload()); err != nil {
		return false, err
	}
	now, err := s.get(ctx, s.documents(), qdrant.NewWithPayloadInclude("rev"), id)
	return len(now) == 1 && text(now[0].GetPayload(), "rev") == next.rev, err
}

// strong makes replicas agree on the order of writes.
var strong = &qdrant.WriteOrdering{Type: qdrant.WriteOrderingType_Strong}

// swap writes a point among the documents if its revision is still rev; "" if
// there is none yet. It does not say whether it did.
func (s *Store) swap(ctx context.Context, id *qdrant.PointId, rev string, payload map[string]*qdrant.Value) error {
	return s.write(ctx, s.documents(), 0, func(ctx context.Context, c *qdrant.Client) (err error) {
		if rev != "" { // unlike an upsert, this does nothing to a point that has been deleted
			_, err = c.OverwritePayload(ctx, &qdrant.SetPayloadPoints{CollectionName: s.documents(), Wait: qdrant.PtrOf(true), Ordering: strong,
				Payload: payload, PointsSelector: qdrant.NewPointsSelectorFilter(revised(id, rev))})
			return err
		}
		_, err = c.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: s.documents(), Wait: qdrant.PtrOf(true), Ordering: strong,
			Points:       []*qdrant.PointStruct{{Id: id, Payload: payload, Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{})}},
			UpdateFilter: revised(id, "none")}) // no point that exists has it
		return err
	})
}

// revised is a point, if it has the revision.
func revised(id *qdrant.PointId, rev string) *qdrant.Filter {
	return &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewHasID(id), match("rev", rev)}}
}
