package telemetry

import "go.opentelemetry.io/otel/attribute"

// The names of OpenTelemetry's semantic conventions 1.41, the last whose Go
// package has those for generative AI. That package would add its thousands of
// variables to every start; a test compares the names.
const (
	serviceName    = attribute.Key("service.name")
	serviceVersion = attribute.Key("service.version")
	sdkLanguage    = attribute.Key("telemetry.sdk.language")
	sdkName        = attribute.Key("telemetry.sdk.name")

	errorType  = attribute.Key("error.type")
	httpMethod = attribute.Key("http.request.method")
	httpRoute  = attribute.Key("http.route")
	httpStatus = attribute.Key("http.response.status_code")
	userID     = attribute.Key("user.id")

	operationName     = attribute.Key("gen_ai.operation.name")
	providerName      = attribute.Key("gen_ai.provider.name")
	requestModel      = attribute.Key("gen_ai.request.model")
	requestStream     = attribute.Key("gen_ai.request.stream")
	requestMaxTokens  = attribute.Key("gen_ai.request.max_tokens")
	requestChoices    = attribute.Key("gen_ai.request.choice.count")
	requestTemp       = attribute.Key("gen_ai.request.temperature")
	requestTopP       = attribute.Key("gen_ai.request.top_p")
	requestSeed       = attribute.Key("gen_ai.request.seed")
	requestFrequency  = attribute.Key("gen_ai.request.frequency_penalty")
	requestPresence   = attribute.Key("gen_ai.request.presence_penalty")
	responseID        = attribute.Key("gen_ai.response.id")
	responseModel     = attribute.Key("gen_ai.response.model")
	finishReasons     = attribute.Key("gen_ai.response.finish_reasons")
	timeToFirstChunk  = attribute.Key("gen_ai.response.time_to_first_chunk")
	inputTokens       = attribute.Key("gen_ai.usage.input_tokens")
	outputTokens      = attribute.Key("gen_ai.usage.output_tokens")
	cacheReadTokens   = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	cacheWriteTokens  = attribute.Key("gen_ai.usage.cache_creation.input_tokens")
	reasoningTokens   = attribute.Key("gen_ai.usage.reasoning.output_tokens")
	embeddingsVectors = attribute.Key("gen_ai.embeddings.dimension.count")
)

// Our own names.
const (
	gatewayRequestID = attribute.Key("gateway.request.id")
	gatewayKeyID     = attribute.Key("gateway.key.id")
	gatewayProject   = attribute.Key("gateway.project")
	gatewayOperation = attribute.Key("gateway.operation")
	gatewayAsked     = attribute.Key("gateway.model.asked")
	gatewayModel     = attribute.Key("gateway.model")
	gatewayProvider  = attribute.Key("gateway.provider")
	gatewayCost      = attribute.Key("gateway.cost.usd")
	gatewayAttempts  = attribute.Key("gateway.attempts")
	gatewayTTFT      = attribute.Key("gateway.time_to_first_token") // seconds
	gatewayOverhead  = attribute.Key("gateway.overhead")            // seconds
	gatewayFinish    = attribute.Key("gateway.finish_reason")
	gatewayEstimated = attribute.Key("gateway.estimated")
	gatewayPartial   = attribute.Key("gateway.partial")
)

// providerNames are the conventions' names of the providers that have another
// name here.
var providerNames = map[string]string{"gemini": "gcp.gemini", "bedrock": "aws.bedrock"}

// operationNames are the conventions' names of the operations that have
// another name here.
var operationNames = map[string]string{"responses": "chat", "messages": "chat", "completions": "text_completion"}

func rename(names map[string]string, name string) string {
	if other, ok := names[name]; ok {
		return other
	}
	return name
}
