package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// What OpenTelemetry's conventions have no name for. The rest are those of
// version 1.41, the last whose Go package has the names for generative AI.
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

	chainVersion    = attribute.Key("gateway.chain.version")
	chainRun        = attribute.Key("gateway.chain.run.id")
	chainResumed    = attribute.Key("gateway.chain.run.resumed")
	chainStatus     = attribute.Key("gateway.chain.run.status")
	chainStep       = attribute.Key("gateway.chain.step.id")
	chainStepType   = attribute.Key("gateway.chain.step.type")
	chainStepItem   = attribute.Key("gateway.chain.step.item") // of a map, from 0
	chainStepStatus = attribute.Key("gateway.chain.step.status")
	chainAttempt    = attribute.Key("gateway.chain.step.attempt")  // of a call: from 1
	chainAttempts   = attribute.Key("gateway.chain.step.attempts") // of a step: how many there were, those of all items together
	chainCached     = attribute.Key("gateway.chain.step.cached")
	chainCost       = attribute.Key("gateway.chain.step.cost.usd")
)

// providerNames are the conventions' names of the providers that have another
// name here.
var providerNames = map[string]string{
	"gemini":  semconv.GenAIProviderNameGCPGemini.Value.AsString(),
	"bedrock": semconv.GenAIProviderNameAWSBedrock.Value.AsString(),
}

// operationNames are the conventions' names of the operations that have
// another name here.
var operationNames = map[string]string{"responses": "chat", "messages": "chat", "chain": "chat", "code": "chat", "completions": "text_completion"}

func rename(names map[string]string, name string) string {
	if other, ok := names[name]; ok {
		return other
	}
	return name
}
