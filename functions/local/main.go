// Command local serves every endpoint in one process, with embedded stores.
package main

import (
	"fmt"
	"os"

	"github.com/devmentor/ai-gateway/shared/local"
)

func main() {
	if err := local.Main(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
