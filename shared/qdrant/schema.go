package qdrant

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/qdrant/go-client/qdrant"
)

// The vectors of a passage.
const (
	byWords = "words" // sparse: its terms
	byModel = "model" // dense: those of an embedding model
)

// documents is where heads are.
func (s *Store) documents() string { return s.o.Prefix + "-documents" }

// passages is where passages are whose vectors have so many dimensions; 0 for
// those that have only terms.
func (s *Store) passages(dimensions int) string {
	if dimensions == 0 {
		return s.o.Prefix + "-passages"
	}
	return s.o.Prefix + "-passages-" + strconv.Itoa(dimensions)
}

// index is a field that is filtered by.
type index struct {
	field   string
	kind    qdrant.FieldType
	schema  qdrant.PayloadSchemaType
	isOwner bool // what belongs together is stored together
}

func keyword(field string) index {
	return index{field, qdrant.FieldType_FieldTypeKeyword, qdrant.PayloadSchemaType_Keyword, false}
}

var (
	owner           = index{"tenant", qdrant.FieldType_FieldTypeKeyword, qdrant.PayloadSchemaType_Keyword, true}
	documentIndexes = []index{owner, keyword("collection"), keyword("id"), keyword("state"), keyword("rev"),
		{"since", qdrant.FieldType_FieldTypeInteger, qdrant.PayloadSchemaType_Integer, false}}
	passageIndexes = []index{owner, keyword("collection"), keyword("gen"), keyword("labels")}
)

// write does something to a collection, which it makes first if it is missing.
func (s *Store) write(ctx context.Context, name string, dimensions int, do func(context.Context, *qdrant.Client) error) error {
	for again := false; ; again = true {
		if err := s.make(ctx, name, dimensions); err != nil {
			return err
		}
		_, err := call(ctx, s, writing, func(ctx context.Context, c *qdrant.Client) (struct{}, error) { return struct{}{}, do(ctx, c) })
		if !errors.Is(err, errMissing) {
			return err
		}
		if again {
			return unavailable(err)
		}
		s.mu.Lock()
		delete(s.made, name) // somebody has deleted it
		s.mu.Unlock()
	}
}

// make makes a collection as it must be. Others may be about to do the same.
func (s *Store) make(ctx context.Context, name string, dimensions int) error {
	s.mu.Lock()
	made := s.made[name]
	s.mu.Unlock()
	if made {
		return nil
	}
	info, err := s.info(ctx, name)
	if errors.Is(err, errMissing) {
		_, failed := call(ctx, s, writing, func(ctx context.Context, c *qdrant.Client) (struct{}, error) {
			return struct{}{}, c.CreateCollection(ctx, collection(name, dimensions))
		})
		if info, err = s.info(ctx, name); errors.Is(err, errMissing) {
			return unavailable(failed)
		}
	}
	if err != nil {
		return err
	}
	if err := fits(info, name, dimensions); err != nil {
		return unavailable(err)
	}
	indexes := passageIndexes
	if name == s.documents() {
		indexes = documentIndexes
	}
	for _, x := range indexes {
		if has, ok := info.GetPayloadSchema()[x.field]; ok && has.GetDataType() == x.schema {
			continue
		}
		if err := s.index(ctx, name, x); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.made[name] = true
	s.mu.Unlock()
	return nil
}

func (s *Store) info(ctx context.Context, name string) (*qdrant.CollectionInfo, error) {
	return call(ctx, s, reading, func(ctx context.Context, c *qdrant.Client) (*qdrant.CollectionInfo, error) {
		return c.GetCollectionInfo(ctx, name)
	})
}

func (s *Store) index(ctx context.Context, name string, x index) error {
	ask := &qdrant.CreateFieldIndexCollection{CollectionName: name, Wait: qdrant.PtrOf(true), FieldName: x.field, FieldType: x.kind.Enum()}
	if x.isOwner {
		ask.FieldIndexParams = qdrant.NewPayloadIndexParamsKeyword(&qdrant.KeywordIndexParams{IsTenant: qdrant.PtrOf(true)})
	}
	_, err := call(ctx, s, writing, func(ctx context.Context, c *qdrant.Client) (*qdrant.UpdateResult, error) {
		return c.CreateFieldIndex(ctx, ask)
	})
	return err
}

// collection describes a collection. Vectors are searched among those of one
// tenant only, so that a graph of all of them would be of no use: there is one
// per tenant (payload_m) and none for all (m).
func collection(name string, dimensions int) *qdrant.CreateCollection {
	c := &qdrant.CreateCollection{
		CollectionName: name, OnDiskPayload: qdrant.PtrOf(true),
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{byWords: {Modifier: qdrant.Modifier_Idf.Enum()}}),
		HnswConfig:          &qdrant.HnswConfigDiff{M: qdrant.PtrOf(uint64(0)), PayloadM: qdrant.PtrOf(uint64(16))},
	}
	if dimensions > 0 {
		c.VectorsConfig = qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{byModel: {Size: uint64(dimensions), Distance: qdrant.Distance_Cosine}})
	}
	return c
}

// fits says what is wrong with a collection that somebody else has made.
func fits(info *qdrant.CollectionInfo, name string, dimensions int) error {
	params := info.GetConfig().GetParams()
	words, ok := params.GetSparseVectorsConfig().GetMap()[byWords]
	if !ok || words.GetModifier() != qdrant.Modifier_Idf {
		return fmt.Errorf("qdrant: collection %s is not the gateway's: it has no sparse vectors %q with IDF", name, byWords)
	}
	if dense := params.GetVectorsConfig().GetParamsMap().GetMap()[byModel]; int(dense.GetSize()) != dimensions {
		return fmt.Errorf("qdrant: collection %s is not the gateway's: its vectors %q have %d dimensions, not %d", name, byModel, dense.GetSize(), dimensions)
	}
	return nil
}
