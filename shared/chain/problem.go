package chain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Problem is one thing that is wrong with a chain or its input.
type Problem struct {
	Param   string `json:"param"` // the field: "steps[2].user"
	Message string `json:"message"`

	later bool // it is known, but not built yet
}

// Problems are all that were found; a fault.Error carries them as its cause.
type Problems []Problem

func (p Problems) Error() string { return strconv.Itoa(len(p)) + " problems" }

// all tells of all problems, one sentence each.
func (p Problems) all() string {
	var b strings.Builder
	for i, one := range p {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(one.Message)
	}
	return b.String()
}

// fault is the error for p; nil if there are none. It names the first field,
// and tells of all.
func (p Problems) fault(code string) error {
	if len(p) == 0 {
		return nil
	}
	f := &fault.Error{Kind: fault.Invalid, Code: code, Param: p[0].Param, Message: p.all(), Err: p}
	if !slices.ContainsFunc(p, func(one Problem) bool { return !one.later }) {
		f.Kind, f.Code = fault.Unimplemented, "not_implemented"
	}
	return f
}

func (p *Problems) add(at, format string, args ...any) {
	if len(*p) < maxProblems {
		*p = append(*p, Problem{Param: at, Message: fmt.Sprintf("'%s' ", at) + fmt.Sprintf(format, args...) + "."})
	}
}

// take adds what a check of another package found.
func (p *Problems) take(err error) {
	if f := fault.As(err); len(*p) < maxProblems {
		*p = append(*p, Problem{Param: f.Param, Message: f.Message})
	}
}

// maxDigits bounds the numbers that a run reads: each comparison would read
// all of them again.
const maxDigits = 100

// digits notes the numbers in value that are too long, each at its place.
func (p *Problems) digits(at string, value []byte) {
	if rawjson.LongNumber(value, maxDigits) { // which is seldom, and soon found out
		walk([]byte(at), value, func(at, v []byte) {
			if rawjson.Kind(v) == "number" && rawjson.LongNumber(v, maxDigits) {
				p.add(string(at), "is a number of more than %d digits", maxDigits)
			}
		})
	}
}

// twice notes the members that an object in value has twice: readers take one or
// the other.
func (p *Problems) twice(at string, value []byte) {
	walk([]byte(at), value, func(at, v []byte) {
		if rawjson.Kind(v) != "object" {
			return
		}
		fields := rawjson.Fields(nil, v)
		slices.SortStableFunc(fields, func(a, b rawjson.Field) int { return strings.Compare(a.Name, b.Name) })
		for i, f := range fields {
			if i > 0 && f.Name == fields[i-1].Name {
				p.add(string(at)+"."+f.Name, "is given twice")
			}
		}
	})
}

// walk calls do for every value in one, with its place, which do must not keep.
func walk(at, value []byte, do func(at, v []byte)) {
	do(at, value)
	switch rawjson.Kind(value) {
	case "array":
		_ = rawjson.Elements(value, func(i int, e []byte) error {
			walk(append(strconv.AppendInt(append(at, '['), int64(i), 10), ']'), e, do)
			return nil
		})
	case "object":
		for _, f := range rawjson.Fields(nil, value) {
			walk(append(append(at, '.'), f.Name...), f.Value, do)
		}
	}
}

// object reads the fields of a JSON object and notes what is wrong with them.
type object struct {
	p      *Problems
	at     string // "" for the body itself
	fields []rawjson.Field
	known  []string
	open   bool // it takes any name
}

// object opens value, which must be an object; else it notes so and returns
// false.
func (p *Problems) object(at string, value []byte) (*object, bool) {
	if rawjson.Kind(value) != "object" {
		p.add(at, "must be an object")
		return nil, false
	}
	return &object{p: p, at: at, fields: rawjson.Fields(nil, value)}, true
}

func (o *object) path(name string) string {
	if o.at == "" {
		return name
	}
	return o.at + "." + name
}

// get returns a field, nil if it is absent or null, and notes that it is known.
func (o *object) get(name string) []byte {
	o.known = append(o.known, name)
	if v := rawjson.Get(o.fields, name); !rawjson.IsNull(v) {
		return v
	}
	return nil
}

// given says whether a field is there, even if it is null.
func (o *object) given(name string) bool { return rawjson.Get(o.fields, name) != nil }

// rest notes the fields that nobody asked for, and those that are there twice.
func (o *object) rest() {
	seen := make(map[string]bool, len(o.fields))
	for _, f := range o.fields {
		switch {
		case !o.open && !slices.Contains(o.known, f.Name):
			o.p.add(o.path(f.Name), "is not known here")
		case seen[f.Name]:
			o.p.add(o.path(f.Name), "is given twice")
		}
		seen[f.Name] = true
	}
}

func (o *object) str(name string, most int) string {
	v := o.get(name)
	if v == nil {
		return ""
	}
	s, ok := rawjson.String(v)
	switch {
	case !ok:
		o.p.add(o.path(name), "must be a string")
	case len(s) > most:
		o.p.add(o.path(name), "has %d bytes; the limit is %d", len(s), most)
		return ""
	}
	return s
}

func (o *object) boolean(name string) bool {
	v := o.get(name)
	if v != nil && rawjson.Kind(v) != "boolean" {
		o.p.add(o.path(name), "must be a boolean")
	}
	return string(v) == "true"
}

// integer returns a number from low to high, or ifNone.
func (o *object) integer(name string, low, high, ifNone int64) int64 {
	v := o.get(name)
	if v == nil {
		return ifNone
	}
	n, ok := rawjson.Int(v)
	if !ok || n < low || n > high {
		o.p.add(o.path(name), "must be an integer from %d to %d", low, high)
		return ifNone
	}
	return n
}

// dollars returns a positive amount, or 0 if there is none.
func (o *object) dollars(name string) usage.Nano {
	v := o.get(name)
	if v == nil {
		return 0
	}
	usd, err := strconv.ParseFloat(string(v), 64)
	if err != nil || !(usd > 0 && usd <= 999_999) {
		o.p.add(o.path(name), "must be a positive number of dollars")
		return 0
	}
	return max(1, usage.FromUSD(usd))
}

// list returns the strings of an array.
func (o *object) list(name string, most int) (list []string) {
	v := o.get(name)
	if v == nil {
		return nil
	}
	ok := rawjson.Kind(v) == "array"
	if ok {
		_ = rawjson.Elements(v, func(_ int, e []byte) error {
			s, is := rawjson.String(e)
			ok = ok && is && s != ""
			list = append(list, s)
			return nil
		})
	}
	if !ok || len(list) > most {
		o.p.add(o.path(name), "must be an array of at most %d strings", most)
		return nil
	}
	return list
}
