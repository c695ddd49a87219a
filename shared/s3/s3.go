// Package s3 reads one object: gateway.yaml, where it is kept in a bucket. It
// signs a plain GET; the SDK's client for S3 would add three megabytes to
// every function for it.
package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	maxObject = 1 << 20 // bytes
	timeout   = 10 * time.Second

	noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
)

// Get returns the text of s3://BUCKET/KEY, of at most 1 MB. endpoint replaces
// Amazon's own; "" keeps it. Buckets with dots in their names are not
// supported: no certificate fits them.
func Get(ctx context.Context, cfg aws.Config, endpoint, ref string) (string, error) {
	u, err := address(cfg.Region, endpoint, ref)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("s3: %w", err)
	}
	if cfg.Credentials == nil {
		return "", fmt.Errorf("s3: no AWS credentials for %s", ref)
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("s3: credentials: %w", err)
	}
	req.Header.Set("X-Amz-Content-Sha256", noBody)
	sign := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // S3's own rule
	if err := sign.SignHTTP(ctx, creds, req, noBody, "s3", cfg.Region, time.Now()); err != nil {
		return "", fmt.Errorf("s3: %w", err)
	}
	resp, err := cfg.HTTPClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("s3: get %s: %w", ref, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxObject+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("s3: get %s: %w", ref, err)
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("s3: get %s: status %d", ref, resp.StatusCode)
	case len(text) > maxObject:
		return "", fmt.Errorf("s3: %s is larger than %d bytes", ref, maxObject)
	}
	return string(text), nil
}

// address is where an object is: at the bucket's own host, or, at another
// endpoint, under the bucket's name.
func address(region, endpoint, ref string) (string, error) {
	rest, ok := strings.CutPrefix(ref, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || key == "" || strings.Trim(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", fmt.Errorf("s3: %q is not s3://BUCKET/KEY", ref)
	}
	if region == "" {
		return "", fmt.Errorf("s3: AWS_REGION must be set to read %s", ref)
	}
	// S3 signs paths in which everything but letters, digits, '-', '.', '_', '~' and '/' is escaped.
	path := "/" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(key))
	if endpoint != "" {
		return strings.TrimRight(endpoint, "/") + "/" + bucket + path, nil
	}
	return "https://" + bucket + ".s3." + region + "." + upstream.AWSDomain(region) + path, nil
}
