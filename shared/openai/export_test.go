package openai

// For tests of what cannot be seen from outside.
var (
	ChatBody = (*Provider).chatBody
	Bound    = (*Provider).bound
	Plain    = plain
)
