package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// long is a conversation that gpt-4 cannot read at once.
func long(options string) string {
	return `{"model":"m","messages":[{"role":"user","content":"start"},{"role":"assistant","content":"` + strings.Repeat("word ", 10_000) + `"},{"role":"user","content":"now"}],"gateway":{"context":"summarize"` + options + `}}`
}

// TestTheAnswerDoesNotWaitForItsSummary: a summary is good to have. If it does
// not come in its part of the time, or at the first try, the answer is given
// without.
func TestTheAnswerDoesNotWaitForItsSummary(t *testing.T) {
	for _, tc := range []struct {
		name, options string
		summary       llm.ProviderFunc
		most          time.Duration
	}{
		{"slower than the request may take", `,"timeout_ms":3000`, sleeps(20 * time.Second), time.Second},
		{"slower than anybody waits", ``, sleeps(5 * time.Minute), 20 * time.Second},
		{"slower than a first event may be", `,"ttft_timeout_ms":2000`, sleeps(5 * time.Minute), 20 * time.Second},
		{"failing", ``, fails(broken), 0},
		{"saying nothing", ``, says(""), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				summaries := 0
				chat := func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
					if strings.Contains(string(req.Raw), "You summarise") {
						if summaries++; tc.name == "saying nothing" {
							return emit(&llm.Event{Finish: "stop", Usage: &llm.Usage{Input: 1}})
						}
						return tc.summary(ctx, req, emit)
					}
					return says("p")(ctx, req, emit)
				}
				r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("a", chat), instance("b", chat)}, Models: []gateway.Public{{Name: "m", Policy: router.Policy{Strategy: router.Priority, Retries: 2},
					Places: []gateway.Place{{Provider: "a", Model: "gpt-4", Weight: 1}, {Provider: "b", Model: "gpt-4", Weight: 1}}}}}, nil)
				start := time.Now()
				got := r.body(t.Context(), long(tc.options))
				if got.err != nil || got.text != "p/gpt-4" {
					t.Errorf("answer = %q, %v, want one without a summary", got.text, got.err)
				}
				if took := time.Since(start); took != tc.most {
					t.Errorf("it took %s, want %s", took, tc.most)
				}
				if summaries != 1 || strings.Join(got.record.Skipped, " ") != "context.summary" {
					t.Errorf("%d summaries were asked for, skipped: %v, want one and context.summary", summaries, got.record.Skipped)
				}
				r.books()
			})
		})
	}
}

// sleeps is a provider that does not answer before d has passed.
func sleeps(d time.Duration) llm.ProviderFunc {
	return func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return says("late")(ctx, req, emit)
		}
	}
}

// TestSummariesThatCannotBeAreNoted: nobody is asked for one.
func TestSummariesThatCannotBeAreNoted(t *testing.T) {
	calls := 0
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		calls++
		return says("p")(ctx, req, emit)
	})}}, nil)
	body := strings.Replace(strings.Replace(long(""), `"m"`, `"gpt-4","max_tokens":500`, 1), `"now"`, `"`+strings.Repeat("now ", 7400)+`"`, 1)
	got := r.body(t.Context(), body)
	if got.err != nil || calls != 1 || strings.Join(got.record.Skipped, " ") != "context.summary" {
		t.Errorf("answer = %v after %d calls, skipped: %v, want an answer, one call and context.summary", got.err, calls, got.record.Skipped)
	}
}

// TestASummaryIsNotPaidWithTheAnswersMoney: it is made if there is enough for
// both, which is reserved at once before anybody is asked.
func TestASummaryIsNotPaidWithTheAnswersMoney(t *testing.T) {
	const out = 1000
	target, _ := catalog.Lookup("openai", "gpt-4")
	most := target.Price.Bound(8192, out)
	turn := `{"role":"user","content":"` + strings.Repeat("The weather was fine and the market full of people. ", 10) + `"},{"role":"assistant","content":"I see."},`
	for _, tc := range []struct {
		budget         usage.Nano
		calls, topups  int
		skipped, fails string
	}{
		{3 * most, 2, 1, "[]", ""},
		{most + most/2, 1, 1, "[context.summary]", ""},
		{most, 1, 1, "[context.summary]", ""},
		{most - 1, 0, 0, "[]", "insufficient_quota"},
	} {
		calls := 0
		in := instance("openai", func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
			calls++
			if err := emit(&llm.Event{Text: "some text"}); err != nil {
				return err
			}
			return emit(&llm.Event{Finish: "stop", Usage: &llm.Usage{Input: 7000, Output: out}})
		})
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(u *admission.User, _ *admission.Rule) { u.Day = tc.budget })
		got := r.body(t.Context(), `{"model":"openai/gpt-4","max_tokens":`+fmt.Sprint(out)+`,"messages":[`+strings.Repeat(turn, 100)+`{"role":"user","content":"And now?"}],"gateway":{"context":"summarize"}}`)
		if f := fault.As(got.err); f != nil && f.Code != tc.fails || f == nil && tc.fails != "" {
			t.Errorf("with $%s: %v, want code %q", tc.budget.USD(), got.err, tc.fails)
		}
		if calls != tc.calls || r.vault.topups != tc.topups || fmt.Sprint(got.record.Skipped) != tc.skipped || got.record.Cost > tc.budget {
			t.Errorf("with $%s: %d calls, %d top-ups, skipped %v, for $%s, want %d, %d and %s", tc.budget.USD(), calls, r.vault.topups, got.record.Skipped, got.record.Cost.USD(), tc.calls, tc.topups, tc.skipped)
		}
		r.books()
	}
}

// TestWindowsOfInputAreNotTheAnswers: some models read as much whatever they are
// to write, others have one window for both.
func TestWindowsOfInputAreNotTheAnswers(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("o")),
		{Name: "gemini", Kind: "gemini", Catalog: "gemini", Chats: true, Chat: says("g")}, {Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Chat: says("a")}}}, nil)
	for _, tc := range []struct {
		model         string
		words, answer int
		fits          bool
	}{
		{"gpt-5", 150_000, 128_000, true}, {"gpt-5", 271_000, 128_000, true}, {"gpt-5", 273_000, 100, false},
		{"gpt-4o", 100_000, 10_000, true}, {"gpt-4o", 120_000, 10_000, false},
		{"gemini-2.5-pro", 1_000_000, 65_000, true},
		{"claude-sonnet-4-20250514", 100_000, 50_000, true}, {"claude-sonnet-4-20250514", 400_000, 10_000, false},
	} {
		got := r.body(t.Context(), fmt.Sprintf(`{"model":%q,"max_completion_tokens":%d,"messages":[{"role":"user","content":%q}],"gateway":{"context":"error"}}`, tc.model, tc.answer, strings.Repeat(" word", tc.words)))
		if f := fault.As(got.err); (f == nil) != tc.fits || f != nil && f.Code != "context_length_exceeded" {
			t.Errorf("%s: %d words and %d tokens of answer: %v, want them to fit: %v", tc.model, tc.words, tc.answer, got.err, tc.fits)
		}
	}
}

// TestCountingHeedsTheTime: what a request may take, and who waits for it, holds
// while its prompt is counted, too.
func TestCountingHeedsTheTime(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("o"))}}, nil)
	for _, context := range []string{"error", "truncate"} {
		got := r.body(t.Context(), fmt.Sprintf(`{"model":"gpt-4o","messages":[{"role":"user","content":%q}],"gateway":{"context":%q,"timeout_ms":1}}`, strings.Repeat("a", 1<<20), context))
		if f := fault.As(got.err); f == nil || f.Kind != fault.Timeout {
			t.Errorf("%s: a prompt that takes longer to count than the request may take: %v, want a timeout", context, got.err)
		}
	}
}
