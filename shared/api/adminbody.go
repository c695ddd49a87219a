package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// userBody is what POST and PATCH of a user take. Every field is kept raw, so
// that absent, null and wrong can be told apart and named.
type userBody struct {
	ID      json.RawMessage `json:"id"`
	Name    json.RawMessage `json:"name"`
	Project json.RawMessage `json:"project"`
	Limits  json.RawMessage `json:"limits"`
	Budgets json.RawMessage `json:"budgets"`
	Models  json.RawMessage `json:"models"`
	Status  json.RawMessage `json:"status"`
}

type keyBody struct {
	Name    json.RawMessage `json:"name"`
	Scopes  json.RawMessage `json:"scopes"`
	Models  json.RawMessage `json:"models"`
	Expires json.RawMessage `json:"expires_at"`
}

// decode reads a JSON object and refuses unknown members: a misspelt limit
// must not be no limit. An empty body is an empty object.
func (v *visit) decode(into any) error {
	body, err := v.body()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	return decodeObject("", body, into)
}

func decodeObject(at string, body []byte, into any) error {
	if _, err := llm.ReadObject(at, body, memberNames(into)...); err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

func (b *userBody) newUser(now time.Time) (admission.User, error) {
	u := admission.User{Active: true, Models: []string{"*"}, Rate: admission.DefaultRate, Burst: admission.DefaultBurst,
		Parallel: admission.DefaultParallel, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None, Created: now.UTC()}
	if rawjson.IsNull(b.ID) {
		return u, fault.Missing("id")
	}
	id, ok := rawjson.String(b.ID)
	if !ok || !admission.ValidUserID(id) {
		return u, fault.Field("id", "'id' must be 1 to 64 letters, digits, '.', '_', '@' or '-', and begin with a letter or digit.")
	}
	u.ID = id
	b.ID = nil
	return b.patch(u)
}

// patch returns u with what the body names changed.
func (b *userBody) patch(u admission.User) (admission.User, error) {
	if b.ID != nil {
		if id, _ := rawjson.String(b.ID); id != u.ID {
			return u, fault.Field("id", "A user's 'id' cannot be changed.")
		}
	}
	if err := optional("name", b.Name, 256, &u.Name); err != nil {
		return u, err
	}
	if err := optional("project", b.Project, 64, &u.Project); err != nil {
		return u, err
	}
	if b.Project != nil && u.Project != "" {
		if err := admission.CheckProjectID("project", u.Project); err != nil {
			return u, err
		}
	}
	if b.Status != nil {
		switch s, _ := rawjson.String(b.Status); s {
		case "active":
			u.Active = true
		case "suspended":
			u.Active = false
		default:
			return u, fault.Field("status", "'status' must be \"active\" or \"suspended\".")
		}
	}
	var err error
	if b.Models != nil {
		if u.Models, err = modelList(b.Models); err != nil {
			return u, err
		}
	}
	if b.Limits != nil {
		if err := patchLimits(b.Limits, &u); err != nil {
			return u, err
		}
	}
	if b.Budgets != nil {
		if u.Day, u.Month, err = budgets(b.Budgets); err != nil {
			return u, err
		}
	}
	return u, nil
}

func optional(param string, v json.RawMessage, limit int, into *string) error {
	if v == nil {
		return nil
	}
	if rawjson.IsNull(v) {
		*into = ""
		return nil
	}
	s, ok := rawjson.String(v)
	if !ok || len(s) > limit {
		return fault.Field(param, "'%s' must be a string of at most %d bytes.", param, limit)
	}
	*into = s
	return nil
}

func patchLimits(object []byte, u *admission.User) error {
	var l struct {
		Rate     json.RawMessage `json:"requests_per_second"`
		Burst    json.RawMessage `json:"burst"`
		Tokens   json.RawMessage `json:"tokens_per_minute"`
		Parallel json.RawMessage `json:"max_parallel"`
	}
	if err := decodeObject("limits", object, &l); err != nil {
		return err
	}
	if l.Rate != nil {
		u.Rate = 0
		if !rawjson.IsNull(l.Rate) {
			if json.Unmarshal(l.Rate, &u.Rate) != nil || u.Rate < 0.001 || u.Rate > 100_000 {
				return fault.Field("limits.requests_per_second", "'limits.requests_per_second' must be a number from 0.001 to 100000, or null for no limit.")
			}
		}
	}
	whole := func(name string, v json.RawMessage, ifNull, high int64, into *int64) error {
		if v == nil {
			return nil
		}
		if rawjson.IsNull(v) {
			*into = ifNull
			return nil
		}
		n, ok := rawjson.Int(v)
		if !ok || n < 1 || n > high {
			return fault.Field("limits."+name, "'limits.%s' must be an integer from 1 to %d, or null for the default.", name, high)
		}
		*into = n
		return nil
	}
	if err := whole("burst", l.Burst, admission.DefaultBurst, 100_000, &u.Burst); err != nil {
		return err
	}
	if err := whole("tokens_per_minute", l.Tokens, admission.NoTokenLimit, 1e12, &u.Tokens); err != nil {
		return err
	}
	return whole("max_parallel", l.Parallel, admission.DefaultParallel, admission.MaxParallel, &u.Parallel)
}

// budgets reads the whole list: periods that it does not name have none.
func budgets(array []byte) (day, month usage.Nano, err error) {
	day, month = usage.None, usage.None
	if rawjson.IsNull(array) {
		return day, month, nil
	}
	if rawjson.Kind(array) != "array" {
		return day, month, fault.WrongType("budgets", rawjson.Kind(array), "array")
	}
	err = rawjson.Elements(array, func(i int, v []byte) error {
		at := fmt.Sprintf("budgets[%d]", i)
		var b struct {
			Period string      `json:"period"`
			USD    json.Number `json:"usd"`
		}
		if err := decodeObject(at, v, &b); err != nil {
			if f := fault.As(err); f.Kind == fault.Invalid {
				return err
			}
			return fault.Field(at, "'%s' must be {\"period\":\"day\" or \"month\",\"usd\":number}.", at)
		}
		usd, err := usage.ParseUSD(b.USD.String())
		if err != nil || usd == 0 && b.USD == "" {
			return fault.Field(at+".usd", "'%s.usd' must be an amount from 0 to 999999.999999999 dollars.", at)
		}
		into := map[string]*usage.Nano{"day": &day, "month": &month}[b.Period]
		if into == nil {
			return fault.Field(at+".period", "'%s.period' must be \"day\" or \"month\".", at)
		}
		if *into != usage.None {
			return fault.Field(at+".period", "There is more than one budget per %s.", b.Period)
		}
		*into = usd
		return nil
	})
	return day, month, err
}

func (b *keyBody) newKey(now time.Time) (admission.Key, error) {
	k := admission.Key{Scopes: []string{"inference"}, Models: []string{"*"}, Created: now.UTC()}
	if err := optional("name", b.Name, 256, &k.Name); err != nil {
		return k, err
	}
	var err error
	if b.Scopes != nil {
		if k.Scopes, err = nameList("scopes", b.Scopes); err != nil {
			return k, err
		}
		for _, s := range k.Scopes {
			if s != "inference" && s != "admin" {
				return k, fault.Field("scopes", "'scopes' takes \"inference\" and \"admin\", not %.40q.", s)
			}
		}
	}
	if b.Models != nil {
		if k.Models, err = modelList(b.Models); err != nil {
			return k, err
		}
	}
	if !rawjson.IsNull(b.Expires) {
		text, _ := rawjson.String(b.Expires)
		if k.Expires, err = time.Parse(time.RFC3339, text); err != nil || !k.Expires.After(now) {
			return k, fault.Field("expires_at", "'expires_at' must be a time in the future, such as \"2027-01-31T00:00:00Z\", or null.")
		}
		k.Expires = k.Expires.UTC()
	}
	return k, nil
}

// modelList is nameList for an allow-list: "*", "provider/*" and whole names. A
// pattern of another kind would allow nothing, and nobody would see why.
func modelList(v json.RawMessage) ([]string, error) {
	list, err := nameList("models", v)
	for i, s := range list {
		provider, pattern := strings.CutSuffix(s, "/*")
		if s != "*" && (strings.Contains(provider, "*") || pattern && (provider == "" || strings.Contains(provider, "/"))) {
			return nil, fault.Field(fmt.Sprintf("models[%d]", i), "'models[%d]' must be \"*\", \"provider/*\" or the whole name of a model.", i)
		}
	}
	return list, err
}

// nameList reads a list of 1 to 50 distinct names. It is bounded because every
// admission reads it.
func nameList(param string, v json.RawMessage) ([]string, error) {
	var list []string
	if json.Unmarshal(v, &list) != nil || len(list) == 0 || len(list) > 50 {
		return nil, fault.Field(param, "'%s' must be an array of 1 to 50 strings.", param)
	}
	for i, s := range list {
		if s == "" || len(s) > 128 || slices.Contains(list[:i], s) {
			return nil, fault.Field(param, "'%s[%d]' must be a string of 1 to 128 bytes that is not listed twice.", param, i)
		}
	}
	return list, nil
}
