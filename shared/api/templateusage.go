package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	day = 24 * time.Hour
	// defaultSpan and maxSpan are how much of the ledger is read, from its end
	// unless the request says where.
	defaultSpan = 7 * day
	maxSpan     = 31 * day
	maxRecords  = 50_000
)

type versionUsage struct {
	Version      int        `json:"version"`
	Requests     int64      `json:"requests"`
	Errors       int64      `json:"errors"` // those answered with 400 or above
	InputTokens  int64      `json:"input_tokens"`
	OutputTokens int64      `json:"output_tokens"`
	Cost         usage.Nano `json:"cost_usd"`
}

// templateUsage adds up the user's ledger records by version.
func (s *Server) templateUsage(ctx context.Context, v *visit, c *gateway.Call) error {
	name, err := templateName(v)
	if err != nil {
		return err
	}
	from, to, err := span(v.r.URL.Query(), time.Now())
	if err != nil {
		return err
	}
	// The ledger outlives users: what another of this name has used is nobody's
	// business.
	a, err := s.Users.User(ctx, c.User)
	if err != nil {
		return err
	}
	since := from
	if born := a.User.Created; born.After(to) {
		since = to
	} else if born.After(from) {
		since = born
	}
	sums := map[int]*versionUsage{}
	read := 0
	for r, err := range s.Ledger.Records(ctx, c.User, since, to) {
		if err != nil {
			return err
		}
		if read++; read > maxRecords {
			return fault.Field("from", "More than %d requests were made between 'from' and 'to'; ask for less time.", maxRecords)
		}
		for used := range strings.FieldsSeq(r.Template) {
			of, number, _ := strings.Cut(used, "@")
			n, err := strconv.Atoi(number)
			if of != name || err != nil {
				continue
			}
			if sums[n] == nil {
				sums[n] = &versionUsage{Version: n}
			}
			sums[n].add(r)
		}
	}
	if len(sums) == 0 { // of a deleted one there may be usage, of none there cannot
		if _, err := s.Recipes.Head(ctx, c.User, recipe.Template, name); err != nil {
			return err
		}
	}
	data := slices.SortedFunc(maps.Values(sums), func(a, b *versionUsage) int { return cmp.Compare(b.Version, a.Version) })
	return v.json(http.StatusOK, map[string]any{"object": "list", "data": append([]*versionUsage{}, data...), "has_more": false,
		"from": from.Format(time.RFC3339), "to": to.Format(time.RFC3339)})
}

func (u *versionUsage) add(r usage.Record) {
	u.Requests++
	if r.Status >= http.StatusBadRequest || r.Error != "" {
		u.Errors++
	}
	if r.Operation == "chain" {
		return // its tokens and costs are those of all its steps
	}
	u.InputTokens += r.InputTokens
	u.OutputTokens += r.OutputTokens
	u.Cost += r.Cost
}

// span reads from and to, which are times or days in UTC. A day as the end is
// included.
func span(q url.Values, now time.Time) (from, to time.Time, err error) {
	to = now.UTC()
	if text := q.Get("to"); text != "" {
		if to, err = moment("to", text, day); err != nil {
			return from, to, err
		}
	}
	from = to.Add(-defaultSpan)
	if text := q.Get("from"); text != "" {
		if from, err = moment("from", text, 0); err != nil {
			return from, to, err
		}
	}
	if d := to.Sub(from); d <= 0 || d > maxSpan {
		return from, to, fault.Field("from", "'from' must be before 'to', and at most %d days.", maxSpan/day)
	}
	return from, to, nil
}

func moment(param, text string, ofDay time.Duration) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Add(ofDay), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fault.Field(param, "'%s' must be a day such as 2026-11-22 or a time such as 2026-11-22T12:00:00Z.", param)
	}
	return t.UTC(), nil
}
