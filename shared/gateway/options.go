package gateway

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/prompt"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Options is the request's "gateway" object.
type Options struct {
	Tags     []string
	Strict   bool          // refuse fields that the provider cannot take
	MaxPrice usage.Nano    // refuse the request if it may cost more; 0: no bound
	Timeout  time.Duration // for the whole answer; 0: the platform's own
	TTFT     time.Duration // for the first event of each attempt; 0: the model's own

	Strategy    router.Strategy // "": the model's own
	Only, Order []string        // providers: no others, or before the others
	Fallbacks   []string        // models to be asked if the first fails; nil: the model's own

	Template     *TemplateUse
	RAG          *Retrieval
	Conversation string          // the id of a stored one
	Project      string          // the id of the one that the request belongs to
	Context      prompt.Strategy // for a prompt that is too long; "": the provider decides
	Optimize     bool            // make the prompt shorter and cheaper without changing what it says
}

// assembles says whether the prompt is made of more than the client sent.
func (o *Options) assembles() bool {
	return o.Template != nil || o.RAG != nil || o.Conversation != "" || o.Project != "" || o.Context != "" || o.Optimize
}

// chatOnly refuses what embeddings have no use for.
func (o *Options) chatOnly() error {
	for _, key := range []struct {
		name  string
		given bool
	}{{"template", o.Template != nil}, {"rag", o.RAG != nil}, {"conversation", o.Conversation != ""}, {"project", o.Project != ""}, {"context", o.Context != ""}, {"optimize", o.Optimize}} {
		if key.given {
			return fault.Field("gateway."+key.name, "'gateway.%s' is for chats: an embedding has no prompt.", key.name)
		}
	}
	return nil
}

const (
	maxTags   = 16
	maxTagLen = 64
	maxList   = 16 // providers and fallbacks
)

// later are the keys that the format has and this version cannot do yet.
var later = []string{"cache", "continue"}

func parseChat(body []byte, fields []rawjson.Field) (*llm.Request, Options, error) {
	req, err := llm.ReadRequest(body, fields)
	if err != nil {
		return nil, Options{}, err
	}
	opts, err := ParseOptions(rawjson.Get(req.Fields, "gateway"))
	return req, opts, err
}

// ParseOptions reads the "gateway" object of a request, which may be absent. Its
// errors are fault.Invalid, or fault.Unimplemented, and name the key.
func ParseOptions(object []byte) (o Options, err error) {
	if rawjson.IsNull(object) {
		return o, nil
	}
	fields, err := llm.ReadObject("gateway", object)
	if err != nil {
		return o, err
	}
	for _, f := range fields {
		param := "gateway." + f.Name
		if rawjson.IsNull(f.Value) {
			continue
		}
		switch f.Name {
		case "tags":
			o.Tags, err = parseStrings(param, f.Value, maxTags, maxTagLen)
		case "only":
			o.Only, err = parseStrings(param, f.Value, maxList, 64)
		case "order":
			o.Order, err = parseStrings(param, f.Value, maxList, 64)
		case "fallbacks":
			o.Fallbacks, err = parseStrings(param, f.Value, maxList, 256)
			if err == nil && o.Fallbacks == nil {
				o.Fallbacks = []string{} // none at all
			}
		case "strategy":
			s, _ := rawjson.String(f.Value)
			if o.Strategy = router.Strategy(s); !o.Strategy.Known() {
				return o, fault.Field(param, "'%s' must be %s.", param, fault.Choice(router.Strategies))
			}
		case "strict":
			o.Strict, err = llm.ReadBool(param, f.Value)
		case "optimize":
			o.Optimize, err = llm.ReadBool(param, f.Value)
		case "template":
			o.Template, err = parseTemplateUse(param, f.Value)
		case "rag":
			o.RAG, err = parseRetrieval(param, f.Value)
		case "conversation":
			o.Conversation, err = parseConversation(param, f.Value)
		case "project":
			o.Project, err = ReadProject(param, f.Value)
		case "context":
			name, _ := rawjson.String(f.Value)
			if o.Context = prompt.Strategy(name); !o.Context.Known() {
				return o, fault.Field(param, "'%s' must be 'error', 'truncate' or 'summarize'.", param)
			}
		case "timeout_ms":
			o.Timeout, err = parseMillis(param, f.Value)
		case "ttft_timeout_ms":
			o.TTFT, err = parseMillis(param, f.Value)
		case "max_price_usd":
			usd, perr := strconv.ParseFloat(string(f.Value), 64)
			if perr != nil || math.IsInf(usd, 0) || usd <= 0 || usd > 999_999 {
				return o, fault.Field(param, "'%s' must be a positive number of dollars.", param)
			}
			o.MaxPrice = max(1, usage.FromUSD(usd))
		default:
			if slices.Contains(later, f.Name) {
				return o, &fault.Error{Kind: fault.Unimplemented, Param: param, Code: "not_implemented",
					Message: "'" + param + "' is not implemented yet."}
			}
			return o, fault.Unknown(param)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func parseMillis(param string, value []byte) (time.Duration, error) {
	ms, ok := rawjson.Int(value)
	if !ok || ms < 1 || ms > 900_000 {
		return 0, fault.Field(param, "'%s' must be an integer from 1 to 900000.", param)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func parseStrings(param string, value []byte, most, length int) (list []string, err error) {
	if rawjson.Kind(value) != "array" {
		return nil, fault.WrongType(param, rawjson.Kind(value), "array")
	}
	err = rawjson.Elements(value, func(i int, v []byte) error {
		s, ok := rawjson.String(v)
		if !ok || s == "" || len(s) > length || i >= most {
			return fault.Field(param, "'%s' takes up to %d strings of 1 to %d bytes.", param, most, length)
		}
		list = append(list, s)
		return nil
	})
	return list, err
}
