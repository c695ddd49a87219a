// Package gateway_test holds the repository's own rules, as tests.
package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/devmentor/ai-gateway/"

// rank orders the packages: a package may import only packages of a lower
// rank. Equal rank means "strangers".
var rank = map[string]int{
	"shared/fault": 0, "shared/sse": 0, "shared/rawjson": 0, "shared/requestid": 0, "shared/config": 0, "shared/jsonlog": 0, "shared/lambdahttp": 0, "shared/pattern": 0, "shared/lru": 0, "shared/clip": 0,
	"shared/llm":   1,
	"shared/usage": 2, "shared/upstream": 2, "shared/rag": 2, "shared/tokens": 2, "shared/template": 2, "shared/recipe": 2, "shared/conversation": 2, "shared/codegen": 2, "shared/sqltext": 2,
	"shared/admission": 3, "shared/catalog": 3, "shared/router": 3, "shared/prompt": 3, "shared/chain": 3, "shared/tidy": 3,
	"shared/gateway": 4, "shared/telemetry": 4, "shared/prometheus": 4,
	"shared/openai": 4, "shared/anthropic": 4, "shared/gemini": 4, "shared/bedrock": 4, "shared/echo": 4,
	"shared/bolt": 4, "shared/shelf": 4, "shared/qdrant": 4, "shared/projectservice": 4, "shared/dynamo": 4, "shared/awssecret": 4, "shared/s3": 4, "shared/dynamolocal": 0,
	"shared/api": 5, "shared/providers": 5,
	"shared/vitals": 6, "shared/cloud": 6, "shared/embedders": 6, "shared/connect": 7, "shared/retrieval": 7,
	"shared/inference": 8, "shared/local": 9,
	"shared/invoke": 8,
}

// onlyTests may be imported by test files alone, and by each other.
var onlyTests = []string{"shared/storetest", "shared/llmtest", "shared/dynamotest", "shared/sdktest", "shared/qdranttest", "shared/growthtest"}

// confined says which packages may import a third-party module directly.
var confined = map[string][]string{
	"github.com/aws/aws-lambda-go": {"shared/lambdahttp"},
	"github.com/aws/aws-sdk-go-v2": {"shared/dynamo", "shared/bedrock", "shared/awssecret", "shared/s3", "shared/cloud", "shared/vitals", "shared/embedders", "shared/local", "shared/dynamotest", "functions/invoke"},
	"go.etcd.io/bbolt":             {"shared/bolt"},
	"github.com/prometheus":        {"shared/prometheus"},
	"go.opentelemetry.io":          {"shared/telemetry"},
	"github.com/goccy/go-yaml":     {"shared/providers", "shared/invoke", "shared/tidy", "shared/template"},
	"github.com/qdrant":            {"shared/qdrant", "shared/qdranttest"},
	"google.golang.org/grpc":       {"shared/qdrant", "shared/qdranttest"},
	"github.com/theory/jsonpath":   {"shared/chain"},
	"github.com/evanw/esbuild":     {"shared/tidy"},
	"github.com/pelletier/go-toml": {"shared/tidy"},
	"github.com/sony/gobreaker":    {"shared/projectservice", "shared/qdrant"},
	"mvdan.cc/sh":                  {"shared/tidy"},
	module + "shared/tidy":         {"shared/local", "functions/code", "functions/chains"}, // it weighs 5 MB
}

type pkg struct {
	Dir, ImportPath, Doc string
	Imports              []string
	GoFiles, TestGoFiles []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Imports,Doc,GoFiles,TestGoFiles", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		if name, ours := strings.CutPrefix(p.ImportPath, module); ours {
			p.ImportPath = name
			pkgs = append(pkgs, p)
		}
	}
}

func TestImportsGoDownward(t *testing.T) {
	for _, p := range list(t) {
		testOnly := slices.Contains(onlyTests, p.ImportPath)
		from, ranked := rank[p.ImportPath]
		if !ranked && !testOnly && strings.HasPrefix(p.ImportPath, "shared/") && strings.Count(p.ImportPath, "/") == 1 {
			t.Errorf("%s has no rank: give it one in layout_test.go", p.ImportPath)
		}
		for _, imp := range p.Imports {
			for mod, who := range confined {
				if strings.HasPrefix(imp, mod) && !slices.Contains(who, p.ImportPath) {
					t.Errorf("%s imports %s; only %v may", p.ImportPath, imp, who)
				}
			}
			dep, ours := strings.CutPrefix(imp, module)
			if !ours || testOnly {
				continue
			}
			if slices.Contains(onlyTests, dep) {
				t.Errorf("%s imports %s outside a test", p.ImportPath, dep)
			}
			if to, ok := rank[dep]; ranked && ok && to >= from {
				t.Errorf("%s (rank %d) imports %s (rank %d)", p.ImportPath, from, dep, to)
			}
			if strings.HasPrefix(dep, "functions/") {
				t.Errorf("%s imports %s: functions are programs", p.ImportPath, dep)
			}
		}
	}
}

// TestPackagesAreNamedAndDescribed: one comment per package, and no name that
// could hold anything.
func TestPackagesAreNamedAndDescribed(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "models", "misc", "base"}, path.Base(p.ImportPath)) && p.ImportPath != "functions/models" {
			t.Errorf("%s: the name says nothing", p.ImportPath)
		}
		comments := 0
		for _, f := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(text), "// Package ") || strings.HasPrefix(string(text), "// Command ") {
				comments++
			}
			if strings.HasSuffix(f, "_helpers.go") || strings.HasSuffix(f, "_utils.go") {
				t.Errorf("%s/%s: name the concept instead", p.ImportPath, f)
			}
		}
		if comments > 1 {
			t.Errorf("%s has %d package comments", p.ImportPath, comments)
		}
	}
}

// TestFunctionsAreThin: a main chooses what to open and what to serve.
func TestFunctionsAreThin(t *testing.T) {
	for _, p := range list(t) {
		name, ok := strings.CutPrefix(p.ImportPath, "functions/")
		if !ok || name == "invoke" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.Dir, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > 20 {
			t.Errorf("functions/%s/main.go has %d lines; the limit is 20", name, n)
		}
	}
}

// unwanted says what a function must not link, and why.
var unwanted = map[string]map[string]string{
	"health":        {"bedrockruntime": "it calls no model", "shared/awssecret": "it needs no secret", "opentelemetry": "it is not traced", "shared/anthropic": "it calls no model", "google.golang.org/grpc": "it asks Qdrant in plain HTTP"},
	"models":        {"bedrockruntime": "it calls no model", "opentelemetry": "it is not traced", "shared/openai": "it calls no model"},
	"templates":     {"bedrockruntime": "it calls no model", "opentelemetry": "it is not traced", "shared/openai": "it calls no model"},
	"admin":         {"bedrockruntime": "it calls no model", "shared/openai": "it calls no model"},
	"sweep":         {"bedrockruntime": "it calls no model", "shared/openai": "it calls no model"},
	"conversations": {"bedrockruntime": "it calls no model", "shared/openai": "it calls no model", "opentelemetry": "it is not traced"},
	"embeddings":    {"shared/anthropic": "Anthropic has no embeddings", "qdrant": "it keeps no documents"},
	"documents":     {"shared/anthropic": "Anthropic has no embeddings", "bbolt": "its store is DynamoDB", "shared/shelf": "it has no disk"},
	"search":        {"shared/anthropic": "Anthropic has no embeddings", "bbolt": "its store is DynamoDB", "shared/shelf": "it has no disk"},
	"chat":          {"bbolt": "its store is DynamoDB", "client_golang": "it has no /metrics", "sdk-go-v2/config": "slow start"},
}

func TestFunctionsLinkWhatTheyNeed(t *testing.T) {
	for fn, bad := range unwanted {
		out, err := exec.Command("go", "list", "-deps", "./functions/"+fn).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range strings.Fields(string(out)) {
			for part, why := range bad {
				if strings.Contains(dep, part) {
					t.Errorf("functions/%s links %s: %s", fn, dep, why)
				}
			}
		}
	}
}

// TestPatternsAreLazy: a regular expression that is compiled when the program
// starts is paid for by every cold start of every function that links it.
func TestPatternsAreLazy(t *testing.T) {
	for _, p := range list(t) {
		if slices.Contains(onlyTests, p.ImportPath) || p.ImportPath == "shared/pattern" || path.Base(p.ImportPath) == "generate" {
			continue
		}
		for _, f := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if global := strings.HasPrefix(line, "var ") || strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "\t\t") && strings.Contains(line, " = regexp."); global && strings.Contains(line, "regexp.MustCompile(") {
					t.Errorf("%s/%s: %s: use a pattern.Pattern", p.ImportPath, f, strings.TrimSpace(line))
				}
			}
		}
	}
}
