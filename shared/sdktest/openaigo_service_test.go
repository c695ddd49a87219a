package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// wantError checks the SDK's typed error. Empty strings are not compared.
func wantError(t *testing.T, err error, status int, typ, param, code string) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Errorf("error = %v, want status %d", err, status)
		return &openai.Error{Response: &http.Response{}}
	}
	if e.StatusCode != status || typ != "" && e.Type != typ || param != "" && e.Param != param || code != "" && e.Code != code || e.Message == "" {
		t.Errorf("error = %d %s, want %d %s %s %s", e.StatusCode, e.RawJSON(), status, typ, param, code)
	}
	if strings.Contains(e.RawJSON(), "http://") || strings.Contains(e.RawJSON(), openaiKey) {
		t.Errorf("the error tells too much: %s", e.RawJSON())
	}
	return e
}

func openaiErrors(t *testing.T, s *site) {
	c := newOpenAI(t, s, s.key)
	ask := func(c openai.Client, model, text string, opts ...option.RequestOption) error {
		_, err := c.Chat.Completions.New(t.Context(), says(model, text), opts...)
		return err
	}
	var wg sync.WaitGroup // most wait between their attempts
	for _, m := range models {
		for _, stream := range []bool{false, true} {
			fails := func(status int) error {
				return ask(c, m.name, fmt.Sprintf("This will #fail-%d now", status), option.WithJSONSet("stream", stream))
			}
			wg.Go(func() {
				e := wantError(t, fails(400), 400, "invalid_request_error", "", "")
				if !strings.Contains(e.Message, "Refused with 400") || provider(m.provider) == "openai" && (e.Param != "temperature" || e.Code != "invalid_value") {
					t.Errorf("%s: a 400 = %s, want the provider's words", m.provider, e.RawJSON())
				}
				wantError(t, fails(401), 502, "server_error", "", "upstream_credentials")
				wantError(t, fails(500), 502, "server_error", "", "upstream_error")
				e = wantError(t, fails(429), 429, "rate_limit_error", "", "rate_limit_exceeded")
				if ra := e.Response.Header.Get("Retry-After"); ra != retryAfter {
					t.Errorf("%s: retry-after = %q, want the provider's %s", m.provider, ra, retryAfter)
				}
				wantError(t, fails(503), 503, "server_error", "", "")
			})
			wg.Go(func() {
				var resp *http.Response
				err := ask(c, m.name, fmt.Sprintf("This is #flaky-%s%v at first", strings.ReplaceAll(m.provider, "-", ""), stream), option.WithJSONSet("stream", stream), option.WithResponseInto(&resp))
				if n := resp.Header.Get("X-Gateway-Attempts"); n != "3" || resp.StatusCode != 200 {
					t.Errorf("%s: status %d after %s attempts, %v; want success at the third", m.provider, resp.StatusCode, n, err)
				}
			})
		}
	}
	wg.Go(func() {
		wantError(t, ask(c, "gpt-4o-mini", "Answer with #garbage please"), 502, "server_error", "", "")
	})
	wg.Go(func() {
		wantError(t, ask(c, "gpt-4o-mini", "Answer with a #reset please"), 502, "server_error", "", "")
	})
	wg.Wait()
	wantError(t, ask(c, "gpt-4o-mini", canary, option.WithJSONSet("temperature", "hot")), 400, "invalid_request_error", "temperature", "")
	wantError(t, ask(c, "gpt-4o-mini", canary, option.WithJSONSet("gateway.tagz", 1)), 400, "invalid_request_error", "gateway.tagz", "unknown_parameter")
	wantError(t, ask(c, "no-such-model", canary), 404, "invalid_request_error", "model", "model_not_found")
	wantError(t, ask(c, "text-embedding-3-small", canary), 400, "invalid_request_error", "model", "")
	wantError(t, ask(newOpenAI(t, s, "sk-wrong"), "gpt-4o-mini", canary), 401, "invalid_request_error", "", "invalid_api_key")
	wantError(t, ask(newOpenAI(t, s, s.key[:len(s.key)-1]), "gpt-4o-mini", canary), 401, "invalid_request_error", "", "invalid_api_key")
	few := newOpenAI(t, s, s.user(t, "only-gemini-go", object{"models": []string{"gemini/*"}}))
	wantError(t, ask(few, "gpt-4o-mini", canary), 403, "permission_error", "", "model_not_allowed")
}

func openaiEmbeddings(t *testing.T, c openai.Client) {
	for _, m := range []struct {
		name string
		full int
	}{{"text-embedding-3-small", 1536}, {"openai/text-embedding-3-large", 1536}, {"gemini/gemini-embedding-001", 3072}} {
		for _, dims := range []int64{0, 8} {
			p := openai.EmbeddingNewParams{Model: m.name, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"first text", "second text"}}}
			want := m.full
			if dims > 0 {
				p.Dimensions, want = openai.Int(dims), int(dims)
			}
			got, err := c.Embeddings.New(t.Context(), p)
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
				continue
			}
			if len(got.Data) != 2 || len(got.Data[1].Embedding) != want || got.Data[1].Index != 1 || got.Usage.PromptTokens == 0 {
				t.Errorf("%s with %d dimensions = %.300s", m.name, dims, got.RawJSON())
				continue
			}
			expected := vector("second text", want)
			for i, x := range got.Data[1].Embedding {
				if math.Abs(x-float64(expected[i])) > 1e-5 {
					t.Errorf("%s: number %d = %v, want %v", m.name, i, x, expected[i])
					break
				}
			}
		}
	}
	_, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "anthropic/claude-sonnet-4-5", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("x")}})
	if e := (*openai.Error)(nil); !errors.As(err, &e) || e.StatusCode/100 != 4 {
		t.Errorf("embeddings of Claude: %v", err)
	}
	_, err = c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("please #fail-400")}})
	wantError(t, err, 400, "invalid_request_error", "temperature", "invalid_value")
}

func openaiModels(t *testing.T, s *site, c openai.Client) {
	page, err := c.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]int{}
	for _, m := range page.Data {
		owners[m.OwnedBy]++
	}
	for _, p := range []string{"openai", "anthropic", "gemini", "bedrock"} {
		if owners[p] == 0 {
			t.Errorf("no model of %s is listed: %v", p, owners)
		}
	}
	for _, m := range models {
		got, err := c.Models.Get(t.Context(), m.name)
		if err != nil || got.ID != m.name || got.OwnedBy != provider(m.provider) {
			t.Errorf("model %s = %+v, %v", m.name, got, err)
		}
	}
	_, err = c.Models.Get(t.Context(), "openai/no-such-model")
	wantError(t, err, 404, "invalid_request_error", "model", "model_not_found")
	few := newOpenAI(t, s, s.user(t, "only-anthropic-go", object{"models": []string{"anthropic/*"}}))
	page, err = few.Models.List(t.Context())
	if err != nil || len(page.Data) != owners["anthropic"] {
		t.Errorf("a key for anthropic/* lists %d models, %v; want %d", len(page.Data), err, owners["anthropic"])
	}
	_, err = few.Models.Get(t.Context(), "gpt-4o-mini")
	wantError(t, err, 404, "invalid_request_error", "model", "model_not_found")
}

// openaiAbort: a client that leaves in the middle pays for what was generated.
// The single process also stops the provider.
func openaiAbort(t *testing.T, s *site) {
	c := newOpenAI(t, s, s.user(t, "leaver-go", nil))
	for _, m := range models {
		name := "abort" + provider(m.provider) + fmt.Sprint(len(m.name))
		ctx, cancel := context.WithCancel(t.Context())
		stream := c.Chat.Completions.NewStreaming(ctx, says(m.name, "I will leave at #hold-"+name+" you see"))
		text := ""
		for stream.Next() {
			text += stream.Current().Choices[0].Delta.Content
			if strings.HasPrefix(text, "You said:") {
				break
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		h := s.up.hold(name)
		<-h.reached
		cancel()
		stream.Close()
		if s.name == "local" {
			<-h.left
		}
		s.up.release(name) // Lambda tells nobody: there the stream goes on
	}
	if a := s.settled(t, "leaver-go"); a.Spent.Month <= 0 {
		t.Errorf("spent = $%s, want the price of what was generated", a.Spent.Month.USD())
	}
}

func openaiLarge(t *testing.T, c openai.Client) {
	prompt := strings.Repeat("All work and no play. ", 1<<20/22)
	for _, m := range models {
		got, err := c.Chat.Completions.New(t.Context(), says(m.name, prompt))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		} else if text := got.Choices[0].Message.Content; text != fmt.Sprintf("You sent %d bytes", len(prompt)) {
			t.Errorf("%s: answer = %q, sent %d bytes", m.name, text, len(prompt))
		}
	}
}

// openaiParallel: nobody gets another's answer.
func openaiParallel(t *testing.T, s *site, c openai.Client) {
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			model, want := models[i%len(models)].name, fmt.Sprintf("You said: request number %d of many", i)
			p := says(model, strings.TrimPrefix(want, "You said: "))
			if i%3 == 0 {
				got, err := c.Chat.Completions.New(t.Context(), p)
				if err != nil {
					t.Errorf("%s: %v", model, err)
				} else if text := got.Choices[0].Message.Content; text != want {
					t.Errorf("%s: answer = %q, want %q", model, text, want)
				}
				return
			}
			stream := c.Chat.Completions.NewStreaming(t.Context(), p)
			defer stream.Close()
			text := ""
			for stream.Next() {
				if ch := stream.Current().Choices; len(ch) > 0 {
					text += ch[0].Delta.Content
				}
			}
			if err := stream.Err(); err != nil || text != want {
				t.Errorf("%s: stream = %q, %v; want %q", model, text, err, want)
			}
		})
	}
	wg.Wait()
	if a := s.settled(t, "ana"); a.Open.Reserved != 0 {
		t.Errorf("reserved = $%s after all have settled", a.Open.Reserved.USD())
	}
}
