// Command chat serves POST /ai/chat/completions as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/connect"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

func main() {
	lambdahttp.Main(inference.Open(connect.Adapters, retrieval.Join, inference.Projects), (*api.Server).Chat)
}
