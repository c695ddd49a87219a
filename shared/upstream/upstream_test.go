package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

func TestFailure(t *testing.T) {
	openai := `{"error":{"message":"Bad 'n'. See https://example.com/docs?key=1, key sk-proj-abcdef123456.","type":"invalid_request_error","param":"n","code":"invalid_value"}}`
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   fault.Error
	}{
		{"400 is the caller's", 400, nil, openai, fault.Error{Kind: fault.Invalid, Param: "n", Code: "invalid_value", Message: "Bad 'n'. See [removed] key [removed]"}},
		{"404 of a model", 404, nil, `{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`, fault.Error{Kind: fault.NotFound, Code: "not_found_error", Message: "model: x"}},
		{"404 of a wrong base URL", 404, nil, `<html>nginx</html>`, fault.Error{Kind: fault.Upstream, Code: "upstream_error", Message: "The provider 'p' answered with status 404 and no readable error. Is its base URL right?"}},
		{"413", 413, nil, openai, fault.Error{Kind: fault.TooLarge, Param: "n", Code: "invalid_value", Message: "Bad 'n'. See [removed] key [removed]"}},
		{"422, error as text", 422, nil, `{"error":"no"}`, fault.Error{Kind: fault.Unprocessable, Message: "no"}},
		{"gemini", 400, nil, `[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]`, fault.Error{Kind: fault.Invalid, Code: "invalid_argument", Message: "bad"}},
		{"429 in seconds", 429, http.Header{"Retry-After": {"7"}}, openai, fault.Error{Kind: fault.RateLimited, RetryAfter: 7 * time.Second, Code: "rate_limit_exceeded", Message: "The provider 'p' is limiting our requests; try again later."}},
		{"429 in milliseconds", 429, http.Header{"Retry-After-Ms": {"1500"}, "Retry-After": {"9"}}, "", fault.Error{Kind: fault.RateLimited, RetryAfter: 1500 * time.Millisecond, Code: "rate_limit_exceeded", Message: "The provider 'p' is limiting our requests; try again later."}},
		{"429 of an account without money", 429, nil, `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, fault.Error{Kind: fault.RateLimited, Code: "rate_limit_exceeded", Message: "The provider 'p' says that the quota of the gateway's account is used up."}},
		{"our credentials", 401, nil, `{"error":{"message":"Incorrect API key sk-1234567890"}}`, fault.Error{Kind: fault.Upstream, Code: "upstream_credentials", Message: "The provider 'p' refused the gateway's credentials."}},
		{"500", 500, nil, `oops`, fault.Error{Kind: fault.Upstream, Code: "upstream_error", Message: "The provider 'p' failed with status 500."}},
		{"529", 529, nil, ``, fault.Error{Kind: fault.Unavailable, Code: "upstream_overloaded", Message: "The provider 'p' is overloaded; try again later."}},
		{"redirect", 302, http.Header{"Location": {"http://evil"}}, ``, fault.Error{Kind: fault.Upstream, Code: "upstream_error", Message: "The provider 'p' failed with status 302."}},
	} {
		c := upstream.Client{Provider: "p"}
		got := *c.Failure(tc.status, tc.header, []byte(tc.body))
		if got.Provider != "p" || got.Status != tc.status || got.Err == nil {
			t.Errorf("%s: Provider %q, Status %d, Err %v", tc.name, got.Provider, got.Status, got.Err)
		}
		if strings.Contains(got.Error(), "sk-") {
			t.Errorf("%s: a key survives in %q", tc.name, got.Error())
		}
		got.Provider, got.Status, got.Err = "", 0, nil
		if got != tc.want {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	c := upstream.Client{Provider: "p"}
	f := c.Failure(400, nil, []byte(`{"error":{"message":"`+strings.Repeat("é", 5000)+`"}}`))
	if len(f.Message) > 1<<10+4 || !strings.HasSuffix(f.Message, "é…") {
		t.Errorf("message of %d bytes ends in %q", len(f.Message), f.Message[len(f.Message)-5:])
	}
}

func TestPost(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does a server notice that its client left
		switch r.URL.Path {
		case "/hang":
			<-r.Context().Done()
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/redirect":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		}
	}))
	defer srv.Close()
	c := upstream.Client{Provider: "p", HTTP: upstream.NewTransport()}
	post := func(ctx context.Context, path string) error {
		resp, err := c.Post(ctx, srv.URL+path, http.Header{}, []byte(`{}`))
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := post(t.Context(), "/ok"); err != nil {
		t.Error(err)
	}
	if err := post(t.Context(), "/reset"); !errors.Is(err, fault.Upstream) {
		t.Errorf("reset: %v", err)
	}
	if err := post(t.Context(), "/redirect"); fault.As(err).Status != http.StatusTemporaryRedirect {
		t.Errorf("a redirect must not be followed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := post(ctx, "/hang"); !errors.Is(err, fault.Timeout) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := post(ctx, "/hang"); !errors.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
