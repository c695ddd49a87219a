package qdrant

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// putting is a document on its way into the store.
type putting struct {
	s        *Store
	tenant   string
	d        rag.Document
	passages []rag.Passage
	sum      string

	vectors    [][]float32
	dimensions int
	seen       *head // what was there before
}

// batchBytes is about how large an upsert may be.
const batchBytes = 1 << 20

// prepare returns what is stored, if that is the same. Else it makes the
// vectors, unless the collection has none.
func (p *putting) prepare(ctx context.Context, embed rag.Embedder) (same *head, err error) {
	h, of, err := p.s.look(ctx, p.tenant, p.d.Key)
	if err != nil {
		return nil, err
	}
	p.seen = h
	wanted, err := p.wants(ctx, h, of, embed != nil)
	if err != nil {
		return nil, err
	}
	if h != nil && h.gen != "" && h.sum == p.sum {
		return h, nil
	}
	if !wanted {
		p.vectors, p.dimensions = nil, 0
		return nil, nil
	}
	if p.vectors == nil {
		d := p.d
		d.Embed = embed
		if p.vectors, err = rag.Embed(ctx, d, p.passages); err != nil {
			return nil, err
		}
		p.dimensions = len(p.vectors[0])
	}
	if of != nil && of.embedding == p.d.Embedding && of.dimensions != p.dimensions {
		switch used, err := p.used(ctx, h); {
		case err != nil:
			return nil, err
		case used:
			return nil, rag.OtherLength(p.d.Collection, of.embedding, of.dimensions, p.dimensions)
		}
	}
	return nil, nil
}

// wants says whether the document is to have vectors.
func (p *putting) wants(ctx context.Context, h *head, of *kind, can bool) (bool, error) {
	model := ""
	if can {
		model = p.d.Embedding
	}
	if of == nil || of.embedding == model {
		return can, nil
	}
	switch used, err := p.used(ctx, h); {
	case err != nil:
		return false, err
	case !used:
		return can, nil
	case of.embedding == "":
		return false, nil
	}
	return false, rag.OtherModel(p.d.Collection, of.embedding, model)
}

// used says whether the collection has passages, or is about to, other than
// those of the document that is being stored for the first time.
func (p *putting) used(ctx context.Context, h *head) (bool, error) {
	if h != nil && h.state() == stateLive {
		return true, nil
	}
	f := &qdrant.Filter{
		Must: []*qdrant.Condition{match("tenant", p.tenant), match("collection", p.d.Collection)},
		Should: []*qdrant.Condition{match("state", stateLive),
			qdrant.NewRange("since", &qdrant.Range{Gte: qdrant.PtrOf(float64(time.Now().Add(-p.s.abandoned).Unix()))})},
		MustNot: []*qdrant.Condition{qdrant.NewHasID(headID(p.tenant, p.d.Key))},
	}
	n, err := call(ctx, p.s, reading, func(ctx context.Context, c *qdrant.Client) (uint64, error) {
		return c.Count(ctx, &qdrant.CountPoints{CollectionName: p.s.documents(), Filter: f, Exact: qdrant.PtrOf(true)})
	})
	if errors.Is(err, errMissing) {
		return false, nil
	}
	return n > 0, err
}

// store writes the passages and then the head. again means that something else
// has changed meanwhile, and that nothing is stored.
func (p *putting) store(ctx context.Context) (again bool, err error) {
	gen := newGeneration(p.dimensions)
	// First the head learns what is going to be written.
	h, of, err := p.announce(ctx, gen)
	if err != nil || h == nil {
		return err == nil, err
	}
	if again, err = p.settle(ctx, h, of); err == nil && !again {
		err = p.write(ctx, gen)
	}
	if err == nil && !again {
		again, err = p.commit(ctx, gen)
	}
	if err != nil || again {
		return again, p.withdraw(ctx, gen, err)
	}
	return false, nil
}

// announce adds a generation to the head; it returns no head if others were
// first.
func (p *putting) announce(ctx context.Context, gen string) (*head, *kind, error) {
	old := p.seen
	if old == nil {
		old = &head{tenant: p.tenant, Document: rag.Document{Key: p.d.Key}}
	}
	next := old.change()
	next.pending = append(next.pending, gen)
	if err := p.s.swap(ctx, headID(p.tenant, p.d.Key), old.rev, next.payload()); err != nil {
		return nil, nil, p.withdraw(ctx, gen, err)
	}
	now, of, err := p.s.look(ctx, p.tenant, p.d.Key)
	if err != nil {
		return nil, nil, p.withdraw(ctx, gen, err)
	}
	if now == nil || !slices.Contains(now.pending, gen) {
		return nil, nil, nil
	}
	return now, of, nil
}

// fits says whether the collection is of the kind that the document is.
func (p *putting) fits(of *kind) bool {
	return of != nil && of.embedding == p.model() && of.dimensions == p.dimensions
}

// model is that of the document's vectors.
func (p *putting) model() string {
	if p.dimensions == 0 {
		return ""
	}
	return p.d.Embedding
}

// settle makes the collection one of the kind that the document is, if nobody
// else uses it. Who changes the kind looks at what is announced afterwards, and
// who announces looks at the kind afterwards: one of the two sees the other.
func (p *putting) settle(ctx context.Context, h *head, of *kind) (again bool, err error) {
	if p.fits(of) {
		return false, nil
	}
	rev := ""
	if of != nil {
		rev = of.rev
		if used, err := p.used(ctx, h); used || err != nil {
			return true, err
		}
	}
	id, next := kindID(p.tenant, p.d.Collection), &kind{rev: newGeneration(p.dimensions), embedding: p.model(), dimensions: p.dimensions}
	if err := p.s.swap(ctx, id, rev, next.payload(p.tenant, p.d.Collection)); err != nil {
		return false, err
	}
	_, now, err := p.s.look(ctx, p.tenant, p.d.Key)
	if err != nil || of == nil {
		return !p.fits(now), err
	}
	if now == nil || now.rev != next.rev {
		return true, nil
	}
	if used, err := p.used(ctx, h); !used || err != nil {
		return false, err
	}
	of.rev = newGeneration(of.dimensions)
	return true, p.s.swap(ctx, id, now.rev, of.payload(p.tenant, p.d.Collection))
}

// write writes the passages, in batches.
func (p *putting) write(ctx context.Context, gen string) error {
	labels := list(rag.Labels(p.d.Metadata))
	about := map[string]*qdrant.Value{
		"tenant": qdrant.NewValueString(p.tenant), "collection": qdrant.NewValueString(p.d.Collection), "gen": qdrant.NewValueString(gen),
		"head": qdrant.NewValueString(headID(p.tenant, p.d.Key).GetUuid()), "labels": labels,
	}
	var analyzer rag.Analyzer
	var batch []*qdrant.PointStruct
	size := 0
	flush := func() error {
		points := batch
		batch, size = nil, 0
		name := p.s.passages(p.dimensions)
		return p.s.write(ctx, name, p.dimensions, func(ctx context.Context, c *qdrant.Client) error {
			_, err := c.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: name, Wait: qdrant.PtrOf(true), Points: points})
			return err
		})
	}
	for i, passage := range p.passages {
		payload := map[string]*qdrant.Value{"n": qdrant.NewValueInt(int64(i)), "text": qdrant.NewValueString(passage.Text)}
		if h := passage.Heading(p.d.Language); h != "" {
			payload["heading"] = qdrant.NewValueString(h)
		}
		for field, v := range about {
			payload[field] = v
		}
		indices, values := weights(analyzer.Terms(passage))
		vectors := map[string]*qdrant.Vector{byWords: qdrant.NewVectorSparse(indices, values)}
		if p.vectors != nil {
			vectors[byModel] = qdrant.NewVectorDense(p.vectors[i])
		}
		batch = append(batch, &qdrant.PointStruct{Id: passageID(p.tenant, p.d.Key, gen, i), Payload: payload, Vectors: qdrant.NewVectorsMap(vectors)})
		size += len(passage.Text) + len(p.d.Metadata) + 8*len(indices) + 4*p.dimensions
		if size >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// commit makes the generation the one that counts.
func (p *putting) commit(ctx context.Context, gen string) (again bool, err error) {
	if p.d.Created.IsZero() {
		p.d.Created = time.Now().UTC()
	}
	d := p.d
	d.Embedding = p.model()
	for n := range tries {
		old, of, err := p.s.look(ctx, p.tenant, p.d.Key)
		if err != nil {
			return false, err
		}
		if old == nil || !slices.Contains(old.pending, gen) {
			if made, _ := generation(gen); n > 0 && time.Since(made) < p.s.abandoned {
				p.d = d // it did count, before others came
				return false, nil
			}
			return false, fault.New(fault.Unavailable, "Storing the document took too long; try again.")
		}
		if !p.fits(of) {
			return true, nil
		}
		next := old.change()
		next.Document, next.sum, next.gen = d, p.sum, gen
		next.pending = slices.DeleteFunc(next.pending, func(g string) bool { return g == gen })
		if old.gen != "" {
			next.dead = append(next.dead, old.gen)
		}
		ok, err := p.s.replace(ctx, old, next)
		if err != nil {
			return false, err
		}
		if ok {
			p.d = d
			if err := p.s.clean(ctx, next); err != nil { // it is invisible already, and who comes next cleans up
				p.s.o.Log.LogAttrs(ctx, slog.LevelWarn, "passages that were replaced are still in Qdrant", slog.Any("err", err))
			}
			return false, nil
		}
		if err := pause(ctx); err != nil {
			return false, err
		}
	}
	return false, busy(p.d.Key)
}

// cleaning is how long it may take to take back what could not be completed.
const cleaning = 10 * time.Second

// withdraw takes a generation back, because of err, if that is still possible:
// then it returns err. If the generation counts already, only the answer to
// that got lost, and all is well.
func (p *putting) withdraw(ctx context.Context, gen string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	for range tries {
		old, _, failed := p.s.look(ctx, p.tenant, p.d.Key)
		if failed == nil && old != nil && old.gen == gen {
			return nil
		}
		if failed == nil && (old == nil || !slices.Contains(old.pending, gen)) {
			return err
		}
		ok := false
		if failed == nil {
			next := old.change()
			next.pending = slices.DeleteFunc(next.pending, func(g string) bool { return g == gen })
			next.dead = append(next.dead, gen)
			if ok, failed = p.s.replace(ctx, old, next); ok && failed == nil {
				failed = p.s.clean(ctx, next)
			}
		}
		if failed != nil {
			p.s.o.Log.LogAttrs(ctx, slog.LevelWarn, "passages that nobody will see are still in Qdrant", slog.Any("err", failed))
			return err
		}
		if ok || pause(ctx) != nil {
			return err
		}
	}
	return err
}

// clean deletes the passages of generations that are dead, and then the head,
// if it is of no more use.
func (s *Store) clean(ctx context.Context, h *head) error {
	rests := h.rests(s.abandoned)
	if len(rests) == 0 {
		return nil
	}
	by := map[int][]string{}
	for _, gen := range rests {
		_, dimensions := generation(gen)
		by[dimensions] = append(by[dimensions], gen)
	}
	for dimensions, gens := range by {
		name := s.passages(dimensions)
		f := &qdrant.Filter{Must: []*qdrant.Condition{match("tenant", h.tenant), match("collection", h.Collection), match("gen", gens...)}}
		if err := s.remove(ctx, name, f); err != nil {
			return err
		}
	}
	next := h.change()
	done := func(gen string) bool { return slices.Contains(rests, gen) }
	next.pending, next.dead = slices.DeleteFunc(next.pending, done), slices.DeleteFunc(next.dead, done)
	id := headID(h.tenant, h.Key)
	if next.gen == "" && len(next.pending) == 0 {
		return s.remove(ctx, s.documents(), revised(id, h.rev))
	}
	return s.swap(ctx, id, h.rev, next.payload())
}

// remove deletes points.
func (s *Store) remove(ctx context.Context, name string, f *qdrant.Filter) error {
	_, err := call(ctx, s, writing, func(ctx context.Context, c *qdrant.Client) (*qdrant.UpdateResult, error) {
		return c.Delete(ctx, &qdrant.DeletePoints{CollectionName: name, Wait: qdrant.PtrOf(true), Ordering: strong, Points: qdrant.NewPointsSelectorFilter(f)})
	})
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

// atOnce is how many heads one deletion tidies up for others.
const atOnce = 10

// collectRests deletes what crashes have left of the tenant's documents.
func (s *Store) collectRests(ctx context.Context, tenant string) {
	before := float64(time.Now().Add(-s.abandoned).Unix())
	f := &qdrant.Filter{Must: []*qdrant.Condition{match("tenant", tenant), qdrant.NewRange("since", &qdrant.Range{Lt: &before})}}
	heads, _, err := s.scroll(ctx, f, "", atOnce)
	for _, h := range heads {
		// The listing has no texts, and a head is written as a whole.
		if h, _, err = s.look(ctx, tenant, h.Key); err == nil && h != nil {
			err = s.clean(ctx, h)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "what a crash left in Qdrant is still there", slog.Any("err", err))
	}
}

func passageID(tenant string, k rag.Key, gen string, n int) *qdrant.PointId {
	return pointID("passage", tenant, k.Collection, k.ID, gen, strconv.Itoa(n))
}

// averageLength stands for the mean number of terms in a passage, which changes
// with every document and so cannot be in what is stored of one. make eval finds
// things best with it in prose, and nearly so in code.
const averageLength = 75

// weights are a passage's terms as a sparse vector: the part of BM25 that does
// not depend on other passages. Qdrant's IDF modifier adds the rest.
func weights(terms []rag.Term) (indices []uint32, values []float32) {
	length := float32(rag.Length(terms))
	by := map[uint32]float32{}
	for _, t := range terms {
		by[dimension(t.Text)] += rag.Saturate(float32(t.Count), length, averageLength)
	}
	for i := range by {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	for _, i := range indices {
		values = append(values, by[i])
	}
	return indices, values
}

// dimension is the place of a term in a sparse vector.
func dimension(term string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(term))
	return h.Sum32()
}
