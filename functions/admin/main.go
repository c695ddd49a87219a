// Command admin serves /admin/… as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/retrieval"
)

func main() {
	lambdahttp.Main(cloud.With(retrieval.Join), (*api.Server).Admin)
}
