package llm

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Floats returns the vectors, one per input in their order, whatever form they
// came in. It fails if one is missing or cannot be read.
func (e *Embeddings) Floats(inputs int) ([][]float32, error) {
	list := e.Vectors
	if e.Raw != nil {
		fields, err := rawjson.Object(nil, e.Raw, MaxDepth)
		if err != nil {
			return nil, fmt.Errorf("llm: embeddings: %w", err)
		}
		data := rawjson.Get(fields, "data")
		if rawjson.Kind(data) != "array" {
			return nil, errors.New("llm: embeddings: no vectors")
		}
		list = make([][]float32, inputs)
		var buf [4]rawjson.Field
		err = rawjson.Elements(data, func(i int, v []byte) error {
			if rawjson.Kind(v) != "object" {
				return fmt.Errorf("llm: embeddings: vector %d is not an object", i)
			}
			d := rawjson.Fields(buf[:0], v)
			at, ok := rawjson.Int(rawjson.Get(d, "index"))
			if rawjson.Get(d, "index") == nil {
				at, ok = int64(i), true // some servers leave it out
			}
			if !ok || at < 0 || at >= int64(inputs) {
				return fmt.Errorf("llm: embeddings: no input has the index of vector %d", i)
			}
			list[at], err = parseVector(rawjson.Get(d, "embedding"))
			if err != nil {
				return fmt.Errorf("llm: embeddings: vector %d: %w", at, err)
			}
			return nil
		})
		if err != nil {
			return nil, err
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
	switch rawjson.Kind(value) {
	case "array":
		return parseNumbers(value)
	case "string":
	default:
		return nil, errors.New("neither numbers nor base64")
	}
	text, _ := rawjson.String(value)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(raw)%4 != 0 {
		return nil, errors.New("not a whole number of float32")
	}
	v = make([]float32, len(raw)/4)
	for i := range v {
		bits := binary.LittleEndian.Uint32(raw[4*i:])
		if bits&0x7f800000 == 0x7f800000 {
			return nil, errors.New("a number that is none")
		}
		v[i] = math.Float32frombits(bits)
	}
	return v, nil
}

// parseNumbers reads a valid array of numbers, three times as fast as
// encoding/json.
func parseNumbers(array []byte) ([]float32, error) {
	v := make([]float32, 0, len(array)/10)
	for i := 1; i < len(array); {
		switch array[i] {
		case ' ', '\t', '\r', '\n', ',':
			i++
			continue
		case ']':
			return v, nil
		}
		end := i
		for end < len(array) && isNumeral(array[end]) {
			end++
		}
		f, err := strconv.ParseFloat(string(array[i:end]), 32)
		if err != nil {
			return nil, err
		}
		v, i = append(v, float32(f)), end
	}
	return v, nil
}

func isNumeral(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}
