package echo

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// filler is the text where a schema only wants some.
	filler = "echo"
	// A schema can demand a million items, or refer to itself: maxSample bounds
	// the example's size, maxWork the bytes read for it, where each value counts
	// as perValue at least.
	maxSample = 64 << 10
	maxWork   = 8 << 20
	perValue  = 2 << 10
)

var errTooMuch = errors.New("it demands too much")

// sample writes a small value that fits a JSON Schema: only what is required,
// by type. It understands type, enum, const, properties, required,
// items, prefixItems, bounds of numbers, lengths and items, the usual formats,
// local $ref, allOf, and of anyOf and oneOf the first. It does not understand
// pattern, uniqueItems and what forbids (not, if, propertyNames).
func sample(schema []byte) (string, error) {
	s := sampler{root: schema}
	err := s.value(schema)
	return string(s.out), err
}

// object writes pairs of names and strings.
func object(pairs ...string) []byte {
	out := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.AppendString(out, pairs[i])
		out = append(out, ':')
		out = rawjson.AppendString(out, pairs[i+1])
	}
	return append(out, '}')
}

type sampler struct {
	root []byte
	out  []byte
	work int
}

// flat is a schema with all that applies to the same value laid side by side:
// its own keywords, those that it refers to, and one branch of each choice.
type flat [][]rawjson.Field

// get returns the first value of a keyword, or nil.
func (f flat) get(keyword string) []byte {
	for _, fields := range f {
		if v := rawjson.Get(fields, keyword); v != nil {
			return v
		}
	}
	return nil
}

func (f flat) number(keyword string) (float64, bool) {
	v, err := strconv.ParseFloat(string(f.get(keyword)), 64)
	return v, err == nil
}

func (f flat) count(keyword string) (int64, bool) { return rawjson.Int(f.get(keyword)) }

// spend is asked before work that reads so many bytes.
func (s *sampler) spend(bytes int) error {
	if s.work += bytes; s.work > maxWork || len(s.out) > maxSample {
		return errTooMuch
	}
	return nil
}

func (s *sampler) flatten(f flat, schema []byte) (flat, error) {
	if err := s.spend(perValue + len(schema)); err != nil {
		return nil, err
	}
	if rawjson.Kind(schema) != "object" { // true, or nothing that is understood
		return f, nil
	}
	fields := rawjson.Fields(nil, schema)
	f = append(f, fields)
	var branches [][]byte
	if ref, ok := rawjson.String(rawjson.Get(fields, "$ref")); ok {
		target, err := s.resolve(ref)
		if err != nil {
			return nil, err
		}
		branches = append(branches, target)
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		list := elements(rawjson.Get(fields, keyword))
		if keyword != "allOf" {
			list = list[:min(1, len(list))]
		}
		branches = append(branches, list...)
	}
	var err error
	for _, b := range branches {
		if f, err = s.flatten(f, b); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// resolve follows a local reference such as #/$defs/city. It returns nil for
// any other.
func (s *sampler) resolve(ref string) ([]byte, error) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, nil
	}
	v := s.root
	for _, name := range strings.Split(path, "/")[1:] {
		if rawjson.Kind(v) != "object" {
			return nil, nil
		}
		if err := s.spend(len(v)); err != nil {
			return nil, err
		}
		v = rawjson.Get(rawjson.Fields(nil, v), strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
	}
	return v, nil
}

func elements(list []byte) (values [][]byte) {
	if rawjson.Kind(list) == "array" {
		rawjson.Elements(list, func(_ int, v []byte) error {
			values = append(values, v)
			return nil
		})
	}
	return values
}

func (s *sampler) value(schema []byte) error {
	f, err := s.flatten(nil, schema)
	if err != nil {
		return err
	}
	if v := f.get("const"); v != nil {
		s.out = append(s.out, v...)
		return nil
	}
	if list := elements(f.get("enum")); len(list) > 0 {
		s.out = append(s.out, list[0]...)
		return nil
	}
	switch f.kind() {
	case "object":
		return s.object(f)
	case "array":
		return s.array(f)
	case "string":
		return s.text(f)
	case "integer":
		s.out = append(s.out, numeral(f.choose(1))...)
	case "number":
		s.out = append(s.out, numeral(f.choose(0))...)
	case "boolean":
		s.out = append(s.out, "false"...)
	default:
		s.out = append(s.out, "null"...)
	}
	return nil
}

// kind is the type to make: the first that is named, but null last, or the one
// that the keywords are about.
func (f flat) kind() string {
	v := f.get("type")
	if name, ok := rawjson.String(v); ok {
		return name
	}
	for _, e := range elements(v) {
		if name, _ := rawjson.String(e); name != "null" {
			return name
		}
	}
	switch {
	case f.get("properties") != nil || f.get("required") != nil:
		return "object"
	case f.get("items") != nil || f.get("minItems") != nil || f.get("prefixItems") != nil:
		return "array"
	case f.get("minLength") != nil || f.get("maxLength") != nil || f.get("format") != nil:
		return "string"
	case f.get("minimum") != nil || f.get("maximum") != nil || f.get("multipleOf") != nil:
		return "number"
	}
	return "null"
}

func (s *sampler) object(f flat) error {
	var properties []rawjson.Field // of all parts
	for _, fields := range f {
		if p := rawjson.Get(fields, "properties"); rawjson.Kind(p) == "object" {
			properties = rawjson.Fields(properties, p)
		}
	}
	wrote := map[string]bool{}
	s.out = append(s.out, '{')
	for _, fields := range f {
		for _, r := range elements(rawjson.Get(fields, "required")) {
			name, ok := rawjson.String(r)
			if !ok || wrote[name] {
				continue
			}
			if len(wrote) > 0 {
				s.out = append(s.out, ',')
			}
			wrote[name] = true
			s.out = rawjson.AppendString(s.out, name)
			s.out = append(s.out, ':')
			if err := s.spend(len(properties)); err != nil { // which are searched
				return err
			}
			schema := rawjson.Get(properties, name)
			if schema == nil {
				schema = f.get("additionalProperties")
			}
			if err := s.value(schema); err != nil {
				return err
			}
		}
	}
	s.out = append(s.out, '}')
	return nil
}

func (s *sampler) array(f flat) error {
	n, _ := f.count("minItems")
	prefix := elements(f.get("prefixItems"))
	s.out = append(s.out, '[')
	for i := range n {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		item := f.get("items")
		if i < int64(len(prefix)) {
			item = prefix[i]
		}
		if err := s.value(item); err != nil {
			return err
		}
	}
	s.out = append(s.out, ']')
	return nil
}

// formats are examples of the formats that OpenAI's strict schemas know.
var formats = map[string]string{
	"date": "1970-01-01", "time": "00:00:00Z", "date-time": "1970-01-01T00:00:00Z", "duration": "PT0S",
	"email": "echo@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	"uri": "https://example.com/", "uuid": "00000000-0000-4000-8000-000000000000",
}

func (s *sampler) text(f flat) error {
	text := filler
	if format, ok := rawjson.String(f.get("format")); ok && formats[format] != "" {
		text = formats[format]
	}
	n := int64(utf8.RuneCountInString(text))
	if least, ok := f.count("minLength"); ok && least > n {
		if least > maxSample {
			return errTooMuch
		}
		text += strings.Repeat(".", int(least-n))
	}
	if most, ok := f.count("maxLength"); ok && 0 <= most && most < n {
		text = text[:most] // all of ours are ASCII
	}
	s.out = rawjson.AppendString(s.out, text)
	return nil
}

// choose returns the allowed number that is nearest to 0, in steps of unit or
// of multipleOf; a unit of 0 allows all numbers.
func (f flat) choose(unit float64) float64 {
	low, high := math.Inf(-1), math.Inf(1)
	nudge := unit
	if m, ok := f.number("multipleOf"); ok && m > 0 {
		unit, nudge = m, m
	}
	if v, ok := f.number("minimum"); ok {
		low = v
	}
	if v, ok := f.number("maximum"); ok {
		high = v
	}
	over, isOver := f.number("exclusiveMinimum")
	under, isUnder := f.number("exclusiveMaximum")
	if unit == 0 { // between two numbers that are excluded lies their middle
		if nudge = 1; isOver && isUnder {
			nudge = (under - over) / 2
		} else if isOver && high > over {
			nudge = min(1, high-over)
		} else if isUnder && low < under {
			nudge = min(1, under-low)
		}
	}
	if isOver {
		low = max(low, step(over, unit, math.Floor)+nudge)
	}
	if isUnder {
		high = min(high, step(under, unit, math.Ceil)-nudge)
	}
	switch {
	case low > 0:
		return step(low, unit, math.Ceil)
	case high < 0:
		return step(high, unit, math.Floor)
	}
	return 0
}

func step(v, unit float64, round func(float64) float64) float64 {
	if unit == 0 {
		return v
	}
	return round(v/unit) * unit
}

func numeral(v float64) []byte {
	text, err := json.Marshal(v)
	if err != nil { // infinite: the schema's bounds contradict each other
		return []byte("0")
	}
	return text
}
