package gemini

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// client is upstream.Client and what is peculiar about Google's errors. It
// serves one call.
type client struct {
	upstream.Client
	ours       bool          // the last error was about our key or place, whatever its status
	retryAfter time.Duration // as the last error's body had it; there is no header
}

func newClient(provider string, rt http.RoundTripper) *client {
	if rt == nil {
		rt = http.DefaultTransport
	}
	c := &client{Client: upstream.Client{Provider: provider, HTTP: rt}}
	c.ErrorText = c.errorText
	return c
}

// errorText is upstream.OpenAIError. It also takes from the body what Google
// puts nowhere else: when to come back, and that a 400 is about our key.
func (c *client) errorText(body []byte) (message, param, code string) {
	type details struct {
		Error struct {
			Details []struct {
				Reason     string `json:"reason"`
				RetryDelay string `json:"retryDelay"`
			} `json:"details"`
		} `json:"error"`
	}
	var w details
	if json.Unmarshal(body, &w) != nil {
		var list []details // errors of streams that never began
		if json.Unmarshal(body, &list) == nil && len(list) > 0 {
			w = list[0]
		}
	}
	message, param, code = upstream.OpenAIError(body)
	c.ours, c.retryAfter = strings.HasPrefix(message, "User location is not supported"), 0
	for _, d := range w.Error.Details {
		c.ours = c.ours || strings.HasPrefix(d.Reason, "API_KEY_")
		if delay, err := time.ParseDuration(d.RetryDelay); err == nil {
			c.retryAfter = max(delay, 0)
		}
	}
	return message, param, code
}

// explain completes an error of Post or Failure with what errorText found.
func (c *client) explain(err error) error {
	f := fault.As(err)
	switch {
	case c.ours && f.Kind == fault.Invalid: // Google answers a bad key with 400
		f = c.Failure(http.StatusUnauthorized, nil, nil)
		f.Err = err
	case f.RetryAfter == 0 && (f.Kind == fault.RateLimited || f.Kind == fault.Unavailable):
		f.RetryAfter = c.retryAfter
	}
	return f
}

// noKey is the error for a credential that could not be had.
func (c *client) noKey(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.NetError(ctx, err)
	}
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_credentials", Provider: c.Provider, Err: err,
		Message: "The gateway could not read its credentials for the provider '" + c.Provider + "'."}
}

// failure is the error that body holds, or nil if there is none.
func (c *client) failure(body []byte) error {
	type wire struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	var w wire
	if json.Unmarshal(body, &w) != nil {
		var list []wire
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return nil
		}
		w = list[0]
	}
	if w.Error == nil {
		return nil
	}
	status := w.Error.Code
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	return c.explain(c.Failure(status, nil, body))
}

// notAnAnswer is the error for a body with status 200 that is not what was
// asked for.
func (c *client) notAnAnswer(body []byte) error {
	if err := c.failure(body); err != nil {
		return err
	}
	return c.Broken("answered with something that is no answer of its protocol", nil)
}
