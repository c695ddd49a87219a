package providers

// File is gateway.yaml: providers beyond those that the environment names, and
// models under names of your own. docs/configuration.md describes it,
// docs/gateway.schema.json is its JSON Schema.
type File struct {
	Providers []Provider        `yaml:"providers"`
	Models    []Model           `yaml:"models"`
	Aliases   map[string]string `yaml:"aliases"` // old names of models, and what they stand for now
}

// Provider is a named instance of a protocol, or, under a built-in name,
// further credentials of that provider.
type Provider struct {
	Name        string            `yaml:"name"`
	Kind        string            `yaml:"kind"`
	BaseURL     string            `yaml:"base_url"`
	APIKey      string            `yaml:"api_key"`          // env:NAME, ssm:NAME or secretsmanager:NAME; never the key itself
	Region      string            `yaml:"region"`           // of Bedrock
	Headers     map[string]string `yaml:"headers"`          // sent with each request
	Models      []string          `yaml:"models"`           // listed by /ai/models; others can be called all the same
	Inputs      int64             `yaml:"embedding_inputs"` // of one call, at most; 0: as many as OpenAI takes
	Window      int64             `yaml:"context_window"`   // tokens that its models read at most; 0: unknown
	Credentials []Credential      `yaml:"credentials"`
}

// Credential is another key, address or region of a provider.
type Credential struct {
	Name    string `yaml:"name"`
	APIKey  string `yaml:"api_key"`
	BaseURL string `yaml:"base_url"` // "": the provider's
	Region  string `yaml:"region"`
	Weight  int64  `yaml:"weight"` // share of the requests; 0 counts as 1
}

// Model is a public model.
type Model struct {
	Name       string    `yaml:"name"`
	Targets    []Target  `yaml:"targets"`
	Strategy   string    `yaml:"strategy"` // "": priority
	Sticky     bool      `yaml:"sticky"`
	LastResort bool      `yaml:"last_resort"`
	Retries    *int64    `yaml:"retries"`         // nil: 2
	TTFT       int64     `yaml:"ttft_timeout_ms"` // 0: two minutes for streams, where another target is left
	Parallel   int64     `yaml:"parallel"`        // of a race; 0: 2
	HedgeAfter int64     `yaml:"hedge_after_ms"`  // 0: the target's own 95th percentile
	Fallbacks  Fallbacks `yaml:"fallbacks"`
}

// Target is where a public model can be asked.
type Target struct {
	Provider string `yaml:"provider"`
	Model    string `yaml:"model"`
	Region   string `yaml:"region"` // only credentials in that region
	Weight   *int64 `yaml:"weight"` // nil: 1
}

// Fallbacks are names of models, by what they help against.
type Fallbacks struct {
	Errors  []string `yaml:"errors"`  // every target failed
	Context []string `yaml:"context"` // the prompt is too long
	Content []string `yaml:"content"` // the provider refuses it by policy
}
