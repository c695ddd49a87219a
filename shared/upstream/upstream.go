// Package upstream is the HTTP that providers have in common: one tuned
// connection pool, POST of a JSON body, and failures as fault.Error.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/clip"
	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	// MaxAnswer bounds an answer that is read whole.
	MaxAnswer = 64 << 20
	// maxError bounds what is read of an error's body; maxMessage what is shown.
	maxError   = 64 << 10
	maxMessage = 1 << 10
)

// NewTransport returns the transport that all providers of a process share.
// Connections stay open between requests (on Lambda: between invocations);
// answers are never decompressed, since they are relayed as they are.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          1024,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		ReadBufferSize:        32 << 10, // a flooded stream is read in few system calls
		WriteBufferSize:       64 << 10, // and a long prompt written in few
	}
}

// Client sends requests to one provider.
type Client struct {
	Provider string            // for error texts and records
	HTTP     http.RoundTripper // usually NewTransport's, shared
	// ErrorText finds message, param and code in the JSON body of an error. Nil
	// means OpenAI's format, which Gemini's resembles closely enough.
	ErrorText func(body []byte) (message, param, code string)
}

// Post sends a JSON body and returns the answer if its status is 2xx; the
// caller closes its body. Everything else is a *fault.Error as described at
// Failure. Redirects are not followed: a provider has no business sending our
// credentials elsewhere.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(BuffersOf(ctx).follow(ctx), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, c.broken(err)
	}
	req.Header = header
	header.Set("Content-Type", "application/json")
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "ai-gateway")
	}
	resp, err := c.HTTP.RoundTrip(req)
	if err != nil {
		return nil, c.NetError(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxError))
	return nil, c.Failure(resp.StatusCode, resp.Header, text)
}

// ReadAll reads an answer whole and closes it.
func (c *Client) ReadAll(ctx context.Context, resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	var buf bytes.Buffer
	if resp.ContentLength > 0 && resp.ContentLength <= MaxAnswer {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, c.NetError(ctx, err)
	}
	if n > MaxAnswer {
		return nil, c.Broken("sent more than 64 MB", nil)
	}
	return buf.Bytes(), nil
}

// NetError is the error for a request that got no answer, or half of one. If
// the caller's context has ended, that is the reason given.
func (c *Client) NetError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		f := *fault.As(cause)
		f.Provider = c.Provider
		return &f
	}
	f := c.broken(err)
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		f.Kind, f.Code, f.Message = fault.Timeout, "upstream_timeout", "The provider '"+c.Provider+"' did not answer in time."
	}
	return f
}

func (c *Client) broken(err error) *fault.Error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_unreachable", Provider: c.Provider, Err: err,
		Message: "The provider '" + c.Provider + "' could not be reached, or broke the connection."}
}

// Broken is the error for an answer that breaks the provider's own protocol;
// what completes the sentence "The provider …".
func (c *Client) Broken(what string, err error) *fault.Error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Provider: c.Provider, Status: http.StatusOK, Err: err,
		Message: "The provider '" + c.Provider + "' " + what + "."}
}

// Failure is the error for an answer with that HTTP status. An upstream's 400,
// 404, 413 and 422 are about the caller's own request: they keep their kind
// and the upstream's words. 429 keeps its retry-after. What concerns our
// credentials (401, 402, 403), and all that is broken on their side, is told
// in our own words; theirs go to the log.
func (c *Client) Failure(status int, header http.Header, body []byte) *fault.Error {
	f := &fault.Error{Provider: c.Provider, Status: status, Err: fmt.Errorf("%s: HTTP %d: %s", c.Provider, status, clip.Marked(Scrub(string(body)), maxMessage))}
	find := c.ErrorText
	if find == nil {
		find = OpenAIError
	}
	message, param, code := find(body)
	switch status {
	case 400, 404, 413, 422:
		f.Kind = map[int]fault.Kind{400: fault.Invalid, 404: fault.NotFound, 413: fault.TooLarge, 422: fault.Unprocessable}[status]
		if message == "" { // not JSON: a proxy's error page, or the wrong base URL
			f.Kind, f.Code, f.Message = fault.Upstream, "upstream_error", fmt.Sprintf("The provider '%s' answered with status %d and no readable error.", c.Provider, status)
			if status == 404 {
				f.Message += " Is its base URL right?"
			}
			return f
		}
		f.Message, f.Param, f.Code = clip.Marked(Scrub(message), maxMessage), param, code
	case 429:
		f.Kind, f.Code = fault.RateLimited, "rate_limit_exceeded"
		f.Message = "The provider '" + c.Provider + "' is limiting our requests; try again later."
		f.RetryAfter = RetryAfter(header)
		if code == "insufficient_quota" { // also what some say of a minute's limit: it stays a 429
			f.Message = "The provider '" + c.Provider + "' says that the quota of the gateway's account is used up."
		}
	case 401, 402, 403:
		f.Kind, f.Code = fault.Upstream, "upstream_credentials"
		f.Message = "The provider '" + c.Provider + "' refused the gateway's credentials."
	case 408, 504:
		f.Kind, f.Code = fault.Timeout, "upstream_timeout"
		f.Message = "The provider '" + c.Provider + "' did not answer in time."
	case 503, 529:
		f.Kind, f.Code = fault.Unavailable, "upstream_overloaded"
		f.Message = "The provider '" + c.Provider + "' is overloaded; try again later."
		f.RetryAfter = RetryAfter(header)
	default:
		f.Kind, f.Code = fault.Upstream, "upstream_error"
		f.Message = fmt.Sprintf("The provider '%s' failed with status %d.", c.Provider, status)
	}
	return f
}

// IsEventStream reports whether the answer is server-sent events.
func IsEventStream(resp *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "text/event-stream")
}
