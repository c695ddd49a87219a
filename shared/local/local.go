// Package local is the whole gateway in one process: every endpoint on one
// port, embedded stores in a directory, nothing else needed.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/awssecret"
	"github.com/devmentor/ai-gateway/shared/bolt"
	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/connect"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/dynamo"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/prometheus"
	"github.com/devmentor/ai-gateway/shared/providers"
	"github.com/devmentor/ai-gateway/shared/recipe"
	"github.com/devmentor/ai-gateway/shared/retrieval"
	"github.com/devmentor/ai-gateway/shared/shelf"
	"github.com/devmentor/ai-gateway/shared/telemetry"
	"github.com/devmentor/ai-gateway/shared/tidy"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// store is what both engines are.
type store interface {
	admission.Store
	admission.Users
	admission.Keys
	admission.Ledger
	admission.Projects
	admission.WriteOffs
}

// Gateway is an open gateway; serve Server.Handler and Close it at the end.
type Gateway struct {
	Server *api.Server
	Dev    Dev // the zero Dev with GATEWAY_STORE=dynamodb
	Config config.Config

	store         store
	recipes       recipe.Store
	conversations conversation.Store
	runs          chain.Runs
	closers       []func() error
}

// Open reads the data directory, makes what is missing there, and builds a
// server with every provider that c names.
func Open(ctx context.Context, c config.Config, log *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{Config: c}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	transport := upstream.NewTransport()
	cfg, err := loadAWS(ctx, transport)
	if err != nil {
		return nil, err
	}
	secrets := awssecret.New(cfg, cloud.SecretEndpoints(c))
	if err := g.openStore(ctx, cfg); err != nil {
		return nil, err
	}
	pepper := secrets.Get(c.KeyPepper)
	if c.KeyPepper == "" {
		if c.Store == "dynamodb" {
			return nil, errors.New("GATEWAY_KEY_PEPPER must be set when keys are shared through DynamoDB")
		}
		text, err := secretFile(filepath.Join(c.DataDir, "pepper"))
		if err != nil {
			return nil, err
		}
		pepper = func(context.Context) (string, error) { return text, nil }
	}
	source := providers.Source{Config: c, Getenv: os.Getenv, Echo: true,
		Fetch: cloud.Fetch(cfg, c),
		Link: func(list []gateway.Instance) {
			connect.Adapters(list, embedders.Parts{HTTP: transport, AWS: cfg, BedrockURL: c.BedrockURL, Secret: secrets.Get})
		}}
	models, err := source.Registry(ctx, func(err error) { log.Error("GATEWAY_CONFIG has a bad version; the old one stays", "err", err) })
	if err != nil {
		return nil, err
	}
	models.Watch(log)
	if shared, ok := g.store.(*dynamo.Store); ok {
		models.Router.Board = shared.Breakers()
	}
	metrics := prometheus.New(config.Version())
	metrics.Watch(models.Router.States)
	g.Server = &api.Server{
		Users: g.store, Keys: g.store, Projects: g.store, WriteOffs: g.store, Recipes: g.recipes, Conversations: g.conversations, Runs: g.runs, Ledger: g.store, Log: log, Version: config.Version(), Metrics: metrics.Handler(), Targets: models.Router.States,
		AdminKey: secrets.Get(c.AdminKey), Open: metrics.Open, CodeTools: tidy.Tools{Log: log}, CodeModel: c.CodeModel,
		Ready: []api.Check{{Name: "store", Ask: func(ctx context.Context) error { _, err := g.store.ListUsers(ctx, "", 1); return err }}},
		Gateway: &gateway.Gateway{Models: models, Store: g.store, Recipes: g.recipes, Conversations: g.conversations, Pepper: pepper, Log: log,
			Vectors: gateway.NewVectorCache(int64(c.EmbedCacheMB) << 20), Observe: metrics.Observe, UnknownPrice: c.UnknownPrice, FailOpen: c.FailOpen},
	}
	if err := g.openLibrary(secrets, log); err != nil {
		return nil, err
	}
	if err := g.openProjects(secrets, transport); err != nil {
		return nil, err
	}
	g.check(ctx)
	tracer, err := telemetry.Open(telemetry.Config{Endpoint: c.OTLPEndpoint, Headers: secrets.Get(c.OTLPHeaders), ServiceName: c.ServiceName,
		Version: config.Version(), HTTP: transport, Log: log})
	if err != nil {
		return nil, err
	}
	if tracer != nil {
		inference.Trace(g.Server, tracer, false)
		g.closers = append(g.closers, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return tracer.Close(ctx)
		})
	}
	if c.Store == "embedded" {
		if err := g.openDev(ctx, pepper); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Gateway) openStore(ctx context.Context, cfg aws.Config) error {
	c := g.Config
	if c.Store == "dynamodb" {
		s := dynamo.New(dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
			if c.DynamoURL != "" {
				o.BaseEndpoint = &c.DynamoURL
			}
		}), c.StateTable, c.LedgerTable)
		g.store, g.recipes, g.conversations, g.runs = s, s.Recipes(), s.Conversations(), s.Runs()
		return nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("GATEWAY_DATA_DIR: %w", err)
	}
	s, err := bolt.Open(c.DataDir)
	if err != nil {
		return err
	}
	g.store, g.recipes, g.conversations, g.runs = s, s.Recipes(), s.Conversations(), s.Runs()
	g.closers = append(g.closers, s.Close)
	return nil
}

// openLibrary opens Qdrant, if there is one, or else the documents in the data
// directory.
func (g *Gateway) openLibrary(secrets *awssecret.Store, log *slog.Logger) error {
	remote, err := retrieval.Open(g.Config, secrets.Get, log)
	if err != nil {
		return err
	}
	if remote != nil {
		g.closers = append(g.closers, remote.Close)
		g.Server.Ready = append(g.Server.Ready, api.Check{Name: "qdrant", Ask: remote.Ping, Optional: true}) // chat and code work without
		retrieval.Give(g.Server, g.Config, remote)
		return nil
	}
	s := shelf.New(filepath.Join(g.Config.DataDir, "documents"))
	g.closers = append(g.closers, s.Close)
	retrieval.Give(g.Server, g.Config, s)
	return nil
}

// openProjects opens the Project Service, if there is one.
func (g *Gateway) openProjects(secrets *awssecret.Store, transport *http.Transport) error {
	if err := inference.UseProjects(g.Server, g.Config, secrets.Get, transport); err != nil || g.Server.Gateway.Projects == nil {
		return err
	}
	ask, err := projectservice.Ping(g.Config.ProjectURL, transport)
	g.Server.Ready = append(g.Server.Ready, api.Check{Name: "project service", Ask: ask, Optional: true})
	return err
}

// loadAWS finds credentials wherever the SDK looks, except in the metadata
// service of a machine that need not be in EC2 at all. It keeps the roots of
// AWS_CA_BUNDLE but not the SDK's HTTP client.
func loadAWS(ctx context.Context, transport *http.Transport) (aws.Config, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	if err != nil {
		return cfg, fmt.Errorf("AWS settings: %w", err)
	}
	if theirs, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		if t := theirs.GetTransport(); t.TLSClientConfig != nil && t.TLSClientConfig.RootCAs != nil {
			transport = transport.Clone()
			transport.TLSClientConfig = t.TLSClientConfig
		}
	}
	cfg.HTTPClient = upstream.AWSClient{RoundTripper: transport}
	return cfg, nil
}

// Close flushes and closes the stores.
func (g *Gateway) Close() error {
	var errs []error
	for i := len(g.closers) - 1; i >= 0; i-- {
		errs = append(errs, g.closers[i]())
	}
	g.closers = nil
	return errors.Join(errs...)
}

// secretFile returns the file's text; a missing file is made, with 256 random
// bits that only its owner may read.
func secretFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) >= 20 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	secret := rand.Text() + rand.Text()
	return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// sweepEvery is how often expired leases are looked for.
const sweepEvery = 5 * time.Minute

var _ io.Closer = (*Gateway)(nil)

// check tells of models that settings name and that cannot be called: else the
// first document is a 503, in the face of somebody who cannot change that.
func (g *Gateway) check(ctx context.Context) {
	for _, named := range []struct {
		variable, model string
		mode            catalog.Mode
	}{{"GATEWAY_EMBEDDING_MODEL", g.Config.EmbeddingModel, catalog.Embedding}, {"GATEWAY_CODE_MODEL", g.Config.CodeModel, catalog.Chat}} {
		if named.model == "" {
			continue
		}
		if _, err := g.Server.Gateway.Models.Find(ctx, named.model, named.mode); err != nil {
			g.Server.Log.Warn("a setting names a model that cannot be called", "variable", named.variable, "model", named.model, "err", err)
		}
	}
}
