package chain

import (
	"encoding/json"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/template"
)

// test is the question that a condition asks.
type test struct {
	path  *path
	op    string
	value any // what it compares with, decoded
	list  []any
	re    *regex
	num   float64
	yes   bool // of exists
}

var operators = []string{"exists", "equals", "not_equals", "matches", "in", "gt", "lt"}

func (p *Problems) test(at string, v []byte, s *Step) *test {
	o, ok := p.object(at, v)
	if !ok {
		return nil
	}
	t := &test{path: p.path(o.path("path"), o.get("path"))}
	u := use{at: o.path("path"), path: t.path}
	var given []byte
	for _, op := range operators {
		if raw := rawjson.Get(o.fields, op); raw != nil {
			if t.op != "" {
				p.add(o.path(op), "is one question too many: there is '%s'", t.op)
			}
			t.op, given = op, raw
		}
		o.known = append(o.known, op)
	}
	o.rest()
	valueAt := o.path(t.op)
	p.twice(valueAt, given)
	switch t.op {
	case "":
		p.add(at, "must ask a question: %s", fault.Choice(operators))
	case "exists":
		t.yes = string(given) == "true"
		if rawjson.Kind(given) != "boolean" {
			p.add(valueAt, "must be a boolean")
		}
	case "equals", "not_equals":
		t.value = decode(given)
		if u.kind = rawjson.Kind(given); u.kind == "null" {
			u.kind = ""
		}
	case "matches":
		src, ok := rawjson.String(given)
		re, err := compile(src, false)
		switch {
		case !ok:
			p.add(valueAt, "must be a regular expression (RE2) of at most %d bytes", maxPath)
		case err != nil:
			p.add(valueAt, "%s", err)
		}
		t.re, u.kind = re, "string"
	case "in":
		list, ok := decode(given).([]any)
		if !ok || len(list) == 0 || len(list) > MaxItems {
			p.add(valueAt, "must be an array of 1 to %d values", MaxItems)
		}
		t.list = list
	case "gt", "lt":
		n, err := strconv.ParseFloat(string(given), 64)
		if rawjson.Kind(given) != "number" || err != nil {
			p.add(valueAt, "must be a number")
		}
		t.num, u.kind = n, "number"
	}
	if t.path != nil {
		u.refs = t.path.refs
		if !t.path.singular {
			p.add(u.at, "must select one value")
			u.kind = ""
		}
		s.uses = append(s.uses, u)
	}
	return t
}

// holds answers the question of t.
func (t *test) holds(data map[string]any, spend template.Spend) (bool, error) {
	v, found, err := t.path.selects(data, spend)
	if err != nil {
		return false, err
	}
	switch t.op {
	case "exists":
		return (found && v != nil) == t.yes, nil
	case "equals":
		return found && equal(v, t.value), nil
	case "not_equals":
		return !found || !equal(v, t.value), nil
	case "in":
		for _, one := range t.list {
			if found && equal(v, one) {
				return true, nil
			}
		}
		return false, nil
	}
	if v == nil { // nothing matches, and is neither more nor less
		return false, nil
	}
	if t.op == "matches" {
		s, ok := v.(string)
		if !ok {
			return false, fault.New(fault.Unprocessable, "%s is of type %s; only a string can match.", t.path, rawjson.KindOf(v))
		}
		return t.re.matches(s, spend)
	}
	n, ok := v.(json.Number)
	if !ok {
		return false, fault.New(fault.Unprocessable, "%s is of type %s; only numbers can be compared.", t.path, rawjson.KindOf(v))
	}
	f, err := n.Float64()
	if err != nil {
		return false, fault.New(fault.Unprocessable, "%s is too large a number.", t.path)
	}
	if t.op == "gt" {
		return f > t.num, nil
	}
	return f < t.num, nil
}
