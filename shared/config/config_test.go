package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/devmentor/ai-gateway/shared/config"
)

func load(env map[string]string) (config.Config, error) {
	return config.Load(func(name string) string { return env[name] })
}

func TestEmptyEnvironmentIsEnough(t *testing.T) {
	c, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 3001 || c.Addr != "127.0.0.1" || c.DataDir != ".data" || c.Store != "embedded" || c.FailOpen || c.EmbedCacheMB != 16 {
		t.Errorf("defaults = %+v", c)
	}
}

func TestAllComplaintsAtOnceAndNoSecrets(t *testing.T) {
	_, err := load(map[string]string{"PORT": "http", "GATEWAY_STORE": "mysql", "OPENAI_BASE_URL": "localhost:11434", "GATEWAY_FAIL_OPEN": "maybe", "OPENAI_API_KEY": "sk-secret", "GEMINI_API_KEY": "ssm:"})
	if err == nil {
		t.Fatal("Load must fail")
	}
	for _, name := range []string{"PORT", "GATEWAY_STORE", "OPENAI_BASE_URL", "GATEWAY_FAIL_OPEN", "GEMINI_API_KEY"} {
		if !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%q does not complain about %s", err, name)
		}
	}
	if strings.Contains(err.Error(), "sk-secret") {
		t.Error("a secret is in the error")
	}
}

func TestNamesThatNoSettingHas(t *testing.T) {
	got := config.Unknown([]string{"HOME=/", "GATEWAY_LOGLEVEL=debug", "GATEWAY_LOG_LEVEL=info", "GATEWAY_DATADIR=a=b", "GATEWAY_KEY=gw_x", "OPENAI_API_KEY=sk-x"})
	if want := []string{"GATEWAY_DATADIR", "GATEWAY_LOGLEVEL"}; !slices.Equal(got, want) {
		t.Errorf("Unknown = %v, want %v", got, want)
	}
}

func TestURLsLoseTheirTrailingSlash(t *testing.T) {
	c, err := load(map[string]string{"OPENAI_BASE_URL": " http://localhost:11434/v1/ "})
	if err != nil || c.OpenAIURL != "http://localhost:11434/v1" {
		t.Errorf("OpenAIURL = %q, %v", c.OpenAIURL, err)
	}
}

func TestBedrockNeedsNamedCredentials(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{}, false},
		{map[string]string{"AWS_REGION": "eu-west-1"}, false},
		{map[string]string{"AWS_ACCESS_KEY_ID": "AKIA"}, false},
		{map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIA"}, true},
		{map[string]string{"AWS_REGION": "eu-west-1", "AWS_PROFILE": "dev"}, true},
		{map[string]string{"AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "x"}, true},
	} {
		c, err := load(tc.env)
		if err != nil || c.Bedrock() != tc.want {
			t.Errorf("%v: Bedrock = %v, %v; want %v", tc.env, c.Bedrock(), err, tc.want)
		}
	}
}
