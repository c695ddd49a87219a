//go:build !unix

package invoke

import "os"

func suspend(*os.Process) {}
func resume(*os.Process)  {}
