package gateway

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/recipe"
)

// TemplateUse asks for a prompt template.
type TemplateUse struct {
	Name      string
	Ref       recipe.Ref
	Variables json.RawMessage // an object; nil for none
}

// Retrieval asks for passages of documents beside the question.
type Retrieval struct {
	Collection string
	Top        int     // passages at most
	MinScore   float64 // of a passage; scores compare within one search only
	Filter     rag.Filter
	Citations  bool // the model is asked to cite [n]
}

// Limits and defaults of retrieval in a chat.
const (
	defaultTop = 6
	maxTop     = 50
)

func parseTemplateUse(param string, value []byte) (*TemplateUse, error) {
	fields, err := llm.ReadObject(param, value, "name", "version", "variables")
	if err != nil {
		return nil, err
	}
	u := &TemplateUse{}
	u.Name, _ = rawjson.String(rawjson.Get(fields, "name"))
	if !recipe.ValidName(u.Name) {
		return nil, fault.Field(param+".name", "'%s.name' must name a template.", param)
	}
	if u.Ref, err = recipe.ReadRef(param+".version", rawjson.Get(fields, "version")); err != nil {
		return nil, err
	}
	if v := rawjson.Get(fields, "variables"); !rawjson.IsNull(v) {
		if rawjson.Kind(v) != "object" {
			return nil, fault.WrongType(param+".variables", rawjson.Kind(v), "object")
		}
		u.Variables = v
	}
	return u, nil
}

func parseRetrieval(param string, value []byte) (*Retrieval, error) {
	fields, err := llm.ReadObject(param, value, "collection", "top_k", "min_score", "filter", "citations")
	if err != nil {
		return nil, err
	}
	r := &Retrieval{Top: defaultTop, Citations: true}
	collection := rawjson.Get(fields, "collection")
	if rawjson.IsNull(collection) {
		return nil, fault.Missing(param + ".collection")
	}
	r.Collection, _ = rawjson.String(collection)
	if err := rag.CheckCollection(param+".collection", r.Collection); err != nil {
		return nil, err
	}
	if v := rawjson.Get(fields, "top_k"); !rawjson.IsNull(v) {
		n, ok := rawjson.Int(v)
		if !ok || n < 1 || n > maxTop {
			return nil, fault.Field(param+".top_k", "'%s.top_k' must be an integer from 1 to %d.", param, maxTop)
		}
		r.Top = int(n)
	}
	if v := rawjson.Get(fields, "min_score"); !rawjson.IsNull(v) {
		if r.MinScore, err = strconv.ParseFloat(string(v), 64); err != nil || math.IsInf(r.MinScore, 0) || r.MinScore < 0 {
			return nil, fault.Field(param+".min_score", "'%s.min_score' must be a number of at least 0.", param)
		}
	}
	if v := rawjson.Get(fields, "citations"); !rawjson.IsNull(v) {
		if r.Citations, err = llm.ReadBool(param+".citations", v); err != nil {
			return nil, err
		}
	}
	r.Filter, err = rag.ParseFilter(param+".filter", rawjson.Get(fields, "filter"))
	return r, err
}

func parseConversation(param string, value []byte) (string, error) {
	id, _ := rawjson.String(value)
	if !conversation.ValidID(id) {
		return "", fault.Field(param, "'%s' must be the id of a conversation, as POST /ai/conversations gives it.", param)
	}
	return id, nil
}

// maxProject bounds the id of a project, in bytes.
const maxProject = 128

// ReadProject reads the id of a project, which is part of a path where it is
// looked up.
func ReadProject(param string, value []byte) (string, error) {
	id, _ := rawjson.String(value)
	odd := func(r rune) bool {
		return (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r) && (r < '0' || '9' < r) && r != '.' && r != '_' && r != '-'
	}
	if id == "" || len(id) > maxProject || id == "." || id == ".." || strings.ContainsFunc(id, odd) {
		return "", fault.Field(param, "'%s' must be the id of a project: 1 to %d letters, digits, '.', '_' or '-'.", param, maxProject)
	}
	return id, nil
}
