// Command embeddings serves POST /ai/embeddings as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

func main() {
	lambdahttp.Main(inference.Open(embedders.Adapters), (*api.Server).Embeddings)
}
