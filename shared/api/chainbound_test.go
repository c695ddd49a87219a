package api_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestAnyBudgetThatPaysForThePromptWillDo: a call that sets no bound gets what
// the budget of the chain or of the step pays for, and no more than that.
func TestAnyBudgetThatPaysForThePromptWillDo(t *testing.T) {
	for _, model := range []string{"gpt-4o-mini", "gpt-4o", "gpt-5", "gpt-4"} {
		m, ok := catalog.Lookup("openai", model)
		if !ok {
			t.Fatalf("the catalogue lacks %s", model)
		}
		for _, stream := range []bool{false, true} {
			n := &novelist{}
			r := newNovel(t, n)
			for i, budget := range []float64{0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.002, 0.0024, 0.0025, 0.003, 0.005, 0.009, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 2, 20} {
				ofChain, ofStep := fmt.Sprintf(`"budget_usd":%v,`, budget), ""
				if i%2 == 1 {
					ofChain, ofStep = "", fmt.Sprintf(`,"budget_usd":%v`, budget)
				}
				r.saves(fmt.Sprintf(`{"name":"c",%s"steps":[{"id":"a","type":"prompt","model":"openai/%s","user":"write 1"%s}]}`, ofChain, model, ofStep))
				n.bounds = nil
				name := fmt.Sprintf("$%v for %s, stream = %t", budget, model, stream)
				a := r.do("POST", "/ai/chains/c/runs", fmt.Sprintf(`{"stream":%t}`, stream))
				nano := usage.FromUSD(budget)
				if len(n.bounds) == 0 { // then it did not pay for the prompt, which may have a hundred tokens
					_, rest, _ := strings.Cut(a.body, "the call may cost $")
					least, err := strconv.ParseFloat(rest[:max(0, strings.Index(rest, `."`))], 64)
					if nano > m.Price.Bound(100, 1) || err != nil || usage.FromUSD(least) > m.Price.Bound(100, 1) || !strings.Contains(a.body, "chain_budget_exceeded") {
						t.Errorf("%s: nobody was asked: %.300s", name, a.body)
					}
					continue
				}
				if !strings.Contains(a.body, `"status":"ok"`) {
					t.Errorf("%s: %.300s", name, a.body)
				}
				bound, low := n.bounds[0], int64(0)
				if rest := nano - m.Price.Bound(100, 0); rest > 0 {
					low = int64(float64(rest) / float64(m.Price.Bound(0, 1_000_000)) * 1e6)
				}
				if bound == 0 && nano < m.Price.Bound(5, m.MaxOutput) || bound > 0 && (bound < min(low, m.MaxOutput) || bound > m.MaxOutput || m.Price.Bound(5, bound) > nano) {
					t.Errorf("%s: the bound is %d, want from %d to what it pays for", name, bound, low)
				}
			}
		}
	}
}

// step is what runs tell of the step a.
type stepEnd struct {
	Status string
	Output any
	Finish string `json:"finish_reason"`
	Error  struct{ Code string }
	Items  []struct {
		Index  int
		Output any
		Error  struct{ Code string }
	} `json:"item_errors"`
	Attempts int
}

// ended reads the step a from the answer to a run.
func ended(t *testing.T, answer string) stepEnd {
	t.Helper()
	if _, data, ok := strings.Cut(answer, "event: run.end\ndata: "); ok {
		answer = data
	}
	type run struct{ Steps []stepEnd }
	var o struct {
		run
		Run run
	}
	if err := json.NewDecoder(strings.NewReader(answer)).Decode(&o); err != nil || len(o.Steps)+len(o.Run.Steps) == 0 {
		t.Fatalf("%v: %.300s", err, answer)
	}
	return append(o.Steps, o.Run.Steps...)[0]
}

// TestOnlyMoneyMakesALongAnswerFail: one that the model's own maximum has ended
// is an answer; of one that a budget has, there is what came.
func TestOnlyMoneyMakesALongAnswerFail(t *testing.T) {
	for _, tc := range []struct {
		name           string
		budget         string
		user           usage.Nano // has so much left; 0: no limit
		tokens, most   int64
		finish, code   string
		whole, streams int64 // tokens that come
	}{
		{"no budget", "", 0, 20_000, 16_384, "length", "", 16_384, 16_384},
		{"a large budget", `"budget_usd":10,`, 0, 20_000, 16_384, "length", "", 16_384, 16_384},
		{"a budget for the model's maximum", `"budget_usd":0.02,`, 0, 16_000, 0, "stop", "", 16_000, 16_000},
		{"a model that knows less", `"budget_usd":0.02,`, 0, 20_000, 8000, "length", "", 8000, 8000},
		{"a small budget, a short answer", `"budget_usd":0.003,`, 0, 4700, 0, "stop", "", 4700, 4700},
		{"a small budget, a long answer", `"budget_usd":0.003,`, 0, 20_000, 16_384, "length", "chain_budget_exceeded", 4850, 4850},
		{"a user with half of that", `"budget_usd":10,`, 6_000_000, 8000, 0, "stop", "", 8000, 8000},
		{"a user with half of that, a long answer", `"budget_usd":10,`, 6_000_000, 20_000, 0, "length", "insufficient_quota", 8192, 9900},
	} {
		for _, stream := range []bool{false, true} {
			name := fmt.Sprintf("%s, stream = %t", tc.name, stream)
			r := newNovel(t, &novelist{most: tc.most})
			key := r.key
			if tc.user > 0 {
				key = r.user("ben", func(u *admission.User) { u.Day = tc.user })
			}
			auth := []string{"Authorization", "Bearer " + key}
			r.saves(fmt.Sprintf(`{"name":"c",%s"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"write %d"}]}`, tc.budget, tc.tokens), auth...)
			end := ended(t, r.do("POST", "/ai/chains/c/runs", fmt.Sprintf(`{"stream":%t}`, stream), auth...).body)
			text, _ := end.Output.(string)
			want, status := tc.whole, "ok"
			if stream {
				want = tc.streams
			}
			if tc.code != "" {
				status = "failed"
			}
			if end.Status != status || end.Error.Code != tc.code || end.Finish != tc.finish || end.Attempts != 1 {
				t.Errorf("%s: %s, %q, %q, %d attempts, want %s, %q, %q and one", name, end.Status, end.Error.Code, end.Finish, end.Attempts, status, tc.code, tc.finish)
			}
			if got := int64(len(text)) / 4; got < want || tc.code == "" && got > want || got > want+150 {
				t.Errorf("%s: %d tokens came, want %d", name, got, want)
			}
		}
	}
}

// TestItemsWaitForMoneyThatOthersHold instead of failing: what they hold is more
// than they will cost. Those that are refused all the same were no attempts.
func TestItemsWaitForMoneyThatOthersHold(t *testing.T) {
	for _, tc := range []struct {
		budget usage.Nano
		tokens int
		failed bool
	}{
		{6_000_000, 500, false}, // what two usual answers may cost, and twelve of these do
		{6_000_000, 2000, true},
	} {
		for _, stream := range []bool{false, true} {
			r := newNovel(t, &novelist{})
			r.saves(fmt.Sprintf(`{"name":"c","budget_usd":%s,"input":[{"name":"l","type":"array"}],"steps":[{"id":"a","type":"map","over":"$.input.l","parallel":8,
				"do":{"type":"prompt","model":"gpt-4o-mini","user":"write %d","on_error":"skip"}}]}`, tc.budget.USD(), tc.tokens))
			a, rec := r.runs(fmt.Sprintf(`{"stream":%t,"input":{"l":[1,2,3,4,5,6,7,8,9,10,11,12]}}`, stream))
			end := ended(t, a)
			list, _ := end.Output.([]any)
			if len(list)+len(end.Items) != 12 || len(end.Items) > 0 != tc.failed || rec.Cost > tc.budget || len(rec.Tried) != end.Attempts {
				t.Errorf("%d tokens, stream = %t: %d items are there and %d failed, for $%s in %d attempts, %d of which were made", tc.tokens, stream, len(list), len(end.Items), rec.Cost.USD(), end.Attempts, len(rec.Tried))
			}
			if tc.failed && (len(list) < 3 || rec.Cost < tc.budget*9/10) {
				t.Errorf("%d tokens, stream = %t: %d items are there for $%s, want most of the budget used", tc.tokens, stream, len(list), rec.Cost.USD())
			}
			parts := 0
			for _, e := range end.Items {
				if e.Error.Code != "chain_budget_exceeded" {
					t.Errorf("item %d failed with %s", e.Index, e.Error.Code)
				}
				if text, _ := e.Output.(string); text != "" {
					parts++
				}
			}
			if cut := end.Attempts - len(list); parts != cut {
				t.Errorf("%d tokens, stream = %t: of %d answers there is a part, %d were cut off", tc.tokens, stream, parts, cut)
			}
		}
	}
}
