// Package cloud opens the functions that call no model: the store in DynamoDB,
// secrets in SSM or Secrets Manager, nothing else. Opening does no I/O.
package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/awssecret"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/jsonlog"
	"github.com/devmentor/ai-gateway/shared/providers"
	"github.com/devmentor/ai-gateway/shared/s3"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// Base is what every function has.
type Base struct {
	Config  config.Config
	AWS     aws.Config
	HTTP    *http.Transport
	Store   *dynamo.Store
	Secrets *awssecret.Store
	Server  *api.Server
}

// Open reads the settings and builds a server without any provider.
func Open(ctx context.Context) (*api.Server, error) { return With()(ctx) }

// With returns an opener that does what Open does, and adds what only some
// functions have.
func With(add ...func(*Base) error) func(context.Context) (*api.Server, error) {
	return func(ctx context.Context) (*api.Server, error) {
		b, err := OpenBase()
		if err != nil {
			return nil, err
		}
		if err := b.Registry(ctx, nil); err != nil {
			return nil, err
		}
		return b.Server, b.Add(add)
	}
}

// Add gives the function what it has beyond others.
func (b *Base) Add(list []func(*Base) error) error {
	for _, add := range list {
		if err := add(b); err != nil {
			return err
		}
	}
	return nil
}

// OpenBase reads the settings; the caller adds the model registry.
func OpenBase() (*Base, error) {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return nil, err
	}
	b := &Base{Config: c, HTTP: upstream.NewTransport()}
	b.AWS = AWS(c, b.HTTP)
	b.Store = dynamo.New(dynamodb.NewFromConfig(b.AWS, func(o *dynamodb.Options) {
		if c.DynamoURL != "" {
			o.BaseEndpoint = &c.DynamoURL
		}
	}), c.StateTable, c.LedgerTable)
	b.Secrets = awssecret.New(b.AWS, SecretEndpoints(c))
	log := jsonlog.New(os.Stdout, c.LogLevel)
	b.Server = &api.Server{
		Users: b.Store, Keys: b.Store, Projects: b.Store, WriteOffs: b.Store, Log: log, AdminKey: b.Secrets.Get(c.AdminKey),
		Recipes: b.Store.Recipes(), Conversations: b.Store.Conversations(), Runs: b.Store.Runs(), Ledger: b.Store,
		Gateway: &gateway.Gateway{Store: b.Store, Recipes: b.Store.Recipes(), Conversations: b.Store.Conversations(), Log: log, UnknownPrice: c.UnknownPrice, FailOpen: c.FailOpen, Pepper: pepper(b.Secrets.Get(c.KeyPepper))},
	}
	return b, nil
}

// AWS is the SDK's configuration without its loader: in Lambda everything is
// in the environment, and the loader costs start-up time and code.
func AWS(c config.Config, transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretKey, c.SessionToken),
		HTTPClient:  upstream.AWSClient{RoundTripper: transport},
	}
}

// SecretEndpoints are where the settings say that secrets are.
func SecretEndpoints(c config.Config) awssecret.Endpoints {
	return awssecret.Endpoints{SSM: c.SSMURL, SecretsManager: c.SecretsURL}
}

// pepper refuses to work without one: keys made with an empty pepper could be
// forged by anybody who reads this line.
func pepper(get func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		p, err := get(ctx)
		if err == nil && p == "" {
			err = fmt.Errorf("GATEWAY_KEY_PEPPER is not set")
		}
		return p, err
	}
}

// Fetch reads what GATEWAY_CONFIG refers to, ssm:NAME or s3://BUCKET/KEY, afresh
// each time.
func Fetch(cfg aws.Config, c config.Config) func(context.Context, string) (string, error) {
	return func(ctx context.Context, ref string) (string, error) {
		if strings.HasPrefix(ref, "s3://") {
			return s3.Get(ctx, cfg, c.S3URL, ref)
		}
		return awssecret.New(cfg, SecretEndpoints(c)).Get(ref)(ctx)
	}
}

// Registry gives the server what the environment and GATEWAY_CONFIG offer,
// which may be a path or a reference to a parameter. link gives instances their
// adapters; nil leaves them without.
func (b *Base) Registry(ctx context.Context, link func([]gateway.Instance)) error {
	source := providers.Source{Config: b.Config, Getenv: os.Getenv, Echo: true, Link: link,
		Fetch: Fetch(b.AWS, b.Config)}
	log := b.Server.Log
	models, err := source.Registry(ctx, func(err error) { log.Error("GATEWAY_CONFIG has a bad version; the old one stays", "err", err) })
	if err != nil {
		return err
	}
	models.Watch(log)
	if link != nil { // models are called, and other instances call them too
		models.Router.Board = b.Store.Breakers()
	}
	b.Server.Gateway.Models = models
	return nil
}

// Sweep is the scheduled job: it settles, at their estimate, the leases of
// requests that must be dead.
func Sweep(s *api.Server) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, _ json.RawMessage) error {
		return gateway.SweepExpired(ctx, s.Gateway.Store, s.Log, time.Now())
	}
}
