package router_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
)

func TestRaceIsWonByTheFirstToSpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			return answer{wait: map[string]time.Duration{"a": 300 * time.Millisecond, "b": 100 * time.Millisecond, "c": time.Hour}[target],
				texts: []string{"from ", target}, pause: 10 * time.Second}
		})
		r := s.route(s.group(router.Policy{Strategy: router.Race, Parallel: 3, TTFT: time.Second}, "a", "b", "c", "d"))
		picked := ""
		r.Picked = func(to *router.Target) { picked += to.Name }
		start := time.Now()
		text, err := s.run(t.Context(), r)
		if text != "from b" || err != nil || picked != "b" {
			t.Errorf("answer %q by %q, %v, want b's alone", text, picked, err)
		}
		if took := time.Since(start); took != 20*time.Second+100*time.Millisecond {
			t.Errorf("took %v, want 20.1s", took)
		}
		for _, loser := range []string{"a", "c"} {
			if late := s.ended[loser].Sub(start) - 100*time.Millisecond; late > 50*time.Millisecond || s.errs[loser] == nil {
				t.Errorf("%s ended %v after the first token with %v, want cancelled within 50ms", loser, late, s.errs[loser])
			}
		}
		if s.count["d"] != 0 {
			t.Error("d was asked in a race of three")
		}
	})
}

// Losers that speak at the same moment must not reach the client either.
func TestRaceIsToldOnce(t *testing.T) {
	for range 50 {
		s := newStage(func(target string, _ int) answer { return answer{texts: []string{target, target, target}} })
		text, err := s.run(t.Context(), s.route(s.group(router.Policy{Strategy: router.Race}, "a", "b")))
		if text != "aaa" && text != "bbb" || err != nil {
			t.Fatalf("answer %q, %v, want one of the two", text, err)
		}
	}
}

func TestRaceSurvivesItsRunners(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fails map[string]answer
		want  string
		err   fault.Kind
	}{
		{"one fails", map[string]answer{"a": {err: status(500)}}, "b", ""},
		{"both fail, the third answers", map[string]answer{"a": {err: status(500)}, "b": {err: reset}}, "c", ""},
		{"both hang", map[string]answer{"a": {hang: true}, "b": {hang: true}}, "c", ""},
		{"all fail, the fallback answers", map[string]answer{"a": {err: status(500)}, "b": {err: reset}, "c": {err: status(401)}}, "e", ""},
		{"the request is wrong", map[string]answer{"a": {err: status(400)}, "b": {hang: true}}, "", fault.Invalid},
		{"too long", map[string]answer{"a": {err: status(413)}, "b": {err: status(413)}}, "l", ""},
		{"refused", map[string]answer{"a": {texts: []string{"[refused]"}}, "b": {texts: []string{"[refused]"}}}, "c2", ""},
		{"the winner breaks", map[string]answer{"a": {hang: true}, "b": stopped}, "half", fault.Upstream},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(func(target string, _ int) answer {
					if a, bad := tc.fails[target]; bad {
						return a
					}
					return answer{wait: 10 * time.Millisecond, texts: []string{target}}
				})
				r := s.route(s.group(router.Policy{Strategy: router.Race, TTFT: time.Second}, "a", "b", "c"))
				p := router.Policy{}
				r.Fallbacks, r.Context, r.Content = []*router.Group{s.group(p, "e")}, []*router.Group{s.group(p, "l")}, []*router.Group{s.group(p, "c2")}
				start := time.Now()
				text, err := s.run(t.Context(), r)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v, want no longer than the bounds of its calls", took)
				}
				if text != tc.want || (err == nil) != (tc.err == "") || err != nil && fault.As(err).Kind != tc.err {
					t.Errorf("answer %q, %v, want %q, %q", text, err, tc.want, tc.err)
				}
			})
		})
	}
}

func TestRaceLeavesNobodyBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		s := newStage(always(answer{hang: true}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.run(ctx, s.route(s.group(router.Policy{Strategy: router.Race}, "a", "b"))); err == nil {
			t.Error("no error from targets that hang")
		}

		s = newStage(always(ok))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the client's panic did not come through")
				}
			}()
			s.route(s.group(router.Policy{Strategy: router.Race}, "a", "b")).Complete(t.Context(), nil, func(*llm.Event) error { panic("bug") })
		}()

		r := s.route(s.group(router.Policy{Strategy: router.Race}, "a", "b"))
		r.Ask = func(context.Context, *router.Target, *llm.Request, func(*llm.Event) error) error { panic("adapter") }
		if _, err := s.run(t.Context(), r); fault.As(err).Kind != fault.Internal {
			t.Errorf("a panic in an adapter became %v", err)
		}
	})
}

func TestHedgeStartsLateAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := false
		s := newStage(func(target string, n int) answer {
			wait := 100 * time.Millisecond
			if target == "a" && (n%20 == 0 || slow) {
				wait = 5 * time.Second
			}
			return answer{wait: wait, texts: []string{target}}
		})
		g := s.group(router.Policy{Strategy: router.Hedge, HedgeAfter: 200 * time.Millisecond}, "a", "b")
		var worst time.Duration
		for range 1000 {
			start := time.Now()
			if _, err := s.run(t.Context(), s.route(g)); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(start))
		}
		// Of the first requests' slow ones, one may come before a hedge is earned.
		if s.count["b"] < 45 || s.count["b"] > 50 {
			t.Errorf("%d hedges, want one for each of the 50 slow calls", s.count["b"])
		}
		worst = 0
		for range 200 {
			start := time.Now()
			if _, err := s.run(t.Context(), s.route(g)); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(start))
		}
		if worst != 300*time.Millisecond {
			t.Errorf("the slowest of 200 requests took %v, want 300ms: hedge after 200, answer after 100", worst)
		}
		slow = true
		before := s.count["b"]
		for range 500 {
			s.run(t.Context(), s.route(g))
		}
		if extra := s.count["b"] - before; extra > 500/10+10 {
			t.Errorf("%d of 500 requests were hedged, want no more than a tenth and the burst", extra)
		}
	})
}

func TestHedgeFollowsTheP95(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, n int) answer {
			if target == "a" && n == 101 {
				return answer{hang: true}
			}
			return answer{wait: time.Duration(n%20+1) * 10 * time.Millisecond, texts: []string{target}}
		})
		g := s.group(router.Policy{Strategy: router.Hedge}, "a", "b")
		for range 100 {
			s.run(t.Context(), s.route(g))
		}
		if s.count["b"] > 10 {
			t.Errorf("%d of 100 ordinary requests were hedged, want 10 at most", s.count["b"])
		}
		n := s.count["b"]
		start := time.Now()
		text, err := s.run(t.Context(), s.route(g))
		if text != "b" || err != nil || s.count["b"] != n+1 {
			t.Fatalf("answer %q, %v, want the hedge's", text, err)
		}
		if took := time.Since(start); took > 450*time.Millisecond {
			t.Errorf("took %v, want about p95 (190ms) and an answer", took)
		}
	})
}

func TestAskErrorsReachTheCaller(t *testing.T) {
	gone := errors.New("gone")
	s := newStage(always(ok))
	err := s.route(s.group(router.Policy{Strategy: router.Race}, "a", "b")).Complete(t.Context(), nil, func(*llm.Event) error { return gone })
	if !errors.Is(err, gone) {
		t.Errorf("error %v, want the client's", err)
	}
	for _, st := range s.router.States() {
		if st.Failures != 0 {
			t.Errorf("state %+v, want no failure: the client was gone", st)
		}
	}
}
