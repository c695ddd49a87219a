package lambdahttp

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// request returns the HTTP request that the event describes, as net/http's
// server would have made it. RemoteAddr has port 0: API Gateway does not tell.
func request(ctx context.Context, ev *events.APIGatewayProxyRequest) (*http.Request, error) {
	if !isToken(ev.HTTPMethod) {
		return nil, fmt.Errorf("lambdahttp: %q is not a method", ev.HTTPMethod)
	}
	if !strings.HasPrefix(ev.Path, "/") {
		return nil, fmt.Errorf("lambdahttp: %q is not a path", ev.Path)
	}
	body := ev.Body
	if ev.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, fmt.Errorf("lambdahttp: body: %w", err)
		}
		body = string(b)
	}
	u := &url.URL{Path: trimBase(ev.Path, ev.Resource), RawQuery: query(ev)}
	if path, err := url.PathUnescape(u.Path); err == nil {
		u.Path, u.RawPath = path, u.Path
	}
	r := &http.Request{
		Method: ev.HTTPMethod, URL: u, RequestURI: u.RequestURI(), Header: header(ev),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, ContentLength: int64(len(body)), RemoteAddr: net.JoinHostPort(ev.RequestContext.Identity.SourceIP, "0"),
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	if r.Host = r.Header.Get("Host"); r.Host == "" {
		r.Host = ev.RequestContext.DomainName
	}
	r.Header.Del("Host")
	return r.WithContext(ctx), nil
}

// header and query prefer the maps with several values. API Gateway sends both;
// events written by hand often have only the plain ones.
func header(ev *events.APIGatewayProxyRequest) http.Header {
	h := make(http.Header, max(len(ev.MultiValueHeaders), len(ev.Headers)))
	for name, values := range ev.MultiValueHeaders {
		name = http.CanonicalHeaderKey(name)
		h[name] = append(h[name], values...)
	}
	if ev.MultiValueHeaders == nil {
		for name, value := range ev.Headers {
			h.Add(name, value)
		}
	}
	return h
}

func query(ev *events.APIGatewayProxyRequest) string {
	q := url.Values(ev.MultiValueQueryStringParameters)
	if q == nil && len(ev.QueryStringParameters) > 0 {
		q = make(url.Values, len(ev.QueryStringParameters))
		for name, value := range ev.QueryStringParameters {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// trimBase removes the base path that a custom domain name's mapping puts in
// front of the path; the resource never has it.
func trimBase(path, resource string) string {
	fixed, _, _ := strings.Cut(resource, "{")
	if !strings.HasPrefix(fixed, "/") || strings.HasPrefix(path, fixed) {
		return path
	}
	return path[max(0, strings.Index(path, fixed)):]
}

// isToken reports whether s is an RFC 9110 token, as methods and names of
// headers must be.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
