// Command chains serves /ai/chains as a Lambda function.
package main

import (
	"net/http"

	"github.com/devmentor/ai-gateway/shared/api"
	"github.com/devmentor/ai-gateway/shared/connect"
	"github.com/devmentor/ai-gateway/shared/inference"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
	"github.com/devmentor/ai-gateway/shared/retrieval"
	"github.com/devmentor/ai-gateway/shared/tidy"
)

func main() {
	lambdahttp.Main(inference.Open(connect.Adapters, retrieval.Join), func(s *api.Server) http.Handler {
		s.CodeTools = tidy.Tools{Log: s.Log}
		return s.Chains()
	})
}
