package sdktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	goopenai "github.com/sashabaranov/go-openai"
)

// testGoOpenAI uses the SDK that most Go programs before OpenAI's own were
// written with. It reads JSON and streams in its own way.
func testGoOpenAI(t *testing.T, s *site) {
	c := newGoOpenAI(t, s, s.key)
	for _, m := range models {
		t.Run(m.provider, func(t *testing.T) {
			t.Run("conversation", func(t *testing.T) { goopenaiConversation(t, c, m.name) })
			t.Run("tools", func(t *testing.T) { goopenaiTools(t, c, m.name) })
			t.Run("schema and image", func(t *testing.T) { goopenaiContent(t, c, m.name) })
		})
	}
	t.Run("errors", func(t *testing.T) { goopenaiErrors(t, s, c) })
	t.Run("prompts", func(t *testing.T) { goopenaiPrompts(t, s) })
	t.Run("embeddings and models", func(t *testing.T) { goopenaiLists(t, c) })
}

func newGoOpenAI(t testing.TB, s *site, key string) *goopenai.Client {
	config := goopenai.DefaultConfig(key)
	config.BaseURL, config.HTTPClient = s.root+"/ai/v1", client(t)
	return goopenai.NewClientWithConfig(config)
}

func goopenaiSays(model, text string) goopenai.ChatCompletionRequest {
	return goopenai.ChatCompletionRequest{Model: model, Messages: []goopenai.ChatCompletionMessage{
		{Role: "system", Content: "Be brief."}, {Role: "user", Content: text}}}
}

// gather reads a stream to its end and puts the calls together.
func gather(t *testing.T, c *goopenai.Client, req goopenai.ChatCompletionRequest) (m goopenai.ChatCompletionMessage, finish goopenai.FinishReason, usage *goopenai.Usage) {
	t.Helper()
	req.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
	stream, err := c.CreateChatCompletionStream(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	m.Role = "assistant"
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return m, finish, usage
		}
		if err != nil {
			t.Fatal(err)
		}
		if chunk.Usage != nil {
			usage = chunk.Usage
		}
		for _, ch := range chunk.Choices {
			m.Content += ch.Delta.Content
			m.ReasoningContent += ch.Delta.ReasoningContent
			if ch.FinishReason != "" {
				finish = ch.FinishReason
			}
			for _, d := range ch.Delta.ToolCalls {
				for len(m.ToolCalls) <= *d.Index {
					m.ToolCalls = append(m.ToolCalls, goopenai.ToolCall{})
				}
				call := &m.ToolCalls[*d.Index]
				call.ID += d.ID
				call.Type += d.Type
				call.Function.Name += d.Function.Name
				call.Function.Arguments += d.Function.Arguments
			}
		}
	}
}

func goopenaiConversation(t *testing.T, c *goopenai.Client, model string) {
	req := goopenaiSays(model, "Good afternoon to all of you")
	req.ReasoningEffort = "low"
	got, err := c.CreateChatCompletion(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	m, finish, usage := gather(t, c, req)
	for _, m := range []goopenai.ChatCompletionMessage{got.Choices[0].Message, m} {
		if m.Content != "You said: Good afternoon to all of you" || m.ReasoningContent != "Let me see." {
			t.Errorf("answer = %+v", m)
		}
	}
	if finish != "stop" || got.Choices[0].FinishReason != "stop" {
		t.Errorf("finish = %q and, streamed, %q", got.Choices[0].FinishReason, finish)
	}
	if usage == nil || usage.PromptTokens != got.Usage.PromptTokens || usage.CompletionTokens != 11 || got.Usage.TotalTokens != 30 || usage.PromptTokensDetails.CachedTokens != 4 {
		t.Errorf("usage = %+v and, streamed, %+v", got.Usage, usage)
	}
}

func goopenaiTools(t *testing.T, c *goopenai.Client, model string) {
	req := goopenaiSays(model, weatherPrompt)
	req.Tools = []goopenai.Tool{{Type: goopenai.ToolTypeFunction, Function: &goopenai.FunctionDefinition{Name: "get_weather", Description: "The weather", Parameters: weatherSchema}}}
	req.ToolChoice = goopenai.ToolChoice{Type: goopenai.ToolTypeFunction, Function: goopenai.ToolFunction{Name: "get_weather"}}
	m, finish, _ := gather(t, c, req)
	if finish != "tool_calls" || len(m.ToolCalls) != 2 {
		t.Fatalf("answer = %+v, %q", m, finish)
	}
	req.Messages = append(req.Messages, m)
	for i, call := range m.ToolCalls {
		var args struct{ City, Unit string }
		if err := json.Unmarshal([]byte(call.Function.Arguments), &args); err != nil || args.City != cities[i] || call.Function.Name != "get_weather" || call.Type != "function" {
			t.Errorf("call %d = %+v, %v", i, call, err)
		}
		req.Messages = append(req.Messages, goopenai.ChatCompletionMessage{Role: "tool", ToolCallID: call.ID, Content: "rain in " + args.City})
	}
	req.ToolChoice = "auto"
	got, err := c.CreateChatCompletion(t.Context(), req)
	if err != nil || got.Choices[0].Message.Content != "The tools say: rain in Paris; rain in Oslo" {
		t.Errorf("second turn = %+v, %v", got, err)
	}
}

func goopenaiContent(t *testing.T, c *goopenai.Client, model string) {
	req := goopenaiSays(model, bookPrompt)
	req.ResponseFormat = &goopenai.ChatCompletionResponseFormat{Type: goopenai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &goopenai.ChatCompletionResponseFormatJSONSchema{Name: "book", Strict: true, Schema: json.RawMessage(toJSON(bookSchema))}}
	if m, _, _ := gather(t, c, req); m.Content != book {
		t.Errorf("answer = %s, want %s", m.Content, book)
	}
	req = goopenai.ChatCompletionRequest{Model: model, Messages: []goopenai.ChatCompletionMessage{{Role: "user", MultiContent: []goopenai.ChatMessagePart{
		{Type: "text", Text: "Look at this picture"}, {Type: "image_url", ImageURL: &goopenai.ChatMessageImageURL{URL: pixel, Detail: "low"}}}}}}
	if m, _, _ := gather(t, c, req); m.Content != "I see image/png of 67 bytes" {
		t.Errorf("answer = %q", m.Content)
	}
}

func goopenaiErrors(t *testing.T, s *site, c *goopenai.Client) {
	want := func(err error, status int, typ string, param string, code any) {
		t.Helper()
		var e *goopenai.APIError
		if !errors.As(err, &e) || e.HTTPStatusCode != status || e.Type != typ || e.Code != code || e.Message == "" {
			t.Errorf("error = %+v, want %d %s %v", err, status, typ, code)
		} else if param != "" && (e.Param == nil || *e.Param != param) {
			t.Errorf("param of %v, want %s", err, param)
		}
	}
	ask := func(c *goopenai.Client, model, text string, stream bool) error {
		if stream {
			_, err := c.CreateChatCompletionStream(t.Context(), goopenaiSays(model, text))
			return err
		}
		_, err := c.CreateChatCompletion(t.Context(), goopenaiSays(model, text))
		return err
	}
	for _, stream := range []bool{false, true} {
		want(ask(c, "gpt-4o-mini", "Please #fail-400 at once", stream), 400, "invalid_request_error", "temperature", "invalid_value")
		want(ask(c, "gemini/gemini-2.5-flash", "Please #fail-429 at once", stream), 429, "rate_limit_error", "", "rate_limit_exceeded")
		want(ask(c, "anthropic/claude-sonnet-4-5", "Please #fail-500 at once", stream), 502, "server_error", "", "upstream_error")
		want(ask(c, "nothing", canary, stream), 404, "invalid_request_error", "model", "model_not_found")
		want(ask(newGoOpenAI(t, s, "gw_ana_wrong"), "gpt-4o-mini", canary, stream), 401, "invalid_request_error", "", "invalid_api_key")
	}
	// In the middle of a stream this SDK knows an error by its being the first
	// member of a chunk.
	for _, m := range models {
		stream, err := c.CreateChatCompletionStream(t.Context(), goopenaiSays(m.name, "Please break by #reset, will you"))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		stream.Close()
		var e *goopenai.APIError
		if !errors.As(err, &e) || e.Type != "server_error" || e.Message == "" {
			t.Errorf("%s: a broken stream ended with %v, want a server_error", m.provider, err)
		}
	}
}

func goopenaiLists(t *testing.T, c *goopenai.Client) {
	for _, model := range []string{"text-embedding-3-small", "gemini/gemini-embedding-001"} {
		var vectors [2][]float32
		for i, format := range []goopenai.EmbeddingEncodingFormat{goopenai.EmbeddingEncodingFormatFloat, goopenai.EmbeddingEncodingFormatBase64} {
			req := goopenai.EmbeddingRequest{Input: "one text", Model: goopenai.EmbeddingModel(model), EncodingFormat: format, Dimensions: 16}
			got, err := c.CreateEmbeddings(t.Context(), req)
			if err != nil || len(got.Data) != 1 {
				t.Fatalf("%s as %s: %+v, %v", model, format, got, err)
			}
			vectors[i] = got.Data[0].Embedding
		}
		if fmt.Sprint(vectors[0]) != fmt.Sprint(vectors[1]) || len(vectors[0]) != 16 {
			t.Errorf("%s: float %v, base64 %v", model, vectors[0], vectors[1])
		}
	}
	got, err := c.CreateEmbeddings(t.Context(), goopenai.EmbeddingRequestTokens{Input: [][]int{{1, 2, 3}, {4}}, Model: "text-embedding-3-small", Dimensions: 4})
	if err != nil || len(got.Data) != 2 {
		t.Errorf("token ids: %+v, %v", got, err)
	}
	list, err := c.ListModels(context.Background())
	if err != nil || len(list.Models) < 20 {
		t.Errorf("%d models, %v", len(list.Models), err)
	}
	m, err := c.GetModel(t.Context(), "anthropic/claude-sonnet-4-5")
	if err != nil || m.ID != "anthropic/claude-sonnet-4-5" || !strings.HasPrefix(m.OwnedBy, "anthropic") {
		t.Errorf("model = %+v, %v", m, err)
	}
}
