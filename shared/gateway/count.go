package gateway

import (
	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/rawjson"
	"github.com/devmentor/ai-gateway/shared/tokens"
)

// countPrompt counts a prompt where the provider did not, as the model's family
// would: an estimate, which opens no vocabulary. Unlike the estimate for a
// reservation, which must not be too low, this is meant to be right on average.
func countPrompt(req *llm.Request) int64 {
	return tokens.For("", req.Model).EstimateMessages(rawjson.Get(req.Fields, "messages"), llm.Beside(req.Fields)...).Tokens
}

// roughPrompt is about countPrompt, for the marks of a stream: those have to be
// known of every stream, and are far from exact.
func roughPrompt(req *llm.Request) int64 {
	return tokens.For("", req.Model).RoughMessages(rawjson.Get(req.Fields, "messages"), llm.Beside(req.Fields)...)
}
