package tidy

import (
	"path"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// transform parses a script or a style sheet and prints it without space.
func transform(f codegen.File) api.TransformResult {
	loader := map[string]api.Loader{"javascript": api.LoaderJSX, "jsx": api.LoaderJSX, "typescript": api.LoaderTS, "tsx": api.LoaderTSX, "css": api.LoaderCSS}[f.Language]
	if strings.EqualFold(path.Ext(f.Path), ".tsx") {
		loader = api.LoaderTSX
	}
	return api.Transform(f.Content, api.TransformOptions{Loader: loader, LogLevel: api.LogLevelSilent, Target: api.ESNext, JSX: api.JSXPreserve,
		MinifyWhitespace: true, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsInline, TreeShaking: api.TreeShakingFalse,
		TsconfigRaw: `{"compilerOptions": {"verbatimModuleSyntax": true, "experimentalDecorators": true}}`})
}

func checkScript(f codegen.File) (list []codegen.Diagnostic) {
	out := transform(f)
	for _, m := range out.Errors {
		list = append(list, found(m, codegen.Error))
	}
	for _, m := range out.Warnings {
		severity := codegen.Warning
		if m.ID == "css-syntax-error" {
			severity = codegen.Error // browsers skip what they do not understand; nobody means it
		}
		list = append(list, found(m, severity))
	}
	return list
}

func found(m api.Message, severity codegen.Severity) codegen.Diagnostic {
	d := wrong("esbuild", 0, 0, m.Text)
	if severity == codegen.Warning {
		d.Severity, d.Code = severity, "suspicious"
	}
	if m.Location != nil {
		d.Line, d.Column = m.Location.Line, m.Location.Column+1
	}
	return d
}

// formatScript takes space from the ends of lines, if that leaves the program
// the same. Nothing here prints scripts as people write them.
func formatScript(f codegen.File) (string, bool) {
	lines := strings.Split(f.Content, "\n")
	for i, l := range lines {
		end := ""
		if strings.HasSuffix(l, "\r") {
			end = "\r"
		}
		lines[i] = strings.TrimRight(l, " \t\r") + end
	}
	text := strings.TrimRight(strings.Join(lines, "\n"), "\r\n") + "\n"
	if text == f.Content {
		return text, true
	}
	before := transform(f)
	f.Content = text
	after := transform(f)
	if len(before.Errors)+len(after.Errors) > 0 || string(before.Code) != string(after.Code) {
		return "", false
	}
	return text, true
}
