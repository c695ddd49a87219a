package openai

// For tests of what cannot be seen from outside.
var (
	ChatBody = chatBody
	Plain    = plain
)
