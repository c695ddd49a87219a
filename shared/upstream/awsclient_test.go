package upstream_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/upstream"
)

// sdkBody is a body like the AWS SDK's: after Close it fails where net/http
// looks for more.
type sdkBody struct {
	*strings.Reader
	closed bool
}

func (b *sdkBody) Close() error { b.closed = true; return nil }

func (b *sdkBody) WriteTo(w io.Writer) (int64, error) {
	if b.closed {
		return 0, io.EOF
	}
	return b.Reader.WriteTo(w)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAWSClientSendsBytesThatOutliveTheBody(t *testing.T) {
	sent := &sdkBody{Reader: strings.NewReader("hello")}
	req, err := http.NewRequest(http.MethodPost, "http://x", sent)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 5
	_, err = upstream.AWSClient{RoundTripper: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent.Close() // the answer's header has come
		for range 2 {
			if body, err := io.ReadAll(r.Body); string(body) != "hello" || err != nil {
				t.Errorf("body = %q, %v, want hello", body, err)
			}
			if n, err := io.Copy(io.Discard, r.Body); n != 0 || err != nil {
				t.Errorf("after the body: %d bytes, %v, want none and no error", n, err)
			}
			if r.Body, err = r.GetBody(); err != nil {
				t.Fatal(err)
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})}.Do(req)
	if err != nil {
		t.Error(err)
	}
}

func TestAWSClientFollowsNoRedirect(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := upstream.AWSClient{RoundTripper: upstream.NewTransport()}.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if calls != 1 || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("%d calls, status %d, want 1 and 307", calls, resp.StatusCode)
	}
}
