package sdktest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs is where the gateway's programs are built, once for all tests.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sdktest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// functions are those behind the API.
var functions = []string{"chat", "code", "embeddings", "models", "templates", "chains", "conversations", "documents", "search", "health", "admin"}

var (
	buildLocal  = sync.OnceValue(func() error { return build(nil, "local") })
	buildLambda = sync.OnceValue(func() error { return build([]string{"-tags", "lambda.norpc,grpcnotrace"}, functions...) })
)

// build compiles functions/NAME for this machine, with the race detector if
// the tests have it: then what they do to the gateway is watched as well.
func build(flags []string, names ...string) error {
	args := append([]string{"build", "-o", programs + string(filepath.Separator)}, flags...)
	if raceDetector {
		args = append(args, "-race")
	}
	for _, n := range names {
		args = append(args, "./functions/"+n)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return nil
}
