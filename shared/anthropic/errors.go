package anthropic

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// client is upstream.Client and what is peculiar about Anthropic's errors.
type client struct {
	upstream.Client
	unpaid bool // the last error was about our account, whatever its status
}

func newClient(provider string, rt http.RoundTripper) *client {
	if rt == nil {
		rt = http.DefaultTransport
	}
	c := &client{Client: upstream.Client{Provider: provider, HTTP: rt}}
	c.ErrorText = c.errorText
	return c
}

// errorText is upstream.OpenAIError. It also notices that a 400 is not about
// the request but about an empty account or a spend limit of ours.
func (c *client) errorText(body []byte) (message, param, code string) {
	message, param, code = upstream.OpenAIError(body)
	c.unpaid = strings.Contains(message, "credit balance is too low") || strings.Contains(message, "API usage limits")
	return message, param, code
}

// refused turns an error about our account into what it is: a failure of the
// gateway's credentials, which another credential may cure and of which the
// client need not know the details.
func (c *client) refused(err error) error {
	if !c.unpaid {
		return err
	}
	f := c.Failure(http.StatusPaymentRequired, nil, nil)
	f.Err = err
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

// statuses are the HTTP statuses that go with the types of errors; those
// inside a stream come without.
var statuses = map[string]int{
	"invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
	"not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429,
	"api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}

// failure is the error in body, {"type":"error","error":{…}}, or nil if there
// is none.
func (c *client) failure(body []byte) error {
	var w struct {
		Type  string          `json:"type"`
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &w) != nil || w.Type != "error" && w.Error == nil {
		return nil
	}
	var e struct {
		Type string `json:"type"`
	}
	json.Unmarshal(w.Error, &e) // an error of another form has no type
	status := statuses[e.Type]
	if status == 0 {
		status = 500
	}
	return c.refused(c.Failure(status, nil, body))
}

// notAnAnswer is the error for a body with status 200 that is not what was
// asked for.
func (c *client) notAnAnswer(body []byte) error {
	if err := c.failure(body); err != nil {
		return err
	}
	return c.Broken("answered with something that is no message", nil)
}
