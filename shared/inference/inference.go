// Package inference opens the functions that call models.
package inference

import (
	"context"
	"net/http"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/telemetry"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// Open returns an opener whose server calls models through the adapters that
// link knows: connect.Adapters or embedders.Adapters.
func Open(link func([]gateway.Instance, embedders.Parts)) func(context.Context) (*api.Server, error) {
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
		return b.Server, nil
	}
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
		ctx, span := tracer.Call(ctx, a.Provider, a.Model, a.Operation)
		if a.Chat != nil {
			span.Chat(a.Chat)
		}
		return ctx, func(o gateway.Outcome) { span.End(telemetry.Result(o)) }
	}
}
