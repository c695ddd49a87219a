package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/pattern"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
)

// maxRefusals bounds the refused calls of a request that wants to know which of
// its inputs are wrong. One bad input among 2,048 takes twelve of them, or one
// where the provider names it.
const maxRefusals = 64

// embedOptions are the keys of the gateway object that only embeddings have.
type embedOptions struct {
	partial  bool // answer for the inputs that are not refused
	uncached bool // neither use nor fill the cache
}

func parseEmbed(body []byte) (*llm.EmbedRequest, Options, embedOptions, error) {
	req, err := llm.ReadEmbedRequest(body)
	if err != nil {
		return nil, Options{}, embedOptions{}, err
	}
	own, rest, err := parseEmbedOptions(rawjson.Get(req.Fields, "gateway"))
	if err != nil {
		return nil, Options{}, own, err
	}
	opts, err := ParseOptions(rest)
	if err == nil {
		err = opts.chatOnly()
	}
	if err == nil && len(req.Empty) > 0 && !own.partial {
		err = llm.EmptyInput(req.Empty[0])
	}
	return req, opts, own, err
}

// parseEmbedOptions takes the keys that only embeddings have out of the
// gateway object.
func parseEmbedOptions(object []byte) (o embedOptions, rest []byte, err error) {
	if rawjson.IsNull(object) {
		return o, object, nil
	}
	fields, err := llm.ReadObject("gateway", object)
	if err != nil {
		return o, nil, err
	}
	if v := rawjson.Get(fields, "cache"); !rawjson.IsNull(v) {
		if o.uncached, err = parseEmbedCache(v); err != nil {
			return o, nil, err
		}
	}
	if v := rawjson.Get(fields, "partial"); !rawjson.IsNull(v) {
		if o.partial, err = llm.ReadBool("gateway.partial", v); err != nil {
			return o, nil, err
		}
	}
	return o, rawjson.Apply(nil, object, fields, rawjson.Edit{Name: "cache"}, rawjson.Edit{Name: "partial"}), nil
}

func parseEmbedCache(value []byte) (off bool, err error) {
	fields, err := llm.ReadObject("gateway.cache", value, "mode", "ttl_seconds")
	if err != nil {
		return false, err
	}
	if !rawjson.IsNull(rawjson.Get(fields, "ttl_seconds")) {
		return false, &fault.Error{Kind: fault.Unimplemented, Param: "gateway.cache.ttl_seconds", Code: "not_implemented",
			Message: "'gateway.cache.ttl_seconds' is not implemented for embeddings: they stay until there is no room for them."}
	}
	v := rawjson.Get(fields, "mode")
	switch mode, _ := rawjson.String(v); {
	case mode == "semantic":
		return false, &fault.Error{Kind: fault.Unimplemented, Param: "gateway.cache.mode", Code: "not_implemented", Message: "The cache mode 'semantic' is not implemented for embeddings."}
	case mode != "exact" && mode != "off" && !rawjson.IsNull(v):
		return false, fault.Field("gateway.cache.mode", "'gateway.cache.mode' must be 'exact' or 'off'.")
	default:
		return mode == "off", nil
	}
}

// refusesInput says whether a provider refused a call because of what was to be
// embedded, as far as one can tell.
func refusesInput(err error) bool {
	f := fault.As(err)
	switch {
	case f.Provider == "":
		return false
	case f.Status != http.StatusBadRequest && f.Status != http.StatusRequestEntityTooLarge && f.Status != http.StatusUnprocessableEntity:
		return false
	case f.Kind != fault.Invalid && f.Kind != fault.TooLarge && f.Kind != fault.Unprocessable:
		return false
	}
	return f.Param == "" || strings.HasPrefix(strings.TrimPrefix(f.Param, "$."), "input")
}

// numbered is how providers name one of several inputs.
var numbered = pattern.Pattern{Expr: `(?:\$\.)?\b(?:input|requests|texts)\[(\d+)\]`}

// locate makes an error that is about one input of a call name it as the
// client knows it.
func (e *embedding) locate(err error, list []int) error {
	if err == nil || len(e.got) == 1 || !refusesInput(err) {
		return err
	}
	f := *fault.As(err)
	k := -1
	if len(list) == 1 {
		k = 0
	}
	for _, text := range []string{f.Message, f.Param} {
		if m := numbered.Regexp().FindStringSubmatch(text); m != nil {
			n, err := strconv.Atoi(m[1])
			if err == nil && n < len(list) {
				k = n
			}
		}
	}
	if k < 0 {
		if f.Param != "" {
			f.Param = "input" // of this call at best
		}
		return &f
	}
	f.Param = inputAt(list[k])
	f.Message = numbered.Regexp().ReplaceAllString(f.Message, f.Param)
	return &named{&f, list[k]}
}

// named is an error that is known to be about one input.
type named struct {
	error
	input int
}

func (n *named) Unwrap() error { return n.error }

func inputAt(i int) string { return "input[" + strconv.Itoa(i) + "]" }

// divide finds out which inputs of a refused part are wrong: the provider
// names one, or halves are tried.
func (e *embedding) divide(ctx context.Context, route *router.Route, list []int, err error) error {
	e.mu.Lock()
	e.refusals++
	over, answered := e.refusals > maxRefusals, len(e.used) > 0
	e.mu.Unlock()
	n, ok := errors.AsType[*named](err)
	switch {
	case over && !answered:
		return err // it seems to be the request that is wrong, not its inputs
	case over || len(list) == 1:
		e.fail(list, err)
		return nil
	case ok && slices.Contains(list, n.input):
		e.fail([]int{n.input}, err)
		rest := slices.DeleteFunc(slices.Clone(list), func(i int) bool { return i == n.input })
		return e.part(ctx, route, rest)
	}
	half := len(list) / 2
	if err := e.part(ctx, route, list[:half]); err != nil {
		return err
	}
	return e.part(ctx, route, list[half:])
}

// fail notes why inputs get no vector.
func (e *embedding) fail(list []int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range list {
		f := *fault.As(err)
		f.Param = inputAt(i)
		e.got[i] = vector{err: &f}
	}
}
