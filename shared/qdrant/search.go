package qdrant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/qdrant/go-client/qdrant"

	"github.com/devmentor/ai-gateway/shared/rag"
)

const (
	// withTexts is up to how many passages are fetched with their texts at once.
	withTexts = 200
	// looks is how often a search is done anew because a document was replaced
	// while it ran.
	looks = 3
)

// Search implements rag.Searcher.
func (s *Store) Search(ctx context.Context, tenant string, q rag.Query) ([]rag.Hit, error) {
	var vector [][]float32
	if embed := q.Embed; embed != nil { // once, however often the search is done
		q.Embed = func(ctx context.Context, texts []string) (_ [][]float32, err error) {
			if vector == nil {
				vector, err = embed(ctx, texts)
			}
			return vector, err
		}
	}
	for n := 1; ; n++ {
		_, of, err := s.look(ctx, tenant, rag.Key{Collection: q.Collection})
		if err != nil || of == nil {
			return nil, err
		}
		x := &search{s: s, tenant: tenant, q: q, of: of, heads: map[string]*head{}}
		hits, err := x.run(ctx)
		if err != nil || len(hits) >= q.Limit || !x.stale || n == looks {
			return hits, err
		}
	}
}

// search is one attempt to answer a query.
type search struct {
	s      *Store
	tenant string
	q      rag.Query
	of     *kind
	heads  map[string]*head // those that were looked at, by the ids of their points; nil if there is none
	stale  bool             // a document was replaced since its passages were found
}

func (x *search) run(ctx context.Context) ([]rag.Hit, error) {
	fetch, err := x.prefetch(ctx)
	if err != nil || fetch == nil || x.q.Limit <= 0 {
		return nil, err
	}
	for k := max(4*x.q.Limit, 20); ; k *= 4 { // deeper, as long as passages of the same documents crowd out others
		points, err := x.query(ctx, fetch, k)
		if err != nil {
			return nil, err
		}
		best, err := x.visible(ctx, points)
		if err != nil {
			return nil, err
		}
		if len(best) >= x.q.Limit || len(points) < k {
			return x.hits(ctx, best)
		}
	}
}

// prefetch are the rankings to be fused: by words, and by vectors if the query
// and the collection have them. None means that nothing can be found.
func (x *search) prefetch(ctx context.Context) ([]*qdrant.PrefetchQuery, error) {
	var fetch []*qdrant.PrefetchQuery
	add := func(using string, v *qdrant.Query) {
		fetch = append(fetch, &qdrant.PrefetchQuery{Query: v, Using: &using, Filter: x.filter()})
	}
	seen := map[uint32]bool{}
	var indices []uint32
	var values []float32
	for _, t := range rag.QueryTerms(x.q.Text) {
		if i := dimension(t.Text); !seen[i] {
			seen[i] = true
			indices, values = append(indices, i), append(values, t.Weight)
		}
	}
	if indices != nil {
		add(byWords, qdrant.NewQuerySparse(indices, values))
	}
	if x.of.dimensions > 0 {
		v, err := x.q.QueryVector(ctx, x.of.embedding, x.of.dimensions)
		if err != nil {
			return nil, err
		}
		if v != nil {
			add(byModel, qdrant.NewQueryDense(v))
		}
	}
	return fetch, nil
}

// filter takes the passages of the tenant's collection with the right labels.
func (x *search) filter() *qdrant.Filter {
	must := []*qdrant.Condition{match("tenant", x.tenant), match("collection", x.q.Collection)}
	for _, labels := range x.q.Filter {
		must = append(must, match("labels", labels...))
	}
	return &qdrant.Filter{Must: must}
}

func (x *search) query(ctx context.Context, fetch []*qdrant.PrefetchQuery, k int) ([]*qdrant.ScoredPoint, error) {
	for _, f := range fetch {
		f.Limit = qdrant.PtrOf(uint64(max(k, rag.Deepest)))
	}
	fields := []string{"tenant", "head", "gen", "n"}
	if k <= withTexts {
		fields = append(fields, "text", "heading")
	}
	points, err := call(ctx, x.s, reading, func(ctx context.Context, c *qdrant.Client) ([]*qdrant.ScoredPoint, error) {
		return c.Query(ctx, &qdrant.QueryPoints{
			CollectionName: x.s.passages(x.of.dimensions), Prefetch: fetch, Filter: x.filter(), Limit: qdrant.PtrOf(uint64(k)),
			// Qdrant counts ranks from 0.
			Query:       qdrant.NewQueryRRF(&qdrant.Rrf{K: qdrant.PtrOf(uint32(rag.RRF + 1))}),
			WithPayload: qdrant.NewWithPayloadInclude(fields...), WithVectors: qdrant.NewWithVectors(false),
		})
	})
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	for _, p := range points {
		if text(p.GetPayload(), "tenant") != x.tenant {
			return nil, fmt.Errorf("qdrant: the point %s is not the tenant's", p.GetId().GetUuid())
		}
	}
	return points, err
}

// visible returns the best points that belong to documents as they are now, and
// not more of one document than are wanted.
func (x *search) visible(ctx context.Context, points []*qdrant.ScoredPoint) ([]*qdrant.ScoredPoint, error) {
	had := map[string]int{}
	points = slices.DeleteFunc(points, func(p *qdrant.ScoredPoint) bool {
		gen := text(p.GetPayload(), "gen")
		had[gen]++
		return x.q.PerDoc > 0 && had[gen] > x.q.PerDoc
	})
	var best []*qdrant.ScoredPoint
	for part := range slices.Chunk(points, 2*x.q.Limit) {
		if err := x.lookAt(ctx, part); err != nil {
			return nil, err
		}
		for _, p := range part {
			h, gen := x.heads[text(p.GetPayload(), "head")], text(p.GetPayload(), "gen")
			switch {
			case h != nil && h.gen == gen:
				best = append(best, p)
			case h == nil || !slices.Contains(h.pending, gen):
				x.stale = true
			}
			if len(best) == x.q.Limit {
				return best, nil
			}
		}
	}
	return best, nil
}

// lookAt fetches the heads of points that it has not fetched yet.
func (x *search) lookAt(ctx context.Context, points []*qdrant.ScoredPoint) error {
	var ids []*qdrant.PointId
	for _, p := range points {
		id := text(p.GetPayload(), "head")
		if _, known := x.heads[id]; !known {
			x.heads[id] = nil
			ids = append(ids, qdrant.NewIDUUID(id))
		}
	}
	if ids == nil {
		return nil
	}
	list, err := x.s.get(ctx, x.s.documents(), qdrant.NewWithPayloadExclude("text"), ids...)
	if err != nil {
		return err
	}
	for _, p := range list {
		h, err := parseHead(p.GetPayload())
		if err != nil {
			return err
		}
		if h.tenant == x.tenant && h.Collection == x.q.Collection {
			x.heads[p.GetId().GetUuid()] = h
		}
	}
	return nil
}

// hits shows points as what they are, with their texts.
func (x *search) hits(ctx context.Context, points []*qdrant.ScoredPoint) ([]rag.Hit, error) {
	have := map[string]map[string]*qdrant.Value{}
	var ids []*qdrant.PointId
	for _, p := range points {
		if _, ok := p.GetPayload()["text"]; ok {
			have[p.GetId().GetUuid()] = p.GetPayload()
		} else {
			ids = append(ids, p.GetId())
		}
	}
	if ids != nil {
		list, err := x.s.get(ctx, x.s.passages(x.of.dimensions), qdrant.NewWithPayloadInclude("text", "heading"), ids...)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			have[p.GetId().GetUuid()] = p.GetPayload()
		}
	}
	var hits []rag.Hit
	for _, p := range points {
		h := x.heads[text(p.GetPayload(), "head")]
		said, ok := have[p.GetId().GetUuid()]
		if !ok {
			x.stale = true
			continue
		}
		hits = append(hits, rag.Hit{Key: h.Key, Passage: int(p.GetPayload()["n"].GetIntegerValue()), Text: text(said, "text"),
			Heading: text(said, "heading"), Score: float64(p.GetScore()), Metadata: h.Metadata})
	}
	return hits, nil
}
