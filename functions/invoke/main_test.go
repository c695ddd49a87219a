package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

// TestMain makes the test's binary its own bootstrap.
func TestMain(m *testing.M) {
	open := func(context.Context) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Path", r.URL.Path)
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, "hello")
			if r.URL.Path == "/cut" {
				panic(http.ErrAbortHandler)
			}
		}), nil
	}
	switch os.Getenv("TEST_FUNCTION") {
	case "":
		os.Exit(m.Run())
	case "http":
		lambdahttp.Main(open, func(h http.Handler) http.Handler { return h })
	case "job":
		lambdahttp.Job(open, func(http.Handler) func(context.Context, json.RawMessage) error {
			return func(_ context.Context, event json.RawMessage) error {
				_, err := os.ReadFile(strings.Trim(string(event), `"`)) // fails, unless the event names a file
				return err
			}
		})
	}
}

// output is a buffer for several writers: the command and its functions.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func TestOnce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	event := file("get.json", `{"httpMethod":"GET","path":"/x"}`)
	for _, tc := range []struct {
		name, function string
		args           []string
		stdout, stderr string
		err            string
	}{
		{"an answer", "http", []string{"-f", self, "-e", event}, "hello", "202 Accepted\nX-Path: /x\r\n\n\n", ""},
		{"an answer that breaks off", "http", []string{"-f", self, "-e", file("cut.json", `{"httpMethod":"GET","path":"/cut"}`)}, "hello", "202", "abort"},
		{"a job", "job", []string{"-f", self, "-e", file("job.json", `"`+event+`"`)}, "null", "\n", ""},
		{"a job that fails", "job", []string{"-f", self, "-e", file("none.json", `"/no/such/file"`)}, "", "", "no such file"},
		{"no event", "http", []string{"-f", self}, "", "", "-e FILE"},
		{"no such event", "http", []string{"-f", self, "-e", dir + "/none"}, "", "", "no such file"},
		{"no function", "http", []string{"-e", event}, "", "", "-f build/NAME/bootstrap"},
		{"too many arguments", "http", []string{"-f", self, "x"}, "", "", `unexpected argument "x"`},
		{"no functions to serve", "http", []string{"-listen", "127.0.0.1:0", "-build", dir, "-template", "../../template.yaml"}, "", "", "make build comes first"},
	} {
		t.Setenv("TEST_FUNCTION", tc.function)
		var stdout, stderr output
		err := run(t.Context(), tc.args, &stdout, &stderr)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: error = %v, want %q", tc.name, err, tc.err)
		}
		if stdout.String() != tc.stdout || !strings.Contains(stderr.String(), tc.stderr) {
			t.Errorf("%s: output = %q and %q, want %q and %q", tc.name, stdout.String(), stderr.String(), tc.stdout, tc.stderr)
		}
	}
}

func TestColdStarts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_FUNCTION", "http")
	var stdout output
	if err := run(t.Context(), []string{"-f", self, "-cold", "3"}, &stdout, io.Discard); err != nil || !strings.Contains(stdout.String(), "of 3 starts") {
		t.Errorf("output = %q, %v", stdout.String(), err)
	}
}

// TestServe: the template's routes, on a port, with one process's binary for
// every function.
func TestServe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_FUNCTION", "http")
	build := t.TempDir()
	functions, err := filepath.Glob("../*/main.go")
	if err != nil || len(functions) < 5 {
		t.Fatal(functions, err)
	}
	for _, path := range functions {
		name := filepath.Base(filepath.Dir(path))
		if err := os.Mkdir(filepath.Join(build, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, filepath.Join(build, name, "bootstrap")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	said, stderr := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-stage", "v1", "-build", build, "-template", "../../template.yaml"}, io.Discard, stderr)
		stderr.Close()
	}()
	line := make([]byte, 200)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err, <-done)
	}
	go io.Copy(io.Discard, said)
	base, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "serving ")
	if !ok {
		t.Fatalf("first line = %q", line[:n])
	}
	resp, err := http.Get(base + "/models/openai/gpt")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" || resp.Header.Get("X-Path") != "/ai/models/openai/gpt" {
		t.Errorf("answer = %q %v", body, resp.Header)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run = %v", err)
	}
}
