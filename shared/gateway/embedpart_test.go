package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// refusing answers 400 to calls with a text that begins with "bad", naming it
// if it can.
func refusing(names bool) func(context.Context, *llm.EmbedRequest) error {
	return func(_ context.Context, req *llm.EmbedRequest) error {
		i := slices.IndexFunc(req.Inputs, func(s string) bool { return strings.HasPrefix(s, "bad") })
		if i < 0 {
			return nil
		}
		f := &fault.Error{Kind: fault.Invalid, Status: http.StatusBadRequest, Provider: "openai", Code: "too_long", Message: "That is too long."}
		if names {
			f.Param = "input[" + strconv.Itoa(i) + "]"
		}
		return f
	}
}

const partial = `,"gateway":{"partial":true}`

func TestPartialAnswers(t *testing.T) {
	many := func(bad ...int) []string {
		list := lengths(64)
		for _, i := range bad {
			list[i] = "bad" + strconv.Itoa(i)
		}
		return list
	}
	for _, tc := range []struct {
		name   string
		texts  []string
		names  bool
		limit  llm.Batch
		failed []int
		calls  int
	}{
		{"nothing is wrong", many(), false, llm.Batch{}, nil, 1},
		{"one, named", many(40), true, llm.Batch{}, []int{40}, 2},
		{"three, named", many(1, 2, 60), true, llm.Batch{}, []int{1, 2, 60}, 4},
		{"one, searched for", many(40), false, llm.Batch{}, []int{40}, 13},
		{"two in different parts", many(3, 50), true, llm.Batch{Inputs: 16}, []int{3, 50}, 6},
		{"one by one", many(0, 63), false, llm.Batch{Inputs: 1}, []int{0, 63}, 64},
		{"empty", []string{"a", "", "b"}, false, llm.Batch{}, []int{1}, 1},
		{"empty twice", []string{"a", "", "b", ""}, false, llm.Batch{}, []int{1, 3}, 1},
		{"twins", []string{"a", "bad", "bb", "bad"}, true, llm.Batch{}, []int{1, 3}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scripted{limit: tc.limit, before: refusing(tc.names), raw: true}
			r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
			got := r.embed(t.Context(), ask(small, tc.texts, partial))
			if got.err != nil {
				t.Fatal(got.err)
			}
			var failed []int
			var good int64
			for i, text := range tc.texts {
				switch {
				case got.out.Failed != nil && got.out.Failed[i] != nil:
					failed = append(failed, i)
					if f := fault.As(got.out.Failed[i]); f.Param != fmt.Sprintf("input[%d]", i) || f.Kind != fault.Invalid || got.out.Vectors[i] != nil {
						t.Errorf("input %d: %v, %#v", i, got.out.Vectors[i], f)
					}
				case got.out.Raw == nil && !slices.Equal(got.out.Vectors[i], s.vector(text)):
					t.Errorf("vector %d = %v, want %v", i, got.out.Vectors[i], s.vector(text))
				default:
					good += int64(len(text))
				}
			}
			if !slices.Equal(failed, tc.failed) || len(s.calls) != tc.calls {
				t.Errorf("failed = %v in %d calls, want %v in %d", failed, len(s.calls), tc.failed, tc.calls)
			}
			if got.record.InputTokens != good || r.books() != usage.Nano(good*20) {
				t.Errorf("%d tokens for $%s, want %d", got.record.InputTokens, r.books().USD(), good)
			}
			if tc.failed == nil {
				return
			}
			if tc.texts[tc.failed[0]] == "" {
				s.calls = nil
			}
			whole := r.embed(t.Context(), ask(small, tc.texts, ""))
			f := fault.As(whole.err)
			knowable := tc.names || tc.limit.Inputs == 1 || tc.texts[tc.failed[0]] == ""
			if f == nil || f.Kind != fault.Invalid || knowable && !slices.Contains(tc.failed, index(f.Param)) || !knowable && f.Param != "" {
				t.Errorf("not partial: %#v, want a refusal of one of %v if it can be known", f, tc.failed)
			}
		})
	}
}

// index is the number in "input[3]".
func index(param string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(param, "input["), "]"))
	if err != nil {
		return -1
	}
	return n
}

// TestPartialHasBounds: what is wrong with all inputs is wrong with the
// request, a search does not go on for ever, and other failures are no answer.
func TestPartialHasBounds(t *testing.T) {
	all := make([]string, 500)
	for i := range all {
		all[i] = "bad" + strconv.Itoa(i)
	}
	some := slices.Clone(all)
	some[0] = "good"
	for _, tc := range []struct {
		name   string
		texts  []string
		limit  llm.Batch
		before func(context.Context, *llm.EmbedRequest) error
		kind   fault.Kind // "" for an answer
		calls  int        // at most
	}{
		{"all of them", all, llm.Batch{}, refusing(false), fault.Invalid, 66},
		{"all of them, one by one", all, llm.Batch{Inputs: 1}, refusing(false), fault.Invalid, 70},
		{"all but one", some, llm.Batch{Calls: 1}, refusing(false), "", 140},
		{"all empty", []string{"", ""}, llm.Batch{}, nil, fault.Invalid, 0},
		{"something else", all, llm.Batch{}, func(context.Context, *llm.EmbedRequest) error {
			return &fault.Error{Kind: fault.Invalid, Status: 400, Provider: "openai", Param: "dimensions", Message: "no"}
		}, fault.Invalid, 1},
		{"no credentials", all, llm.Batch{}, func(context.Context, *llm.EmbedRequest) error { return status(401, fault.Upstream) }, fault.Upstream, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scripted{limit: tc.limit, before: tc.before}
			r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", s)}}, nil)
			got := r.embed(t.Context(), ask(small, tc.texts, partial))
			if len(s.calls) > tc.calls {
				t.Errorf("%d calls, want at most %d", len(s.calls), tc.calls)
			}
			if tc.kind != "" {
				if !errors.Is(got.err, tc.kind) {
					t.Errorf("Embed = %+v, %v, want %s", got.out, got.err, tc.kind)
				}
			} else if got.err != nil || got.out.Failed[0] != nil || got.out.Failed[1] == nil || got.out.Failed[499] == nil {
				t.Errorf("Embed = %v, want one vector and 499 errors", got.err)
			}
			r.books()
		})
	}
}

func TestWrongEmbedOptions(t *testing.T) {
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{place("openai", &scripted{})}}, nil)
	for options, want := range map[string]string{
		`"partial":1`:                                    "invalid gateway.partial",
		`"partial":true,"partial":true`:                  "invalid gateway",
		`"cache":"off"`:                                  "invalid gateway.cache",
		`"cache":{"mode":"never"}`:                       "invalid gateway.cache.mode",
		`"cache":{"mode":"semantic"}`:                    "not_implemented gateway.cache.mode",
		`"cache":{"mode":"exact","ttl_seconds":9}`:       "not_implemented gateway.cache.ttl_seconds",
		`"cache":{"modus":"exact"}`:                      "invalid gateway.cache.modus",
		`"cache":{},"cache":{}`:                          "invalid gateway",
		`"cache":{"mode":"off"},"tags":4`:                "invalid gateway.tags",
		`"partial":null,"cache":null,"x":1`:              "invalid gateway.x",
		`"cache":{"mode":null},"partial":false`:          "",
		`"partial":true,"cache":{"mode":"off"},"x":null`: "",
	} {
		got := r.embed(t.Context(), ask(small, []string{"a"}, `,"gateway":{`+options+`}`))
		is := ""
		if f := fault.As(got.err); f != nil {
			is = string(f.Kind) + " " + f.Param
		}
		if is != want {
			t.Errorf("%s: %q, want %q", options, is, want)
		}
	}
}
