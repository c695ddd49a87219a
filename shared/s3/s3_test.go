package s3_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/devmentor/ai-gateway/shared/s3"
)

func config() aws.Config {
	return aws.Config{Region: "eu-central-1", HTTPClient: http.DefaultClient, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: "token"}, nil
	})}
}

func TestGet(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIATEST/") || !strings.Contains(auth, "/eu-central-1/s3/aws4_request") || r.Header.Get("X-Amz-Security-Token") != "token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		switch r.URL.EscapedPath() {
		case "/bucket/conf/gate%20way.yaml", "/bucket/env%3Dprod/a%2Bb%40c%252F%C3%BC~/gate-way_1.yaml":
			w.Write([]byte("providers: []\n"))
		case "/bucket/large":
			w.Write(make([]byte, 2<<20))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer srv.Close()
	for _, key := range []string{"conf/gate way.yaml", "env=prod/a+b@c%2Fü~/gate-way_1.yaml"} {
		if text, err := s3.Get(t.Context(), config(), srv.URL, "s3://bucket/"+key); err != nil || text != "providers: []\n" {
			t.Errorf("Get(%s) = %q, %v", key, text, err)
		}
	}
	for ref, want := range map[string]string{"s3://bucket/none": "status 404", "s3://bucket/large": "larger than", "s3://bucket": "is not s3://", "s3:///key": "is not s3://",
		"s3://evil.example#/x": "is not s3://", "ssm:x": "is not s3://"} {
		if _, err := s3.Get(t.Context(), config(), srv.URL, ref); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Get(%s): %v, want %q", ref, err, want)
		}
	}
	bare := config()
	bare.Credentials = nil
	if _, err := s3.Get(t.Context(), bare, srv.URL, "s3://bucket/x"); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("without credentials: %v", err)
	}
}
