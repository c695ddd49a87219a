package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/requestid"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestCachePointsAreReserved: what is written to a cache costs more than input,
// and whether it will be is known before.
func TestCachePointsAreReserved(t *testing.T) {
	var sent string
	in := gateway.Instance{Name: "anthropic", Kind: "anthropic", Catalog: "anthropic", Chats: true, Chat: llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		sent = string(req.Raw)
		return says("anthropic")(ctx, req, emit)
	})}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
	system := strings.Repeat("You know everything about harbours and their masters. ", 400)
	got := r.body(t.Context(), `{"model":"anthropic/claude-sonnet-4-5","max_tokens":10,"messages":[{"role":"system","content":"`+system+`"},{"role":"user","content":"Hello!"}],"gateway":{"optimize":true}}`)
	if got.err != nil || !strings.Contains(sent, "cache_control") || r.vault.topups != 0 {
		t.Errorf("%v after %d top-ups, want none; the prompt has cache points: %t", got.err, r.vault.topups, strings.Contains(sent, "cache_control"))
	}
	r.books()
}

// TestNoMoreThanTheWindowIsReserved: what is made to fit a window of 8,192
// tokens does not cost more than they do, and is not refused for it.
func TestNoMoreThanTheWindowIsReserved(t *testing.T) {
	const size, out = 8192, 1000
	target, _ := catalog.Lookup("openai", "gpt-4")
	most := target.Price.Bound(size, out)
	turn := `{"role":"user","content":"` + strings.Repeat("The weather was fine and the market full of people. ", 10) + `"},{"role":"assistant","content":"I see."},`
	for _, tc := range []struct {
		context string
		max     string // price, in dollars
		calls   int
		err     error
		code    string
	}{
		{`"context":"truncate"`, most.USD(), 1, nil, ""},
		{`"context":"truncate"`, (most - 1).USD(), 0, fault.Invalid, "price_above_maximum"},
		{`"context":"summarize"`, "", 2, nil, ""},
		{`"context":"summarize"`, (2 * most).USD(), 2, nil, ""},
		{`"context":"error"`, most.USD(), 0, fault.Invalid, "context_length_exceeded"},
		{`"tags":[]`, most.USD(), 0, fault.Invalid, "price_above_maximum"}, // the provider decides what it takes
		{`"tags":[]`, "", 0, fault.Quota, "insufficient_quota"},
	} {
		calls, largest := 0, 0
		in := instance("openai", func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			calls++
			largest = max(largest, len(req.Raw))
			return says("openai")(ctx, req, emit)
		})
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(u *admission.User, _ *admission.Rule) { u.Day = 2 * most })
		options := tc.context
		if tc.max != "" {
			options += `,"max_price_usd":` + tc.max
		}
		got := r.body(t.Context(), `{"model":"openai/gpt-4","max_tokens":`+fmt.Sprint(out)+`,"messages":[`+strings.Repeat(turn, 100)+`{"role":"user","content":"And now?"}],"gateway":{`+options+`}}`)
		if calls != tc.calls || tc.err == nil && got.err != nil || tc.err != nil && (!errors.Is(got.err, tc.err) || fault.As(got.err).Code != tc.code) {
			t.Errorf("%s: %d calls, %v, want %d and %v %s", options, calls, got.err, tc.calls, tc.err, tc.code)
		}
		if tc.calls == 1 && (r.vault.topups != 0 || got.record.Reserved > most || largest < 20_000) {
			t.Errorf("%s: $%s reserved, %d top-ups for a prompt of %d bytes, want at most $%s and none", options, got.record.Reserved.USD(), r.vault.topups, largest, most.USD())
		}
		if len(got.record.Skipped) > 0 {
			t.Errorf("%s: skipped %v", options, got.record.Skipped)
		}
		r.books()
	}
}

// TestWhatIsAddedHasItsPriceEverywhere: a target that would be too dear with
// what is added to the prompt is not asked, neither first nor as a fallback.
func TestWhatIsAddedHasItsPriceEverywhere(t *testing.T) {
	dear, _ := catalog.Lookup("openai", "gpt-4o")
	most := dear.Price.Bound(1000, 100) // of a prompt to which nothing is added
	for _, tc := range []struct {
		name, model, options string
		asked                []string
	}{
		{"a fallback", "openai/gpt-4o-mini", `,"fallbacks":["openai/gpt-4o"]`, []string{"gpt-4o-mini"}},
		{"the first of two", "m", ``, []string{"gpt-4o-mini"}},
	} {
		asked := map[string]bool{}
		in := instance("openai", func(_ context.Context, req *llm.Request, _ func(*llm.Event) error) error {
			asked[req.Model] = true
			return status(400, fault.Upstream)
		})
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}, Models: []gateway.Public{{Name: "m",
			Places: []gateway.Place{{Provider: "openai", Model: "gpt-4o", Weight: 1}, {Provider: "openai", Model: "gpt-4o-mini", Weight: 1}}}}}, nil)
		r.gateway.Conversations = told{}
		r.body(t.Context(), `{"model":"`+tc.model+`","max_tokens":100,"messages":[{"role":"user","content":"Hello!"}],"gateway":{"conversation":"conv_0123456789","max_price_usd":`+most.USD()+tc.options+`}}`)
		if got := slices.Sorted(maps.Keys(asked)); !slices.Equal(got, tc.asked) {
			t.Errorf("%s: %q are asked for at most $%s, want %q", tc.name, got, most.USD(), tc.asked)
		}
		r.books()
	}
}

// TestRefusalsSayWhatToChange: something that the request has.
func TestRefusalsSayWhatToChange(t *testing.T) {
	in := instance("openai", says("openai"))
	in.Embeds, in.Embedder = true, vectors{}
	for _, tc := range []struct {
		name   string
		limit  func(*admission.User)
		option string
	}{
		{"budget", func(u *admission.User) { u.Day = 1 }, ""},
		{"tokens per minute", func(u *admission.User) { u.Tokens = 1 }, ""},
		{"its own price", func(*admission.User) {}, `,"gateway":{"max_price_usd":0.000000001}`},
	} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(u *admission.User, _ *admission.Rule) { tc.limit(u) })
		c, err := r.gateway.Begin(t.Context(), requestid.New(time.Now()), r.key, "embeddings", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.gateway.Embed(t.Context(), c, []byte(`{"model":"openai/text-embedding-3-small","input":"`+strings.Repeat("long ", 100)+`"`+tc.option+`}`))
		if msg := fault.As(err).Message; !strings.Contains(msg, " Send fewer or shorter inputs") || strings.Contains(msg, "max_completion_tokens") {
			t.Errorf("%s, embeddings: %s", tc.name, msg)
		}
		err = r.body(t.Context(), `{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hello!"}]`+tc.option+`}`).err
		if msg := fault.As(err).Message; !strings.Contains(msg, " Lower 'max_completion_tokens'") || strings.Contains(msg, "inputs") {
			t.Errorf("%s, chat: %s", tc.name, msg)
		}
	}
}

// TestWhatIsExpectedStaysSoInAnAssembledPrompt: a prompt that is put together
// after the answer's length was estimated does not make it longer.
func TestWhatIsExpectedStaysSoInAnAssembledPrompt(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	r.gateway.Projects = tells(func(context.Context, string, string, string) (string, error) { return "It is about harbours.", nil })
	c, s, _ := r.session("openai/gpt-4o-mini")
	w, err := r.gateway.PrepareChat(t.Context(), c, []byte(`{"model":"openai/gpt-4o-mini","max_tokens":4000,"messages":[{"role":"user","content":"Hello!"}],"gateway":{"project":"pump"}}`))
	if err != nil {
		t.Fatal(err)
	}
	whole := w.Most()
	w.Bound(10)
	expected := w.Most()
	f := &fund{limit: usage.Dollar}
	w.Fund = f.hold
	_, err = s.Answer(t.Context(), w)
	r.gateway.Settle(t.Context(), c, 200, err)
	if err != nil || whole <= expected || f.held == 0 || f.held > expected {
		t.Errorf("Answer = %v, for which %d is held, want at most %d of %d", err, f.held, expected, whole)
	}
	r.books()
}

// TestARaceIsWorthWhatItsTargetsCostTogether: a summary for it is made only if
// all of it stays below the request's own maximum.
func TestARaceIsWorthWhatItsTargetsCostTogether(t *testing.T) {
	target, _ := catalog.Lookup("openai", "gpt-4")
	most := target.Price.Bound(8192, 1000)
	turn := `{"role":"user","content":"` + strings.Repeat("The weather was fine and the market full of people. ", 10) + `"},{"role":"assistant","content":"I see."},`
	for _, tc := range []struct {
		max     usage.Nano
		skipped string
		err     error
	}{
		{2*most - 1, "[]", fault.Invalid},
		{2 * most, "[context.summary]", nil},
		{3 * most, "[]", nil},
	} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("a", says("a")), instance("b", says("b"))},
			Models: []gateway.Public{{Name: "m", Places: []gateway.Place{{Provider: "a", Model: "gpt-4", Weight: 1}, {Provider: "b", Model: "gpt-4", Weight: 1}}}}}, nil)
		got := r.body(t.Context(), `{"model":"m","max_tokens":1000,"messages":[`+strings.Repeat(turn, 100)+`{"role":"user","content":"And now?"}],"gateway":{"strategy":"race","context":"summarize","max_price_usd":`+tc.max.USD()+`}}`)
		if fmt.Sprint(got.record.Skipped) != tc.skipped || tc.err == nil && got.err != nil || !errors.Is(got.err, tc.err) {
			t.Errorf("worth $%s: %v, skipped %v, want %v and %s", tc.max.USD(), got.err, got.record.Skipped, tc.err, tc.skipped)
		}
		r.books()
	}
}

// TestImagesOfUnknownSize: budgets hold the most that one can cost; what a user
// may send in a minute counts it as usual. Whoever is refused learns why.
func TestImagesOfUnknownSize(t *testing.T) {
	target, _ := catalog.Lookup("openai", "gpt-4o-mini")
	const most, usual = 48_169, 25_501
	body := `{"model":"openai/gpt-4o-mini","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}],"gateway":{"tags":[]MORE}}`
	for _, tc := range []struct {
		name   string
		change func(*admission.User)
		more   string
		want   []string // of the refusal; none: it is answered
	}{
		{"fewer tokens a minute than the most", func(u *admission.User) { u.Tokens = 40_000 }, "", nil},
		{"fewer than is usual", func(u *admission.User) { u.Tokens = 20_000 }, "", []string{"smaller images", `"detail": "low"`}},
		{"a budget for the most", func(u *admission.User) { u.Day = target.Price.Bound(most+200, 100) }, "", nil},
		{"a budget for what is usual", func(u *admission.User) { u.Day = target.Price.Bound(usual+200, 100) }, "", []string{"smaller images", `"detail": "low"`, "inline", "the most that it can cost is reserved"}},
		{"a price for what is usual", func(*admission.User) {}, `,"max_price_usd":` + target.Price.Bound(usual+200, 100).USD(), []string{"smaller images", "inline"}},
	} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("o"))}}, func(u *admission.User, _ *admission.Rule) { tc.change(u) })
		got := r.body(t.Context(), strings.Replace(body, "MORE", tc.more, 1))
		if (got.err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, want a refusal: %v", tc.name, got.err, tc.want != nil)
		}
		for _, want := range tc.want {
			if got.err == nil || !strings.Contains(got.err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", tc.name, got.err, want)
			}
		}
		if got.err == nil && got.record.Reserved < target.Price.Bound(most, 100) {
			t.Errorf("%s: $%s are reserved, want at least those of %d tokens", tc.name, got.record.Reserved.USD(), most)
		}
	}
}
