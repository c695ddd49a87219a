package providers

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// complaint is one thing that is wrong in the file.
type complaint struct {
	line int
	path string
	text string
}

func (c complaint) Error() string {
	if c.path == "" {
		return fmt.Sprintf("gateway.yaml:%d: %s", c.line, c.text)
	}
	return fmt.Sprintf("gateway.yaml:%d: %s: %s", c.line, c.path, c.text)
}

// shape compares a document with the types that it will be read into, and
// remembers on which line everything stands.
type shape struct {
	lines map[string]int // by path: models[0].targets[1].weight
	wrong []complaint
}

// line is where path stands, or the nearest thing around it.
func (s *shape) line(path string) int {
	for {
		if n, ok := s.lines[path]; ok {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return max(1, s.lines[""])
		}
		path = path[:cut]
	}
}

func (s *shape) complain(path, format string, args ...any) {
	s.wrong = append(s.wrong, complaint{s.line(path), path, fmt.Sprintf(format, args...)})
}

func (s *shape) check(path string, node ast.Node, t reflect.Type) {
	if a, ok := node.(*ast.AnchorNode); ok {
		node = a.Value
	}
	if node == nil {
		return
	}
	if tok := node.GetToken(); tok != nil && s.lines[path] == 0 {
		s.lines[path] = tok.Position.Line
	}
	switch node.(type) {
	case *ast.NullNode, *ast.AliasNode: // nothing said, or said elsewhere
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		s.mapping(path, node, t)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			s.complain(path, "must be a list")
			return
		}
		for i, v := range list.Values {
			s.check(fmt.Sprintf("%s[%d]", path, i), v, t.Elem())
		}
	case reflect.String:
		switch node.(type) {
		case *ast.StringNode, *ast.LiteralNode:
		default:
			s.complain(path, "must be text; put it in quotes")
		}
	case reflect.Int64:
		if _, ok := node.(*ast.IntegerNode); !ok {
			s.complain(path, "must be a whole number")
		}
	case reflect.Bool:
		if _, ok := node.(*ast.BoolNode); !ok {
			s.complain(path, "must be true or false")
		}
	}
}

func (s *shape) mapping(path string, node ast.Node, t reflect.Type) {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		s.complain(path, "must be a mapping of names to values")
		return
	}
	for _, pair := range pairs {
		if pair.Key.IsMergeKey() {
			continue
		}
		name := pair.Key.GetToken().Value
		at := strings.TrimPrefix(path+"."+name, ".")
		s.lines[at] = pair.Key.GetToken().Position.Line
		if t.Kind() == reflect.Map {
			s.check(at, pair.Value, t.Elem())
		} else if f, ok := fieldOf(t, name); ok {
			s.check(at, pair.Value, f)
		} else {
			s.complain(at, "there is no such setting")
		}
	}
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == name {
			return f.Type, true
		}
	}
	return nil, false
}
