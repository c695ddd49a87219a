package gateway

import (
	"math"
	"sort"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/tokens"
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

// Asked says whether anybody was asked to do w.
func (s *Session) Asked(w *Work) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(w.attempts) > 0
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

// Costs is Most for an answer of so many tokens.
func (w *Work) Costs(output int64) usage.Nano {
	e := w.est
	e.output = output
	return e.all(w.route.First())
}

// Affords is how many tokens the answer may have at most so that w costs no more
// than an amount where it is asked first: MaxOutput if that is known and enough,
// 0 if the amount does not even pay for the prompt, math.MaxInt64 if answers cost
// nothing.
func (w *Work) Affords(amount usage.Nano) int64 {
	if w.Costs(1_000_000) == w.Costs(0) {
		return math.MaxInt64
	}
	limit := w.MaxOutput()
	if limit == 0 {
		limit = 1 << 24
	}
	return max(0, int64(sort.Search(int(limit)+1, func(n int) bool { return w.Costs(int64(n)) > amount }))-1)
}

// MaxOutput is the most tokens that an answer can have where w is asked first,
// besides its prompt where both share a window; 0 if that is not known.
func (w *Work) MaxOutput() int64 {
	first := w.route.First()
	if len(first) == 0 {
		return 0
	}
	least := int64(math.MaxInt64)
	for _, to := range first {
		least = min(least, w.answer(to.Of.(*Target)))
	}
	return least
}

// answer is MaxOutput at t.
func (w *Work) answer(t *Target) int64 {
	most := t.MaxOutput
	if most == 0 || t.MaxInput > 0 || t.Window == 0 || w.est.input <= t.Window-most {
		return most
	}
	counter := tokens.For(t.Provider, t.Model)
	prompt := counter.EstimateMessages(rawjson.Get(w.chat.Fields, "messages"), llm.Beside(w.chat.Fields)...).High
	return max(1, min(most, t.Window-prompt))
}

// Bound bounds the answer of a chat whose client has not, to what there is money
// for: a bound of MaxOutput need not be sent. If the account has less, it comes
// down, though not below DefaultMaxTokens. A stream expects no more than those,
// and asks for what is above them when it gets there.
func (w *Work) Bound(output int64) {
	if most := w.MaxOutput(); most == 0 || output < most {
		w.bound, w.chat.MaxTokens = output, output
	}
	if w.est.output = output; w.chat.Stream {
		w.est.output = min(output, DefaultMaxTokens)
	}
	w.yields = !w.chat.Stream && !w.route.Racing()
}

// yield lowers w's bound where the account cannot pay for it, and says whether it
// could.
func (w *Work) yield() bool {
	if !w.yields || w.est.output <= DefaultMaxTokens {
		return false
	}
	w.est.output = max(w.est.output/2, DefaultMaxTokens)
	w.bound = w.est.output
	return true
}

// boundAt is the bound that was set by Bound, for t; 0 if t's own is no higher.
func (w *Work) boundAt(t *Target) int64 {
	if t.MaxOutput > 0 && w.bound >= t.MaxOutput {
		return 0
	}
	return w.bound
}

// BoundOf is what Bound has come to where w was asked last: an answer that ends
// with "length" there was cut off by it. 0 if only the model's own maximum did.
func (s *Session) BoundOf(w *Work) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(w.attempts) == 0 {
		return 0
	}
	return w.boundAt(w.attempts[len(w.attempts)-1].target)
}

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
