//go:build unix

// Package growthtest finds work that grows with the square of what is given,
// where what is given comes from strangers.
package growthtest

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

const (
	times = 16        // how much larger the large one is
	most  = 8 * times // how much longer it may take: far from times, and half of its square
	tries = 10
)

// Linear fails the test unless the work for 16 times the size takes some 16
// times as long. prepare makes the work for a size; only what it returns is
// measured, by the time that the process has had of all cores, which other
// processes do not change. Nothing else may run in this one: no t.Parallel.
func Linear(t testing.TB, what string, size int, prepare func(size int) func()) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would work for the large ones only
	took := func(size int) time.Duration {
		work := prepare(size)
		runtime.GC()
		start := cpu(t)
		work()
		return cpu(t) - start
	}
	// The shortest counts: pages come from the system, caches are cold. A small one
	// that took too long would hide everything, and costs little.
	small, large := took(size), took(size*times)
	for range tries {
		for range tries {
			small = min(small, took(size))
		}
		if large = min(large, took(size*times)); large < most*small {
			return
		}
	}
	t.Errorf("%s: a size of %d takes %v, and one of %d %v", what, size, small, size*times, large)
}

func cpu(t testing.TB) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
