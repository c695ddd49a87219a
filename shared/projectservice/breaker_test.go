package projectservice_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/projectservice"
)

func TestADeadServiceCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: silent}
		s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
		ask := func() (time.Duration, error) {
			start := time.Now()
			_, err := s.Context(t.Context(), "ana", "id", "pump")
			return time.Since(start), err
		}
		for i := range 5 {
			if took, err := ask(); !errors.Is(err, fault.Timeout) || took != 2*time.Second {
				t.Errorf("failure %d: %v after %v, want a timeout", i, err, took)
			}
		}
		w.asked()
		for range 100 {
			if took, err := ask(); !errors.Is(err, fault.Unavailable) || took != 0 || w.asked() != 0 {
				t.Fatalf("with the breaker open: %v after %v, want no question", err, took)
			}
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if _, err := ask(); !errors.Is(err, fault.Timeout) || w.asked() != 1 {
			t.Errorf("the trial: %v, want a question", err)
		}
		if _, err := ask(); !errors.Is(err, fault.Unavailable) || w.asked() != 0 {
			t.Errorf("after a failed trial: %v, want no question", err)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		w.says(reply(200, `{"context":"x"}`))
		for range 6 {
			if _, err := ask(); err != nil || w.asked() != 1 {
				t.Errorf("after it has recovered: %v", err)
			}
		}
	})
}

// TestOneRequestTriesAServiceThatFailed: the others go on without it.
func TestOneRequestTriesAServiceThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: reply(500, "")}
		s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
		for range 5 {
			s.Context(t.Context(), "ana", "id", "pump")
		}
		time.Sleep(11 * time.Second)
		w.asked()
		w.says(silent)
		left, leave := context.WithCancel(t.Context())
		trial := make(chan error)
		go func() {
			_, err := s.Context(left, "ana", "id", "pump")
			trial <- err
		}()
		synctest.Wait()
		if _, err := s.Context(t.Context(), "bob", "id", "pump"); !errors.Is(err, fault.Unavailable) || w.asked() != 1 {
			t.Errorf("beside the trial: %v, want no question", err)
		}
		leave()
		if err := <-trial; !errors.Is(err, context.Canceled) {
			t.Errorf("the trial = %v, want that its client left", err)
		}
		w.says(reply(200, `{"context":"x"}`))
		if text, err := s.Context(t.Context(), "bob", "id", "pump"); err != nil || text != "x" {
			t.Errorf("after a trial whose client left: %q, %v; want another one", text, err)
		}
	})
}

// TestWhatIsNoFailure: nothing that one client or one project brings about
// takes the service away from the others.
func TestWhatIsNoFailure(t *testing.T) {
	long := reply(200, `{"context":"`+strings.Repeat("x", 1<<20)+`"}`)
	for name, tc := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		want   error
	}{
		"no such project":   {answer: reply(404, ""), want: fault.NotFound},
		"another's project": {answer: reply(403, ""), want: fault.NotFound},
		"a long project":    {answer: long, want: fault.Upstream},
		"a client that left": {answer: silent, want: context.Canceled, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}},
		"a client in a hurry": {answer: silent, want: context.DeadlineExceeded, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Millisecond)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: tc.answer}
			s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
			for range 20 {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tc.ctx != nil {
					ctx, cancel = tc.ctx(ctx)
				}
				_, err := s.Context(ctx, "ana", "id", "pump")
				cancel()
				if !errors.Is(err, tc.want) || w.asked() != 1 {
					t.Fatalf("%s: %v, want %v and a question each time", name, err, tc.want)
				}
			}
		})
	}
	w := &wire{}
	s := open(t, projectservice.Options{URL: "http://x", HTTP: w})
	for i := range 20 { // four in a row, at most
		w.says(reply(map[bool]int{true: 404, false: 500}[i%5 == 4], ""))
		if _, err := s.Context(t.Context(), "ana", "id", "pump"); err == nil || w.asked() != 1 {
			t.Fatalf("failure %d: %v, want a question each time", i, err)
		}
	}
}
