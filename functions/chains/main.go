// Command chains serves /ai/chains as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/connect"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

func main() {
	lambdahttp.Main(retrieval.With(inference.Open(connect.Adapters)), (*api.Server).Chains)
}
