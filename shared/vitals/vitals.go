// Package vitals opens the health function: the smallest of all, since load
// balancers call it more often than anything else.
package vitals

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/jsonlog"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/router"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// Open builds a server that knows how the store is, and nothing else.
func Open(context.Context) (*api.Server, error) {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return nil, err
	}
	client := dynamodb.New(dynamodb.Options{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretKey, c.SessionToken),
		HTTPClient:  upstream.AWSClient{RoundTripper: upstream.NewTransport()},
	}, func(o *dynamodb.Options) {
		if c.DynamoURL != "" {
			o.BaseEndpoint = aws.String(c.DynamoURL)
		}
	})
	store := dynamo.New(client, c.StateTable, c.LedgerTable)
	log := jsonlog.New(os.Stdout, c.LogLevel)
	checks := []api.Check{{Name: "store", Ask: store.Ping}}
	if c.QdrantURL != "" {
		ask, err := pingQdrant(c.QdrantURL)
		if err != nil {
			return nil, err
		}
		checks = append(checks, api.Check{Name: "qdrant", Ask: ask, Optional: true}) // chat and code work without
	}
	if c.ProjectURL != "" {
		ask, err := projectservice.Ping(c.ProjectURL, upstream.NewTransport())
		if err != nil {
			return nil, fmt.Errorf("PROJECT_SERVICE_URL: %w", err)
		}
		checks = append(checks, api.Check{Name: "project service", Ask: ask, Optional: true})
	}
	return &api.Server{Version: config.Version(), Log: log, Ready: checks, Targets: func() []router.State {
		ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
		defer cancel()
		seen, err := store.Breakers().Look(ctx)
		if err != nil { // the check of the store says what matters
			log.Warn("targets cannot be read", "err", err)
		}
		return router.States(seen)
	}}, nil
}

// lookTimeout bounds the look at what the fleet has seen of its targets.
const lookTimeout = time.Second
