package template

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// function is one of the few that templates have: conditions are of little use
// without comparisons. None of them makes text.
type function struct {
	least, most int // arguments
	// check is what can be said without values. Its error follows the name.
	check func([]shape) (shape, error)
	// call gets no more than a machine to charge for its work. and, or are not
	// called: they stop at the first argument that decides.
	call func(*machine, []any) (any, error)
}

const (
	// digitsPerStep is how much of a number counts as one step where it is read.
	digitsPerStep = 32

	many  = 100
	known = "Templates know eq, ne, lt, le, gt, ge, and, or, not, len, and no other functions"
)

func functionOf(name string) (f function, ok bool) {
	switch name {
	case "and", "or":
		return function{1, many, checkLogic, nil}, true
	case "not":
		return function{1, 1, checkNot, func(_ *machine, a []any) (any, error) { return !truth(a[0]), nil }}, true
	case "len":
		return function{1, 1, checkLen, length}, true
	case "eq":
		return function{2, many, checkEqual, equal}, true
	case "ne":
		return function{2, 2, checkEqual, func(m *machine, a []any) (any, error) { same, err := equal(m, a); return same == false, err }}, true
	case "lt":
		return function{2, 2, checkOrder, order(func(c int) bool { return c < 0 })}, true
	case "le":
		return function{2, 2, checkOrder, order(func(c int) bool { return c <= 0 })}, true
	case "gt":
		return function{2, 2, checkOrder, order(func(c int) bool { return c > 0 })}, true
	case "ge":
		return function{2, 2, checkOrder, order(func(c int) bool { return c >= 0 })}, true
	}
	return function{}, false
}

var errRoot = errors.New("is used with '.', which stands for all variables here")

func checkLogic(args []shape) (shape, error) {
	s := args[0]
	for _, a := range args {
		if a.root {
			return s, errRoot
		}
		if a.kind != s.kind {
			s = shape{}
		}
	}
	return s, nil
}

func checkNot(args []shape) (shape, error) {
	if args[0].root {
		return shape{}, errRoot
	}
	return shape{kind: "boolean"}, nil
}

func checkLen(args []shape) (shape, error) {
	switch {
	case args[0].root:
		return shape{}, errRoot
	case args[0].kind == "number" || args[0].kind == "boolean":
		return shape{}, fmt.Errorf("cannot measure a %s", args[0].kind)
	}
	return shape{kind: "number"}, nil
}

func checkEqual(args []shape) (shape, error) {
	kind := ""
	for _, a := range args {
		switch {
		case a.root:
			return shape{}, errRoot
		case a.kind == "array" || a.kind == "object":
			return shape{}, fmt.Errorf("cannot compare an %s", a.kind)
		case a.kind == "" || a.kind == "null":
		case kind != "" && a.kind != kind:
			return shape{}, fmt.Errorf("compares a %s with a %s", kind, a.kind)
		default:
			kind = a.kind
		}
	}
	return shape{kind: "boolean"}, nil
}

func checkOrder(args []shape) (shape, error) {
	for _, a := range args {
		if a.kind == "boolean" || a.kind == "null" {
			return shape{}, fmt.Errorf("cannot order a %s", a.kind)
		}
	}
	return checkEqual(args)
}

// truth is text/template's: zero, nothing and what is empty are false.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, _ := v.Float64() // out of range is infinite, and true
		return f != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// length counts characters, elements or fields.
func length(m *machine, args []any) (any, error) {
	n := 0
	switch v := args[0].(type) {
	case nil:
	case string:
		if err := m.work(len(v) / bytesPerStep); err != nil {
			return nil, err
		}
		n = utf8.RuneCountInString(v)
	case []any:
		n = len(v)
	case map[string]any:
		n = len(v)
	default:
		return nil, fmt.Errorf("cannot measure a %s", rawjson.KindOf(v))
	}
	return json.Number(fmt.Sprint(n)), nil
}

// equal says whether the first argument equals one of the others. Nothing but
// null equals null.
func equal(m *machine, args []any) (any, error) {
	for _, b := range args[1:] {
		a := args[0]
		if a == nil || b == nil {
			if a == nil && b == nil {
				return true, nil
			}
			continue
		}
		c, err := compare(m, a, b)
		if err != nil {
			return nil, err
		}
		if c == 0 {
			return true, nil
		}
	}
	return false, nil
}

func order(decide func(int) bool) func(*machine, []any) (any, error) {
	return func(m *machine, args []any) (any, error) {
		_, isBool := args[0].(bool)
		if isBool || args[0] == nil || args[1] == nil {
			return nil, fmt.Errorf("cannot order a %s and a %s", rawjson.KindOf(args[0]), rawjson.KindOf(args[1]))
		}
		c, err := compare(m, args[0], args[1])
		return decide(c), err
	}
}

func compare(m *machine, a, b any) (int, error) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), m.work(min(len(a), len(b)) / bytesPerStep)
		}
	case json.Number:
		if b, ok := b.(json.Number); ok {
			return compareNumbers(a, b), m.work((len(a) + len(b)) / digitsPerStep)
		}
	case bool:
		if b, ok := b.(bool); ok {
			if a == b {
				return 0, nil
			}
			return 1, nil
		}
	}
	return 0, fmt.Errorf("compares a %s with a %s", rawjson.KindOf(a), rawjson.KindOf(b))
}

// compareNumbers is exact for integers of 64 bits and for equal spellings.
func compareNumbers(a, b json.Number) int {
	if a == b {
		return 0
	}
	i, err := a.Int64()
	j, err2 := b.Int64()
	if err == nil && err2 == nil {
		return cmp.Compare(i, j)
	}
	x, _ := a.Float64() // out of range is infinite
	y, _ := b.Float64()
	return cmp.Compare(x, y)
}
