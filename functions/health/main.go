// Command health serves /health and / as a Lambda function.
package main

import (
	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/vitals"
)

func main() {
	lambdahttp.Main(vitals.Open, (*api.Server).Health)
}
