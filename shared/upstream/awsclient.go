package upstream

import (
	"bytes"
	"io"
	"net/http"
)

// AWSClient is the HTTP client for clients of the AWS SDK: their HTTPClient.
// It follows no redirects, since signed requests are meant for one host, and
// gives net/http the body as plain bytes, for two reasons:
//
//   - The SDK closes its own body as soon as the answer's header is there, and
//     that body then reads as broken. If net/http is still looking whether
//     something follows the last byte that it has sent, it gives the
//     connection up, in the middle of the answer.
//   - Only a body that can be had again lets net/http replace a kept connection
//     that turns out to be dead before anything was sent on it, as happens
//     when a Lambda environment wakes up.
type AWSClient struct{ http.RoundTripper }

// Do sends r, whose body it replaces.
func (c AWSClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		var body bytes.Buffer
		if r.ContentLength > 0 {
			body.Grow(int(r.ContentLength) + bytes.MinRead)
		}
		if _, err := body.ReadFrom(r.Body); err != nil {
			return nil, err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body.Bytes())), nil }
		r.Body, _ = r.GetBody()
	}
	return c.RoundTrip(r)
}
