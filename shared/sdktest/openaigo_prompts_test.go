package sdktest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goopenai "github.com/sashabaranov/go-openai"
)

// cited is what an answer and the first chunk of a stream tell of passages.
type cited struct {
	Citations []struct {
		N        int
		ID, Text string
	}
	Context struct{ Strategy string }
}

// shelve gives ana what prompts are put together from, for all SDKs.
func (s *site) shelve(t *testing.T) {
	t.Helper()
	for path, body := range map[string]string{
		"/ai/templates": `{"name":"greet","system":"Be kind.","user":"Greet {{.who}}.","variables":[{"name":"who"}],"model":"gpt-4o-mini","parameters":{"max_completion_tokens":50}}`,
		"/ai/documents": `{"collection":"guides","id":"pump.md","text":"A pump is primed with water."}`,
	} {
		if a := s.do(t, "POST", path, s.key, body); a.status != 201 {
			t.Fatalf("%s = %d %s", path, a.status, a.body)
		}
	}
}

// overlong is a prompt that is too long for gpt-4.
var overlong = strings.Repeat("All work and no play makes it too long. ", 1000)

// openaiPrompts: prompts that the gateway puts together, as users of the SDK
// ask for them.
func openaiPrompts(t *testing.T, s *site, c openai.Client) {
	greet := option.WithJSONSet("gateway", object{"template": object{"name": "greet", "variables": object{"who": "the Go SDK"}}})
	for name, p := range map[string]openai.ChatCompletionNewParams{
		"nothing":           {},
		"no messages":       {Messages: []openai.ChatCompletionMessageParamUnion{}},
		"no messages, name": {Messages: []openai.ChatCompletionMessageParamUnion{}, Model: "openai/gpt-4o-mini"},
	} {
		got, err := c.Chat.Completions.New(t.Context(), p, greet)
		if err != nil || got.Choices[0].Message.Content != "You said: Greet the Go SDK." {
			t.Errorf("%s but a template: %+v, %v", name, got, err)
		}
		stream := c.Chat.Completions.NewStreaming(t.Context(), p, greet)
		text := ""
		for stream.Next() {
			for _, ch := range stream.Current().Choices {
				text += ch.Delta.Content
			}
		}
		if err := stream.Err(); err != nil || text != "You said: Greet the Go SDK." {
			t.Errorf("%s but a template, streamed: %q, %v", name, text, err)
		}
	}
	for _, m := range models {
		p, rag := says(m.name, "What is a pump primed with?"), option.WithJSONSet("gateway", object{"rag": object{"collection": "guides"}, "context": "truncate", "optimize": true})
		got, err := c.Chat.Completions.New(t.Context(), p, rag)
		if err != nil {
			t.Fatal(err)
		}
		wantCited(t, m.provider, got.JSON.ExtraFields["gateway"].Raw())
		stream := c.Chat.Completions.NewStreaming(t.Context(), p, rag)
		acc := openai.ChatCompletionAccumulator{}
		for first := true; stream.Next(); first = false {
			if first {
				wantCited(t, m.provider+", streamed", stream.Current().JSON.ExtraFields["gateway"].Raw())
			}
			if !acc.AddChunk(stream.Current()) {
				t.Errorf("%s: chunk %s does not fit", m.provider, stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil || acc.Choices[0].Message.Content != got.Choices[0].Message.Content || acc.Choices[0].FinishReason != "stop" {
			t.Errorf("%s: streamed %+v, %v; plain %s", m.provider, acc.Choices, err, got.RawJSON())
		}
	}
	for _, strategy := range []string{"error", "truncate", "summarize"} { // the newest message always stays
		_, err := c.Chat.Completions.New(t.Context(), says("gpt-4", overlong), option.WithJSONSet("gateway.context", strategy))
		wantError(t, err, 400, "invalid_request_error", "messages", "context_length_exceeded")
	}
	e, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "text-embedding-3-small", Dimensions: openai.Int(4),
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"good", "this is too #long", "good as well"}}}, option.WithJSONSet("gateway.partial", true))
	if err != nil || len(e.Data) != 3 || len(e.Data[0].Embedding) != 4 || e.Data[1].Embedding != nil || len(e.Data[2].Embedding) != 4 {
		t.Fatalf("partial embeddings = %+v, %v", e, err)
	}
	var f struct{ Param, Code string }
	if err := json.Unmarshal([]byte(e.Data[1].JSON.ExtraFields["error"].Raw()), &f); err != nil || f.Param != "input[1]" || f.Code != "too_long" {
		t.Errorf("the error of an input = %+v, %v", f, err)
	}
}

func wantCited(t *testing.T, name, text string) {
	t.Helper()
	var g cited
	if err := json.Unmarshal([]byte(text), &g); err != nil || len(g.Citations) != 1 || g.Citations[0].N != 1 || g.Citations[0].ID != "pump.md" || g.Citations[0].Text != "A pump is primed with water." || g.Context.Strategy != "truncate" {
		t.Errorf("%s: gateway = %s, %v; want a citation", name, text, err)
	}
}

// adding sends one field more than an SDK can.
type adding struct {
	*http.Client
	field, value string
}

func (a adding) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body = append(bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}")), `,"`+a.field+`":`+a.value+`}`...)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return a.Client.Do(r)
}

// goopenaiPrompts: this SDK always sends a model and messages, and fields of
// others only with the help of its HTTP client. It cannot read citations, but
// must not stumble over them.
func goopenaiPrompts(t *testing.T, s *site) {
	with := func(gateway string) *goopenai.Client {
		config := goopenai.DefaultConfig(s.key)
		config.BaseURL, config.HTTPClient = s.root+"/ai/v1", adding{client(t), "gateway", gateway}
		return goopenai.NewClientWithConfig(config)
	}
	greet := with(`{"template":{"name":"greet","variables":{"who":"an older SDK"}}}`)
	for _, req := range []goopenai.ChatCompletionRequest{{}, {Messages: []goopenai.ChatCompletionMessage{}}, {Model: "gpt-4o-mini"}} {
		got, err := greet.CreateChatCompletion(t.Context(), req)
		if err != nil || got.Choices[0].Message.Content != "You said: Greet an older SDK." {
			t.Errorf("nothing but a template: %+v, %v", got, err)
		}
		if m, _, _ := gather(t, greet, req); m.Content != "You said: Greet an older SDK." {
			t.Errorf("nothing but a template, streamed: %+v", m)
		}
	}
	searching := with(`{"rag":{"collection":"guides"},"context":"truncate"}`)
	for _, m := range models {
		req := goopenaiSays(m.name, "What is a pump primed with?")
		got, err := searching.CreateChatCompletion(t.Context(), req)
		if err != nil {
			t.Errorf("%s: %v", m.provider, err)
			continue
		}
		if streamed, finish, _ := gather(t, searching, req); streamed.Content != got.Choices[0].Message.Content || !strings.Contains(streamed.Content, "A pump is primed with water.") || finish != "stop" {
			t.Errorf("%s: streamed %+v, plain %+v", m.provider, streamed, got)
		}
	}
	_, err := with(`{"context":"error"}`).CreateChatCompletion(t.Context(), goopenaiSays("gpt-4", overlong))
	var e *goopenai.APIError
	if !errors.As(err, &e) || e.HTTPStatusCode != 400 || e.Code != "context_length_exceeded" || e.Param == nil || *e.Param != "messages" {
		t.Errorf("a prompt that is too long = %v", err)
	}
	got, err := with(`{"partial":true}`).CreateEmbeddings(t.Context(), goopenai.EmbeddingRequest{Input: []string{"good", "this is too #long"}, Model: "text-embedding-3-small", Dimensions: 4})
	if err != nil || len(got.Data) != 2 || len(got.Data[0].Embedding) != 4 || got.Data[1].Embedding != nil {
		t.Errorf("partial embeddings = %+v, %v", got, err)
	}
}
