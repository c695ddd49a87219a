// Package clip shortens texts without cutting a character in two: what is left
// of one is no UTF-8, which JSON changes and some protocols refuse.
package clip

import "unicode/utf8"

// To returns the beginning of s, of at most n bytes. What is no UTF-8 in it
// stays as it is.
func To(s string, n int) string {
	n = max(n, 0)
	if len(s) <= n {
		return s
	}
	for start := n; start >= 0 && start > n-utf8.UTFMax; start-- {
		if utf8.RuneStart(s[start]) {
			return s[:start]
		}
	}
	return s[:n] // no text
}

// Marked is To, with an ellipsis behind a text of which something is missing;
// that is not counted.
func Marked(s string, n int) string {
	if begin := To(s, n); len(begin) < len(s) {
		return begin + "…"
	}
	return s
}
