package clip_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/devmentor/ai-gateway/shared/clip"
)

func TestNoCharacterIsCut(t *testing.T) {
	for _, tc := range []struct {
		s    string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abc", 9, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"abc", -1, ""}, {"", 0, ""}, {"", -1, ""},
		{"aé", 3, "aé"}, {"aé", 2, "a"}, {"aéb", 3, "aé"},
		{"a€b", 4, "a€"}, {"a€b", 3, "a"}, {"a€b", 2, "a"},
		{"𝄞x", 4, "𝄞"}, {"𝄞x", 3, ""}, {"𝄞x", 1, ""},
		{"\xff\xfeab", 3, "\xff\xfea"}, {"a\xffé", 3, "a\xff"},
		{strings.Repeat("\x80", 100), 50, strings.Repeat("\x80", 50)},
	} {
		if got := clip.To(tc.s, tc.n); got != tc.want {
			t.Errorf("To(%q, %d) = %q, want %q", tc.s, tc.n, got, tc.want)
		}
		mark := "…"
		if tc.want == tc.s {
			mark = ""
		}
		if got := clip.Marked(tc.s, tc.n); got != tc.want+mark {
			t.Errorf("Marked(%q, %d) = %q, want %q", tc.s, tc.n, got, tc.want+mark)
		}
	}
}

func FuzzTo(f *testing.F) {
	f.Add("a€𝄞é", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := clip.To(s, n)
		if len(got) > max(n, 0) || !strings.HasPrefix(s, got) {
			t.Fatalf("To(%q, %d) = %q, want a beginning of so many bytes", s, n, got)
		}
		if n >= 0 && len(got) < min(n, len(s))-(utf8.UTFMax-1) {
			t.Fatalf("To(%q, %d) = %q, want no more than a character less", s, n, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Fatalf("To(%q, %d) = %q: a character was cut", s, n, got)
		}
	})
}
