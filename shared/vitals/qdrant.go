package vitals

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/devmentor/ai-gateway/shared/upstream"
)

// qdrantPort is Qdrant's for gRPC, where the URL names none.
const qdrantPort = "6334"

// pingQdrant returns a check of whether Qdrant answers. It is a gRPC call made
// by hand: the client would triple the size of this function. It has no key, so
// that an answer which wants one is as good as any.
func pingQdrant(address string) (func(context.Context) error, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("QDRANT_URL: %w", err)
	}
	if u.Port() == "" {
		u.Host += ":" + qdrantPort
	}
	t := upstream.NewTransport()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	call := u.JoinPath("qdrant.Qdrant/HealthCheck").String()
	return func(ctx context.Context) error {
		noMessage := make([]byte, 5) // not compressed, 0 bytes long
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, call, bytes.NewReader(noMessage))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)); err != nil {
			return err
		}
		status := resp.Trailer.Get("Grpc-Status")
		if status == "" {
			status = resp.Header.Get("Grpc-Status")
		}
		switch status {
		case "0", "7", "16": // fine, permission denied, unauthenticated
			return nil
		}
		return fmt.Errorf("qdrant: HTTP %d, gRPC status %q", resp.StatusCode, status)
	}, nil
}
