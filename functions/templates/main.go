// Command templates serves /ai/templates as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

func main() {
	lambdahttp.Main(cloud.Open, (*api.Server).Templates)
}
