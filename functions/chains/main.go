// Command chains serves /ai/chains as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/connect"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

func main() {
	lambdahttp.Main(inference.Open(connect.Adapters), (*api.Server).Chains)
}
