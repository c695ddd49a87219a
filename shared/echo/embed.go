package echo

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
)

const (
	defaultDimensions = 256
	maxDimensions     = 4096
)

// Embed hashes the words of each text, and the three and four characters that
// follow each other in them, into a vector of unit length with 256 dimensions
// or as many as are asked for, up to 4,096.
//
// Texts that share words or parts of words come out near to each other:
// spelling variants, plurals, compounds, code identifiers. That is enough to
// try retrieval offline and to test it. Meaning plays no part: "car" and
// "automobile" are strangers, and a text and its negation are neighbours.
func (p *Provider) Embed(ctx context.Context, req *llm.EmbedRequest) (*llm.Embeddings, error) {
	if err := req.Drop(name, "model", "input", "dimensions", "encoding_format", "user"); err != nil {
		return nil, err
	}
	dim := req.Dimensions
	if dim == 0 {
		dim = defaultDimensions
	}
	if dim > maxDimensions {
		return nil, fault.Field("dimensions", "'dimensions' must be at most %d for the offline stand-in.", maxDimensions)
	}
	var vectors [][]float32
	var count int64
	for _, text := range req.Inputs {
		if err := p.pause(ctx); err != nil {
			return nil, err
		}
		count += int64(len(tokens(text)))
		vectors = append(vectors, unit(textCounts(text, dim)))
	}
	for _, ids := range req.Tokens {
		if err := p.pause(ctx); err != nil {
			return nil, err
		}
		count += int64(len(ids))
		vectors = append(vectors, unit(idCounts(ids, dim)))
	}
	return &llm.Embeddings{Model: req.Model, Vectors: vectors, Usage: &llm.Usage{Input: count}}, nil
}

// textCounts adds up the grams of text. Whole words count double: they say
// more than the letters they are made of.
func textCounts(text string, dim int64) []float64 {
	v := make([]float64, dim)
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
	for _, w := range words {
		runes := []rune("^" + w + "$") // the ends of a word are characters too
		add(v, []byte(w), 2)
		for n := 3; n <= 4; n++ {
			for i := 0; i+n <= len(runes); i++ {
				add(v, []byte(string(runes[i:i+n])), 1)
			}
		}
	}
	if len(words) == 0 { // nothing but signs
		add(v, []byte(text), 1)
	}
	return v
}

func idCounts(ids []int64, dim int64) []float64 {
	v := make([]float64, dim)
	for i := range ids {
		for n := 1; n <= 2 && i+n <= len(ids); n++ {
			var gram []byte
			for _, id := range ids[i : i+n] {
				gram = binary.BigEndian.AppendUint64(gram, uint64(id))
			}
			add(v, gram, 1)
		}
	}
	return v
}

// add counts a gram in the dimension that its hash names, with the hash's sign:
// so grams that collide cancel out on average instead of adding up.
func add(v []float64, gram []byte, weight float64) {
	h := fnv.New64a()
	h.Write(gram)
	sum := h.Sum64() // whose low bits depend on each other: mix, as MurmurHash does
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	if sum>>63 != 0 {
		weight = -weight
	}
	v[sum%uint64(len(v))] += weight
}

// unit scales v to length 1.
func unit(v []float64) []float32 {
	var square float64
	for _, x := range v {
		square += x * x
	}
	out := make([]float32, len(v))
	if square == 0 { // everything cancelled out
		out[0] = 1
		return out
	}
	length := math.Sqrt(square)
	for i, x := range v {
		out[i] = float32(x / length)
	}
	return out
}
