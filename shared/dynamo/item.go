package dynamo

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// The account's item. Names are short because every admission pays for the
// whole item's size:
//
//	pk U#<user>, sk A, gu u        gu: the users index, written once (projects are in it, too)
//	st 1|0, v                      active; settings version
//	k {hash: {x, m, s}}            keys: expiry in seconds, models, scopes
//	mods                           the user's models
//	tat, gate, inc, gap            GCRA in µs
//	par, D, M, T                   limits: parallel, day, month, tokens per minute
//	d, m, t {period: left}         what is left of D, M, T; no entry: all of it
//	G, p {month: left}, gn         of the project's budget (see fund): its state, what is left of grants, their number
//	L {request id: reserved}       open leases
//	nm, pj, r, b, c                for people: name, project, rate, burst, created
//
// Models and scopes are lists, not sets: contains works on both, a list keeps
// its order and may be empty.
const (
	userPrefix = "U#"
	accountSK  = "A"
	usersIndex = "users"
	indexKey   = "u"
)

func n(v int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
}
func str(v string) types.AttributeValue  { return &types.AttributeValueMemberS{Value: v} }
func blob(v []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: v} }

func list(v []string) types.AttributeValue {
	l := make([]types.AttributeValue, len(v))
	for i, s := range v {
		l[i] = str(s)
	}
	return &types.AttributeValueMemberL{Value: l}
}

func numbers[V ~int64](m map[string]V) types.AttributeValue {
	out := make(map[string]types.AttributeValue, len(m))
	for k, v := range m {
		out[k] = n(int64(v))
	}
	return &types.AttributeValueMemberM{Value: out}
}

func flag(v bool) types.AttributeValue {
	if v {
		return n(1)
	}
	return n(0)
}

// moment is nanoseconds since 1970; the zero time has no number.
func moment(t time.Time) types.AttributeValue {
	if t.IsZero() {
		return &types.AttributeValueMemberNULL{Value: true}
	}
	return n(t.UnixNano())
}

func rules(keys map[string]admission.Rule) types.AttributeValue {
	m := make(map[string]types.AttributeValue, len(keys))
	for hash, r := range keys {
		m[hash] = &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"x": n(r.Expires), "m": list(r.Models), "s": list(r.Scopes)}}
	}
	return &types.AttributeValueMemberM{Value: m}
}

func key(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": str(pk), "sk": str(sk)}
}

func accountKey(user string) map[string]types.AttributeValue { return key(userPrefix+user, accountSK) }

// item writes a as its item.
func item(a *admission.Account) map[string]types.AttributeValue {
	it := accountKey(a.ID)
	it["gu"] = str(indexKey)
	it["k"] = rules(a.Keys)
	it["tat"], it["gate"] = n(a.TAT), n(a.Gate)
	it["d"], it["m"], it["t"], it["L"] = numbers(a.DayLeft), numbers(a.MonthLeft), numbers(a.TokensLeft), numbers(a.Leases)
	it["G"], it["p"], it["gn"] = n(int64(a.ProjectLimit)), numbers(a.ProjectLeft), n(a.Draws)
	it["v"], it["c"] = n(a.Version), moment(a.Created)
	for name, v := range settings(a) {
		it[name] = v
	}
	return it
}

// settings are the attributes that UpdateUser sets outright.
func settings(a *admission.Account) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"st": flag(a.Active), "mods": list(a.Models), "inc": n(a.Inc), "gap": n(a.Gap),
		"par": n(a.Parallel), "D": n(int64(a.Day)), "M": n(int64(a.Month)), "T": n(a.Tokens),
		"nm": str(a.Name), "pj": str(a.Project), "b": n(a.Burst),
		"r": &types.AttributeValueMemberN{Value: strconv.FormatFloat(a.Rate, 'g', -1, 64)},
	}
}

// account reads what item wrote.
func account(it map[string]types.AttributeValue) (*admission.Account, error) {
	r := reader{item: it}
	a := &admission.Account{
		User: admission.User{
			Name: r.str("nm"), Project: r.str("pj"), Active: r.num("st") == 1, Models: r.list("mods"),
			Rate: r.float("r"), Burst: r.num("b"), Parallel: r.num("par"),
			Tokens: r.num("T"), Day: usage.Nano(r.num("D")), Month: usage.Nano(r.num("M")), Created: r.moment("c"),
		},
		TAT: r.num("tat"), Gate: r.num("gate"), Inc: r.num("inc"), Gap: r.num("gap"),
		DayLeft: readNumbers[usage.Nano](&r, "d"), MonthLeft: readNumbers[usage.Nano](&r, "m"),
		TokensLeft: readNumbers[int64](&r, "t"), Leases: readNumbers[usage.Nano](&r, "L"),
		Version: r.num("v"), ProjectLimit: usage.Nano(r.num("G")), ProjectLeft: readNumbers[usage.Nano](&r, "p"), Draws: r.num("gn"),
	}
	if pk := r.str("pk"); len(pk) > len(userPrefix) {
		a.ID = pk[len(userPrefix):]
	}
	keys := r.attrs("k")
	a.Keys = make(map[string]admission.Rule, len(keys))
	for hash := range keys {
		of := reader{item: keys}
		k := reader{item: of.attrs(hash), err: of.err}
		a.Keys[hash] = admission.Rule{Expires: k.num("x"), Models: k.list("m"), Scopes: k.list("s")}
		r.keep("k", k.err)
	}
	if r.err != nil {
		return nil, fmt.Errorf("dynamo: item of user %q: %w", a.ID, r.err)
	}
	return a, nil
}

// errItem marks items that are not what this package writes.
var errItem = errors.New("malformed item")

// reader takes typed values out of an item and keeps the first error.
type reader struct {
	item map[string]types.AttributeValue
	err  error
}

func (r *reader) fail(name string, v any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: attribute %s is a %T", errItem, name, v)
	}
}

func (r *reader) keep(name string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%w: attribute %s: %w", errItem, name, err)
	}
}

func (r *reader) str(name string) string {
	switch v := r.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		r.fail(name, v)
	}
	return ""
}

func (r *reader) bytes(name string) []byte {
	switch v := r.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		return v.Value
	default:
		r.fail(name, v)
	}
	return nil
}

// int reads a number that is a key, and therefore text.
func (r *reader) int(name string) int {
	v, err := strconv.Atoi(r.str(name))
	r.keep(name, err)
	return v
}

func (r *reader) digits(name string) string {
	switch v := r.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberNULL:
	case *types.AttributeValueMemberN:
		return v.Value
	default:
		r.fail(name, v)
	}
	return ""
}

func (r *reader) num(name string) int64 {
	s := r.digits(name)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseInt(s, 10, 64)
	r.keep(name, err)
	return v
}

func (r *reader) float(name string) float64 {
	s := r.digits(name)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	r.keep(name, err)
	return v
}

func (r *reader) moment(name string) time.Time {
	if r.digits(name) == "" {
		return time.Time{}
	}
	return time.Unix(0, r.num(name)).UTC()
}

func (r *reader) attrs(name string) map[string]types.AttributeValue {
	switch v := r.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberM:
		return v.Value
	default:
		r.fail(name, v)
	}
	return nil
}

func (r *reader) list(name string) []string {
	switch v := r.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberL:
		if len(v.Value) == 0 {
			return nil
		}
		out := make([]string, len(v.Value))
		for i, e := range v.Value {
			s, ok := e.(*types.AttributeValueMemberS)
			if !ok {
				r.fail(name, e)
				return nil
			}
			out[i] = s.Value
		}
		return out
	default:
		r.fail(name, v)
	}
	return nil
}

func readNumbers[V ~int64](r *reader, name string) map[string]V {
	m := reader{item: r.attrs(name)}
	out := make(map[string]V, len(m.item))
	for k := range m.item {
		out[k] = V(m.num(k))
	}
	r.keep(name, m.err)
	return out
}
