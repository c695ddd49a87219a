package dynamo

import (
	"strconv"
	"sync"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/usage"
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
	purse *purse   // nil: spends no grants, or the last request was refused
}

// purse is what a member had of its project's budget after an admission.
type purse struct {
	key            string // that was admitted; no other may draw before it is checked
	project, month string
	draws          int64
	unused         usage.Nano
}

func (g *glimpses) admitted(a *admission.Account, ask admission.Ask) {
	g.note(a, ask.Now)
	if !ask.Lease || a.ProjectLimit != granted {
		return
	}
	month := admission.Month(ask.Period())
	p := &purse{ask.KeyHash, a.Project, month, a.Draws, unused(a, month)}
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.of[a.ID]
	seen.purse = p
	g.of[a.ID] = seen
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

// short returns ask's user, as far as draws need it, if its grants were less
// than ask needs.
func (g *glimpses) short(ask admission.Ask) *admission.Account {
	if !ask.Lease {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.of[ask.User].purse
	if p == nil || p.unused >= ask.Reserve || p.key != ask.KeyHash || p.month != admission.Month(ask.Period()) {
		return nil
	}
	return &admission.Account{User: admission.User{ID: ask.User, Project: p.project}, Draws: p.draws, ProjectLimit: granted,
		ProjectLeft: map[string]usage.Nano{p.month: p.unused}}
}

// returned notes what a settlement has left of user's grants.
func (g *glimpses) returned(user, month string, unused usage.Nano) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.of[user].purse; p != nil && p.month == month {
		p.unused = unused
	}
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
	month := firstMonth(now)
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

const (
	maxFunds = 256
	// dryFor is how long a project without room is believed to have none,
	// although members of it may have settled requests elsewhere.
	dryFor = time.Second
)

// fundGlimpses remembers, of the projects seen last, what spares draws a
// write, and those that have no room many reads.
type fundGlimpses struct {
	mu sync.Mutex
	of map[string]fundGlimpse
}

type fundGlimpse struct {
	month   string
	left    usage.Nano
	members int
	dry     drought
}

// drought is what a project's books said when there was no room.
type drought struct {
	until              time.Time
	version, transfers int64
	month              string
	left               usage.Nano
	total              usage.Nano            // left of the budget, granted or not
	there              usage.Nano            // what somebody might have drawn
	idle               map[string]usage.Nano // of that, by member
}

func (g *fundGlimpses) change(project string, f func(*fundGlimpse)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen, known := g.of[project]
	if !known && len(g.of) >= maxFunds {
		clear(g.of)
	}
	if g.of == nil {
		g.of = map[string]fundGlimpse{}
	}
	f(&seen)
	g.of[project] = seen
}

func (g *fundGlimpses) note(f *fund, month string) {
	g.change(f.ID, func(seen *fundGlimpse) { seen.month, seen.left, seen.members = month, f.leftOf(month), len(f.draws) })
}

func (g *fundGlimpses) drew(project string, d draw) {
	g.change(project, func(seen *fundGlimpse) {
		if seen.month == d.month {
			seen.left -= d.amount
		}
	})
}

// guess says how much to draw; sure is false if nothing is known of the
// project.
func (g *fundGlimpses) guess(project, month string, need usage.Nano) (amount usage.Nano, sure bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if seen := g.of[project]; seen.month == month {
		return grant(max(need, seen.left), seen.members, need), true
	}
	return max(need, fullGrant), false
}

func (g *fundGlimpses) dried(b *books, month string) {
	d := drought{until: time.Now().Add(dryFor), version: b.version, transfers: b.transfers, month: month,
		left: b.leftOf(month), total: b.total(month), idle: map[string]usage.Nano{}}
	d.there = d.left
	for _, m := range b.idle(month, "") {
		d.idle[m.ID] = unused(m.Account, month)
		d.there += d.idle[m.ID]
	}
	g.change(b.ID, func(seen *fundGlimpse) { seen.dry = d })
}

// dry says whether a's project is known to lack what a needs, and what is left
// of it in all. f is the project if it has just been seen.
func (g *fundGlimpses) dry(f *fund, a *admission.Account, month string, need usage.Nano) (total usage.Nano, dry bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.of[a.Project].dry
	same := f == nil || f.version == d.version && f.transfers == d.transfers && f.leftOf(month) == d.left
	return d.total, same && d.month == month && time.Now().Before(d.until) && d.there-d.idle[a.ID] < need
}

// forget makes a project that was dry be looked at again.
func (g *fundGlimpses) forget(project string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if seen, ok := g.of[project]; ok {
		seen.dry = drought{}
		g.of[project] = seen
	}
}
