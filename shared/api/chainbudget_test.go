package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// novelist writes as many tokens as it is asked for, of four bytes each, and
// stops where it is told to.
type novelist struct {
	mu     sync.Mutex
	bounds []int64 // that it was told; 0 for none
	deaf   bool    // it takes no notice of them
	most   int64   // tokens that it can write; 0 for all
	piece  int64   // tokens in an event; 0 is 10
}

func (n *novelist) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var req struct {
		Stream   bool
		Max      int64 `json:"max_completion_tokens"`
		Messages []struct{ Content string }
	}
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	n.bounds = append(n.bounds, req.Max)
	n.mu.Unlock()
	var tokens int64
	fmt.Sscanf(req.Messages[0].Content, "write %d", &tokens)
	finish := "stop"
	if req.Max > 0 && req.Max < tokens && !n.deaf {
		tokens, finish = req.Max, "length"
	}
	if n.most > 0 && tokens > n.most {
		tokens, finish = n.most, "length"
	}
	used := fmt.Sprintf(`{"prompt_tokens":5,"completion_tokens":%d,"total_tokens":%d}`, tokens, tokens+5)
	if !req.Stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":%q}],"usage":%s}`,
			strings.Repeat("word", int(tokens)), finish, used)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	piece := max(n.piece, 10)
	for ; tokens > 0; tokens -= piece {
		if _, err := fmt.Fprintf(w, `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`+"\n\n", strings.Repeat("word", int(min(piece, tokens)))); err != nil {
			return // cut off
		}
	}
	fmt.Fprintf(w, `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":%q}]}`+"\n\n"+`data: {"id":"1","model":"m","choices":[],"usage":%s}`+"\n\ndata: [DONE]\n\n", finish, used)
}

func newNovel(t *testing.T, n *novelist) *rig {
	t.Helper()
	r := newRig(t, n.ServeHTTP, nil)
	r.server.Recipes, r.server.Runs = r.store.Recipes(), r.store.Runs()
	return r
}

// runs runs the chain c and returns the answer when the books are closed.
func (r *rig) runs(body string) (answer string, rec usage.Record) {
	r.t.Helper()
	req := httptest.NewRequest("POST", "/ai/chains/c/runs", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+r.key)
	w := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(w, req)
	records := r.records("ana")
	if len(records) == 0 {
		r.t.Fatalf("no record of %.300s", w.Body)
	}
	r.account("ana")
	return w.Body.String(), records[len(records)-1]
}

// TestABudgetBoundsCallsWithoutABoundOfTheirOwn: streamed or not, of the chain or
// of a step, and also where the provider takes no notice of bounds, as far as
// that can be heard.
func TestABudgetBoundsCallsWithoutABoundOfTheirOwn(t *testing.T) {
	const budget = usage.Nano(3_000_000) // 5,000 tokens of gpt-4o-mini's answers
	for _, tc := range []struct {
		name    string
		budget  string
		tokens  int
		stream  bool
		deaf    bool
		whole   bool
		bounded bool
	}{
		{"no budget", "", 20_000, false, false, true, false},
		{"no budget, streamed", "", 20_000, true, false, true, false},
		{"fits", "chain", 4000, false, false, true, true},
		{"fits, streamed", "chain", 4700, true, false, true, true},
		{"too long for the chain", "chain", 20_000, false, false, false, true},
		{"too long for the chain, streamed", "chain", 20_000, true, false, false, true},
		{"too long for the chain, streamed and unheard", "chain", 20_000, true, true, false, true},
		{"too long for the step", "step", 20_000, false, false, false, true},
		{"too long for the step, streamed", "step", 20_000, true, false, false, true},
	} {
		n := &novelist{deaf: tc.deaf}
		r := newNovel(t, n)
		ofChain, ofStep := "", ""
		switch tc.budget {
		case "chain":
			ofChain = `"budget_usd":` + budget.USD() + `,`
		case "step":
			ofStep = `,"budget_usd":` + budget.USD()
		}
		r.saves(fmt.Sprintf(`{"name":"c",%s"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"write %d"%s}]}`, ofChain, tc.tokens, ofStep))
		a, rec := r.runs(fmt.Sprintf(`{"stream":%t}`, tc.stream))
		if whole := strings.Contains(a, `"status":"ok"`); whole != tc.whole || whole == strings.Contains(a, "chain_budget_exceeded") {
			t.Errorf("%s: %.300s, want it whole = %t", tc.name, a, tc.whole)
		}
		if tc.budget != "" && rec.Cost > budget || rec.Cost == 0 {
			t.Errorf("%s: the run cost $%s of $%s", tc.name, rec.Cost.USD(), budget.USD())
		}
		if !tc.whole && rec.Cost < budget*4/5 {
			t.Errorf("%s: the run was ended at $%s of $%s", tc.name, rec.Cost.USD(), budget.USD())
		}
		if len(n.bounds) != 1 || n.bounds[0] > 0 != tc.bounded || n.bounds[0] > 5000 {
			t.Errorf("%s: bounds = %d, want one: %t", tc.name, n.bounds, tc.bounded)
		}
	}
}

// TestALargeBudgetDoesNotCutLongAnswers: more than what is expected of an answer
// is asked for while it comes.
func TestALargeBudgetDoesNotCutLongAnswers(t *testing.T) {
	for _, stream := range []bool{false, true} {
		n := &novelist{}
		r := newNovel(t, n)
		r.saves(`{"name":"c","budget_usd":0.2,"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"write 12000"}]}`)
		a, _ := r.runs(fmt.Sprintf(`{"stream":%t}`, stream))
		if !strings.Contains(a, `"status":"ok"`) {
			t.Errorf("stream = %t: %.300s, want all of it", stream, a)
		}
	}
}

// TestLongEventsDoNotOutrunABudget: one event may be longer than what was
// granted, but not the next one, too.
func TestLongEventsDoNotOutrunABudget(t *testing.T) {
	r := newNovel(t, &novelist{deaf: true, piece: 2500})
	r.saves(`{"name":"c","budget_usd":0.003,"steps":[{"id":"a","type":"prompt","model":"gpt-4o-mini","user":"write 20000"}]}`)
	a, rec := r.runs(`{"stream":true}`)
	if !strings.Contains(a, "chain_budget_exceeded") || rec.Cost > 3_100_000 || rec.Cost < 2_000_000 {
		t.Errorf("the run cost $%s of $0.003: %.200s", rec.Cost.USD(), a)
	}
}

// TestCallsAtOnceShareABudget: what one may use is not lent to another. The last
// event of a stream may be longer than what is left for it.
func TestCallsAtOnceShareABudget(t *testing.T) {
	const budget = usage.Nano(30_000_000)
	const events = 8 * 10 * 600 // of ten tokens, one of each call
	for _, stream := range []bool{false, true} {
		n := &novelist{deaf: stream}
		r := newNovel(t, n)
		r.saves(`{"name":"c","budget_usd":` + budget.USD() + `,"input":[{"name":"l","type":"array"}],"steps":[{"id":"a","type":"map","over":"$.input.l","parallel":8,
			"do":{"type":"prompt","model":"gpt-4o-mini","user":"write 9000","on_error":"skip"}}]}`)
		if _, rec := r.runs(fmt.Sprintf(`{"stream":%t,"input":{"l":[1,2,3,4,5,6,7,8,9,10,11,12]}}`, stream)); rec.Cost > budget+events || rec.Cost < budget/2 {
			t.Errorf("stream = %t: the run cost $%s of $%s", stream, rec.Cost.USD(), budget.USD())
		}
	}
}
