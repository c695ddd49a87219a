// Command documents serves /ai/documents as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/embedders"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

func main() {
	lambdahttp.Main(inference.Open(embedders.Adapters, retrieval.Join), (*api.Server).Documents)
}
