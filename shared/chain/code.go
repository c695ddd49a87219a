package chain

import (
	"encoding/json"
	"strconv"

	"github.com/devmentor/ai-gateway/shared/codegen"
)

// codePrompt asks for files. What the chain's author says as system stands
// after what makes the answer readable.
func codePrompt(s *Step, system, user string) (string, string) {
	r := codegen.Request{Prompt: user, Language: s.language, Framework: s.framework}
	if system != "" {
		system = "\n\n" + system
	}
	return codegen.System + system, r.User()
}

// codeValue reads the files of an answer, formatted and checked. Without any
// the explanation is all there is: whether that will do is for the chain to say.
func codeValue(s *Step, tools codegen.Tools, a Answer) (any, error) {
	hints := codegen.Hints{Language: s.language}
	if tools != nil {
		hints.Code = tools.IsCode
	}
	p := codegen.NewParser(hints, func(codegen.Event) error { return nil })
	if err := p.Write(a.Text); err != nil {
		return nil, err
	}
	r, err := p.Finish(a.Finish == "length")
	if err != nil {
		return nil, err
	}
	r.Tidy(tools, !s.raw)
	list := []any{}
	for _, f := range r.Files {
		list = append(list, map[string]any{"path": f.Path, "language": f.Language, "content": f.Content})
	}
	notes := []any{}
	for _, d := range r.Diagnostics {
		note := map[string]any{"path": d.Path, "severity": string(d.Severity), "code": d.Code, "message": d.Message, "source": d.Source}
		if d.Line > 0 {
			note["line"], note["column"] = json.Number(strconv.Itoa(d.Line)), json.Number(strconv.Itoa(d.Column))
		}
		notes = append(notes, note)
	}
	return map[string]any{"files": list, "explanation": r.Explanation, "diagnostics": notes}, nil
}
