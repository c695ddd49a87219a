// Package config reads the gateway's settings from the environment.
package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Config holds every setting. Each field's env tag names its variable; the
// default is used when the variable is unset or empty. docs/configuration.md
// says what they mean, and a test keeps the two in step.
//
// Fields tagged secret may hold a reference instead of the value itself:
// "ssm:NAME" or "secretsmanager:NAME", fetched on first use.
type Config struct {
	Addr    string `env:"GATEWAY_ADDR" default:"127.0.0.1"`
	Port    int    `env:"PORT" default:"3001"`
	DataDir string `env:"GATEWAY_DATA_DIR" default:".data"`
	File    string `env:"GATEWAY_CONFIG"`

	Store        string `env:"GATEWAY_STORE" default:"embedded" oneof:"embedded dynamodb"`
	StateTable   string `env:"STATE_TABLE" default:"gateway-state"`
	LedgerTable  string `env:"LEDGER_TABLE" default:"gateway-ledger"`
	KeyPepper    string `env:"GATEWAY_KEY_PEPPER" secret:"true"`
	AdminKey     string `env:"GATEWAY_ADMIN_KEY" secret:"true"`
	UnknownPrice string `env:"GATEWAY_UNKNOWN_PRICE" oneof:"allow reject"`
	FailOpen     bool   `env:"GATEWAY_FAIL_OPEN" default:"false"`
	CodeModel    string `env:"GATEWAY_CODE_MODEL"`
	EmbedCacheMB int    `env:"GATEWAY_EMBEDDING_CACHE_MB" default:"16"`
	LogLevel     string `env:"GATEWAY_LOG_LEVEL" default:"info" oneof:"debug info warn error"`

	QdrantURL      string `env:"QDRANT_URL" url:"true"`
	QdrantKey      string `env:"QDRANT_API_KEY" secret:"true"`
	QdrantPrefix   string `env:"QDRANT_PREFIX" default:"gateway"`
	EmbeddingModel string `env:"GATEWAY_EMBEDDING_MODEL"`

	ProjectURL string `env:"PROJECT_SERVICE_URL" url:"true"`
	ProjectKey string `env:"PROJECT_SERVICE_KEY" secret:"true"`

	OpenAIKey     string `env:"OPENAI_API_KEY" secret:"true"`
	OpenAIURL     string `env:"OPENAI_BASE_URL" url:"true"`
	AnthropicKey  string `env:"ANTHROPIC_API_KEY" secret:"true"`
	AnthropicURL  string `env:"ANTHROPIC_BASE_URL" url:"true"`
	GeminiKey     string `env:"GEMINI_API_KEY" secret:"true"`
	GeminiURL     string `env:"GEMINI_BASE_URL" url:"true"`
	BedrockURL    string `env:"AWS_ENDPOINT_URL_BEDROCK_RUNTIME" url:"true"`
	S3URL         string `env:"AWS_ENDPOINT_URL_S3" url:"true"`
	SSMURL        string `env:"AWS_ENDPOINT_URL_SSM" url:"true"`
	SecretsURL    string `env:"AWS_ENDPOINT_URL_SECRETS_MANAGER" url:"true"`
	DynamoURL     string `env:"AWS_ENDPOINT_URL_DYNAMODB" url:"true"`
	Region        string `env:"AWS_REGION"`
	AccessKeyID   string `env:"AWS_ACCESS_KEY_ID" secret:"true"`
	SecretKey     string `env:"AWS_SECRET_ACCESS_KEY" secret:"true"`
	SessionToken  string `env:"AWS_SESSION_TOKEN" secret:"true"`
	Profile       string `env:"AWS_PROFILE"`
	ContainerURL  string `env:"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"`
	ContainerFull string `env:"AWS_CONTAINER_CREDENTIALS_FULL_URI"`
	BedrockBearer string `env:"AWS_BEARER_TOKEN_BEDROCK" secret:"true"`

	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" url:"true"`
	OTLPHeaders  string `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true"`
	ServiceName  string `env:"OTEL_SERVICE_NAME" default:"ai-gateway"`
}

// Load reads every variable through getenv and returns all complaints at once,
// each naming its variable and never its value if that is a secret.
func Load(getenv func(string) string) (Config, error) {
	var c Config
	var errs []error
	for _, f := range fields(&c) {
		text := strings.TrimSpace(getenv(f.env))
		if text == "" {
			text = f.fallback
		}
		if err := f.set(text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.env, err))
		}
	}
	return c, errors.Join(errs...)
}

// Unknown lists the variables of environ (name=value) that look like settings
// of the gateway and are none: GATEWAY_LOGLEVEL. GATEWAY_KEY is for clients.
func Unknown(environ []string) (names []string) {
	known := Variables()
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "GATEWAY_") && name != "GATEWAY_KEY" &&
			!slices.ContainsFunc(known, func(v Variable) bool { return v.Name == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Bedrock says whether Amazon Bedrock counts as configured: a region, and
// credentials that are named. The machine's metadata service is never asked.
func (c Config) Bedrock() bool {
	return c.Region != "" && (c.AccessKeyID != "" || c.Profile != "" || c.ContainerURL != "" || c.ContainerFull != "" || c.BedrockBearer != "")
}

func (f field) set(text string) error {
	switch p := f.ptr.(type) {
	case *string:
		if text != "" && len(f.oneof) > 0 && !slices.Contains(f.oneof, text) {
			return fmt.Errorf("must be one of %s, not %q", strings.Join(f.oneof, ", "), text)
		}
		if f.secret && (text == "ssm:" || text == "secretsmanager:") {
			return errors.New("lacks the name of the secret after " + text)
		}
		if f.url && text != "" {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return errors.New("must be an http or https URL")
			}
			text = strings.TrimRight(text, "/")
		}
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("must be a number from 0 to 65535, not %q", text)
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		*p = b
	}
	return nil
}
