package gateway

import (
	"bytes"

	"github.com/devmentor/ai-gateway/shared/llm"
	"github.com/devmentor/ai-gateway/shared/usage"
)

const (
	// bytesPerTokenLow is the fewest bytes a token has in texts that people
	// send; reservations divide by it. Measured: English 4.7, code 3.8, JSON 2.7.
	bytesPerTokenLow = 2
	// bytesPerTokenUsual is the divisor where tokens must be counted because
	// the provider did not say.
	bytesPerTokenUsual = 4
	// imageTokens is a flat figure for an image: what the dearest model that
	// bills by size takes for a large one.
	imageTokens = 1600
)

// estimate is what a request may take at most.
type estimate struct {
	input, output int64 // tokens
	cost          usage.Nano
}

// estimateChat bounds a chat request's tokens before anything is known of
// them: text by its bytes, images flat, output by the client's own bound.
func estimateChat(req *llm.Request, modelMax int64) estimate {
	text, images := promptBytes(req.Raw)
	out := req.MaxTokens
	if out == 0 {
		out = DefaultMaxTokens
	}
	if modelMax > 0 {
		out = min(out, modelMax)
	}
	return estimate{input: text/bytesPerTokenLow + images*imageTokens, output: out * req.N}
}

// promptBytes measures a body without the base64 data of its data: URLs, and
// counts those. It looks for the semicolon, which prose seldom has: searching
// for the whole marker takes as long as parsing.
func promptBytes(body []byte) (text, images int64) {
	text = int64(len(body))
	marker := []byte(`;base64,`)
	for rest := body; ; {
		i := bytes.IndexByte(rest, ';')
		if i < 0 {
			return text, images
		}
		rest = rest[i:]
		if !bytes.HasPrefix(rest, marker) {
			rest = rest[1:]
			continue
		}
		rest = rest[len(marker):]
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			return text, images
		}
		text -= int64(end)
		images++
		rest = rest[end:]
	}
}

func estimateEmbed(req *llm.EmbedRequest) estimate {
	var n int64
	for _, s := range req.Inputs {
		n += int64(len(s))/bytesPerTokenLow + 1
	}
	for _, ids := range req.Tokens {
		n += int64(len(ids))
	}
	return estimate{input: n}
}

// countInputs counts embedding tokens where the provider does not.
func countInputs(req *llm.EmbedRequest) int64 {
	var n int64
	for _, s := range req.Inputs {
		n += (int64(len(s)) + bytesPerTokenUsual - 1) / bytesPerTokenUsual
	}
	for _, ids := range req.Tokens {
		n += int64(len(ids))
	}
	return n
}
