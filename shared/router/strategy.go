package router

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// Strategy decides which of several targets is asked first, and so on.
type Strategy string

// The strategies.
const (
	Priority  Strategy = "priority"   // as configured
	Weighted  Strategy = "weighted"   // in turns, by weight
	Latency   Strategy = "latency"    // the one that answers soonest, going by the last ten seconds
	Cost      Strategy = "cost"       // the cheapest for this request
	LeastBusy Strategy = "least-busy" // the one with the fewest calls under way in this process
	Race      Strategy = "race"       // several at once; the first to speak answers
	Hedge     Strategy = "hedge"      // the first; a second one if it takes longer than usual
)

// Strategies lists them.
var Strategies = []Strategy{Priority, Weighted, Latency, Cost, LeastBusy, Race, Hedge}

// Known reports whether s is a strategy.
func (s Strategy) Known() bool { return slices.Contains(Strategies, s) }

// sort returns the targets of g that the request allows, first choice first.
func (r *Route) sort(g *Group, s Strategy) []*Target {
	list := make([]*Target, 0, len(g.Targets))
	for i := range g.Targets {
		if t := &g.Targets[i]; r.Allow == nil || r.Allow(t) {
			list = append(list, t)
		}
	}
	if len(list) < 2 {
		return list
	}
	now := time.Now()
	switch s {
	case Weighted:
		g.weigh(list)
	case Latency:
		by(list, func(t *Target) float64 { return t.Health.expect(now).Seconds() * float64(1+t.Health.load()) })
	case Cost:
		if r.Price != nil {
			by(list, func(t *Target) usage.Nano { return r.Price(t) })
		}
	case LeastBusy:
		by(list, func(t *Target) int { return t.Health.load() })
	}
	if g.Sticky && r.User != "" {
		stick(list, r.User)
	}
	if len(r.Order) > 0 {
		by(list, func(t *Target) int {
			if i := slices.Index(r.Order, t.Provider); i >= 0 {
				return i
			}
			return len(r.Order)
		})
	}
	return list
}

// by sorts by a key that is computed once per target, lowest first; equals stay
// in their order.
func by[K cmp.Ordered](list []*Target, key func(*Target) K) {
	keys := make(map[*Target]K, len(list))
	for _, t := range list {
		keys[t] = key(t)
	}
	slices.SortStableFunc(list, func(a, b *Target) int { return cmp.Compare(keys[a], keys[b]) })
}

// weigh puts that target first whose turn it is, by smooth weighted round
// robin: shares are exact over each cycle, and turns are spread evenly. The
// others follow in the order in which their turns are due.
func (g *Group) weigh(list []*Target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		g.current = make([]int64, len(g.Targets))
	}
	at := make(map[*Target]int, len(list))
	total := int64(0)
	for i := range g.Targets {
		t := &g.Targets[i]
		if !slices.Contains(list, t) {
			continue
		}
		at[t] = i
		g.current[i] += t.Weight
		total += t.Weight
	}
	slices.SortStableFunc(list, func(a, b *Target) int {
		if idle := cmp.Compare(min(1, b.Weight), min(1, a.Weight)); idle != 0 {
			return idle // a target without weight comes last
		}
		return cmp.Compare(g.current[at[b]], g.current[at[a]])
	})
	g.current[at[list[0]]] -= total
}

// stick moves the user's own target to the front. Each target scores the user
// by rendezvous hashing, so that shares follow the weights and a target that
// comes or goes moves only the users that it gains or loses.
func stick(list []*Target, user string) {
	best, most := 0, math.Inf(-1)
	for i, t := range list {
		if t.Weight <= 0 {
			continue
		}
		u := (float64(hash(t.Name, user)>>11) + 0.5) / (1 << 53)
		if score := -float64(t.Weight) / math.Log(u); score > most {
			best, most = i, score
		}
	}
	first := list[best]
	copy(list[1:best+1], list[:best])
	list[0] = first
}

// hash is the same in every instance (FNV-1a, mixed at the end so that names
// which differ in their last letter are strangers).
func hash(target, user string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{target, "\x00", user} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
