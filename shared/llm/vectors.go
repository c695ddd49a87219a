package llm

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Floats returns the vectors, one per input in their order, whatever form they
// came in. It fails if one is missing or cannot be read.
func (e *Embeddings) Floats(inputs int) ([][]float32, error) {
	list := e.Vectors
	if e.Raw != nil {
		var w struct {
			Data []struct {
				Index     int             `json:"index"`
				Embedding json.RawMessage `json:"embedding"`
			} `json:"data"`
		}
		if err := json.Unmarshal(e.Raw, &w); err != nil {
			return nil, fmt.Errorf("llm: embeddings: %w", err)
		}
		list = make([][]float32, inputs)
		for _, d := range w.Data {
			if d.Index < 0 || d.Index >= inputs {
				return nil, fmt.Errorf("llm: embeddings: no input has the index %d", d.Index)
			}
			v, err := parseVector(d.Embedding)
			if err != nil {
				return nil, fmt.Errorf("llm: embeddings: vector %d: %w", d.Index, err)
			}
			list[d.Index] = v
		}
	}
	if len(list) != inputs {
		return nil, fmt.Errorf("llm: embeddings: %d vectors for %d inputs", len(list), inputs)
	}
	for i, v := range list {
		if len(v) == 0 || len(v) != len(list[0]) {
			return nil, fmt.Errorf("llm: embeddings: vector %d has %d dimensions, the first has %d", i, len(v), len(list[0]))
		}
	}
	return list, nil
}

// parseVector reads an array of numbers, or little-endian float32 in base64.
func parseVector(value []byte) (v []float32, err error) {
	text, ok := rawjson.String(value)
	if !ok {
		err = json.Unmarshal(value, &v)
		return v, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(raw)%4 != 0 {
		return nil, errors.New("not a whole number of float32")
	}
	v = make([]float32, len(raw)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return v, nil
}
