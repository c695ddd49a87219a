package gateway

import (
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Most is what w may cost at most where it is asked first.
func (w *Work) Most() (sum usage.Nano) {
	for _, to := range w.route.First() {
		sum += w.est.cost(to.Of.(*Target))
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
