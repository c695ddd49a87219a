package sdktest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
)

// testEcho is the offline stand-in.
func testEcho(t *testing.T, s *site) {
	c := newOpenAI(t, s, s.key)
	p := says("echo", "Is anybody there?")
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	const want = "This is the gateway's offline stand-in, not a language model. You said: Is anybody there?"
	if acc := collect(t, c, p); got.Choices[0].Message.Content != want || acc.Choices[0].Message.Content != want || acc.Usage.TotalTokens != got.Usage.TotalTokens || got.Usage.CompletionTokens == 0 {
		t.Errorf("answer = %s, streamed %+v", got.RawJSON(), acc.Choices)
	}
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "get_weather", Parameters: weatherSchema})}
	p.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")}
	acc := collect(t, c, p)
	if calls := acc.Choices[0].Message.ToolCalls; len(calls) != 1 || calls[0].Function.Arguments != `{"city":"echo","unit":"celsius"}` || acc.Choices[0].FinishReason != "tool_calls" {
		t.Errorf("calls = %+v", acc.Choices)
	}
	p = says("echo", "A book, please")
	p.ResponseFormat.OfJSONSchema = &openai.ResponseFormatJSONSchemaParam{JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "book", Schema: bookSchema}}
	if acc = collect(t, c, p); acc.Choices[0].Message.Content != `{"title":"echo","pages":0,"tags":[]}` {
		t.Errorf("by a schema = %q", acc.Choices[0].Message.Content)
	}
	e, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "echo", Dimensions: openai.Int(16), Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a cat", "a cat", "a dog"}}})
	if err != nil || len(e.Data) != 3 || len(e.Data[0].Embedding) != 16 || fmt.Sprint(e.Data[0].Embedding) != fmt.Sprint(e.Data[1].Embedding) || fmt.Sprint(e.Data[0].Embedding) == fmt.Sprint(e.Data[2].Embedding) {
		t.Errorf("embeddings = %+v, %v", e, err)
	}
	m, err := c.Models.Get(t.Context(), "echo")
	if err != nil || m.OwnedBy != "echo" {
		t.Errorf("model = %+v, %v", m, err)
	}
}

// testHealth is what load balancers and scrapers see.
func testHealth(t *testing.T, s *site) {
	for _, path := range []string{"/", "/health", "/health/ready"} {
		var body object
		if a := s.do(t, "GET", path, "", ""); a.status != 200 {
			t.Errorf("%s = %d %s", path, a.status, a.body)
		} else if a.decode(t, &body); body["status"] == "" {
			t.Errorf("%s = %s", path, a.body)
		}
	}
	a := s.do(t, "GET", "/metrics", "", "")
	if s.name != "local" {
		if a.status != 404 {
			t.Errorf("metrics = %d, want 404", a.status)
		}
		return
	}
	if a.status != 200 || !strings.Contains(a.body, "# TYPE ") || !strings.Contains(a.body, `provider="anthropic"`) {
		t.Errorf("metrics = %d %.500s", a.status, a.body)
	}
	for _, secret := range []string{s.key, openaiKey, s.admin, "ana"} {
		if strings.Contains(a.body, secret) {
			t.Errorf("%q is in the metrics", secret)
		}
	}
}
