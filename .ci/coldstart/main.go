// Command coldstart builds every function for this machine, as make build does
// for Lambda, and prints its size (arm64, as deployed) and the time from exec
// to the first request for an event: the part of a cold start that is ours.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/devmentor/ai-gateway/shared/invoke"
)

const rounds = 15

// limits are the figures that each function has to keep, in MB and time.
var limits = []struct {
	name  string
	mb    float64
	start time.Duration
}{
	{"chat", 25, 40 * time.Millisecond}, {"code", 25, 40 * time.Millisecond}, {"embeddings", 15, 40 * time.Millisecond},
	{"templates", 15, 40 * time.Millisecond}, {"chains", 25, 40 * time.Millisecond}, {"conversations", 15, 40 * time.Millisecond},
	{"documents", 16, 40 * time.Millisecond}, {"search", 16, 40 * time.Millisecond},
	{"admin", 15, 40 * time.Millisecond}, {"sweep", 15, 40 * time.Millisecond},
	{"models", 15, 15 * time.Millisecond}, {"health", 8, 15 * time.Millisecond},
}

func main() {
	dir, err := os.MkdirTemp("", "coldstart")
	if err == nil {
		err = run(dir)
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	starts := make([][]time.Duration, len(limits))
	sizes := make([]float64, len(limits))
	for i, l := range limits {
		if _, err := build(dir, l.name, runtime.GOARCH); err != nil {
			return err
		}
		arm, err := build(dir, l.name, "arm64")
		if err != nil {
			return err
		}
		info, err := os.Stat(arm)
		if err != nil {
			return err
		}
		sizes[i] = float64(info.Size()) / 1e6
	}
	env := append(os.Environ(), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "OPENAI_API_KEY=x", "ANTHROPIC_API_KEY=x", "GEMINI_API_KEY=x",
		"GATEWAY_KEY_PEPPER=x", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "GATEWAY_STORE=dynamodb")
	for round := range rounds + 1 { // interleaved, so that a slow moment hits all; the first warms the page cache
		for i, l := range limits {
			f := invoke.New(invoke.Config{Name: l.name, Binary: filepath.Join(dir, l.name+"-"+runtime.GOARCH), Env: env, Output: io.Discard})
			d, err := f.Warm(context.Background())
			f.Close()
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			if round > 0 {
				starts[i] = append(starts[i], d)
			}
		}
	}
	fmt.Printf("%-14s %10s %8s %12s %8s %10s\n", "function", "MB arm64", "limit", "start ms", "limit", "fastest")
	for i, l := range limits {
		slices.Sort(starts[i])
		fmt.Printf("%-14s %10.1f %8.0f %12.1f %8.0f %10.1f\n", l.name, sizes[i], l.mb, ms(starts[i][rounds/2]), ms(l.start), ms(starts[i][0]))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func build(dir, name, arch string) (string, error) {
	out := filepath.Join(dir, name+"-"+arch)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc,grpcnotrace", "-ldflags=-s -w", "-o", out, "./functions/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}
