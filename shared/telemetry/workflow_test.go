package telemetry

import (
	"bytes"
	"encoding/hex"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/devmentor/ai-gateway/shared/usage"
)

// TestWorkflowsNameTheirSteps: a run, a step, an item of a map and a call lie
// in each other, and each says what it is for.
func TestWorkflowsNameTheirSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		ctx, req := tracer.Start(t.Context(), nil, "POST", "/ai/chains/{name}/runs")
		runCtx, place, run := tracer.Workflow(ctx, Workflow{Name: "brief", Version: 3, Run: "run_1", First: traceparent})
		stepCtx, step := tracer.Step(runCtx, Step{ID: "answers", Type: "map", Item: -1})
		itemCtx, item := tracer.Step(stepCtx, Step{ID: "answers", Type: "prompt", Item: 2})
		_, call := tracer.Call(tracer.Attempt(itemCtx, 2), "openai", "m", "chain")
		call.End(Result{})
		item.End(StepResult{Status: "ok"})
		step.End(StepResult{Status: "failed", Failed: true, Error: "timeout", Attempts: 4, Cached: 1, USD: 0.5})
		run.End(StepResult{Status: "failed", Failed: true, Error: "timeout"})
		req.End(&usage.Record{})
		tracer.Flush(t.Context())
		spans, _ := c.spans(t)
		if len(spans) != 5 {
			t.Fatalf("%d spans, want 5", len(spans))
		}
		of := map[string]any{"gen_ai.workflow.name": "brief", "gateway.chain.version": int64(3), "gateway.chain.run.id": "run_1"}
		mapped := with(of, "gateway.chain.step.id", "answers", "gateway.chain.step.type", "map")
		inner := with(of, "gateway.chain.step.id", "answers", "gateway.chain.step.type", "prompt", "gateway.chain.step.item", int64(2))
		for i, want := range []struct {
			name       string
			parent     int
			kind       tracepb.Span_SpanKind
			failed     bool
			attributes map[string]any
		}{
			{"chat m", 1, tracepb.Span_SPAN_KIND_CLIENT, false, with(inner, "gateway.chain.step.attempt", int64(2), "gen_ai.operation.name", "chat", "gen_ai.provider.name", "openai", "gen_ai.request.model", "m")},
			{"item of answers", 2, tracepb.Span_SPAN_KIND_INTERNAL, false, with(inner, "gateway.chain.step.status", "ok")},
			{"step answers", 3, tracepb.Span_SPAN_KIND_INTERNAL, true, with(mapped, "gateway.chain.step.status", "failed", "error.type", "timeout",
				"gateway.chain.step.attempts", int64(4), "gateway.chain.step.cached", int64(1), "gateway.chain.step.cost.usd", 0.5)},
			{"invoke_workflow brief", 4, tracepb.Span_SPAN_KIND_INTERNAL, true, with(of, "gen_ai.operation.name", "invoke_workflow", "gateway.chain.run.resumed", true,
				"gateway.chain.run.status", "failed", "error.type", "timeout")},
		} {
			s := spans[i]
			if s.Name != want.name || !bytes.Equal(s.ParentSpanId, spans[want.parent].SpanId) || !bytes.Equal(s.TraceId, spans[4].TraceId) || s.Kind != want.kind ||
				(s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR) != want.failed {
				t.Errorf("span %d = %v, want %s in span %d", i, s, want.name, want.parent)
			}
			if diff := cmp.Diff(want.attributes, values(t, s.Attributes)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", want.name, diff)
			}
		}
		if want := "00-" + hex.EncodeToString(spans[3].TraceId) + "-" + hex.EncodeToString(spans[3].SpanId) + "-01"; place != want {
			t.Errorf("place = %q, want %q", place, want)
		}
		links := spans[3].Links
		if len(links) != 1 || hex.EncodeToString(links[0].TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(links[0].SpanId) != "b7ad6b7169203331" || links[0].Flags != 0x301 {
			t.Errorf("links = %v, want the one to the first run", links)
		}
		for i, s := range spans {
			if i != 3 && len(s.Links) > 0 {
				t.Errorf("%s has links %v", s.Name, s.Links)
			}
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestWorkflowsWithoutATracerOrALink: nothing is made, or nothing is linked.
func TestWorkflowsWithoutATracerOrALink(t *testing.T) {
	var none *Tracer
	ctx, place, run := none.Workflow(t.Context(), Workflow{Name: "a"})
	stepCtx, step := none.Step(ctx, Step{ID: "b"})
	if none.Attempt(stepCtx, 1) != t.Context() || place != "" {
		t.Errorf("a nil tracer changes the context, or says %q", place)
	}
	step.End(StepResult{})
	run.End(StepResult{})
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		tracer := open(t, c)
		for _, first := range []string{"", "garbage"} {
			_, _, run := tracer.Workflow(t.Context(), Workflow{Name: "a", First: first})
			run.End(StepResult{Status: "ok"})
		}
		tracer.Flush(t.Context())
		spans, _ := c.spans(t)
		if len(spans) != 2 || len(spans[0].Links)+len(spans[1].Links) != 0 || bytes.Equal(spans[0].TraceId, spans[1].TraceId) {
			t.Errorf("spans = %v, want two traces without links", spans)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// with is m and pairs of names and values.
func with(m map[string]any, pairs ...any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}
