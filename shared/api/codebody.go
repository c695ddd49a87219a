package api

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

// Limits of a request for code, in bytes.
const (
	maxPrompt      = 256 << 10
	maxCodeName    = 64 // of a language
	maxFramework   = 256
	maxConstraints = 50 // of them
	maxConstraint  = 4 << 10
)

// chatFields are the chat's own fields that a request for code may have. They
// are checked and used as there.
var chatFields = []string{"max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "stop", "presence_penalty", "frequency_penalty",
	"logit_bias", "reasoning_effort", "verbosity", "service_tier", "user", "metadata", "store", "thinking"}

// codeBody is a checked request.
type codeBody struct {
	codegen.Request
	model   string
	project string
	stream  bool
	format  bool
	pass    []rawjson.Field // for the chat
}

// parseCode reads the body of a request for code. It fails with fault.Invalid
// and names the field.
func parseCode(body []byte) (*codeBody, error) {
	fields, err := llm.ReadObject("", body)
	if err != nil {
		return nil, err
	}
	b := &codeBody{format: true}
	var options []byte
	for _, f := range fields {
		if rawjson.IsNull(f.Value) {
			continue
		}
		switch f.Name {
		case "prompt":
			b.Prompt, err = notBlank("prompt", f.Value, maxPrompt)
		case "language":
			b.Language, err = codeName("language", f.Value, maxCodeName)
		case "framework":
			b.Framework, err = codeName("framework", f.Value, maxFramework)
		case "model":
			b.model, err = codeName("model", f.Value, llm.MaxModel)
		case "constraints":
			b.Constraints, err = constraints(f.Value)
		case "files":
			b.Files, err = codeFiles(f.Value)
		case "stream":
			b.stream, err = llm.ReadBool("stream", f.Value)
		case "tests":
			b.Tests, err = llm.ReadBool("tests", f.Value)
		case "format":
			b.format, err = llm.ReadBool("format", f.Value)
		case "project":
			b.project, err = gateway.ReadProject("project", f.Value)
		case "gateway":
			options = f.Value
		default:
			if !slices.Contains(chatFields, f.Name) {
				err = fault.Unknown(f.Name)
			}
			b.pass = append(b.pass, f)
		}
		if err != nil {
			return nil, err
		}
	}
	if b.Prompt == "" {
		return nil, fault.Missing("prompt")
	}
	if options, err = b.options(options); err != nil {
		return nil, err
	}
	if options != nil {
		b.pass = append(b.pass, rawjson.Field{Name: "gateway", Value: options})
	}
	return b, nil
}

// options adds the project to the chat's gateway object.
func (b *codeBody) options(object []byte) ([]byte, error) {
	if b.project == "" {
		return object, nil
	}
	if object == nil {
		object = []byte("{}")
	}
	fields, err := llm.ReadObject("gateway", object)
	if err != nil {
		return nil, err
	}
	if !rawjson.IsNull(rawjson.Get(fields, "project")) {
		return nil, fault.Field("project", "'project' and 'gateway.project' mean the same: give one of them.")
	}
	return rawjson.Apply(nil, object, fields, rawjson.Edit{Name: "project", Value: rawjson.AppendString(nil, b.project)}), nil
}

// own names the field that err is about as this request does, which has no
// messages.
func (b *codeBody) own(err error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	mine := *f
	switch {
	case f.Param == "gateway.project" && b.project != "":
		mine.Param = "project"
	case f.Param == "messages" || strings.HasPrefix(f.Param, "messages["):
		mine.Param = b.longest()
	default:
		return err
	}
	return &mine
}

// longest is the field that takes the most of the messages.
func (b *codeBody) longest() string {
	name, most := "prompt", len(b.Prompt)
	if n := len(strings.Join(b.Constraints, "")); n > most {
		name, most = "constraints", n
	}
	if len(b.Context()) > most {
		name = "files"
	}
	return name
}

// notBlank reads a text that must say something.
func notBlank(param string, value []byte, most int) (string, error) {
	s, ok := rawjson.String(value)
	if !ok || strings.TrimSpace(s) == "" || len(s) > most {
		return "", fault.Field(param, "'%s' must be a string of at most %d bytes that is not blank.", param, most)
	}
	return s, nil
}

// codeName reads a text of one line.
func codeName(param string, value []byte, most int) (string, error) {
	s, err := notBlank(param, value, most)
	if err == nil && strings.ContainsFunc(s, unicode.IsControl) {
		err = fault.Field(param, "'%s' must not have control characters.", param)
	}
	return s, err
}

// constraints reads one rule or a list of them.
func constraints(value []byte) (list []string, err error) {
	switch rawjson.Kind(value) {
	case "string":
		s, err := notBlank("constraints", value, maxConstraint)
		return []string{s}, err
	case "array":
		err = rawjson.Elements(value, func(i int, v []byte) error {
			if i >= maxConstraints {
				return fault.Field("constraints", "'constraints' has more than %d items.", maxConstraints)
			}
			s, err := notBlank(fmt.Sprintf("constraints[%d]", i), v, maxConstraint)
			list = append(list, s)
			return err
		})
		return list, err
	}
	return nil, fault.WrongType("constraints", rawjson.Kind(value), "string", "array")
}

// codeFiles reads the files that are there already.
func codeFiles(value []byte) (list []codegen.File, err error) {
	if rawjson.Kind(value) != "array" {
		return nil, fault.WrongType("files", rawjson.Kind(value), "array")
	}
	seen := map[string]string{}
	total := 0
	err = rawjson.Elements(value, func(i int, v []byte) error {
		at := fmt.Sprintf("files[%d]", i)
		if i >= codegen.MaxFiles {
			return fault.Field("files", "'files' has more than %d files.", codegen.MaxFiles)
		}
		f, err := codeFile(at, v)
		if err != nil {
			return err
		}
		same := codegen.SamePath(f.Path)
		if other, taken := seen[same]; taken {
			return fault.Field(at+".path", "'%s.path' is the file '%s' again, on some systems if not on all.", at, other)
		}
		seen[same] = f.Path
		if total += len(f.Content); total > codegen.MaxTotal {
			return fault.Field("files", "'files' have more than %d bytes together.", codegen.MaxTotal)
		}
		list = append(list, f)
		return nil
	})
	return list, err
}

func codeFile(at string, value []byte) (f codegen.File, err error) {
	fields, err := llm.ReadObject(at, value, "path", "content", "language")
	if err != nil {
		return f, err
	}
	var ok bool
	if v := rawjson.Get(fields, "path"); rawjson.IsNull(v) {
		return f, fault.Missing(at + ".path")
	} else if f.Path, ok = rawjson.String(v); !ok {
		return f, fault.WrongType(at+".path", rawjson.Kind(v), "string")
	}
	f.Path = codegen.CleanPath(f.Path)
	if err := codegen.CheckPath(f.Path); err != nil {
		return f, &fault.Error{Kind: fault.Invalid, Param: at + ".path", Code: "unsafe_path", Message: fmt.Sprintf("'%s.path' is refused: %v.", at, err)}
	}
	if v := rawjson.Get(fields, "content"); rawjson.IsNull(v) {
		return f, fault.Missing(at + ".content")
	} else if f.Content, ok = rawjson.String(v); !ok || len(f.Content) > codegen.MaxFile {
		return f, fault.Field(at+".content", "'%s.content' must be a string of at most %d bytes.", at, codegen.MaxFile)
	}
	if v := rawjson.Get(fields, "language"); !rawjson.IsNull(v) {
		f.Language, err = codeName(at+".language", v, maxCodeName)
	}
	return f, err
}

// chat is the request as a chat. The files come in a message of their own, before
// the task: requests about the same files begin alike.
func (b *codeBody) chat() []byte {
	body := rawjson.AppendString([]byte(`{"model":`), b.model)
	body = fmt.Appendf(body, `,"stream":%v,"messages":[`, b.stream)
	body = append(body, llm.TextMessage("system", codegen.System)...)
	if files := b.Context(); files != "" {
		body = append(append(body, ','), llm.TextMessage("user", files)...)
	}
	body = append(append(body, ','), llm.TextMessage("user", b.Task())...)
	body = append(body, ']')
	for _, f := range b.pass {
		body = rawjson.AppendString(append(body, ','), f.Name)
		body = append(append(body, ':'), f.Value...)
	}
	return append(body, '}')
}

// hints tells the parser what the answer may be about.
func (b *codeBody) hints(tools codegen.Tools) codegen.Hints {
	h := codegen.Hints{Language: b.Language}
	for _, f := range b.Files {
		h.Paths = append(h.Paths, f.Path)
	}
	if tools != nil {
		h.Code = tools.IsCode
	}
	return h
}
