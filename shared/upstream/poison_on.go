//go:build race

package upstream

// poison makes Release overwrite what it takes back, and Bytes lend memory of
// every size: under the race detector, in tests, whoever reads a request's body
// after its end is caught.
const poison = true
