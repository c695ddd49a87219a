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

	refs     []names   // every place that the query and its filters begin at
	singular bool      // it selects at most one value
	located  bool      // Go's order of an object's members would show
	terms    int       // in its filters; 0: it has no filter
	reads    []reading // by its filters
	fixed    int       // steps of patterns that look at texts of the filters' own, for each value
}

// reading is a query in a filter.
type reading struct {
	root    bool  // it begins at the whole data, not at the value that is tested
	place   []any // names and indexes, as far as it is those
	matches bool  // a pattern looks at it, if it is a text, and nothing else does
	program int   // instructions of the patterns that may
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
	p := &path{Path: q, singular: q.Query().Singular() != nil}
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
				if err := p.filter(sel.String(), &own); err != nil {
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
func (p *path) filter(text string, own *patterns) error {
	var s scanner.Scanner
	s.Init(strings.NewReader(text))
	s.Mode, s.Error = scanner.ScanIdents|scanner.ScanInts|scanner.ScanFloats|scanner.ScanStrings, func(*scanner.Scanner, string) {}
	tokens := []string{"", ""}
	for s.Scan() != scanner.EOF {
		tokens = append(tokens, s.TokenText())
	}
	tokens = append(tokens, "", "", "", "")
	brackets, filters, loose := 0, 0, 0
	p.terms++
	first := len(p.reads)
	for i, tok := range tokens[:len(tokens)-4] {
		switch tok {
		case "?":
			filters++
		case "[":
			brackets++
		case "]":
			brackets--
		case "@", "$":
			p.terms++
			r := reading{root: tok == "$"}
			var behind int
			r.place, behind = place(tokens, i+1)
			if re := own.called(tokens[i-2], tokens[behind+1]); tokens[i-1] == "(" && tokens[behind] == "," && re != nil {
				r.matches, r.program = re.program > 0, re.program
			}
			p.reads = append(p.reads, r)
			if r.root {
				p.refs = append(p.refs, leadingNames(r.place))
			}
		case "match", "search":
			text, err := strconv.Unquote(tokens[i+2])
			switch re := own.called(tok, tokens[i+4]); {
			case tokens[i+2] == "@", tokens[i+2] == "$":
				if _, behind := place(tokens, i+3); tokens[behind] != "," || own.called(tok, tokens[behind+1]) == nil {
					loose += own.program()
				}
			case err == nil && tokens[i+3] == "," && re != nil:
				p.fixed += re.steps(len(text))
			default: // what another function gives
				loose += own.program()
			}
		}
		if filters > 1 || tok == "*" || tok == ":" || tok == "." || brackets > 0 && tok == "," {
			return errors.New("has a filter with more in it than plain paths of names and indexes")
		}
	}
	for i := range p.reads[first:] {
		p.reads[first+i].program += loose
	}
	return nil
}

// place reads the names and indexes from tokens[i] on; next is behind them.
func place(tokens []string, i int) (list []any, next int) {
	for ; tokens[i] == "["; i += 3 {
		sign := ""
		if tokens[i+1] == "-" {
			sign, i = "-", i+1
		}
		name, err := strconv.Unquote(tokens[i+1])
		n, notInt := strconv.Atoi(sign + tokens[i+1])
		switch {
		case tokens[i+2] == "]" && err == nil && sign == "":
			list = append(list, name)
		case tokens[i+2] == "]" && notInt == nil:
			list = append(list, n)
		default:
			return list, i
		}
	}
	return list, i
}

// leadingNames are the names that a place begins with.
func leadingNames(place []any) (list names) {
	for _, at := range place {
		name, ok := at.(string)
		if !ok {
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
	if err := spend(0); err != nil { // where there is nothing left, nothing is counted either
		return nil, false, err
	}
	steps := p.cost(data)
	if steps > maxOnce {
		if err := spend(maxOnce / countSteps); err != nil {
			return nil, false, err
		}
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
