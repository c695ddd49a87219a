package api_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are OpenAI's published ones; testdata/openai-schemas.json says which.
type schemas struct{ compiler *jsonschema.Compiler }

func openSchemas(t *testing.T) schemas {
	t.Helper()
	f, err := os.Open("testdata/openai-schemas.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openai.json", doc); err != nil {
		t.Fatal(err)
	}
	return schemas{c}
}

func (s schemas) check(t *testing.T, name, body string) {
	t.Helper()
	schema, err := s.compiler.Compile("openai.json#/$defs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v in %s", name, err, body)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v\n%s", name, err, body)
	}
}

// TestSchemasBite: a schema that lets everything pass would prove nothing.
func TestSchemasBite(t *testing.T) {
	s := openSchemas(t)
	for name, wrong := range map[string]string{"CreateChatCompletionResponse": `{"id":1}`, "ErrorResponse": `{"error":{"message":"x"}}`, "CreateChatCompletionStreamResponse": `{"choices":{}}`} {
		schema, err := s.compiler.Compile("openai.json#/$defs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal([]byte(wrong), &v); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s accepts %s", name, wrong)
		}
	}
}
