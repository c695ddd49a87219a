package awssecret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/devmentor/ai-gateway/shared/upstream"
)

const (
	maxAnswer = 1 << 20                // bytes; a secret has at most 64 KB
	attempts  = 3                      // unless the configuration says otherwise
	pause     = 100 * time.Millisecond // before the second attempt, twice as long before the third
)

// call is one operation of a service that speaks AWS's JSON protocol. What may
// be a matter of the moment is tried again. Errors name the service's own, and
// nothing of the answer else: that may hold a secret.
func (s *Store) call(ctx context.Context, service, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		answer, again, err := s.send(ctx, service, operation, body)
		switch {
		case err == nil && json.Unmarshal(answer, out) != nil:
			return fmt.Errorf("%s: the answer is not the JSON of %s", service, operation)
		case err == nil:
			return nil
		case !again || n >= cmp.Or(s.aws.RetryMaxAttempts, attempts):
			return err
		}
		select {
		case <-time.After(pause<<(n-1) + rand.N(pause)):
		case <-ctx.Done():
			return err
		}
	}
}

// send makes one attempt. again says that another one might succeed.
func (s *Store) send(ctx context.Context, service, operation string, body []byte) (answer []byte, again bool, err error) {
	endpoint, err := s.endpoint(service)
	if err != nil {
		return nil, false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", operation)
	if s.aws.Credentials == nil {
		return nil, false, errors.New("there are no AWS credentials")
	}
	creds, err := s.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("AWS credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), service, s.aws.Region, time.Now()); err != nil {
		return nil, false, err
	}
	resp, err := s.aws.HTTPClient.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, true, err
	}
	if resp.StatusCode == http.StatusOK {
		return answer, false, nil
	}
	var refused struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &refused) != nil || refused.Type == "" {
		refused.Type = http.StatusText(resp.StatusCode)
	}
	_, name, found := strings.Cut(refused.Type, "#") // some services put a namespace before it
	if !found {
		name = refused.Type
	}
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || strings.Contains(name, "Throttl")
	return nil, again, fmt.Errorf("%s: status %d: %s: %s", service, resp.StatusCode, name, refused.Message)
}

// endpoint is where a service is.
func (s *Store) endpoint(service string) (string, error) {
	own := s.endpoints.SSM
	if service == "secretsmanager" {
		own = s.endpoints.SecretsManager
	}
	if e := cmp.Or(own, aws.ToString(s.aws.BaseEndpoint)); e != "" {
		return e, nil
	}
	if s.aws.Region == "" {
		return "", errors.New("AWS_REGION must be set")
	}
	return "https://" + service + "." + s.aws.Region + "." + upstream.AWSDomain(s.aws.Region), nil
}
