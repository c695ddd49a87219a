package providers

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// File is gateway.yaml: providers beyond those that the environment names.
//
//	providers:
//	  - name: groq            # models are called groq/…
//	    kind: openai          # the protocol: openai, anthropic or gemini
//	    base_url: https://api.groq.com/openai/v1
//	    api_key: env:GROQ_API_KEY
//	    models: [llama-3.3-70b-versatile]
type File struct {
	Providers []Provider `yaml:"providers"`
}

// Provider is a named instance of a protocol.
type Provider struct {
	Name    string            `yaml:"name"`
	Kind    string            `yaml:"kind"`
	BaseURL string            `yaml:"base_url"`
	APIKey  string            `yaml:"api_key"` // env:NAME, ssm:NAME or secretsmanager:NAME; never the key itself
	Headers map[string]string `yaml:"headers"` // sent with each request
	Models  []string          `yaml:"models"`  // listed by /ai/models; others can be called all the same
}

var providerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// builtin names cannot be taken by instances.
var builtin = map[string]bool{"openai": true, "anthropic": true, "gemini": true, "bedrock": true, "echo": true}

// ParseFile reads gateway.yaml. Unknown keys are errors; all complaints are
// returned at once, syntax errors with their line.
func ParseFile(text []byte) (File, error) {
	var f File
	if len(bytes.TrimSpace(text)) == 0 {
		return f, nil
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil {
		return f, fmt.Errorf("gateway.yaml: %s", yaml.FormatError(err, false, true))
	}
	var errs []error
	seen := map[string]bool{}
	for i, p := range f.Providers {
		complain := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("gateway.yaml: providers[%d] (%q): %s", i, p.Name, fmt.Sprintf(format, args...)))
		}
		switch {
		case !providerName.MatchString(p.Name):
			complain("name must be lower-case letters, digits and '-', beginning with a letter")
		case builtin[p.Name]:
			complain("this name is built in; choose another")
		case seen[p.Name]:
			complain("this name is used twice")
		}
		seen[p.Name] = true
		if p.Kind != "openai" && p.Kind != "anthropic" && p.Kind != "gemini" {
			complain("kind must be openai, anthropic or gemini, not %q", p.Kind)
		}
		if p.BaseURL != "" {
			u, err := url.Parse(p.BaseURL)
			if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
				complain("base_url must be an http or https URL without credentials")
			}
		}
		if p.APIKey == "" && p.BaseURL == "" {
			complain("give base_url, api_key, or both")
		}
		if p.APIKey != "" && !strings.HasPrefix(p.APIKey, "env:") && !strings.HasPrefix(p.APIKey, "ssm:") && !strings.HasPrefix(p.APIKey, "secretsmanager:") {
			complain("api_key must be a reference (env:NAME, ssm:NAME, secretsmanager:NAME), not the key itself")
		}
		f.Providers[i].BaseURL = strings.TrimRight(p.BaseURL, "/")
	}
	return f, errors.Join(errs...)
}

// Load reads gateway.yaml from a path, or through fetch if where is a
// reference into AWS. An empty where is an empty File.
func Load(where string, fetch func(ref string) (string, error)) (File, error) {
	switch {
	case where == "":
		return File{}, nil
	case strings.HasPrefix(where, "ssm:"):
		text, err := fetch(where)
		if err != nil {
			return File{}, fmt.Errorf("GATEWAY_CONFIG: %w", err)
		}
		return ParseFile([]byte(text))
	}
	text, err := os.ReadFile(where)
	if err != nil {
		return File{}, fmt.Errorf("GATEWAY_CONFIG: %w", err)
	}
	return ParseFile(text)
}

// FromEnv replaces a reference "env:NAME" by the variable's value, which may
// be a reference itself. Anything else is returned as it is.
func FromEnv(ref string, getenv func(string) string) string {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		return getenv(name)
	}
	return ref
}
