package gateway_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/config"
	"github.com/devmentor/ai-gateway/shared/invoke"
)

// source is template.yaml as far as the tests read it. Intrinsic functions
// appear as what is written behind them.
type source struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
		Pattern string `yaml:"AllowedPattern"`
		About   string `yaml:"Description"`
	} `yaml:"Parameters"`
	Globals struct {
		Function function `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Type       string            `yaml:"Type"`
		Metadata   map[string]string `yaml:"Metadata"`
		Properties function          `yaml:"Properties"`
	} `yaml:"Resources"`
}

type function struct {
	CodeUri     string `yaml:"CodeUri"`
	Timeout     int    `yaml:"Timeout"`
	Environment struct {
		Variables map[string]string `yaml:"Variables"`
	} `yaml:"Environment"`
	Events map[string]struct {
		Type       string         `yaml:"Type"`
		Properties map[string]any `yaml:"Properties"`
	} `yaml:"Events"`
}

func readTemplate(t *testing.T) source {
	t.Helper()
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var s source
	if err := yaml.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// functionsOf returns the template's functions by the folder of their source.
func (s source) functionsOf(t *testing.T) map[string]function {
	t.Helper()
	fns := map[string]function{}
	for id, r := range s.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		name, ok := strings.CutSuffix(id, "Function")
		if !ok {
			t.Errorf("%s: the id must end in Function: functions/Makefile finds the folder by it", id)
		}
		if want := map[string]string{"BuildMethod": "makefile", "WorkingDirectory": "."}; !cmp.Equal(r.Metadata, want) {
			t.Errorf("%s: Metadata = %v, want %v: sam build would not use the Makefile", id, r.Metadata, want)
		}
		if r.Properties.CodeUri != "" {
			t.Errorf("%s: CodeUri = %q, want the global one", id, r.Properties.CodeUri)
		}
		fns[strings.ToLower(name)] = r.Properties
	}
	return fns
}

// TestEveryFunctionIsDeployed: what has a folder has a function, and the other
// way round; and make coldstart measures it.
func TestEveryFunctionIsDeployed(t *testing.T) {
	s := readTemplate(t)
	mains, err := filepath.Glob("functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range mains {
		if name := filepath.Base(filepath.Dir(m)); name != "local" && name != "invoke" {
			want = append(want, name)
		}
	}
	var got []string
	for name := range s.functionsOf(t) {
		got = append(got, name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-folders +template.yaml):\n%s", diff)
	}
	measured := read(t, ".ci/coldstart/main.go")
	for _, name := range want {
		if !strings.Contains(measured, `{"`+name+`", `) {
			t.Errorf(".ci/coldstart has no limits for the function %s", name)
		}
	}
	if s.Globals.Function.CodeUri != "functions" {
		t.Errorf("CodeUri = %q; the Makefile that sam build runs is in functions", s.Globals.Function.CodeUri)
	}
}

// TestEveryFunctionIsWatched: an alarm sums the errors of each.
func TestEveryFunctionIsWatched(t *testing.T) {
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range readTemplate(t).Resources {
		metric := "MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref " + id + "}]"
		if r.Type == "AWS::Serverless::Function" && !strings.Contains(string(text), metric) {
			t.Errorf("no alarm watches the errors of %s", id)
		}
	}
}

// TestEveryRouteStreams guards against a trap: SAM takes STREAM, API Gateway's
// own word, for "buffered" without a complaint.
func TestEveryRouteStreams(t *testing.T) {
	for name, fn := range readTemplate(t).functionsOf(t) {
		for id, ev := range fn.Events {
			if ev.Type != "Api" {
				continue
			}
			if mode := ev.Properties["ResponseTransferMode"]; mode != "RESPONSE_STREAM" {
				t.Errorf("%s %s: ResponseTransferMode = %v, want RESPONSE_STREAM", name, id, mode)
			}
			if method := ev.Properties["Method"]; method != "ANY" {
				t.Errorf("%s %s: Method = %v; only the function can answer OPTIONS and wrong methods as the single process does", name, id, method)
			}
			ms, _ := ev.Properties["TimeoutInMillis"].(uint64)
			if limit := uint64(fn.Timeout) * 1000; ms < limit || ms > 900_000 || ms == limit && limit != 900_000 {
				t.Errorf("%s %s: TimeoutInMillis = %v; it must be above the function's %d s, and at most 900000", name, id, ms, fn.Timeout)
			}
		}
	}
}

// TestRoutesAreDeployed: every route of the API reaches its function, and the
// template has no other.
func TestRoutesAreDeployed(t *testing.T) {
	gw := deployedAPI(t)
	sample := regexp.MustCompile(`\{[^}]+\}`)
	served := map[string]bool{}
	check := func(r api.Route, path string) {
		path = strings.ReplaceAll(path, "{id...}", "openai/gpt-4o")
		path = sample.ReplaceAllString(path, "x")
		for _, method := range []string{r.Method, "OPTIONS", "PUT"} {
			route, _, ok := gw.Route(method, path)
			if !ok || route.Function.Name() != r.Function {
				t.Errorf("%s %s is not served by the function %s", method, path, r.Function)
				return
			}
			served[route.Resource] = true
		}
	}
	for _, r := range api.Routes() {
		if r.Function == "local" {
			continue
		}
		check(r, r.Path)
		if rest, ok := strings.CutPrefix(r.Path, "/ai/"); ok {
			check(r, "/ai/v1/"+rest)
		}
	}
	for _, r := range gw.Routes {
		if !served[r.Resource] {
			t.Errorf("%s is in the template, but is no route of the API", r.Resource)
		}
	}
}

// deployedAPI is the template's API with functions that are never started.
func deployedAPI(t *testing.T) *invoke.API {
	t.Helper()
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := invoke.ReadTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.API(func(name string) *invoke.Function { return invoke.New(invoke.Config{Name: name}) })
}

// TestVariables: functions get settings that exist, and secrets only as
// references, because everybody who may look at a function sees its variables.
func TestVariables(t *testing.T) {
	s := readTemplate(t)
	secret := map[string]bool{}
	for f := range reflect.TypeFor[config.Config]().Fields() {
		secret[f.Tag.Get("env")] = f.Tag.Get("secret") == "true"
	}
	fns := s.functionsOf(t)
	fns["every function"] = s.Globals.Function
	for name, fn := range fns {
		for v, value := range fn.Environment.Variables {
			isSecret, known := secret[v]
			if !known && v != "SSL_CERT_DIR" {
				t.Errorf("%s: %s is not a setting", name, v)
			}
			if !isSecret {
				continue
			}
			p, ok := s.Parameters[value]
			if !ok {
				t.Errorf("%s: %s = %q, want a parameter", name, v, value)
				continue
			}
			pattern := regexp.MustCompile("^(" + p.Pattern + ")$")
			if pattern.MatchString("sk-proj-0123456789") || !pattern.MatchString("ssm:/ai-gateway/x") || !pattern.MatchString(p.Default) {
				t.Errorf("the parameter %s takes %q: it must take references, its default %q, and nothing else", value, p.Pattern, p.Default)
			}
		}
	}
	for name, p := range s.Parameters {
		if p.About == "" {
			t.Errorf("the parameter %s has no description", name)
		}
	}
}

// TestEvents: each event reaches the function that events/README.md names, and
// none carries a key.
func TestEvents(t *testing.T) {
	gw := deployedAPI(t)
	readme, err := os.ReadFile("events/README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{} // event → function
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z, -]+) \| ([a-z]+) \|`).FindAllStringSubmatch(string(readme), -1) {
		for _, name := range strings.Split(row[1], ", ") {
			listed[name] = row[2]
		}
	}
	files, err := filepath.Glob("events/*.json")
	if err != nil || len(files) != len(listed) {
		t.Errorf("%d events, %d in the README, %v", len(files), len(listed), err)
	}
	covered := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		fn := listed[name]
		covered[fn] = true
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if fn == "sweep" {
			checkScheduled(t, text)
			continue
		}
		var ev events.APIGatewayProxyRequest
		if err := json.Unmarshal(text, &ev); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if route, _, ok := gw.Route(ev.HTTPMethod, ev.Path); !ok || route.Function.Name() != fn || route.Resource != ev.Resource {
			t.Errorf("%s: %s %s does not reach the function %q by the resource %s", file, ev.HTTPMethod, ev.Path, fn, ev.Resource)
		}
		single := map[string]string{}
		for name, values := range ev.MultiValueHeaders {
			single[name] = values[len(values)-1]
		}
		if diff := cmp.Diff(single, ev.Headers); diff != "" {
			t.Errorf("%s: the two header maps differ:\n%s", file, diff)
		}
		if auth := ev.Headers["Authorization"]; auth != "" && !strings.HasSuffix(auth, "_REPLACE") {
			t.Errorf("%s: Authorization = %q looks like a key", file, auth)
		}
		if ev.Body != "" && !json.Valid([]byte(ev.Body)) {
			t.Errorf("%s: the body is not JSON", file)
		}
	}
	for name := range readTemplate(t).functionsOf(t) {
		if !covered[name] {
			t.Errorf("the function %s has no event", name)
		}
	}
}

// checkScheduled compares the event with what the schedule sends.
func checkScheduled(t *testing.T, text []byte) {
	t.Helper()
	var got, want any
	input, _ := readTemplate(t).functionsOf(t)["sweep"].Events["Schedule"].Properties["Input"].(string)
	if err := json.Unmarshal([]byte(input), &want); err != nil {
		t.Fatalf("the schedule's Input %q: %v", input, err)
	}
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, want) {
		t.Errorf("events/sweep.json = %v, %v; the schedule sends %v", got, err, want)
	}
}
