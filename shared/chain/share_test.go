package chain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestCallsShareBudgets: those that may be made at the same time get equal parts,
// unless that is less than usual; then they come one after the other.
func TestCallsShareBudgets(t *testing.T) {
	const each = `{"id":"m","type":"map","over":"$.input.list","parallel":3,%s"do":{"type":"prompt","model":"m","user":"{{.item}}"}}`
	for name, tc := range map[string]struct {
		body        string
		usual, most usage.Nano
		shares      string // in order
		took        time.Duration
	}{
		"one call gets all":          {with(prompt("a", "x"), `"budget_usd":0.000001`), 100, 5000, "1000", time.Second},
		"but no more than it may":    {with(prompt("a", "x"), `"budget_usd":0.000001`), 100, 300, "300", time.Second},
		"two steps halve it":         {with(prompt("a", "x")+","+prompt("b", "x"), `"budget_usd":0.000001`), 100, 5000, "500 500", time.Second},
		"one after the other":        {with(prompt("a", "x")+","+prompt("b", "x", `"needs":["a"]`), `"budget_usd":0.000001`), 100, 5000, "1000 990", 2 * time.Second},
		"less than usual for both":   {with(prompt("a", "x")+","+prompt("b", "x"), `"budget_usd":0.000001`), 600, 5000, "600 990", 2 * time.Second},
		"less than usual for one":    {with(prompt("a", "x"), `"budget_usd":0.000001`), 1500, 5000, "1000", time.Second},
		"of a step, of another none": {with(prompt("a", "x", `"budget_usd":0.000001`) + "," + prompt("b", "x")), 100, 5000, "1000 none", time.Second},
		"items, three at a time":     {with(fmt.Sprintf(each, ""), vars, `"budget_usd":0.0000009`), 100, 5000, "290 290 290 300 300 300", 2 * time.Second},
		"items of a step's budget":   {with(fmt.Sprintf(each, `"budget_usd":0.0000009,`), vars), 900, 5000, "850 860 870 880 890 900", 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w *world
				var shares []string
				w = &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
					own, all, err := ask.Share(ctx, tc.usual, tc.most)
					if err != nil || all < own {
						t.Errorf("Share = %d of %d, %v", own, all, err)
					}
					w.mu.Lock()
					if shares = append(shares, fmt.Sprint(own)); own == usage.None {
						shares[len(shares)-1] = "none"
					}
					w.mu.Unlock()
					if err := ask.Hold(min(own, 1000)); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Second)
					return chain.Answer{Text: user, Cost: 10}, nil
				}}
				in, start := "", time.Now()
				if strings.Contains(tc.body, `"input"`) {
					in = `{"topic":"","list":[1,2,3,4,5,6]}`
				}
				_, err := run(t, tc.body, in, w)
				slices.Sort(shares)
				if got := strings.Join(shares, " "); err != nil || got != tc.shares || time.Since(start) != tc.took {
					t.Errorf("shares = %s in %s, %v, want %s in %s", got, time.Since(start), err, tc.shares, tc.took)
				}
			})
		})
	}
}

// TestWaitingForMoneyEndsWithTheTime that a step may take, and is no attempt.
func TestWaitingForMoneyEndsWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			if user == "hasty" {
				time.Sleep(time.Second)
			}
			if _, _, err := ask.Share(ctx, 800, 800); err != nil {
				return chain.Answer{Unasked: true}, err
			}
			time.Sleep(time.Minute)
			return chain.Answer{Text: user}, nil
		}}
		start := time.Now()
		r, err := run(t, with(prompt("a", "x")+","+prompt("b", "hasty", `"timeout_ms":5000`), `"budget_usd":0.000001`), "", w)
		if !errors.Is(err, fault.Timeout) || time.Since(start) > time.Minute || r.Step("b").Attempts != 0 || r.Step("a").Attempts != 1 {
			t.Errorf("run = %v after %s, b was tried %d times, want a timeout of 5s and none", err, time.Since(start), r.Step("b").Attempts)
		}
	})
}

// TestAPanicGivesBackWhatTheCallHeld: others wait for it.
func TestAPanicGivesBackWhatTheCallHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{say: func(ctx context.Context, ask chain.Ask, user string) (chain.Answer, error) {
			if user == "next" {
				time.Sleep(time.Second)
			}
			_, _, err := ask.Share(ctx, 800, 800)
			time.Sleep(2 * time.Second)
			if user == "bug" {
				panic("bug")
			}
			return chain.Answer{Text: user}, err
		}}
		r, err := run(t, with(prompt("a", "bug", `"on_error":"skip"`)+","+prompt("b", "next"), `"budget_usd":0.000001`), "", w)
		if got := states(r); err != nil || got != "a:skipped b:ok" {
			t.Errorf("run = %s, %v, want b to be done", got, err)
		}
	})
}

// TestWhatThereIsOfAnAnswerIsShown where its step, or its item, fails, and is no
// output where something else stands for it.
func TestWhatThereIsOfAnAnswerIsShown(t *testing.T) {
	w := &world{say: func(_ context.Context, ask chain.Ask, user string) (chain.Answer, error) {
		if user == "x" || user == "2" {
			return chain.Answer{Text: "half an ", Finish: "length"}, fault.New(fault.Quota, "no more")
		}
		return chain.Answer{Text: user, Finish: "stop"}, nil
	}}
	each := func(more string) string {
		return with(`{"id":"m","type":"map","over":"$.input.list","parallel":1,"do":{"type":"prompt","model":"m","user":"{{.item}}"`+more+`}}`, vars)
	}
	for name, tc := range map[string]struct{ body, output, item string }{
		"a step":                 {with(prompt("m", "x")), `"half an "`, ""},
		"one that is skipped":    {with(prompt("m", "x", `"on_error":"skip"`)), ``, ""},
		"one with a default":     {with(prompt("m", "x", `"on_error":{"default":7}`)), `7`, ""},
		"an item":                {each(""), `["1",null,null]`, `"half an "`},
		"an item that is left":   {each(`,"on_error":"skip"`), `["1","3"]`, `"half an "`},
		"an item with a default": {each(`,"on_error":{"default":7}`), `["1",7,"3"]`, `"half an "`},
	} {
		in := ""
		if strings.Contains(tc.body, `"input"`) {
			in = `{"topic":"","list":[1,2,3]}`
		}
		r, _ := run(t, tc.body, in, w)
		m, item := r.Step("m"), ""
		if len(m.Items) == 1 && m.Items[0].Index == 1 {
			item = string(m.Items[0].Output)
		}
		if string(m.Output) != tc.output || item != tc.item || m.Finish != "length" {
			t.Errorf("%s: output %s, of the item %s, finish %q, want %s, %s and length", name, m.Output, item, m.Finish, tc.output, tc.item)
		}
	}
}
