package dynamo

import (
	"strconv"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
)

const (
	maxGlimpses = 4096
	// maxStale bounds the names in one expression (4 KB, 300 operators).
	maxStale = 100

	// skew is how far the clocks of instances are trusted to agree.
	skew = time.Hour
	// staleMinutes after its end a minute's token count matters to nobody.
	staleMinutes = 2
)

// glimpses remembers, of the users seen last, what makes the next write
// cheaper. Being wrong costs a round trip and nothing else.
type glimpses struct {
	mu sync.Mutex
	of map[string]glimpse
}

type glimpse struct {
	tat   int64
	stale []string // periods to prune: the map's letter, then the period
}

func (g *glimpses) note(a *admission.Account, now time.Time) {
	seen := glimpse{tat: a.TAT, stale: stale(a, now)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = map[string]glimpse{}
	}
	if len(g.of) >= maxGlimpses {
		for user, old := range g.of {
			if old.tat <= now.UnixMicro() {
				delete(g.of, user) // idle, which is what an unknown user is taken for
			}
		}
		if len(g.of) >= maxGlimpses {
			clear(g.of)
		}
	}
	g.of[a.ID] = seen
}

// busy guesses which variant of the rate limit's write will fit.
func (g *glimpses) busy(ask admission.Ask) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.of[ask.User].tat > ask.Now.UnixMicro()
}

// stale returns the periods of user that may be pruned, and forgets them.
func (g *glimpses) stale(user string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.of[user]
	if len(seen.stale) == 0 {
		return nil
	}
	periods := seen.stale
	seen.stale = nil
	g.of[user] = seen
	return periods
}

// stale lists a's periods that no open request can be charged to: minutes that
// are over, days before yesterday, months before the last one.
func stale(a *admission.Account, now time.Time) []string {
	var old []string
	then := now.Add(-skew).UTC()
	day := admission.Day(then.AddDate(0, 0, -1))
	month := admission.Month(time.Date(then.Year(), then.Month()-1, 1, 0, 0, 0, 0, time.UTC))
	for p := range a.DayLeft {
		if p < day {
			old = append(old, "d"+p)
		}
	}
	for p := range a.MonthLeft {
		if p < month {
			old = append(old, "m"+p)
		}
	}
	for p := range a.ProjectLeft {
		if p < month {
			old = append(old, "p"+p)
		}
	}
	for p := range a.TokensLeft {
		if m, err := strconv.ParseInt(p, 10, 64); err == nil && m < now.Unix()/60-staleMinutes {
			old = append(old, "t"+p)
		}
	}
	return old[:min(len(old), maxStale)]
}
