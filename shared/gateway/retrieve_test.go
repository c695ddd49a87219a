package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devmentor/ai-gateway/shared/admission"
	"github.com/devmentor/ai-gateway/shared/conversation"
	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rag"
)

// shelf is a library with one passage that the test writes the search of.
type shelf func(ctx context.Context, q rag.Query) error

func (f shelf) Search(ctx context.Context, _ string, q rag.Query) ([]rag.Hit, error) {
	if err := f(ctx, q); err != nil {
		return nil, err
	}
	return []rag.Hit{{Key: rag.Key{Collection: q.Collection, ID: "a"}, Text: "Herons.", Score: 1}}, nil
}

func (f shelf) Documents(context.Context, string, rag.Key, string, int) ([]rag.Document, string, error) {
	return []rag.Document{{}}, "", nil
}

// aimed searches as libraries do whose passages have vectors: by the
// question's, if there is one.
func aimed(ctx context.Context, q rag.Query) error {
	if q.Embed == nil {
		return nil
	}
	_, err := q.Embed(ctx, []string{q.Text})
	return err
}

func silent(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// TestWhatBecomesOfPassages: a chat fails only if there is no such collection,
// or no time. It does not wait for long, neither for passages nor for the
// vector of its question.
func TestWhatBecomesOfPassages(t *testing.T) {
	fails := func(err error) shelf { return func(context.Context, rag.Query) error { return err } }
	vectors := func(err error) shelf {
		return func(_ context.Context, q rag.Query) error {
			if q.Embed != nil {
				return err
			}
			return nil
		}
	}
	missing := &fault.Error{Kind: fault.NotFound, Code: "collection_not_found", Message: "no"}
	for _, tc := range []struct {
		name     string
		passages shelf
		embedder func(context.Context) error
		options  string
		want     error
		skipped  []string
		took     time.Duration
	}{
		{name: "found", passages: aimed},
		{name: "no such collection", passages: fails(missing), want: fault.NotFound},
		{name: "down", passages: fails(fault.New(fault.Unavailable, "down")), skipped: []string{"rag"}},
		{name: "a failure of its own", passages: fails(errors.New("disk")), skipped: []string{"rag"}},
		{name: "silent", passages: func(ctx context.Context, _ rag.Query) error { return silent(ctx) }, skipped: []string{"rag"}, took: 3 * time.Second},
		{name: "silent, and the client in a hurry", passages: func(ctx context.Context, _ rag.Query) error { return silent(ctx) }, options: `,"timeout_ms":1000`,
			want: context.DeadlineExceeded, took: time.Second},
		{name: "vectors of another length", passages: vectors(rag.OtherLength("docs", "p/one", 3, 4)), skipped: []string{"rag.embedding"}},
		{name: "vectors of another model", passages: vectors(rag.OtherModel("docs", "p/one", "p/two")), skipped: []string{"rag.embedding"}},
		{name: "a vector without direction", passages: func(ctx context.Context, q rag.Query) error {
			if q.Embed != nil {
				q.Embed = func(context.Context, []string) ([][]float32, error) { return [][]float32{{0, 0}}, nil }
			}
			_, err := q.QueryVector(ctx, small, 2)
			return err
		}, skipped: []string{"rag.embedding"}},
		{name: "a question that cannot be asked", passages: fails(fault.Field("filter", "no")), want: fault.Invalid},
		{name: "no vector", passages: aimed, embedder: func(context.Context) error { return fault.New(fault.Invalid, "no") }, skipped: []string{"rag.embedding"}},
		{name: "a slow vector", passages: aimed, embedder: silent, skipped: []string{"rag.embedding"}, took: 2 * time.Second},
		{name: "a slow vector and silence", passages: func(ctx context.Context, q rag.Query) error {
			if err := aimed(ctx, q); err != nil {
				return err
			}
			return silent(ctx)
		}, embedder: silent, skipped: []string{"rag.embedding", "rag"}, took: 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := instance("openai", says("openai"))
			in.Embeds, in.Embedder = true, &scripted{before: func(ctx context.Context, _ *llm.EmbedRequest) error {
				if tc.embedder != nil {
					return tc.embedder(ctx)
				}
				return nil
			}}
			r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, nil)
			r.gateway.Passages, r.gateway.Embedding = tc.passages, small
			start := time.Now()
			got := r.chat(t.Context(), "openai/gpt-4o-mini", `"rag":{"collection":"docs"}`+tc.options)
			took := time.Since(start)
			if tc.want == nil && got.err != nil || !errors.Is(got.err, tc.want) || !slices.Equal(got.record.Skipped, tc.skipped) {
				t.Errorf("%s: %v, skipped %q; want %v, skipped %q", tc.name, got.err, got.record.Skipped, tc.want, tc.skipped)
			}
			if f := fault.As(got.err); tc.want == fault.NotFound && (f.Param != "gateway.rag.collection" || f.Code != "collection_not_found") {
				t.Errorf("%s: param %q, code %q", tc.name, f.Param, f.Code)
			}
			if took != tc.took {
				t.Errorf("%s: after %v, want %v", tc.name, took, tc.took)
			}
			r.books()
		})
	}
}

// told is a conversation.
type told struct{ turns []string }

func (c told) Turns(context.Context, string, string, string, int) (list []conversation.Turn, _ error) {
	for _, text := range c.turns {
		list = append(list, conversation.Turn{Messages: []json.RawMessage{llm.TextMessage("user", text), llm.TextMessage("assistant", "Indeed.")}})
	}
	return list, nil
}

func (told) Append(context.Context, string, string, conversation.Turn) error { return nil }

// TestWhatIsSearchedFor is the newest text of the user, wherever that is. A
// request without any goes on without passages, unless the user says nothing at
// all.
func TestWhatIsSearchedFor(t *testing.T) {
	const picture = `{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}`
	for _, tc := range []struct{ name, messages, options, want string }{
		{"text", `{"role":"user","content":"herons"}`, ``, "herons"},
		{"a picture after text", `{"role":"user","content":"storks"},{"role":"assistant","content":"Yes?"},` + picture, ``, "storks"},
		{"a picture in a conversation", picture, `,"conversation":"conv_0123456789"`, "cranes"},
		{"a picture alone", picture, ``, ""},
	} {
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
		r.gateway.Conversations = told{[]string{" ", "cranes", "older"}}
		asked := ""
		r.gateway.Passages = shelf(func(_ context.Context, q rag.Query) error { asked = q.Text; return nil })
		got := r.body(t.Context(), `{"model":"openai/gpt-4o-mini","max_tokens":9,"messages":[`+tc.messages+`],"gateway":{"rag":{"collection":"docs"}`+tc.options+`}}`)
		if got.err != nil || asked != tc.want || slices.Contains(got.record.Skipped, "rag") != (tc.want == "") {
			t.Errorf("%s: %v, searched for %q, skipped %q; want %q", tc.name, got.err, asked, got.record.Skipped, tc.want)
		}
	}
	r := newRig(t, gateway.Set{Instances: []gateway.Instance{instance("openai", says("openai"))}}, nil)
	r.gateway.Passages = shelf(aimed)
	got := r.body(t.Context(), `{"model":"openai/gpt-4o-mini","messages":[{"role":"assistant","content":"x"}],"gateway":{"rag":{"collection":"docs"}}}`)
	if f := fault.As(got.err); f == nil || f.Kind != fault.Invalid || f.Param != "gateway.rag" {
		t.Errorf("without a user's message: %v, want a fault of gateway.rag", got.err)
	}
}

// TestQuestionsNeedPermissionForTheirModel: a key that may not use the model of
// the vectors finds passages by their words.
func TestQuestionsNeedPermissionForTheirModel(t *testing.T) {
	for models, want := range map[string][]string{"*": nil, "openai/gpt-4o-mini": {"rag.embedding"}} {
		s := &scripted{}
		in := instance("openai", says("openai"))
		in.Embeds, in.Embedder = true, s
		r := newRig(t, gateway.Set{Instances: []gateway.Instance{in}}, func(_ *admission.User, k *admission.Rule) { k.Models = []string{models} })
		r.gateway.Passages, r.gateway.Embedding = shelf(aimed), small
		got := r.chat(t.Context(), "openai/gpt-4o-mini", `"rag":{"collection":"docs"}`)
		if got.err != nil || !slices.Equal(got.record.Skipped, want) || (len(s.calls) > 0) != (want == nil) {
			t.Errorf("%s: %v, skipped %q, the model was asked for %q; want %q", models, got.err, got.record.Skipped, s.asked(), want)
		}
		r.books()
	}
}
