package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Bounds of the YAML in a file. Its parser takes quadratic time for what is
// nested, before it can be asked how deep that is.
const (
	maxYAML    = 96 << 10 // bytes
	maxNesting = llm.MaxDepth
)

// yamlToJSON reads an object. It knows YAML as far as people write it by hand:
// no anchors, aliases and tags, and names are strings. Numbers stay as they were
// written.
func yamlToJSON(text string) ([]byte, error) {
	if strings.TrimSpace(text) == "" {
		return []byte("{}"), nil
	}
	if len(text) > maxYAML {
		return nil, wrong("", "The YAML of the file has %d bytes; the limit is %d. Put the texts into sections.", len(text), maxYAML)
	}
	tokens := lexer.Tokenize(text)
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, wrong("", "The file must hold one object in YAML.")
	}
	return appendNode(nil, file.Docs[0].Body, maxNesting)
}

// checkNesting looks at what nests without indentation: brackets, and signs that
// follow each other in a line.
func checkNesting(tokens token.Tokens) error {
	line, signs, brackets := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, signs = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceEntryType, token.MappingKeyType:
			signs++
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		}
		if max(signs, brackets) > maxNesting {
			return tooDeep(line)
		}
	}
	return nil
}

func tooDeep(line int) error {
	return wrong("", "The YAML of the file is nested too deeply in its line %d.", line)
}

func yamlError(err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		return wrong("", "The YAML of the file is wrong in its line %d: %s.", e.GetToken().Position.Line, e.GetMessage())
	}
	return wrong("", "The YAML of the file is wrong: %v.", err)
}

// appendNode appends a YAML node as JSON.
func appendNode(dst []byte, n ast.Node, depth int) ([]byte, error) {
	line := func() int {
		if t := n.GetToken(); t != nil && t.Position != nil {
			return t.Position.Line
		}
		return 0
	}
	if depth == 0 {
		return nil, tooDeep(line())
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return append(dst, "null"...), nil
	case *ast.BoolNode:
		return fmt.Append(dst, n.Value), nil
	case *ast.StringNode:
		if n.Token.Type == token.StringType && isNumber(n.Value) { // 1e6, which the parser does not know
			return append(dst, n.Value...), nil
		}
		return rawjson.AppendString(dst, n.Value), nil
	case *ast.LiteralNode:
		return rawjson.AppendString(dst, n.Value.Value), nil
	case *ast.IntegerNode:
		return appendNumber(dst, n.Token.Value, n.Value), nil
	case *ast.FloatNode:
		return appendNumber(dst, n.Token.Value, n.Value), nil
	case *ast.MappingValueNode: // an object of one field
		return appendMapping(dst, []*ast.MappingValueNode{n}, depth)
	case *ast.MappingNode:
		return appendMapping(dst, n.Values, depth)
	case *ast.SequenceNode:
		dst = append(dst, '[')
		for i, v := range n.Values {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendNode(dst, v, depth-1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	return nil, wrong("", "The YAML of the file has something in its line %d that JSON has not: %s.", line(), n.Type())
}

func appendMapping(dst []byte, values []*ast.MappingValueNode, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		name, ok := v.Key.(*ast.StringNode)
		if !ok {
			return nil, wrong("", "The YAML of the file has a name that is not a string in its line %d: put %s in quotes.", v.Start.Position.Line, v.Key.String())
		}
		dst = append(rawjson.AppendString(dst, name.Value), ':')
		var err error
		if dst, err = appendNode(dst, v.Value, depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendNumber keeps the spelling where JSON has it.
func appendNumber(dst []byte, spelling string, value any) []byte {
	if isNumber(spelling) {
		return append(dst, spelling...)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return append(dst, "null"...) // infinite
	}
	return append(dst, text...)
}

// isNumber says whether JSON takes s for a number.
func isNumber(s string) bool {
	return rawjson.Kind([]byte(s)) == "number" && strings.TrimSpace(s) == s && rawjson.Valid([]byte(s), 1) == nil
}

// maxIndent is where block style ends and the rest stands in one line.
const maxIndent = 8

// appendYAMLField writes a field in block style, indented by indent; the
// indentation of its first line is there already.
func appendYAMLField(dst []byte, name string, value []byte, indent int) []byte {
	dst = append(appendScalar(dst, rawjson.AppendString(nil, name)), ':')
	fields := rawjson.Fields(nil, objectOrEmpty(value))
	if len(fields) == 0 || indent >= maxIndent {
		return append(appendScalar(append(dst, ' '), value), '\n')
	}
	dst = append(dst, '\n')
	for _, f := range fields {
		dst = append(dst, strings.Repeat(" ", indent+2)...)
		dst = appendYAMLField(dst, f.Name, f.Value, indent+2)
	}
	return dst
}

func objectOrEmpty(value []byte) []byte {
	if rawjson.Kind(value) == "object" {
		return value
	}
	return []byte("{}")
}

// appendFlow writes a value in one line.
func appendFlow(dst []byte, value []byte) []byte {
	switch rawjson.Kind(value) {
	case "object":
		dst = append(dst, '{')
		for i, f := range rawjson.Fields(nil, value) {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendQuoted(dst, f.Name), ": "...)
			dst = appendFlow(dst, f.Value)
		}
		return append(dst, '}')
	case "array":
		dst = append(dst, '[')
		rawjson.Elements(value, func(i int, v []byte) error {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendFlow(dst, v)
			return nil
		})
		return append(dst, ']')
	case "string":
		s, _ := rawjson.String(value)
		return appendQuoted(dst, s)
	}
	return append(dst, value...)
}

// plain are strings that need no quotes whatever follows; words that YAML takes
// for something else do.
var (
	plain    = pattern.Pattern{Expr: `^[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*[.]?$`}
	reserved = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
)

func appendScalar(dst, value []byte) []byte {
	if s, ok := rawjson.String(value); ok && plain.Match(s) && !slices.Contains(reserved, strings.ToLower(s)) {
		return append(dst, s...)
	}
	return appendFlow(dst, value)
}

// appendQuoted writes s as JSON does, and what cannot be seen as escapes.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case unicode.IsPrint(r):
			dst = append(dst, string(r)...)
		case r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
	}
	return append(dst, '"')
}
