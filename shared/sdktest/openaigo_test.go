package sdktest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"
)

// testOpenAIGo uses OpenAI's own SDK for Go.
func testOpenAIGo(t *testing.T, s *site) {
	c := newOpenAI(t, s, s.key)
	for _, m := range models {
		t.Run(m.provider, func(t *testing.T) {
			t.Run("plain", func(t *testing.T) { openaiPlain(t, s, c, m.name) })
			t.Run("stream", func(t *testing.T) { openaiStreamed(t, c, m.name) })
			t.Run("tools", func(t *testing.T) { openaiTools(t, c, m.name) })
			t.Run("schema", func(t *testing.T) { openaiSchema(t, c, m.name) })
			t.Run("image", func(t *testing.T) { openaiImage(t, c, m.name) })
			t.Run("reasoning", func(t *testing.T) { openaiReasoning(t, c, m.name) })
			t.Run("broken stream", func(t *testing.T) { openaiBroken(t, s, m.name, m.provider) })
		})
	}
	t.Run("choices and logprobs", func(t *testing.T) { openaiChoices(t, c) })
	t.Run("unknown fields", func(t *testing.T) { openaiUnknownFields(t, s, c) })
	t.Run("errors", func(t *testing.T) { openaiErrors(t, s) })
	t.Run("embeddings", func(t *testing.T) { openaiEmbeddings(t, c) })
	t.Run("models", func(t *testing.T) { openaiModels(t, s, c) })
	t.Run("prompts", func(t *testing.T) { openaiPrompts(t, s, c) })
	t.Run("abort", func(t *testing.T) { openaiAbort(t, s) })
	t.Run("large prompt", func(t *testing.T) { openaiLarge(t, c) })
	t.Run("200 at once", func(t *testing.T) { openaiParallel(t, s, c) })
}

// newOpenAI makes a client as the documentation says: base URL and key.
func newOpenAI(t testing.TB, s *site, key string, more ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(s.root + "/ai"), option.WithAPIKey(key), option.WithMaxRetries(0),
		option.WithHTTPClient(client(t))}, more...)...)
}

func says(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func openaiPlain(t *testing.T, s *site, c openai.Client, model string) {
	p := says(model, "Good morning to all of you")
	p.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief.")}, p.Messages...)
	p.Temperature, p.MaxCompletionTokens = openai.Float(0.5), openai.Int(50)
	var resp *http.Response
	got, err := c.Chat.Completions.New(t.Context(), p, option.WithResponseInto(&resp), option.WithJSONSet("gateway.tags", []string{"team-a"}))
	if err != nil {
		t.Fatal(err)
	}
	ch := got.Choices[0]
	if ch.Message.Content != "You said: Good morning to all of you" || ch.FinishReason != "stop" || ch.Message.Role != "assistant" || len(got.Choices) != 1 {
		t.Errorf("answer = %s", got.RawJSON())
	}
	if u := got.Usage; u.PromptTokens != 18 || u.CompletionTokens != 8 || u.TotalTokens != 26 || u.PromptTokensDetails.CachedTokens != 4 {
		t.Errorf("usage = %s", u.RawJSON())
	}
	if got.ID == "" || got.Model == "" || got.Created == 0 || got.Object != "chat.completion" {
		t.Errorf("answer = %s", got.RawJSON())
	}
	h := resp.Header
	if h.Get("X-Gateway-Attempts") != "1" || h.Get("X-Gateway-Dropped") != "" || len(h.Get("X-Request-Id")) != 16 || h.Get("X-Gateway-Cost-Usd") == "0" {
		t.Errorf("header = %v", h)
	}
}

// collect reads a stream to its end.
func collect(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams) openai.ChatCompletionAccumulator {
	t.Helper()
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	acc := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		if !acc.AddChunk(stream.Current()) {
			t.Fatalf("chunk %s does not fit", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if len(acc.Choices) == 0 {
		t.Fatal("a stream without choices")
	}
	return acc
}

func openaiStreamed(t *testing.T, c openai.Client, model string) {
	got := collect(t, c, says(model, "Good evening to all of you"))
	if got.Choices[0].Message.Content != "You said: Good evening to all of you" || got.Choices[0].FinishReason != "stop" {
		t.Errorf("answer = %+v", got.Choices)
	}
	if u := got.Usage; u.PromptTokens != 18 || u.CompletionTokens != 8 || u.TotalTokens != 26 {
		t.Errorf("usage = %+v", u)
	}
}

// openaiTools has both turns of a conversation with two calls at once, the
// first streamed.
func openaiTools(t *testing.T, c openai.Client, model string) {
	p := says(model, weatherPrompt)
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Description: openai.String("The weather in a city"), Strict: openai.Bool(true), Parameters: weatherSchema})}
	acc := collect(t, c, p)
	streamed := acc.Choices[0]
	plain, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []openai.ChatCompletionChoice{streamed, plain.Choices[0]} {
		if ch.FinishReason != "tool_calls" || len(ch.Message.ToolCalls) != 2 {
			t.Fatalf("answer = %+v", ch)
		}
		for i, city := range cities {
			call := ch.Message.ToolCalls[i]
			var args map[string]string
			if err := json.Unmarshal([]byte(call.Function.Arguments), &args); err != nil {
				t.Fatalf("arguments %q: %v", call.Function.Arguments, err)
			}
			if diff := cmp.Diff(map[string]string{"city": city, "unit": "celsius"}, args); diff != "" || call.ID == "" || call.Type != "function" || call.Function.Name != "get_weather" {
				t.Errorf("call %d = %+v\n%s", i, call, diff)
			}
		}
	}
	if a, b := streamed.Message.ToolCalls[0].ID, streamed.Message.ToolCalls[1].ID; a == b {
		t.Errorf("both calls have the id %s", a)
	}
	p.Messages = append(p.Messages, streamed.Message.ToParam(),
		openai.ToolMessage("12 degrees", streamed.Message.ToolCalls[0].ID), openai.ToolMessage(`{"degrees":3}`, streamed.Message.ToolCalls[1].ID))
	acc = collect(t, c, p)
	if got := acc.Choices[0].Message.Content; got != `The tools say: 12 degrees; {"degrees":3}` {
		t.Errorf("second turn = %q", got)
	}
	p.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	p.Messages = p.Messages[:1]
	if acc = collect(t, c, p); acc.Choices[0].FinishReason != "stop" {
		t.Errorf("tool_choice none: %+v", acc.Choices)
	}
}

func openaiSchema(t *testing.T, c openai.Client, model string) {
	p := says(model, bookPrompt)
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "book", Strict: openai.Bool(true), Schema: bookSchema}}
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	acc := collect(t, c, p)
	if text := got.Choices[0].Message.Content; text != book || acc.Choices[0].Message.Content != book {
		t.Errorf("answer = %s, streamed %s; want %s", text, acc.Choices[0].Message.Content, book)
	}
}

func openaiImage(t *testing.T, c openai.Client, model string) {
	p := openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{
		openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{openai.TextContentPart("What is in this picture?"),
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: pixel})})}}
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if text := got.Choices[0].Message.Content; text != "I see image/png of 67 bytes" {
		t.Errorf("answer = %q", text)
	}
}

// openaiReasoning: what a model thinks comes in a field that the SDK does not
// know, apart from the answer.
func openaiReasoning(t *testing.T, c openai.Client, model string) {
	p := says(model, "Think about the number seven")
	p.ReasoningEffort = "low"
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	m := got.Choices[0].Message
	var thinking string
	json.Unmarshal([]byte(m.JSON.ExtraFields["reasoning_content"].Raw()), &thinking)
	if thinking != "Let me see." || m.Content != "You said: Think about the number seven" {
		t.Errorf("answer = %s", m.RawJSON())
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	text, thinking := "", ""
	for stream.Next() {
		for _, ch := range stream.Current().Choices {
			var part string
			json.Unmarshal([]byte(ch.Delta.JSON.ExtraFields["reasoning_content"].Raw()), &part)
			text, thinking = text+ch.Delta.Content, thinking+part
		}
	}
	if thinking != "Let me see." || text != "You said: Think about the number seven" || stream.Err() != nil {
		t.Errorf("streamed %q, thinking %q, %v", text, thinking, stream.Err())
	}
}

// openaiBroken: a stream that breaks ends with an error, never as if it were
// complete; and what was generated is paid for.
func openaiBroken(t *testing.T, s *site, model, as string) {
	user := "broken-" + as
	if strings.Contains(t.Name(), "go-openai") {
		user += "-2"
	}
	c := newOpenAI(t, s, s.user(t, user, nil))
	for _, how := range []string{"reset", "cut", "error", "garbage"} {
		stream := c.Chat.Completions.NewStreaming(t.Context(), says(model, "Please break off by #"+how+" here"))
		text := ""
		for stream.Next() {
			if len(stream.Current().Choices) > 0 {
				text += stream.Current().Choices[0].Delta.Content
			}
		}
		stream.Close()
		var failed *ssestream.StreamError
		if err := stream.Err(); !errors.As(err, &failed) || !strings.Contains(failed.Message, "The provider '"+provider(as)+"'") || strings.Contains(failed.Message, "http") {
			t.Errorf("%s: the stream ended with %v after %q", how, err, text)
		}
		if !strings.HasPrefix(text, "You said: Please") {
			t.Errorf("%s: text = %q, want the first half", how, text)
		}
	}
	if a := s.settled(t, user); a.Spent.Month <= 0 {
		t.Errorf("spent = $%s, want the price of the first halves", a.Spent.Month.USD())
	}
}

func openaiChoices(t *testing.T, c openai.Client) {
	for _, model := range []string{"gpt-4o-mini", "gemini/gemini-2.5-flash"} {
		p := says(model, "Say it twice, please")
		p.N = openai.Int(2)
		got, err := c.Chat.Completions.New(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		acc := collect(t, c, p)
		for _, choices := range [][]openai.ChatCompletionChoice{got.Choices, acc.Choices} {
			if len(choices) != 2 || choices[1].Message.Content != "You said: Say it twice, please" || choices[1].Index != 1 || choices[0].Message.Content != choices[1].Message.Content {
				t.Errorf("%s: choices = %+v", model, choices)
			}
		}
	}
	p := says("gpt-4o-mini", "How sure are you?")
	p.Logprobs = openai.Bool(true)
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	acc := collect(t, c, p)
	if a, b := got.Choices[0].Logprobs.Content, acc.Choices[0].Logprobs.Content; len(a) != 6 || a[1].Token != " said:" || a[1].Logprob != -0.25 || len(b) < 6 {
		t.Errorf("logprobs = %+v, streamed %+v", a, b)
	}
}

// openaiUnknownFields: what we have never heard of passes, in both directions,
// and our own extension does not.
func openaiUnknownFields(t *testing.T, s *site, c openai.Client) {
	got, err := c.Chat.Completions.New(t.Context(), says("openai/gpt-4o-mini", "Unknown fields pass through"),
		option.WithJSONSet("brand_new", map[string]any{"deep": []any{1e-7, "ü", nil}}), option.WithJSONSet("gateway.tags", []string{"a", "b"}))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.RawJSON(), `"system_fingerprint":"fp_fc9f1d7035"`) {
		t.Errorf("answer = %s", got.RawJSON())
	}
	sent := s.up.find("Unknown fields pass through")
	var body map[string]json.RawMessage
	if err := json.Unmarshal(sent[len(sent)-1].Body, &body); err != nil {
		t.Fatal(err)
	}
	if string(body["brand_new"]) != `{"deep":[1e-7,"ü",null]}` || string(body["model"]) != `"gpt-4o-mini"` || body["gateway"] != nil {
		t.Errorf("the provider got %s", sent[0].Body)
	}
	s.uncalled++
	_, err = c.Chat.Completions.New(t.Context(), says("anthropic/claude-sonnet-4-5", "A seed is not for Claude"), option.WithJSONSet("seed", 7), option.WithJSONSet("gateway.strict", true))
	wantError(t, err, 400, "invalid_request_error", "seed", "")
}
