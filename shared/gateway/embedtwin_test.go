package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/admission"
)

// TestTwinsAreSentOnce: the same input again costs nothing, and gets the same
// vector.
func TestTwinsAreSentOnce(t *testing.T) {
	for _, tc := range []struct {
		name string
		body string
		want []string // what is sent
		all  []string
	}{
		{"texts", ask(small, []string{"a", "bb", "a", "ccc", "bb", "a"}, ""), []string{"a", "bb", "ccc"}, []string{"a", "bb", "a", "ccc", "bb", "a"}},
		{"one text", ask(small, slices.Repeat([]string{"dup"}, 50), ""), []string{"dup"}, slices.Repeat([]string{"dup"}, 50)},
		{"tokens", `{"model":"` + small + `","input":[[1,23],[12,3],[1,23]]}`, []string{"[1 23]", "[12 3]"}, []string{"[1 23]", "[12 3]", "[1 23]"}},
		{"nothing twice", ask(small, []string{"a", "A"}, ""), []string{"a", "A"}, []string{"a", "A"}},
		{"vectors that may depend on each other", ask(small, []string{"a", "a"}, `,"late_chunking":true`), []string{"a", "a"}, []string{"a", "a"}},
	} {
		for _, cached := range []bool{false, true} {
			s := &scripted{raw: true}
			r := newRig(t, one(s), nil)
			if cached {
				r = caching(t, one(s))
			}
			got := r.embed(t.Context(), tc.body)
			checkVectors(t, got, s, tc.all)
			if !slices.Equal(s.asked(), tc.want) || got.record.InputTokens != int64(len(strings.Join(tc.want, ""))) {
				t.Errorf("%s: %q are sent for %d tokens, want %q", tc.name, s.asked(), got.record.InputTokens, tc.want)
			}
			r.books()
		}
	}
}

// TestTwinsAreReservedForOnce: who can and will pay for one may send it often.
func TestTwinsAreReservedForOnce(t *testing.T) {
	s := &scripted{}
	r := newRig(t, one(s), func(u *admission.User, _ *admission.Rule) { u.Day = 300 * 20 })
	texts := slices.Repeat([]string{strings.Repeat("y", 200)}, 100)
	checkVectors(t, r.embed(t.Context(), ask(small, texts, `,"gateway":{"max_price_usd":0.000006}`)), s, texts)
	r.books()
}

// TestTwinsShareNoMemory: callers may change what they get.
func TestTwinsShareNoMemory(t *testing.T) {
	r := newRig(t, one(&scripted{}), nil)
	v := r.embed(t.Context(), ask(small, []string{"a", "a"}, "")).out.Vectors
	if v[0][0] = 7; v[1][0] == 7 {
		t.Error("a change of one vector changes its twin")
	}
}
