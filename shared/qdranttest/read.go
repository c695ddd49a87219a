package qdranttest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/proto"
)

func (h *points) Get(_ context.Context, r *qdrant.GetPoints) (*qdrant.GetResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	out := &qdrant.GetResponse{}
	for _, id := range r.GetIds() {
		key, err := pointID(id)
		if err != nil {
			return nil, err
		}
		if p := c.points[key]; p != nil {
			out.Result = append(out.Result, &qdrant.RetrievedPoint{Id: p.GetId(), Payload: shown(p, r.GetWithPayload())})
		}
	}
	return out, nil
}

func (h *points) Scroll(_ context.Context, r *qdrant.ScrollPoints) (*qdrant.ScrollResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	out := &qdrant.ScrollResponse{}
	for _, id := range slices.Sorted(maps.Keys(c.points)) {
		p := c.points[id]
		if ok, err := c.passes(id, p.GetPayload(), r.GetFilter()); err != nil {
			return nil, err
		} else if !ok || id < r.GetOffset().GetUuid() {
			continue
		}
		if len(out.Result) == int(r.GetLimit()) {
			out.NextPageOffset = p.GetId()
			break
		}
		out.Result = append(out.Result, &qdrant.RetrievedPoint{Id: p.GetId(), Payload: shown(p, r.GetWithPayload())})
	}
	return out, nil
}

func (h *points) Count(_ context.Context, r *qdrant.CountPoints) (*qdrant.CountResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	ids, err := c.selected(qdrant.NewPointsSelectorFilter(r.GetFilter()))
	return &qdrant.CountResponse{Result: &qdrant.CountResult{Count: uint64(len(ids))}}, err
}

// shown is the part of the payload that was asked for.
func shown(p *qdrant.PointStruct, sel *qdrant.WithPayloadSelector) map[string]*qdrant.Value {
	all := proto.CloneOf(p).GetPayload()
	maps.DeleteFunc(all, func(field string, _ *qdrant.Value) bool {
		switch {
		case sel.GetInclude() != nil:
			return !slices.Contains(sel.GetInclude().GetFields(), field)
		case sel.GetExclude() != nil:
			return slices.Contains(sel.GetExclude().GetFields(), field)
		}
		return !sel.GetEnable()
	})
	return all
}

type scored struct {
	id    string
	score float32
}

func (h *points) Query(_ context.Context, r *qdrant.QueryPoints) (*qdrant.QueryResponse, error) {
	c, err := h.s.collection(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	rrf := r.GetQuery().GetRrf()
	if rrf == nil || len(r.GetPrefetch()) == 0 {
		return nil, fmt.Errorf("qdranttest: a query of %T without fusion", r.GetQuery().GetVariant())
	}
	sums := map[string]float32{}
	for _, f := range r.GetPrefetch() {
		list, err := c.nearest(f)
		if err != nil {
			return nil, err
		}
		for i, s := range list {
			sums[s.id] += 1 / float32(i+int(rrf.GetK()))
		}
	}
	var fused []scored
	for id, sum := range sums {
		ok, err := c.passes(id, c.points[id].GetPayload(), r.GetFilter())
		if err != nil {
			return nil, err
		}
		if ok {
			fused = append(fused, scored{id, sum})
		}
	}
	out := &qdrant.QueryResponse{}
	for _, s := range best(fused, r.GetLimit()) {
		p := c.points[s.id]
		out.Result = append(out.Result, &qdrant.ScoredPoint{Id: p.GetId(), Score: s.score, Payload: shown(p, r.GetWithPayload())})
	}
	return out, nil
}

func best(list []scored, limit uint64) []scored {
	slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id)) })
	return list[:min(len(list), int(limit))]
}

// nearest is what one prefetch finds.
func (c *collection) nearest(f *qdrant.PrefetchQuery) ([]scored, error) {
	near := f.GetQuery().GetNearest()
	score, err := c.similarity(f.GetUsing(), near)
	if err != nil {
		return nil, err
	}
	var list []scored
	for id, p := range c.points {
		ok, err := c.passes(id, p.GetPayload(), f.GetFilter())
		if err != nil {
			return nil, err
		}
		v := p.GetVectors().GetVectors().GetVectors()[f.GetUsing()]
		if !ok || v == nil {
			continue
		}
		if s, ok := score(v); ok {
			list = append(list, scored{id, s})
		}
	}
	return best(list, f.GetLimit()), nil
}

func (c *collection) similarity(using string, near *qdrant.VectorInput) (func(*qdrant.Vector) (float32, bool), error) {
	if params, ok := c.config.GetVectorsConfig().GetParamsMap().GetMap()[using]; ok {
		q := near.GetDense().GetData()
		if uint64(len(q)) != params.GetSize() {
			return nil, invalid("Vector dimension error: expected dim: %d, got %d", params.GetSize(), len(q))
		}
		return func(v *qdrant.Vector) (float32, bool) { return cosine(q, v.GetDense().GetData()), true }, nil
	}
	params, ok := c.config.GetSparseVectorsConfig().GetMap()[using]
	if !ok {
		return nil, invalid("Not existing vector name error: %s", using)
	}
	if err := checkSparse(near.GetSparse()); err != nil {
		return nil, err
	}
	weights := map[uint32]float64{}
	for i, at := range near.GetSparse().GetIndices() {
		weights[at] = float64(near.GetSparse().GetValues()[i])
	}
	if params.GetModifier() == qdrant.Modifier_Idf {
		c.idf(using, weights)
	}
	return func(v *qdrant.Vector) (float32, bool) {
		sum, found := 0.0, false
		for i, at := range v.GetSparse().GetIndices() {
			if w, ok := weights[at]; ok {
				sum, found = sum+w*float64(v.GetSparse().GetValues()[i]), true
			}
		}
		return float32(sum), found
	}, nil
}

// idf multiplies weights by how rare they are among all points that have such
// vectors.
func (c *collection) idf(using string, weights map[uint32]float64) {
	n, df := 0.0, map[uint32]float64{}
	for _, p := range c.points {
		v := p.GetVectors().GetVectors().GetVectors()[using]
		if v == nil {
			continue
		}
		n++
		for _, at := range v.GetSparse().GetIndices() {
			df[at]++
		}
	}
	for at := range weights {
		weights[at] *= math.Log((n-df[at]+0.5)/(df[at]+0.5) + 1)
	}
}

func cosine(a, b []float32) float32 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float32(ab / math.Sqrt(aa*bb))
}

// passes says whether a point has what a filter wants.
func (c *collection) passes(id string, payload map[string]*qdrant.Value, f *qdrant.Filter) (bool, error) {
	for _, cond := range f.GetMust() {
		if ok, err := c.holds(id, payload, cond); !ok || err != nil {
			return false, err
		}
	}
	for _, cond := range f.GetMustNot() {
		if ok, err := c.holds(id, payload, cond); ok || err != nil {
			return false, err
		}
	}
	any := len(f.GetShould()) == 0
	for _, cond := range f.GetShould() {
		ok, err := c.holds(id, payload, cond)
		if err != nil {
			return false, err
		}
		any = any || ok
	}
	return any, nil
}

func (c *collection) holds(id string, payload map[string]*qdrant.Value, cond *qdrant.Condition) (bool, error) {
	if ids := cond.GetHasId(); ids != nil {
		return slices.ContainsFunc(ids.GetHasId(), func(p *qdrant.PointId) bool { return p.GetUuid() == id }), nil
	}
	field := cond.GetField()
	x := c.indexes[field.GetKey()]
	if x == nil {
		return false, invalid("Bad request: Index required but not found for %q", field.GetKey())
	}
	values := []*qdrant.Value{payload[field.GetKey()]}
	if l := values[0].GetListValue(); l != nil {
		values = l.GetValues()
	}
	if r := field.GetRange(); r != nil && x.GetDataType() == qdrant.PayloadSchemaType_Integer {
		return slices.ContainsFunc(values, func(v *qdrant.Value) bool {
			n, ok := v.GetKind().(*qdrant.Value_IntegerValue)
			if !ok {
				return false
			}
			at := float64(n.IntegerValue)
			return (r.Lt == nil || at < *r.Lt) && (r.Gte == nil || at >= *r.Gte) && r.Gt == nil && r.Lte == nil
		}), nil
	}
	var wanted []string
	switch m := field.GetMatch().GetMatchValue().(type) {
	case *qdrant.Match_Keyword:
		wanted = []string{m.Keyword}
	case *qdrant.Match_Keywords:
		wanted = m.Keywords.GetStrings()
	default:
		return false, fmt.Errorf("qdranttest: a condition %v", cond)
	}
	if x.GetDataType() != qdrant.PayloadSchemaType_Keyword {
		return false, invalid("Bad request: %q has no keyword index", field.GetKey())
	}
	return slices.ContainsFunc(values, func(v *qdrant.Value) bool {
		s, ok := v.GetKind().(*qdrant.Value_StringValue)
		return ok && slices.Contains(wanted, s.StringValue)
	}), nil
}
