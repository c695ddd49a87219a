//go:build unix

package shelf

import (
	"os"
	"syscall"
)

// exclude fails if another process holds f.
func exclude(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
