package llm

import (
	"fmt"
	"slices"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/rawjson"
)

const (
	// MaxDepth is how deeply a body's JSON may be nested. JSON schemas of tools
	// are the deepest thing clients send; OpenAI allows ten levels of those.
	MaxDepth = 64
	// MaxModel bounds the name of a model, in bytes.
	MaxModel = 256

	maxChoices = 128
	maxTokens  = 1 << 40
)

// roles are the message roles that OpenAI's format knows.
var roles = []string{"system", "developer", "user", "assistant", "tool", "function"}

// kinds are the JSON types of the fields whose type is checked; null is always
// allowed. All other fields, and all enumerations, are the provider's business.
var kinds = map[string][]string{
	"model": {"string"}, "messages": {"array"}, "stream": {"boolean"}, "stream_options": {"object"},
	"max_tokens": {"number"}, "max_completion_tokens": {"number"}, "n": {"number"}, "seed": {"number"},
	"temperature": {"number"}, "top_p": {"number"}, "top_k": {"number"}, "presence_penalty": {"number"}, "frequency_penalty": {"number"},
	"logprobs": {"boolean"}, "top_logprobs": {"number"}, "logit_bias": {"object"}, "stop": {"string", "array"},
	"tools": {"array"}, "tool_choice": {"string", "object"}, "parallel_tool_calls": {"boolean"},
	"functions": {"array"}, "function_call": {"string", "object"}, "response_format": {"object"},
	"reasoning_effort": {"string"}, "verbosity": {"string"}, "service_tier": {"string"}, "user": {"string"},
	"metadata": {"object"}, "store": {"boolean"}, "modalities": {"array"}, "prediction": {"object"},
	"gateway": {"object"},
	// embeddings
	"input": {"string", "array"}, "dimensions": {"number"}, "encoding_format": {"string"},
}

// ParseRequest reads and checks a chat body. An error is fault.Invalid and
// names the field that is wrong.
func ParseRequest(body []byte) (*Request, error) {
	fields, err := ReadBody(body)
	if err != nil {
		return nil, err
	}
	return ReadRequest(body, fields)
}

// ReadRequest is ParseRequest for a body whose fields ReadBody has found.
func ReadRequest(body []byte, fields []rawjson.Field) (_ *Request, err error) {
	r := &Request{Raw: body, Fields: fields, N: 1}
	if r.Model, err = modelName(fields); err != nil {
		return nil, err
	}
	r.Stream = string(rawjson.Get(fields, "stream")) == "true"
	if so := rawjson.Get(fields, "stream_options"); !rawjson.IsNull(so) {
		iu := rawjson.Get(rawjson.Fields(nil, so), "include_usage")
		if !rawjson.IsNull(iu) && rawjson.Kind(iu) != "boolean" {
			return nil, wrongType("stream_options.include_usage", iu, "boolean")
		}
		r.IncludeUsage = string(iu) == "true"
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} { // the newer name wins
		n, err := integer(fields, name, 1, maxTokens)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			r.MaxTokens = n
		}
	}
	n, err := integer(fields, "n", 1, maxChoices)
	if err != nil {
		return nil, err
	}
	r.N = max(1, n)
	if r.Media, err = checkMessages(rawjson.Get(fields, "messages")); err != nil {
		return nil, err
	}
	if err := checkTools(rawjson.Get(fields, "tools")); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadBody finds the fields of a body and checks what all bodies have in
// common: an object, its depth, and the types of known fields. Errors are as in
// ParseRequest.
func ReadBody(body []byte) ([]rawjson.Field, error) {
	fields, err := ReadObject("", body)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if want := kinds[f.Name]; want != nil && !rawjson.IsNull(f.Value) && !slices.Contains(want, rawjson.Kind(f.Value)) {
			return nil, wrongType(f.Name, f.Value, want...)
		}
	}
	return fields, nil
}

func wrongType(param string, value []byte, want ...string) error {
	return fault.WrongType(param, rawjson.Kind(value), want...)
}

func modelName(fields []rawjson.Field) (string, error) {
	model, _ := rawjson.String(rawjson.Get(fields, "model"))
	switch {
	case model == "":
		return "", fault.Missing("model")
	case len(model) > MaxModel:
		return "", fault.Field("model", "'model' is longer than %d bytes.", MaxModel)
	}
	return model, nil
}

// integer returns the field's value, or 0 if it is absent.
func integer(fields []rawjson.Field, name string, low, high int64) (int64, error) {
	v := rawjson.Get(fields, name)
	if rawjson.IsNull(v) {
		return 0, nil
	}
	n, ok := rawjson.Int(v)
	if !ok {
		return 0, wrongType(name, v, "integer")
	}
	if n < low || n > high {
		return 0, fault.Field(name, "'%s' must be between %d and %d.", name, low, high)
	}
	return n, nil
}

// CheckMessages checks messages as ParseRequest does, for those who keep them:
// the field "messages" of a body that is valid JSON. Errors are as there.
func CheckMessages(messages []byte) error {
	if !rawjson.IsNull(messages) && rawjson.Kind(messages) != "array" {
		return wrongType("messages", messages, "array")
	}
	_, err := checkMessages(messages)
	return err
}

// checkMessages also says whether there is anything but text in them.
func checkMessages(messages []byte) (media bool, err error) {
	if rawjson.IsNull(messages) {
		return false, fault.Missing("messages")
	}
	count := 0
	var buf [12]rawjson.Field
	err = rawjson.Elements(messages, func(i int, v []byte) error {
		count++
		if rawjson.Kind(v) != "object" {
			return wrongType(fmt.Sprintf("messages[%d]", i), v, "object")
		}
		return checkMessage(i, rawjson.Fields(buf[:0], v), &media)
	})
	if err == nil && count == 0 {
		err = fault.Field("messages", "'messages' must hold at least one message.")
	}
	return media, err
}

func checkMessage(i int, m []rawjson.Field, media *bool) error {
	role := rawjson.Get(m, "role")
	name, ok := rawjson.String(role)
	switch {
	case rawjson.IsNull(role):
		return fault.Missing(fmt.Sprintf("messages[%d].role", i))
	case !ok:
		return wrongType(fmt.Sprintf("messages[%d].role", i), role, "string")
	case !slices.Contains(roles, name):
		return &fault.Error{Kind: fault.Invalid, Param: fmt.Sprintf("messages[%d].role", i), Code: "invalid_value",
			Message: fmt.Sprintf("Invalid value for 'messages[%d].role': %.40q. Supported values are: %s.", i, name, fault.Choice(roles))}
	}
	calls := rawjson.Get(m, "tool_calls")
	content := rawjson.Get(m, "content")
	switch rawjson.Kind(content) {
	case "string":
	case "nothing", "null":
		if name != "assistant" && name != "function" {
			return fault.Missing(fmt.Sprintf("messages[%d].content", i))
		}
	case "array":
		if err := checkParts(i, content, media); err != nil {
			return err
		}
	default:
		return wrongType(fmt.Sprintf("messages[%d].content", i), content, "string", "array")
	}
	if id := rawjson.Get(m, "tool_call_id"); name == "tool" {
		if rawjson.IsNull(id) {
			return fault.Missing(fmt.Sprintf("messages[%d].tool_call_id", i))
		}
		if rawjson.Kind(id) != "string" {
			return wrongType(fmt.Sprintf("messages[%d].tool_call_id", i), id, "string")
		}
	}
	if rawjson.IsNull(calls) {
		return nil
	}
	return checkToolCalls(i, calls)
}

func checkParts(i int, parts []byte, media *bool) error {
	var buf [6]rawjson.Field
	return rawjson.Elements(parts, func(j int, v []byte) error {
		at := func(field string) string { return fmt.Sprintf("messages[%d].content[%d]%s", i, j, field) }
		if rawjson.Kind(v) != "object" {
			return wrongType(at(""), v, "object")
		}
		p := rawjson.Fields(buf[:0], v)
		typ, ok := rawjson.String(rawjson.Get(p, "type"))
		if !ok {
			return fault.Missing(at(".type"))
		}
		*media = *media || typ != "text" && typ != "refusal"
		switch typ {
		case "text":
			if t := rawjson.Get(p, "text"); rawjson.Kind(t) != "string" {
				return wrongType(at(".text"), t, "string")
			}
		case "image_url":
			img := rawjson.Get(p, "image_url")
			if rawjson.Kind(img) != "object" {
				return wrongType(at(".image_url"), img, "object")
			}
			if u := rawjson.Get(rawjson.Fields(nil, img), "url"); rawjson.Kind(u) != "string" {
				return wrongType(at(".image_url.url"), u, "string")
			}
		}
		return nil
	})
}

func checkToolCalls(i int, calls []byte) error {
	if rawjson.Kind(calls) != "array" {
		return wrongType(fmt.Sprintf("messages[%d].tool_calls", i), calls, "array")
	}
	return rawjson.Elements(calls, func(j int, v []byte) error {
		at := func(field string) string { return fmt.Sprintf("messages[%d].tool_calls[%d]%s", i, j, field) }
		if rawjson.Kind(v) != "object" {
			return wrongType(at(""), v, "object")
		}
		call := rawjson.Fields(nil, v)
		if id := rawjson.Get(call, "id"); rawjson.Kind(id) != "string" {
			return wrongType(at(".id"), id, "string")
		}
		if typ, _ := rawjson.String(rawjson.Get(call, "type")); typ != "function" && typ != "" {
			return nil // custom tools and what may come
		}
		fn := rawjson.Get(call, "function")
		if rawjson.Kind(fn) != "object" {
			return wrongType(at(".function"), fn, "object")
		}
		f := rawjson.Fields(nil, fn)
		for _, name := range []string{"name", "arguments"} {
			if s := rawjson.Get(f, name); rawjson.Kind(s) != "string" {
				return wrongType(at(".function."+name), s, "string")
			}
		}
		return nil
	})
}

func checkTools(tools []byte) error {
	if rawjson.IsNull(tools) {
		return nil
	}
	return rawjson.Elements(tools, func(i int, v []byte) error {
		at := func(field string) string { return fmt.Sprintf("tools[%d]%s", i, field) }
		if rawjson.Kind(v) != "object" {
			return wrongType(at(""), v, "object")
		}
		t := rawjson.Fields(nil, v)
		typ, ok := rawjson.String(rawjson.Get(t, "type"))
		if !ok {
			return fault.Missing(at(".type"))
		}
		if typ != "function" {
			return nil
		}
		fn := rawjson.Get(t, "function")
		if rawjson.Kind(fn) != "object" {
			return wrongType(at(".function"), fn, "object")
		}
		f := rawjson.Fields(nil, fn)
		if name, _ := rawjson.String(rawjson.Get(f, "name")); name == "" {
			return fault.Missing(at(".function.name"))
		}
		if p := rawjson.Get(f, "parameters"); !rawjson.IsNull(p) && rawjson.Kind(p) != "object" {
			return wrongType(at(".function.parameters"), p, "object")
		}
		return nil
	})
}

// maxInputs is OpenAI's own bound on inputs per embeddings request.
const maxInputs = 2048

// ParseEmbedRequest reads and checks an embeddings body. Errors are as in
// ParseRequest.
func ParseEmbedRequest(body []byte) (*EmbedRequest, error) {
	r, err := ReadEmbedRequest(body)
	if err == nil && len(r.Empty) > 0 {
		err = EmptyInput(r.Empty[0])
	}
	return r, err
}

// EmptyInput is the error for a list of inputs that holds an empty one.
func EmptyInput(i int) error {
	at := fmt.Sprintf("input[%d]", i)
	return fault.Field(at, "'%s' must not be empty.", at)
}

// ReadEmbedRequest is ParseEmbedRequest for callers who can do with empty
// inputs in a list: they are only noted.
func ReadEmbedRequest(body []byte) (*EmbedRequest, error) {
	fields, err := ReadBody(body)
	if err != nil {
		return nil, err
	}
	r := &EmbedRequest{Raw: body, Fields: fields}
	if r.Model, err = modelName(fields); err != nil {
		return nil, err
	}
	if r.Dimensions, err = integer(fields, "dimensions", 1, 1<<16); err != nil {
		return nil, err
	}
	switch format, _ := rawjson.String(rawjson.Get(fields, "encoding_format")); format {
	case "", "float":
	case "base64":
		r.Base64 = true
	default:
		return nil, &fault.Error{Kind: fault.Invalid, Param: "encoding_format", Code: "invalid_value",
			Message: "Invalid value for 'encoding_format': expected 'float' or 'base64'."}
	}
	return r, r.parseInput(rawjson.Get(fields, "input"))
}

// tokenID reads one of the numbers that stand for a text. at says where it is: a
// request may have hundreds of thousands, of which at most one is wrong.
func tokenID(v []byte, at func() string) (int64, error) {
	n, ok := rawjson.Int(v)
	if !ok {
		return 0, wrongType(at(), v, "integer")
	}
	if n < 0 {
		return 0, &fault.Error{Kind: fault.Invalid, Param: at(), Code: "invalid_value", Message: fmt.Sprintf("'%s' is %d: a token id is 0 or more.", at(), n)}
	}
	return n, nil
}

func (r *EmbedRequest) parseInput(input []byte) error {
	if rawjson.IsNull(input) {
		return fault.Missing("input")
	}
	if s, ok := rawjson.String(input); ok {
		if s == "" {
			return fault.Field("input", "'input' must not be empty.")
		}
		r.Inputs = []string{s}
		return nil
	}
	var single []int64 // one input, given as token ids
	count := 0
	err := rawjson.Elements(input, func(i int, v []byte) error {
		if count++; count > maxInputs && single == nil {
			return fault.Field("input", "'input' holds more than %d inputs.", maxInputs)
		}
		at := func() string { return fmt.Sprintf("input[%d]", i) }
		switch kind := rawjson.Kind(v); {
		case kind == "string" && r.Tokens == nil && single == nil:
			s, _ := rawjson.String(v)
			if s == "" {
				r.Empty = append(r.Empty, i)
			}
			r.Inputs = append(r.Inputs, s)
		case kind == "number" && r.Inputs == nil && r.Tokens == nil:
			n, err := tokenID(v, at)
			if err != nil {
				return err
			}
			single = append(single, n)
		case kind == "array" && r.Inputs == nil && single == nil:
			var ids []int64
			err := rawjson.Elements(v, func(j int, t []byte) error {
				n, err := tokenID(t, func() string { return fmt.Sprintf("%s[%d]", at(), j) })
				if err != nil {
					return err
				}
				ids = append(ids, n)
				return nil
			})
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				r.Empty = append(r.Empty, i)
			}
			r.Tokens = append(r.Tokens, ids)
		default:
			return fault.Field(at(), "'input' must be a string, or an array of only strings, only token ids, or only arrays of token ids; '%s' is %s.", at(), kind)
		}
		return nil
	})
	if single != nil {
		r.Tokens = [][]int64{single}
	}
	if err == nil && count == 0 {
		return fault.Field("input", "'input' must not be empty.")
	}
	return err
}
