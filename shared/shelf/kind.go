package shelf

import (
	"context"

	"github.com/devmentor/ai-gateway/shared/rag"
)

// kind is what the passages of a collection have in common. It is settled by
// the first document, and forgotten with the last. Documents without passages,
// which older gateways took, do not count.
type kind struct {
	users      int    // documents, and those about to be stored
	embedding  string // the model of their vectors; "" if they have none
	dimensions int
	vectors    *rag.Dense // nil without
}

func (k *kind) use(embedding string, dimensions int) {
	if k.users++; k.users == 1 {
		k.embedding, k.dimensions = embedding, dimensions
		if dimensions > 0 {
			k.vectors = rag.NewDense(dimensions)
		}
	}
}

func (k *kind) leave() {
	if k.users--; k.users == 0 {
		*k = kind{}
	}
}

// prepare returns what is stored, if that is the same as d. Else it makes the
// vectors of d, unless the collection has none, and holds the collection to the
// kind that d needs until unclaim is called, which may be after d was added. It
// fails as rag.Library.Put.
func (c *collection) prepare(ctx context.Context, d rag.Document, passages []rag.Passage) (same *document, vectors [][]float32, unclaim func(), err error) {
	for {
		wanted, err := c.wants(d)
		if err != nil {
			return nil, nil, nil, err
		}
		if old := c.document(d.ID); old != nil && old.sum == contentSum(d) {
			return old, nil, nil, nil
		}
		if !wanted {
			vectors = nil
		} else if vectors == nil {
			if vectors, err = rag.Embed(ctx, d, passages); err != nil {
				return nil, nil, nil, err
			}
		}
		unclaim, ok, err := c.claim(d, vectors)
		if ok || err != nil {
			return nil, vectors, unclaim, err
		}
		// Meanwhile the collection has become one of another kind.
	}
}

// wants says whether d is to have vectors.
func (c *collection) wants(d rag.Document) (bool, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch k := &c.kind; {
	case k.users == 0:
		return d.Embed != nil, nil
	case k.embedding == "":
		return false, nil
	case d.Embed == nil:
		return false, rag.OtherModel(c.name, k.embedding, "")
	case k.embedding != d.Embedding:
		return false, rag.OtherModel(c.name, k.embedding, d.Embedding)
	}
	return true, nil
}

// claim is not ok if the collection is of another kind than d.
func (c *collection) claim(d rag.Document, vectors [][]float32) (unclaim func(), ok bool, err error) {
	embedding, dimensions := "", 0
	if vectors != nil {
		embedding, dimensions = d.Embedding, len(vectors[0])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.kind
	if k.users > 0 && k.embedding != embedding {
		return nil, false, nil
	}
	if k.users > 0 && k.dimensions != dimensions {
		return nil, false, rag.OtherLength(c.name, embedding, k.dimensions, dimensions)
	}
	k.use(embedding, dimensions)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		k.leave()
	}, true, nil
}
