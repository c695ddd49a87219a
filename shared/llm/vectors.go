package llm

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Floats returns the vectors, one per input in their order, whatever form they
// came in. It fails if one is missing or cannot be read. Raw, if there is one,
// must be valid JSON.
func (e *Embeddings) Floats(inputs int) ([][]float32, error) {
	list := e.Vectors
	if e.Raw != nil {
		data := rawjson.Get(rawjson.Fields(nil, e.Raw), "data")
		if rawjson.Kind(data) != "array" {
			return nil, errors.New("llm: embeddings: no vectors")
		}
		list = make([][]float32, inputs)
		var buf [4]rawjson.Field
		err := rawjson.Elements(data, func(i int, v []byte) (err error) {
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

// parseNumbers reads a valid array of numbers.
func parseNumbers(array []byte) ([]float32, error) {
	v := make([]float32, 0, len(array)/8)
	for i := 1; i < len(array); {
		switch array[i] {
		case ' ', '\t', '\r', '\n', ',':
			i++
			continue
		case ']':
			return slices.Clip(v), nil
		}
		f, n, err := parseNumber(array[i:])
		if err != nil {
			return nil, err
		}
		v, i = append(v, f), i+n
	}
	return nil, errors.New("an array without an end")
}

// parseNumber reads the number that text begins with and says how long it is.
// Those of usual length need no more than one exact division; the result is
// that of strconv, which takes three times as long.
func parseNumber(text []byte) (f float32, n int, err error) {
	mantissa, scale, plain := uint64(0), 0, true
	switch c := text[0]; {
	case c == '-':
		n = 1
	case c < '0' || c > '9':
		return 0, 0, errors.New("not a number")
	}
	for point := false; n < len(text); n++ {
		c := text[n]
		if c == '.' {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		plain = plain && mantissa < 1<<53/10
		mantissa = mantissa*10 + uint64(c-'0')
		if point {
			scale--
		}
	}
	if n < len(text) && text[n]|0x20 == 'e' {
		start := n + 1
		for n++; n < len(text) && (text[n] == '-' || text[n] == '+' || text[n] >= '0' && text[n] <= '9'); n++ {
		}
		exponent, err := strconv.Atoi(string(text[start:n]))
		plain = plain && err == nil && exponent > -100 && exponent < 100
		scale += exponent
	}
	if plain && scale > -len(tens) && scale <= 0 {
		d := float64(mantissa) / tens[-scale]
		// A float64 halfway between two float32 may stand for something above or
		// below; the smallest and largest float32 have rules of their own.
		if halfway := math.Float64bits(d)&(1<<29-1) == 1<<28; !halfway && (d == 0 || d > 1e-37 && d < 1e38) {
			if text[0] == '-' {
				d = -d
			}
			return float32(d), n, nil
		}
	}
	d, err := strconv.ParseFloat(string(text[:n]), 32)
	return float32(d), n, err
}

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}
