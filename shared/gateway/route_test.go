package gateway_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// moody fails a share of its calls in every way there is before the first
// event, and answers the others after a while.
func moody(name string, share float64, seed uint64) llm.ProviderFunc {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 0))
	limited := status(429, fault.RateLimited)
	limited.RetryAfter = time.Second
	answer := says(name)
	return func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
		mu.Lock()
		bad, how := dice.Float64() < share, dice.IntN(5)
		mu.Unlock()
		if !bad {
			time.Sleep(100 * time.Millisecond)
			return answer(ctx, req, emit)
		}
		switch how {
		case 0:
			return limited
		case 1:
			return broken
		case 2:
			<-ctx.Done()
			return ctx.Err()
		case 3:
			return &fault.Error{Kind: fault.Upstream, Provider: name, Code: "upstream_unreachable"}
		}
		return status(200, fault.Upstream) // the stream's first event was an error
	}
}

// TestBadDays: three in ten calls fail, and hardly any request does.
func TestBadDays(t *testing.T) {
	for _, tc := range []struct {
		name         string
		others       float64 // failure rate of the two alternatives
		strategy     router.Strategy
		minSuccesses int
	}{
		{"one target fails, two alternatives are well", 0, router.Priority, 9990},
		{"all three fail", 0.3, router.Weighted, 9990},
		{"all three fail, hedged", 0.3, router.Hedge, 9990},
		{"all three fail, raced", 0.3, router.Race, 9990},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gateway.Set{
					Instances: []gateway.Instance{
						instance("a", moody("a", 0.3, 1)), instance("b", moody("b", tc.others, 2)), instance("c", moody("c", tc.others, 3))},
					Models: []gateway.Public{{Name: "m", Policy: router.Policy{Strategy: tc.strategy, Retries: 2, TTFT: 2 * time.Second, Parallel: 2},
						Places: []gateway.Place{{Provider: "a", Model: "gpt-4o-mini", Weight: 1}, {Provider: "b", Model: "gpt-4o", Weight: 1}, {Provider: "c", Model: "gpt-4.1-mini", Weight: 1}}}},
				}, nil)
				raced := tc.strategy == router.Race || tc.strategy == router.Hedge // a loser that began to speak is billed too
				const requests, workers = 10_000, 100
				var mu sync.Mutex
				good := 0
				var times []time.Duration
				var wg sync.WaitGroup
				for range workers {
					wg.Go(func() {
						for range requests / workers {
							start := time.Now()
							got := r.chat(t.Context(), "m", "")
							took := time.Since(start)
							price := map[string]usage.Nano{"a/gpt-4o-mini": cost(t, "gpt-4o-mini"), "b/gpt-4o": cost(t, "gpt-4o"), "c/gpt-4.1-mini": cost(t, "gpt-4.1-mini")}
							mu.Lock()
							times = append(times, took)
							switch want, known := price[got.text]; {
							case got.err == nil && !known:
								t.Errorf("answer %q, want exactly one", got.text)
							case got.err != nil && (got.text != "" || got.record.Cost != 0):
								t.Errorf("failed with answer %q and cost %s", got.text, got.record.Cost.USD())
							case got.err == nil && (spoken(got.record) != want || got.record.Estimated && !raced):
								t.Errorf("%s cost $%s, want $%s", got.text, spoken(got.record).USD(), want.USD())
							case got.err == nil:
								good++
							}
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				if good < tc.minSuccesses {
					t.Errorf("%d of %d requests succeeded, want %d", good, requests, tc.minSuccesses)
				}
				slices.Sort(times)
				if p99, budget := times[requests*99/100], 3*2*time.Second; p99 > budget { // three attempts, each left after its TTFT
					t.Errorf("p99 = %v, want the attempt budget of %v at most", p99, budget)
				}
				if n := len(r.vault.records); n != requests {
					t.Errorf("%d records, want %d", n, requests)
				}
				r.books()
			})
		})
	}
}

// spoken is what the answer itself cost; it checks that the record's cost is
// that and what the others generated.
func spoken(r usage.Record) (cost usage.Nano) {
	if len(r.Tried) == 0 {
		return r.Cost
	}
	var sum usage.Nano
	for _, a := range r.Tried {
		sum += a.Cost
		if a.Status == 200 && a.Error == "" {
			cost += a.Cost
		}
		if a.Status != 200 && a.Status != 499 && a.Cost != 0 {
			return -1 // a failed call was billed
		}
	}
	if sum != r.Cost {
		return -1
	}
	return cost
}

// pair is a public model on a cheap target and a dear one.
func pair(a, b llm.ProviderFunc, p router.Policy) gateway.Set {
	return gateway.Set{
		Instances: []gateway.Instance{instance("a", a), instance("b", b)},
		Models: []gateway.Public{{Name: "m", Policy: p,
			Places: []gateway.Place{{Provider: "a", Model: "gpt-4o-mini", Weight: 1}, {Provider: "b", Model: "gpt-4o", Weight: 1}}}},
	}
}

func TestADearerTargetIsPaidFor(t *testing.T) {
	r := newRig(t, pair(fails(broken), says("b"), router.Policy{}), nil)
	got := r.chat(t.Context(), "m", "")
	if got.err != nil || got.text != "b/gpt-4o" {
		t.Fatalf("answer %q, %v, want b's", got.text, got.err)
	}
	rec := got.record
	want := []usage.Attempt{{Provider: "a", Model: "gpt-4o-mini", Status: 500, Error: "upstream"},
		{Provider: "b", Model: "gpt-4o", Status: 200, InputTokens: 100, OutputTokens: 50, Cost: cost(t, "gpt-4o")}}
	if diff := cmp.Diff(want, rec.Tried); diff != "" {
		t.Errorf("Tried (-want +got):\n%s", diff)
	}
	if rec.Provider != "b" || rec.Model != "gpt-4o" || rec.Attempts != 2 || rec.Cost != cost(t, "gpt-4o") {
		t.Errorf("record %+v, want b's", rec)
	}
	m, _ := catalog.Lookup("openai", "gpt-4o")
	if bound := m.Price.Bound(0, 1000); r.vault.topups != 1 || rec.Reserved < bound {
		t.Errorf("%d top-ups to $%s, want one to $%s at least", r.vault.topups, rec.Reserved.USD(), bound.USD())
	}
	r.books()
}

func TestACheaperTargetNeedsNoTopUp(t *testing.T) {
	r := newRig(t, pair(fails(broken), says("b"), router.Policy{}), nil)
	set := pair(says("a"), fails(broken), router.Policy{})
	set.Models[0].Places[0], set.Models[0].Places[1] = set.Models[0].Places[1], set.Models[0].Places[0]
	r.gateway.Models.Use(set)
	if got := r.chat(t.Context(), "m", ""); got.text != "a/gpt-4o-mini" || r.vault.topups != 0 {
		t.Errorf("answer %q after %d top-ups, want a's after none", got.text, r.vault.topups)
	}
	r.books()
}

func TestNoMoneyForTheDearerTarget(t *testing.T) {
	asked := false
	b := llm.ProviderFunc(func(context.Context, *llm.Request, func(*llm.Event) error) error { asked = true; return nil })
	r := newRig(t, pair(fails(broken), b, router.Policy{}), func(u *admission.User, _ *admission.Rule) { u.Month = usage.Dollar / 1000 })
	got := r.chat(t.Context(), "m", "")
	if f := fault.As(got.err); asked || f.Status != 500 {
		t.Errorf("asked %v, error %v; want a's own failure, and b not asked", asked, got.err)
	}
	if got.record.Attempts != 1 || got.record.Cost != 0 {
		t.Errorf("record %+v, want one attempt that cost nothing", got.record)
	}
	r.books()
}

func TestLosersOfARaceAreBilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var left time.Time
		chatty := llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			time.Sleep(100 * time.Millisecond)
			err := emit(&llm.Event{Text: strings.Repeat("b", 400)}) // at the very moment at which a speaks
			if err != nil {
				left = time.Now() // only the loser writes this
			}
			return err
		})
		a := llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			time.Sleep(100 * time.Millisecond)
			if err := emit(&llm.Event{Text: "a"}); err != nil {
				left = time.Now()
				return err
			}
			time.Sleep(time.Second)
			u := billed
			return emit(&llm.Event{Usage: &u, UsageOnly: true})
		})
		r := newRig(t, pair(a, chatty, router.Policy{Strategy: router.Race}), nil)
		got := r.chat(t.Context(), "m", "")
		if got.err != nil || len(got.record.Tried) != 2 {
			t.Fatalf("answer %q, %v, record %+v", got.text, got.err, got.record)
		}
		if late := left.Sub(start) - 100*time.Millisecond; late > 50*time.Millisecond {
			t.Errorf("the loser left %v after the first token, want within 50ms", late)
		}
		var sum usage.Nano
		for _, a := range got.record.Tried {
			if a.Cost == 0 || a.Provider != got.record.Provider && a.Status != 499 {
				t.Errorf("attempt %+v, want it billed, and the loser's status 499", a)
			}
			sum += a.Cost
		}
		if got.record.Cost != sum || !got.record.Estimated {
			t.Errorf("cost $%s, estimated %v, want the sum $%s of which one is estimated", got.record.Cost.USD(), got.record.Estimated, sum.USD())
		}
		first, _ := catalog.Lookup("openai", "gpt-4o-mini")
		second, _ := catalog.Lookup("openai", "gpt-4o")
		if least := first.Price.Bound(0, 1000) + second.Price.Bound(0, 1000); got.record.Reserved < least || r.vault.topups != 0 {
			t.Errorf("reserved $%s with %d top-ups, want both runners, $%s, at once", got.record.Reserved.USD(), r.vault.topups, least.USD())
		}
		r.books()
	})
}

func TestAHedgeIsPaidForWhenItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := llm.ProviderFunc(func(ctx context.Context, _ *llm.Request, _ func(*llm.Event) error) error {
			<-ctx.Done()
			return ctx.Err()
		})
		quick := says("a")
		calls := 0
		a := llm.ProviderFunc(func(ctx context.Context, req *llm.Request, emit func(*llm.Event) error) error {
			if calls++; calls <= 10 { // which earn the hedge
				return quick(ctx, req, emit)
			}
			return slow(ctx, req, emit)
		})
		r := newRig(t, pair(a, says("b"), router.Policy{Strategy: router.Hedge, HedgeAfter: time.Second}), nil)
		for range 10 {
			r.chat(t.Context(), "m", "")
		}
		if r.vault.topups != 0 {
			t.Errorf("%d top-ups without a hedge", r.vault.topups)
		}
		got := r.chat(t.Context(), "m", "")
		if got.text != "b/gpt-4o" || got.err != nil || r.vault.topups != 1 {
			t.Errorf("answer %q, %v, %d top-ups, want the hedge's and one", got.text, got.err, r.vault.topups)
		}
		if got.record.Cost != cost(t, "gpt-4o") || got.record.Tried[0].Status != 499 {
			t.Errorf("record %+v, want the answer's cost alone", got.record)
		}
		r.books()
	})
}

// TestAPanicIsABrokenStream: what was generated before it is billed and in the
// record; where nothing was, another target is asked.
func TestAPanicIsABrokenStream(t *testing.T) {
	u := billed
	for _, tc := range []struct {
		name      string
		events    []llm.Event
		text      string
		cost      func(usage.Nano) bool
		estimated bool
	}{
		{"before the answer", nil, "b/gpt-4o", func(n usage.Nano) bool { return n == cost(t, "gpt-4o") }, false},
		{"in the middle", []llm.Event{{Text: strings.Repeat("x", 400)}}, strings.Repeat("x", 400), func(n usage.Nano) bool { return n >= 100*600 }, true},
		{"behind the usage", []llm.Event{{Text: "x"}, {Usage: &u, UsageOnly: true}}, "x", func(n usage.Nano) bool { return n == cost(t, "gpt-4o-mini") }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
				for i := range tc.events {
					if err := emit(&tc.events[i]); err != nil {
						return err
					}
				}
				panic("ouch")
			})
			var ended []gateway.Outcome
			r := newRig(t, pair(a, says("b"), router.Policy{}), nil)
			r.gateway.Trace = func(ctx context.Context, _ gateway.Attempt) (context.Context, func(gateway.Outcome)) {
				return ctx, func(o gateway.Outcome) { ended = append(ended, o) }
			}
			got := r.chat(t.Context(), "m", "")
			if rec := got.record; got.text != tc.text || !tc.cost(rec.Cost) || rec.Estimated != tc.estimated || rec.OutputTokens == 0 || len(ended) != rec.Attempts {
				t.Errorf("answer %q, %v, record %+v, %d spans", got.text, got.err, rec, len(ended))
			}
			if len(tc.events) > 0 && (!errors.Is(got.err, fault.Internal) || strings.Contains(fault.As(got.err).Message, "ouch")) {
				t.Errorf("Chat = %v, want an internal error that tells nothing", got.err)
			}
			r.books()
		})
	}
}

// TestWhatWasCountedHoldsForAnAnswerCutShort: a prompt from a cache costs a
// fraction, thoughts are not to be seen.
func TestWhatWasCountedHoldsForAnAnswerCutShort(t *testing.T) {
	m, _ := catalog.Lookup("openai", "gpt-4o-mini")
	counted := llm.Usage{Input: 100_000, CachedInput: 99_000, Output: 300, Reasoning: 250}
	for text, output := range map[int]int64{400: 300, 4000: 1000} {
		cut := llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
			soFar := counted
			if err := emit(&llm.Event{Text: "x", SoFar: &soFar}); err != nil {
				return err
			}
			if err := emit(&llm.Event{Text: strings.Repeat("x", text-1)}); err != nil {
				return err
			}
			return broken
		})
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", cut)}}, nil)
		got := r.chat(t.Context(), "openai/gpt-4o-mini", "")
		want := counted
		want.Output = output
		if rec := got.record; rec.Cost != m.Price.Cost(want) || rec.InputTokens != want.Input || rec.CachedTokens != want.CachedInput || rec.OutputTokens != output || !rec.Estimated {
			t.Errorf("after %d bytes: record %+v, want %+v for $%s", text, rec, want, m.Price.Cost(want).USD())
		}
		r.books()
	}
}

func TestARefusedAnswerIsBilled(t *testing.T) {
	blocked := llm.ProviderFunc(func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		return emit(&llm.Event{Finish: "content_filter"})
	})
	set := pair(blocked, says("b"), router.Policy{})
	set.Models[0].Places = set.Models[0].Places[:1]
	set.Models[0].Content = []string{"b/gpt-4o"}
	r := newRig(t, set, nil)
	got := r.chat(t.Context(), "m", "")
	if got.text != "b/gpt-4o" || got.err != nil {
		t.Fatalf("answer %q, %v, want the fallback's", got.text, got.err)
	}
	if a := got.record.Tried[0]; a.Cost == 0 || got.record.Cost != a.Cost+cost(t, "gpt-4o") {
		t.Errorf("record %+v, want the refused prompt billed as well", got.record)
	}
	r.books()
}

func TestFallbacksOfTheConfiguration(t *testing.T) {
	tooLong := &fault.Error{Kind: fault.Invalid, Status: 400, Provider: "a", Code: "context_length_exceeded", Message: "too long"}
	set := gateway.Set{
		Instances: []gateway.Instance{instance("a", fails(tooLong)), instance("b", fails(broken)), instance("c", says("c")),
			{Name: "gone", Kind: "openai", Chats: true, Missing: "GONE_KEY"}},
		Models: []gateway.Public{
			{Name: "small", Places: []gateway.Place{{Provider: "a", Model: "gpt-4o-mini", Weight: 1}}, Context: []string{"middle"}},
			{Name: "middle", Places: []gateway.Place{{Provider: "b", Model: "gpt-4o", Weight: 1}, {Provider: "gone", Model: "x", Weight: 1}}, Context: []string{"large"}},
			{Name: "large", Places: []gateway.Place{{Provider: "c", Model: "gpt-4.1", Weight: 1}}},
			{Name: "lost", Places: []gateway.Place{{Provider: "gone", Model: "x", Weight: 1}}},
		},
		Aliases: map[string]string{"tiny-2023": "small", "old-4o": "c/gpt-4o"},
	}
	r := newRig(t, set, nil)
	if got := r.chat(t.Context(), "small", ""); got.text != "c/gpt-4.1" { // the fallback's fallback
		t.Errorf("answer %q, %v, want large's", got.text, got.err)
	}
	if got := r.chat(t.Context(), "tiny-2023", ""); got.text != "c/gpt-4.1" || got.record.Asked != "tiny-2023" {
		t.Errorf("by its old name: %q, %v", got.text, got.err)
	}
	if got := r.chat(t.Context(), "old-4o", ""); got.text != "c/gpt-4o" {
		t.Errorf("an alias of a target: %q, %v", got.text, got.err)
	}
	got := r.chat(t.Context(), "lost", "")
	if f := fault.As(got.err); f.Kind != fault.NotFound || !strings.Contains(f.Message, "GONE_KEY") {
		t.Errorf("a model without any provider: %v, want a 404 that names the variable", got.err)
	}
	r.books()
}

// TestUnknownNamesAreTold where they may be meant: a server that speaks OpenAI's
// protocol has models that nobody listed.
func TestUnknownNamesAreTold(t *testing.T) {
	own := instance("ollama", says("ollama"))
	lost := instance("lost", nil)
	lost.Missing = "LOST_KEY"
	other := instance("claude", says("claude"))
	other.Kind = "anthropic"
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{lost, other, own}}, nil)
	for name, hint := range map[string]bool{"llama3": true, "no/llama3": false} {
		f := fault.As(r.chat(t.Context(), name, "").err)
		if f.Kind != fault.NotFound || strings.Contains(f.Message, "If 'ollama' has it, ask for 'ollama/llama3'.") != hint {
			t.Errorf("%s: %v, want a 404 that suggests ollama/llama3: %v", name, f, hint)
		}
	}
}

func TestRequestsControlTheirRoute(t *testing.T) {
	set := pair(fails(broken), says("b"), router.Policy{})
	set.Instances = append(set.Instances, instance("c", says("c")))
	set.Models = append(set.Models, gateway.Public{Name: "other", Places: []gateway.Place{{Provider: "c", Model: "gpt-4o", Weight: 1}}})
	for _, tc := range []struct {
		name, model, options string
		text, param          string // of the answer, or of the error
		kind                 fault.Kind
	}{
		{"order", "m", `"order":["b"]`, "b/gpt-4o", "", ""},
		{"only", "m", `"only":["b"]`, "b/gpt-4o", "", ""},
		{"only those that fail", "m", `"only":["a"]`, "", "", fault.Upstream},
		{"only another", "m", `"only":["c"]`, "", "gateway.only", fault.Invalid},
		{"only nobody", "m", `"only":["zzz"]`, "", "gateway.only", fault.Invalid},
		{"order of nobody", "m", `"order":["b","zzz"]`, "", "gateway.order", fault.Invalid},
		{"fallbacks", "a/gpt-4o", `"fallbacks":["a/gpt-4o-mini","other"]`, "c/gpt-4o", "", ""},
		{"fallback that does not exist", "m", `"fallbacks":["other","nope"]`, "", "gateway.fallbacks[1]", fault.Invalid},
		{"fallback to itself", "m", `"fallbacks":["m"]`, "", "gateway.fallbacks[0]", fault.Invalid},
		{"fallbacks of a wrong type", "m", `"fallbacks":"other"`, "", "gateway.fallbacks", fault.Invalid},
		{"strategy", "m", `"strategy":"race"`, "b/gpt-4o", "", ""},
		{"unknown strategy", "m", `"strategy":"fastest"`, "", "gateway.strategy", fault.Invalid},
		{"strategy of a wrong type", "m", `"strategy":1`, "", "gateway.strategy", fault.Invalid},
		{"a price that only the cheap one meets", "m", `"max_price_usd":0.001`, "", "", fault.Upstream},
		{"a price that none meets", "m", `"max_price_usd":0.0000001`, "", "gateway.max_price_usd", fault.Invalid},
		{"ttft of a wrong size", "m", `"ttft_timeout_ms":0`, "", "gateway.ttft_timeout_ms", fault.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, set, nil)
				got := r.chat(t.Context(), tc.model, tc.options)
				f := fault.As(got.err)
				switch {
				case tc.kind == "" && (f != nil || got.text != tc.text):
					t.Errorf("answer %q, %v, want %q", got.text, got.err, tc.text)
				case tc.kind != "" && (f == nil || f.Kind != tc.kind || f.Param != tc.param):
					t.Errorf("answer %q, error %+v, want %s of %q", got.text, f, tc.kind, tc.param)
				}
				r.books()
			})
		})
	}
}

func TestTTFTOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := llm.ProviderFunc(func(ctx context.Context, _ *llm.Request, _ func(*llm.Event) error) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r := newRig(t, pair(hang, says("b"), router.Policy{}), nil)
		start := time.Now()
		got := r.chat(t.Context(), "m", `"ttft_timeout_ms":700`)
		if took := time.Since(start); got.text != "b/gpt-4o" || took != 700*time.Millisecond {
			t.Errorf("answer %q after %v, want b's after 700ms", got.text, took)
		}
		if got.record.Tried[0].Error != string(fault.Timeout) {
			t.Errorf("the first attempt is %+v, want a timeout", got.record.Tried[0])
		}
	})
}
