package gateway

import (
	"math"
	"sort"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Most is what w may cost at most where it is asked first: in a race, at all of
// its targets together.
func (w *Work) Most() usage.Nano { return w.est.all(w.route.First()) }

// all is what a request costs at most if each of targets is asked.
func (e estimate) all(targets []*router.Target) (sum usage.Nano) {
	for _, to := range targets {
		sum += e.cost(to.Of.(*Target))
	}
	return sum
}

// Spent is what w has cost so far, with all its attempts, and the tokens they
// were billed.
func (s *Session) Spent(w *Work) (cost usage.Nano, u llm.Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range w.attempts {
		cost += a.cost
		u.Add(a.usage)
	}
	return cost, u
}

// Affords is how many tokens the answer may have at most so that w costs no more
// than an amount where it is asked first: 0 if that does not even pay for the
// prompt, math.MaxInt64 if answers cost nothing.
func (w *Work) Affords(amount usage.Nano) int64 {
	limit := w.MaxOutput()
	first, e := w.route.First(), w.est
	most := func(tokens int64) usage.Nano {
		e.output = tokens
		return e.all(first)
	}
	if most(1_000_000) == most(0) {
		return math.MaxInt64
	}
	if limit == 0 {
		limit = 1 << 24
	}
	return max(0, int64(sort.Search(int(limit)+1, func(tokens int) bool { return most(int64(tokens)) > amount }))-1)
}

// MaxOutput is the most tokens that an answer can have where w is asked first; 0
// if that is not known.
func (w *Work) MaxOutput() int64 {
	first := w.route.First()
	if len(first) == 0 {
		return 0
	}
	least := first[0].Of.(*Target).MaxOutput
	for _, to := range first[1:] {
		least = min(least, to.Of.(*Target).MaxOutput)
	}
	return least
}

// Expect says that the answer is likely to have no more than so many tokens,
// whatever its bound: a stream that has more asks for their cost when it gets
// there.
func (w *Work) Expect(tokens int64) { w.est.output = min(w.est.output, tokens) }

// committed is what w's attempts have cost and may still cost. The caller holds
// the session's lock.
func (w *Work) committed() (sum usage.Nano) {
	for _, a := range w.attempts {
		if a.ended {
			sum += a.cost
		} else {
			sum += a.held
		}
	}
	return sum
}
