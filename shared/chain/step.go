package chain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

const (
	defaultBackoff = 500 * time.Millisecond
	maxBackoff     = 30 * time.Second
	defaultTop     = 6
	maxTop         = 100
)

// use is a place that refers to the data.
type use struct {
	at   string
	refs []names
	path *path  // nil: a text
	kind string // what the value must be; "" takes anything
	item bool   // .item and .index exist
}

// step reads what all steps have, and then what the type has. inside names the
// map that it belongs to, if any.
func (p *Problems) step(s *Step, o *object, inside string) {
	s.Type = Type(o.str("type", maxID))
	if !slices.Contains(types, s.Type) || inside != "" && (s.Type == Condition || s.Type == Map) {
		if inside != "" {
			p.add(o.path("type"), "must be %s", fault.Choice([]Type{Prompt, Retrieve, Code, Transform}))
		} else {
			p.add(o.path("type"), "must be %s", fault.Choice(types))
		}
		return // nothing else can be judged
	}
	switch mode := o.str("cache", maxID); mode {
	case "", "off":
	case "exact":
		s.Cache = true
	case "semantic":
		*p = append(*p, Problem{Param: o.path("cache"), Message: fmt.Sprintf("'%s' \"semantic\" is not implemented yet.", o.path("cache")), later: true})
	default:
		p.add(o.path("cache"), `must be "exact" or "off"`)
	}
	s.Budget = o.dollars("budget_usd")
	s.Timeout = time.Duration(o.integer("timeout_ms", 1, MaxTimeout.Milliseconds(), 0)) * time.Millisecond
	s.Retry = p.retry(o.path("retry"), o.get("retry"))
	s.OnError = p.onError(o.path("on_error"), o.get("on_error"))
	switch s.Type {
	case Prompt:
		p.prompt(s, o)
	case Code:
		p.code(s, o)
	case Retrieve:
		p.retrieve(s, o)
	case Transform:
		s.sel = p.selection(o.path("select"), o.get("select"), false, &s.uses)
		if o.given("default") {
			o.get("default")
			s.def = slices.Clone(rawjson.Get(o.fields, "default"))
			p.twice(o.path("default"), s.def)
		}
	case Condition:
		s.test = p.test(o.path("if"), o.get("if"), s)
		s.Then, s.Else = o.list("then", MaxSteps), o.list("else", MaxSteps)
		if len(s.Then)+len(s.Else) == 0 {
			p.add(o.path("then"), "must name the steps that the condition decides about")
		}
	case Map:
		p.mapping(s, o)
	}
	o.rest()
	if calls := s.Type == Prompt || s.Type == Code || s.Type == Retrieve; !calls && s.Cache {
		p.add(o.path("cache"), "is for steps that make calls; give it to 'do' in a map")
	}
}

// never are the fields of a chat request that a chain decides itself, or whose
// answers it could not use.
var never = []string{"model", "messages", "stream", "stream_options", "n", "gateway", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"}

// parameters reads what goes with a model call and checks it as a chat request
// would be.
func (p *Problems) parameters(s *Step, o *object) {
	v := o.get("parameters")
	if v == nil {
		return
	}
	at := o.path("parameters")
	params, ok := p.object(at, v)
	if !ok {
		return
	}
	for _, f := range params.fields {
		if slices.Contains(never, f.Name) {
			p.add(at+"."+f.Name, "cannot be set in a chain")
		}
	}
	before := len(*p)
	params.open = true
	params.rest() // fields that are there twice
	if len(params.fields) == 0 || len(*p) > before {
		return
	}
	body := slices.Concat([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],`), v[1:])
	s.Parameters = slices.Clone(v)
	req, err := llm.ParseRequest(body)
	if err != nil {
		f := fault.As(err)
		if !slices.Contains(never, f.Param) {
			*p = append(*p, Problem{Param: at + "." + f.Param, Message: strings.ReplaceAll(f.Message, "'"+f.Param+"'", "'"+at+"."+f.Param+"'")})
		}
		return
	}
	chat, err := req.Chat()
	if err != nil {
		f := fault.As(err)
		*p = append(*p, Problem{Param: at + "." + f.Param, Message: f.Message})
		return
	}
	s.JSON = chat.ResponseFormat.Type == "json_object" || chat.ResponseFormat.Type == "json_schema"
	s.schema = slices.Clone(chat.ResponseFormat.Schema)
}

func (p *Problems) prompt(s *Step, o *object) {
	s.Model = o.str("model", llm.MaxModel)
	p.parameters(s, o)
	s.system, s.user = p.text(s, o, "system"), p.text(s, o, "user")
	if v := o.get("template"); v != nil {
		s.Template = p.template(o.path("template"), v, s)
		if s.user != nil || s.system != nil {
			p.add(o.path("template"), "stands for 'system' and 'user': give one or the other")
		}
		return
	}
	if s.Model == "" && !o.given("model") {
		p.add(o.path("model"), "is missing")
	}
	if s.user == nil && rawjson.IsNull(rawjson.Get(o.fields, "user")) {
		p.add(o.path("user"), "is missing: a prompt needs a text, or a 'template'")
	}
}

func (p *Problems) code(s *Step, o *object) {
	s.Model = o.str("model", llm.MaxModel)
	if s.Model == "" {
		p.add(o.path("model"), "is missing")
	}
	p.parameters(s, o)
	if s.JSON {
		p.add(o.path("parameters")+".response_format", "cannot be set: code is read from the answer's text")
	}
	s.system, s.user = p.text(s, o, "system"), p.text(s, o, "user")
	if s.user == nil {
		p.add(o.path("user"), "is missing: say what to write")
	}
	s.language, s.framework = o.str("language", maxID), o.str("framework", maxID)
	s.raw = o.get("format") != nil && !o.boolean("format")
}

func (p *Problems) retrieve(s *Step, o *object) {
	s.Collection = o.str("collection", MaxText)
	if s.Collection == "" {
		p.add(o.path("collection"), "is missing")
	} else if err := rag.CheckCollection(o.path("collection"), s.Collection); err != nil {
		p.take(err)
	}
	if s.query = p.text(s, o, "query"); s.query == nil {
		p.add(o.path("query"), "is missing")
	}
	s.Top = int(o.integer("top_k", 1, maxTop, defaultTop))
	f, err := rag.ParseFilter(o.path("filter"), slices.Clone(o.get("filter")))
	if err != nil {
		p.take(err)
	}
	s.filter = f
}

func (p *Problems) mapping(s *Step, o *object) {
	s.Parallel = int(o.integer("parallel", 1, maxParallel, 4))
	if s.over = p.path(o.path("over"), o.get("over")); s.over != nil {
		s.uses = append(s.uses, use{at: o.path("over"), refs: s.over.refs, path: s.over, kind: "array"})
	}
	at := o.path("do")
	do, ok := p.object(at, o.get("do"))
	if !ok {
		return
	}
	s.Do = &Step{at: at, ID: s.ID, governor: -1}
	p.step(s.Do, do, s.ID)
	for _, u := range s.Do.uses {
		u.item = true
		s.uses = append(s.uses, u)
	}
}

// text reads a template; nil if there is none, or a bad one.
func (p *Problems) text(s *Step, o *object, name string) *text {
	src := o.str(name, MaxText)
	if src == "" {
		return nil
	}
	t := p.parseText(o.path(name), src)
	if t != nil {
		s.uses = append(s.uses, use{at: o.path(name), refs: t.refs})
	}
	return t
}

// path reads a selection.
func (p *Problems) path(at string, v []byte) *path {
	src, ok := rawjson.String(v)
	if !ok || !strings.HasPrefix(src, "$") {
		p.add(at, "must be a selection, such as \"$.input.topic\"")
		return nil
	}
	q, err := parsePath(src)
	if err != nil {
		p.add(at, "%s", err)
		return nil
	}
	return q
}

func (p *Problems) template(at string, v []byte, s *Step) *TemplateRef {
	o, ok := p.object(at, v)
	if !ok {
		return nil
	}
	t := &TemplateRef{Name: o.str("name", recipe.MaxName)}
	if !recipe.ValidName(t.Name) {
		p.add(o.path("name"), "must name a template")
	}
	var err error
	if t.Version, err = recipe.ReadRef(o.path("version"), o.get("version")); err != nil {
		p.take(err)
	}
	if vars := o.get("variables"); vars != nil {
		if vo, ok := p.object(o.path("variables"), vars); ok {
			for _, f := range vo.fields {
				t.variables = append(t.variables, p.binding(vo.path(f.Name), f, s))
			}
			vo.open = true
			vo.rest()
		}
	}
	o.rest()
	return t
}

// binding reads a variable's value: a text over the data, {"path": "$.…"}, or
// a constant.
func (p *Problems) binding(at string, f rawjson.Field, s *Step) binding {
	b := binding{name: f.Name}
	if src, ok := rawjson.String(f.Value); ok {
		if b.text = p.parseText(at, src); b.text != nil {
			s.uses = append(s.uses, use{at: at, refs: b.text.refs})
		}
		return b
	}
	if rawjson.Kind(f.Value) == "object" {
		if inner := rawjson.Fields(nil, f.Value); len(inner) == 1 && inner[0].Name == "path" {
			if b.path = p.path(at+".path", inner[0].Value); b.path != nil {
				s.uses = append(s.uses, use{at: at + ".path", refs: b.path.refs, path: b.path})
			}
			return b
		}
	}
	b.value = slices.Clone(f.Value)
	p.twice(at, b.value)
	return b
}

func (p *Problems) retry(at string, v []byte) Retry {
	r := Retry{Attempts: 1, On: retryable, Backoff: defaultBackoff}
	if v == nil {
		return r
	}
	o, ok := p.object(at, v)
	if !ok {
		return r
	}
	r.Attempts = int(o.integer("max_attempts", 1, maxAttempts, 2))
	r.Backoff = time.Duration(o.integer("backoff_ms", 0, maxBackoff.Milliseconds(), defaultBackoff.Milliseconds())) * time.Millisecond
	if on := o.list("on", len(retryable)); on != nil {
		r.On = nil
		for i, k := range on {
			if !slices.Contains(retryable, fault.Kind(k)) {
				p.add(fmt.Sprintf("%s.on[%d]", at, i), "cannot be retried; what can: %s", retryable)
			}
			r.On = append(r.On, fault.Kind(k))
		}
	}
	o.rest()
	return r
}

func (p *Problems) onError(at string, v []byte) OnError {
	mode, isText := rawjson.String(v)
	switch {
	case v == nil, isText && mode == "fail":
		return OnError{}
	case isText && mode == "skip":
		return OnError{Skip: true}
	case rawjson.Kind(v) == "object":
		if f := rawjson.Fields(nil, v); len(f) == 1 && f[0].Name == "default" {
			p.twice(at+".default", f[0].Value)
			return OnError{Default: slices.Clone(json.RawMessage(f[0].Value))}
		}
	}
	p.add(at, `must be "fail", "skip" or {"default": value}`)
	return OnError{}
}

// selection is one value, an object of them, or a text.
type selection struct {
	path  *path
	text  *text
	names []string
	paths []*path // by names
}

// selection reads "$.…" or {"a": "$.…"}; a template as well if texts.
func (p *Problems) selection(at string, v []byte, texts bool, uses *[]use) *selection {
	if v == nil {
		if !texts {
			p.add(at, "is missing")
		}
		return nil
	}
	src, isText := rawjson.String(v)
	switch {
	case isText && texts && !strings.HasPrefix(src, "$"):
		if len(src) > MaxText {
			p.add(at, "has %d bytes; the limit is %d", len(src), MaxText)
			return nil
		}
		t := p.parseText(at, src)
		if t == nil {
			return nil
		}
		*uses = append(*uses, use{at: at, refs: t.refs})
		return &selection{text: t}
	case rawjson.Kind(v) == "object":
		o, _ := p.object(at, v)
		sel := &selection{names: []string{}}
		o.open = true
		for _, f := range o.fields {
			if q := p.path(o.path(f.Name), f.Value); q != nil {
				sel.names, sel.paths = append(sel.names, f.Name), append(sel.paths, q)
				*uses = append(*uses, use{at: o.path(f.Name), refs: q.refs, path: q})
			}
		}
		o.rest()
		return sel
	}
	q := p.path(at, v)
	if q == nil {
		return nil
	}
	*uses = append(*uses, use{at: at, refs: q.refs, path: q})
	return &selection{path: q}
}
