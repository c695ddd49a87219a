package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/devmentor/ai-gateway/shared/catalog"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/gateway"
	"github.com/devmentor/ai-gateway/shared/providers"
	"github.com/devmentor/ai-gateway/shared/router"
)

const whole = `# everything there is
providers:
  - name: groq
    kind: openai
    base_url: https://api.groq.com/openai/v1/
    api_key: env:GROQ_API_KEY
    headers: {x-team: search}
    models: [llama-3.3-70b-versatile]
  - name: openai
    credentials:
      - {name: second, api_key: "ssm:/keys/openai-2", weight: 3}
  - name: bedrock-eu
    kind: bedrock
    region: eu-central-1
    credentials:
      - {name: west, region: eu-west-1}
models:
  - name: smart
    strategy: weighted
    sticky: true
    last_resort: true
    retries: 0
    ttft_timeout_ms: 10000
    parallel: 3
    hedge_after_ms: 500
    targets:
      - {provider: openai, model: gpt-4o, weight: 3}
      - {provider: bedrock-eu, model: amazon.nova-pro-v1:0, region: eu-west-1, weight: 0}
    fallbacks:
      errors: [small, groq/llama-3.3-70b-versatile]
      context: [gemini-2.5-pro]
      content: [small]
  - name: small
    targets:
      - provider: groq
        model: llama-3.3-70b-versatile
aliases:
  gpt-4: smart
  old: openai/gpt-4o
`

func TestAWholeFile(t *testing.T) {
	f, err := providers.ParseFile([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Providers) != 3 || len(f.Models) != 2 || *f.Models[0].Retries != 0 || *f.Models[0].Targets[1].Weight != 0 || f.Aliases["gpt-4"] != "smart" {
		t.Errorf("file = %+v", f)
	}
}

// Every complaint names its line and its path, and all of them come at once.
func TestComplaintsHaveLines(t *testing.T) {
	text := `providers:
  - name: Groq
    kind: openai
    api_key: sk-123
  - name: openai
    kind: openai
models:
  - name: a/b
    strategy: fastest
    retries: many
    targets: []
  - name: c
    targets:
      - {provider: nobody, weight: -1}
    fallbacks: {errors: [d], context: [gone]}
    colour: blue
  - name: d
    parallel: 9
    targets:
      - provider: openai
        model: gpt-4o
    fallbacks:
      errors:
        - c
aliases:
  c: d
  e: f
`
	_, err := providers.ParseFile([]byte(text))
	if err == nil || err.Error() != "gateway.yaml:10: models[0].retries: must be a whole number\ngateway.yaml:16: models[1].colour: there is no such setting" {
		t.Errorf("what has the wrong shape: %v", err)
	}
	text = strings.Replace(text, "retries: many", "retries: 99", 1)
	_, err = providers.ParseFile([]byte(text))
	want := `gateway.yaml:2: providers[0].name: "Groq" must be lower-case letters, digits and '-', beginning with a letter
gateway.yaml:4: providers[0].api_key: must be a reference (env:NAME, ssm:NAME, secretsmanager:NAME), not the key itself
gateway.yaml:5: providers[1]: "openai" is built in and takes nothing but credentials; choose another name
gateway.yaml:8: models[0].name: "a/b" must be letters, digits and '._:@-'; a '/' belongs to provider/model
gateway.yaml:9: models[0].strategy: must be one of [priority weighted latency cost least-busy race hedge], not "fastest"
gateway.yaml:10: models[0].retries: must be from 0 to 10
gateway.yaml:11: models[0].targets: there must be one at least
gateway.yaml:14: models[1].targets[0].model: is missing
gateway.yaml:14: models[1].targets[0].weight: must be from 0 to 1000000
gateway.yaml:14: models[1].targets[0].provider: there is no provider "nobody"
gateway.yaml:15: models[1].fallbacks.context[0]: there is no model "gone"
gateway.yaml:15: models[1].fallbacks.errors: it leads back to itself: c → d → c
gateway.yaml:16: models[1].colour: there is no such setting
gateway.yaml:18: models[2].parallel: must be from 2 to 5
gateway.yaml:23: models[2].fallbacks.errors: it leads back to itself: d → c → d
gateway.yaml:26: aliases.c: a model has this name
gateway.yaml:27: aliases.e: there is no model "f"`
	var got, wanted []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	wanted = strings.Split(want, "\n")
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("complaints\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
	if _, err := providers.ParseFile([]byte("models:\n  - name: [\n")); err == nil || !strings.HasPrefix(err.Error(), "gateway.yaml:2") {
		t.Errorf("broken YAML: %v, want its line", err)
	}
	if _, err := providers.ParseFile([]byte("models:\n - name: a\n   name: b\n")); err == nil || !strings.HasPrefix(err.Error(), "gateway.yaml:3") {
		t.Errorf("a key given twice: %v, want its line", err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add(whole)
	f.Add("models: {a: *b}")
	f.Add("- ?")
	f.Fuzz(func(t *testing.T, text string) { providers.ParseFile([]byte(text)) })
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../docs/gateway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gateway.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAgreesWithTheParser: what one of them refuses for its shape or its
// values, the other refuses as well.
func TestSchemaAgreesWithTheParser(t *testing.T) {
	s := schema(t)
	target := "targets: [{provider: openai, model: m}]"
	for _, tc := range []struct {
		text string
		good bool
	}{
		{whole, true},
		{"models: []", true},
		{"models: [{name: m, " + target + "}]", true},
		{"models: [{name: m, strategy: race, parallel: 2, " + target + "}]", true},
		{"providers: [{name: p, kind: anthropic, api_key: 'env:X'}]", true},
		{"providers: [{name: p, kind: openai, base_url: 'http://x', embedding_inputs: 10}]", true},
		{"providers: [{name: p, kind: openai, base_url: 'http://x', context_window: 32768}]", true},
		{"providers: [{name: p, kind: openai, base_url: 'http://x', context_window: -1}]", false},
		{"providers: [{name: p, kind: openai, base_url: 'http://x', embedding_inputs: 2049}]", false},
		{"providers: [{name: p, kind: openai, base_url: 'http://x', embedding_inputs: many}]", false},
		{"aliases: {a: openai/b}", true},
		{"model: []", false},
		{"models: {}", false},
		{"models: [m]", false},
		{"models: [{name: m}]", false},
		{"models: [{name: m, targets: []}]", false},
		{"models: [{" + target + "}]", false},
		{"models: [{name: a/b, " + target + "}]", false},
		{"models: [{name: m, strategy: best, " + target + "}]", false},
		{"models: [{name: m, sticky: 'yes please', " + target + "}]", false},
		{"models: [{name: m, retries: 11, " + target + "}]", false},
		{"models: [{name: m, retries: 1.5, " + target + "}]", false},
		{"models: [{name: m, parallel: 1, " + target + "}]", false},
		{"models: [{name: m, ttft_timeout_ms: -1, " + target + "}]", false},
		{"models: [{name: m, hedge_after_ms: 900001, " + target + "}]", false},
		{"models: [{name: m, fallbacks: [a], " + target + "}]", false},
		{"models: [{name: m, fallbacks: {timeouts: []}, " + target + "}]", false},
		{"models: [{name: m, targets: [{provider: openai}]}]", false},
		{"models: [{name: m, targets: [{provider: openai, model: m, weight: -1}]}]", false},
		{"models: [{name: m, targets: [{provider: openai, model: 4}]}]", false},
		{"providers: [{name: P, kind: openai, base_url: 'http://x'}]", false},
		{"providers: [{name: p, kind: mistral, base_url: 'http://x'}]", false},
		{"providers: [{name: p, kind: openai, base_url: 'ftp://x'}]", false},
		{"providers: [{name: p, kind: openai, base_url: 'http://u:p@x'}]", false},
		{"providers: [{name: p, kind: openai, api_key: sk-1}]", false},
		{"providers: [{name: p, kind: openai, base_ulr: 'http://x'}]", false},
		{"providers: [{name: openai, credentials: [{name: a}]}]", false},
		{"providers: [{name: openai, credentials: [{name: a, api_key: sk-1}]}]", false},
		{"aliases: [a]", false},
		{"aliases: {a: 4}", false},
	} {
		_, err := providers.ParseFile([]byte(tc.text))
		var v any
		if err := yaml.Unmarshal([]byte(tc.text), &v); err != nil {
			t.Fatal(err)
		}
		b, err2 := json.Marshal(v)
		if err2 != nil {
			t.Fatal(err2)
		}
		doc, err2 := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
		if err2 != nil {
			t.Fatal(err2)
		}
		if invalid := s.Validate(doc); (err == nil) != tc.good || (invalid == nil) != tc.good {
			t.Errorf("%s\nparser: %v\nschema: %v\nwant good = %v", tc.text, err, invalid, tc.good)
		}
	}
}

// TestSchemaKnowsEverySetting compares names, which no list of cases can.
func TestSchemaKnowsEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/gateway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var doc struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var fallbacks object
	if err := json.Unmarshal(doc.Defs["model"].Properties["fallbacks"], &fallbacks); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		got  object
		want any
	}{{doc.object, providers.File{}}, {doc.Defs["provider"], providers.Provider{}}, {doc.Defs["credential"], providers.Credential{}},
		{doc.Defs["model"], providers.Model{}}, {doc.Defs["target"], providers.Target{}}, {fallbacks, providers.Fallbacks{}}} {
		var got, want []string
		for name := range tc.got.Properties {
			got = append(got, name)
		}
		for i := range reflect.TypeOf(tc.want).NumField() {
			want = append(want, reflect.TypeOf(tc.want).Field(i).Tag.Get("yaml"))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%T: the schema has %v, the parser %v", tc.want, got, want)
		}
	}
	var strategy struct{ Enum []string }
	if err := json.Unmarshal(doc.Defs["model"].Properties["strategy"], &strategy); err != nil {
		t.Fatal(err)
	}
	for i, s := range router.Strategies {
		if strategy.Enum[i+1] != string(s) {
			t.Errorf("the schema's strategies are %v, want %v", strategy.Enum, router.Strategies)
		}
	}
}

func TestDefaultModelsExist(t *testing.T) {
	for _, m := range providers.Default() {
		for _, target := range m.Targets {
			info, ok := catalog.Lookup(target.Provider, target.Model)
			if !ok || info.Mode != catalog.Chat || !info.Price.Known() || info.Deprecated != "" && info.Deprecated < "2026-12-31" {
				t.Errorf("%s: %s/%s is %+v, want a priced chat model that lives on", m.Name, target.Provider, target.Model, info)
			}
		}
	}
}

func TestDefaultsServeWhatHasAKey(t *testing.T) {
	s := providers.Source{Config: config.Config{AnthropicKey: "k"}}
	r, err := s.Registry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var public []string
	for _, e := range r.List(t.Context()) {
		if !strings.Contains(e.ID, "/") {
			public = append(public, e.ID)
		}
	}
	if want := []string{"smart", "fast", "claude-opus", "claude-sonnet", "claude-haiku"}; !slices.Equal(public, want) {
		t.Errorf("public models %v, want %v", public, want)
	}
	if _, err := r.Find(t.Context(), "gemini-pro", catalog.Chat); err == nil || !strings.Contains(err.Error(), "GEMINI_API_KEY") {
		t.Errorf("gemini-pro: %v, want the variable that is missing", err)
	}
}

func TestCredentials(t *testing.T) {
	env := map[string]string{"A": "key-a", "B": "key-b"}
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
providers:
  - {name: openai, credentials: [{name: a, api_key: "env:A"}, {name: b, api_key: "env:B", weight: 2}, {name: c, api_key: "env:UNSET"}]}
  - {name: far, kind: bedrock, region: eu-central-1, credentials: [{name: us, region: us-east-1}]}
  - {name: lost, kind: openai, api_key: "env:UNSET"}
`)
	var linked []gateway.Instance
	s := providers.Source{Config: config.Config{File: path, AccessKeyID: "x"}, Getenv: func(n string) string { return env[n] },
		Link: func(list []gateway.Instance) { linked = slices.Clone(list) }}
	r, err := s.Registry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, in := range linked {
		if in.Missing == "" {
			got = append(got, in.Name+" "+in.Spare+" "+in.KeyRef+in.Region)
		}
	}
	if want := []string{"openai  key-a", "openai b key-b", "far  eu-central-1", "far us us-east-1"}; !slices.Equal(got, want) {
		t.Errorf("instances %q, want %q", got, want)
	}
	m, err := r.Find(t.Context(), "gpt-4o", catalog.Chat)
	if err != nil || len(m.Group.Targets) != 2 || m.Group.Targets[1].Weight != 2 || m.Group.Targets[0].Name == m.Group.Targets[1].Name {
		t.Errorf("targets of gpt-4o: %+v, %v, want two with names of their own", m, err)
	}
	if _, err := r.Find(t.Context(), "lost/x", catalog.Chat); err == nil || !strings.Contains(err.Error(), "UNSET") {
		t.Errorf("lost/x: %v, want the variable that is missing", err)
	}

	if set, err := s.Load(t.Context()); set != nil || err != nil {
		t.Errorf("an unchanged file: %v, %v, want nothing", set, err)
	}
	write("models: [{name: m, targets: [{provider: nobody, model: m}]}]")
	if set, err := s.Load(t.Context()); set != nil || err == nil {
		t.Errorf("a bad version: %v, %v, want an error", set, err)
	}
	write("models: [{name: m, targets: [{provider: openai, model: gpt-4o}]}]")
	if set, err := s.Load(t.Context()); err != nil || len(set.Models) != 1 {
		t.Errorf("a good version: %v, %v, want it", set, err)
	}
}

func TestSourcesOfTheFile(t *testing.T) {
	fetch := func(_ context.Context, ref string) (string, error) {
		if ref != "ssm:gateway" && ref != "s3://b/k" {
			return "", errors.New("no such parameter")
		}
		return whole, nil
	}
	for where, want := range map[string]string{"ssm:gateway": "", "ssm:other": "no such parameter", "/nowhere/gateway.yaml": "no such file", "s3://b/k": "", "s3://b/none": "no such"} {
		s := providers.Source{Config: config.Config{File: where}, Fetch: fetch}
		_, err := s.Registry(t.Context(), nil)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "GATEWAY_CONFIG")) {
			t.Errorf("%s: %v, want %q", where, err, want)
		}
	}
}

// The example in the documentation must be one that works.
func TestDocumentedExampleIsGood(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "### gateway.yaml")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/configuration.md has no example")
	}
	f, err := providers.ParseFile([]byte(example))
	if err != nil || len(f.Providers) != 3 || len(f.Models) != 1 {
		t.Errorf("the example: %+v, %v", f, err)
	}
	for _, m := range providers.Default() {
		if !strings.Contains(string(doc), "`"+m.Name+"`") {
			t.Errorf("docs/configuration.md does not name the default model %s", m.Name)
		}
	}
}
