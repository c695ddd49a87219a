package rag

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	maxFilterKeys = 16
	maxFilterAny  = 64
	maxLabel      = 256 // bytes of a value that can be filtered by
)

// Filter wants documents that have, for every condition, one of its labels.
type Filter [][]string

// ParseFilter reads {"lang": "go", "year": [2025, 2026]}: every field must have
// the value, or one of the values.
func ParseFilter(param string, object []byte) (Filter, error) {
	if rawjson.IsNull(object) {
		return nil, nil
	}
	fields, err := rawjson.Object(nil, object, 8)
	if err != nil || len(fields) > maxFilterKeys {
		return nil, fault.Field(param, "'%s' must be an object of at most %d metadata fields.", param, maxFilterKeys)
	}
	var f Filter
	for _, field := range fields {
		wanted, ok := wantedLabels(field)
		if !ok {
			at := param + "." + field.Name
			return nil, fault.Field(at, "'%s' must be a string, number or boolean of at most %d bytes, or an array of 1 to %d of them.", at, maxLabel, maxFilterAny)
		}
		f = append(f, wanted)
	}
	return f, nil
}

// wantedLabels are those that a field of a filter names; it is false if that is
// none, or too many.
func wantedLabels(field rawjson.Field) (list []string, ok bool) {
	if rawjson.Kind(field.Value) != "array" {
		l, ok := label(field.Name, field.Value)
		return []string{l}, ok
	}
	err := rawjson.Elements(field.Value, func(i int, v []byte) error {
		l, ok := label(field.Name, v)
		if !ok || i >= maxFilterAny {
			return errLabel
		}
		list = append(list, l)
		return nil
	})
	return list, err == nil && len(list) > 0
}

var errLabel = errors.New("no label")

// Labels are a document's metadata as filters know it: one for every string,
// number and boolean at its top level or in an array there.
func Labels(metadata json.RawMessage) []string {
	var list []string
	for _, field := range rawjson.Fields(nil, metadata) {
		if l, ok := label(field.Name, field.Value); ok {
			list = append(list, l)
		} else if rawjson.Kind(field.Value) == "array" {
			rawjson.Elements(field.Value, func(_ int, v []byte) error {
				if l, ok := label(field.Name, v); ok {
					list = append(list, l)
				}
				return nil
			})
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// label writes a field and a value as one string in which equal values are
// equal: 1 and 1.0, but not 1 and "1".
func label(name string, value []byte) (string, bool) {
	var text string
	switch rawjson.Kind(value) {
	case "string":
		s, ok := rawjson.String(value)
		if !ok {
			return "", false
		}
		text = "s" + s
	case "number":
		n, ok := number(string(value))
		if !ok {
			return "", false
		}
		text = "n" + n
	case "boolean":
		text = "b" + string(value)
	default:
		return "", false
	}
	if len(text) > maxLabel+1 {
		return "", false
	}
	return strings.ReplaceAll(name, "=", "==") + "=" + text, true
}

// number writes a number so that equal ones are equal and others are not, however
// many digits they have: as a float64 does where that is exact, else as an
// integer and a power of ten. It is false for powers that nobody means.
func number(text string) (string, bool) {
	exact, ok := parseDecimal(text)
	if !ok || exact.digits == "0" {
		return "0", ok
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		short := strconv.FormatFloat(n, 'g', -1, 64)
		if d, ok := parseDecimal(short); ok && d == exact {
			return short, true
		}
	}
	return exact.digits + "e" + strconv.FormatInt(exact.exp, 10), true
}

// decimal is digits × 10^exp, in which digits neither begin nor end with a zero
// unless they are one.
type decimal struct {
	digits string // with a minus before them, if need be
	exp    int64
}

// parseDecimal reads a JSON number.
func parseDecimal(text string) (d decimal, ok bool) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exp, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return d, false
		}
		text, d.exp = text[:i], exp
	}
	text, minus := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(text, ".")
	all := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(all, "0")
	d.exp += int64(len(all) - len(d.digits) - len(fraction))
	switch {
	case d.digits == "":
		return decimal{digits: "0"}, true
	case minus:
		d.digits = "-" + d.digits
	}
	return d, true
}

// Match says whether a document with these labels, which are sorted, passes.
func (f Filter) Match(labels []string) bool {
	for _, wanted := range f {
		if !slices.ContainsFunc(wanted, func(l string) bool { _, ok := slices.BinarySearch(labels, l); return ok }) {
			return false
		}
	}
	return true
}
