// Command sweep is the scheduled Lambda function that settles the leases of
// requests which died.
package main

import (
	"github.com/devmentor/ai-gateway/shared/cloud"
	"github.com/devmentor/ai-gateway/shared/lambdahttp"
)

func main() {
	lambdahttp.Job(cloud.Open, cloud.Sweep)
}
