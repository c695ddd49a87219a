// Package inference opens the functions that call models.
package inference

import (
	"context"
	"fmt"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/chain"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/telemetry"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Open returns an opener whose server calls models through the adapters that
// link knows: connect.Adapters or embedders.Adapters. with adds what only some
// functions have, such as Projects and retrieval.Join.
func Open(link func([]gateway.Instance, embedders.Parts), with ...func(*cloud.Base) error) func(context.Context) (*api.Server, error) {
	return func(ctx context.Context) (*api.Server, error) {
		b, err := cloud.OpenBase()
		if err != nil {
			return nil, err
		}
		err = b.Registry(ctx, func(list []gateway.Instance) {
			link(list, embedders.Parts{HTTP: b.HTTP, AWS: b.AWS, Secret: b.Secrets.Get, BedrockURL: b.Config.BedrockURL})
		})
		if err != nil {
			return nil, err
		}
		c := b.Config
		b.Server.CodeModel = c.CodeModel
		b.Server.Gateway.Vectors = gateway.NewVectorCache(int64(c.EmbedCacheMB) << 20)
		tracer, err := telemetry.Open(telemetry.Config{Endpoint: c.OTLPEndpoint, Headers: b.Secrets.Get(c.OTLPHeaders), ServiceName: c.ServiceName, Version: config.Version(),
			HTTP: b.HTTP, Log: b.Server.Log})
		if err != nil {
			return nil, err
		}
		Trace(b.Server, tracer, true)
		return b.Server, b.Add(with)
	}
}

// Projects gives a function the Project Service, if there is one.
func Projects(b *cloud.Base) error { return UseProjects(b.Server, b.Config, b.Secrets.Get, b.HTTP) }

// UseProjects lets s ask the Project Service that c names, without calling it;
// it does nothing if c names none.
func UseProjects(s *api.Server, c config.Config, secret func(ref string) func(context.Context) (string, error), transport http.RoundTripper) error {
	if c.ProjectURL == "" {
		return nil
	}
	p, err := projectservice.New(projectservice.Options{URL: c.ProjectURL, Key: secret(c.ProjectKey), HTTP: transport})
	if err != nil {
		return fmt.Errorf("PROJECT_SERVICE_URL: %w", err)
	}
	s.Gateway.Projects = p
	return nil
}

// Trace makes s tell tracer of its requests, if there is one. flush sends the
// spans before the response ends: a function is frozen after that.
func Trace(s *api.Server, tracer *telemetry.Tracer, flush bool) {
	if tracer == nil {
		return
	}
	s.Trace = func(ctx context.Context, r *http.Request, route string) (context.Context, func(*usage.Record)) {
		ctx, span := tracer.Start(ctx, r.Header, r.Method, route)
		return ctx, func(rec *usage.Record) {
			span.End(rec)
			if flush {
				tracer.Flush(context.WithoutCancel(ctx))
			}
		}
	}
	s.Gateway.Trace = func(ctx context.Context, a gateway.Attempt) (context.Context, func(gateway.Outcome)) {
		operation := a.Operation
		if a.Chat == nil {
			operation = "embeddings" // also of a search, or of a chain
		}
		ctx, span := tracer.Call(ctx, a.Provider, a.Model, operation)
		if a.Chat != nil {
			span.Chat(a.Chat)
		}
		return ctx, func(o gateway.Outcome) { span.End(telemetry.Result(o)) }
	}
	s.TraceRun = runs{tracer}
}

// runs implements chain.Tracer.
type runs struct{ *telemetry.Tracer }

func (t runs) Run(ctx context.Context, r *chain.Run) (context.Context, string, func(*chain.Run)) {
	ctx, place, span := t.Workflow(ctx, telemetry.Workflow{Name: r.Chain, Version: r.Version, Run: r.ID, First: r.Trace})
	return ctx, place, func(r *chain.Run) { span.End(result(r.Status, r.Error)) }
}

func (t runs) Step(ctx context.Context, id string, kind chain.Type, item int) (context.Context, func(*chain.Result)) {
	ctx, span := t.Tracer.Step(ctx, telemetry.Step{ID: id, Type: string(kind), Item: item})
	return ctx, func(r *chain.Result) {
		e := result(r.Status, r.Error)
		e.Attempts, e.Cached, e.USD = r.Attempts, r.Cached, float64(r.Cost)/float64(usage.Dollar)
		span.End(e)
	}
}

func result(s chain.Status, f *chain.Failure) telemetry.StepResult {
	r := telemetry.StepResult{Status: string(s), Failed: s == chain.Failed}
	if f != nil {
		r.Error = string(f.Kind)
	}
	return r
}
