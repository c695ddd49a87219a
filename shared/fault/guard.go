package fault

import (
	"fmt"
	"runtime/debug"
)

// Guard runs fn and makes of a panic in it an Internal error, whose cause, for
// the log only, says what it was and where. It is for what must not end the
// process: our own goroutines, and code that others wrote.
func Guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Wrap(Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "Internal error.")
		}
	}()
	return fn()
}
