package invoke_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/devmentor/ai-gateway/shared/invoke"
)

// step is one request to the Runtime API; the event of a raw function is a list.
type step struct{ Path, ID, Type, Mode, Body string }

// raw is a runtime that does as it is told, right or wrong, and prints what
// the Runtime API said.
func raw() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	for {
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			return
		}
		var steps []step
		json.NewDecoder(resp.Body).Decode(&steps)
		resp.Body.Close()
		for _, s := range steps {
			if s.ID == "" {
				s.ID = resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
			}
			req, _ := http.NewRequest("POST", base+strings.ReplaceAll(s.Path, "ID", s.ID), strings.NewReader(s.Body))
			req.Header.Set("Content-Type", s.Type)
			if s.Mode != "" {
				req.Header.Set("Lambda-Runtime-Function-Response-Mode", s.Mode)
			}
			if answer, err := http.DefaultClient.Do(req); err == nil {
				fmt.Println(answer.StatusCode)
				answer.Body.Close()
			}
		}
	}
}

// rawThatCannotStart says why, as runtimes other than Go's do.
func rawThatCannotStart() {
	resp, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/init/error", "application/json", strings.NewReader(`{"errorType":"Runtime.NoSuchModule","errorMessage":"index.mjs"}`))
	if err == nil {
		resp.Body.Close()
	}
	os.Exit(1)
}

// said collects what processes print.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) fields() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(strings.Fields(s.text.String()), " ")
}

func TestRuntimeAPI(t *testing.T) {
	const stream, response = "application/vnd.awslambda.http-integration-response", "invocation/ID/response"
	nuls := strings.Repeat("\x00", 8)
	for _, tc := range []struct {
		name   string
		steps  []step
		status int    // of the HTTP answer
		body   string // or Lambda's error type
		heard  string
	}{
		{"a streamed answer", []step{{Path: response, Type: stream, Mode: "streaming", Body: `{"statusCode":201}` + nuls + "hello"}}, 201, "hello", "202"},
		{"a body with NULs", []step{{Path: response, Type: stream, Body: `{}` + nuls + nuls + "\x00hello"}}, 200, nuls + "\x00hello", "202"},
		{"a mode that does not exist", []step{{Path: response, Type: stream, Mode: "buffered"}, {Path: response, Body: "1"}}, 0, "1", "400 202"},
		{"another's id", []step{{Path: response, ID: "x", Body: "2"}, {Path: response, Body: "1"}}, 0, "1", "400 202"},
		{"two answers", []step{{Path: response, Body: "1"}, {Path: response, Body: "2"}, {Path: "invocation/ID/error", Body: "{}"}}, 0, "1", "202 400 400"},
		{"an error", []step{{Path: "invocation/ID/error", Body: `{"errorType":"Mine","errorMessage":"m"}`}, {Path: response, Body: "2"}}, 0, "Mine", "202 400"},
		{"an error that is no JSON", []step{{Path: "invocation/ID/error", Body: `oh`}}, 0, "Runtime.Unknown", "202"},
		{"no answer", nil, 0, "Runtime.NoResponse", ""},
		{"no prelude", []step{{Path: response, Type: stream, Body: "hello"}}, 0, "MalformedProxyResponse", "202"},
		{"a prelude that is no JSON", []step{{Path: response, Type: stream, Body: "{" + nuls}}, 0, "MalformedProxyResponse", "202"},
		{"a prelude that is too long", []step{{Path: response, Type: stream, Body: `{"a":"` + strings.Repeat("x", 16<<10) + `"}` + nuls}}, 0, "MalformedProxyResponse", "202"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out said
			f := start(t, "raw", func(c *invoke.Config) { c.Output = &out })
			event, err := json.Marshal(tc.steps)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := f.Invoke(t.Context(), event)
			switch {
			case err != nil:
				wantError(t, err, tc.body, "")
			default:
				if body, err := io.ReadAll(resp.Body); resp.Status != tc.status || string(body) != tc.body || err != nil {
					t.Errorf("answer = %d %q, %v; want %d %q", resp.Status, body, err, tc.status, tc.body)
				}
			}
			// The next invocation begins when the process has done all its steps.
			if _, err := f.Invoke(t.Context(), []byte("[]")); err == nil {
				t.Error("no answer is an error")
			}
			f.Close() // and now all that it printed is there
			if got := out.fields(); got != tc.heard {
				t.Errorf("the Runtime API said %q, want %q", got, tc.heard)
			}
		})
	}
}

func TestInitError(t *testing.T) {
	f := start(t, "raw, cannot start")
	_, err := f.Invoke(context.WithoutCancel(t.Context()), []byte("[]"))
	wantError(t, err, "Runtime.NoSuchModule", "index.mjs")
}
