//go:build race

package upstream_test

import "testing"

// TestPoison checks what the tests of all who use Buffers rely on.
func TestPoison(t *testing.T) {
	b, _, body := lend(t)
	b.Release()
	for i, c := range body {
		if c != 0xDB {
			t.Fatalf("byte %d is %q after Release, want poison", i, c)
		}
	}
	small := append(b.Bytes(10), "small"...)
	if string(small) != "small" {
		t.Errorf("memory lent after Release holds %q", small)
	}
}
