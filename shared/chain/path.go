package chain

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/scanner"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/template"
)

const (
	maxPath      = 1 << 10 // bytes
	maxSegments  = 32
	maxSelectors = 16
)

// path is a JSONPath query over a step's data. What it may hold is bounded so
// that selecting takes time in proportion to the data: RFC 9535 alone allows
// [0,0][0,0]… and $..[?@..*], which do not.
type path struct {
	*jsonpath.Path

	refs     []names // every place that the query and its filters begin at
	singular bool    // it selects at most one value
	located  bool    // Go's order of an object's members would show
	terms    int     // queries in its filters; 0: it has no filter
	program  int     // instructions of all patterns in its filters
}

// names is the beginning of a path or of a template's field, as far as it is
// names only: input, topic.
type names []string

func parsePath(src string) (*path, error) {
	if len(src) > maxPath {
		return nil, errors.New("is longer than a selection may be")
	}
	var own patterns
	q, err := jsonpath.NewParser(jsonpath.WithRegistry(own.functions())).Parse(src)
	if err != nil {
		return nil, errors.New("is no JSONPath: " + strings.TrimPrefix(err.Error(), "jsonpath: "))
	}
	p := &path{Path: q, singular: q.Query().Singular() != nil, program: own.program()}
	several, descents := 0, 0
	segments := q.Query().Segments()
	for _, s := range segments {
		if len(s.Selectors()) > 1 {
			several++
		}
		if s.IsDescendant() {
			descents++
			p.located = true
		}
		if len(s.Selectors()) > maxSelectors || len(segments) > maxSegments {
			return nil, errors.New("has too many selectors")
		}
		for _, sel := range s.Selectors() {
			switch sel := sel.(type) {
			case spec.WildcardSelector:
				p.located = true
			case *spec.FilterSelector:
				p.located = true
				if err := p.filter(sel.String()); err != nil {
					return nil, err
				}
			}
		}
	}
	if several > 1 || descents > 1 {
		return nil, errors.New("may have one '..' and one list of selectors, not more")
	}
	p.refs = append(p.refs, leading(segments))
	return p, nil
}

// leading returns the names that segments begin with.
func leading(segments []*spec.Segment) (list names) {
	for _, s := range segments {
		if s.IsDescendant() || len(s.Selectors()) != 1 {
			break
		}
		n, ok := s.Selectors()[0].(spec.Name)
		if !ok {
			break
		}
		list = append(list, string(n))
	}
	return list
}

// filter takes filters that compare and test plain paths. text is canonical:
// names are in brackets and quotes.
func (p *path) filter(text string) error {
	var s scanner.Scanner
	s.Init(strings.NewReader(text))
	s.Mode, s.Error = scanner.ScanIdents|scanner.ScanInts|scanner.ScanFloats|scanner.ScanStrings, func(*scanner.Scanner, string) {}
	var tokens []string
	for s.Scan() != scanner.EOF {
		tokens = append(tokens, s.TokenText())
	}
	brackets, filters := 0, 0
	p.terms++
	for i, tok := range tokens {
		switch tok {
		case "?":
			filters++
		case "[":
			brackets++
		case "]":
			brackets--
		case "@":
			p.terms++
		case "$":
			p.terms++
			p.refs = append(p.refs, root(tokens[i+1:]))
		}
		if filters > 1 || tok == "*" || tok == ":" || tok == "." || brackets > 0 && tok == "," {
			return errors.New("has a filter with more in it than plain paths of names and indexes")
		}
	}
	return nil
}

// root reads the names of a query whose $ is before tokens.
func root(tokens []string) (list names) {
	for ; len(tokens) >= 3 && tokens[0] == "[" && tokens[2] == "]"; tokens = tokens[3:] {
		name, err := strconv.Unquote(tokens[1])
		if err != nil {
			break
		}
		list = append(list, name)
	}
	return list
}

// selects returns the value that p selects, or all of them as a list if it
// may select several: in the order of the document, members of objects in the
// order of their names. ok is false if there is none where there may be one. It
// fails with fault.Unprocessable where that would take too long, and as spend
// does.
func (p *path) selects(data map[string]any, spend template.Spend) (v any, ok bool, err error) {
	steps := p.cost(data)
	if steps > maxOnce {
		return nil, false, &fault.Error{Kind: fault.Unprocessable, Code: "chain_work_exceeded",
			Message: fmt.Sprintf("%.200s takes too long over so much data: select from less, or with simpler filters.", p)}
	}
	if err := spend(steps); err != nil {
		return nil, false, err
	}
	if p.singular {
		nodes := p.Select(data)
		if len(nodes) == 0 {
			return nil, false, nil
		}
		return nodes[0], true, nil
	}
	list := []any{}
	if p.located {
		nodes := p.SelectLocated(data)
		nodes.Sort()
		for n := range nodes.Nodes() {
			list = append(list, n)
		}
		return list, true, nil
	}
	return append(list, p.Select(data)...), true, nil
}

// one is selects for paths that must find something.
func (p *path) one(data map[string]any, spend template.Spend) (any, error) {
	v, ok, err := p.selects(data, spend)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.Unprocessable, "%s selects nothing.", p)
	}
	return v, nil
}
