package router_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/router"
)

// ill makes target a fail while *sick is true.
func ill(sick *bool) *stage {
	return newStage(func(target string, _ int) answer {
		if target == "a" && *sick {
			return answer{err: status(500)}
		}
		return ok
	})
}

func state(s *stage, target string) router.State {
	for _, st := range s.router.States() {
		if st.Target == target {
			return st
		}
	}
	return router.State{}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := true
		s := ill(&sick)
		var news []router.Change
		s.router.Notify = func(c router.Change) { news = append(news, c) }
		g := s.group(router.Policy{Strategy: router.Priority}, "a", "b")
		ask := func(n int) {
			t.Helper()
			for range n {
				if _, err := s.run(t.Context(), s.route(g)); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask(19)
		if st := state(s, "a"); st.State != "closed" || st.Failures != 19 {
			t.Fatalf("after 19 failures: %+v, want closed", st)
		}
		ask(1)
		if st := state(s, "a"); st.State != "open" {
			t.Fatalf("after 20 failures: %+v, want open", st)
		}
		ask(50)
		if s.count["a"] != 20 {
			t.Errorf("a was asked %d times, want 20: it is resting", s.count["a"])
		}
		time.Sleep(30 * time.Second) // the trial fails: twice as long
		ask(50)
		if s.count["a"] != 21 {
			t.Errorf("a was asked %d times, want one more, on trial", s.count["a"])
		}
		time.Sleep(59 * time.Second)
		ask(1)
		if s.count["a"] != 21 {
			t.Errorf("a was asked before its second rest was over")
		}
		sick = false
		time.Sleep(time.Second)
		ask(2)
		if st := state(s, "a"); st.State != "closed" || s.count["a"] != 23 {
			t.Errorf("after a good trial: %+v and %d calls, want closed and 23", st, s.count["a"])
		}
		want := []router.Change{{Target: "a", Open: true, For: 30 * time.Second}, {Target: "a", Open: true, For: time.Minute}, {Target: "a"}}
		if len(news) != 3 || news[0] != want[0] || news[1] != want[1] || news[2] != want[2] {
			t.Errorf("news %+v, want %+v", news, want)
		}
	})
}

func TestBreakerNeedsHalfOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := newStage(func(target string, _ int) answer {
			if n++; target == "a" && n%5 < 2 {
				return answer{err: status(500)}
			}
			return ok
		})
		g := s.group(router.Policy{}, "a")
		g.Targets = append(g.Targets, s.group(router.Policy{}, "b").Targets...)
		for range 200 {
			s.run(t.Context(), s.route(g))
		}
		if st := state(s, "a"); st.State != "closed" || st.Failures < 40 {
			t.Errorf("with less than half of the calls failing: %+v, want closed", st)
		}
	})
}

// In a burst, what fails is known before what succeeds.
func TestABurstIsNoIllness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, n int) answer {
			if target == "a" && n%3 == 0 {
				return answer{err: status(429)}
			}
			return answer{wait: time.Second, texts: []string{"x"}}
		})
		simulate(t, s, s.group(router.Policy{}, "a", "b"), 100, 0)
		if st := state(s, "a"); st.State != "closed" || st.Failures != 33 {
			t.Errorf("after a burst of which a third failed at once: %+v, want closed", st)
		}
	})
}

func TestOldFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := true
		s := ill(&sick)
		g := s.group(router.Policy{}, "a", "b")
		for range 60 {
			s.run(t.Context(), s.route(g))
			time.Sleep(2 * time.Second) // 15 in 30 seconds
		}
		if st := state(s, "a"); st.State != "closed" || st.Calls > 15 {
			t.Errorf("15 failures in any 30 seconds: %+v, want closed", st)
		}
		time.Sleep(time.Hour)
		s.run(t.Context(), s.route(g))
		if st := state(s, "a"); st.Calls != 1 {
			t.Errorf("an hour later: %+v, want one call", st)
		}
	})
}

// What breaks in the middle of its answers is ill, too.
func TestBrokenStreamsAreFailures(t *testing.T) {
	for _, strategy := range []router.Strategy{router.Priority, router.Race} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(func(target string, _ int) answer {
				if target == "a" {
					return stopped
				}
				return answer{wait: time.Second, texts: []string{"x"}}
			})
			g := s.group(router.Policy{Strategy: strategy}, "a", "b")
			for range 20 {
				s.run(t.Context(), s.route(g))
			}
			if st := state(s, "a"); st.State != "open" {
				t.Errorf("%s: after 20 broken streams: %+v, want open", strategy, st)
			}
			if _, err := s.run(t.Context(), s.route(g)); err != nil {
				t.Errorf("%s: %v, want b's answer", strategy, err)
			}
		})
	}
}

func TestOneTargetNeverFailsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := true
		s := ill(&sick)
		g := s.group(router.Policy{}, "a")
		for range 100 {
			s.run(t.Context(), s.route(g))
		}
		if s.count["a"] != 100 {
			t.Errorf("a was asked %d times, want each time", s.count["a"])
		}
		sick = false
		if _, err := s.run(t.Context(), s.route(g)); err != nil {
			t.Error(err)
		}
	})
}

func TestAllIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(always(answer{err: status(500)}))
		g := s.group(router.Policy{}, "a", "b")
		for range 20 {
			s.run(t.Context(), s.route(g))
			time.Sleep(100 * time.Millisecond)
		}
		calls := len(s.calls)
		_, err := s.run(t.Context(), s.route(g))
		f := fault.As(err)
		if f.Kind != fault.Unavailable || f.Code != "no_target_available" || f.RetryAfter < 29*time.Second || f.RetryAfter > 30*time.Second {
			t.Errorf("error %v, retry after %v, want no_target_available, when the first has rested", err, f.RetryAfter)
		}
		if len(s.calls) != calls {
			t.Error("targets were asked while they rest")
		}
		r := s.route(g)
		r.LastResort = true
		s.run(t.Context(), r)
		if len(s.calls) != calls+1 {
			t.Errorf("%d calls of the last resort, want 1", len(s.calls)-calls)
		}
		r = s.route(g)
		r.Fallbacks = []*router.Group{s.group(router.Policy{}, "e")}
		s.run(t.Context(), r)
		if got := s.calls[len(s.calls)-1]; got != "e" {
			t.Errorf("the last to be asked is %s, want the fallback", got)
		}
	})
}

// A trial is one call, however many requests come at that moment.
func TestOneTrialAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := true
		s := newStage(func(target string, _ int) answer {
			if target == "b" {
				return ok
			}
			return answer{wait: time.Second, err: status(500)}
		})
		_ = sick
		g := s.group(router.Policy{}, "a", "b")
		simulate(t, s, g, 40, 0)
		time.Sleep(31 * time.Second)
		before := s.count["a"]
		simulate(t, s, g, 40, 0)
		if n := s.count["a"] - before; n != 1 {
			t.Errorf("%d calls on trial, want 1", n)
		}
	})
}

// board adds up what instances report, like a table that they share.
type board struct {
	asked int
	err   error
	sum   map[string]router.Seen
}

func (b *board) Pool(_ context.Context, seen map[string]router.Seen) (map[string]router.Seen, error) {
	if b.asked++; b.err != nil {
		return nil, b.err
	}
	for name, s := range seen {
		have := b.sum[name]
		b.sum[name] = router.Seen{Calls: have.Calls + s.Calls, Failures: have.Failures + s.Failures}
	}
	return b.sum, nil
}

func TestInstancesShareWhatTheySee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{sum: map[string]router.Seen{}}
		sick := true
		var fleet []*stage
		for range 10 { // each sees three failures: none could tell alone
			s := ill(&sick)
			s.router.Board = b
			fleet = append(fleet, s)
		}
		for range 3 {
			for _, s := range fleet {
				s.run(t.Context(), s.route(s.group(router.Policy{}, "a", "b")))
				if err := s.router.Share(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.router.Share(t.Context()) // within the second: not again
			}
			time.Sleep(1100 * time.Millisecond)
		}
		if b.asked > 30 {
			t.Errorf("the board was asked %d times, want once per instance and second", b.asked)
		}
		open := 0
		for _, s := range fleet {
			if state(s, "a").State == "open" {
				open++
			}
			if state(s, "b").State != "closed" {
				t.Error("b was never ill")
			}
		}
		if open < 9 {
			t.Errorf("%d of 10 instances know that a is ill, want all but the first", open)
		}
	})
}

func TestABrokenBoardChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := true
		s := ill(&sick)
		s.router.Board = &board{err: errors.New("down")}
		for range 20 {
			s.run(t.Context(), s.route(s.group(router.Policy{}, "a", "b")))
		}
		if err := s.router.Share(t.Context()); err == nil || !strings.Contains(err.Error(), "down") {
			t.Errorf("Share = %v, want the board's error", err)
		}
		if state(s, "a").State != "open" {
			t.Error("the instance forgot what it saw itself")
		}
	})
}
