package telemetry

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

// walk does what a traced request does.
func walk(ctx context.Context, t *Tracer, header http.Header, r *llm.Request, rec *usage.Record, u *llm.Usage) {
	ctx, req := t.Start(ctx, header, "POST", "/ai/chat/completions")
	callCtx, call := t.Call(ctx, "openai", "gpt-4o-mini", "chat")
	call.Chat(r)
	call.End(Result{Usage: u, Model: "m"})
	req.End(rec)
	t.Flush(callCtx)
}

func TestNilTracerCostsNothing(t *testing.T) {
	ctx, header, r, rec, u := t.Context(), http.Header{"Traceparent": {traceparent}}, &llm.Request{}, &usage.Record{}, &llm.Usage{}
	if n := testing.AllocsPerRun(100, func() { walk(ctx, nil, header, r, rec, u) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	var tracer *Tracer
	if got, _ := tracer.Start(ctx, header, "GET", "/"); got != ctx {
		t.Error("Start changes the context")
	}
	if err := tracer.Close(ctx); err != nil {
		t.Error(err)
	}
	if id := TraceID(ctx); id != "" {
		t.Errorf("TraceID = %q, want none", id)
	}
}

func BenchmarkTracing(b *testing.B) {
	ctx, r, rec, u := b.Context(), &llm.Request{}, &usage.Record{ID: "id", User: "ann", Status: 200}, &llm.Usage{Input: 1, Output: 2}
	b.Run("off", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			walk(ctx, nil, nil, r, rec, u)
		}
	})
	b.Run("on, with a flush", func(b *testing.B) {
		tracer, err := Open(Config{Endpoint: "http://collector.test", HTTP: discard{}})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			walk(ctx, tracer, nil, r, rec, u)
		}
	})
}

type discard struct{}

func (discard) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return answer(200, "{}"), nil
}
