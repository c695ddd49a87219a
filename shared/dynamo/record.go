package dynamo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// recordPrefix begins the partition of a user's records; they sort by the
// request's id, and so by time.
const recordPrefix = "R#"

// recordField ties an attribute to a field of a record. The pointer's type
// decides the attribute's. Zero values are left out.
type recordField struct {
	name string
	at   any
}

// recordFields lists everything but id and user, which the key holds. Amounts
// are nano-dollars, durations and times nanoseconds.
func recordFields(r *usage.Record) []recordField {
	return []recordField{
		{"time", &r.Time}, {"key", &r.Key}, {"project", &r.Project}, {"tags", &r.Tags},
		{"client_id", &r.ClientID}, {"op", &r.Operation}, {"stream", &r.Stream},
		{"asked", &r.Asked}, {"provider", &r.Provider}, {"model", &r.Model}, {"writes_off", &r.WritesOff}, {"template", &r.Template},
		{"status", &r.Status}, {"error", &r.Error}, {"finish", &r.Finish}, {"attempts", &r.Attempts}, {"rotations", &r.Rotations},
		{"in", &r.InputTokens}, {"cached", &r.CachedTokens}, {"cache_write", &r.CacheWriteTokens},
		{"out", &r.OutputTokens}, {"reasoning", &r.ReasoningTokens},
		{"cost", &r.Cost}, {"reserved", &r.Reserved},
		{"estimated", &r.Estimated}, {"unpriced", &r.Unpriced}, {"unsettled", &r.Unsettled}, {"partial", &r.Partial}, {"fail_open", &r.FailOpen},
		{"ttft", &r.TTFT}, {"duration", &r.Duration}, {"overhead", &r.Overhead}, {"skipped", &r.Skipped}, {"tried", &r.Tried},
	}
}

func recordItem(r *usage.Record) map[string]types.AttributeValue {
	it := key(recordPrefix+r.User, r.ID)
	for _, f := range recordFields(r) {
		if v := f.write(); v != nil {
			it[f.name] = v
		}
	}
	return it
}

// record reads what recordItem wrote.
func record(it map[string]types.AttributeValue) (usage.Record, error) {
	in := reader{item: it}
	var r usage.Record
	r.ID = in.str("sk")
	if pk := in.str("pk"); len(pk) > len(recordPrefix) {
		r.User = pk[len(recordPrefix):]
	}
	for _, f := range recordFields(&r) {
		f.read(&in)
	}
	if in.err != nil {
		return usage.Record{}, fmt.Errorf("dynamo: record %s: %w", r.ID, in.err)
	}
	return r, nil
}

func (f recordField) write() types.AttributeValue {
	switch p := f.at.(type) {
	case *string:
		if *p != "" {
			return str(*p)
		}
	case *int:
		return number(int64(*p))
	case *int64:
		return number(*p)
	case *usage.Nano:
		return number(int64(*p))
	case *time.Duration:
		return number(int64(*p))
	case *bool:
		if *p {
			return &types.AttributeValueMemberBOOL{Value: true}
		}
	case *[]string:
		if len(*p) > 0 {
			return list(*p)
		}
	case *[]usage.Attempt: // a list that nothing is asked of
		if len(*p) > 0 {
			text, _ := json.Marshal(*p) // names and numbers always marshal
			return str(string(text))
		}
	case *time.Time:
		if !p.IsZero() {
			return n(p.UnixNano())
		}
	}
	return nil
}

func number(v int64) types.AttributeValue {
	if v == 0 {
		return nil
	}
	return n(v)
}

func (f recordField) read(in *reader) {
	switch p := f.at.(type) {
	case *string:
		*p = in.str(f.name)
	case *int:
		*p = int(in.num(f.name))
	case *int64:
		*p = in.num(f.name)
	case *usage.Nano:
		*p = usage.Nano(in.num(f.name))
	case *time.Duration:
		*p = time.Duration(in.num(f.name))
	case *bool:
		v, ok := in.item[f.name].(*types.AttributeValueMemberBOOL)
		*p = ok && v.Value
	case *[]string:
		*p = in.list(f.name)
	case *[]usage.Attempt:
		if text := in.str(f.name); text != "" {
			in.keep(f.name, json.Unmarshal([]byte(text), p))
		}
	case *time.Time:
		*p = in.moment(f.name)
	}
}
