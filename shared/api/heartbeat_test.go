package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// streamed are requests for streams that a bubble's server answers.
var streamed = map[string]string{
	"/ai/chat/completions": `{"model":"script","stream":true,"messages":[{"role":"user","content":"x"}]}`,
	"/ai/code/generate":    `{"model":"script","stream":true,"prompt":"x"}`,
}

// A stream whose provider panicked must not go on pinging: the connection is
// gone, and writing to it would panic where nobody recovers.
func TestNoHeartbeatAfterAPanic(t *testing.T) {
	for path, body := range streamed {
		t.Run(path, func(t *testing.T) { noHeartbeatAfterAPanic(t, path, body) })
	}
}

// TestHeartbeatBeforeTheFirstEvent: a model that thinks for minutes keeps its
// connection; what breaks after the first beat is told in the stream, and what
// breaks before has a status of its own.
func TestHeartbeatBeforeTheFirstEvent(t *testing.T) {
	no := &fault.Error{Kind: fault.Invalid, Status: 400, Provider: "script", Message: "no"}
	for path, body := range streamed {
		for _, tc := range []struct {
			name   string
			think  time.Duration
			err    error
			status int
			pings  int
			want   string
		}{
			{"a quick answer", 10 * time.Second, nil, 200, 0, "half"},
			{"a slow answer", 50 * time.Second, nil, 200, 3, "half"},
			{"a quick failure", 10 * time.Second, no, 400, 0, `"error"`},
			{"a slow failure", 50 * time.Second, no, 200, 3, `"error"`},
		} {
			t.Run(path+" "+tc.name, func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					s, key, done := bubble(t, dir, func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
						time.Sleep(tc.think)
						if tc.err != nil {
							return tc.err
						}
						return emit(&llm.Event{Text: "half a word", Finish: "stop"})
					})
					defer done()
					w := httptest.NewRecorder()
					s.Handler().ServeHTTP(w, posted(path, body, key))
					if pings := strings.Count(w.Body.String(), ": ping"); w.Code != tc.status || pings != tc.pings || strings.Contains(w.Body.String(), ": ping\n\n") || !strings.Contains(w.Body.String(), tc.want) {
						t.Errorf("%d with %d pings: %s, want %d with %d and %s", w.Code, pings, w.Body, tc.status, tc.pings, tc.want)
					}
					if provider := w.Header().Get("X-Gateway-Provider"); tc.status == 200 && (provider == "") != (tc.pings > 0) {
						t.Errorf("x-gateway-provider = %q after %d pings", provider, tc.pings)
					}
				})
			})
		}
	}
}

func noHeartbeatAfterAPanic(t *testing.T, path, body string) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, key, done := bubble(t, dir, func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
			if err := emit(&llm.Event{Text: "half of a sentence, which is long enough to be no name of a file, is "}); err != nil {
				return err
			}
			panic("bug")
		})
		defer done()
		w := httptest.NewRecorder()
		func() {
			defer func() { recover() }()
			s.Handler().ServeHTTP(w, posted(path, body, key))
		}()
		if !strings.Contains(w.Body.String(), "half") {
			t.Fatalf("the stream did not begin: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute)
		if strings.Contains(w.Body.String(), ": ping") {
			t.Errorf("a dead stream pings on: %s", w.Body)
		}
	})
}

// posted is a request with a key.
func posted(path, body, key string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	return r
}

// bubble is a server whose only model is chat, and a key for it, inside
// synctest.Test: the clock is false, and there is no network.
func bubble(t *testing.T, dir string, chat llm.ProviderFunc) (_ *api.Server, key string, done func()) {
	t.Helper()
	store, err := bolt.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &api.Server{Log: log, Gateway: &gateway.Gateway{Store: store, Log: log, Pepper: secret(pepper),
		Models: gateway.NewRegistry(gateway.Instance{Name: "script", Chats: true, Own: []string{"script"}, Free: true, Chat: chat})}}
	u := admission.User{ID: "ana", Active: true, Models: []string{"*"}, Burst: 10, Parallel: 10, Tokens: admission.NoTokenLimit, Day: usage.None, Month: usage.None}
	if _, err := store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	key, hash := admission.NewKey([]byte(pepper), "ana")
	if err := store.PutKey(t.Context(), "ana", admission.Key{ID: admission.KeyID(hash), Hash: hash, Models: []string{"*"}, Scopes: []string{"inference"}, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return s, key, func() { store.Close() }
}
