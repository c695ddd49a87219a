package chain

import (
	"bytes"
	"encoding/json"
	"math/big"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// decode reads JSON with its numbers as they are written; nil for none.
func decode(raw []byte) any {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil // what comes here was checked before
	}
	return v
}

// encode writes a step's output. It fails above what a step may hand on, and
// does not begin to make what is larger: a value may be in it many times.
func encode(v any) (json.RawMessage, error) {
	if rawjson.AtLeast(v, maxOutput) > maxOutput {
		return nil, fault.New(fault.TooLarge, "The output has more than %d bytes.", maxOutput)
	}
	out, err := rawjson.Marshal(v)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "Internal error.")
	}
	if len(out) > maxOutput {
		return nil, fault.New(fault.TooLarge, "The output has %d bytes; the limit is %d.", len(out), maxOutput)
	}
	return out, nil
}

// equal compares JSON values: numbers by their value, objects whatever their
// order.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		n, ok := b.(json.Number)
		return ok && (a == n || sameNumber(a, n))
	case []any:
		l, ok := b.([]any)
		if !ok || len(a) != len(l) {
			return false
		}
		for i := range a {
			if !equal(a[i], l[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		o, ok := b.(map[string]any)
		if !ok || len(a) != len(o) {
			return false
		}
		for k, v := range a {
			if w, ok := o[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return rawjson.KindOf(a) == rawjson.KindOf(b) && a == b
}

// sameNumber compares exactly where that is cheap; 1e999999999 is not expanded.
func sameNumber(a, b json.Number) bool {
	if len(a) > 40 || len(b) > 40 || bytes.ContainsAny([]byte(a+b), "eE") {
		x, errX := a.Float64()
		y, errY := b.Float64()
		return errX == nil && errY == nil && x == y
	}
	x, okX := new(big.Rat).SetString(string(a))
	y, okY := new(big.Rat).SetString(string(b))
	return okX && okY && x.Cmp(y) == 0
}
