// Package projectservice asks the Project Service what is known of a project.
// docs/integrations.md has the protocol.
package projectservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/devmentor/ai-gateway/shared/fault"
)

const (
	defaultTimeout = 2 * time.Second
	maxBody        = 1 << 20 // of an answer, in bytes
	maxRest        = 4 << 10 // read of an answer that is of no use, so that its connection can be
)

// Options say where the service is.
type Options struct {
	URL     string                                // what stands before /v1; it may have a path
	Key     func(context.Context) (string, error) // bearer token; nil or "": none is sent
	HTTP    http.RoundTripper                     // usually upstream.NewTransport's, shared
	Timeout time.Duration                         // of a question, a second attempt included; 0: two seconds
}

// Service is a client of the Project Service. It may be used concurrently.
type Service struct {
	base    string
	options Options
	breaker *gobreaker.CircuitBreaker[answer]
	answers *answers
}

// New returns a client, without calling the service. It fails if the URL has
// more than a scheme, a host and a path.
func New(o Options) (*Service, error) {
	base, err := checkURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return &Service{answers: newAnswers(), base: base, options: o, breaker: newBreaker()}, nil
}

// checkURL refuses what would have to be merged with our own path, or must not
// be in a setting that is not secret.
func checkURL(text string) (base string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", errors.New("must be an http or https URL")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("must have no user, query or fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Context returns what the service knows of a user's project; request is the id
// of the request at hand, for the service's log. An answer that may be kept is,
// for this user and project alone.
//
// It fails with fault.NotFound if the service knows no such project or the user
// has no part in it: one is not told from the other. Other errors say that the
// service cannot answer: fault.Unavailable, Timeout and Upstream, or the
// context's own. None of them holds the key or anything of the answer.
func (s *Service) Context(ctx context.Context, user, request, project string) (string, error) {
	if project == "" || project == "." || project == ".." { // these would be another path
		return "", notFound(project)
	}
	k := key{user, project}
	if text, ok := s.answers.get(k); ok {
		return text, nil
	}
	a, err := s.breaker.Execute(func() (answer, error) { return s.ask(ctx, k, request) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests):
		return "", fault.Wrap(fault.Unavailable, err, "The project service has failed too often and is left alone for a while.")
	case err != nil:
		return "", err
	}
	s.answers.put(k, a)
	return a.text, nil
}

// answer is what the service knows, and how long that may be kept.
type answer struct {
	text string
	keep time.Duration
}

// ask puts the question, twice if the first time the connection broke before
// anything was answered.
func (s *Service) ask(caller context.Context, k key, request string) (answer, error) {
	ctx, cancel := context.WithTimeout(caller, s.options.Timeout)
	defer cancel()
	bearer := ""
	if s.options.Key != nil {
		secret, err := s.options.Key(ctx)
		if err != nil {
			return answer{}, ours{err}
		}
		bearer = strings.TrimSpace(secret) // files end in a new line
	}
	resp, answered, err := s.get(ctx, k, request, bearer)
	if err != nil && !answered && ctx.Err() == nil {
		resp, _, err = s.get(ctx, k, request, bearer)
	}
	if err != nil {
		return answer{}, broken(caller, ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, maxRest)
		return answer{}, refusal(resp.StatusCode, k.project)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return answer{}, broken(caller, ctx, err)
	}
	if len(body) > maxBody {
		return answer{}, fault.Wrap(fault.Upstream, errTooLong, "What the project service knows of the project is too long.")
	}
	var known struct {
		Context *string `json:"context"`
	}
	if json.Unmarshal(body, &known) != nil || known.Context == nil { // its own words may repeat the text
		return answer{}, fault.New(fault.Upstream, "The project service's answer is not a JSON object with the text 'context'.")
	}
	return answer{text: *known.Context, keep: freshness(resp.Header)}, nil
}

// get sends the request and says whether anything came back. It follows no
// redirects: the service has no business sending us, and our key, elsewhere.
func (s *Service) get(ctx context.Context, k key, request, bearer string) (_ *http.Response, answered bool, err error) {
	var first atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { first.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/projects/"+url.PathEscape(k.project)+"/context", nil)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ai-gateway")
	req.Header.Set("X-Gateway-User", k.user)
	req.Header.Set("X-Request-Id", request)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := s.options.HTTP.RoundTrip(req)
	return resp, first.Load(), err
}

func notFound(project string) error {
	return fault.New(fault.NotFound, "There is no project '%s', or it is not yours.", project)
}

// refusal is what an answer without a context means.
func refusal(status int, project string) error {
	switch status {
	case http.StatusNotFound, http.StatusForbidden:
		return notFound(project)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "The project service is overloaded: it answered with status %d.", status)
	case http.StatusUnauthorized:
		return fault.New(fault.Upstream, "The project service refused the gateway's key, PROJECT_SERVICE_KEY.")
	}
	return fault.New(fault.Upstream, "The project service answered with status %d.", status)
}

// broken is the error for a question that got no answer, or half of one, within
// ctx. If the caller has no more time for it, that is the reason given.
func broken(caller, ctx context.Context, err error) error {
	switch {
	case caller.Err() != nil:
		return ours{context.Cause(caller)}
	case ctx.Err() != nil:
		return fault.Wrap(fault.Timeout, err, "The project service did not answer in time.")
	}
	return fault.Wrap(fault.Unavailable, err, "The project service could not be reached, or broke the connection.")
}

// Ping returns a check of whether the service at address answers, whatever it
// says: its own 5xx is the only answer that means it does not. It sends no key.
func Ping(address string, transport http.RoundTripper) (func(context.Context) error, error) {
	base, err := checkURL(address)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.CopyN(io.Discard, resp.Body, maxRest)
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("project service: HTTP %d", resp.StatusCode)
		}
		return nil
	}, nil
}
