package router_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/router"
)

// TestAnOutageIsHardlyFelt kills one of two providers for a minute: its calls
// hang for as long as the policy lets them. Once the breaker is open, no more
// than one request in a hundred is slow, and all are answered throughout.
func TestAnOutageIsHardlyFelt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			every = 50 * time.Millisecond
			usual = 100 * time.Millisecond
			ttft  = 2 * time.Second
		)
		begin := time.Now()
		down := func() bool { at := time.Since(begin); return at > time.Minute && at < 2*time.Minute }
		s := newStage(func(target string, _ int) answer {
			if target == "a" && down() {
				return answer{hang: true}
			}
			return answer{wait: usual, texts: []string{"x"}}
		})
		g := s.group(router.Policy{Strategy: router.Priority, TTFT: ttft}, "a", "b")
		var mu sync.Mutex
		var slow, after, lost int
		var opened time.Time
		s.router.Notify = func(c router.Change) { // by requests, none of which holds mu then
			mu.Lock()
			defer mu.Unlock()
			if c.Open && opened.IsZero() {
				opened = time.Now()
			}
		}
		var wg sync.WaitGroup
		for range int(3 * time.Minute / every) {
			wg.Go(func() {
				start := time.Now()
				text, err := s.run(context.Background(), s.route(g))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || text != "x" {
					lost++
				}
				if !opened.IsZero() && start.After(opened) {
					after++
					if time.Since(start) > 2*usual {
						slow++
					}
				}
			})
			time.Sleep(every)
		}
		wg.Wait()
		if lost > 0 {
			t.Errorf("%d requests were not answered", lost)
		}
		if opened.IsZero() || opened.Sub(begin) > time.Minute+20*time.Second {
			t.Fatalf("the breaker opened after %v of outage, want 20 s at most", opened.Sub(begin)-time.Minute) // half of what a window of 30 s holds
		}
		if float64(slow) > 0.01*float64(after) {
			t.Errorf("%d of %d requests after the breaker opened were slow, want 1 %% at most", slow, after)
		}
	})
}
