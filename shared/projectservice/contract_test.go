package projectservice_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/devmentor/ai-gateway/shared/fault"
	"github.com/devmentor/ai-gateway/shared/projectservice"
	"github.com/devmentor/ai-gateway/shared/upstream"
)

// description is the OpenAPI block of docs/integrations.md, as far as it binds
// the client.
type description struct {
	OpenAPI    string
	Paths      map[string]struct{ Get operation }
	Components struct {
		SecuritySchemes map[string]struct{ Type, Scheme string } `yaml:"securitySchemes"`
	}
}

type operation struct {
	Parameters []struct {
		Name, In string
		Required bool
		Schema   map[string]any
	}
	Responses map[string]struct {
		Headers map[string]struct{ Example string }
		Content map[string]struct {
			Schema  map[string]any
			Example map[string]any
		}
	}
}

func readDescription(t *testing.T) (d description) {
	t.Helper()
	text, err := os.ReadFile("../../docs/integrations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Project Service\n")
	_, block, _ := strings.Cut(section, "\n```yaml\n")
	block, _, found := strings.Cut(block, "\n```\n")
	if err := yaml.Unmarshal([]byte(block), &d); err != nil || !found || !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Fatalf("docs/integrations.md has no OpenAPI 3.1 block under Project Service: %v", err)
	}
	return d
}

// conforms says whether a value is as a schema of the description wants it.
func conforms(t *testing.T, schema map[string]any, value any) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(value)
}

// TestTheClientDoesWhatIsDocumented serves from the description: the client
// asks what it says, with what it says, and takes every answer that it allows.
func TestTheClientDoesWhatIsDocumented(t *testing.T) {
	d := readDescription(t)
	const template = "/v1/projects/{id}/context"
	op := d.Paths[template].Get
	if len(op.Responses) == 0 || d.Components.SecuritySchemes["key"].Type != "http" || d.Components.SecuritySchemes["key"].Scheme != "bearer" {
		t.Fatalf("the description lacks GET %s or its bearer key: %+v", template, d)
	}
	path := regexp.MustCompile("^" + strings.Replace(regexp.QuoteMeta(template), `\{id\}`, "([^/]+)", 1) + "$")
	own := []string{"Accept", "User-Agent", "Authorization"} // every client has these
	status, answer, cache, asked := 0, "", "", 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		m := path.FindStringSubmatch(r.URL.Path)
		if r.Method != http.MethodGet || m == nil {
			t.Errorf("the client asks %s %s, which is not in the description", r.Method, r.URL)
			return
		}
		known := slices.Clone(own)
		for _, p := range op.Parameters {
			value := map[string]string{"path": m[1], "header": r.Header.Get(p.Name)}[p.In]
			if err := conforms(t, p.Schema, value); err != nil || !p.Required {
				t.Errorf("%s = %q: %v", p.Name, value, err)
			}
			known = append(known, http.CanonicalHeaderKey(p.Name))
		}
		for name := range r.Header {
			if !slices.Contains(known, name) {
				t.Errorf("the client sends %s, which is not in the description", name)
			}
		}
		w.Header().Set("Cache-Control", cache)
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	transport := upstream.NewTransport()
	defer transport.CloseIdleConnections()
	s := open(t, projectservice.Options{URL: server.URL, HTTP: transport})

	for code, r := range op.Responses {
		if status, _ = strconv.Atoi(code); status == 200 {
			continue
		}
		if _, err := s.Context(t.Context(), "ana@example.org", "Vbll18BAwhP80B4T", "proj_1.x"); fault.As(err).Kind != fault.NotFound {
			t.Errorf("an answer %s (%+v) is taken as %v", code, r, err)
		}
	}
	good, ok := op.Responses["200"]
	media := good.Content["application/json"]
	if !ok || len(media.Example) < 2 {
		t.Fatalf("the description of 200 lacks an example with a field beside the context: %+v", good)
	}
	text, err := json.Marshal(media.Example)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, cache, asked = 200, string(text), good.Headers["Cache-Control"].Example, 0
	for range 2 {
		got, err := s.Context(t.Context(), "ana", "Vbll18BAwhP80B4T", "proj_1")
		if err != nil || got != media.Example["context"] {
			t.Errorf("the example is read as %q, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("with the Cache-Control of the example (%q) the service is asked %d times in a row, want once", cache, asked)
	}
	// What the client can use, and what the description allows, are the same.
	cache = ""
	for _, answer = range []string{string(text), `{"context":""}`, `{"context":"x","more":[1]}`, `{}`, `{"context":null}`, `{"context":7}`, `{"context":["x"]}`, `["x"]`, `"x"`, `null`} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(answer))
		if err != nil {
			t.Fatal(err)
		}
		_, err = open(t, projectservice.Options{URL: server.URL, HTTP: transport}).Context(t.Context(), "ana", "id", "proj_1")
		if allowed := conforms(t, media.Schema, value) == nil; allowed != (err == nil) {
			t.Errorf("%s: allowed by the description: %t, and the client says %v", answer, allowed, err)
		}
	}

	health := d.Paths["/health"].Get
	if _, ok := health.Responses["200"]; !ok {
		t.Errorf("the description lacks GET /health")
	}
}
