package router_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/router"
)

// TestWhatFollowsFromAFailure is the table: what went wrong, when, and who is
// asked after that. Target a fails; b is another of the model's own, e, l and c
// are the fallbacks for errors, long prompts and refused content.
func TestWhatFollowsFromAFailure(t *testing.T) {
	long := func(message string) *fault.Error {
		return &fault.Error{Kind: fault.Invalid, Provider: "p", Status: 400, Message: message}
	}
	filter := &fault.Error{Kind: fault.Invalid, Provider: "p", Status: 400, Code: "content_filter", Message: "no"}
	for _, tc := range []struct {
		name  string
		fails answer
		alone bool   // a is the only target of its own
		trail string // who is asked, in order; a "." stands for two more tries of the same
	}{
		{"400", answer{err: status(400)}, false, "a"},
		{"422", answer{err: status(422)}, false, "a"},
		{"404: elsewhere the model may exist", answer{err: status(404)}, false, "a b"},
		{"413: too long", answer{err: status(413)}, false, "a l"},
		{"401: our key", answer{err: status(401)}, false, "a b"},
		{"402", answer{err: status(402)}, false, "a b"},
		{"403", answer{err: status(403)}, false, "a b"},
		{"408", answer{err: status(408)}, false, "a b"},
		{"409", answer{err: status(409)}, false, "a b"},
		{"429", answer{err: status(429)}, false, "a b"},
		{"500", answer{err: status(500)}, false, "a b"},
		{"502", answer{err: status(502)}, false, "a b"},
		{"503", answer{err: status(503)}, false, "a b"},
		{"504", answer{err: status(504)}, false, "a b"},
		{"529", answer{err: status(529)}, false, "a b"},
		{"a redirect", answer{err: status(302)}, false, "a b"},
		{"reset before the first event", answer{err: reset}, false, "a b"},
		{"hangs before the first event", answer{hang: true}, false, "a b"},
		{"error as first event", answer{err: status(200)}, false, "a b"},
		{"a foreign error", answer{err: errors.New("oops")}, false, "a b"},
		{"context_length_exceeded", answer{err: &fault.Error{Kind: fault.Invalid, Provider: "p", Status: 400, Code: "context_length_exceeded"}}, false, "a l"},
		{"Anthropic's words", answer{err: long("prompt is too long: 210000 tokens > 200000 maximum")}, false, "a l"},
		{"Gemini's words", answer{err: long("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")}, false, "a l"},
		{"Bedrock's words", answer{err: long("Input is too long for requested model.")}, false, "a l"},
		{"max_tokens too high is no long prompt", answer{err: &fault.Error{Kind: fault.Invalid, Provider: "p", Status: 400, Param: "max_tokens", Message: "max_tokens exceeds the maximum number of tokens"}}, false, "a"},
		{"refused by policy", answer{err: filter}, false, "a c"},
		{"an answer that is a refusal", answer{texts: []string{"[refused]"}}, false, "a c"},

		{"401, alone", answer{err: status(401)}, true, "a e"},
		{"404, alone", answer{err: status(404)}, true, "a e"},
		{"429, alone", answer{err: status(429)}, true, "a a a e"},
		{"500, alone", answer{err: status(500)}, true, "a a a e"},
		{"409, alone", answer{err: status(409)}, true, "a a a e"},
		{"reset, alone", answer{err: reset}, true, "a a a e"},
		{"hang, alone", answer{hang: true}, true, "a a a e"},

		{"reset after the first event", stopped, false, "a"},
		{"500 after the first event", answer{texts: []string{"half"}, err: status(500)}, false, "a"},
		{"401 after the first event", answer{texts: []string{"half"}, err: status(401)}, false, "a"},
		{"too long after the first event", answer{texts: []string{"half"}, err: status(413)}, false, "a"},
		{"reset after the first event, alone", stopped, true, "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(func(target string, _ int) answer {
					if target == "a" {
						return tc.fails
					}
					return answer{texts: []string{"from " + target}}
				})
				p := router.Policy{Strategy: router.Priority, Retries: 2, TTFT: 20 * time.Second}
				r := s.route(s.group(p, "a", "b"))
				if tc.alone {
					r = s.route(s.group(p, "a"))
				}
				r.Fallbacks = []*router.Group{s.group(p, "e")}
				r.Context = []*router.Group{s.group(p, "l")}
				r.Content = []*router.Group{s.group(p, "c")}
				text, err := s.run(t.Context(), r)
				if got := s.trail(); got != tc.trail {
					t.Errorf("asked %q, want %q", got, tc.trail)
				}
				last := tc.trail[len(tc.trail)-1:]
				switch {
				case last != "a" && (err != nil || text != "from "+last):
					t.Errorf("answer %q, %v, want one from %s", text, err, last)
				case last == "a" && err == nil:
					t.Errorf("answer %q, want an error", text)
				}
			})
		})
	}
}

func TestTheFirstFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			return answer{err: status(map[string]int{"a": 429, "b": 500, "e": 401}[target])}
		})
		r := s.route(s.group(router.Policy{}, "a", "b"))
		r.Fallbacks = []*router.Group{s.group(router.Policy{}, "e")}
		_, err := s.run(t.Context(), r)
		if f := fault.As(err); f.Status != 429 {
			t.Errorf("error %v with status %d, want the first, 429", err, f.Status)
		}
		if r.Rotations != 1 {
			t.Errorf("Rotations = %d, want 1: the 401", r.Rotations)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, tc := range []struct {
		name   string
		after  time.Duration
		rest   bool
		trail  string
		atmost time.Duration
	}{
		{"a short wait", 3 * time.Second, false, "a a", 4 * time.Second},
		{"a wait above the cap", 11 * time.Second, false, "a", 0},
		{"a fallback is better than a wait", 3 * time.Second, true, "a e", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			limited := status(429)
			limited.RetryAfter = tc.after
			s := newStage(func(target string, n int) answer {
				if target == "a" && n == 1 {
					return answer{err: limited}
				}
				return ok
			})
			r := s.route(s.group(router.Policy{Retries: 2}, "a"))
			if tc.rest {
				r.Fallbacks = []*router.Group{s.group(router.Policy{}, "e")}
			}
			start := time.Now()
			_, err := s.run(t.Context(), r)
			took := time.Since(start)
			if s.trail() != tc.trail || took > tc.atmost {
				t.Errorf("%s: asked %q in %v, want %q within %v", tc.name, s.trail(), took, tc.trail, tc.atmost)
			}
			if tc.trail == "a a" && took < tc.after {
				t.Errorf("%s: asked again after %v, want %v at least", tc.name, took, tc.after)
			}
			if tc.trail == "a" && fault.As(err).RetryAfter != tc.after {
				t.Errorf("%s: error %v, want the provider's with its retry-after", tc.name, err)
			}
		})
	}
}

func TestNoAttemptWithoutTimeForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, n int) answer {
			if target == "slow" {
				return answer{wait: 5 * time.Second, texts: []string{"slow"}}
			}
			return answer{wait: time.Second, err: status(500)}
		})
		g := s.group(router.Policy{Retries: 5}, "bad", "slow")
		if _, err := s.run(t.Context(), s.route(s.group(router.Policy{}, "slow"))); err != nil { // its speed is known now
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.run(ctx, s.route(g))
		if got, want := s.trail(), "slow bad bad"; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		if fault.As(err).Status != 500 || time.Since(start) > 3*time.Second {
			t.Errorf("error %v after %v, want the 500 before the deadline", err, time.Since(start))
		}
	})
}

func TestNoPauseBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(always(answer{err: status(500)}))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := s.run(ctx, s.route(s.group(router.Policy{Retries: 2}, "a")))
		if took := time.Since(start); took != 0 || fault.As(err).Status != 500 {
			t.Errorf("error %v after %v, want the 500 at once", err, took)
		}
	})
}

func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		s := newStage(func(string, int) answer {
			at = append(at, time.Now())
			return answer{err: reset}
		})
		s.run(t.Context(), s.route(s.group(router.Policy{Retries: 4}, "a")))
		if len(at) != 5 {
			t.Fatalf("asked %d times, want 5", len(at))
		}
		for i := 1; i < len(at); i++ {
			step := 250 * time.Millisecond << (i - 1)
			if d := at[i].Sub(at[i-1]); d < step/2 || d > step {
				t.Errorf("pause %d is %v, want %v to %v", i, d, step/2, step)
			}
		}
	})
}

func TestASlowTargetIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(target string, _ int) answer {
			if target == "a" {
				return answer{wait: time.Hour, texts: []string{"late"}}
			}
			return answer{texts: []string{"in time"}, hang: true} // and then long: the bound is for the first event
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		text, err := s.run(ctx, s.route(s.group(router.Policy{TTFT: 2 * time.Second}, "a", "b")))
		if text != "in time" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answer %q, %v, want b's until the deadline", text, err)
		}
		if d := s.ended["b"].Sub(s.ended["a"]); d != 58*time.Second {
			t.Errorf("a was left %v before the end, want 58s", d)
		}
	})
}

// The client's own failure must not speak against a target.
func TestClientsThatLeaveAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(always(ok))
		g := s.group(router.Policy{}, "a", "b")
		gone := errors.New("broken pipe")
		for range 100 {
			err := s.route(g).Complete(t.Context(), nil, func(*llmEvent) error { return gone })
			if !errors.Is(err, gone) {
				t.Fatalf("error %v, want emit's", err)
			}
		}
		for _, st := range s.router.States() {
			if st.State != "closed" || st.Failures != 0 {
				t.Errorf("state %+v, want no failure", st)
			}
		}
		if s.count["b"] != 0 {
			t.Errorf("b was asked %d times, want never", s.count["b"])
		}
	})
}

func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(always(answer{err: reset}))
		s.run(t.Context(), s.route(s.group(router.Policy{Retries: 100}, "a", "b")))
		if n := len(s.calls); n > 12 {
			t.Errorf("%d calls, want 12 at most", n)
		}
	})
}
