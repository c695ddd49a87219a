package providers

// Default returns the public models of a gateway whose gateway.yaml names none.
// Those without a configured provider are not offered.
func Default() []Model {
	at := func(provider, model string) Target { return Target{Provider: provider, Model: model} }
	return []Model{
		{Name: "smart", Targets: []Target{at("openai", "gpt-5.4"), at("anthropic", "claude-sonnet-4-6"), at("gemini", "gemini-2.5-pro"), at("bedrock", "global.anthropic.claude-sonnet-4-6")}},
		{Name: "fast", Targets: []Target{at("openai", "gpt-5.4-mini"), at("anthropic", "claude-haiku-4-5"), at("gemini", "gemini-2.5-flash"), at("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0")}},
		{Name: "gpt", Targets: []Target{at("openai", "gpt-5.4")}},
		{Name: "gpt-mini", Targets: []Target{at("openai", "gpt-5.4-mini")}},
		{Name: "claude-opus", Targets: []Target{at("anthropic", "claude-opus-4-8"), at("bedrock", "global.anthropic.claude-opus-4-8")}},
		{Name: "claude-sonnet", Targets: []Target{at("anthropic", "claude-sonnet-4-6"), at("bedrock", "global.anthropic.claude-sonnet-4-6")}},
		{Name: "claude-haiku", Targets: []Target{at("anthropic", "claude-haiku-4-5"), at("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0")}},
		{Name: "gemini-pro", Targets: []Target{at("gemini", "gemini-2.5-pro")}},
		{Name: "gemini-flash", Targets: []Target{at("gemini", "gemini-2.5-flash")}},
		{Name: "nova-lite", Targets: []Target{at("bedrock", "us.amazon.nova-lite-v1:0")}},
	}
}
