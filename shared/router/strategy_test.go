package router_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

type llmEvent = llm.Event

func TestWeightedSharesAreExact(t *testing.T) {
	s := newStage(always(ok))
	g := s.group(router.Policy{Strategy: router.Weighted}, "a:5", "b:1", "c:1", "d:0")
	for range 7 {
		s.run(t.Context(), s.route(g))
	}
	if got, want := s.trail(), "a a b a c a a"; got != want { // spread evenly, not a a a a a b c
		t.Errorf("turns %q, want %q", got, want)
	}
	for range 700 - 7 {
		s.run(t.Context(), s.route(g))
	}
	if s.count["a"] != 500 || s.count["b"] != 100 || s.count["c"] != 100 || s.count["d"] != 0 {
		t.Errorf("shares %v, want 500, 100, 100 and none", s.count)
	}
}

func TestStickyUsersFollowTheWeights(t *testing.T) {
	s := newStage(always(ok))
	g := s.group(router.Policy{Strategy: router.Weighted, Sticky: true}, "a:3", "b:1")
	fewer := s.group(router.Policy{Sticky: true}, "b:1", "c:1")
	first := func(g *router.Group, user string) string {
		r := s.route(g)
		r.User = user
		return r.First()[0].Name
	}
	count, moved := map[string]int{}, 0
	for i := range 4000 {
		user := fmt.Sprint("user-", i)
		home := first(g, user)
		count[home]++
		for range 3 {
			if again := first(g, user); again != home {
				t.Fatalf("%s went to %s and then to %s", user, home, again)
			}
		}
		if home == "b" && first(fewer, user) != "b" {
			moved++
		}
	}
	if share := float64(count["a"]) / 4000; math.Abs(share-0.75) > 0.03 {
		t.Errorf("a has %.0f %% of the users, want 75 %%", 100*share)
	}
	if moved > count["b"]/2 {
		t.Errorf("%d of b's %d users moved although b stayed", moved, count["b"])
	}
}

// simulate sends a request each gap for a while and returns each target's
// share and the mean time to the first token.
func simulate(t *testing.T, s *stage, g *router.Group, n int, gap time.Duration) (share map[string]float64, mean time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var total time.Duration
	var wg sync.WaitGroup
	share = map[string]float64{}
	for range n {
		time.Sleep(gap)
		wg.Go(func() {
			start := time.Now()
			r := s.route(g)
			r.Picked = func(to *router.Target) {
				mu.Lock()
				defer mu.Unlock()
				share[to.Name] += 1 / float64(n)
				total += time.Since(start)
			}
			if _, err := s.run(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return share, total / time.Duration(n)
}

func TestLatencyFollowsTheFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowA := false
		s := newStage(func(target string, _ int) answer {
			wait := 400 * time.Millisecond
			if (target == "a") != slowA {
				wait = 100 * time.Millisecond
			}
			return answer{wait: wait, texts: []string{"x"}}
		})
		g := s.group(router.Policy{Strategy: router.Latency}, "a", "b")
		share, mean := simulate(t, s, g, 2000, 250*time.Millisecond)
		if share["a"] < 0.95 || mean > 115*time.Millisecond {
			t.Errorf("a is the faster one: share %.3f, mean %v, want above 0.95 and below 115ms", share["a"], mean)
		}
		slowA = true
		share, mean = simulate(t, s, g, 2000, 250*time.Millisecond)
		if share["b"] < 0.95 || mean > 115*time.Millisecond {
			t.Errorf("b is the faster one now: share %.3f, mean %v, want above 0.95 and below 115ms", share["b"], mean)
		}
	})
}

func TestLatencyDoesNotHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			return answer{wait: map[string]time.Duration{"a": 1000, "b": 1100}[target] * time.Millisecond, texts: []string{"x"}}
		})
		g := s.group(router.Policy{Strategy: router.Latency}, "a", "b")
		simulate(t, s, g, 10, 2*time.Second)
		share, _ := simulate(t, s, g, 100, time.Millisecond)
		if share["b"] < 0.4 || share["b"] > 0.55 {
			t.Errorf("in a burst the slightly slower target has a share of %.2f, want a little less than half", share["b"])
		}
	})
}

func TestLatencySparesWhoFailsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			if target == "a" {
				return answer{err: status(500)}
			}
			return answer{wait: 300 * time.Millisecond, texts: []string{"x"}}
		})
		simulate(t, s, s.group(router.Policy{Strategy: router.Latency}, "a", "b"), 15, time.Second) // too few for its breaker
		if s.count["a"] > 4 {
			t.Errorf("the target that always fails was asked %d times in 15 requests, want 4 at most", s.count["a"])
		}
	})
}

func TestLeastBusySpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			return answer{wait: map[string]time.Duration{"a": 3 * time.Second, "b": time.Second}[target], texts: []string{"x"}}
		})
		share, _ := simulate(t, s, s.group(router.Policy{Strategy: router.LeastBusy}, "a", "b"), 2000, 100*time.Millisecond)
		if math.Abs(share["b"]-0.75) > 0.05 { // thrice as fast: thrice as many
			t.Errorf("b's share is %.3f, want 0.75", share["b"])
		}
	})
}

func TestCostAsksTheCheapest(t *testing.T) {
	s := newStage(always(ok))
	r := s.route(s.group(router.Policy{Strategy: router.Cost}, "a", "b", "c"))
	r.Price = func(to *router.Target) usage.Nano { return map[string]usage.Nano{"a": 3, "b": 1, "c": 2}[to.Name] }
	if _, err := s.run(t.Context(), r); err != nil || s.trail() != "b" {
		t.Errorf("asked %q, %v, want b", s.trail(), err)
	}
}

func TestOrderAndAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(always(answer{err: status(401)}))
		r := s.route(s.group(router.Policy{}, "a", "b", "c", "d"))
		r.Order = []string{"d", "b"}
		r.Allow = func(to *router.Target) bool { return to.Name != "a" }
		s.run(t.Context(), r)
		if got, want := s.trail(), "d b c"; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	})
}

func TestStrategiesAreKnown(t *testing.T) {
	for _, s := range router.Strategies {
		if !s.Known() {
			t.Errorf("%s is not known", s)
		}
	}
	if router.Strategy("fastest").Known() || strings.Contains(fmt.Sprint(router.Strategies), "fastest") {
		t.Error("an invented strategy is known")
	}
}
