package invoke_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/devmentor/ai-gateway/shared/invoke"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

// TestMain makes the test's binary its own bootstrap: run with a function's
// name in the environment, it is that function.
func TestMain(m *testing.M) {
	name := os.Getenv("TEST_FUNCTION")
	if name == "" {
		os.Exit(m.Run())
	}
	open := func(context.Context) (*served, error) { return &served{}, nil }
	switch name {
	case "http":
		lambdahttp.Main(open, func(s *served) http.Handler { return s })
	case "job":
		lambdahttp.Job(open, func(*served) func(context.Context, json.RawMessage) error { return job })
	case "buffered":
		lambda.Start(buffered)
	case "payload":
		lambda.Start(func(_ context.Context, ev json.RawMessage) (any, error) {
			return events.APIGatewayProxyResponse{StatusCode: 200, Body: string(ev)}, nil
		})
	case "raw":
		raw()
	case "raw, cannot start":
		rawThatCannotStart()
	case "cannot open":
		lambdahttp.Main(func(context.Context) (*served, error) { return nil, errors.New("no table") }, func(s *served) http.Handler { return s })
	}
	os.Exit(3)
}

// start returns a function that runs in processes of this test's binary.
func start(t testing.TB, name string, change ...func(*invoke.Config)) *invoke.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := invoke.Config{Binary: self, Env: append(os.Environ(), "TEST_FUNCTION="+name), Output: io.Discard}
	for _, c := range change {
		c(&cfg)
	}
	f := invoke.New(cfg)
	t.Cleanup(func() { f.Close() })
	return f
}

// served counts its requests, in memory: a new process starts at 0.
type served struct{ n int }

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.n++
	w.Header().Set("X-Count", strconv.Itoa(s.n))
	switch r.URL.Path {
	case "/stream": // the second half only when the caller has shown that it has the first
		io.WriteString(w, "first")
		waitFor(r)
		io.WriteString(w, "second")
	case "/echo":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s %s|", r.Method, r.Host, r.URL)
		io.Copy(w, r.Body)
	case "/panic":
		panic("boom")
	case "/cut":
		io.WriteString(w, "some")
		panic(http.ErrAbortHandler)
	case "/exit":
		os.Exit(7)
	case "/exit-late":
		io.WriteString(w, "some")
		waitFor(r)
		os.Exit(7)
	case "/hang":
		select {}
	case "/hang-late":
		io.WriteString(w, "some")
		select {}
	case "/pid":
		fmt.Fprint(w, os.Getpid())
	}
}

// waitFor waits until the test writes the file that the request names, for as
// long as the invocation may take: the test and this are two processes.
func waitFor(r *http.Request) {
	for file := r.URL.Query().Get("file"); r.Context().Err() == nil; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
	}
}

func job(_ context.Context, event json.RawMessage) error {
	if string(event) == `{"job":"fail"}` {
		return errors.New("no such job")
	}
	return nil
}

func buffered(_ context.Context, ev map[string]any) (any, error) {
	switch ev["path"] {
	case "/payload":
		return []int{1, 2}, nil
	case "/large":
		return strings.Repeat("x", invoke.MaxPayload), nil
	case "/binary":
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: "/wA=", IsBase64Encoded: true}, nil
	}
	return events.APIGatewayProxyResponse{StatusCode: 202, Headers: map[string]string{"a": "1"}, MultiValueHeaders: map[string][]string{"b": {"2", "3"}}, Body: "in one piece"}, nil
}

func event(path string, query ...string) []byte {
	q := map[string]string{}
	for i := 0; i < len(query); i += 2 {
		q[query[i]] = query[i+1]
	}
	b, _ := json.Marshal(map[string]any{"httpMethod": "GET", "path": path, "queryStringParameters": q})
	return b
}

func call(t testing.TB, f *invoke.Function, ev []byte) *invoke.Response {
	t.Helper()
	resp, err := f.Invoke(t.Context(), ev)
	if err != nil {
		t.Fatalf("Invoke(%s): %v", ev, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// wantError checks that err is Lambda's error of that type.
func wantError(t *testing.T, err error, typ, message string) {
	t.Helper()
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok || e.Type != typ || !strings.Contains(e.Message, message) {
		t.Errorf("error = %v, want %s: …%s…", err, typ, message)
	}
}

func TestStreamsAsItComes(t *testing.T) {
	f := start(t, "http")
	file := t.TempDir() + "/go-on"
	resp := call(t, f, event("/stream", "file", file))
	if !resp.Streamed || resp.Status != 200 || resp.Init <= 0 {
		t.Errorf("response = %+v, want a streamed 200 of a new process", resp)
	}
	b := make([]byte, 100)
	if n, err := resp.Body.Read(b); string(b[:n]) != "first" || err != nil {
		t.Fatalf("Read = %q, %v", b[:n], err)
	}
	os.WriteFile(file, nil, 0o600) // the function waits for this: what was read cannot have been the whole
	if rest, err := io.ReadAll(resp.Body); string(rest) != "second" || err != nil {
		t.Errorf("rest = %q, %v", rest, err)
	}
}

func TestProcessServesOneAfterTheOther(t *testing.T) {
	f := start(t, "http")
	for n := 1; n <= 3; n++ {
		resp := call(t, f, event("/echo"))
		body, err := io.ReadAll(resp.Body)
		if resp.Status != 201 || string(body) != "GET  /echo|" || err != nil {
			t.Errorf("answer = %d %q, %v", resp.Status, body, err)
		}
		if got := resp.Header.Get("X-Count"); got != strconv.Itoa(n) || (resp.Init > 0) != (n == 1) {
			t.Errorf("invocation %d: count %s, init %v; want the first process, started once", n, got, resp.Init)
		}
	}
}

// TestWaitsForProcess: nothing else reaches a process before it asks.
func TestWaitsForProcess(t *testing.T) {
	f := start(t, "http")
	file := t.TempDir() + "/go-on"
	first := call(t, f, event("/stream", "file", file))
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() {
		_, err := f.Invoke(ctx, event("/echo"))
		second <- err
	}()
	cancel() // it cannot have begun: the only process is busy until the file is there
	if err := <-second; err != context.Canceled {
		t.Errorf("second Invoke = %v, want that it waits", err)
	}
	os.WriteFile(file, nil, 0o600)
	if body, err := io.ReadAll(first.Body); string(body) != "firstsecond" || err != nil {
		t.Errorf("first = %q, %v", body, err)
	}
	if resp := call(t, f, event("/echo")); resp.Header.Get("X-Count") != "2" {
		t.Errorf("count = %s, want 2: the canceled one never reached the process", resp.Header.Get("X-Count"))
	}
}

func TestConcurrency(t *testing.T) {
	f := start(t, "http", func(c *invoke.Config) { c.Concurrency = 3 })
	file := t.TempDir() + "/go-on"
	var open []*invoke.Response
	for range 3 {
		resp := call(t, f, event("/stream", "file", file))
		if resp.Init == 0 || resp.Header.Get("X-Count") != "1" {
			t.Errorf("response = %+v, want a process of its own", resp)
		}
		open = append(open, resp)
	}
	os.WriteFile(file, nil, 0o600)
	for _, resp := range open {
		if body, err := io.ReadAll(resp.Body); string(body) != "firstsecond" || err != nil {
			t.Errorf("body = %q, %v", body, err)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name, path, body string
		typ, message     string
		timeout          time.Duration
		count            string // what the next invocation sees: "1" is a new process
	}{
		{name: "abort in the middle", path: "/cut", body: "some", typ: "errorString", message: "abort Handler", count: "2"},
		{name: "exit", path: "/exit", typ: "Runtime.ExitError", message: "exit status 7", count: "1"},
		{name: "exit in the middle", path: "/exit-late", body: "some", typ: "Runtime.ExitError", message: "exit status 7", count: "1"},
		{name: "timeout", path: "/hang", typ: "Sandbox.Timedout", message: "Task timed out after 0.20 seconds", timeout: 200 * time.Millisecond, count: "1"},
		{name: "timeout in the middle", path: "/hang-late", body: "some", typ: "Sandbox.Timedout", message: "Task timed out", timeout: 3 * time.Second, count: "1"}, // a busy machine needs some time for the first bytes
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, "http", func(c *invoke.Config) { c.Timeout = tc.timeout })
			if _, err := f.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
			file := t.TempDir() + "/go-on"
			resp, err := f.Invoke(t.Context(), event(tc.path, "file", file))
			if tc.body != "" {
				if err != nil {
					t.Fatalf("Invoke: %v", err)
				}
				got := make([]byte, len(tc.body))
				if _, err := io.ReadFull(resp.Body, got); string(got) != tc.body || err != nil {
					t.Errorf("body = %q, %v; want %q first", got, err, tc.body)
				}
				os.WriteFile(file, nil, 0o600)
				_, err = io.ReadAll(resp.Body)
				wantError(t, err, tc.typ, tc.message)
			} else {
				wantError(t, err, tc.typ, tc.message)
			}
			if tc.timeout != 0 {
				return // a new process might take longer than that
			}
			if resp := call(t, f, event("/echo")); resp.Header.Get("X-Count") != tc.count {
				t.Errorf("count afterwards = %s, want %s", resp.Header.Get("X-Count"), tc.count)
			}
		})
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	f := start(t, "http")
	resp := call(t, f, event("/panic"))
	if body, _ := io.ReadAll(resp.Body); resp.Status != 500 || !strings.Contains(string(body), `"internal_error"`) {
		t.Errorf("answer = %d %s", resp.Status, body)
	}
	if resp := call(t, f, event("/echo")); resp.Header.Get("X-Count") != "2" {
		t.Error("the process did not survive the panic")
	}
}

func TestInitFailures(t *testing.T) {
	var out bytes.Buffer
	f := start(t, "cannot open", func(c *invoke.Config) { c.Output = &out })
	_, err := f.Invoke(t.Context(), event("/"))
	wantError(t, err, "Runtime.ExitError", "exit status 1")
	var line struct{ Level, Message, Err string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Level != "ERROR" || line.Message != "cannot start" || line.Err != "no table" {
		t.Errorf("output = %q, want the reason as Lambda reads it", out.String())
	}
	_, err = f.Warm(t.Context())
	wantError(t, err, "Runtime.ExitError", "exit status 1")

	f = start(t, "http", func(c *invoke.Config) { c.Binary = t.TempDir() + "/none" })
	_, err = f.Invoke(t.Context(), event("/"))
	wantError(t, err, "Runtime.InvalidEntrypoint", "no such file")
}

func TestJobs(t *testing.T) {
	f := start(t, "job")
	resp := call(t, f, []byte(`{"job":"sweep"}`))
	if body, err := io.ReadAll(resp.Body); resp.Status != 0 || string(body) != "null" || err != nil {
		t.Errorf("answer = %+v %q, %v", resp, body, err)
	}
	_, err := f.Invoke(t.Context(), []byte(`{"job":"fail"}`))
	wantError(t, err, "errorString", "no such job")
	if resp := call(t, f, []byte(`{}`)); resp.Init != 0 {
		t.Error("the process did not survive a job's error")
	}
}

func TestBufferedAnswers(t *testing.T) {
	f := start(t, "buffered")
	for _, tc := range []struct {
		path   string
		status int
		body   string
	}{{"/", 202, "in one piece"}, {"/binary", 200, "\xff\x00"}, {"/payload", 0, "[1,2]"}} {
		resp := call(t, f, event(tc.path))
		if body, err := io.ReadAll(resp.Body); resp.Status != tc.status || resp.Streamed || string(body) != tc.body || err != nil {
			t.Errorf("%s: answer = %d %q, %v; want %d %q", tc.path, resp.Status, body, err, tc.status, tc.body)
		}
		if tc.status == 202 && (resp.Header.Get("A") != "1" || len(resp.Header["B"]) != 2) {
			t.Errorf("%s: header = %v", tc.path, resp.Header)
		}
	}
	_, err := f.Invoke(t.Context(), event("/large"))
	wantError(t, err, "Function.ResponseSizeTooLarge", "maximum allowed")
	_, err = f.Invoke(t.Context(), make([]byte, invoke.MaxPayload+1))
	wantError(t, err, "RequestEntityTooLargeException", "too large")
}

// TestFreeze: between invocations a process is stopped.
func TestFreeze(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc to see a process's state")
	}
	f := start(t, "http", func(c *invoke.Config) { c.Freeze = true })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 2 {
		pid, err := io.ReadAll(call(t, f, event("/pid")).Body)
		if err != nil {
			t.Fatal(err)
		}
		for { // the answer's end comes before the process asks for the next event
			stat, err := os.ReadFile("/proc/" + string(pid) + "/stat")
			if err != nil {
				t.Fatal(err)
			}
			if _, state, _ := strings.Cut(string(stat), ") "); state[0] == 'T' {
				break
			}
			if ctx.Err() != nil {
				t.Fatal("never stopped")
			}
			runtime.Gosched()
		}
	}
}

func TestCallerLeaves(t *testing.T) {
	f := start(t, "http")
	file := t.TempDir() + "/go-on"
	resp := call(t, f, event("/stream", "file", file))
	resp.Body.Close()
	os.WriteFile(file, nil, 0o600)
	if resp := call(t, f, event("/echo")); resp.Header.Get("X-Count") != "2" {
		t.Errorf("count = %s: a caller that leaves must not stop the function", resp.Header.Get("X-Count"))
	}
}

func TestClose(t *testing.T) {
	f := start(t, "http", func(c *invoke.Config) { c.Concurrency = 2 })
	resp := call(t, f, event("/hang-late"))
	io.ReadFull(resp.Body, make([]byte, 4))
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := io.ReadAll(resp.Body)
		wantError(t, err, "Runtime.ExitError", "killed")
	})
	f.Close()
	wg.Wait()
	if _, err := f.Invoke(t.Context(), event("/")); err != invoke.ErrClosed {
		t.Errorf("Invoke after Close = %v", err)
	}
}
