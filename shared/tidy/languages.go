package tidy

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"go/format"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	yamlparser "github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"
	"github.com/pelletier/go-toml/v2"
	"mvdan.cc/sh/v3/syntax"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/sqltext"
)

func checkGo(f codegen.File) (list []codegen.Diagnostic) {
	_, err := parser.ParseFile(token.NewFileSet(), "", f.Content, parser.AllErrors|parser.SkipObjectResolution)
	if found, ok := errors.AsType[scanner.ErrorList](err); ok {
		for _, e := range found {
			list = append(list, wrong("go", e.Pos.Line, e.Pos.Column, e.Msg))
		}
	}
	return list
}

func formatGo(f codegen.File) (string, bool) {
	text, err := format.Source([]byte(f.Content))
	return string(text), err == nil
}

func checkJSON(f codegen.File) []codegen.Diagnostic {
	var v json.RawMessage
	err := json.Unmarshal([]byte(f.Content), &v)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		line, column := place(f.Content, int(e.Offset)-1)
		return []codegen.Diagnostic{wrong("json", line, column, e.Error())}
	}
	return nil
}

func formatJSON(f codegen.File) (string, bool) {
	var b bytes.Buffer
	if json.Indent(&b, []byte(strings.TrimSpace(f.Content)), "", "  ") != nil {
		return "", false
	}
	b.WriteByte('\n')
	return b.String(), true
}

// isTemplate says that a file is to become its language only after a template
// engine has run.
func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

// nested bounds what brackets do not show: blocks within blocks in one line, lines,
// and tags at their ends, each of which the parser gives what follows as its value.
func nested(text string) bool {
	if strings.Count(text, "\n") > maxLines {
		return true
	}
	tags := 0
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, " #")
		code = strings.TrimRight(code, space)
		if last := code[strings.LastIndexAny(code, " \t")+1:]; strings.HasPrefix(last, "!") {
			tags++
		}
		if tags > maxTags {
			return true
		}
		if strings.Count(line, "- ")+strings.Count(line, "? ") > 100 && strings.Trim(line, "-? \r\n") != strings.TrimSpace(line) || strings.Count(line, ": ") > 1000 {
			return true
		}
	}
	return false
}

func checkYAML(f codegen.File) []codegen.Diagnostic {
	switch {
	case isTemplate(f.Content):
		return nil
	case nested(f.Content):
		return unchecked(f, "It has more lines, or is nested deeper, than people write.")
	}
	_, err := yamlparser.ParseBytes([]byte(f.Content), 0)
	if e, ok := errors.AsType[yaml.Error](err); ok {
		line, column := 0, 0
		if t := e.GetToken(); t != nil && t.Position != nil {
			line, column = t.Position.Line, t.Position.Column
		}
		return []codegen.Diagnostic{wrong("yaml", line, column, e.GetMessage())}
	}
	if err != nil {
		return describe("yaml", err)
	}
	return nil
}

// formatYAML takes the printed form only if it has the same values, the same
// comments and the same documents, and printing it again changes nothing.
func formatYAML(f codegen.File) (string, bool) {
	if isTemplate(f.Content) || nested(f.Content) {
		return "", false
	}
	text, marks, ok := printYAML(f.Content)
	if !ok {
		return "", false
	}
	again, same, ok := printYAML(text)
	if !ok || again != text || !slices.Equal(marks, same) {
		return "", false
	}
	before, ok := valuesOf(f.Content)
	after, fine := valuesOf(text)
	return text, ok && fine && reflect.DeepEqual(before, after)
}

// printYAML returns the printed form and the comments, tags, anchors and
// directives of text, which values do not show.
func printYAML(text string) (printed string, marks []string, ok bool) {
	tokens := lexer.Tokenize(text)
	for _, t := range tokens {
		switch t.Type {
		case yamltoken.AliasType, yamltoken.MergeKeyType:
			return "", nil, false // values could grow beyond all bounds
		case yamltoken.CommentType, yamltoken.TagType, yamltoken.AnchorType, yamltoken.DirectiveType, yamltoken.DocumentHeaderType, yamltoken.DocumentEndType:
			marks = append(marks, t.Type.String()+strings.TrimSpace(t.Value))
		}
	}
	file, err := yamlparser.Parse(tokens, yamlparser.ParseComments)
	if err != nil || !scalarsArePlain(file) {
		return "", nil, false
	}
	printed = strings.TrimRight(file.String(), "\n") + "\n"
	return printed, marks, len(printed) <= 4*len(text)+4096 // more is misread, and grows again
}

// scalarsArePlain refuses block scalars, whose space is content.
func scalarsArePlain(file *ast.File) bool {
	plain := true
	for _, doc := range file.Docs {
		ast.Walk(visitor(func(n ast.Node) {
			if n.Type() == ast.LiteralType {
				plain = false
			}
		}), doc)
	}
	return plain
}

type visitor func(ast.Node)

func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}

func valuesOf(text string) (list []any, ok bool) {
	dec := yaml.NewDecoder(strings.NewReader(text), yaml.UseOrderedMap())
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return list, true
		} else if err != nil {
			return nil, false
		}
		list = append(list, v)
	}
}

func checkTOML(f codegen.File) []codegen.Diagnostic {
	var v map[string]any
	err := toml.Unmarshal([]byte(f.Content), &v)
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := e.Position()
		return []codegen.Diagnostic{wrong("toml", line, column, strings.TrimPrefix(e.Error(), "toml: "))}
	}
	if err != nil {
		return describe("toml", err)
	}
	return nil
}

func parseShell(f codegen.File) (*syntax.File, error) {
	variant := syntax.LangBash
	if path.Ext(f.Path) == ".bats" {
		variant = syntax.LangBats
	}
	return syntax.NewParser(syntax.KeepComments(true), syntax.Variant(variant)).Parse(strings.NewReader(f.Content), "")
}

func checkShell(f codegen.File) []codegen.Diagnostic {
	_, err := parseShell(f)
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		return []codegen.Diagnostic{wrong("sh", int(e.Pos.Line()), int(e.Pos.Col()), e.Text)}
	}
	if e, ok := errors.AsType[syntax.LangError](err); ok {
		return []codegen.Diagnostic{wrong("sh", int(e.Pos.Line()), int(e.Pos.Col()), e.Error())}
	}
	return nil
}

// formatShell takes the printed form only if it is the same program.
func formatShell(f codegen.File) (string, bool) {
	text, small, ok := printShell(f)
	if !ok {
		return "", false
	}
	f.Content = text
	again, same, ok := printShell(f)
	return text, ok && again == text && small == same
}

// printShell returns a script in its usual and in its shortest form.
func printShell(f codegen.File) (text, small string, ok bool) {
	file, err := parseShell(f)
	if err != nil {
		return "", "", false
	}
	var usual, short strings.Builder
	err = errors.Join(syntax.NewPrinter(syntax.Indent(2)).Print(&usual, file), syntax.NewPrinter(syntax.Minify(true)).Print(&short, file))
	return usual.String(), short.String(), err == nil
}

func checkSQL(f codegen.File) []codegen.Diagnostic {
	pos, message := sqltext.Check(f.Content)
	if message == "" {
		return nil
	}
	line, column := place(f.Content, pos)
	return []codegen.Diagnostic{wrong("sql", line, column, message)}
}

func formatSQL(f codegen.File) (string, bool) { return sqltext.Format(f.Content) }

// checkXML proves well-formedness. Entities that the document declares itself
// are beyond the decoder.
func checkXML(f codegen.File) []codegen.Diagnostic {
	if strings.Contains(f.Content, "<!ENTITY") {
		return nil
	}
	d := xml.NewDecoder(strings.NewReader(f.Content))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 here, whatever it says
	// Places are looked for only when there is something to say: that reads all
	// text before.
	here := func(message string) []codegen.Diagnostic {
		line, column := place(f.Content, int(d.InputOffset()))
		return []codegen.Diagnostic{wrong("xml", line, column, message)}
	}
	roots, open := 0, 0
	for {
		t, err := d.Token()
		switch t := t.(type) {
		case xml.StartElement:
			if open++; open == 1 {
				roots++
			}
			if roots > 1 {
				return here("there is more than one root element")
			}
		case xml.EndElement:
			open--
		case xml.CharData:
			if open == 0 && len(bytes.TrimSpace(t)) > 0 {
				return here("there is text outside of the root element")
			}
		}
		switch e, ok := errors.AsType[*xml.SyntaxError](err); {
		case ok:
			list := here(e.Msg)
			list[0].Line = e.Line
			return list
		case errors.Is(err, io.EOF) && roots == 0:
			return here("there is no root element")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return describe("xml", err)
		}
	}
}
