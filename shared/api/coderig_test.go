package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/codegen"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/tidy"
)

// generated is the answer of /ai/code/generate, and the data of its done event.
type generated struct {
	ID, Object, Model string
	Created           int64
	Files             []codegen.File
	Explanation       string
	Diagnostics       []codegen.Diagnostic
	FinishReason      string `json:"finish_reason"`
	Usage             struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
	}
	Gateway struct {
		RequestID string      `json:"request_id"`
		Cost      json.Number `json:"cost_usd"`
	}
}

func (a answer) generated(t *testing.T) (g generated) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &g); err != nil || a.status != 200 {
		t.Fatalf("answer = %d %s: %v", a.status, a.body, err)
	}
	return g
}

// typed is a server-sent event with a name.
type typed struct {
	Event string
	Data  map[string]any
}

func typedEvents(t *testing.T, body string) (list []typed) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		if strings.HasPrefix(block, ":") {
			continue
		}
		head, data, ok := strings.Cut(block, "\ndata: ")
		name, isEvent := strings.CutPrefix(head, "event: ")
		e := typed{Event: name}
		if err := json.Unmarshal([]byte(data), &e.Data); err != nil || !ok || !isEvent {
			t.Fatalf("event %q: %v", block, err)
		}
		list = append(list, e)
	}
	return list
}

func (r *rig) code(body string, header ...string) answer {
	r.t.Helper()
	r.server.CodeTools = tidy.Tools{}
	return r.do("POST", "/ai/code/generate", body, header...)
}

// speaks is a model that says text in pieces of n bytes.
func speaks(text string, n int) llm.ProviderFunc {
	return func(_ context.Context, _ *llm.Request, emit func(*llm.Event) error) error {
		for rest := text; rest != ""; {
			k := min(n, len(rest))
			if err := emit(&llm.Event{Model: "script-1", Text: rest[:k]}); err != nil {
				return err
			}
			rest = rest[k:]
		}
		if err := emit(&llm.Event{Finish: "stop"}); err != nil {
			return err
		}
		return emit(&llm.Event{UsageOnly: true, Usage: &llm.Usage{Input: 40, Output: 20}})
	}
}
