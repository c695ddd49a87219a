package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
)

// TestNoRequestOutlivesItsLease: a model that talks for hours is stopped before
// the request is taken for dead and settled at its estimate. Lambda sees to that
// by itself; the single process has no end of its own.
func TestNoRequestOutlivesItsLease(t *testing.T) {
	for path, body := range streamed {
		t.Run(path, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s, key, done := bubble(t, dir, func(ctx context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
					for range 120 {
						select {
						case <-time.After(time.Minute):
						case <-ctx.Done():
							return ctx.Err()
						}
						if err := emit(&llm.Event{Text: "one minute more "}); err != nil {
							return err
						}
					}
					return emit(&llm.Event{Finish: "stop"})
				})
				defer done()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range 30 {
						time.Sleep(5 * time.Minute)
						gateway.SweepExpired(t.Context(), s.Gateway.Store, slog.New(slog.DiscardHandler), time.Now())
					}
				}()
				start := time.Now()
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, posted(path, body, key))
				if took := time.Since(start); took > admission.Lifetime || !strings.Contains(w.Body.String(), `"code":"timeout"`) {
					t.Errorf("after %v: %s", took, w.Body)
				}
				<-ended
				for rec, err := range s.Gateway.Store.(admission.Ledger).Records(t.Context(), "ana", start, time.Now()) {
					if err != nil || rec.Unsettled || rec.OutputTokens == 0 {
						t.Errorf("record %+v, %v, want what was generated", rec, err)
					}
				}
			})
		})
	}
}
